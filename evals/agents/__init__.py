"""Agents measured: strategies side by side, random models, poisoned texts, retrieval by tasks."""
