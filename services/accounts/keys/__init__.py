"""Keys and their scoped tokens: who makes a call, what it may do, and its limits."""
