"""Accounts: keys, what they may do, and a ledger of all calls; for several servers together."""
