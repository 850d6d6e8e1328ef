"""Keys, scoped tokens and usage over gRPC: for callers, and at an address of its own for the operator."""
