"""What a request asks for: validation, history, prompt, and the engine's generation parameters."""
