"""Grammars that xgrammar or the guard trip over: split characters, wrong masks, many readings."""

import json
import random
import re

import pytest

from rostra.core import Choice, Constraint, JsonSchema, Regex, RostraError
from rostra.serving.errors import GrammarBroken, InvalidGrammar
from rostra.serving.grammar.automaton import Automaton
from rostra.serving.grammar.builder import build
from rostra.serving.grammar.expr import Repeat, Text, pruned, repeat
from rostra.serving.grammar.follower import MAX_CONFIGURATIONS, Follower, NoWay, Tables
from rostra.serving.grammar.guard import ClosingGuard
from rostra.serving.grammar.translate import translate
from rostra.serving.grammar.worker import compile_constraint
from tests.unit.serving.grammar.conftest import allowed, run, spell

SPLIT: list[tuple[Constraint, str]] = [
    (Choice(("日本", "中国")), "日本|中国"),
    (Choice(("日本語", "日曜日", "é", "è", "😀😀", "😁")), "日本語|日曜日|é|è|😀😀|😁"),
    (JsonSchema(json.dumps({"enum": ["groß", "日本語"]})), '"groß"|"日本語"'),
    (Regex("a\\s"), "a[\\s\ufeff]"),  # ECMA-262 counts U+FEFF
    (Regex("(é|日){2,3}😀"), "(é|日){2,3}😀"),
]


@pytest.mark.parametrize(("constraint", "pattern"), SPLIT)
def test_characters_cut_into_bytes(compiled, vocabulary, constraint, pattern) -> None:
    grammar = compiled(constraint)
    for seed in range(30):
        rng = random.Random(seed)
        most = grammar.shortest + rng.choice([0, 1, 4, 20])
        text = spell(vocabulary, run(grammar.start(most), vocabulary, rng, most))
        assert re.fullmatch(pattern, text), text


def test_a_token_that_the_mask_has_and_the_matcher_refuses(compiled, vocabulary) -> None:
    grammar = compiled(Regex(r"a(the|ab)[^\x00-\x7f]the"))
    for seed in range(60):
        rng = random.Random(seed)
        most = grammar.shortest + rng.choice([0, 2, 20])
        text = spell(vocabulary, run(grammar.start(most), vocabulary, rng, most))
        assert re.fullmatch(r"a(the|ab)[^\x00-\x7f]the", text), text


class Deaf:
    """xgrammar's matcher, which refuses what it allowed."""

    def __init__(self, matcher) -> None:
        self._matcher = matcher
        self.refuse: list[bool] = []

    def accept_token(self, token: int) -> bool:
        if self.refuse and self.refuse.pop(0):
            return False
        return self._matcher.accept_token(token)

    def __getattr__(self, name: str):
        return getattr(self._matcher, name)


@pytest.mark.parametrize("refusals", [[True], [True, True]])
def test_a_refused_token_is_replaced_by_the_way_to_the_end(compiled, vocabulary, refusals) -> None:
    grammar = compiled(Regex("a[bc]{2,4}é"))
    for seed in range(20):
        rng = random.Random(seed)
        matcher = grammar.start(8)
        matcher._matcher = Deaf(matcher._matcher)
        taken: list[int] = []
        while not matcher.finished:
            matcher._matcher.refuse = list(refusals) if rng.random() < 0.4 else []
            taken += matcher.take(rng.choice(allowed(matcher, vocabulary)))
        assert re.fullmatch("a[bc]{2,4}é", spell(vocabulary, taken))
        assert len(taken) <= 8


def _pattern(rng: random.Random, depth: int = 2) -> str:
    atoms = ["a", "the", "ab", "é", "日", "😀", "[^\\x00-\\x7f]", "[a-c]", "\\s", "[日本é]"]
    parts: list[str] = []
    for _ in range(rng.randint(1, 3)):
        part = rng.choice(atoms)
        if depth and rng.random() < 0.5:
            options = [_pattern(rng, depth - 1) for _ in range(rng.randint(1, 3))]
            part = "(?:" + "|".join(options) + ")"
        elif len(part) > 1 and part[0] not in "[\\":
            part = f"(?:{part})"
        parts.append(part + rng.choice(["", "", "", "?", "{1,2}", "*"]))
    return "".join(parts)


def test_texts_of_random_patterns_match_them(compiled, vocabulary) -> None:
    for seed in range(40):
        rng = random.Random(seed)
        pattern = _pattern(rng)
        grammar = compiled(Regex(pattern))
        for _ in range(4):
            most = grammar.shortest + rng.choice([0, 1, 3, 12])
            text = spell(vocabulary, run(grammar.start(most), vocabulary, rng, most))
            ours = pattern.replace("\\s", "[\\s\ufeff]")
            assert re.fullmatch(ours, text), (pattern, text)


def test_what_goes_wrong_inside_ends_only_the_request(compiled, vocabulary, monkeypatch) -> None:
    assert issubclass(GrammarBroken, RostraError)
    assert (GrammarBroken.status, GrammarBroken.code) == (500, "grammar_broken")

    def lost(*_: object) -> None:
        raise NoWay("lost")

    matcher = compiled(Regex("a+b")).start(9)
    monkeypatch.setattr(ClosingGuard, "admits", lost)
    monkeypatch.setattr(ClosingGuard, "closing", lost)
    with pytest.raises(GrammarBroken, match="lost"):
        matcher.take(ord("a"))
    monkeypatch.setattr(ClosingGuard, "require", lost)
    with pytest.raises(GrammarBroken, match="lost"):
        compiled(Regex("a+b")).start(9)


def _automaton(pattern: str, vocabulary) -> Automaton:
    return build(pruned(translate(Regex(pattern), vocabulary.named)))


@pytest.mark.parametrize(
    "pattern",
    ["a(([a-f]){0,40}){1,300}", "(((the)*){2,5}){1,300}((?:)|a)", "((a{0,60}){1,30}){1,20}b"],
)
def test_runs_of_runs_have_one_reading(vocabulary, pattern) -> None:
    follower = Follower.start(Tables(_automaton(pattern, vocabulary)))
    for byte in b"thethethe" if "the" in pattern else b"aaaaaa":
        follower = follower.after([byte])
        assert len(follower.configurations) <= 4


@pytest.mark.parametrize(
    "pattern",
    ["((a?b?){0,40}){1,300}c", "(a|aa|[ab]){0,300}(a{0,60}|[ab]{0,60}){1,60}", "(x?a?){2000}b"],
)
def test_too_many_readings_are_refused_when_compiled(vocabulary, pattern) -> None:
    with pytest.raises(InvalidGrammar, match="too ambiguous"):
        compile_constraint(Regex(pattern), vocabulary)


def test_too_long_runs_of_runs_are_refused_when_compiled(vocabulary) -> None:
    with pytest.raises(InvalidGrammar, match="too large"):
        compile_constraint(Regex("((a{0,60}){1,300}){1,20}b"), vocabulary)


def test_a_thousand_options_are_no_ambiguity(compiled, vocabulary) -> None:
    options = tuple(f"option {index} é" for index in range(2_000))
    grammar = compiled(Choice(options))
    assert len(Follower.start(Tables(grammar.automaton)).configurations) < MAX_CONFIGURATIONS
    text = spell(vocabulary, run(grammar.start(40), vocabulary, random.Random(0), 40))
    assert text in options


def test_runs_of_runs_are_runs() -> None:
    a = Text("a")
    assert repeat(Repeat(a, 0, 40), 1, 300) == Repeat(a, 0, 12_000)
    assert repeat(Repeat(a, 1, 2), 3, None) == Repeat(a, 3, None)
    assert repeat(Repeat(a, 2, 3), 1, 2) == Repeat(Repeat(a, 2, 3), 1, 2)
