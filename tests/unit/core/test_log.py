"""Logs go to stderr as one event a line; stdout belongs to results."""

import json
import logging
from collections.abc import Iterator

import pytest

from rostra.core import configure_logging, get_logger


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("rostra")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    get_logger("rostra.test").info("ingested", documents=3, uri="a\nb")
    logging.getLogger("somebody.else").warning("old %s", "style")
    try:
        raise ValueError("broken")
    except ValueError:
        get_logger("rostra.test").exception("failed")
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second, third = map(json.loads, captured.err.splitlines())
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "ingested",
        "level": "info",
        "logger": "rostra.test",
        "documents": 3,
        "uri": "a\nb",
    }
    assert (second["event"], second["logger"]) == ("old style", "somebody.else")
    assert third["exception"][0]["exc_value"] == "broken"


def test_text_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "text")
    get_logger("rostra.test").info("ingested", documents=3)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "ingested" in captured.err
    assert "documents=3" in captured.err


def test_what_is_logged_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "text")
    hostile = "a\x1b[2Jb\x9b31m\x07\u202ec"
    get_logger("rostra.test").info("not ingested", uri=hostile, others=[hostile])
    logging.getLogger("somebody.else").warning("fetched %s", hostile)
    text = capsys.readouterr().err
    assert not any(one in text for one in "\x1b\x9b\x07\u202e")
    assert "uri=a[2Jb31mc" in text and "fetched a[2Jb31mc" in text


def test_levels_hide_what_is_below_and_libraries_stay_quiet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("DEBUG", "json")
    configure_logging("ERROR", "json")
    get_logger("rostra.test").warning("hidden")
    get_logger("rostra.test").error("shown")
    logging.getLogger("somebody.else").info("hidden")
    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["shown"]
