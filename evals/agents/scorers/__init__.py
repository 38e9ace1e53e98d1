"""What runs of agents are scored by, one idea a module."""
