"""The edge: translates the OpenAI-compatible REST and SSE API into calls of the chat server."""
