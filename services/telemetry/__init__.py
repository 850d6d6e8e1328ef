"""Traces, metrics and logs, for the chat server and the edge alike."""
