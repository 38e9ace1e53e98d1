"""The compiler's own process: reads constraints from standard input, writes compiled grammars.

It may be killed at any moment. What always holds: it answers each question once, in order, or ends
by `SIGPROF` when one has taken more of the processor's time than is allowed; it opens no file and
no connection.
"""

import os
import resource
import signal
import struct
import sys
from time import perf_counter
from typing import BinaryIO

import msgspec

from rostra.core import Constraint, JsonSchema, Quotes, RostraError
from rostra.serving.errors import InvalidGrammar, UnsupportedSchema
from rostra.serving.grammar.builder import build
from rostra.serving.grammar.compiled import Compiled, compile_text
from rostra.serving.grammar.ebnf import write
from rostra.serving.grammar.expr import NEVER, pruned
from rostra.serving.grammar.follower import Tables, probe
from rostra.serving.grammar.guard import ClosingGuard
from rostra.serving.grammar.quotes import plan_quotes, shortest_quotes
from rostra.serving.grammar.translate import translate
from rostra.serving.grammar.validate import validate_afterwards
from rostra.serving.grammar.vocabulary import Vocabulary

HEADER = struct.Struct("<I")
RECURSION = 20_000
RECOMPILE_SECONDS = 0.02
MAX_SERIALISED_BYTES = 16 << 20


class Setup(msgspec.Struct, frozen=True):
    """The first message: what to compile for, and what that may take.

    Attributes:
        memory_bytes: of address space, beyond what is mapped already.
        cpu_seconds: of processor time for one question.
    """

    tokens: list[bytes]
    eos_token_ids: tuple[int, ...]
    named: dict[str, int]
    memory_bytes: int
    cpu_seconds: float


class Question(msgspec.Struct, frozen=True):
    """A constraint to compile, or a text to check against a JSON schema."""

    constraint: Constraint
    text: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """What came of a question: a compiled grammar, or why there is none.

    Attributes:
        compiled: an encoded `Compiled`.
        shortest: tokens of the shortest text.
        unsupported: the error is an `UnsupportedSchema`.
        problems: what is wrong with the text that was to be checked.
    """

    compiled: bytes = b""
    shortest: int = 0
    error: str | None = None
    hint: str | None = None
    details: dict[str, str] = {}
    unsupported: bool = False
    problems: list[str] = []


def compile_constraint(constraint: Constraint, vocabulary: Vocabulary) -> Compiled:
    """Compiles in this process, without a deadline.

    Raises:
        InvalidGrammar: if the constraint cannot be read or admits no bounded text.
        UnsupportedSchema: if a strict schema cannot be enforced in full.
    """
    name = vocabulary.fingerprint
    if isinstance(constraint, Quotes):
        plan = plan_quotes(constraint)
        return Compiled(name, shortest_quotes(vocabulary), quotes=plan)
    grammar = pruned(translate(constraint, vocabulary.named))
    if grammar.rules[grammar.root] == NEVER:
        raise InvalidGrammar(
            "No text of bounded length satisfies this grammar.",
            hint="Look for contradictions, and for rules or references that only lead back.",
        )
    automaton = build(grammar)
    tables = Tables(automaton)
    shortest = len(ClosingGuard(tables, vocabulary).closing())
    # What is dear to follow is refused here, not found out while others wait for the engine.
    probe(tables)
    written = write(grammar)
    begun = perf_counter()
    try:
        compiled = compile_text(written.text, vocabulary)
    except RuntimeError as error:
        raise InvalidGrammar(f"The grammar cannot be compiled: {str(error)[:300]}") from error
    cheap = perf_counter() - begun < RECOMPILE_SECONDS
    # xgrammar 0.2.8 writes the whole network once for every rule.
    rules = written.text.count("\n") + written.text.count("(")
    large = rules * len(written.text) * 13 > MAX_SERIALISED_BYTES
    return Compiled(
        name,
        shortest,
        source=written.text if cheap or large else None,
        grammar=None if cheap or large else compiled.serialize_json(),
        automaton=automaton,
        exact=written.bounds_left,
    )


def answer(question: Question, vocabulary: Vocabulary) -> Answer:
    """Answers, and turns what goes wrong with the constraint into an answer."""
    constraint = question.constraint
    try:
        if question.text is not None and isinstance(constraint, JsonSchema):
            return Answer(problems=validate_afterwards(constraint.schema, question.text))
        compiled = compile_constraint(constraint, vocabulary)
    except RostraError as error:
        return Answer(
            error=error.message,
            hint=error.hint,
            details={key: str(value) for key, value in error.details.items()},
            unsupported=isinstance(error, UnsupportedSchema),
        )
    except RecursionError:
        return Answer(error="The grammar is nested too deeply.")
    except MemoryError:
        return Answer(error="Compiling the grammar takes too much memory.")
    return Answer(compiled=msgspec.msgpack.encode(compiled), shortest=compiled.shortest)


def read_frame(stream: BinaryIO) -> bytes | None:
    """One message; None at the end of the stream."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    return stream.read(HEADER.unpack(header)[0])


def frame(message: object) -> bytes:
    """A message with its length before it."""
    body = msgspec.msgpack.encode(message)
    return HEADER.pack(len(body)) + body


def limit_memory(more: int) -> None:
    """Lets the process map `more` bytes above what its libraries have mapped already."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 -- Path.read_text is the same
        mapped = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (mapped + more, mapped + more))


def main() -> None:
    """Serves until the other end closes the pipe."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    first = read_frame(source)
    if first is None:
        return
    setup = msgspec.msgpack.decode(first, type=Setup)
    vocabulary = Vocabulary(setup.tokens, setup.eos_token_ids, named=setup.named)
    vocabulary.info  # noqa: B018 -- made before the first deadline runs
    sys.setrecursionlimit(RECURSION)
    if sys.platform == "linux":
        limit_memory(setup.memory_bytes)
    sink.write(frame(None))
    sink.flush()
    while (body := read_frame(source)) is not None:
        question = msgspec.msgpack.decode(body, type=Question)
        # Nobody catches the signal, so that it also ends work that Python cannot interrupt.
        signal.setitimer(signal.ITIMER_PROF, setup.cpu_seconds)
        answered = answer(question, vocabulary)
        signal.setitimer(signal.ITIMER_PROF, 0)
        sink.write(frame(answered))
        sink.flush()


if __name__ == "__main__":
    main()
