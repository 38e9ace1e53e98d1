"""Checks of `rostra doctor`: which model answers questions, which runs agents, and why.

What always holds: there is one line for each, whatever is set; the reader is loaded for it, as a
file that is whole may still not load on this machine.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rostra.answer import scorer_file
from rostra.cli.doctor_checks import Check
from rostra.core import RostraError, Settings
from rostra.runtime import Choice, Maker, Reader, Runtime, open_runtime

_MEASURED = "docs/performance.md has what was measured."


@dataclass(frozen=True, slots=True)
class _Tried:
    """The reader, tried: what it is like, or why it does not load."""

    told: str = ""
    failure: RostraError | None = None


async def maker_checks(settings: Settings) -> Sequence[Check]:
    """Who answers, and who runs agents."""
    try:
        async with open_runtime(settings) as runtime:
            tried = await _try(runtime.reader) if runtime.reader is not None else _Tried()
            return [_answers(runtime, tried), _agents(runtime, tried)]
    except RostraError as error:
        return [Check("answers", "error", error.message, error.hint or "")]


async def _try(reader: Reader) -> _Tried:
    began = time.perf_counter()
    try:
        engine = await reader.begin()
        info = await engine.start()
    except RostraError as error:
        return _Tried(failure=error)
    seconds = time.perf_counter() - began
    return _Tried(
        f"{info.weight_bytes / 1e6:.0f} MB in {info.dtype} on {info.device}, context of "
        f"{info.max_context} tokens, loaded in {seconds:.1f} s"
    )


def _answers(runtime: Runtime, tried: _Tried) -> Check:
    choice = runtime.choice
    if choice.answers is Maker.MODEL:
        name = runtime.generator.name if runtime.generator is not None else ""
        return Check("answers", "ok", f"{name} writes them: {choice.why_answers}")
    if choice.answers is Maker.READER and tried.failure is None:
        told = f"the reader picks what is quoted ({tried.told}): {choice.why_answers}"
        return Check("answers", "ok", told, _hint(choice))
    quotes, wrong = _quotes(runtime.settings)
    if choice.answers is Maker.READER and tried.failure is not None:
        told = f"{quotes}, as the reader does not load: {tried.failure.message}"
        return Check("answers", "warning", told, tried.failure.hint or "")
    if wrong is not None:
        return Check("answers", "warning", f"{quotes}: {wrong.message}", wrong.hint or "")
    return Check("answers", "ok", f"{quotes}: {choice.why_answers}", _hint(choice))


def _quotes(settings: Settings) -> tuple[str, RostraError | None]:
    """How quote mode picks, and why not by the scorer where it should."""
    try:
        scored = scorer_file(settings) is not None
    except RostraError as error:
        return "quote the documents, by similarity", error
    return f"quote the documents, by {'the scorer' if scored else 'similarity'}", None


def _agents(runtime: Runtime, tried: _Tried) -> Check:
    choice = runtime.choice
    if choice.agents is Maker.NOBODY:
        return Check("agents", "ok", f"do not run: {choice.why_agents}", choice.advice)
    if choice.agents is Maker.MODEL:
        name = runtime.generator.name if runtime.generator is not None else ""
        return Check("agents", "ok", f"run with {name}: {choice.why_agents}")
    if tried.failure is not None:
        told = f"do not run, as the reader does not load: {tried.failure.message}"
        return Check("agents", "warning", told, tried.failure.hint or "")
    told = f"run with the reader ({tried.told}): {choice.why_agents}"
    return Check("agents", "ok", told, _hint(choice))


def _hint(choice: Choice) -> str:
    return f"{choice.advice} {_MEASURED}".strip()
