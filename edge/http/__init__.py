"""HTTP requests: body, headers, and what is recorded about each."""
