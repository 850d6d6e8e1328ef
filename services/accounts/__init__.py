"""Accounts: keys and what they may do, stored in a database that several servers share."""
