"""Retrieval and answers through the real platform, over a few documents and stand-ins for models.

Expected figures are worked out by hand; runs are read back from their files.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import rostra.runtime.runtime as runtime_module
from evals.beir import read_judged_set
from evals.core import RunRecord, Task, TaskReport, read_run, report_of, run_tasks
from evals.errors import DatasetError
from evals.judge.model import ModelJudge
from evals.quotes import report_quotes
from evals.rag.read import read_rag_set
from evals.rag.report import report_rag
from evals.rag.tasks import LEFT_OUT, RagPlan, only, quote_scorers, rag_tasks
from evals.retrieval import report_retrieval, retrieval_tasks
from evals.retrieval_rankings import read_rankings
from evals.runs import open_run
from evals.solvers.ask import looked_up
from evals.solvers.disturbed import Disturbance, DisturbedSearcher
from rostra.answer import Question
from rostra.cli.eval.rag import print_rag
from rostra.cli.main import run as run_cli
from rostra.core import ChatMessage, ChatModel, GenerationOptions, Overloaded, Settings
from rostra.models import ScriptedModel, Turn
from rostra.retrieval import SearchRequest
from rostra.runtime import Runtime, open_runtime
from tests.fakes import FakeEmbedder

TEXTS = {
    "pump": "The pump moves water from the well. It needs oil every month.",
    "boiler": "The boiler heats water to ninety degrees. It burns gas all winter.",
    "moon": "The moon goes around the earth in a month. It has no air at all.",
    "train": "The night train leaves Turin at seven. It stops in Genoa first.",
}
QUESTIONS: tuple[dict[str, Any], ...] = (
    {"id": "oil", "question": "How often does the pump need oil every month?", "about": "pump",
     "quote": "It needs oil every month.", "answers": ["every month"]},
    {"id": "gas", "question": "What does the boiler burn, gas all winter?", "about": "boiler",
     "quote": "It burns gas all winter.", "answers": ["gas"]},
    {"id": "stop", "question": "Where does the night train stop in Genoa first?", "about": "train",
     "quote": "It stops in Genoa first.", "answers": ["in Genoa"]},
    {"id": "chess", "question": "Who won chess championships, Reykjavik?", "unanswerable": True},
)  # fmt: skip


@pytest.fixture(autouse=True)
def _fake_embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = FakeEmbedder(64)
    monkeypatch.setattr(runtime_module, "load_embedder", lambda settings: embedder)


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    folder = tmp_path / "houses"
    folder.mkdir()
    corpus = [{"_id": key, "text": text} for key, text in TEXTS.items()]
    lines = [
        {name: one[name] for name in ("id", "question", "answers", "unanswerable") if name in one}
        | ({"spans": [{"document": one["about"], "quote": one["quote"]}]} if "about" in one else {})
        for one in QUESTIONS
    ]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    folder = tmp_path / "things"
    folder.mkdir()
    corpus = [json.dumps({"_id": key, "text": text}) for key, text in TEXTS.items()]
    queries = [{"_id": key, "text": f"the {key}"} for key in TEXTS]
    (folder / "corpus.jsonl").write_text("\n".join(["{broken", *corpus]))
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    rows = [f"{key}\t{key}\t1" for key in TEXTS] + ["moon\tgone\t1"]
    (folder / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]))
    return folder


@asynccontextmanager
async def opened(
    settings: Settings, generator: ChatModel | None = None, **overrides: Any
) -> AsyncIterator[Runtime]:
    # The stand-in's cosines lie higher than a real model's.
    chosen = settings.model_copy(update={"answer_threshold": 0.45, **overrides})
    async with open_runtime(chosen, generator) as runtime:
        yield runtime


async def done(
    settings: Settings, tasks: Sequence[Task], arguments: dict[str, Any] | None = None
) -> RunRecord:
    with open_run(settings, "test", tasks, arguments=arguments) as run:
        await run_tasks(tasks, run.file, seed=0, cache=run.cache)
    return read_run(run.file.path)


def value(task: TaskReport, name: str) -> float | None:
    found = task.measure(name)
    assert found is not None, name
    return found.estimate.mean if found.estimate is not None else None


async def asked(
    settings: Settings, folder: Path, plan: RagPlan, generator: ChatModel | None = None, **more: Any
) -> tuple[dict[str, TaskReport], RunRecord]:
    async with opened(settings, generator, **more) as runtime:
        made = await rag_tasks(runtime, read_rag_set(folder, settings), plan)
        record = await done(settings, made.tasks, {LEFT_OUT: made.left_out})
    return {task.header.solver: task for task in report_of(record).tasks}, record


async def test_retrieval_modes_and_other_systems_are_compared(
    settings: Settings, judged: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.jsonl"
    lines = [{"query": "pump", "documents": ["moon", "pump"]}, {"query": "moon", "documents": []}]
    other.write_text("\n".join(map(json.dumps, lines)))
    async with opened(settings) as runtime:
        tasks = await retrieval_tasks(
            runtime, read_judged_set(judged), rankings=[read_rankings(other)]
        )
        record = await done(settings, tasks)
    told = report_retrieval(record).to_dict(wins=2)
    rows = {row["mode"]: row for row in told["results"]}
    assert list(rows) == ["dense", "lexical", "hybrid", "other"]
    assert rows["lexical"]["mrr@10"] == 1.0
    # One judged document is not in the corpus: half of what the moon has is missed.
    assert rows["lexical"]["recall@100"] == pytest.approx((3 + 0.5) / 4)
    assert rows["lexical"]["precision@10"] == pytest.approx(0.1)
    # Found second for one of four queries; three others find nothing.
    assert rows["other"]["mrr@10"] == pytest.approx(0.5 / 4)
    assert rows["other"]["queries"] == 4
    pairs = [(one["baseline_system"], one["candidate_system"]) for one in told["comparisons"]]
    assert len(set(pairs)) == 6
    by = {
        (one["baseline_system"], one["candidate_system"], one["measure"]): one
        for one in told["comparisons"]
    }
    against = by["lexical", "other", "mrr@10"]
    assert (against["wins"], against["losses"], against["ties"]) == (0, 4, 0)
    assert against["difference"] == pytest.approx(0.125 - 1)
    assert {one["query"] for one in against["queries"]} <= set(TEXTS)
    assert len(against["queries"]) == 2
    assert against["bootstrap"]["p"] is not None
    problems = {one["reason"]: one["count"] for one in told["tasks"][3]["problems"]}
    assert problems == {
        "a document that was not taken in: bad_record": 1,
        "a judgement of a document that is not in the corpus: it stays, as missed": 1,
        "a query without a ranking: it finds nothing": 2,
    }


async def test_two_systems_of_one_name_are_refused(
    settings: Settings, judged: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.run"
    path.write_text("pump Q0 pump 1 1 dense\n")
    async with opened(settings) as runtime:
        with pytest.raises(DatasetError, match="same name"):
            await retrieval_tasks(runtime, read_judged_set(judged), rankings=[read_rankings(path)])


async def test_a_query_that_fails_costs_itself_alone(settings: Settings, judged: Path) -> None:
    async with opened(settings, max_query_chars=len("the moon")) as runtime:
        record = await done(settings, await retrieval_tasks(runtime, read_judged_set(judged)))
    for task in report_of(record).tasks:
        assert task.failed == {"query_too_long": 2}  # the boiler and the train
        assert value(task, "mrr@10") is not None
    told = report_retrieval(record).to_dict()
    assert all(row["queries"] == 4 and row["failed"] for row in told["results"])


async def test_quoted_answers(settings: Settings, questions: Path) -> None:
    tasks, record = await asked(settings, questions, RagPlan(), answer_sentences=1)
    assert list(tasks) == ["ask", "first sentence", "ask +distractors", "ask shuffled"]
    ask, first = tasks["ask"], tasks["first sentence"]
    # Each answer is the annotated sentence, and chess is not found.
    for name in ("citation precision", "citation recall", "citation exactness", "faithfulness",
                 "context recall", "abstention precision", "abstention recall",
                 "abstention accuracy"):  # fmt: skip
        assert value(ask, name) == 1.0, name
    assert value(ask, "exact match") == 0.0
    # Normalised: "every month" of "it needs oil every month", "gas" of "it burns gas all winter",
    # "in genoa" of "it stops in genoa first".
    assert value(ask, "token f1") == pytest.approx((4 / 7 + 2 / 6 + 4 / 7) / 3)
    # The first sentence is another one, and the baseline never says that there is none.
    assert value(first, "citation precision") == value(first, "citation recall") == 0.0
    assert value(first, "abstention recall") == 0.0
    assert value(first, "abstention precision") is None
    assert value(first, "abstention accuracy") == pytest.approx(3 / 4)
    told = report_rag(record).to_dict()
    assert told["results"][0]["measures"]["abstention f1"] == 1.0
    assert told["results"][1]["measures"]["abstention f1"] is None
    assert told["results"][0]["citations"] == {"count": 3, "exact": 3}
    assert told["left_out"]["faithfulness (judge)"] == "no judge was asked for"
    assert told["left_out"]["sentence f1"] == "the set has no sentences that annotators chose"
    assert told["left_out"]["model"] == "no model is set"


async def test_the_table_of_quotes_says_of_how_many(
    settings: Settings, questions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["eval", "run", "quote", "--data", str(questions)]
    assert await asyncio.to_thread(run_cli, line) == 0
    rows = [re.split(r"\s{2,}", row.strip()) for row in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["measure", "value", "n"]
    found = {row[0]: row[-1] for row in rows[1:]}
    assert found["questions"] == "4"
    assert found["not found: recall"] == "1"
    assert found["sentence F1"] == "0"
    assert await asyncio.to_thread(run_cli, [*line, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"]["not_found recall"] == 1


async def test_disturbed_passages_are_compared_with_the_plain_ones(
    settings: Settings, questions: Path
) -> None:
    plan = RagPlan(systems=("ask", "distractors", "shuffled", "reversed"))
    tasks, record = await asked(settings, questions, plan, answer_passages=2)
    by = {
        name: {
            outcome.state.sample.id: [passage.document for passage in outcome.state.passages]
            for outcome in record.outcomes
            if record.header.tasks[outcome.task].solver == name
        }
        for name in tasks
    }
    for sample, plain in by["ask"].items():
        assert by["ask reversed"][sample] == plain[::-1]
        assert sorted(by["ask shuffled"][sample]) == sorted(plain)
        more = by["ask +distractors"][sample]
        assert [one for one in more if one in plain] == plain
        assert len(more) == 4
    told = report_rag(record).to_dict()
    pairs = {(one["baseline_system"], one["candidate_system"]) for one in told["robustness"]}
    assert pairs == {("ask", f"ask {how}") for how in ("+distractors", "shuffled", "reversed")}
    # What was done to the passages is no measure of the system.
    assert not any(one["measure"].startswith("context") for one in told["robustness"])
    # Quote mode reads scores, not places.
    reversed_ = [one for one in told["robustness"] if one["candidate_system"] == "ask reversed"]
    assert reversed_
    assert all(one["wins"] == one["losses"] == 0 for one in reversed_)


async def test_how_many_questions_had_other_passages_is_told(
    settings: Settings, questions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = RagPlan(systems=("ask", "distractors", "shuffled", "reversed"))
    _, record = await asked(settings, questions, plan, answer_passages=2)
    told = report_rag(record).to_dict()
    counts = {row["system"]: row["disturbed"] for row in told["results"]}
    shuffled = sum(
        [one.document for one in outcome.state.passages]
        != [one.document for one in plain.state.passages]
        for outcome in record.outcomes
        for plain in record.outcomes
        if record.header.tasks[outcome.task].solver == "ask shuffled"
        and record.header.tasks[plain.task].solver == "ask"
        and plain.state.sample.id == outcome.state.sample.id
    )
    assert counts == {
        "ask": None,
        "ask +distractors": {"changed": 4, "questions": 4},
        "ask shuffled": {"changed": shuffled, "questions": 4},
        "ask reversed": {"changed": 4, "questions": 4},
    }
    # One passage of one document: nothing can be added to it, and it has one order.
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps({"question": "Does it need oil?", "passage": TEXTS["pump"]}))
    _, record = await asked(settings, path, plan)
    told = report_rag(record).to_dict()
    assert [row["disturbed"] for row in told["results"][1:]] == [{"changed": 0, "questions": 1}] * 3
    print_rag(told)
    out = capsys.readouterr().out
    assert "ask +distractors: not applicable: it changed the passages of 0 of 1 questions" in out
    assert "ask shuffled: not applicable" in out


async def test_the_table_tells_of_how_many_and_in_which_unit(
    settings: Settings, questions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, record = await asked(
        settings, questions, RagPlan(systems=("ask", "first-sentence")), answer_sentences=1
    )
    print_rag(report_rag(record).to_dict())
    out = capsys.readouterr().out
    rows = {line[: line.index("  ")]: line.split() for line in out.splitlines() if "  " in line}
    # Abstentions: one of ask's answers, none of the baseline's.
    assert rows[" abstention precision"][2:4] == ["1,", "0"]
    assert rows[" abstention accuracy"][2:5] == ["4", "100.0", "%"]
    assert rows[" token f1"][2] == "3"
    assert re.search(r"after Holm for \d+ comparisons", out)
    assert re.search(r"abstention recall +-100\.0 %", out)


async def test_a_distractor_is_of_no_document_with_the_answer(
    settings: Settings, questions: Path
) -> None:
    async with opened(settings) as runtime:
        sources = read_rag_set(questions, settings).sources
        await runtime.ingester.ingest(sources, "mine")
        request = SearchRequest("Where does the train stop?", ("mine",), k=1)
        plain = (await runtime.searcher.search(request)).hits
        assert [hit.uri for hit in plain] == ["train"]
        for seed in range(5):
            gold = ["train", "moon", "boiler"]
            searcher = DisturbedSearcher(runtime, Disturbance.DISTRACTORS, gold, seed)
            hits = (await searcher.search(request)).hits
            assert sorted(hit.uri for hit in hits) == ["pump", "train"]
            again = DisturbedSearcher(runtime, Disturbance.DISTRACTORS, gold, seed)
            assert (await again.search(request)).hits == hits


async def test_a_quote_that_is_not_the_stored_text_is_not_exact(
    settings: Settings, questions: Path
) -> None:
    async with opened(settings) as runtime:
        sources = read_rag_set(questions, settings).sources
        await runtime.ingester.ingest(sources, "mine")
        answer = await runtime.answerer.answer(Question(QUESTIONS[0]["question"], ("mine",)))
        citation = answer.citations[0]
        assert (await looked_up(runtime, citation, 0)).exact is True
        for wrong in (
            replace(citation, quote=citation.quote + " "),
            replace(citation, start=citation.start + 1),
        ):
            assert (await looked_up(runtime, wrong, 0)).exact is False


def _says(reply: Callable[[str], str | Turn]) -> ScriptedModel:
    """A model whose answer hangs on the question."""

    def answer(messages: Sequence[ChatMessage], options: GenerationOptions) -> str | Turn:
        return reply(messages[-1].content)

    return ScriptedModel(answer, name="script")


def _answers(shown: str) -> str | Turn:
    """Answers from passages, judges, and answers by itself, as a stand-in."""
    if "Judge what stands" in shown:
        return json.dumps({"reason": "so it says", "verdict": "supported"})
    question = shown.rpartition("Question: ")[2]
    if "chess" in question:
        return "Not found in these documents."
    if "passage number" not in shown:
        return "I do not know."
    number = shown.partition("needs oil")[0].rpartition('number="')[2].partition('"')[0] or "1"
    return f"It needs oil every month [{number}]. It also sings."


async def test_generated_answers_with_a_judge(settings: Settings, questions: Path) -> None:
    model = _says(_answers)
    plan = RagPlan(systems=("ask", "model", "endpoint"), judge=ModelJudge(model, attempts=1))
    tasks, record = await asked(settings, questions, plan, model)
    assert list(tasks) == ["ask", "model"]
    assert report_rag(record).left_out == {
        "endpoint": "no endpoint is given",
        "sentence f1": "the set has no sentences that annotators chose",
    }
    ask, alone = tasks["ask"], tasks["model"]
    assert value(ask, "generated") == 1.0
    assert ask.usage.prompt_tokens > 0
    outcomes = {
        (record.header.tasks[one.task].solver, one.state.sample.id): one for one in record.outcomes
    }
    oil = outcomes["ask", "oil"].state
    assert oil.output == "It needs oil every month. It also sings."
    assert oil.claims == ["It needs oil every month", "It also sings."]
    assert [(one.claim, one.document) for one in oil.citations] == [(0, "pump")]
    scores = {one.name: one for one in outcomes["ask", "oil"].scores}
    assert scores["faithfulness"].value == 0.5
    assert scores["faithfulness (judge)"].value == 0.5  # nobody is asked about the uncited claim
    # Its verdict is none of the correctness rubric's: unscored, with a reason, never zero.
    assert value(ask, "correctness (judge)") is None
    unscored = ask.measure("correctness (judge)")
    assert unscored is not None
    assert unscored.unscored == {"the judge gave no verdict": 3}
    assert ask.judging.prompt_tokens > 0
    # By itself the model says that it does not know, which is right about chess alone.
    assert value(alone, "abstention precision") == pytest.approx(1 / 4)
    assert value(alone, "abstention recall") == 1.0
    assert value(alone, "faithfulness") is None
    assert value(alone, "context recall") is None


async def test_a_generator_that_sheds_load_is_told_from_one_that_answers(
    settings: Settings, questions: Path
) -> None:
    def reply(shown: str) -> str | Turn:
        return Turn(raises=Overloaded("full")) if "boiler burn" in shown else _answers(shown)

    tasks, _ = await asked(settings, questions, RagPlan(systems=("ask",)), _says(reply))
    assert value(tasks["ask"], "generated") == pytest.approx(3 / 4)


async def test_a_system_that_fails_at_some_questions(settings: Settings, questions: Path) -> None:
    def reply(shown: str) -> str | Turn:
        return Turn(raises=Overloaded("full")) if "gas" in shown else "Every month."

    plan = RagPlan(systems=("endpoint", "ask"), endpoint=_says(reply))
    tasks, record = await asked(settings, questions, plan)
    failing = tasks["endpoint script"]
    assert failing.failed == {"overloaded": 1}
    assert failing.done == 4
    measure = failing.measure("exact match")
    assert measure is not None
    assert measure.estimate is not None
    assert (measure.estimate.n, measure.estimate.mean) == (2, 0.5)
    compared = [one for one in report_rag(record).comparisons if one.measure.name == "failed"]
    assert [(one.wins, one.losses, one.n) for one in compared] == [(1, 0, 4)]


async def test_a_collection_that_is_there_is_asked_as_it_is(
    settings: Settings, questions: Path
) -> None:
    async with opened(settings) as runtime:
        everything = read_rag_set(questions, settings)
        await runtime.ingester.ingest(everything.sources, "mine")
        plan = RagPlan(systems=("ask",), collection="mine")
        made = await rag_tasks(runtime, everything, plan)
        record = await done(settings, made.tasks)
    (task,) = report_of(record).tasks
    assert value(task, "citation recall") == 1.0


async def test_a_follow_up_is_asked_within_its_conversation(
    settings: Settings, tmp_path: Path
) -> None:
    documents = [{"id": key, "text": text} for key, text in TEXTS.items()]
    said = [
        {"role": role, "text": text}
        for number in range(4)
        for role, text in (("user", f"old question {number}"), ("assistant", f"answer {number}"))
    ]
    said[-2:] = [
        {"role": "user", "text": "Where does the night train leave?"},
        {"role": "assistant", "text": "It leaves Turin at seven."},
    ]
    follow_up = {"id": "next", "question": "Where does it stop first?", "gold": ["train"]}
    path = tmp_path / "chats.jsonl"
    lines = [
        follow_up | {"documents": documents, "metadata": {"history": said}},
        follow_up | {"id": "alone"},
        follow_up | {"id": "wrong", "history": "a text"},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    seen: list[list[str]] = []

    def answer(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        seen.append([message.content for message in messages])
        return "Not found in these documents."

    model = ScriptedModel(answer, name="script")
    _, record = await asked(settings, path, RagPlan(systems=("ask", "model")), model)
    (problem,) = record.header.tasks[0].problems
    assert problem.reason == "`history` is no list of objects with `role` and `text`"
    # The last six turns, as the product reads them, between the rules and the question.
    assert sorted(map(len, seen)) == [2, 2, 8, 8]
    for messages in seen:
        assert messages[1:-1] in ([one["text"] for one in said[-6:]], [])
    # Search reads the question with the one before it.
    assert record.outcomes[0].state.passages[0].document == "train"
    # Without a generator the quote is found by the question before, too.
    _, quoted = await asked(settings, path, RagPlan(systems=("ask",)))
    assert quoted.outcomes[0].state.passages[0].document == "train"


async def test_what_a_set_does_not_tell_is_left_out_with_the_reason(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "bare.jsonl"
    documents = [{"id": key, "text": text} for key, text in TEXTS.items()]
    path.write_text(json.dumps({"question": "Does it need oil?", "documents": documents}))
    async with opened(settings) as runtime:
        made = await rag_tasks(runtime, read_rag_set(path, settings), RagPlan(systems=("ask",)))
    measures = [measure.name for scorer in made.tasks[0].scorers for measure in scorer.measures]
    assert measures == ["faithfulness", "answer relevance", "citation exactness",
                        "abstention precision", "abstention recall",
                        "abstention accuracy"]  # fmt: skip
    for name in ("exact match", "token f1", "sentence f1", "citation precision", "citation recall",
                 "context precision", "context recall", "passage hit@1"):  # fmt: skip
        assert made.left_out[name].startswith("the set "), name


async def test_a_resumed_run_reports_the_same(settings: Settings, questions: Path) -> None:
    async with opened(settings) as runtime:
        made = await rag_tasks(runtime, read_rag_set(questions, settings), RagPlan())
        whole = await done(settings, made.tasks)
        path = settings.home / "evals" / "runs" / f"{whole.header.id}.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:6]) + lines[6][:40])  # killed within a line
        again = await rag_tasks(runtime, read_rag_set(questions, settings), RagPlan())
        with open_run(settings, "test", again.tasks, resume=whole.header.id) as run:
            await run_tasks(again.tasks, run.file, seed=0)
        resumed = read_run(path)

    def timeless(record: RunRecord) -> list[dict[str, Any]]:
        tasks = report_of(record).to_dict()["tasks"]
        return [{name: task[name] for name in task if name != "times"} for task in tasks]

    assert timeless(resumed) == timeless(whole)


async def test_quotes_is_the_same_run_with_fewer_measures(
    settings: Settings, tmp_path: Path
) -> None:
    def record(question: str, key: str, chosen: int | None) -> str:
        sentences = [f"{part}." for part in TEXTS[key].rstrip(".").split(". ")]
        passage = {"title": key, "text": TEXTS[key], "sentences": sentences}
        selected = [] if chosen is None else [sentences[chosen]]
        return json.dumps(
            {"input": question, "passages": [passage], "output": [{"selected_sentences": selected}]}
        )

    about = [(one["question"], one["about"]) for one in QUESTIONS[:3]]
    (tmp_path / "answerable.jsonl").write_text("\n".join(record(*one, 1) for one in about))
    (tmp_path / "unanswerable.jsonl").write_text(record(QUESTIONS[3]["question"], "moon", None))
    async with opened(settings, answer_sentences=1) as runtime:
        plan = RagPlan(systems=("ask", "first-sentence"))
        made = await rag_tasks(runtime, read_rag_set(tmp_path, settings), plan)
        run = await done(settings, only(made, quote_scorers()))
    assert report_quotes(run).to_dict() == {
        "run": run.header.id,
        "answerable": 3,
        "unanswerable": 1,
        "sentence_f1": 1.0,
        "baseline_f1": 0.0,
        "passage_hit@1": 1.0,
        "not_found": {"precision": 1.0, "recall": 1.0},
        "citations": {"count": 3, "exact": 3},
        "failed": {},
        "n": {
            "sentence_f1": 3,
            "baseline_f1": 3,
            "passage_hit@1": 3,
            "not_found precision": 1,
            "not_found recall": 1,
        },
    }
