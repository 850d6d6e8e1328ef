"""One HTTP request: its body, its headers, and what is recorded of it."""
