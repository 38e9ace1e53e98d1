"""Sets made by a scripted model over stored documents: right, wrong, broken off, gone on with."""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from evals.errors import DatasetError
from evals.rag.samples import gold_spans, is_answerable
from evals.sets.errors import NoModel, NothingToAsk, SetConflict, SetExists
from evals.sets.files import read_jsonl_set
from evals.sets.synthetic.making import (
    SynthesisOptions,
    SynthesisReport,
    journal_path,
    synthesize,
)
from evals.sets.synthetic.prompts import PROMPT_VERSION, Difficulty
from rostra.core import (
    CollectionNotFound,
    GenerationOptions,
    InvalidRequest,
    JsonSchema,
    ModelUnavailable,
    Settings,
)
from rostra.models import ScriptedModel, Turn, UnsupportedConstraint
from rostra.runtime import Runtime, open_runtime
from rostra.store import get_collection, get_text, list_documents
from tests.fakes import FakeEmbedder
from tests.integration.pipeline.conftest import Library

KEEPERS = {
    "Aldra": "Ivo Brandt", "Birka": "Mira Sole", "Cavra": "Otto Lind", "Dorna": "Una Prescott",
    "Elbra": "Karl Vesely", "Fenna": "Rosa Hitch", "Gorna": "Timo Quell", "Hylla": "Nadia Frost",
}  # fmt: skip
KEPT = re.compile(r"Lighthouse (\w+) is looked after by\s+(\w+ \w+)")
FENCED = re.compile(r"\[([0-9a-f]{16}) (passage \d+|question)\]\n(.*?)\n\[\1 end\]", re.DOTALL)

Said = str | Turn | None
Asked = Callable[[int, list[str], str], Said]


def text_of(name: str, keeper: str) -> str:
    return (
        f"Lighthouse {name} stands on the cliffs of the northern coast and can be seen from afar. "
        f"Lighthouse {name} is looked after by\n{keeper}, who moved there from the mainland. "
        f"In winter the tower of {name} is cut off by ice and storms for weeks at a time."
    )


@pytest.fixture
async def runtime(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runtime]:
    embedder = FakeEmbedder()
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: embedder)
    async with open_runtime(settings) as opened:
        library = Library(opened.database, settings, embedder)
        for name, keeper in KEEPERS.items():
            await library.put(f"{name}.md", text_of(name, keeper), collection="coast")
        yield opened


def right(kind: Difficulty, passages: list[str]) -> str:
    """What a good model says."""
    found = [KEPT.search(text) for text in passages]
    told = [(match[1], match[2], match[0]) for match in found if match]
    if kind is Difficulty.NONE:
        name = re.search(r"(?:Lighthouse|tower of) (\w+)", passages[0])
        return json.dumps({"question": f"How tall is {name and name[1]}'s tower in metres?"})
    if len(told) < len(passages):
        return json.dumps({"question": "nothing to ask here", "answer": "?", "quotes": []})
    question = {
        Difficulty.FACT: f"Who keeps lighthouse {told[0][0]}?",
        Difficulty.PARAPHRASE: f"Which person tends the beacon at {told[0][0]} nowadays?",
        Difficulty.TWO: f"What are the keepers at {' and '.join(one[0] for one in told)} called?",
    }[kind]
    quotes = [{"passage": n, "quote": one[2]} for n, one in enumerate(told, 1)]
    answer = " and ".join(one[1] for one in told)
    return json.dumps({"question": question, "answer": answer, "quotes": quotes})


def kind_of(system: str) -> Difficulty:
    if "single fact" in system:
        return Difficulty.FACT
    if "in other words" in system:
        return Difficulty.PARAPHRASE
    return Difficulty.TWO if "both passages" in system else Difficulty.NONE


def model(
    disturb: Callable[[int, Difficulty, str], Said] = lambda number, kind, good: None,
    answered: Callable[[str], dict[str, Any]] = lambda question: {"answer": "", "answered": False},
    *,
    constrained: bool = True,
) -> ScriptedModel:
    """A good model whose questions `disturb` may replace, given how many were asked for."""
    asked = 0

    def say(messages: Any, options: GenerationOptions) -> str | Turn:
        nonlocal asked
        system, user = messages[0].content, messages[1].content
        if options.constraint is not None and not constrained:
            raise UnsupportedConstraint("no grammars here")
        assert constrained == isinstance(options.constraint, JsonSchema)
        fenced = {name: text for _, name, text in FENCED.findall(user)}
        if "question" in fenced:
            return json.dumps(answered(fenced["question"]))
        asked += 1
        kind = kind_of(system)
        good = right(kind, list(fenced.values()))
        said = disturb(asked, kind, good)
        return good if said is None else said

    return ScriptedModel(say, name="lamplighter")


def options(**changed: Any) -> SynthesisOptions:
    facts: dict[str, Any] = {"collection": "coast", "questions": 6, "parallel": 1, "attempts": 10}
    return SynthesisOptions(**facts | changed)


async def make(
    runtime: Runtime, path: Path, chat: ScriptedModel | None, **changed: Any
) -> SynthesisReport:
    runtime.generator = chat
    replace = changed.pop("replace", False)
    return await synthesize(runtime, path, options(**changed), replace=replace)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_a_set_is_made_and_every_span_is_where_it_says(
    runtime: Runtime, tmp_path: Path
) -> None:
    path = tmp_path / "made.jsonl"
    report = await make(runtime, path, model(), questions=12, parallel=3)
    assert (report.questions, report.short, report.before) == (12, "", 0)
    assert set(report.kinds) == {kind.value for kind in Difficulty}
    dataset = read_jsonl_set(path)
    assert dataset.problems == ()
    assert len({sample.input for sample in dataset.samples}) == len(dataset.samples) == 12
    async with runtime.database.read() as session:
        collection = await get_collection(session, "coast")
        documents, _ = await list_documents(session, collection.id)
        texts = {one.uri: await get_text(session, one.id) for one in documents}
        ids = {one.uri: str(one.id) for one in documents}
    kinds = Counter[str]()
    for sample in dataset.samples:
        metadata = sample.data["metadata"]
        kinds[metadata["difficulty"]] += 1
        provenance = metadata["provenance"]
        assert (provenance["model"], provenance["prompt"]) == ("lamplighter", PROMPT_VERSION)
        for place in provenance["passages"]:
            assert place["document_id"] == ids[place["uri"]]
        assert is_answerable(sample) == (metadata["difficulty"] != "unanswerable")
        [spans] = gold_spans(sample) or [[]]
        for (uri, start, end), quote in zip(spans, sample.data.get("quotes", []), strict=True):
            assert texts[uri][start:end] == quote
            keeper = KEEPERS[uri.removesuffix(".md")]
            assert keeper in quote
            assert keeper in sample.targets[0]
        if metadata["difficulty"] == "two passages":
            assert len({uri for uri, _, _ in spans}) == 2
        assert len(metadata["retrieval"]["ranks"]) == max(1, len(spans))
        assert metadata["retrieved"] in ("first", "found", "missed")
    assert kinds == report.kinds


async def test_bad_questions_are_dropped_and_counted(runtime: Runtime, tmp_path: Path) -> None:
    def disturb(number: int, kind: Difficulty, good: str) -> Said:
        told = json.loads(good)
        match number:
            case 1:
                return "I would rather not."
            case 2 if told["quotes"]:
                told["quotes"][0]["quote"] = "Lighthouse is looked after by nobody at all"
            case 3:
                return Turn(raises=ModelUnavailable("away for a moment"))
            case 4:
                told["question"] = "What does the passage say of keepers?"
            case 6:
                told["question"] = "WHO keeps  lighthouse — Aldra, or any other one, today?"
            case 7:
                told["question"] = "Who keeps lighthouse Aldra, or any other one today"
            case 9:
                told["answer"] = "A ship's cat named 12 Whiskers"
            case 10:
                return '{"question": "cut off'
        return json.dumps(told)

    path = tmp_path / "made.jsonl"
    shares = {"unanswerable": 0, "two": 0, "paraphrase": 0}
    report = await make(runtime, path, model(disturb), **shares)
    assert report.questions == len(lines(path)) == 6
    assert report.attempts == 6 + sum(report.dropped.values())
    dropped = report.dropped
    assert dropped.pop("no JSON object") == 2
    assert dropped.pop("the model failed: model_unavailable") == 1
    assert dropped.pop("a question about the passage itself") == 1
    # Its forerunner, and documents that are asked about a second time.
    assert dropped.pop("a question that is there already") >= 1
    assert dropped.pop("quotes that do not support the answer") == 1
    assert dropped.pop("a quote that is not in its passage") == 1
    assert dropped == {}
    told = [json.loads(line) for line in journal_path(path).read_text().splitlines()]
    assert "rather not" not in json.dumps(told[1]) or told[1]["dropped"] == "no JSON object"
    assert [one["number"] for one in told[1:]] == list(range(report.attempts))


async def test_a_question_much_like_another_one_is_dropped(
    runtime: Runtime, tmp_path: Path
) -> None:
    def disturb(number: int, kind: Difficulty, good: str) -> Said:
        again = "Who might it be that keeps this one lighthouse up there on the northern coast"
        asked = f"{again} {'today' if number == 2 else 'now'}"
        return json.dumps(json.loads(good) | {"question": asked}) if number < 4 else None

    report = await make(
        runtime, tmp_path / "made.jsonl", model(disturb), unanswerable=0, two=0, paraphrase=0
    )
    assert report.dropped["a question much like another one"] == 1
    assert report.dropped["a question that is there already"] == 1


async def test_unanswerable_questions_that_the_documents_answer_are_dropped(
    runtime: Runtime, tmp_path: Path
) -> None:
    def answered(question: str) -> dict[str, Any]:
        return {"answer": "20", "answered": "Aldra" in question or "Birka" in question}

    path = tmp_path / "made.jsonl"
    report = await make(
        runtime, path, model(answered=answered), unanswerable=1, two=0, paraphrase=0
    )
    assert report.dropped == {"an unanswerable question that the documents answer": 2}
    assert report.kinds == {"unanswerable": 6}
    assert all(record["unanswerable"] and "answers" not in record for record in lines(path))
    nonsense = model(answered=lambda question: {"answered": "perhaps"})
    with pytest.raises(DatasetError, match="a check that is no JSON object"):
        await make(runtime, tmp_path / "none.jsonl", nonsense, unanswerable=1, two=0, paraphrase=0)


async def test_verification_drops_what_the_quotes_alone_do_not_answer(
    runtime: Runtime, tmp_path: Path
) -> None:
    def answered(question: str) -> dict[str, Any]:
        name = next((name for name in KEEPERS if name in question), "")
        if name == "Aldra":
            return {"answer": "", "answered": False}
        keeper = "Somebody Else" if name == "Birka" else KEEPERS[name]
        return {"answer": f"It is {keeper}.", "answered": True}

    report = await make(
        runtime,
        tmp_path / "made.jsonl",
        model(answered=answered),
        verify=True,
        unanswerable=0,
        two=0,
        paraphrase=0,
    )
    reason = "a question that the model answers otherwise by the quotes alone"
    assert report.dropped == {reason: 2}
    assert all(record["metadata"]["verified"] for record in lines(report.path))


async def test_the_same_set_however_many_at_once_and_however_often_broken_off(
    runtime: Runtime, tmp_path: Path
) -> None:
    def disturb(number: int, kind: Difficulty, good: str) -> Said:
        return None

    whole = tmp_path / "whole.jsonl"
    await make(runtime, whole, model(disturb), questions=12)
    wide = tmp_path / "wide.jsonl"
    await make(runtime, wide, model(disturb), questions=12, parallel=5)
    assert wide.read_bytes() == whole.read_bytes()
    torn = tmp_path / "torn.jsonl"
    data = journal_path(whole).read_bytes()
    for length in (100, len(data) // 3, len(data) // 2, len(data) - 5):
        # What kill -9 leaves: some of the journal, and the set of an earlier end or none.
        torn.unlink(missing_ok=True)
        journal_path(torn).write_bytes(data[:length])
        report = await make(runtime, torn, model(disturb), questions=12, parallel=2)
        assert report.before == sum(
            "record" in json.loads(line) for line in data[:length].splitlines()[:-1]
        )
        assert torn.read_bytes() == whole.read_bytes()
    other = tmp_path / "other.jsonl"
    await make(runtime, other, model(disturb), questions=12, seed=1)
    assert other.read_bytes() != whole.read_bytes()


async def test_more_are_added_to_a_set_and_nobodys_work_is_written_over(
    runtime: Runtime, tmp_path: Path
) -> None:
    path = tmp_path / "made.jsonl"
    await make(runtime, path, model(), questions=3)
    first = path.read_bytes()
    chat = model()
    same = await make(runtime, path, chat, questions=3)
    assert (same.questions, same.before, len(chat.seen)) == (3, 3, 0)
    more = await make(runtime, path, model(), questions=6)
    assert (more.questions, more.before) == (6, 3)
    assert path.read_bytes().startswith(first)
    with pytest.raises(SetConflict, match="another seed"):
        await make(runtime, path, model(), seed=3)
    path.write_bytes(path.read_bytes().replace(b"keep", b"tend"))
    edited = path.read_bytes()
    with pytest.raises(SetConflict, match="changed since"):
        await make(runtime, path, model(), questions=8)
    assert path.read_bytes() == edited
    await make(runtime, path, model(), questions=3, replace=True, seed=3)
    assert len(lines(path)) == 3
    mine = tmp_path / "mine.jsonl"
    mine.write_text("my own\n")
    with pytest.raises(SetExists):
        await make(runtime, mine, model())
    assert mine.read_text() == "my own\n"


async def test_a_changed_collection_is_not_gone_on_with(runtime: Runtime, tmp_path: Path) -> None:
    path = tmp_path / "made.jsonl"
    await make(runtime, path, model(), questions=2)
    embedder = runtime.embedder()
    assert isinstance(embedder, FakeEmbedder)
    library = Library(runtime.database, runtime.settings, embedder)
    await library.put("new.md", text_of("Ikarn", "Sven Holm"), collection="coast")
    with pytest.raises(SetConflict, match="state of the collection"):
        await make(runtime, path, model(), questions=4)


async def test_a_model_that_stays_away_ends_it_and_what_was_made_stays(
    runtime: Runtime, tmp_path: Path
) -> None:
    def disturb(number: int, kind: Difficulty, good: str) -> Said:
        return Turn(raises=ModelUnavailable("the model is away")) if number > 3 else None

    path = tmp_path / "made.jsonl"
    with pytest.raises(ModelUnavailable, match="the model is away"):
        await make(runtime, path, model(disturb), questions=8)
    made = len(lines(path))
    assert 1 <= made <= 3
    report = await make(runtime, path, model(), questions=8)
    assert (report.questions, report.before) == (8, made)
    assert report.dropped["the model failed: model_unavailable"] == 5


async def test_a_model_without_grammars_is_asked_plainly(runtime: Runtime, tmp_path: Path) -> None:
    report = await make(runtime, tmp_path / "made.jsonl", model(constrained=False))
    assert report.questions == 6


async def test_it_ends_where_there_is_nothing_more_to_ask(runtime: Runtime, tmp_path: Path) -> None:
    def disturb(number: int, kind: Difficulty, good: str) -> Said:
        return '{"question": 3}' if number > 2 else None

    used_up = await make(runtime, tmp_path / "a.jsonl", model(disturb), questions=3, attempts=2)
    assert (used_up.attempts, used_up.questions) == (6, 2)
    assert "attempts are used up" in used_up.short
    asked_out = await make(runtime, tmp_path / "b.jsonl", model(), questions=500, attempts=100)
    assert "no document has more text" in asked_out.short
    assert asked_out.questions <= asked_out.attempts <= 8 * 3
    with pytest.raises(DatasetError, match="no question came of 12 attempts"):
        await make(
            runtime,
            tmp_path / "c.jsonl",
            model(lambda *_: "nonsense"),
            questions=3,
            attempts=4,
        )


async def test_what_is_needed_is_said(runtime: Runtime, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "made.jsonl"
    with pytest.raises(NoModel, match="none is set"):
        await make(runtime, path, None)
    with pytest.raises(CollectionNotFound):
        await make(runtime, path, model(), collection="nowhere")
    embedder = runtime.embedder()
    assert isinstance(embedder, FakeEmbedder)
    library = Library(runtime.database, settings, embedder)
    await library.put("gone.md", "gone", collection="bare")
    with pytest.raises(DatasetError, match="no document has more text"):
        await make(runtime, path, model(), collection="bare")
    await library.delete("gone.md", collection="bare")
    with pytest.raises(NothingToAsk):
        await make(runtime, tmp_path / "other.jsonl", model(), collection="bare")
    with pytest.raises(DatasetError, match="No such file"):
        await make(runtime, tmp_path / "no" / "folder.jsonl", model())
    for wrong in ({"two": 0.9}, {"two": -0.1}, {"questions": 0}, {"parallel": 0}, {"k": 0}):
        with pytest.raises(InvalidRequest):
            options(**wrong)
