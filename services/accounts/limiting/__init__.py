"""Limits of calls, tokens and money: counted in this process, or in Valkey or Redis for several."""
