"""Pages kept on disk."""

import os
from pathlib import Path

from rostra.fetch import Validators
from rostra.ingest.web.cache import Page, PageCache

MIB = 1024 * 1024


def page(url: str = "http://x.example/", body: bytes = b"body", etag: str = "") -> Page:
    return Page(url, url + "final", "text/html", body, etag)


def only_file(folder: Path) -> Path:
    (found,) = (path for path in folder.rglob("*") if path.is_file())
    return found


def test_a_page_as_it_was_put(tmp_path: Path) -> None:
    cache = PageCache(tmp_path / "pages", MIB)
    assert cache.get("http://x.example/") is None
    cache.put(page(etag='"1"'))
    found = PageCache(tmp_path / "pages", MIB).get("http://x.example/")
    assert found is not None
    assert found[0] == page(etag='"1"')
    assert found[0].validators == Validators("http://x.example/final", '"1"', "")
    assert page().validators is None


def test_a_newer_page_replaces_it_and_a_confirmation_renews_it(tmp_path: Path) -> None:
    cache = PageCache(tmp_path, MIB)
    cache.put(page())
    cache.put(page(body=b"new"))
    os.utime(only_file(tmp_path), (5, 5))
    found = cache.get("http://x.example/")
    assert found is not None
    assert (found[0].body, found[1]) == (b"new", 5)
    cache.confirm("http://x.example/")
    renewed = cache.get("http://x.example/")
    assert renewed is not None
    assert renewed[1] > 5


def test_damage_anywhere_is_noticed(tmp_path: Path) -> None:
    cache = PageCache(tmp_path, MIB)
    cache.put(page())
    file = only_file(tmp_path)
    whole = file.read_bytes()
    for at in range(len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert cache.get("http://x.example/") is None
        file.write_bytes(whole[:at])
        assert cache.get("http://x.example/") is None


def test_the_oldest_go_first_when_there_are_too_many(tmp_path: Path) -> None:
    cache = PageCache(tmp_path, 3_000)
    for number in range(5):
        cache.put(page(f"http://x.example/{number}", b"x" * 1_000))
        newest = max(tmp_path.rglob("*.page"), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (number, number))
    cache.prune()
    kept = [number for number in range(5) if cache.get(f"http://x.example/{number}")]
    assert kept == [3, 4]


def test_a_folder_that_cannot_be_made_costs_only_the_reuse(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = PageCache(tmp_path / "file", MIB)
    cache.put(page())
    cache.confirm("http://x.example/")
    cache.prune()
    assert cache.get("http://x.example/") is None
