"""Functions on offer, requests for them, calls, results, and JSON by a schema."""
