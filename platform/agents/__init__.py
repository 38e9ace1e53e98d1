"""Agents: runs of several steps that call tools. None is here yet."""
