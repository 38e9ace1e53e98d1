"""Memory of keys and values: its blocks, their holders, and the prefixes they are known for."""
