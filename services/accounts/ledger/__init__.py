"""Rows of the ledger: on their way to the database, in files that outlive the server, and what is asked of them."""
