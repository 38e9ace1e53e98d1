"""What the reader learns of: questions about passages, steps of agents, arithmetic.

What always holds: a task is a function of its passages and the random state; passages that are held
out never come beside those that are not.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from evals.training.clozes import ClozeMaker, content_words, is_prose
from evals.training.pages import Passage
from evals.training.reader.layout import (
    CALL_CALCULATE,
    CALL_SEARCH,
    COMPUTED,
    END_CALL,
    END_FOUND,
    FOUND,
    MOST_NUMBERS,
    NOTHING,
    STOP,
    Shown,
    evidence_prompt,
    material,
    numbers_answer,
    step_prompt,
    words,
)
from evals.training.reader.sums import draw_number, draw_sum, with_numbers
from rostra.retrieval import outside_in

_FEWEST_WORDS = 4
_MOST_CHARS = 400  # of a sentence: of what is longer it is the beginning that counts
_MOST_QUERY_WORDS = 8
_NOT_IN_JSON = str.maketrans({'"': None, "\\": None})
# A task to be computed and one to be looked up are worded alike, but where documents are named.
_FRAMES = (
    "{}",
    "{}",
    "{}",
    "{}?",
    "{}?",
    "{} ?",
    "{}.",
    "Find out: {}",
    "Tell me {}",
    "Please tell me {}",
    "Please {}",
    "I want to know {}",
    "Answer this question: {}",
)
_DOCUMENT_FRAMES = (
    "Please look up {}",
    "Use the documents to answer: {}",
    "What do the documents say: {}",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question or step, with what is to be said.

    Attributes:
        prompt: ends with the token that asks for an answer.
        answer: without the end token.
        gold: numbers of the sentences that answer, in what is shown; none where nothing does.
        reads: it has material of which sentences are to be chosen.
    """

    prompt: str
    answer: str
    gold: tuple[int, ...] = ()
    reads: bool = True


@dataclass(frozen=True, slots=True)
class Question:
    """A question, by the passage and the sentences in it that answer it."""

    text: str
    passage: int
    sentences: tuple[int, ...]


def citable(passage: Passage) -> list[int]:
    """Its sentences that are numbered: those that can stand as an answer."""
    return [
        at for at in range(len(passage.spans)) if len(passage.sentence(at).split()) >= _FEWEST_WORDS
    ]


def cloze_questions(
    passage: Passage, at: int, make: ClozeMaker, rng: random.Random, hardness: float, most: int
) -> list[Question]:
    """Questions that a program makes of a passage's sentences, of each at most one.

    Args:
        at: the passage's place in its list.
    """
    prose = [one for one in citable(passage) if is_prose(passage.sentence(one))]
    rng.shuffle(prose)
    made = []
    for sentence in prose[:most]:
        text = make.make(passage.sentence(sentence), passage.context, rng, hardness)
        if text:
            made.append(Question(text, at, (sentence,)))
    return made


def ask_all(
    passages: Sequence[Passage],
    shown: Sequence[int],
    questions: Sequence[Question],
    rng: random.Random,
) -> list[Asked]:
    """Each question with the passages, which stand in another order each time.

    Args:
        passages: all that there are.
        shown: which of them are shown.
        questions: those about a passage that is not shown have no answer here.
    """
    asked = []
    for question in questions:
        parts, numbers = _shown(passages, shown, rng)
        found = (numbers.get((question.passage, one)) for one in question.sentences)
        gold = tuple(sorted(number for number in found if number is not None))
        if not gold and question.passage in shown and question.sentences:
            continue  # its answer is there, but has no number
        asked.append(_asked(question.text, parts, gold, rng))
    return asked


def _shown(
    passages: Sequence[Passage], chosen: Sequence[int], rng: random.Random
) -> tuple[list[Shown], dict[tuple[int, int], int]]:
    """Passages in an order of their own, and the number of each (passage, sentence)."""
    order = list(chosen)
    rng.shuffle(order)
    kept = {at: citable(passages[at]) for at in order}
    while sum(map(len, kept.values())) > MOST_NUMBERS:
        kept.pop(order.pop())
    room = MOST_NUMBERS - sum(map(len, kept.values()))
    # A second search goes on counting where the first one ended.
    first = rng.randint(1, room) if room > 1 and rng.random() < 0.5 else 1
    numbers: dict[tuple[int, int], int] = {}
    parts = []
    for at in order:
        lines = []
        for sentence in kept[at]:
            numbers[at, sentence] = first + len(numbers)
            lines.append((numbers[at, sentence], passages[at].sentence(sentence)[:_MOST_CHARS]))
        if lines:
            parts.append(Shown(_title(passages[at]), tuple(lines)))
    if rng.random() < 0.5:
        parts = list(outside_in(parts))
    return parts, numbers


def opening_step(question: str, rng: random.Random, numbered: float = 0.0) -> Asked:
    """The first step of an agent: it searches.

    Args:
        numbered: how often the question is made one that holds numbers, and is still no sum.
    """
    if rng.random() < numbered:
        question = with_numbers(question, content_words(question), rng)
    task = _task(question, rng)
    prompt = step_prompt(task, calculate=rng.random() < 0.7)
    return Asked(prompt, CALL_SEARCH + query_of(task) + END_CALL, reads=False)


def _asked(
    question: str, parts: Sequence[Shown], gold: tuple[int, ...], rng: random.Random
) -> Asked:
    if rng.random() < 0.5:
        return Asked(evidence_prompt(question, parts), numbers_answer(gold), gold)
    task = _task(question, rng)
    turns = [(query_of(task), material(parts))]
    if rng.random() < 0.3:
        # What a first search found, then a second one.
        cut = rng.randint(0, len(parts))
        turns = [
            (query_of(task), material(parts[:cut])),
            (other_query_of(question), material(parts[cut:])),
        ]
    last = rng.random() < 0.1
    prompt = step_prompt(task, turns, calculate=rng.random() < 0.7, last=last)
    if gold:
        listed = numbers_answer(gold)[1:-1]
        return Asked(prompt, FOUND + listed + END_FOUND, gold)
    return Asked(prompt, NOTHING)


def _task(question: str, rng: random.Random) -> str:
    return rng.choice(_FRAMES + _DOCUMENT_FRAMES).format(question.rstrip("? "))


def query_of(task: str) -> str:
    """What to search for: the task as it stands, without what would end its text in JSON."""
    return words(task.translate(_NOT_IN_JSON))


def other_query_of(question: str) -> str:
    """What somebody might search for instead: the question's words that say something."""
    found = [word.lower() for word in content_words(question)]
    return " ".join(list(dict.fromkeys(found))[:_MOST_QUERY_WORDS])


def _title(passage: Passage) -> str:
    return passage.context.split(" > ")[0][:100]


def arithmetic_step(rng: random.Random) -> Asked:
    """A step of a task that is to be computed: the call, or the answer from its result."""
    asked, expression = draw_sum(rng)
    task = rng.choice(_FRAMES).format(asked)
    if rng.random() < 0.6:
        prompt = step_prompt(task, calculate=True)
        return Asked(prompt, CALL_CALCULATE + words(expression) + END_CALL, reads=False)
    first = rng.randint(1, MOST_NUMBERS) if rng.random() < 0.5 else 1
    result = f"{expression} {rng.choice('==≈')} {draw_number(rng)}"
    found = f"<|{first}|> {result}{STOP}"
    prompt = step_prompt(task, [(expression, found)], calculate=True)
    return Asked(prompt, COMPUTED + str(first) + END_FOUND, reads=False)
