"""Ranking tuned on judged queries, and measured on queries it was not tuned on."""
