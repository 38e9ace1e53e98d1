"""Constrained requests through the whole loop: what comes out parses, within its budget."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import jsonschema
import pytest
import torch

from rostra.core import AnyJson, Choice, Constraint, Evidence, JsonSchema, Quotes, Regex
from rostra.serving import GrammarCompiler, InvalidGrammar, TextTokenizer
from rostra.serving.grammar.matcher import GrammarBroken
from rostra.serving.request import FinishReason
from tests.unit.serving.engine.cores import Collector, make_core, random_prompt, request, run

SCHEMAS: list[dict[str, object]] = [
    {
        "type": "object",
        "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
        "required": ["name", "count"],
        "additionalProperties": False,
    },
    {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "minItems": 1},
    {
        "type": "object",
        "properties": {
            "found": {"type": "boolean"},
            "where": {"type": "array", "items": {"type": "number"}},
            "next": {"anyOf": [{"type": "null"}, {"type": "string"}]},
        },
        "required": ["found", "where", "next"],
        "additionalProperties": False,
    },
]
PASSAGES = ("Vacuum reclaims storage.", "A lock blocks writers; readers go on.")


@pytest.fixture(scope="module")
def folder(checkpoint: Callable[..., Path]) -> Path:
    return checkpoint("llama3")


@pytest.fixture(scope="module")
def compiler(folder: Path) -> Iterator[GrammarCompiler]:
    core = make_core(folder)
    compiler = GrammarCompiler(core._vocabulary)
    yield compiler
    compiler.close_now()


def shortest_budget(compiler: GrammarCompiler, constraint: Constraint) -> int:
    """The least max_tokens that is not refused."""
    for tokens in range(1, 200):
        try:
            compiler.compile_now(constraint, max_tokens=tokens)
        except InvalidGrammar:
            continue
        return tokens
    raise AssertionError("no text fits 200 tokens")


def test_five_hundred_sampled_texts_parse_within_tight_budgets(
    folder: Path, compiler: GrammarCompiler
) -> None:
    random = Random(1)
    constraints = [JsonSchema(json.dumps(schema)) for schema in SCHEMAS]
    least = [shortest_budget(compiler, constraint) for constraint in constraints]
    core = make_core(folder, max_running=16, max_step_tokens=256)
    tokenizer = TextTokenizer(folder)
    ends = tuple(tokenizer.eos_token_ids)
    asked: dict[str, tuple[int, int]] = {}
    requests = []
    for i in range(500):
        which = i % len(constraints)
        budget = least[which] + random.choice((0, 0, 1, 2, 5, 12))
        asked[str(i)] = (which, budget)
        requests.append(
            request(
                str(i),
                random_prompt(random, 6),
                max_tokens=budget,
                temperature=1.0,
                seed=i,
                ignore_eos=False,
                eos_token_ids=ends,
                grammar=compiler.compile_now(constraints[which], max_tokens=budget),
            )
        )
    for name, result in run(core, requests).items():
        which, budget = asked[name]
        assert result.end.error is None
        assert result.reasons[0] is FinishReason.STOP
        assert len(result.tokens[0]) <= budget
        jsonschema.validate(json.loads(tokenizer.decode(result.tokens[0])), SCHEMAS[which])


@pytest.mark.parametrize("logprobs", [None, 2])
@pytest.mark.parametrize(
    ("constraint", "holds"),
    [
        (Regex("[a-f]{3}-[0-9]{2,4}"), lambda text: re.fullmatch("[a-f]{3}-[0-9]{2,4}", text)),
        (Choice(("yes", "no", "perhaps so")), lambda text: text in ("yes", "no", "perhaps so")),
        (
            Evidence(sentences=37, most=3),
            lambda text: all(1 <= n <= 37 for n in json.loads(text)) and len(json.loads(text)) <= 3,
        ),
        (
            Quotes(PASSAGES, most=2),
            lambda text: all(any(q in p for p in PASSAGES) for q in json.loads(text)),
        ),
    ],
)
def test_every_kind_of_constraint_holds(
    folder: Path,
    compiler: GrammarCompiler,
    constraint: Constraint,
    holds: Callable[[str], object],
    logprobs: int | None,
) -> None:
    core = make_core(folder, overlap=True)
    tokenizer = TextTokenizer(folder)
    requests = [
        request(
            str(i),
            random_prompt(Random(i), 5),
            max_tokens=40,
            temperature=1.0,
            seed=i,
            logprobs=logprobs,
            grammar=compiler.compile_now(constraint, max_tokens=40),
            eos_token_ids=tuple(tokenizer.eos_token_ids),
        )
        for i in range(12)
    ]
    texts = set()
    for result in run(core, requests).values():
        assert result.end.error is None
        text = tokenizer.decode(result.tokens[0])
        texts.add(text)
        assert holds(text), text
        if logprobs is not None:
            assert len(result.logprobs[0]) == len(result.tokens[0])
    assert len(texts) > 1


def test_several_sequences_of_one_constrained_request_differ(
    folder: Path, compiler: GrammarCompiler
) -> None:
    constraint = Regex("[a-z]{8}")
    one = request(
        "n",
        [20, 21, 22],
        n=5,
        seed=3,
        max_tokens=20,
        temperature=1.0,
        grammar=compiler.compile_now(constraint, max_tokens=20),
        eos_token_ids=tuple(TextTokenizer(folder).eos_token_ids),
    )
    result = run(make_core(folder), [one])["n"]
    tokenizer = TextTokenizer(folder)
    texts = [tokenizer.decode(tokens) for tokens in result.tokens.values()]
    assert all(re.fullmatch("[a-z]{8}", text) for text in texts)
    assert len(set(texts)) > 1


class _Broken:
    """A matcher that fails after some tokens."""

    finished = False

    def __init__(self, fill_fails: bool) -> None:
        self._fill_fails = fill_fails
        self._left = 3

    def fill(self, bitmask: torch.Tensor, row: int) -> None:
        self._left -= 1
        if self._fill_fails and not self._left:
            raise GrammarBroken("on purpose")
        bitmask[row] = -1

    def take(self, token: int) -> list[int]:
        if not self._left:
            raise GrammarBroken("on purpose")
        return [token]


@pytest.mark.parametrize("fill_fails", [False, True])
def test_a_matcher_that_fails_ends_its_own_request_only(
    folder: Path,
    compiler: GrammarCompiler,
    monkeypatch: pytest.MonkeyPatch,
    fill_fails: bool,
) -> None:
    monkeypatch.setattr(
        "rostra.serving.engine.core.start_matcher", lambda *_, **__: _Broken(fill_fails)
    )
    broken = request("broken", [20, 21], grammar=compiler.compile_now(AnyJson(), max_tokens=8))
    results = run(make_core(folder), [request("one", [22]), broken, request("two", [23])])
    error = results["broken"].end.error
    assert error is not None
    assert error["code"] == "grammar_broken"
    assert [len(results[name].tokens[0]) for name in ("one", "two")] == [8, 8]


def test_a_grammar_that_does_not_fit_is_told_by_the_requests_end(
    folder: Path, compiler: GrammarCompiler
) -> None:
    long = compiler.compile_now(Regex("[a-z]{30}"), max_tokens=40)
    results = run(
        make_core(folder),
        [request("bad", [20], grammar=long, max_tokens=4), request("one", [22])],
    )
    error = results["bad"].end.error
    assert error is not None
    assert error["code"] == "invalid_grammar"
    assert len(results["one"].tokens[0]) == 8


def test_an_abort_while_the_grammar_is_read(folder: Path, compiler: GrammarCompiler) -> None:
    core = make_core(folder)
    grammar = compiler.compile_now(Regex("[a-z]{8}"), max_tokens=20)
    core.add(request("gone", [20], max_tokens=20, grammar=grammar))
    core.add(request("half", [20], n=2, max_tokens=20, grammar=grammar))
    core.abort("gone")
    core.abort("half", 1)
    collector = Collector()
    while core.has_work:
        collector.take(core.step())
    assert collector.results["gone"].end.error is None
    assert collector.results["half"].reasons == {0: FinishReason.STOP, 1: FinishReason.ABORT}
    core.check_integrity()


@pytest.mark.parametrize("constraint", [Choice(("",)), Regex("()"), Regex("a{0}")], ids=repr)
def test_a_grammar_of_the_empty_text_alone(
    folder: Path, compiler: GrammarCompiler, constraint: Constraint
) -> None:
    """There is nothing to compute for it; others go on, and so does the loop."""
    core = make_core(folder)
    requests = [request("other", random_prompt(Random(1), 5), max_tokens=20)]
    for name in ("first", "second"):
        grammar = compiler.compile_now(constraint, max_tokens=4)
        prompt = random_prompt(Random(2), 5)
        requests.append(request(name, prompt, max_tokens=4, grammar=grammar, n=2))
    results = run(core, requests)
    for name in ("first", "second"):
        assert results[name].tokens == {0: [], 1: []}
        assert set(results[name].reasons.values()) == {FinishReason.STOP}
        assert results[name].end.error is None
    assert len(results["other"].tokens[0]) == 20
