"""The OpenAI surface: everything under /v1, and /metrics. `router` puts it together."""
