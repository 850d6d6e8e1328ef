"""Files, and batches of calls that run when nothing else waits: stored in the accounts' database and a directory."""
