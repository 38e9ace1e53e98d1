"""The compiler's processes: killed when late, asked once, never a way to hurt the engine."""

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from rostra.core import Choice, Evidence, JsonSchema, ModelUnavailable, Quotes, Regex
from rostra.serving.errors import InvalidGrammar, UnsupportedSchema
from rostra.serving.grammar.compile import GrammarCompiler, _Child
from rostra.serving.grammar.matcher import prepare, start_matcher
from rostra.serving.grammar.worker import Question
from tests.unit.serving.grammar.conftest import EOS, make_vocabulary


@pytest.fixture(scope="module")
def compiler() -> Iterator[GrammarCompiler]:
    made = GrammarCompiler(make_vocabulary(), deadline=120.0, workers=1)
    yield made
    made.close_now()


def test_compile_in_another_process_and_match_here(compiler: GrammarCompiler) -> None:
    vocabulary = make_vocabulary()
    for constraint in (Choice(("yes", "no")), Evidence(sentences=5), Quotes(("a b",))):
        compiled = compiler.compile_now(constraint, max_tokens=10)
        prepare(compiled, vocabulary)
        matcher = start_matcher(compiled, vocabulary, max_tokens=10, eos_token_ids=[EOS])
        assert not matcher.finished


async def test_the_same_constraint_is_compiled_once(compiler: GrammarCompiler) -> None:
    constraint = JsonSchema('{"type": "array", "items": {"type": "integer"}}')
    found = await asyncio.gather(*(compiler.compile(constraint, max_tokens=10) for _ in range(8)))
    assert all(each is found[0] for each in found)
    assert compiler.compile_now(constraint, max_tokens=10) is found[0]


def test_errors_keep_their_kind(compiler: GrammarCompiler) -> None:
    with pytest.raises(UnsupportedSchema) as refused:
        compiler.compile_now(JsonSchema('{"type":"array","uniqueItems":true}'), max_tokens=9)
    assert refused.value.details["keyword"] == "uniqueItems"
    with pytest.raises(InvalidGrammar, match="not closed"):
        compiler.compile_now(Regex("(a"), max_tokens=9)
    with pytest.raises(InvalidGrammar, match="takes 5 tokens"):
        compiler.compile_now(Regex("[xyz]{5}"), max_tokens=4)


def test_nested_and_huge_schemas_get_one_clear_error(compiler: GrammarCompiler) -> None:
    deep = '{"items":' * 3000 + "{}" + "}" * 3000
    with pytest.raises(InvalidGrammar, match="deeply"):
        compiler.compile_now(JsonSchema(deep), max_tokens=9)
    huge = json.dumps({"enum": ["x" * 100] * 10_000})
    with pytest.raises(InvalidGrammar, match="bytes"):
        compiler.compile_now(JsonSchema(huge), max_tokens=9)
    with pytest.raises(InvalidGrammar, match=r"states|large|repeats"):
        compiler.compile_now(Regex("((a{1000}){1000}){1000}"), max_tokens=9)
    assert compiler.compile_now(Choice(("alive",)), max_tokens=9)


async def test_texts_are_validated_within_the_deadline(compiler: GrammarCompiler) -> None:
    loose = JsonSchema('{"type": "array", "uniqueItems": true}', strict=False)
    assert await compiler.validate(loose, "[1, 2]") == []
    assert await compiler.validate(loose, "[1, 1]")


def test_a_late_process_is_killed_and_replaced() -> None:
    compiler = GrammarCompiler(make_vocabulary(), deadline=2.0, workers=1)
    try:
        exponential = JsonSchema('{"pattern": "^(a+)+$"}', strict=False)
        problems = compiler.validate_now(exponential, json.dumps("a" * 40 + "!"))
        assert problems == ["Checking the text took over 2 seconds."]
        assert compiler.compile_now(Choice(("alive",)), max_tokens=9)
    finally:
        compiler.close_now()
    with pytest.raises(InvalidGrammar, match="closed"):
        compiler.compile_now(Choice(("gone",)), max_tokens=9)


def test_a_busy_machine_makes_no_grammar_late(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = GrammarCompiler(make_vocabulary(), deadline=1.0, workers=1)
    exchange = _Child._exchange

    def held_up(child: _Child, message: object, seconds: float) -> bytes:
        """By others, for longer than the deadline: the process has no time of the processor."""
        if not isinstance(message, Question):
            return exchange(child, message, seconds)
        os.kill(child._process.pid, signal.SIGSTOP)
        timer = threading.Timer(1.2, os.kill, (child._process.pid, signal.SIGCONT))
        timer.start()
        try:
            return exchange(child, message, seconds)
        finally:
            timer.join()

    monkeypatch.setattr(_Child, "_exchange", held_up)
    try:
        assert compiler.compile_now(Choice(("a", "b")), max_tokens=9)
    finally:
        compiler.close_now()


def test_what_waited_too_long_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = GrammarCompiler(make_vocabulary(), deadline=1.0, workers=1)
    exchange = _Child._exchange

    def stopped(child: _Child, message: object, seconds: float) -> bytes:
        if isinstance(message, Question):
            os.kill(child._process.pid, signal.SIGSTOP)
            seconds = 0.1
        return exchange(child, message, seconds)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(_Child, "_exchange", stopped)
            with pytest.raises(InvalidGrammar, match=r"took over 0\.1 seconds") as told:
                compiler.compile_now(Choice(("a", "b")), max_tokens=9)
        assert told.value.hint == "The machine is busy; try again."
        assert compiler.compile_now(Choice(("a", "b")), max_tokens=9)
    finally:
        compiler.close_now()


def test_the_cache_is_bounded() -> None:
    compiler = GrammarCompiler(make_vocabulary(), deadline=20.0, workers=1, cache_bytes=20_000)
    try:
        first = compiler.compile_now(Choice(("a",)), max_tokens=9)
        for index in range(30):
            compiler.compile_now(Choice((f"option {index}",)), max_tokens=9)
        assert compiler.compile_now(Choice(("a",)), max_tokens=9) is not first
    finally:
        compiler.close_now()


class Doomed(GrammarCompiler):
    """Its processes are killed, as by a system out of memory, while they work on a question."""

    def __init__(self, deaths: int, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(make_vocabulary(), deadline=20.0, workers=1)
        self.pids: list[int] = []
        exchange = _Child._exchange

        def killed(child: _Child, message: object, seconds: float) -> bytes:
            if isinstance(message, Question):
                self.pids.append(child._process.pid)
                if len(self.pids) <= deaths:
                    child._process.kill()
            return exchange(child, message, seconds)

        monkeypatch.setattr(_Child, "_exchange", killed)


def test_a_killed_process_is_replaced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Doomed(3, monkeypatch)
    constraint = Choice(("a", "b"))
    try:
        with pytest.raises(
            InvalidGrammar, match=r"^Compiling the grammar takes too much memory\.$"
        ):
            compiler.compile_now(constraint, max_tokens=9)
        assert len(set(compiler.pids)) == 2
        # It may have been the machine: the same grammar is tried again.
        assert compiler.compile_now(constraint, max_tokens=9)
        assert len(set(compiler.pids)) == 4
    finally:
        compiler.close_now()


def test_a_process_that_does_not_start_is_no_fault_of_the_grammar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    compiler = GrammarCompiler(make_vocabulary(), workers=1)
    try:
        with pytest.raises(ModelUnavailable, match="does not start"):
            compiler.compile_now(Choice(("a", "b")), max_tokens=9)
    finally:
        compiler.close_now()
