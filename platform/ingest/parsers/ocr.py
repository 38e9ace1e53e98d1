"""Text recognition: a picture to lines with places, by models that come in a wheel.

An optional extra: `recogniser` says what to install where it is missing. Pictures that lie on their
side or their head are turned: where what is read is unsure the other three ways are tried, and what
none of them makes surer is no text. What always holds: once the time for one file is over, no
further picture is begun and none is turned again.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from rostra.ingest import media
from rostra.ingest.errors import UnsupportedType
from rostra.ingest.limits import ParseLimits

if TYPE_CHECKING:
    import numpy as np

# Below this, what was recognised is more often noise than text.
_LEAST_SCORE = 0.5
# Scores of a picture's characters on average: text that lies the right way has 0.9 and more, what
# is read from pictures on their head or side, or of other things, 0.6 to 0.75.
_SURE = 0.85
_NO_TEXT = 0.75
# Boxes higher than this many times their width hold lines that do not lie.
_STANDING = 1.5
# Quarters of a turn.
_TURNS = (1, 3, 2)
_MAX_THREADS = 4
# Pixels of the longer side: print of 10 points on A4 has about 20 pixels of height then.
MAX_SIDE = 1800
_FINDING_SIDE = 1280
# Boxes whose middles are this close, as a part of their height, stand on one line.
_SAME_LINE = 0.5
# Blank space wider than this many heights of a line parts columns.
_COLUMN_GAP = 2.0


@dataclass(frozen=True, slots=True)
class TextBox:
    """A line of text in a picture; pixels from its top left corner."""

    text: str
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one way of holding a picture gives.

    Attributes:
        boxes: lines and parts of lines, as found.
        score: of its characters on average, 0 to 1.
        lies: whether most of its characters are in lines that lie.
    """

    boxes: list[TextBox]
    score: float
    lies: bool

    @property
    def is_sure(self) -> bool:
        return self.score >= _SURE and self.lies


class Recogniser:
    """Recognises pictures of one file until its time is over.

    Args:
        limits: how long that is.
    """

    def __init__(self, limits: ParseLimits) -> None:
        self._deadline = time.monotonic() + limits.ocr_seconds

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._deadline

    def lines(self, picture: "np.ndarray[Any, Any]") -> list[TextBox]:
        """The lines of a picture from top to bottom.

        Args:
            picture: uint8 [height, width, 3], blue first as OpenCV has it.
        """
        import numpy as np

        upright = _read(picture)
        if upright.is_sure or not upright.boxes:
            return in_lines(upright.boxes)
        readings = [upright]
        for turn in _TURNS:
            if self.is_over:
                break
            turned = _read(np.rot90(picture, turn).copy())
            if turned.is_sure:
                return in_lines(turned.boxes)
            readings.append(turned)
        # Lines that stand are sure in writing from top to bottom.
        best = max(readings, key=lambda reading: reading.score)
        best = upright if upright.score >= _SURE else best
        return in_lines(best.boxes) if best.score >= _NO_TEXT else []


def _read(picture: "np.ndarray[Any, Any]") -> _Reading:
    """Reads a picture as it is."""
    found = _engine()(picture)
    if found.boxes is None or not found.txts:
        return _Reading([], 0.0, True)
    boxes: list[TextBox] = []
    characters = standing = 0
    total = 0.0
    for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
        if score < _LEAST_SCORE or not text.strip():
            continue
        box = TextBox(
            " ".join(text.split()),
            float(min(corner[0] for corner in corners)),
            float(min(corner[1] for corner in corners)),
            float(max(corner[0] for corner in corners)),
            float(max(corner[1] for corner in corners)),
        )
        boxes.append(box)
        count = len(box.text)
        characters += count
        total += count * float(score)
        if box.bottom - box.top > _STANDING * (box.right - box.left):
            standing += count
    return _Reading(boxes, total / max(1, characters), 2 * standing <= characters)


def recogniser(limits: ParseLimits, what: str) -> Recogniser:
    """A recogniser, whose models load with the first picture.

    Args:
        limits: of the file.
        what: it is needed for, in words.

    Raises:
        UnsupportedType: if text recognition is not installed.
    """
    if not media.has_ocr():
        raise UnsupportedType(
            f"{what} by text recognition, which is not installed", hint=f"Run {media.OCR_INSTALL}."
        )
    return Recogniser(limits)


def in_lines(boxes: Sequence[TextBox]) -> list[TextBox]:
    """Joins boxes that stand beside each other in one line; lines from top to bottom.

    Words far apart stay apart: they are columns.
    """
    rows: list[list[TextBox]] = []
    for box in sorted(boxes, key=lambda box: box.top + box.bottom):
        if rows and _level(rows[-1][0], box):
            rows[-1].append(box)
        else:
            rows.append([box])
    lines: list[TextBox] = []
    for row in rows:
        row.sort(key=lambda box: box.left)
        joined = row[0]
        for box in row[1:]:
            if box.left - joined.right > _COLUMN_GAP * (box.bottom - box.top):
                lines.append(joined)
                joined = box
            else:
                joined = TextBox(
                    f"{joined.text} {box.text}",
                    joined.left,
                    min(joined.top, box.top),
                    box.right,
                    max(joined.bottom, box.bottom),
                )
        lines.append(joined)
    return lines


def _level(one: TextBox, other: TextBox) -> bool:
    height = min(one.bottom - one.top, other.bottom - other.top)
    return abs((one.top + one.bottom) - (other.top + other.bottom)) / 2 < _SAME_LINE * height


@cache
def _engine() -> Any:
    """The models, loaded once a process: that takes longer than a small picture."""
    import cv2
    from rapidocr import RapidOCR

    threads = min(_MAX_THREADS, len(os.sched_getaffinity(0)))
    cv2.setNumThreads(1)
    return RapidOCR(
        params={
            "Global.log_level": "error",
            # Pages lie upright; asking for each line whether it does turns some over.
            "Global.use_cls": False,
            "Global.max_side_len": MAX_SIDE,
            # Lines are found on a smaller picture than they are read from, and small pictures are
            # not made larger, which would cost as much as a page.
            "Det.limit_type": "max",
            "Det.limit_side_len": _FINDING_SIDE,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
