"""The chat server: all policy, for REST and gRPC calls alike."""
