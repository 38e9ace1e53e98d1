"""The benchmark of search on a GPU runs without one, too, over fewer rows."""

import pytest

from benchmarks import gpu_search
from rostra.core import Settings


async def test_every_figure_is_there(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_search.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(gpu_search, "_ROWS", {"cpu": 2_000})
    monkeypatch.setattr(gpu_search, "_TEXTS", {"cpu": 4})
    ours, peer, embedding = await gpu_search.run(settings, ())
    for row in (ours, peer):
        assert (row["device"], row["rows"]) == ("cpu", 2_000)
        assert row["p50_ms"] > 0
        assert row["limit_ms"] > 0
    assert embedding["rows"] == 4
    assert embedding["tokens/s"] > embedding["texts/s"] > 0
