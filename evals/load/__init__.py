"""Serving under load: open-loop traffic, latencies, goodput, energy and cost."""
