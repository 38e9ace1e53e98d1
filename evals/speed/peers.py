"""Placeholder until the peers land."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Speed:
    """Of one batch."""

    prefill_tok_s: float
    decode_tok_s: float
    ttft_ms: float
    tpot_ms: float


class Peer(Protocol):
    """Another engine with the same weights loaded."""

    def run(self, prompts: Sequence[Sequence[int]], new_tokens: int) -> Speed: ...


PEERS: dict[str, Callable[[Path, int, int, str], Peer]] = {}


def peer_names() -> tuple[str, ...]:
    return tuple(PEERS)
