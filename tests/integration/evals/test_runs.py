"""Evaluations through the real platform on a set small enough to work out by hand."""

import json
from pathlib import Path

import pytest

from evals import find_run, list_runs, read_run
from rostra.cli.main import run
from rostra.core import Settings

PASSAGES = {
    "pump": "The pump moves water from the well. It needs oil every month.",
    "boiler": "The boiler heats water to ninety degrees. It burns gas.",
    "moon": "The moon goes around the earth in a month. It has no air.",
}


def test_retrieval(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "tiny set"
    folder.mkdir()
    corpus = [{"_id": key, "title": key, "text": text} for key, text in PASSAGES.items()]
    queries = [{"_id": f"q-{key}", "text": f"what about the {key}"} for key in PASSAGES]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    rows = [f"q-{key}\t{key}\t1" for key in PASSAGES]
    (folder / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]))
    assert run(["eval", "run", "retrieval", "--data", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["mode"] for row in told["results"]] == ["dense", "lexical", "hybrid"]
    for row in told["results"]:
        assert row["ndcg@10"] == row["recall@100"] == row["mrr@10"] == row["map@100"] == 1.0
        assert row["precision@10"] == 0.1
        assert row["queries"] == 3
    assert {one["verdict"] for one in told["comparisons"]} == {"no difference shown"}
    # Goes on with what is done, and says the same in a table.
    command = ["eval", "run", "retrieval", "--data", str(folder), "--resume", told["run"]]
    assert run(command) == 0
    shown = capsys.readouterr().out
    assert told["run"] in shown
    assert "hybrid - lexical" in shown
    ranked = tmp_path / "mine.run"
    ranked.write_text("q-pump Q0 boiler 1 2.0 mine\nq-pump Q0 pump 2 1.0 mine\n")
    command = ["eval", "run", "retrieval", "--data", str(folder), "--wins", "1", "--json"]
    assert run([*command, "--rankings", f"tiny set={ranked}"]) == 0
    told = json.loads(capsys.readouterr().out)
    mine = told["results"][-1]
    assert (mine["mode"], mine["mrr@10"], mine["queries"]) == ("mine", 0.1667, 3)
    lost = next(one for one in told["comparisons"] if one["candidate_system"] == "mine")
    assert (lost["losses"], len(lost["queries"])) == (3, 1)
    # Of two sets it has to be said which one a ranking is of.
    (tmp_path / "another set").mkdir()
    for path in folder.iterdir():
        (tmp_path / "another set" / path.name).write_bytes(path.read_bytes())
    both = ["eval", "run", "retrieval", "--data", str(tmp_path), "--rankings", str(ranked)]
    assert run(both) == 2
    assert "of which set?" in capsys.readouterr().err
    # The user's own collections are untouched.
    assert run(["collection", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == []


def test_quotes(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def record(question: str, key: str, chosen: int | None) -> str:
        sentences = [part + "." for part in PASSAGES[key].rstrip(".").split(". ")]
        passage = {"title": key, "text": PASSAGES[key], "sentences": sentences}
        selected = [] if chosen is None else [sentences[chosen]]
        output = [{"selected_sentences": selected}]
        return json.dumps({"input": question, "passages": [passage], "output": output})

    (tmp_path / "answerable.jsonl").write_text(
        "\n".join(
            [
                record("How often does the pump need oil?", "pump", 1),
                record("What does the boiler burn?", "boiler", 1),
                record("How long does the moon take to go around the earth?", "moon", 0),
            ]
        )
    )
    (tmp_path / "unanswerable.jsonl").write_text(
        record("Who won the chess championship in Reykjavik?", "moon", None)
    )
    assert run(["eval", "run", "quote", "--data", str(tmp_path), "--seed", "3", "--json"]) == 0
    (path,) = list_runs(settings)
    arguments = {"data": str(tmp_path), "seed": 3, "parallel": 8}
    assert read_run(path).header.arguments == arguments
    report = json.loads(capsys.readouterr().out)
    assert (report["answerable"], report["unanswerable"]) == (3, 1)
    assert report["sentence_f1"] > report["baseline_f1"]
    assert report["baseline_f1"] == pytest.approx(1 / 3, abs=1e-4)
    assert report["not_found"] == {"precision": 1.0, "recall": 1.0}
    assert report["citations"]["count"] == report["citations"]["exact"] > 0

    assert run(["eval", "run", "rag", "--data", str(tmp_path), "--judge", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    given = read_run(find_run(settings, "latest:rag")).header.arguments
    assert given["data"] == str(tmp_path)
    assert given["judge"] is True
    ask, baseline = told["results"][:2]
    assert (ask["system"], baseline["system"]) == ("ask", "first sentence")
    assert ask["measures"]["sentence f1"] == report["sentence_f1"]
    assert baseline["measures"]["sentence f1"] == report["baseline_f1"]
    assert ask["measures"]["abstention f1"] == 1.0
    assert ask["citations"] == report["citations"]
    assert told["left_out"]["correctness (judge)"].startswith("no model is set to judge")
    assert "correctness (judge)" not in ask["measures"]
    assert run(["eval", "run", "rag", "--data", str(tmp_path), "--system", "model"]) == 1
    assert "no model is set" in capsys.readouterr().err

    table = tmp_path / "house" / "questions.csv"
    table.parent.mkdir()
    table.write_text(f'question,passage\nWhat burns?,"{PASSAGES["boiler"]}"\n,lost\n')
    assert run(["eval", "run", "quote", "--data", str(table.parent)]) == 0
    shown = capsys.readouterr().out
    assert "1 answerable, 0 not" in shown
    assert "house: 1: a line without a question (questions.csv, line 3)" in shown
