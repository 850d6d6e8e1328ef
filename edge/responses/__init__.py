"""OpenAI's Responses format: requests, responses and stream events."""
