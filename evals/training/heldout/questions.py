"""Questions over held-out pages, answerable and not.

Headings and terms of the index as questions, and hard clozes: no exact phrases, and not so few
words that nobody could say what is asked. Pages are dealt into those of the collection and those
that are left out of it. An unanswerable question is of a page that is left out, or of a sentence
that is cut out of its passage.

What always holds: all passages are held out; no passage of the collection has all words of an
unanswerable question; a sentence that is cut out is the gold of no question. Each kind has about
the same share, as far as there are questions of it.

`held_out_reading` takes people's questions instead, those of a reading set about passages that are
held out; there the set's other passages lie beside them in the collection.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from evals.training.clozes import ClozeMaker, IndexTerm, content_words
from evals.training.examples.drafts import (
    Draft,
    heading_drafts,
    prose_of,
    term_drafts,
)
from evals.training.examples.reading import ReadingSet
from evals.training.examples.records import without_sentences
from evals.training.pages import Passage

_LEFT_OUT = 3  # one page of so many
_CUT = 0.5  # share of the unanswerable questions whose sentence is cut out
_PLENTY = 4  # drafts for a question wanted
_FEWEST_WORDS = {"cloze": 4}  # by kind
_FEWEST = 2
_HARDNESS = 0.6


@dataclass(frozen=True, slots=True)
class HeldOutSize:
    """How many questions."""

    answerable: int = 300
    unanswerable: int = 300


@dataclass(frozen=True, slots=True)
class HeldOutQuestions:
    """See this module.

    Attributes:
        passages: of the collection, with the sentences cut out.
        answerable: their places are in `passages`.
        unanswerable: those with a place are of a passage that was cut, the others have -1.
    """

    passages: list[Passage]
    answerable: list[Draft]
    unanswerable: list[Draft]


def held_out_questions(
    passages: Sequence[Passage],
    terms: Sequence[IndexTerm],
    maker: ClozeMaker,
    size: HeldOutSize,
    seed: int,
) -> HeldOutQuestions:
    """Makes a set; there may be fewer questions than wanted."""
    held = [one for one in passages if one.is_held_out]
    pages = sorted({one.page for one in held})
    random.Random(f"{seed}-pages").shuffle(pages)
    left_out = set(pages[::_LEFT_OUT])
    own = [one for one in held if one.page not in left_out]
    away = [one for one in held if one.page in left_out]

    cut_wanted = round(size.unanswerable * _CUT)
    drafts = _drafts(own, terms, maker, size.answerable + cut_wanted, f"{seed}-own")
    # Of clozes alone the one sentence is known that answers.
    cut = [one for one in drafts if one.kind == "cloze"][:cut_wanted]
    cut_sentences = {(one.place, number) for one in cut for number in one.gold}
    kept = _in_turn([one for one in drafts if one not in cut and not _touched(one, cut_sentences)])
    by_place: dict[int, list[int]] = {}
    for place, number in sorted(cut_sentences):
        by_place.setdefault(place, []).append(number)
    own = [
        without_sentences(one, by_place[place]) if place in by_place else one
        for place, one in enumerate(own)
    ]
    known = [{word.lower() for word in content_words(f"{one.context} {one.text}")} for one in own]
    answerable = [_moved(one, by_place.get(one.place, [])) for one in kept][: size.answerable]
    unanswerable = [replace(one, gold=[]) for one in cut if _is_nowhere(one.question, known)]
    for draft in _drafts(away, terms, maker, size.unanswerable, f"{seed}-away"):
        if len(unanswerable) >= size.unanswerable:
            break
        if _is_nowhere(draft.question, known):
            unanswerable.append(replace(draft, place=-1, gold=[]))
    random.Random(f"{seed}-order").shuffle(unanswerable)
    return HeldOutQuestions(own, answerable, unanswerable)


def held_out_reading(reading: ReadingSet, size: HeldOutSize, seed: int) -> HeldOutQuestions:
    """Makes a set of people's questions; there may be fewer than wanted."""
    rng = random.Random(f"{seed}-reading")
    held = [place for place, one in enumerate(reading.passages) if one.is_held_out]
    left_out = set(rng.sample(held, len(held) // _LEFT_OUT))
    kept = [place for place in range(len(reading.passages)) if place not in left_out]
    moved = {place: at for at, place in enumerate(kept)}
    passages = [reading.passages[place] for place in kept]
    known = [{word.lower() for word in content_words(one.text)} for one in passages]
    answerable, unanswerable = [], []
    for question, place, gold in rng.sample(reading.questions, len(reading.questions)):
        if place in left_out:
            if _is_nowhere(question, known):
                unanswerable.append(Draft("reading", question, -1, []))
        elif reading.passages[place].is_held_out:
            answerable.append(Draft("reading", question, moved[place], gold))
    return HeldOutQuestions(
        passages, answerable[: size.answerable], unanswerable[: size.unanswerable]
    )


def _drafts(
    passages: Sequence[Passage],
    terms: Sequence[IndexTerm],
    maker: ClozeMaker,
    count: int,
    seed: str,
) -> list[Draft]:
    """Drafts of all kinds in turn, each question once."""
    prose = prose_of(passages)
    rng = random.Random(seed)
    plenty = count * _PLENTY
    kinds = [
        heading_drafts(passages, prose, plenty, rng),
        term_drafts(passages, prose, terms, plenty, rng),
        _hard_clozes(passages, prose, maker, plenty, rng),
    ]
    seen: dict[str, Draft] = {}
    for draft in (one for kind in kinds for one in kind):
        if len(content_words(draft.question)) >= _FEWEST_WORDS.get(draft.kind, _FEWEST):
            seen.setdefault(draft.question.rstrip("?"), draft)
    return _in_turn(list(seen.values()))


def _in_turn(drafts: Sequence[Draft]) -> list[Draft]:
    """One of each kind after the other."""
    by_kind: dict[str, list[Draft]] = {}
    for one in drafts:
        by_kind.setdefault(one.kind, []).append(one)
    return [one for row in zip_longest(*by_kind.values()) for one in row if one is not None]


def _hard_clozes(
    passages: Sequence[Passage],
    prose: Sequence[Sequence[int]],
    maker: ClozeMaker,
    count: int,
    rng: random.Random,
) -> list[Draft]:
    """One question a passage."""
    found = []
    places = [place for place, numbers in enumerate(prose) if numbers]
    for place in rng.sample(places, min(count, len(places))):
        one, number = passages[place], rng.choice(prose[place])
        question = maker.make(one.sentence(number), one.context, rng, _HARDNESS, exact=False)
        if question is not None:
            found.append(Draft("cloze", question, place, [number]))
    return found


def _touched(draft: Draft, cut: set[tuple[int, int]]) -> bool:
    return any((draft.place, number) in cut for number in draft.gold)


def _moved(draft: Draft, cut: Sequence[int]) -> Draft:
    """Its sentences' numbers after some of the passage were cut out."""
    return replace(draft, gold=[number - sum(one < number for one in cut) for number in draft.gold])


def _is_nowhere(question: str, known: Sequence[set[str]]) -> bool:
    wanted = {word.lower() for word in content_words(question)}
    return not any(wanted <= words for words in known)
