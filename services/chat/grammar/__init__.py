"""Structured output: from a JSON Schema to the grammar that an engine enforces."""
