"""Model files: locating them, reading their metadata, and their tokenizers."""
