"""Patterns, grammars and numbers: each admits exactly what it says, by an oracle."""

import json
import random
import re
from decimal import Decimal

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar import regular
from rostra.serving.grammar.builder import build
from rostra.serving.grammar.expr import Grammar, Rule, Text, alt, pruned, seq
from rostra.serving.grammar.follower import Follower, NoWay, Tables
from rostra.serving.grammar.formats import FORMATS, format_expr
from rostra.serving.grammar.gbnf import parse_gbnf
from rostra.serving.grammar.json_ebnf import in_string
from rostra.serving.grammar.numbers import decimals, integers, multiples
from rostra.serving.grammar.regex import parse_regex


def matches(grammar: Grammar, text: str) -> bool:
    try:
        return Follower.start(Tables(build(grammar))).after(text.encode()).complete
    except NoWay:
        return False


atoms = st.sampled_from(["a", "b", "é", ".", "[ab]", "[^a]", r"\d", "(?:ab|b)", "(a|)"])
patterns = st.lists(
    st.tuples(atoms, st.sampled_from(["", "*", "+", "?", "{2}", "{1,3}", "{0,}"])), max_size=5
).map(lambda parts: "".join(atom + count for atom, count in parts))
texts = st.text(alphabet="abé1\n", max_size=7)


@given(st.lists(patterns, min_size=1, max_size=3).map("|".join), texts)
@settings(max_examples=150, deadline=None)
def test_patterns_match_what_python_matches(pattern: str, text: str) -> None:
    expr = parse_regex(pattern)
    expected = re.fullmatch(pattern, text) is not None
    assert regular.from_expr(expr).accepts(text) == expected
    assert matches(pruned(Grammar({"root": expr})), text) == expected


@given(patterns, patterns, texts)
@settings(max_examples=100, deadline=None)
def test_intersection_and_complement(a: str, b: str, text: str) -> None:
    left, right = (regular.from_expr(parse_regex(each)) for each in (a, b))
    in_a, in_b = left.accepts(text), right.accepts(text)
    assert regular.intersection(left, right).accepts(text) == (in_a and in_b)
    assert regular.complement(left).accepts(text) != in_a


@given(patterns, texts)
@settings(max_examples=100, deadline=None)
def test_a_search_may_match_anywhere(pattern: str, text: str) -> None:
    for anchored in (pattern, f"^(?:{pattern})", f"^{pattern}$", f"(^a|b){pattern}"):
        expected = re.search(anchored.replace("$", r"\Z"), text) is not None
        try:
            dfa = regular.from_expr(parse_regex(anchored, search=True))
        except regular.TooLarge:  # anywhere, then many dots: a state for each set of places
            reject()
        assert dfa.accepts(text) == expected, anchored


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(a)\1", "back"),
        (r"a(?=b)", "looks around"),
        (r"(?<!a)b", "looks around"),
        (r"\bword", "word boundary"),
        ("a{3,1}", "swapped"),
        ("a**", "repeats"),
        ("(a", "not closed"),
        ("a)", "not opened"),
        ("[b-a]", "swapped"),
        ("*a", "repeats nothing"),
        ("a{999999999999}", "repeats more"),
        ("(" * 500, "deeply"),
        ("\\", "too early"),
    ],
)
def test_broken_and_irregular_patterns_are_refused(pattern: str, why: str) -> None:
    with pytest.raises(InvalidGrammar, match=why):
        parse_regex(pattern)


def test_an_exponential_pattern_is_harmless() -> None:
    dfa = regular.from_expr(parse_regex("(a+)+(a|aa)*$", search=True))
    assert not dfa.accepts("a" * 2000 + "!")


@given(st.integers(-3000, 3000), st.integers(0, 3000), st.integers(-7000, 7000))
@settings(max_examples=150, deadline=None)
def test_integer_ranges(low: int, width: int, value: int) -> None:
    high = low + width
    dfa = regular.from_expr(integers(low, high))
    for each in (value, low, high, low - 1, high + 1):
        assert dfa.accepts(str(each)) == (low <= each <= high)
    assert not dfa.accepts("-0") and not dfa.accepts(f"0{abs(value)}")


bounds = st.tuples(st.decimals(-20, 20, places=2), st.booleans()) | st.none()


@given(bounds, bounds, st.decimals(-30, 30, places=3))
@settings(max_examples=200, deadline=None)
def test_decimal_ranges(low, high, value: Decimal) -> None:
    expr = decimals(low, high, None)
    inside = (low is None or value > low[0] or (value == low[0] and not low[1])) and (
        high is None or value < high[0] or (value == high[0] and not high[1])
    )
    if expr == alt():
        assert not inside
        return
    text = f"{value:f}"
    if text.startswith("-") and value == 0:
        return
    assert regular.from_expr(expr).accepts(text) == inside


def test_multiples() -> None:
    tens = regular.from_expr(multiples(10, None, 500, 5))
    assert [each for each in range(-30, 600) if tens.accepts(str(each))] == [
        each for each in range(-30, 501) if each % 10 == 0
    ]
    sevens = regular.from_expr(multiples(7, -20, 100, 5))
    assert all(sevens.accepts(str(each)) == (each % 7 == 0) for each in range(-20, 101))
    assert multiples(7, None, None, 5) is None


@given(st.text(alphabet='a"\\\n\x00é', max_size=6))
def test_characters_in_strings_are_escaped(text: str) -> None:
    inside = json.dumps(text, ensure_ascii=False)[1:-1]
    dfa = regular.from_expr(in_string(parse_regex("[\\s\\S]*")))
    assert dfa.accepts(inside)


def test_gbnf() -> None:
    grammar = parse_gbnf(
        '# a comment\nroot ::= item ("," item)* tail?\n'
        'item ::= [a-c]+ | "x\\n" [^\\x00-\\x7f]{1,2}\ntail ::=\n  "!" | "\\u00e9"\n'
    )
    for text, expected in (("ab,c!", True), ("x\nß", True), ("a,", False), ("aé", True)):
        assert matches(pruned(grammar), text) == expected


@pytest.mark.parametrize(
    "text", ["", 'a ::= "b"', "root ::= other", 'root ::= "a', "root ::= (", "root ::= [a", "nope"]
)
def test_broken_grammars_are_refused(text: str) -> None:
    with pytest.raises(InvalidGrammar):
        parse_gbnf(text)


def test_rules_without_an_end_are_dropped_or_refused() -> None:
    endless = Grammar({"root": alt(Text("a"), Rule("b")), "b": seq(Text("b"), Rule("b"))})
    assert not matches(pruned(endless), "b")
    assert bytes(Follower.start(Tables(build(pruned(endless)))).shortest_end()) == b"a"
    with pytest.raises(InvalidGrammar, match="bounded"):
        build(Grammar({"root": seq(Text("b"), Rule("root"))}))


GRAMMARS = (
    'root ::= "[" (root ("," root)*)? "]" | "aaaa" | "ab"',
    'root ::= a b\na ::= "(" a ")" | ""\nb ::= "yyyyyyy" | "x" | "xz" b',
    'root ::= e\ne ::= t ("+" t)*\nt ::= "(" e ")" | [0-9] | "sin(" e ";" e ")"',
    'root ::= root "yyyy" | "x"',
    'root ::= ("a" | "abc")* "d" | "aaaaaaa" "e"{3,9}',
)


@pytest.mark.parametrize("text", GRAMMARS)
def test_what_remains_never_exceeds_its_bound(text: str) -> None:
    automaton = build(pruned(parse_gbnf(text)))
    tables = Tables(automaton)
    assert bool(automaton.growth) == ("root ::= root" not in text)
    for seed in range(60):
        rng = random.Random(seed)
        follower = Follower.start(tables)
        bound = follower.ceiling()
        for _ in range(60):
            symbols = {
                edge[0] for state, _ in follower.configurations for edge in automaton.reads[state]
            }
            if not symbols:
                break
            symbol = rng.choice(sorted(symbols))
            follower = follower.after([symbol])
            end = follower.shortest_end()
            assert follower.after(end).complete
            if automaton.growth:
                assert bound is not None
                bound = max(0, bound + automaton.growth[symbol])
                assert len(end) <= bound
                if rng.random() < 0.2:
                    bound = follower.ceiling()


def test_the_shortest_end_is_the_shortest() -> None:
    """Against breadth-first search over the bytes."""
    for text in GRAMMARS:
        start = Follower.start(Tables(build(pruned(parse_gbnf(text)))))
        for prefix in (b"", b"x", b"(", b"[", b"a", b"xz"):
            try:
                follower = start.after(prefix)
            except NoWay:
                continue
            found = follower.shortest_end()
            layer = [follower]
            for length in range(len(found) + 1):
                if any(each.complete for each in layer):
                    assert length == len(found)
                    break
                layer = [
                    onward
                    for each in layer
                    for byte in b"[]()aby,xz+0sin;de"
                    if (onward := _try(each, byte)) is not None
                ][:3000]


def _try(follower: Follower, byte: int) -> Follower | None:
    try:
        return follower.after([byte])
    except NoWay:
        return None


EXAMPLES = {
    "date": ("2024-02-29", "2023-02-29"),
    "time": ("23:59:59Z", "24:00:00Z"),
    "date-time": ("2024-01-01T00:00:00.5+01:00", "2024-01-01"),
    "duration": ("P1Y2M3DT4H", "P1D2H"),
    "email": ("a.b@example.org", "a@b@c"),
    "hostname": ("a-b.example", "-a"),
    "ipv4": ("192.168.0.255", "256.1.1.1"),
    "ipv6": ("fe80::1", "1::2::3"),
    "uuid": ("2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2eb8aa08-aa98-11ea"),
    "uri": ("https://example.org:80/a?b=c#d", "http://example.org:abc/"),
    "uri-reference": ("../a/b?c", "1:b"),
    "json-pointer": ("/a~1b/0", "a/~2"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats(name: str) -> None:
    expr = format_expr(name)
    assert expr is not None
    dfa = regular.from_expr(expr)
    right, wrong = EXAMPLES[name]
    assert dfa.accepts(right)
    assert not dfa.accepts(wrong)
