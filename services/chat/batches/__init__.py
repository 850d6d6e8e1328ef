"""Files and batches over gRPC; what callers may ask for is in `services/batches/`, as for REST."""
