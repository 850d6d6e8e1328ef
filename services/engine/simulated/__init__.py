"""A back end without a model, for tests and measurements: deterministic tokens at a set rate."""
