"""The usage record of a call, and its log line, metrics and spans."""
