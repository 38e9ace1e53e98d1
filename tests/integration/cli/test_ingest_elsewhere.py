"""`rostra ingest` of pages, sitemaps and folders, and `rostra jobs`, as a user meets them."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rostra.cli.main import run
from rostra.core import Settings
from tests.fakes import FakeEmbedder
from tests.web_server import ADDRESS, Reply, Site, site_in_a_thread

Invoke = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def invoke(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Invoke:
    """Runs a command line in one home; returns status, parsed or raw stdout, and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROSTRA_FETCH_NETWORKS", json.dumps([ADDRESS]))
    fake = FakeEmbedder()
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: fake)

    def call(*arguments: str | Path) -> tuple[int, Any, str]:
        status = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return status, json.loads(out) if "--json" in arguments and out else out, err

    return call


@pytest.fixture
def web() -> Iterator[Site]:
    with site_in_a_thread() as running:
        yield running


def test_urls_and_a_sitemap(invoke: Invoke, web: Site) -> None:
    web.versioned("/a", "<title>A</title><p>alpha is first", '"1"')
    web.pages |= {
        "/b": Reply("beta is second", "text/plain"),
        "/sitemap.xml": Reply(f"{web.url}/a\n{web.url}/b\nhttp://o.example/c", "text/plain"),
    }
    status, report, _ = invoke("ingest", f"{web.url}/a", f"{web.url}/gone", "--json")
    assert (status, report["documents"]) == (0, 1)
    assert [failure["code"] for failure in report["failed"]] == ["page_unreachable"]
    status, report, err = invoke("ingest", "--sitemap", f"{web.url}/sitemap.xml", "--json")
    assert (status, report["documents"], report["unchanged"]) == (0, 1, 1)
    assert "1 pages of other hosts left out" in err
    status, found, _ = invoke("search", "alpha", "--json")
    assert found["hits"][0]["uri"] == f"{web.url}/a"
    status, out, _ = invoke("ingest", f"{web.url}/gone")
    assert status == 1
    assert f"not read {web.url}/gone: the server answered 404" in out


def test_pages_that_a_sitemap_lists_no_more(invoke: Invoke, web: Site) -> None:
    def list_pages(*names: str) -> None:
        text = "\n".join(f"{web.url}/{name}" for name in names)
        web.pages["/sitemap.xml"] = Reply(text, "text/plain")

    web.pages |= {"/a": Reply("<p>alpha"), "/b": Reply("<p>beta")}
    list_pages("a", "b")
    ingest = ("ingest", "--sitemap", f"{web.url}/sitemap.xml", "--json")
    assert invoke(*ingest, "--delete-missing")[1]["documents"] == 2
    list_pages("b")
    assert invoke(*ingest)[1]["deleted"] == 0
    assert invoke(*ingest, "--delete-missing")[1]["deleted"] == 1
    _, documents, _ = invoke("document", "list", "--json")
    assert [item["uri"] for item in documents["items"]] == [f"{web.url}/b"]


def test_private_networks_are_not_asked(
    invoke: Invoke, web: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROSTRA_FETCH_NETWORKS")
    status, report, _ = invoke("ingest", f"{web.url}/a", "--json")
    assert status == 1
    assert [failure["code"] for failure in report["failed"]] == ["page_refused"]
    assert invoke("ingest", "--sitemap", f"{web.url}/sitemap.xml")[0] == 2
    assert web.requests == []
    monkeypatch.setenv("ROSTRA_FETCH_NETWORKS", '["all"]')
    status, _, err = invoke("ingest", f"{web.url}/a")
    assert status == 1
    assert "fetch_networks" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["ingest"],
        ["ingest", "http://x.example", "--watch", "."],
        ["ingest", "--sitemap", "x.example"],
        ["ingest", "--allow-host", "x", "."],
        ["ingest", "--job", "."],
        ["ingest", "--delete-missing", "http://x.example"],
        ["ingest", "--delete-missing", "--watch", "."],
        ["jobs", "drop"],
        ["jobs", "drop", "0190b6c5-6d1c-7cc1-8a5a-0123456789ab", "--older-than", "3"],
        ["jobs", "drop", "0190b6c5-6d1c-7cc1-8a5a-0123456789ab", "--status", "failed"],
        ["jobs", "drop", "--older-than", "3", "--status", "running"],
        ["ingest", "--watch", "nowhere"],
        ["ingest", "--watch", "nowhere", "--job"],
        ["ingest", "https://"],
        ["jobs", "show", "x"],
        ["jobs", "cancel", "0190b6c5-6d1c-7cc1-8a5a-0123456789ab"],
        ["jobs", "list", "--status", "odd"],
    ],
)
def test_bad_requests(invoke: Invoke, arguments: list[str]) -> None:
    status, out, err = invoke(*arguments)
    assert (status, out) == (2, "")
    assert err


def test_jobs_from_the_queue_to_their_end(invoke: Invoke, web: Site) -> None:
    _, made, _ = invoke("ingest", f"{web.url}/a", "--job", "--json")
    job = made["job"]
    _, listed, _ = invoke("jobs", "list", "--status", "queued", "--json")
    assert [item["id"] for item in listed["items"]] == [job]
    assert web.requests == []
    assert f"{web.url}/a" in invoke("jobs", "list")[1]
    for act, after in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
        assert invoke("jobs", act, job)[:2] == (0, f"{after}\n")
    status, _, err = invoke("jobs", "pause", job)
    assert status == 2
    assert "cancelled" in err
    assert invoke("jobs", "retry", job, "--json")[1]["error"]["code"] == "wrong_job_status"
    assert f"{web.url}/a" in invoke("jobs", "show", job)[1]
    assert invoke("jobs", "drop", job, "--json")[1] == {"dropped": job}
    assert invoke("jobs", "list", "--json")[1] == {"items": [], "total": 0}


def test_old_jobs_are_dropped_together(invoke: Invoke, web: Site) -> None:
    jobs = [invoke("ingest", f"{web.url}/{n}", "--job", "--json")[1]["job"] for n in range(3)]
    for job in jobs[:2]:
        invoke("jobs", "cancel", job)
    assert invoke("jobs", "drop", "--older-than", "1", "--json")[1] == {"dropped": 0}
    failed = ("jobs", "drop", "--older-than", "0", "--status", "failed", "--json")
    assert invoke(*failed)[1] == {"dropped": 0}
    assert invoke("jobs", "drop", "--older-than", "0")[1] == "2 dropped\n"
    _, left, _ = invoke("jobs", "list", "--json")
    assert [item["id"] for item in left["items"]] == [jobs[2]]


def test_a_watched_folder_until_ctrl_c(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.md").write_text("alpha")
    from rostra.cli import ingest_elsewhere

    printed: list[Any] = []

    def printing(value: Any) -> None:
        printed.append(value)
        if len(printed) == 1:
            (folder / "b.md").write_text("beta")
            (folder / "a.md").unlink()
        else:
            threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGTERM)).start()

    monkeypatch.setattr(ingest_elsewhere, "print_json", printing)
    status, _, _ = invoke("ingest", "--watch", folder, "--json")
    assert status == 0
    assert [(report["documents"], report["deleted"]) for report in printed] == [(1, 0), (1, 1)]
    _, listed, _ = invoke("document", "list", "--json")
    assert [item["uri"] for item in listed["items"]] == [(folder / "b.md").as_uri()]
