"""Where models are: folders, the hub's cache, and a hub that gives no answer."""

import logging
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rostra.core import ModelUnavailable
from rostra.serving.models import locate
from rostra.serving.models.locate import locate_config, resolve_checkpoint
from tests.unit.serving.conftest import Checkpoint

COMMIT = "a" * 40
BOTH = pytest.mark.parametrize("find", [resolve_checkpoint, locate_config])
Find = Callable[[str], Path]


@pytest.fixture
def cached(checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The snapshot of owner/tiny in the hub's cache."""
    repository = tmp_path / "models--owner--tiny"
    snapshot = repository / "snapshots" / COMMIT
    shutil.copytree(checkpoint("llama3"), snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return snapshot


@pytest.fixture(params=["refuses", "says nothing"])
def hub(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hub that is asked, and refuses connections or takes one and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        if request.param == "refuses":
            listening.close()
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setattr(locate, "_ANSWER_SECONDS", 0.05)
        # Between two attempts the hub's client sleeps.
        monkeypatch.setattr("time.sleep", lambda _: pytest.fail("asked again"))
        yield


def test_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_checkpoint(str(tmp_path)) == tmp_path
    monkeypatch.chdir(tmp_path.parent)
    assert resolve_checkpoint(tmp_path.name) == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    assert resolve_checkpoint(f"~/{tmp_path.name}") == tmp_path
    assert resolve_checkpoint("") == Path.cwd()  # no model, but a folder


@BOTH
@pytest.mark.parametrize("name", ["/no/such/folder", "./x/y", "~/no", "plain", "a/b/c"])
def test_no_folder(find: Find, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelUnavailable, match="there is no model folder"):
        find(name)


@BOTH
@pytest.mark.parametrize("name", ["models/tiny", "models/tiny@main"])
def test_a_path_into_a_folder_that_is_there_is_no_hub_id(
    find: Find, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelUnavailable, match="the hub does not give it"):
        find(name)
    (tmp_path / "models").mkdir()
    with pytest.raises(ModelUnavailable, match=f"there is no model folder {name}"):
        find(name)


@BOTH
def test_file(find: Find, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.touch()
    with pytest.raises(ModelUnavailable, match="is a file"):
        find(str(file))


@BOTH
def test_hub_id_in_the_local_cache(find: Find, cached: Path) -> None:
    assert find("owner/tiny") == find(f"owner/tiny@{COMMIT}") == cached
    with pytest.raises(ModelUnavailable, match="owner/tiny@other is no local folder"):
        find("owner/tiny@other")


@BOTH
def test_hub_id_that_is_nowhere(find: Find) -> None:
    with pytest.raises(ModelUnavailable, match="owner/nothing is no local folder") as caught:
        find("owner/nothing")
    assert "ROSTRA_MODEL" in str(caught.value.hint)


@BOTH
@pytest.mark.usefixtures("hub")
def test_a_hub_without_an_answer_is_asked_once_and_in_silence(
    find: Find, cached: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO, "huggingface_hub"):
        assert find("owner/tiny") == cached
        with pytest.raises(ModelUnavailable, match=r"refused|timed out"):
            find("owner/nothing")
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
