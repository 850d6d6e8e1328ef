"""Anthropic's formats: Messages requests, responses, stream events, models and errors."""
