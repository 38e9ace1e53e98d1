"""What a training says of itself: lines to read now, and JSON lines to draw later.

What always holds: the file's steps only rise; lines of steps that a kill undid are dropped when
the training goes on.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evals.training.atomic import write_whole


class ProgressLog:
    """See this module.

    Args:
        path: of the JSON lines.
        tell: takes a line.
        step: that the training goes on from.
    """

    def __init__(self, path: Path, tell: Callable[[str], None], step: int) -> None:
        self._path = path
        self._tell = tell
        write_whole(path, "".join(f"{json.dumps(one)}\n" for one in _read(path, step)))

    def step(self, step: int, seconds: float, loss: float, rate: float, speed: float) -> None:
        """Says how steps went.

        Args:
            loss: a moving average.
            rate: of learning.
            speed: items a second.
        """
        self._tell(
            f"step {step}, {seconds / 60:.1f} min: loss {loss:.4f}, rate {rate:.2e}, "
            f"{speed:.1f} items/s"
        )
        self._write(step=step, seconds=seconds, loss=loss, rate=rate, speed=speed)

    def validated(self, step: int, seconds: float, scores: Mapping[str, float]) -> None:
        """Says how a validation went."""
        told = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        self._tell(f"step {step}, {seconds / 60:.1f} min: {told}")
        self._write(step=step, seconds=seconds, validation=dict(scores))

    def _write(self, **line: Any) -> None:
        rounded = {
            name: float(f"{value:.6g}") if isinstance(value, float) else value
            for name, value in line.items()
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rounded) + "\n")


def _read(path: Path, step: int) -> list[dict[str, Any]]:
    """Lines up to a step; a torn last line is none."""
    if not path.exists() or step == 0:
        return []
    kept = []
    for line in path.read_text("utf-8").splitlines():
        try:
            one = json.loads(line)
        except ValueError:
            continue
        if isinstance(one, dict) and one.get("step", step + 1) <= step:
            kept.append(one)
    return kept
