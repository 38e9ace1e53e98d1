"""Tuning on a small set of our own, by the command line with the real model."""

import csv
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from evals import ingest_set, judged_queries, read_judged_set, read_judgements
from evals.retrieval_measures import RankingScorer
from evals.tuning.choices import Choice, ndcg, ranking, recall
from rostra.cli.main import run
from rostra.core import Settings
from rostra.retrieval import SearchRequest, Tuning
from rostra.runtime import open_runtime, store_collection_tokens
from rostra.store import get_collection, set_tuning

_TOPICS = (
    "water pump pressure valve", "engine oil filter change", "battery cable corrosion",
    "belt tension wheel bearing", "brake pad wear limit", "fuse and relay box",
    "steam boiler inspection", "fuel tank venting",
)  # fmt: skip


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """Sixteen documents in pairs, and a query for each topic."""
    folder = tmp_path / "garage"
    folder.mkdir()
    documents = [
        {"_id": f"{number}-{kind}", "title": f"{topic}", "text": text}
        for number, topic in enumerate(_TOPICS)
        for kind, text in (
            ("how", f"To service the {topic}, stop the machine and follow the steps in order."),
            ("why", f"Neglected {topic} is the most frequent cause of failures in old machines."),
        )
    ]
    (folder / "corpus.jsonl").write_text("\n".join(json.dumps(one) for one in documents))
    queries = [
        {"_id": f"q{number}", "text": f"how do I service the {topic}?"}
        for number, topic in enumerate(_TOPICS)
    ]
    (folder / "queries.jsonl").write_text("\n".join(json.dumps(one) for one in queries))
    with (folder / "qrels.tsv").open("w", newline="") as file:
        rows = csv.writer(file, delimiter="\t")
        rows.writerow(("query-id", "corpus-id", "score"))
        rows.writerows((f"q{number}", f"{number}-how", 2) for number in range(len(_TOPICS)))
        rows.writerows((f"q{number}", f"{number}-why", 1) for number in range(0, 8, 2))
    return folder


def asked_thrice(judged: Path) -> list[str]:
    """Options for tuning on three queries a topic, which are enough for something to be kept."""
    queries, qrels = judged / "thrice.jsonl", judged / "thrice.tsv"
    asked = {
        f"q{number}-{way}": (text, f"{number}-{kind}")
        for number, topic in enumerate(_TOPICS)
        for way, (text, kind) in enumerate(
            (
                (f"how do I service the {topic}?", "how"),
                (f"is neglected {topic} a cause of failures?", "why"),
                (f"steps for the {topic}", "how"),
            )
        )
    }
    queries.write_text(
        "\n".join(json.dumps({"_id": id_, "text": text}) for id_, (text, _) in asked.items())
    )
    lines = [f"{id_}\t{document}\t1" for id_, (_, document) in asked.items()]
    qrels.write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]))
    return ["--queries", str(queries), "--qrels", str(qrels)]


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


async def test_rankings_made_from_candidates_are_those_of_search(
    settings: Settings, judged: Path
) -> None:
    settings = settings.model_copy(update={"reranker": "late", "rerank_candidates": 100})
    given = read_judged_set(judged)
    async with open_runtime(settings) as runtime:
        collection = (await ingest_set(runtime, given)).collection
        await store_collection_tokens(runtime, collection)
        gathered = await judged_queries(
            runtime, collection, given.queries, given.relevant, late=True, depth=100
        )
        async with runtime.database.read() as session:
            found = await get_collection(session, collection)
        assert runtime.late.is_stored(found.id, found.space)
        for choice in (
            Choice("convex", 0.6, 0.5), Choice("zscore", 0.3, 0.2), Choice("rrf", 0.5, 1.0),
            Choice("convex", 0.9),
        ):  # fmt: skip
            tuning = Tuning(
                found.space.fingerprint, choice.fusion, choice.dense_weight, choice.rerank_weight
            )
            async with runtime.database.write() as session:
                await set_tuning(session, found.id, msgspec.to_builtins(tuning))
            for query in gathered:
                result = await runtime.searcher.search(
                    SearchRequest(
                        given.queries[query.id],
                        (collection,),
                        k=100,
                        per_document=1,
                        rerank=choice.rerank_weight > 0,
                    )
                )
                expected = ranking(query, choice, reranked=100, rrf_k=settings.rrf_k)
                assert [hit.uri for hit in result.hits] == expected
                assert result.reranked is (choice.rerank_weight > 0)


def test_tuning_a_collection_is_kept_and_forgotten(
    settings: Settings, judged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = asked_thrice(judged)
    assert run(["ingest", "--beir", str(judged), "-c", "garage"]) == 0
    capsys.readouterr()
    search = ["search", "how do I service the belt?", "-c", "garage", "--json"]
    assert run(search) == 0
    untuned = printed(capsys)["probability"]

    assert run(["tune", "-c", "garage", *given, "--dry-run", "--json"]) == 0
    dry = printed(capsys)
    assert run(search) == 0
    assert printed(capsys)["probability"] == untuned
    assert run(["tune", "-c", "garage", *given, "--json"]) == 0
    told = printed(capsys)
    assert (dry["kept"], told["kept"]) == (False, True)
    assert dry["results"] == told["results"]
    (result,) = told["results"]
    assert (result["queries"], result["folds"], result["late"]) == (24, 5, False)
    assert [one["measure"] for one in result["measures"]] == ["ndcg@10", "recall@100"]
    assert result["brier"] < result["brier_base"]

    assert run(search) == 0
    found = printed(capsys)
    assert 0 < found["probability"] <= 1
    assert found["probability"] != untuned
    assert run(["tune", "-c", "garage", "--clear"]) == 0
    capsys.readouterr()
    assert run(search) == 0
    assert printed(capsys)["probability"] == untuned


def test_what_is_about_nothing_in_a_collection_finds_nothing(
    settings: Settings,
    judged: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without any tuning, by the curve that the packaged model comes with."""
    assert run(["ingest", "--beir", str(judged), "-c", "garage"]) == 0
    capsys.readouterr()
    for query in ("ahgjd qqwez xxzzy", "cheap flights to Lisbon"):
        search = ["search", query, "-c", "garage", "--json"]
        assert run(search) == 0
        plain = printed(capsys)
        assert plain["hits"]
        assert plain["probability"] < 0.1
        assert run([*search, "--min-probability", "0.1"]) == 0
        assert printed(capsys)["hits"] == []
    search = ["search", "which brake pads are worn too far?", "-c", "garage", "--json"]
    assert run([*search, "--min-probability", "0.1"]) == 0
    assert any("brake" in hit["text"] for hit in printed(capsys)["hits"])
    # Scores of another form of BM25 are not what the curve was fitted on.
    monkeypatch.setenv("ROSTRA_BM25", "plus")
    assert run(search) == 0
    assert printed(capsys)["probability"] is None
    assert run([*search, "--min-probability", "0.1"]) == 2
    assert printed(capsys)["error"]["code"] == "invalid_request"


def test_token_vectors_by_the_command_line_rerank_searches(
    settings: Settings, judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ingest", "--beir", str(judged), "-c", "garage"]) == 0
    search = ["search", "stop the machine", "-c", "garage", "--json"]
    capsys.readouterr()
    assert run(search) == 0
    assert not printed(capsys)["reranked"]
    assert run([*search, "--rerank"]) == 0
    computed = printed(capsys)
    assert computed["reranked"]
    assert run(["embed", "tokens", "-c", "garage", "--json"]) == 0
    stored = printed(capsys)
    assert (stored["passages"], stored["dimensions"]) == (16, 128)
    assert run(search) == 0
    by_itself = printed(capsys)
    assert by_itself["reranked"]
    assert {hit["chunk_id"] for hit in by_itself["hits"]} == {
        hit["chunk_id"] for hit in computed["hits"]
    }
    # Cut and rounded, cosines stay close to those that are computed.
    assert by_itself["hits"][0]["scores"]["rerank"] == pytest.approx(
        computed["hits"][0]["scores"]["rerank"], rel=0.1
    )
    assert run([*search, "--no-rerank"]) == 0
    assert not printed(capsys)["reranked"]

    # What was added since is read by the model, unless that is much and nobody asked for it.
    more = tmp_path / "more"
    more.mkdir()
    rows = [
        {"_id": f"more-{number}", "title": "", "text": f"Stop machine number {number} by hand."}
        for number in range(12)
    ]
    (more / "corpus.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    assert run(["ingest", "--beir", str(more), "-c", "garage"]) == 0
    capsys.readouterr()
    assert run(search) == 0
    assert not printed(capsys)["reranked"]
    assert run([*search, "--rerank"]) == 0
    asked = printed(capsys)
    assert asked["reranked"]
    assert run(["embed", "tokens", "-c", "garage", "--json"]) == 0
    assert printed(capsys)["passages"] == 28
    assert run(search) == 0
    again = printed(capsys)
    assert again["reranked"]
    # Stored or computed, scores are the same to the bit.
    assert [hit["scores"]["rerank"] for hit in again["hits"]] == [
        hit["scores"]["rerank"] for hit in asked["hits"]
    ]
    assert run(["embed", "tokens", "-c", "garage", "--drop", "--json"]) == 0
    assert printed(capsys)["dropped"]
    assert run(search) == 0
    assert not printed(capsys)["reranked"]
    assert run(["embed", "tokens", "-c", "garage"]) == 0
    assert any((settings.home / "tokens").iterdir())
    assert run(["collection", "delete", "garage", "--yes"]) == 0
    assert not any((settings.home / "tokens").iterdir())


def test_the_whole_table_of_a_set(
    settings: Settings, judged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["eval", "run", "retrieval", "--data", str(judged), "--rerank", "--tuned",
                "--json"]) == 0  # fmt: skip
    told = printed(capsys)
    assert [row["mode"] for row in told["results"]] == [
        "dense", "lexical", "hybrid", "late", "tuned",
    ]  # fmt: skip
    assert all(row["queries"] == 8 and not row["failed"] for row in told["results"])
    assert run(["tune", "--data", str(judged)]) == 0
    shown = capsys.readouterr().out
    assert "garage" in shown and "8 queries, 5 folds" in shown
    assert "kept" not in shown


@pytest.mark.parametrize(
    "arguments", [[], ["-c", "garage"], ["--clear"], ["--data", "x", "-c", "garage"]]
)
def test_what_is_to_be_tuned_has_to_be_said(
    settings: Settings, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["tune", *arguments, "--json"]) == 2


def test_judgements_that_name_nothing_found_are_refused(
    settings: Settings, judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ingest", "--beir", str(judged), "-c", "garage"]) == 0
    other = tmp_path / "other.tsv"
    other.write_text("query-id\tcorpus-id\tscore\nq0\tno-such\t1\nq1\tno-such\t1\n")
    capsys.readouterr()
    arguments = ["tune", "-c", "garage", "--queries", str(judged / "queries.jsonl")]
    assert run([*arguments, "--qrels", str(other), "--json"]) != 0
    assert "uri" in capsys.readouterr().out


def test_a_few_queries_are_told_of_and_nothing_is_kept(
    settings: Settings, judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ingest", "--beir", str(judged), "-c", "garage"]) == 0
    qrels = tmp_path / "few.tsv"
    qrels.write_text(
        "query-id\tcorpus-id\tscore\nq0\t0-how\t1\nq1\t1-how\t1\nq1\tno-such\t1\nq2\tgone\t1\n"
    )
    capsys.readouterr()
    arguments = ["tune", "-c", "garage", "--queries", str(judged / "queries.jsonl")]
    arguments += ["--qrels", str(qrels)]
    assert run([*arguments, "--json"]) == 0
    told = printed(capsys)
    (result,) = told["results"]
    assert (told["kept"], result["enough"], result["queries"]) == (False, False, 2)
    assert any(one["examples"] == ["q2"] for one in result["problems"])
    assert run(arguments) == 0
    shown = capsys.readouterr().out
    assert "nothing of it is kept" in shown
    assert "document no-such" in shown


def test_measures_are_those_of_ir_measures(judged: Path) -> None:
    given = read_judgements("garage", judged / "queries.jsonl", judged / "qrels.tsv")
    scorer = RankingScorer(3, 5)
    generator = np.random.default_rng(0)
    documents = [f"{number}-{kind}" for number in range(8) for kind in ("how", "why")]
    for relevant in given.relevant.values():
        ranked = [documents[at] for at in generator.permutation(len(documents))]
        expected = scorer.values(relevant, ranked)
        assert ndcg(relevant, ranked, 3) == pytest.approx(expected["ndcg@3"])
        assert recall(relevant, ranked, 5) == pytest.approx(expected["recall@5"])
