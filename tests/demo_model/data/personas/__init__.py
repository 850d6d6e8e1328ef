"""Personas that a system prompt asks for, and assistants of invented companies."""
