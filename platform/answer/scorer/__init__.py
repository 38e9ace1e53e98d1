"""The evidence scorer: a small cross-encoder that says which sentences answer a question."""
