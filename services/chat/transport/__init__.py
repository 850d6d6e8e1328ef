"""gRPC in and out: servicers, the Relay, interceptors, status mapping, authentication, health."""
