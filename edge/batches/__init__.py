"""The runner of batches: checks their files, makes the calls of their lines, and writes the results."""
