"""Model files: finding them, reading their metadata, and tokenizing as they say."""
