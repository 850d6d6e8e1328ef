"""Admission control: which call runs, which waits, and which is refused."""
