"""Attention over paged keys and values: one seam, and a backend for every kind of device."""
