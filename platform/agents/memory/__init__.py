"""What agents remember: within a conversation, and about a user beyond it."""
