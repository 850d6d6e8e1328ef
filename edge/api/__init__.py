"""What the APIs share: decoding with a table of fields, a request's calls, the writers' protocol, and errors."""
