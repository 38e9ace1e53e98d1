"""Listing and reading what lies on disk, also where it is hostile or gone."""

import os
import socket
import struct
import zipfile
import zlib
from pathlib import Path

import psutil
import pytest

from rostra.core import PathNotFound, Settings, UnreadableFile
from rostra.ingest.items import FailedSource, Source
from rostra.ingest.sources import Listing, file_uri, list_sources


def write(path: Path, content: str | bytes = "text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def names(listing: Listing) -> list[str]:
    return [source.name for source in listing.sources]


def reasons(listing: Listing) -> dict[str, str]:
    return {item.uri.rsplit("/", 1)[1]: item.error.code for item in listing.failed}


def only(listing: Listing) -> Source:
    (item,) = listing.items
    assert not isinstance(item, FailedSource)
    return item


def code_of(source: Source) -> str:
    """The reason why a source cannot be read."""
    with pytest.raises(UnreadableFile) as caught:
        source.read()
    return caught.value.code


def test_a_folder_in_order_without_what_is_not_read(tmp_path: Path, settings: Settings) -> None:
    for name in ("b.md", "a.txt", "sub/c.html", "sub/Makefile", "z.py"):
        write(tmp_path / name)
    for name in (".git/x.md", ".hidden.md", "node_modules/m.js", "__pycache__/p.py"):
        write(tmp_path / name)
    for name in ("picture.gif", "app.min.js", "noending", "poetry.lock"):
        write(tmp_path / name)
    listing = list_sources([tmp_path], settings)
    assert names(listing) == ["a.txt", "b.md", "Makefile", "c.html", "z.py"]
    assert listing.skipped == 4
    assert not listing.failed
    assert listing.sources[0].uri == (tmp_path / "a.txt").as_uri()
    assert list_sources([tmp_path], settings) == listing


def test_a_sphinx_build_is_read_once(tmp_path: Path, settings: Settings) -> None:
    for name in ("objects.inv", "index.html", "_sources/index.rst.txt", "_static/doctools.js"):
        write(tmp_path / name)
    assert names(list_sources([tmp_path], settings)) == ["index.html"]
    (tmp_path / "objects.inv").unlink()
    assert len(names(list_sources([tmp_path], settings))) == 3


def test_a_named_file_is_always_tried(tmp_path: Path, settings: Settings) -> None:
    source = only(list_sources([write(tmp_path / ".odd", "content")], settings))
    assert source.read() == b"content"
    assert (source.name, source.size) == (".odd", 7)


def test_a_missing_path(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "a.md")
    with pytest.raises(PathNotFound, match="nowhere"):
        list_sources([tmp_path / "a.md", tmp_path / "nowhere"], settings)


def test_each_file_is_listed_once(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "a b" / "ü.md")
    (tmp_path / "link.md").symlink_to(file)
    (tmp_path / "folder").symlink_to(file.parent)
    monkeypatch.chdir(tmp_path)
    source = only(list_sources([file, "a b/ü.md", "link.md", tmp_path, "folder"], settings))
    assert source.uri == file_uri(file) == tmp_path.as_uri() + "/a%20b/%C3%BC.md"


def test_links_that_lead_in_circles(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "sub" / "a.md")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "sub" / "self").symlink_to(tmp_path / "sub" / "self")
    (tmp_path / "gone.md").symlink_to(tmp_path / "nowhere.md")
    listing = list_sources([tmp_path], settings)
    assert names(listing) == ["a.md"]
    assert reasons(listing) == {
        "gone.md": "vanished",
        "self": "directory_loop",
        "up": "directory_loop",
    }
    assert reasons(list_sources([tmp_path / "sub" / "self"], settings)) == {
        "self": "directory_loop"
    }


def test_pipes_and_sockets_are_refused(tmp_path: Path, settings: Settings) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.md"))
        listing = list_sources([tmp_path], settings)
    assert reasons(listing) == {"pipe.txt": "not_a_regular_file", "s.md": "not_a_regular_file"}
    assert reasons(list_sources(["/dev/zero"], settings)) == {"zero": "not_a_regular_file"}


def test_a_file_that_becomes_a_pipe(tmp_path: Path, settings: Settings) -> None:
    file = write(tmp_path / "a.md")
    source = only(list_sources([file], settings))
    file.unlink()
    os.mkfifo(file)
    assert code_of(source) == "not_a_regular_file"


def test_a_file_that_vanishes(tmp_path: Path, settings: Settings) -> None:
    file = write(tmp_path / "a.md")
    source = only(list_sources([tmp_path], settings))
    file.unlink()
    assert code_of(source) == "vanished"


def test_a_file_over_the_limit(tmp_path: Path, settings: Settings) -> None:
    small = settings.model_copy(update={"max_file_bytes": 10})
    assert code_of(only(list_sources([write(tmp_path / "a.md", "x" * 11)], small))) == "too_large"
    assert only(list_sources([write(tmp_path / "b.md", "x" * 10)], small)).read() == b"x" * 10
    grown = write(tmp_path / "c.md", "x")
    source = only(list_sources([grown], small))
    write(grown, "x" * 50)
    assert code_of(source) == "too_large"


def test_a_file_of_200_megabytes(tmp_path: Path, settings: Settings) -> None:
    with (tmp_path / "big.txt").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    assert code_of(only(list_sources([tmp_path], settings))) == "too_large"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "a.md").chmod(0)
    write(tmp_path / "sub" / "b.md")
    (tmp_path / "sub").chmod(0)
    listing = list_sources([tmp_path], settings)
    assert reasons(listing) == {"sub": "permission_denied"}
    assert code_of(listing.sources[0]) == "permission_denied"
    (tmp_path / "sub").chmod(0o700)


def test_a_name_that_is_no_utf8(tmp_path: Path, settings: Settings) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.md"
    Path(os.fsdecode(path)).write_text("x")
    source = only(list_sources([tmp_path], settings))
    assert source.uri.endswith("/caf%E9.md")
    assert source.name == "caf\ufffd.md"
    assert source.read() == b"x"


def test_a_deep_folder(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path.joinpath(*["d"] * 300) / "a.md")
    assert names(list_sources([tmp_path], settings)) == ["a.md"]


# Archives


def archive(path: Path, members: dict[str, str | bytes], method: int = 8) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_members_are_sources(tmp_path: Path, settings: Settings) -> None:
    path = archive(
        tmp_path / "a.zip",
        {"dir/b c.md": "two", "a.txt": "one", "dir/": "", "x.gif": "no", ".x/y.md": "no"},
    )
    listing = list_sources([tmp_path], settings)
    root = path.as_uri()
    assert [source.uri for source in listing.sources] == [f"{root}!/a.txt", f"{root}!/dir/b%20c.md"]
    assert names(listing) == ["a.txt", "dir/b c.md"]
    assert [source.read() for source in listing.sources] == [b"one", b"two"]
    assert [source.read() for source in listing.sources] == [b"one", b"two"], "also again"
    assert listing.skipped == 2


@pytest.mark.parametrize(
    "name",
    ["../up.md", "a/../../up.md", "/etc/up.md", "C:/up.md", "c:up.md", "a\\up.md", "..\\up.md"],
)
def test_names_that_point_elsewhere(tmp_path: Path, settings: Settings, name: str) -> None:
    archive(tmp_path / "a.zip", {name: "x", "good.md": "y"})
    listing = list_sources([tmp_path], settings)
    assert [item.error.code for item in listing.failed] == ["unsafe_name"]
    assert [source.read() for source in listing.sources] == [b"y"]


def test_a_nul_does_not_hide_the_rest_of_a_name(tmp_path: Path, settings: Settings) -> None:
    path = archive(tmp_path / "a.zip", {"good.mdX../up": "x"})
    path.write_bytes(path.read_bytes().replace(b"good.mdX", b"good.md\0"))
    listing = list_sources([path], settings)
    assert [item.error.code for item in listing.failed] == ["unsafe_name"]


def test_one_bad_member_does_not_stop_the_others(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.md", "first")
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("a.md", "second")
        file.writestr("inner.zip", b"PK")
        link = zipfile.ZipInfo("link.md")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
        file.writestr("bad.md", "damaged content")
        file.writestr("z.md", "last")
    path.write_bytes(path.read_bytes().replace(b"damaged content", b"DAMAGED content"))
    listing = list_sources([path], settings)
    assert sorted(item.error.code for item in listing.failed) == [
        "duplicate_name",
        "nested_archive",
        "not_a_regular_file",
    ]
    assert names(listing) == ["a.md", "bad.md", "z.md"]
    first, bad, last = listing.sources
    assert (first.read(), code_of(bad), last.read()) == (b"first", "corrupt_file", b"last")


def test_an_encrypted_member(tmp_path: Path, settings: Settings) -> None:
    path = archive(tmp_path / "a.zip", {"a.md": "x"}, method=0)
    data = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + offset] |= 1
    path.write_bytes(data)
    assert reasons(list_sources([path], settings)) == {"a.md": "encrypted_file"}


def test_methods_that_need_unbounded_memory(tmp_path: Path, settings: Settings) -> None:
    archive(tmp_path / "a.zip", {"a.md": "x" * 100}, method=zipfile.ZIP_LZMA)
    assert reasons(list_sources([tmp_path], settings)) == {"a.md": "unsupported_type"}


def test_a_member_that_unpacks_to_far_more_than_it_is(tmp_path: Path, settings: Settings) -> None:
    archive(tmp_path / "a.zip", {"bomb.txt": bytes(8_000_000), "good.md": "x"})
    listing = list_sources([tmp_path], settings)
    assert reasons(listing) == {"bomb.txt": "archive_bomb"}
    assert names(listing) == ["good.md"]


@pytest.mark.parametrize(
    ("limit", "value", "code"),
    [("max_archive_bytes", 1000, "archive_bomb"), ("max_archive_members", 9, "archive_bomb")],
)
def test_an_archive_over_its_limits(
    tmp_path: Path, settings: Settings, limit: str, value: int, code: str
) -> None:
    archive(tmp_path / "a.zip", {f"{n}.md": "x" * 101 for n in range(10)})
    listing = list_sources([tmp_path], settings.model_copy(update={limit: value}))
    assert reasons(listing) == {"a.zip": code}


def test_a_member_over_the_limit_of_a_file(tmp_path: Path, settings: Settings) -> None:
    archive(tmp_path / "a.zip", {"a.md": "x" * 101})
    small = settings.model_copy(update={"max_file_bytes": 100})
    assert code_of(only(list_sources([tmp_path], small))) == "too_large"


def test_entries_that_share_their_bytes(tmp_path: Path, settings: Settings) -> None:
    path = archive(tmp_path / "a.zip", {"a.md": "x" * 50, "b.md": "x" * 50}, method=0)
    data = bytearray(path.read_bytes())
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    data[second + 42 : second + 46] = struct.pack("<I", 0)
    path.write_bytes(data)
    assert reasons(list_sources([path], settings)) == {"a.zip": "archive_bomb"}


def test_a_size_that_is_a_lie(tmp_path: Path, settings: Settings) -> None:
    """The directory says 10 bytes, the data unpack to 8 million: no more than 10 are unpacked."""
    path = archive(tmp_path / "a.zip", {"a.txt": bytes(8_000_000)})
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 16 : entry + 20] = struct.pack("<I", zlib.crc32(bytes(10)))
    data[entry + 24 : entry + 28] = struct.pack("<I", 10)
    path.write_bytes(data)
    source = only(list_sources([path], settings))
    assert source.read() == bytes(10)


@pytest.mark.parametrize(
    "content", [b"", b"no zip at all", b"PK\x05\x06", b"PK\x03\x04" + bytes(80)]
)
def test_what_is_no_archive(tmp_path: Path, settings: Settings, content: bytes) -> None:
    write(tmp_path / "a.zip", content)
    assert reasons(list_sources([tmp_path], settings)) == {"a.zip": "corrupt_file"}


def test_an_archive_that_changes_or_vanishes(tmp_path: Path, settings: Settings) -> None:
    path = archive(tmp_path / "a.zip", {"a.md": "x", "b.md": "y"})
    first, second = list_sources([path], settings).sources
    archive(path, {"a.md": "other", "b.md": "content"})
    assert code_of(first) == "vanished"
    path.unlink()
    assert code_of(second) == "vanished"


def test_archives_are_closed_after_their_last_member(tmp_path: Path, settings: Settings) -> None:
    for number in range(50):
        archive(tmp_path / f"{number}.zip", {"a.md": "x", "b.md": "y"})
    for source in list_sources([tmp_path], settings).sources:
        source.read()
    opened = {file.path for file in psutil.Process().open_files()}
    assert not opened & {str(path) for path in tmp_path.iterdir()}


def test_a_link_gives_its_target_a_name(tmp_path: Path, settings: Settings) -> None:
    target = write(tmp_path / "objects" / "3f2a", "# Title")
    (tmp_path / "guide.md").symlink_to(target)
    source = only(list_sources([tmp_path], settings))
    assert (source.name, source.uri) == ("guide.md", file_uri(target))
