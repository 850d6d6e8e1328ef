"""The edge's client of the chat server: the Relay, or one RPC per call."""
