"""What the commands do for the reader; see `TrainableModel`."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from tokenizers import Tokenizer

from evals.training.atomic import replacing, write_whole
from evals.training.card import Card, write_card, write_scores
from evals.training.clozes import ClozeMaker, near_words
from evals.training.errors import ExamplesMissing
from evals.training.examples.reading import read_reading_set
from evals.training.examples.storing import texts_digest
from evals.training.loop import Checkpoint, Plan, load_trained, train
from evals.training.pages import Passage, read_pages, word_counts
from evals.training.reader.abstention import Abstention, Choice, calibrate_abstention
from evals.training.reader.building import Builder, Building, Pool
from evals.training.reader.calling import right_calls
from evals.training.reader.exporting import export_reader
from evals.training.reader.learning import Course, Learner, Pace
from evals.training.reader.net import Guides, Reader, Shape
from evals.training.reader.sequences import Marks, StoredSequences, write_sequences
from evals.training.reader.start import begin_by_hand
from evals.training.reader.tasks import Question
from evals.training.reader.vocabulary import first_embedding, rarities, train_tokenizer
from evals.training.reader.words import Words
from evals.training.sources import open_sources
from evals.training.work import Work
from rostra.agents import prompts
from rostra.answer import scorer_encoder
from rostra.core import pick_device
from rostra.retrieval import TextIndex, searchable_text
from rostra.runtime import Runtime

_TOKENIZER, _MANIFEST, _RARITIES = "tokenizer.json", "manifest.json", "rarities.npy"
_TRAIN, _HELD = "train", "validation"
_MEANT = {
    "picked": "the first sentence that it names answers, by passages",
    "seen": "the sentence that a middle layer scores highest answers, by passages",
    "decided": "it tells right whether anything answers, by passages",
    "called": "tasks that hold numbers for which the right tool is preferred",
    "said": "tokens said right, each given those before, by passages",
    "refused": "questions refused (the threshold was set on these examples)",
}
# Tables that a checkpoint belongs to.
_DECIDING = ("net", "guides", "course", "pace", "train")
_LAST_STEP_CHARS = 25
_READING_REPEATS = 3  # of the reading set's texts beside the pages, for the vocabulary
_TELL_EXAMPLES = 5000


class Manifest(msgspec.Struct, frozen=True):
    """Of what examples were built; written last, so that a folder without it is not whole.

    Attributes:
        recipe: digest of the configuration's parts that decide them.
        sources: what they were made of, for people.
        counts: examples of each stage, of training and validation.
        tokens: of the examples that are trained on.
        fingerprint: of vocabulary and examples.
    """

    recipe: str
    sources: dict[str, Any]
    counts: dict[str, dict[str, int]]
    tokens: int
    fingerprint: str


class ReaderModel:
    """See this module."""

    config = Path(__file__).with_name("reader.toml")

    def build(self, work: Work) -> None:
        """See `TrainableModel`."""
        asyncio.run(_build(work))

    def train(self, work: Work, minutes: float | None) -> None:
        """See `TrainableModel`."""
        manifest = _manifest(work, _recipe(work))
        plan = work.config.section("train", Plan)
        torch.manual_seed(work.config.seed)
        device = pick_device(work.settings.device)
        learner = _learner(work, device)
        piece = train(
            learner,
            plan,
            work.run,
            f"reader-{manifest.fingerprint}-{work.config.digest(*_DECIDING)}",
            device=device,
            minutes=minutes,
            tell=work.tell,
        )
        work.tell(piece.summary)

    def export(self, work: Work) -> None:
        """See `TrainableModel`."""
        learner, found, scores = _scored(work)
        manifest = _manifest(work)
        export_reader(learner.net, _tokenizer(work), last_step(), work.exported)
        card = Card(
            name="reader",
            what="A small decoder of Llama's architecture for the platform's own prompts, of 18 "
            "million parameters: it names the numbers of the sentences that answer a question, or "
            "says that none does, and writes an agent's steps in JSON. No model for chat. It "
            "begins with the word vectors of all-MiniLM-L6-v2 and with heads set by hand.",
            sources=manifest.sources,
            counts=_in_order(work, manifest.counts),
            kinds="by passages shown",
            scores=_in_words(scores),
            limits=(
                "English, without capitals: what it writes itself is in lower case.",
                "Most of its questions were made by a program from sentences of software "
                "documentation; only those of the reading set are people's.",
                "It abstains too seldom: of the unanswerable questions over held-out pages it "
                "refuses 0.427, of ClapNQ's 0.457 (docs/performance.md).",
                "It was not taught to copy text, but for the task into a query, and there it "
                "leaves out words now and then; the platform holds queries to the task's words.",
                "Sums in words it often gets wrong; the platform has it compute only what the "
                "task states, and it decides no more than whether.",
                "Most of its scores come of few held-out questions, 20 to 75 each: take them for "
                "one digit.",
                "Sentences above number 200 are not shown to it.",
                "It knows the tools `search` and `calculate` and no others, and takes no part in a "
                "conversation: earlier turns are not shown to it.",
            ),
        )
        write_card(work, found, card)
        work.tell(f"exported to {work.exported}")

    def measure(self, work: Work) -> Mapping[str, Any]:
        """See `TrainableModel`."""
        _, found, scores = _scored(work)
        return write_scores(work, "reader", found, scores)


MODEL = ReaderModel()


def last_step() -> str:
    """How the platform's prompt for the last step begins."""
    return prompts.render("last_step", {})[:_LAST_STEP_CHARS]


async def _build(work: Work) -> None:
    building = work.config.section("build", Building)
    course = work.config.section("course", Course)
    (work.examples / _MANIFEST).unlink(missing_ok=True)
    async with open_sources(work.settings, work.sources) as runtime:
        pools, told = await _pools(work, runtime)
    await asyncio.to_thread(_write, work, building, course, pools, told)


async def _pools(work: Work, runtime: Runtime) -> tuple[list[Pool], dict[str, Any]]:
    pages = await read_pages(runtime, work.sources)
    texts = [searchable_text(one.context, one.text) for one in pages.passages]
    index = await asyncio.to_thread(TextIndex, texts, pages.vectors)
    pools = [Pool(pages.passages, index, pages.vectors)]
    told: dict[str, Any] = {
        "collection": pages.collection,
        "packages": sorted({one.page.split("/")[0] for one in pages.passages})[:20],
        "pages": len({one.page for one in pages.passages}),
        "passages": len(pages.passages),
        "texts": texts_digest([one.text for one in pages.passages]),
    }
    work.tell(f"{told['passages']} passages of {told['pages']} pages")
    if work.sources.reading is not None:
        reading = await asyncio.to_thread(read_reading_set, work.sources.reading)
        embedder = await asyncio.to_thread(runtime.embedder)
        texts = [one.text for one in reading.passages]
        vectors = await asyncio.to_thread(embedder.embed_documents, texts)
        pool = Pool(reading.passages, TextIndex(texts, vectors), vectors)
        for question, place, gold in reading.questions:
            pool.questions.setdefault(place, []).append(Question(question, place, tuple(gold)))
        pools.append(pool)
        told |= {"reading": reading.names, "reading_sha256": reading.digest}
        work.tell(f"{len(reading.questions)} questions of the reading set")
    return pools, told


def _write(
    work: Work,
    building: Building,
    course: Course,
    pools: Sequence[Pool],
    told: dict[str, Any],
) -> None:
    encoder = scorer_encoder()
    seed = work.config.seed
    tokenizer = train_tokenizer(_learnt(pools), building.vocabulary)
    work.examples.mkdir(parents=True, exist_ok=True)
    write_whole(work.examples / _TOKENIZER, tokenizer.to_str(pretty=True))
    rarity = rarities(tokenizer, _learnt(pools))
    with replacing(work.examples / _RARITIES) as draft, draft.open("wb") as file:
        np.save(file, rarity)
    passages = [one for pool in pools for one in pool.passages]
    maker = ClozeMaker(word_counts(passages), len(passages), near_words(encoder))
    builder = Builder(pools, maker, building, seed)
    counts: dict[str, dict[str, int]] = {_TRAIN: {}, _HELD: {}}
    digest = hashlib.sha256(tokenizer.to_str().encode())
    tokens: Counter[str] = Counter()
    for stage in course.stages:
        for part, wanted in ((_TRAIN, stage.examples), (_HELD, building.held_out)):

            def tell(made: int, said: str = f"{part} {stage.name}") -> None:
                if made % _TELL_EXAMPLES == 0:
                    work.tell(f"{said}: {made} examples")

            made = builder.sequences(stage, wanted, tokenizer, held_out=part == _HELD, tell=tell)
            folder = work.examples / part / stage.name
            counts[part][stage.name] = write_sequences(folder, made)
            stored = StoredSequences(folder)
            tokens[part] += stored.tokens
            digest.update(stored.digest())
    manifest = Manifest(_recipe(work), told, counts, tokens[_TRAIN], digest.hexdigest()[:32])
    body = msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=2)
    write_whole(work.examples / _MANIFEST, body + b"\n")
    work.tell(f"{sum(counts[_TRAIN].values())} examples, {tokens[_TRAIN]:,} tokens to learn of")


def _learnt(pools: Sequence[Pool]) -> Iterator[str]:
    """Texts for the vocabulary; none that is held out."""
    for number, pool in enumerate(pools):
        for one in pool.passages:
            if not one.is_held_out:
                yield from [_text(one)] * (_READING_REPEATS if number else 1)


def _text(passage: Passage) -> str:
    return f"{passage.context}\n{passage.text}"


def _recipe(work: Work) -> str:
    return work.config.digest("build", "course")


def _manifest(work: Work, recipe: str | None = None) -> Manifest:
    """The manifest of the examples.

    Raises:
        ExamplesMissing: they are not there, or were built by another recipe.
    """
    hint = "Run `python -m evals.training build reader` first."
    try:
        found = msgspec.json.decode((work.examples / _MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        raise ExamplesMissing(
            f"there are no whole examples in {work.examples}", hint=hint
        ) from None
    if recipe is not None and found.recipe != recipe:
        raise ExamplesMissing(f"the examples in {work.examples} are of another recipe", hint=hint)
    return found


def _tokenizer(work: Work) -> Tokenizer:
    return Tokenizer.from_file(str(work.examples / _TOKENIZER))


def _learner(work: Work, device: str) -> Learner:
    course = work.config.section("course", Course)
    shape = work.config.section("net", Shape)
    seed = work.config.seed
    tokenizer = _tokenizer(work)
    embedding = first_embedding(tokenizer, scorer_encoder(), shape.vocabulary, seed)
    net = Reader(shape, embedding, seed)
    marks = Marks.of(tokenizer)
    words = Words.of(tokenizer, _rarity(work, shape.vocabulary))
    begin_by_hand(net, words, seed)
    return Learner(
        net.to(device),
        course,
        work.config.section("pace", Pace),
        work.config.section("guides", Guides),
        marks,
        words.answers,
        _stored(work, _TRAIN),
        _stored(work, _HELD),
        seed=seed,
        device=device,
    )


def _rarity(work: Work, size: int) -> torch.Tensor:
    """[size] float32; beyond the words that were counted all is rare."""
    counted = np.load(work.examples / _RARITIES)
    return torch.from_numpy(np.pad(counted, (0, size - len(counted)), constant_values=1.0))


def _scored(work: Work) -> tuple[Learner, Checkpoint, dict[str, float]]:
    """The trained net as it ships, and its scores."""
    device = pick_device(work.settings.device)
    learner = _learner(work, device)
    found = load_trained(learner.net, work.run)
    net = learner.net.to(device).eval()
    refused = work.config.section("abstention", Abstention).refused
    held, tokenizer = _stored(work, _HELD), _tokenizer(work)
    named = zip(("questions", "sums"), right_calls(net, tokenizer, held, device), strict=True)
    scores = {f"called {name}, of {calls.tasks}": calls.share for name, calls in named}
    marks = Marks.of(tokenizer)
    for choice in Choice.all_of(tokenizer):
        refusals = calibrate_abstention(net, marks, choice, held, refused, device)
        scores[f"refused {choice.name}, answerable"] = refusals.answerable
        scores[f"refused {choice.name}, unanswerable"] = refusals.unanswerable
    with torch.no_grad():
        return learner, found, {**learner.validate(), **scores}


def _in_words(scores: Mapping[str, float]) -> dict[str, float]:
    return {f"{_MEANT[name.split()[0]]}: {name.partition(' ')[2]}": scores[name] for name in scores}


def _in_order(work: Work, counts: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Counts by stage, as the stages follow one another."""
    stages = work.config.section("course", Course).stages
    return {part: {one.name: of.get(one.name, 0) for one in stages} for part, of in counts.items()}


def _stored(work: Work, part: str) -> list[StoredSequences]:
    """The examples of each stage."""
    stages = work.config.section("course", Course).stages
    return [StoredSequences(work.examples / part / stage.name) for stage in stages]
