"""The engine interface and its back ends; imports neither gRPC nor HTTP code."""
