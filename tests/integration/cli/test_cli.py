"""The command line as a user meets it: shapes, exit statuses, errors without tracebacks."""

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rostra.cli.main import run
from rostra.cli.progress import ingest_progress
from rostra.core import Settings
from rostra.ingest import Failure, IngestReport, Progress
from tests.fakes import packaged_embedder

PAGE = """# Pumps

The main pump moves water from the well to the tank. It stops by itself when the tank is full.

## Service

Change the oil of the main pump every 500 hours. Use mineral oil 🛢️ only.

## Faults

If the pump hums and does not turn, the capacitor is broken.
"""

Invoke = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def invoke(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Invoke:
    """Runs a command line in a fresh home; returns status, parsed or raw stdout, and stderr."""
    monkeypatch.chdir(tmp_path)
    # The model is the real one; loading it anew for each command would only cost time.
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: packaged_embedder("auto"))

    def call(*arguments: str | Path) -> tuple[int, Any, str]:
        status = run([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        text = out.decode()
        assert "Traceback" not in text + err.decode()
        return status, json.loads(text) if "--json" in arguments and text else text, err.decode()

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "pumps.md").write_text(PAGE, encoding="utf-8")
    (docs / "valves.txt").write_text("A valve opens when the pressure is above three bar.\n")
    return docs


def keys(value: dict[str, Any], *wanted: str) -> None:
    missing = set(wanted) - set(value)
    assert not missing, f"{missing} missing in {sorted(value)}"


def test_ingest_search_ask_and_text(invoke: Invoke, folder: Path) -> None:
    status, report, _ = invoke("ingest", folder, "--json")
    assert status == 0
    keys(report, "documents", "chunks", "unchanged", "failed", "seconds")
    assert (report["documents"], report["unchanged"], report["failed"]) == (2, 0, [])

    status, again, _ = invoke("ingest", folder, "--json")
    assert (again["documents"], again["chunks"], again["unchanged"]) == (0, 0, 2)

    for mode in ("hybrid", "dense", "lexical"):
        status, found, _ = invoke("search", "oil change interval", "--mode", mode, "--json")
        keys(found, "query", "hits", "timings_ms")
        best = found["hits"][0]
        keys(best, "chunk_id", "document_id", "uri", "title", "text", "start", "end", "page")
        keys(best, "score", "scores")
        assert set(best["scores"]) == {"dense", "lexical", "fused", "rerank"}
        assert "oil" in best["text"]
        assert best["uri"] == (folder / "pumps.md").resolve().as_uri()

    status, answer, _ = invoke("ask", "How often must the oil of the pump be changed?", "--json")
    keys(answer, "answer", "mode", "found", "citations", "timings_ms")
    assert (answer["mode"], answer["found"]) == ("quote", True)
    assert "every 500 hours" in answer["answer"]
    for citation in answer["citations"]:
        keys(citation, "document_id", "uri", "start", "end", "page", "quote")
        _, text, _ = invoke("document", "text", citation["document_id"])
        assert text[citation["start"] : citation["end"]] == citation["quote"]
        _, part, _ = invoke(
            "document", "text", citation["document_id"],
            "--start", str(citation["start"]), "--end", str(citation["end"]),
        )  # fmt: skip
        assert part == citation["quote"]


def test_nothing_close_is_not_found(invoke: Invoke, folder: Path) -> None:
    invoke("ingest", folder, "--json")
    _, answer, _ = invoke("ask", "Who painted the Mona Lisa in Florence?", "--json")
    assert answer["found"] is False
    assert answer["citations"] == []
    assert answer["answer"] == "Not found in these documents."


def test_what_is_left_out_for_a_hit_is_told(invoke: Invoke, folder: Path) -> None:
    line = "The night watchman locks the northern gate of the old harbour at half past nine "
    line += "and walks along the quay with two lanterns until the first ferry comes in."
    for n in range(3):
        (folder / f"watch{n}.txt").write_text(f"{line} Copy {n}.\n")
    invoke("ingest", folder)
    _, found, _ = invoke("search", "when is the northern gate locked", "--json")
    assert len(found["hits"][0]["near_duplicates"]) == 2
    status, printed, _ = invoke("search", "when is the northern gate locked")
    assert (status, printed.count("and 2 more like this")) == (0, 1)
    assert printed.count("more like this") == 1


def test_a_files_name_cannot_steer_the_terminal(invoke: Invoke, folder: Path) -> None:
    (folder / "many\nlines\x1b[31m.txt").write_text("the hostile \x1b[2J text of a kudu\n")
    invoke("ingest", folder)
    for command in (("document", "list"), ("search", "hostile kudu"), ("ask", "hostile kudu")):
        status, printed, _ = invoke(*command)
        assert status == 0
        assert "\x1b" not in printed
    assert "[31m" in invoke("document", "list")[1]


def test_a_filter_of_too_many_levels_is_told(invoke: Invoke) -> None:
    for depth in (500, 100_000):
        status, _, told = invoke("search", "x", "--filter", "[" * depth + "]" * depth)
        assert status == 2
        assert "--filter" in told
        assert "internal error" not in told
    status, _, told = invoke("mcp", "call", "x", "y", "--args", "[" * 100_000)
    assert status == 2
    assert "--args" in told


def test_changed_and_deleted_files(invoke: Invoke, folder: Path) -> None:
    invoke("ingest", folder, "--json")
    (folder / "valves.txt").write_text("A gauge shows the pressure of the boiler.\n")
    _, report, _ = invoke("ingest", folder, "--json")
    assert (report["documents"], report["unchanged"]) == (1, 1)
    _, found, _ = invoke("search", "opens bar", "--mode", "lexical", "--json")
    assert not found["hits"]

    (folder / "valves.txt").unlink()
    _, report, _ = invoke("ingest", folder, "--json")
    assert (report["unchanged"], report["deleted"]) == (1, 0)
    _, report, _ = invoke("ingest", folder, "--delete-missing", "--json")
    assert report["deleted"] == 1
    _, found, _ = invoke("search", "gauge boiler", "--mode", "lexical", "--json")
    assert not found["hits"]

    _, listed, _ = invoke("document", "list", "--json")
    status, _, _ = invoke("document", "delete", listed["items"][0]["id"], "--json")
    assert status == 0
    _, found, _ = invoke("search", "pump", "--json")
    assert found["hits"] == []


def test_one_bad_file_does_not_stop_the_others(invoke: Invoke, folder: Path) -> None:
    (folder / "empty.pdf").write_bytes(b"")
    (folder / "broken.docx").write_bytes(b"this is no zip archive")
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.writestr("inside/note.md", "# Boiler\n\nThe boiler holds eighty litres.\n")
        archive.writestr("../outside.md", "# Outside\n\nNobody should read this.\n")
    status, report, _ = invoke("ingest", folder, "--json")
    assert status == 0
    assert report["documents"] == 3
    reasons = {failure["uri"].rsplit("/", 1)[-1]: failure["error"] for failure in report["failed"]}
    assert set(reasons) == {"empty.pdf", "broken.docx", "outside.md"}
    assert all(reasons.values())
    _, found, _ = invoke("search", "boiler litres", "--json")
    assert found["hits"][0]["uri"].endswith("more.zip!/inside/note.md")


def test_only_bad_files_is_a_failure(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_bytes(b"")
    status, report, _ = invoke("ingest", tmp_path / "empty.txt", "--json")
    assert status == 1
    assert report["failed"][0]["uri"].endswith("empty.txt")


@pytest.mark.parametrize(
    ("arguments", "code", "http_status"),
    [
        (["search", "pump", "-c", "nowhere"], "collection_not_found", 404),
        (["ask", "pump?", "-c", "nowhere"], "collection_not_found", 404),
        (["search", "   "], "empty_query", 400),
        (["ask", ""], "empty_query", 400),
        (["search", "x" * 100_000], "query_too_long", 413),
        (["ask", "why " * 25_000], "query_too_long", 413),
        (["search", "pump", "-k", "0"], "invalid_request", 400),
        (["search", "pump", "-k", "-3"], "invalid_request", 400),
        (["search", "pump", "-k", "1000000000"], "invalid_request", 400),
        (["search", "pump", "--filter", "{"], "invalid_filter", 400),
        (["search", "pump", "--filter", '{"a": {"like": 1}}'], "invalid_filter", 400),
        (["ingest", "no/such/file"], "path_not_found", 404),
        (["ingest", "--beir", "no/such/folder"], "path_not_found", 404),
        (["ingest"], "invalid_request", 400),
        (["ingest", "docs", "-c", "../up"], "invalid_request", 400),
        (["document", "text", "not-an-id"], "document_not_found", 404),
        (
            ["document", "text", "01a1fb46-90b2-70ce-84f1-d8fc645471ef"],
            "document_not_found",
            404,
        ),
        (["chats", "show", "nope"], "chat_not_found", 404),
        (["ask", "pump?", "--last"], "chat_not_found", 404),
        (["eval", "run", "retrieval", "--data", "docs"], "invalid_dataset", 400),
        (["eval", "run", "quote", "--data", "docs"], "invalid_dataset", 400),
    ],
)
def test_bad_requests_are_typed(
    invoke: Invoke, folder: Path, arguments: Sequence[str], code: str, http_status: int
) -> None:
    invoke("ingest", folder, "--json")
    status, body, err = invoke(*arguments, "--json")
    assert status == 2
    assert (body["error"]["code"], body["error"]["status"]) == (code, http_status)
    assert err.lstrip().startswith("error: ")


def test_a_wrong_setting_is_named(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setenv("ROSTRA_CHUNK_TOKENS", "many")
    status, _, err = invoke("ingest", folder)
    assert status == 1
    assert "chunk_tokens" in err


def test_conversations_are_kept_and_continued(invoke: Invoke, folder: Path) -> None:
    invoke("ingest", folder, "--json")
    _, first, _ = invoke("ask", "--new-chat", "What does the main pump do?", "--json")
    _, second, _ = invoke("ask", "--last", "And how often must its oil be changed?", "--json")
    assert first["chat_id"] == second["chat_id"]
    assert "500 hours" in second["answer"]
    _, chats, _ = invoke("chats", "list", "--json")
    assert [chat["messages"] for chat in chats["items"]] == [4]
    _, shown, _ = invoke("chats", "show", first["chat_id"], "--json")
    assert [turn["role"] for turn in shown["turns"]] == ["user", "assistant"] * 2
    status, _, _ = invoke("chats", "delete", first["chat_id"], "--json")
    assert status == 0


def test_what_people_read(invoke: Invoke, folder: Path) -> None:
    _, printed, _ = invoke("ingest", folder)
    assert "2 documents" in printed
    _, printed, _ = invoke("search", "oil")
    assert "Pumps" in printed
    _, printed, _ = invoke("ask", "How often must the oil of the pump be changed?")
    assert "every 500 hours" in printed
    assert "[1]" in printed
    assert "pumps.md" in printed


def test_collections(invoke: Invoke, folder: Path) -> None:
    invoke("ingest", folder, "-c", "work", "--json")
    _, listed, _ = invoke("collection", "list", "--json")
    assert [(item["name"], item["documents"]) for item in listed["items"]] == [("work", 2)]
    status, _, _ = invoke("collection", "delete", "work", "--yes", "--json")
    assert status == 0
    _, listed, _ = invoke("collection", "list", "--json")
    assert listed["items"] == []


def test_titles_with_markup_are_shown_as_they_are(invoke: Invoke, tmp_path: Path) -> None:
    title = "Arrays [/b] in :car: [red]C"
    (tmp_path / "a [bold].md").write_text(
        f"# {title}\n\nThe first element of an array has the index zero.\n"
    )
    invoke("ingest", tmp_path / "a [bold].md", "--json")
    _, listed, _ = invoke("document", "list", "--json")
    document = listed["items"][0]["id"]
    _, asked, _ = invoke("ask", "--new-chat", f"What is the index? {title}", "--json")
    for arguments in (
        ["document", "list"],
        ["document", "show", document],
        ["search", "array index"],
        ["ask", "Which index has the first element of an array?"],
        ["chats", "list"],
        ["chats", "show", asked["chat_id"]],
    ):
        status, printed, err = invoke(*arguments)
        assert (status, err) == (0, "")
        assert title in printed


def test_pipes_get_everything(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    long = tmp_path / f"{'long' * 40}.md"
    long.write_text(f"# {'Pumps and valves ' * 20}\n\nA pump moves water.\n")
    invoke("ingest", long, "--json")
    _, listed, _ = invoke("document", "list", "--json")
    document = listed["items"][0]
    lines = invoke("document", "list")[1].splitlines()
    assert len(lines) == 3
    for part in (document["id"], document["title"], document["uri"]):
        assert part in lines[1]


def test_all_documents_are_deleted_or_none(invoke: Invoke, folder: Path) -> None:
    invoke("ingest", folder, "--json")
    _, listed, _ = invoke("document", "list", "--json")
    first, second = (item["id"] for item in listed["items"])
    unknown = "01a1fb46-90b2-70ce-84f1-d8fc645471ef"
    for missing in (unknown, "no-id"):
        status, body, _ = invoke("document", "delete", first, missing, "--json")
        assert (status, body["error"]["code"]) == (2, "document_not_found")
    assert invoke("document", "list", "--json")[1]["total"] == 2
    _, body, _ = invoke("document", "delete", first, first.upper(), second, "--json")
    assert body == {"deleted": 2}
    assert invoke("document", "list", "--json")[1]["total"] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["search"],
        ["search", "pump", "--no-such-option"],
        ["no-such-verb"],
        ["document", "list", "--offset", str(2**31)],
        ["chats", "list", "--offset", "-1"],
        ["collection", "list", "--offset", str(10**30)],
    ],
)
def test_wrong_usage_is_told_in_json_too(invoke: Invoke, arguments: Sequence[str]) -> None:
    status, body, err = invoke(*arguments, "--json")
    assert status == 2
    assert (body["error"]["code"], body["error"]["status"]) == ("usage", 400)
    assert body["error"]["message"] in err


def test_lists_by_page(invoke: Invoke, folder: Path) -> None:
    for name in ("one", "two"):
        invoke("ingest", folder, "-c", name, "--json")
        invoke("ask", "--new-chat", "-c", name, "What does the pump do?", "--json")
    for arguments in (["collection", "list"], ["chats", "list"], ["document", "list", "-c", "one"]):
        _, whole, _ = invoke(*arguments, "--json")
        _, rest, _ = invoke(*arguments, "--offset", "1", "--json")
        assert rest == {"items": whole["items"][1:], "total": 2}
        _, none, _ = invoke(*arguments, "--offset", str(2**31 - 1), "--json")
        assert none == {"items": [], "total": 2}


def test_time_left_is_told_once_something_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rostra.cli.progress._LINE_EVERY_SECONDS", 0.0)
    with ingest_progress(4) as show:
        show(Progress(total=4, done=0, chunks=7))
        show(Progress(total=4, done=1, chunks=9))
    before, after = capsys.readouterr().err.splitlines()
    assert before.startswith("0 of 4 files, 7 chunks")
    assert "left" not in before
    assert after.endswith("s left")


def test_why_a_file_was_not_read(
    invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stub:
        async def ingest(self, *_: object, **__: object) -> IngestReport:
            failures = [
                Failure(
                    "file:///a [b].pdf", "it is [locked]", "encrypted", "Remove [its] password."
                ),
                Failure("file:///c.pdf", "it is empty", "empty"),
            ]
            return IngestReport(documents=1, chunks=900, failed=failures, seconds=0.9)

    monkeypatch.setattr("rostra.runtime.runtime.Ingester", lambda *_: Stub())
    status, printed, _ = invoke("ingest", folder)
    assert status == 0
    assert printed.splitlines()[:2] == [
        "not read file:///a [b].pdf: it is [locked]. Remove [its] password.",
        "not read file:///c.pdf: it is empty",
    ]
    assert "chunks/s" not in printed


def test_database_verbs(invoke: Invoke) -> None:
    assert invoke("db", "status", "--json")[1]["revision"] is None
    assert invoke("db", "upgrade")[0] == 0
    _, state, _ = invoke("db", "status", "--json")
    newest = state["head"]
    assert state["revision"] == newest
    assert invoke("db", "upgrade")[1] == f"nothing to do, at {newest}\n"
    assert invoke("db", "check", "--json")[:2] == (0, {"ok": True})
    assert invoke("db", "downgrade", "base", "--yes")[1] == f"from {newest} to nothing\n"
    assert invoke("db", "status", "--json")[1]["revision"] is None
    _, moved, _ = invoke("db", "upgrade", "--json")
    assert moved == {"before": None, "revision": newest, "head": newest}
    _, moved, _ = invoke("db", "downgrade", "base", "--yes", "--json")
    assert moved == {"before": newest, "revision": None, "head": newest}


def test_help_names_every_verb(invoke: Invoke) -> None:
    status, printed, _ = invoke("--help")
    assert status == 0
    for verb in ("ingest", "search", "ask", "serve", "embed", "db", "doctor", "document", "eval"):
        assert verb in printed
        assert invoke(verb, "--help")[0] == 0
