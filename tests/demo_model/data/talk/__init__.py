"""Conversation without tools: small talk, facts to remember, questions, longer texts."""
