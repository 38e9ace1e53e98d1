"""Benchmarks: ratios against a named peer or a limit measured in the same run.

`make bench` runs all; `python -m benchmarks NAME` one. Figures go to docs/performance.md with the
device and the command.
"""
