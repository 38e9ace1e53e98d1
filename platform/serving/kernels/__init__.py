"""Compiled inner loops of the decoder for CPUs."""
