"""Model files that ship: sealed, checked, and said to be broken with the way to restore them."""

import importlib.metadata
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import get_args

import msgspec
import pytest

import rostra.shipped.whole as whole
from rostra.core import InvalidRequest, ModelUnavailable, file_digest
from rostra.shipped import (
    ShippedModelBroken,
    ShippedName,
    check_shipped,
    is_shipped,
    read_manifest,
    seal,
    shipped_folder,
)
from rostra.shipped.errors import restore_command
from rostra.shipped.manifest import ROOM, model_folder

ROOT = Path(__file__).parents[3]


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A room where one model of two files ships."""
    folder = model_folder("evidence", tmp_path)
    (folder / "inner").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(range(256)))
    (folder / "inner" / "config.json").write_text("{}")
    (folder / "card.md").write_text("What it is.")
    seal("evidence", tmp_path)
    return tmp_path


def test_a_sealed_model_is_handed_out(room: Path) -> None:
    assert is_shipped("evidence", room)
    assert not is_shipped("reader", room)
    folder = shipped_folder("evidence", room)
    files = read_manifest(room).models["evidence"]
    assert set(files) == {"model.safetensors", "inner/config.json"}
    for inside, sealed in files.items():
        path = folder / inside
        assert (sealed.bytes, sealed.sha256) == (path.stat().st_size, file_digest(path))
    (found,) = check_shipped(room)
    assert (found.name, found.bytes, found.broken) == ("evidence", 258, None)


def test_what_does_not_ship_is_no_broken_model(room: Path) -> None:
    with pytest.raises(ModelUnavailable, match="ships no reader") as refused:
        shipped_folder("reader", room)
    assert not isinstance(refused.value, ShippedModelBroken)


def missing(path: Path) -> None:
    path.unlink()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def altered(path: Path) -> None:
    body = path.read_bytes()
    path.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("seen_before", [False, True])
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (missing, "is missing"),
        (truncated, "is truncated: 255 of 256 bytes"),
        (longer, "is altered: 257 bytes, not 256"),
        (altered, "is altered: its sha256 is another"),
        (a_folder, "model.safetensors"),
    ],
)
def test_a_broken_file_is_named_with_what_restores_it(
    room: Path, harm: Callable[[Path], None], said: str, seen_before: bool
) -> None:
    path = shipped_folder("evidence", room) / "model.safetensors"
    if not seen_before:
        whole._digest.cache_clear()
    kept = path.read_bytes()
    changed = path.stat().st_mtime_ns
    harm(path)
    if path.is_file():  # the clock of a file system may be too coarse to tell two writes apart
        os.utime(path, ns=(changed + 1_000_000_000, changed + 1_000_000_000))
    with pytest.raises(ShippedModelBroken, match=said) as refused:
        shipped_folder("evidence", room)
    error = refused.value
    assert str(path) in error.message
    assert error.details == {"file": str(path)}
    assert error.hint is not None and "pip install --force-reinstall --no-deps " in error.hint
    assert "rostra==" not in error.hint
    (found,) = check_shipped(room)
    assert found.broken is not None and found.broken.message == error.message

    # Restored, it is taken again, also by a process that has seen it broken.
    if path.is_dir():
        path.rmdir()
    path.write_bytes(kept)
    os.utime(path, ns=(changed + 2_000_000_000, changed + 2_000_000_000))
    assert shipped_folder("evidence", room) == path.parent


def test_a_card_may_be_mended(room: Path) -> None:
    card = model_folder("evidence", room) / "card.md"
    card.write_text("What it really is.")
    assert shipped_folder("evidence", room) == card.parent


def one_file(model: str, inside: str, size: int, digest: str) -> bytes:
    """A manifest of one file."""
    return msgspec.json.encode({"models": {model: {inside: {"bytes": size, "sha256": digest}}}})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (None, "is missing"),
        (b"", "is altered"),
        (b'{"models": {"evidence": {}}}', "is altered"),
        (one_file("oracle", "a", 1, "0" * 64), "oracle"),
        (one_file("reader", "../a", 1, "0" * 64), "is altered"),
        (one_file("reader", "/a", 1, "0" * 64), "is altered"),
        (one_file("reader", "a", -1, "0" * 64), "is altered"),
        (one_file("reader", "a", 1, "no"), "is altered"),
    ],
)
def test_a_damaged_manifest_lets_nothing_through(room: Path, body: bytes | None, said: str) -> None:
    path = room / "manifest.json"
    path.unlink() if body is None else path.write_bytes(body)
    for ask in (is_shipped, shipped_folder):
        with pytest.raises(ShippedModelBroken, match=said) as refused:
            ask("evidence", room)
        assert refused.value.details["file"] == str(path)
    with pytest.raises(ShippedModelBroken):
        check_shipped(room)


def test_a_manifest_that_names_a_file_nobody_has(room: Path) -> None:
    models = dict(read_manifest(room).models)
    models["evidence"] = models["evidence"] | {"more.bin": models["evidence"]["model.safetensors"]}
    (room / "manifest.json").write_bytes(msgspec.json.encode({"models": models}))
    with pytest.raises(ShippedModelBroken, match=r"more\.bin is missing"):
        shipped_folder("evidence", room)


def test_threads_that_ask_together_read_each_file_once(
    room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole._digest.cache_clear()
    read: list[Path] = []
    gate = Barrier(8)

    def counted(path: Path) -> str:
        read.append(path)
        return file_digest(path)

    monkeypatch.setattr(whole, "file_digest", counted)

    def ask() -> Path:
        gate.wait(timeout=30)
        return shipped_folder("evidence", room)

    with ThreadPoolExecutor(8) as pool:
        found = {future.result() for future in [pool.submit(ask) for _ in range(8)]}
    assert found == {model_folder("evidence", room)}
    assert len(read) == 2


def test_sealing_keeps_the_others_and_takes_out_what_is_gone(room: Path) -> None:
    folder = model_folder("rotation", room)
    folder.mkdir()
    (folder / "rotation.safetensors").write_bytes(b"1")
    with pytest.raises(InvalidRequest, match=r"no card\.md"):
        seal("rotation", room)
    (folder / "card.md").write_text("a card")
    assert set(seal("rotation", room).models) == {"evidence", "rotation"}
    assert [one.name for one in check_shipped(room)] == ["evidence", "rotation"]
    shutil.rmtree(folder)
    assert set(seal("rotation", room).models) == {"evidence"}
    assert [path.name for path in sorted(room.iterdir())] == ["manifest.json", "weights"]


def test_what_is_too_large_or_hidden_is_not_sealed(
    room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (room / "manifest.json").read_bytes()
    model = model_folder("evidence", room) / "model.safetensors"
    with model.open("wb") as file:  # a sparse file
        file.truncate(60_000_000)
    with pytest.raises(InvalidRequest, match="60,000,002 bytes, at most 60,000,000"):
        seal("evidence", room)
    model.write_bytes(b"small")
    (model.parent / ".hidden").write_text("")
    with pytest.raises(InvalidRequest, match="cannot ship"):
        seal("evidence", room)
    assert (room / "manifest.json").read_bytes() == before


def test_a_clone_restores_by_git(tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    clone = tmp_path / "a clone"
    path = clone / "platform" / "shipped" / "weights" / "evidence" / "model.safetensors"
    path.parent.mkdir(parents=True)
    path.write_text("whole")
    (clone / "pyproject.toml").write_text("")

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", str(clone), *who, *arguments], check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "All")
    path.write_text("broken")
    command = restore_command(path) or ""
    assert "restore" in command
    subprocess.run(shlex.split(command), check=True)
    assert path.read_text() == "whole"


def installed(monkeypatch: pytest.MonkeyPatch, source: dict[str, object] | None) -> None:
    """Has this package be installed from somewhere; None says that nobody knows from where."""

    class Installed:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return None if source is None else json.dumps(source)

    monkeypatch.setattr("importlib.metadata.distribution", lambda name: Installed())


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ({"url": "file:///a%20b/x;y.whl", "archive_info": {}}, "file:///a%20b/x;y.whl"),
        ({"url": "https://example.org/a'b.whl", "archive_info": {}}, "https://example.org/a'b.whl"),
        (
            {
                "url": "https://example.org/r.git",
                "vcs_info": {"vcs": "git", "commit_id": "c0ffee"},
            },
            "git+https://example.org/r.git@c0ffee",
        ),
        ({"url": "file:///src", "dir_info": {}}, "file:///src"),
    ],
)
def test_an_installed_package_restores_from_where_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: dict[str, object], what: str
) -> None:
    installed(monkeypatch, source)
    command = restore_command(tmp_path / "model.safetensors")
    assert command is not None
    assert shlex.split(command) == ["pip", "install", "--force-reinstall", "--no-deps", what]
    said = ShippedModelBroken.at(tmp_path / "model.safetensors", "is missing").hint
    assert said == f"Restore it: {command}"


@pytest.mark.parametrize(
    "source",
    # The second would install the damaged file again.
    [None, {"url": "file:///src", "dir_info": {"editable": True}}, {"url": ""}, {}],
)
def test_nobody_is_sent_to_an_index_for_a_package_that_did_not_come_from_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: dict[str, object] | None
) -> None:
    installed(monkeypatch, source)
    assert restore_command(tmp_path / "model.safetensors") is None
    said = ShippedModelBroken.at(tmp_path / "model.safetensors", "is missing").hint or ""
    assert "pip install --force-reinstall --no-deps PATH-OF-THE-WHEEL" in said
    assert "rostra==" not in said


def test_what_is_not_installed_has_a_hint_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.distribution", none)
    assert restore_command(tmp_path / "model.safetensors") is None


def test_what_this_package_ships_is_whole_and_has_its_card() -> None:
    for model in check_shipped():
        assert model.broken is None, model.broken
        assert (model_folder(model.name) / "card.md").stat().st_size > 200
    folders = {path.name for path in (ROOM / "weights").glob("*") if any(path.rglob("*.*"))}
    assert folders == {model.name for model in check_shipped()}, "seal what is in the folder"
    assert folders <= set(get_args(ShippedName))


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_wheel_and_sdist_carry_manifest_weights_and_cards(kind: str) -> None:
    from hatchling.builders.sdist import SdistBuilder
    from hatchling.builders.wheel import WheelBuilder

    if not (ROOT / "hatch_build.py").is_file():
        pytest.skip("not a checkout")
    builder = {"wheel": WheelBuilder, "sdist": SdistBuilder}[kind](str(ROOT))
    packed = {Path(file.distribution_path) for file in builder.recurse_included_files()}
    room = {"wheel": Path("rostra"), "sdist": Path("platform")}[kind] / "shipped"
    wanted = {room / "manifest.json"}
    for name, files in read_manifest().models.items():
        wanted.add(room / "weights" / name / "card.md")
        wanted |= {room / "weights" / name / inside for inside in files}
    assert wanted <= packed
