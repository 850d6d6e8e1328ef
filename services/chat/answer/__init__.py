"""From an engine's tokens to stream events: decoding, stop sequences, tool calls, batching."""
