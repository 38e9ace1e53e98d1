"""Making a set: attempts in batches, until there are enough questions.

Beside the file of the set lies its journal, `FILE.log`; whoever runs the same again goes on where
it ends, and whoever asks for more gets more.

What always holds: attempts are numbered, and taken into the set in their order, so that the same
seed over the same documents and a model that says the same gives the same set, however many
attempts are made at once and however often it was broken off.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from evals.core.states import Usage
from evals.errors import DatasetError
from evals.sets.errors import NoModel, NothingToAsk, SetConflict, SetExists
from evals.sets.synthetic.asking import Asker, ModelFailed
from evals.sets.synthetic.checks import Dropped
from evals.sets.synthetic.duplicates import Known
from evals.sets.synthetic.journal import Attempt, Header, Journal
from evals.sets.synthetic.passages import Sampler, open_sampler
from evals.sets.synthetic.prompts import PROMPT_VERSION, Difficulty
from evals.sets.synthetic.trying import Tried, Trier, Turn
from evals.sets.writing import line_of, write_privately
from rostra.core import InvalidRequest
from rostra.runtime import Runtime

MOST_QUESTIONS = 10_000
_FAILURES = 5  # attempts one after the other that a model may fail at
_MOST_DETAIL = 600

OnQuestion = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SynthesisOptions:
    """How questions are made.

    Attributes:
        questions: how many there are to be.
        unanswerable, two, paraphrase: shares of these kinds; the rest asks for a single fact.
        k: how many hits the source of a question is looked for among.
        verify: ask the model too whether the quotes alone answer.
        attempts: most that are made for each question that is missing.
        duplicate: cosine from which on two questions ask the same.
    """

    collection: str
    questions: int = 50
    seed: int = 0
    unanswerable: float = 0.2
    two: float = 0.2
    paraphrase: float = 0.25
    k: int = 10
    verify: bool = False
    temperature: float = 0.7
    max_tokens: int = 800
    parallel: int = 4
    attempts: int = 4
    duplicate: float = 0.93

    def __post_init__(self) -> None:
        shares = (self.unanswerable, self.two, self.paraphrase)
        if min(shares) < 0 or sum(shares) > 1 + 1e-9:
            raise InvalidRequest(
                "shares of kinds of questions are from 0 to 1, and 1 at most in all"
            )
        if not 1 <= self.questions <= MOST_QUESTIONS:
            raise InvalidRequest(f"a set has 1 to {MOST_QUESTIONS:,} questions")
        if not (1 <= self.parallel <= 256 and 1 <= self.attempts <= 100 and 1 <= self.k <= 100):
            raise InvalidRequest("parallel is 1 to 256, attempts 1 to 100, k 1 to 100")

    def deciding(self) -> dict[str, Any]:
        """Those that decide about questions, beside collection and seed."""
        others = ("collection", "seed", "questions", "parallel", "attempts")
        return {name: value for name, value in asdict(self).items() if name not in others}


@dataclass(slots=True)
class SynthesisReport:
    """What was made.

    Attributes:
        questions: in the set.
        before: of them, those that an earlier run made.
        wanted: how many there were to be.
        attempts: at questions, those of earlier runs among them.
        kinds: questions by difficulty.
        dropped: attempts without a question, by reason.
        missed: questions with an answer whose source search does not find among the top k.
        usage: of the model, by all attempts.
        short: why there are not as many as wanted; empty if there are.
    """

    path: Path
    wanted: int
    questions: int = 0
    before: int = 0
    attempts: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    missed: int = 0
    usage: Usage = field(default_factory=Usage)
    short: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self) | {
            "path": str(self.path),
            "usage": msgspec.to_builtins(self.usage),
        }


def journal_path(path: Path) -> Path:
    """Where the journal of a set lies."""
    return path.with_name(f"{path.name}.log")


async def synthesize(
    runtime: Runtime,
    path: Path,
    options: SynthesisOptions,
    *,
    replace: bool = False,
    on_question: OnQuestion = lambda done, total: None,
) -> SynthesisReport:
    """Makes a set of questions about a collection, or goes on with one.

    Args:
        path: of the set, a file of JSON lines.
        replace: begin anew where there is one.
        on_question: called with (taken, wanted) after each attempt.

    Raises:
        NoModel: no model is set.
        CollectionNotFound: there is no such collection.
        NothingToAsk: it has no text to ask about.
        SetExists: the file is there, and was not made here.
        SetConflict, SetBroken: its journal cannot be gone on with.
        DatasetError: a file cannot be written, or no attempt gave a question.
        RostraError: the model failed several times one after the other; what was made stays.
    """
    if runtime.generator is None:
        raise NoModel(
            "questions are made by a model, and none is set",
            hint="Set ROSTRA_MODEL, or ROSTRA_CHAT_URL and ROSTRA_CHAT_MODEL.",
        )
    sampler = await open_sampler(runtime.database, options.collection, options.seed)
    if not sampler.documents:
        raise NothingToAsk(f"collection {options.collection!r} has no documents")
    asker = Asker(runtime.generator, temperature=options.temperature, max_tokens=options.max_tokens)
    header = Header(
        collection=options.collection,
        collection_id=str(sampler.collection.id),
        generation=sampler.collection.generation,
        model=asker.name,
        prompt=PROMPT_VERSION,
        seed=options.seed,
        options=options.deciding(),
    )
    try:
        with _opened(path, header, replace=replace) as journal:
            _check_unchanged(path, journal, replace=replace)
            maker = _Maker(runtime, sampler, asker, options, journal, on_question)
            before = len(journal.records)
            try:
                short = await maker.fill()
            finally:
                if journal.records:
                    write_privately(path, journal.records)
            report = _report(path, journal, options, short)
            report.before = before
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
    if not report.questions:
        raise DatasetError(
            f"no question came of {report.attempts} attempts ({_in_words(report.dropped)})"
            if report.attempts
            else short,
            hint=f"What the model said stands in {journal_path(path)}.",
        )
    return report


def _opened(path: Path, header: Header, *, replace: bool) -> Journal:
    there = journal_path(path)
    if replace:
        there.unlink(missing_ok=True)
    elif path.exists() and not there.exists():
        raise SetExists(f"{path} is there already", hint="Name another file, or say --replace.")
    return Journal(there, header)


def _check_unchanged(path: Path, journal: Journal, *, replace: bool) -> None:
    """Whether a file is what the journal made of it, so that nobody's own work is written over."""
    if replace or not path.exists():
        return
    made = "".join(map(line_of, journal.records)).encode()
    if not made.startswith(path.read_bytes()):
        raise SetConflict(
            f"{path} was changed since it was made",
            hint="Rename it, so that the journal makes it anew, or say --replace.",
        )


class _Maker:
    """Fills a journal."""

    def __init__(
        self,
        runtime: Runtime,
        sampler: Sampler,
        asker: Asker,
        options: SynthesisOptions,
        journal: Journal,
        on_question: OnQuestion,
    ) -> None:
        self._runtime = runtime
        self._sampler = sampler
        self._options = options
        self._journal = journal
        self._on_question = on_question
        self._taken = len(journal.records)
        self._turn = max((one.turn for one in journal.attempts), default=-1) + 1
        self._failures = 0
        self._trier = Trier(
            runtime, sampler, asker, k=options.k, seed=options.seed, verifies=options.verify
        )
        self._kinds = _kinds(options)
        for _ in islice(self._kinds, len(journal.attempts)):
            pass  # those that were tried

    async def fill(self) -> str:
        """Makes attempts until there are enough questions; why there are fewer, else empty."""
        wanted = self._options.questions
        known = await self._known()
        left = self._options.attempts * max(0, wanted - self._taken)
        self._on_question(min(self._taken, wanted), wanted)
        while self._taken < wanted:
            if left <= 0:
                return (
                    f"the attempts are used up: {self._options.attempts} for each missing question"
                )
            turns = await self._next(min(self._options.parallel, wanted - self._taken, left))
            if not turns:
                return "no document has more text to ask about"
            left -= len(turns)
            tried = [Tried(turn) for turn in turns]
            for one, error in zip(tried, await self._try(tried), strict=True):
                self._take(one, error, known)
                self._on_question(self._taken, wanted)
        return ""

    async def _known(self) -> Known:
        embedder = await asyncio.to_thread(self._runtime.embedder)
        known = Known(embedder.space.dimensions, self._options.duplicate)
        for record in self._journal.records:
            question = str(record["question"])
            known.add(question, await asyncio.to_thread(embedder.embed_query, question))
        return known

    async def _next(self, count: int) -> list[Turn]:
        """The next passages with text; fewer where a whole round of documents has none."""
        turns: list[Turn] = []
        idle = 0
        while len(turns) < count and idle < self._sampler.documents:
            turn = self._turn
            self._turn += 1
            passage = await self._sampler.take(turn)
            if passage is None or not passage.is_telling:
                idle += 1
                continue
            idle = 0
            number = len(self._journal.attempts) + len(turns)
            digest = hashlib.sha256(f"{self._options.seed}\0{number}".encode()).digest()
            seed = int.from_bytes(digest[:4], "big")
            turns.append(Turn(number, turn, next(self._kinds), passage, seed))
        return turns

    async def _try(self, tried: list[Tried]) -> list[Dropped | ModelFailed | None]:
        async def one(attempt: Tried) -> Dropped | ModelFailed | None:
            try:
                await self._trier(attempt)
            except (Dropped, ModelFailed) as error:
                return error
            return None

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(attempt)) for attempt in tried]
        except BaseExceptionGroup as errors:
            # The store, or a bug; one word of it is enough.
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]

    def _take(self, tried: Tried, error: Dropped | ModelFailed | None, known: Known) -> None:
        """Writes down what came of an attempt."""
        record = tried.record
        if error is None and record is not None and tried.vector is not None:
            try:
                known.check(record["question"], tried.vector)
                known.add(record["question"], tried.vector)
            except Dropped as dropped:
                error = dropped
        is_failed = isinstance(error, ModelFailed)
        turn = tried.turn
        self._journal.append(
            Attempt(
                number=turn.number,
                turn=turn.turn,
                kind=turn.kind.value,
                record=record if error is None else None,
                dropped="" if error is None else _reason(error),
                detail="" if error is None else _detail(error, tried),
                failed=is_failed,
                usage=tried.usage,
            )
        )
        self._taken += error is None
        self._failures = self._failures + 1 if is_failed else 0
        if isinstance(error, ModelFailed) and self._failures >= _FAILURES:
            raise error.error


def _reason(error: Dropped | ModelFailed) -> str:
    if isinstance(error, ModelFailed):
        return f"the model failed: {error.error.code}"
    return str(error)


def _detail(error: Dropped | ModelFailed, tried: Tried) -> str:
    said: str = error.error.message if isinstance(error, ModelFailed) else tried.said
    return said[:_MOST_DETAIL].encode("utf-8", "replace").decode()


def _kinds(options: SynthesisOptions) -> Iterator[Difficulty]:
    """Kinds of questions in turn, as near to their shares as can be at every point."""
    shares = {
        Difficulty.FACT: 1 - options.unanswerable - options.two - options.paraphrase,
        Difficulty.PARAPHRASE: options.paraphrase,
        Difficulty.TWO: options.two,
        Difficulty.NONE: options.unanswerable,
    }
    given = Counter[Difficulty]()
    while True:
        total = given.total() + 1
        kind = max(shares, key=lambda one: round(shares[one] * total - given[one], 9))
        given[kind] += 1
        yield kind


def _report(path: Path, journal: Journal, options: SynthesisOptions, short: str) -> SynthesisReport:
    report = SynthesisReport(path, options.questions, short=short)
    report.attempts = len(journal.attempts)
    report.questions = len(journal.records)
    report.kinds = dict(
        Counter(one.kind for one in journal.attempts if one.record is not None).most_common()
    )
    report.dropped = dict(
        Counter(one.dropped for one in journal.attempts if one.dropped).most_common()
    )
    report.missed = sum(
        "answers" in record and None in record["metadata"]["retrieval"]["ranks"]
        for record in journal.records
    )
    for one in journal.attempts:
        report.usage += one.usage
    return report


def _in_words(reasons: dict[str, int]) -> str:
    return "; ".join(f"{count}: {reason}" for reason, count in reasons.items())
