"""A run as its file would have it, with contents that want to break whatever shows them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from evals import (
    Better,
    Call,
    Cited,
    Header,
    Measure,
    Outcome,
    Passage,
    Problem,
    RunRecord,
    Sample,
    Score,
    State,
    TaskHeader,
    Usage,
)

TRACE = "0af7651916cd43dd8448eb211c80319c"
SCRIPT = "</pre></script><script>alert(1)</script><img src=x onerror=alert(2)>"
LINK = "[me](javascript:alert(3)) <a href='javascript:alert(4)'>you</a>"
TURNED = "\u202eevil\u2066 \u200b\x00\x1b[31m\r\n\x85"
QUOTES = "\"' onmouseover='alert(5)' x=\""
HOSTILE = (SCRIPT, LINK, TURNED, QUOTES, "{{ 7 * 7 }} {% raw %}", "]]> <!-- <![CDATA[")
MEASURES = (
    Measure("right", unit="share"),
    Measure("ndcg@10"),
    Measure("steps", Better.LOWER),
    Measure("told", Better.NEITHER),
)


def outcome(
    at: int,
    *,
    right: float | None = 1.0,
    ndcg: float = 0.5,
    steps: float = 2.0,
    task: int = 0,
    repeat: int = 0,
    failed: str = "",
    text: str = "",
    output: str = "said",
    trace: str = TRACE,
) -> Outcome:
    """What became of the sample at a place.

    Args:
        text: is put wherever a text can be.
    """
    sample = Sample(
        id=f"s{at}{text}", input=f"question {at} {text}", targets=[f"gold {text}"], group=f"g{at}"
    )
    if failed:
        return Outcome(
            task=task, at=at, repeat=repeat, state=State(sample=sample), failed=failed, detail=text
        )
    state = State(
        sample=sample,
        output=output + text,
        claims=[text] if text else [],
        passages=[Passage(f"doc {text}", f"passage {text}", 0.5, 0, 9)],
        citations=[Cited(f"doc {text}", 0, 4, f"quote {text}", 0, True)],
        calls=[Call(f"tool {text}", {f"key {text}": text}, f"result {text}")],
        steps=2,
        usage=Usage(10, 5, cost=0.25),
        trace=trace,
        data={f"data {text}": text},
    )
    scores = [
        Score("right", right, why=f"because {text}", unscored="" if right is not None else "dumb"),
        Score("ndcg@10", ndcg, data={"of": text}),
        Score("steps", steps),
        Score("told", float(at)),
    ]
    return Outcome(task=task, at=at, repeat=repeat, state=state, scores=scores, seconds=0.25)


def record(
    outcomes: Sequence[Outcome],
    *,
    run: str = "run",
    systems: Sequence[str] = ("system",),
    text: str = "",
    dataset: str = "set",
    is_complete: bool = True,
    repeats: int = 1,
) -> RunRecord:
    """A run of systems over one set."""
    tasks = [
        TaskHeader(
            dataset=dataset + text,
            solver=system,
            digest="d",
            samples=1 + max((one.at for one in outcomes if one.task == number), default=0),
            repeats=repeats,
            problems=[Problem(f"broken {text}", 2, [f"line 3 {text}"])],
            measures=list(MEASURES),
        )
        for number, system in enumerate(systems)
    ]
    header = Header(
        id=run + text,
        kind="test" + text,
        begun=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        seed=7,
        tasks=tasks,
        arguments={"data": text},
        versions={"python": "3.11" + text},
        device="here" + text,
    )
    return RunRecord(header, tuple(sorted(outcomes, key=lambda one: one.place)), is_complete)


def write(folder: Path, record: RunRecord) -> Path:
    """Writes a run's file by hand; it does not end when the run is not complete."""
    lines = [msgspec.json.encode(one) for one in (record.header, *record.outcomes)]
    if record.is_complete:
        lines.append(b'{"type":"end","at":"2026-01-02T03:05:00Z"}')
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record.header.id}.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path
