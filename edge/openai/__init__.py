"""OpenAI's formats: requests, responses, SSE chunks, errors, and the OpenAPI document."""
