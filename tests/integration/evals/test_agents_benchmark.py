"""The benchmark of steps runs everywhere, with and without peers, and loses no step."""

import pytest

from benchmarks import agents
from rostra.core import Settings


async def test_every_step_is_timed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_ROUNDS": 2, "_RUNS": 1, "_TOGETHER": 5, "_FSYNCS": 2}.items():
        monkeypatch.setattr(agents, name, value)
    rows = {row["harness"]: row for row in await agents.run(settings, ())}
    assert list(rows)[:3] == ["rostra", "rostra, watched", "rostra, survives power loss"]
    together = rows.pop("rostra, 5 runs at once")
    assert (together["steps"], together["errors"]) == (100, 0)
    for row in rows.values():
        assert row["steps"] == 2 * 19
        assert row["errors"] == 0
        assert 0 < row["p50_ms"] <= row["p95_ms"]
    assert isinstance(rows["rostra, survives power loss"]["fsyncs_more"], float)
    assert rows["rostra"]["fsyncs_more"] == "-"
    # Nothing is left where the database lies.
    assert not [path for path in settings.home.iterdir() if path.name.startswith("tmp")]
