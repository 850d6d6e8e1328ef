"""The engine interface and its back ends; knows nothing of gRPC or HTTP."""
