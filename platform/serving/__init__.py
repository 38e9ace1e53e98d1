"""Serving: the decoder. Its models will be `rostra.core.ChatModel`s; none is here yet."""
