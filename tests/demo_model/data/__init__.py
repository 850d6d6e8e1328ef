"""Generated conversations: one module per kind, all from our own words and code, each a function of a seed."""
