"""The root: nothing outside of it is reached, by whatever path, link or race."""

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_servers.files.rooted import Root, entries
from rostra.core import ConfigError, Conflict, InvalidRequest, NotFound, RostraError

SECRET = "not for the model"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A root with links of all sorts, and a secret beside it."""
    root = tmp_path / "root"
    (root / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "rootless").mkdir()  # its name begins as the root's
    (tmp_path / "rootless" / "x").write_text(SECRET)
    (root / "a.txt").write_text("a")
    (root / "sub" / "b.txt").write_text("b")
    (root / "inside").symlink_to("sub/b.txt")
    (root / "sub" / "up").symlink_to("../a.txt")
    (root / "deep").symlink_to("sub/deep")
    (root / "out").symlink_to("../secret.txt")
    (root / "absolute").symlink_to(tmp_path / "secret.txt")
    (root / "own").symlink_to(root / "a.txt")
    (root / "parent").symlink_to("..")
    (root / "loop").symlink_to("loop")
    (root / "ping").symlink_to("pong")
    (root / "pong").symlink_to("ping")
    (root / "dangling").symlink_to("nothing")
    os.mkfifo(root / "pipe")
    return root


def open_below(folder: Path) -> int:
    """Files and folders there that this process holds open."""
    found = 0
    for handle in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # what other threads have closed
            found += handle.readlink().is_relative_to(folder)
    return found


def content(root: Root, path: str) -> str:
    with root.read(path) as file:
        return file.read().decode()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.txt", "a"),
        ("./sub//b.txt", "b"),
        ("sub/../a.txt", "a"),
        ("inside", "b"),
        ("sub/up", "a"),
        ("deep/../b.txt", "b"),  # as the kernel has it: the parent of where the link leads
    ],
)
def test_what_is_inside_is_read(folder: Path, path: str, expected: str) -> None:
    with Root(folder) as root:
        assert content(root, path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "sub/../../secret.txt",
        "deep/../../../secret.txt",
        "..",
        "out",
        "absolute",
        "own",  # leads inside, but by a path from outside
        "parent/secret.txt",
        "parent/root/a.txt",
        "/etc/passwd",
        "/",
        "../rootless/x",
        "loop",
        "ping",
        "dangling",
        "pipe",
        "sub",
        ".",
        "",
        "missing",
        "a.txt/x",
        "a.txt/../a.txt",
        "x\0y",
        "\ud800",
        "x" * 2000,
        "/".join("d" * 200),
        "x" * 300,
        "%2e%2e/secret.txt",
        "..\\secret.txt",
    ],
)
def test_what_is_outside_or_no_file_is_not(folder: Path, path: str) -> None:
    with Root(folder) as root:
        with pytest.raises((InvalidRequest, NotFound)) as failure:
            content(root, path)
        assert SECRET not in str(failure.value)
        assert str(folder) not in str(failure.value)


@given(
    st.lists(
        st.sampled_from(
            ["..", ".", "", "sub", "deep", "a.txt", "out", "parent", "inside", "up", "absolute"]
        ),
        max_size=8,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_path_leads_out(folder: Path, parts: list[str]) -> None:
    path = "/".join(parts)
    with Root(folder) as root:
        assert open_below(folder) == 1
        with suppress(RostraError):
            assert content(root, path) in ("a", "b")
        with suppress(RostraError), root.folder(path) as here:
            assert "secret.txt" not in {entry.name for entry in entries(here)}
    assert open_below(folder) == 0


def test_a_name_that_turns_into_a_link_meanwhile_leads_nowhere(folder: Path) -> None:
    """A folder and a link out take turns under one name while it is read."""
    (folder / "real").mkdir()
    (folder / "real" / "secret.txt").write_text("harmless")
    (folder / "trap").symlink_to("..")
    done = threading.Event()

    def swap() -> None:
        real, name, trap = folder / "real", folder / "name", folder / "trap"
        while not done.is_set():
            real.rename(name)
            name.rename(real)
            trap.rename(name)
            name.rename(trap)

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen = set()
    try:
        with Root(folder) as root:
            for _ in range(3_000):
                try:
                    seen.add(content(root, "name/secret.txt"))
                except RostraError:
                    continue
    finally:
        done.set()
        swapper.join()
    assert seen <= {"harmless"}


def test_a_file_that_turns_into_a_link_meanwhile_is_not_followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The swap comes exactly between looking whether it is a link and opening it."""
    looked = os.readlink

    def swapping(name: str, *, dir_fd: int) -> str:
        try:
            return looked(name, dir_fd=dir_fd)
        except OSError:
            (folder / "a.txt").unlink()
            (folder / "a.txt").symlink_to("../secret.txt")
            raise

    monkeypatch.setattr(os, "readlink", swapping)
    with Root(folder) as root, pytest.raises(NotFound, match="any more"):
        content(root, "a.txt")


def test_writing_makes_folders_and_replaces_only_when_told(folder: Path) -> None:
    with Root(folder) as root:
        assert root.write("new/sub/c.txt", b"1", overwrite=False) is True
        with pytest.raises(Conflict, match="exists"):
            root.write("new/sub/c.txt", b"2", overwrite=False)
        (folder / "new/sub/c.txt").chmod(0o750)
        assert root.write("new/sub/c.txt", b"3", overwrite=True) is False
        assert (folder / "new/sub/c.txt").stat().st_mode & 0o777 == 0o750
        assert root.write("inside", b"4", overwrite=True) is False
    assert (folder / "new/sub/c.txt").read_bytes() == b"3"
    assert (folder / "inside").is_symlink()
    assert (folder / "sub" / "b.txt").read_bytes() == b"4"
    assert not list(folder.rglob("*.part"))


@pytest.mark.parametrize(
    "path",
    [
        "../evil",
        "out",
        "absolute",
        "parent/evil",
        "parent/root/evil",
        "/tmp/evil",
        "sub",
        "pipe",
        "loop",
        "a.txt/evil",
        ".",
        "..",
        "sub/..",
    ],
)
def test_nothing_is_written_outside_or_over_what_is_no_file(folder: Path, path: str) -> None:
    before = {p.relative_to(folder.parent) for p in folder.parent.rglob("*")}
    with Root(folder) as root, pytest.raises((InvalidRequest, NotFound, Conflict)):
        root.write(path, b"evil", overwrite=True)
    assert {p.relative_to(folder.parent) for p in folder.parent.rglob("*")} == before
    assert (folder.parent / "secret.txt").read_text() == SECRET


def test_a_link_that_comes_in_between_is_replaced_not_followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def late(*arguments: object, **named: object) -> None:
        (folder / "a.txt").unlink()
        (folder / "a.txt").symlink_to("../secret.txt")
        replace(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "replace", late)
    with Root(folder) as root:
        root.write("a.txt", b"mine", overwrite=True)
    assert (folder.parent / "secret.txt").read_text() == SECRET
    assert (folder / "a.txt").read_bytes() == b"mine"


def test_a_root_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        Root(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file"):
        Root(tmp_path / "file")
