"""What the machine's memory can do, measured: the limit that a decode step runs into."""

import time

import torch

_BYTES = 1 << 30
_ROUNDS = 5


def read_bandwidth(device: str) -> float:
    """Bytes per second at which all of torch's threads together read a large tensor; the best of
    a few rounds.
    """
    if torch.device(device).type == "cuda":
        return _device_bandwidth(device)
    # Equal halves to each thread through one reduction of a matrix that no cache holds.
    data = torch.ones(_BYTES // 4, dtype=torch.float32).view(-1, 4096)
    best = float("inf")
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        data.sum(dim=1)
        best = min(best, time.perf_counter() - began)
    return _BYTES / best


def _device_bandwidth(device: str) -> float:
    """A copy reads and writes each byte once."""
    source = torch.ones(_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(_ROUNDS):
        torch.cuda.synchronize(device)
        began = time.perf_counter()
        target.copy_(source)
        torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - began)
    return 2 * _BYTES / best
