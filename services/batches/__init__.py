"""Files, and batches of calls that run when nothing else waits: in the accounts' database and a directory or bucket."""
