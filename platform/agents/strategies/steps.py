"""One step of an agent: the format that a model writes it in, and what is made of its words.

A step is JSON, the thought first and the decision last, so that the decision can follow from the
thought:

    {"thought": "...", "action": [{"tool": "search", "args": {...}}, ...]}
    {"thought": "...", "final": {"claims": [{"text": "...", "evidence": [3, 7]}]}}

Evidence are numbers of sentences that the model was shown. No claims at all is an abstention.

What always holds: `parse_step` and `read_native` never raise on what a model says; what is wrong
with it is told in `Step.error`, in words for the model. A step has calls, or an answer, or an
error, and only one of them. Each cited sentence is one that was shown.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import msgspec

from rostra.agents.events import Answer, Citation, Claim, PlannedCall
from rostra.agents.scope import Reply, Sentence, Step
from rostra.agents.strategies.schemas import THOUGHT, fitted
from rostra.agents.tools.schema import problems, unusable
from rostra.agents.tools.tool import ToolInfo
from rostra.core import JsonSchema, ToolCall, sentence_spans

MOST_CALLS = 4
NO_ANSWER = "NO ANSWER"
MOST_THOUGHT_CHARS = 4000
MOST_CLAIMS = 8
MOST_EVIDENCE = 8
# Of what a model wrote, as it is shown to it again.
_SHOWN_CHARS = 300
_MARK = re.compile(r"\s*\[(\d{1,6}(?:\s*,\s*\d{1,6})*)\]")
_FENCE = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n\s*```\s*$", re.DOTALL)


# --- What a model is held to ---


@dataclass(frozen=True, slots=True)
class LaidOut:
    """Answers of a model that chooses calls alone, neither words nor sentences.

    Such an answer is one claim, backed by the first `MOST_EVIDENCE` sentences of all that was
    found; or none, exactly where nothing was.

    Attributes:
        quoted: the claim's text where some of these sentences are of documents.
        computed: where none is.
    """

    quoted: str
    computed: str


def step_constraint(
    tools: Sequence[ToolInfo],
    sentences: Sequence[Sentence],
    most_calls: int = MOST_CALLS,
    laid_out: LaidOut | None = None,
) -> JsonSchema:
    """The constraint of a step.

    Args:
        tools: that may be called; without any, the step can only be an answer.
        sentences: that an answer may cite.
        most_calls: in one step, side by side.
        laid_out: how answers are, where the model does not choose it.

    Only the thought is counted by the character: the rest ends with the answer's tokens, which a
    generator that holds to a constraint never lets run out in the middle.
    """
    final = _final(sentences) if laid_out is None else _laid_out(sentences, laid_out)
    schema = _record(thought=THOUGHT, final=final)
    if tools:
        calls = {
            "type": "array",
            "items": {"anyOf": [call_schema(tool) for tool in tools]},
            "minItems": 1,
            "maxItems": most_calls,
        }
        # One of the two, told by their number: as alternatives of whole objects the thought would
        # be counted twice.
        schema["properties"] = {"thought": THOUGHT, "action": calls, "final": final}
        schema |= {"required": ["thought"], "minProperties": 2, "maxProperties": 2}
    return JsonSchema(json.dumps(schema))


def call_schema(tool: ToolInfo) -> dict[str, Any]:
    """The schema of one call of a tool; not to be changed."""
    return _call_schema(tool.name, json.dumps(tool.parameters))


# Asked for at every step of every run, always about the same tools.
@lru_cache(maxsize=1024)
def _call_schema(name: str, parameters: str) -> dict[str, Any]:
    return _record(tool={"const": name}, args=fitted(json.loads(parameters)))


@lru_cache(maxsize=1024)
def _checkable(parameters: str) -> bool:
    return unusable(json.loads(parameters)) is None


def _final(sentences: Sequence[Sentence]) -> dict[str, Any]:
    numbers = sorted({sentence.number for sentence in sentences})
    evidence: dict[str, Any] = {"type": "array", "maxItems": MOST_EVIDENCE if numbers else 0}
    if numbers and numbers[-1] - numbers[0] + 1 == len(numbers):
        evidence["items"] = {"type": "integer", "minimum": numbers[0], "maximum": numbers[-1]}
    elif numbers:
        evidence["items"] = {"enum": numbers}
    claim = _record(text={"type": "string", "minLength": 1}, evidence=evidence)
    return _record(claims={"type": "array", "items": claim, "maxItems": MOST_CLAIMS})


def _laid_out(sentences: Sequence[Sentence], given: LaidOut) -> dict[str, Any]:
    cited = sorted(sentences, key=lambda one: one.number)[:MOST_EVIDENCE]
    numbers = [one.number for one in cited]
    quotes = any(one.document_id is not None for one in cited)
    text = given.quoted if quotes else given.computed
    claim = _record(text={"const": text}, evidence={"const": numbers})
    count = 1 if numbers else 0
    claims = {"type": "array", "items": claim, "minItems": count, "maxItems": count}
    return _record(claims=claims)


def _record(**properties: Mapping[str, Any]) -> dict[str, Any]:
    """An object of just these keys, in this order."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


# --- What is made of its words ---


class Malformed(Exception):
    """What a model said cannot be used; the message is for it to read."""


def read_object(text: str) -> dict[str, Any]:
    """The JSON object that a text is; one in a Markdown fence is taken too.

    Raises:
        Malformed: it is none.
    """
    fenced = _FENCE.match(text)
    try:
        value = _decoded(fenced[1] if fenced else text)
    except Malformed as error:
        raise Malformed(f"That is not JSON ({error}). Answer with one JSON object.") from error
    if not isinstance(value, dict):
        raise Malformed("That is JSON, but no object. Answer with one JSON object.")
    return value


def _decoded(text: str) -> Any:
    # As strict as events are when they are written: no NaN, no halves of surrogate pairs.
    try:
        return msgspec.json.decode(text)
    except RecursionError as error:
        raise Malformed("it is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Malformed(str(error)) from error


def parse_step(
    text: str,
    tools: Sequence[ToolInfo],
    sentences: Sequence[Sentence],
    *,
    key: str = "",
    most_calls: int = MOST_CALLS,
) -> Step:
    """The step that a text is.

    Args:
        tools: that may be called.
        sentences: that may be cited.
        key: begins the ids of its calls, which are unique where the key is.
        most_calls: in one step.
    """
    thought = ""
    try:
        value = read_object(text)
        said = value.get("thought", "")
        thought = said[:MOST_THOUGHT_CHARS] if isinstance(said, str) else ""
        if ("action" in value) == ("final" in value):
            raise Malformed('A step has either "action" or "final".')
        if "final" in value:
            return Step(thought, final=read_final(value["final"], sentences))
        return Step(thought, calls=_read_calls(value["action"], tools, key, most_calls))
    except Malformed as error:
        return Step(thought, error=str(error))


def read_step(
    reply: Reply,
    tools: Sequence[ToolInfo],
    sentences: Sequence[Sentence],
    *,
    key: str = "",
    most_calls: int = MOST_CALLS,
    native: bool = False,
) -> Step:
    """The step that a reply is, in our format or in the model's own; arguments as `parse_step`."""
    if native:
        step = read_native(reply, tools, sentences, key=key, most_calls=most_calls)
    else:
        step = parse_step(reply.text, tools, sentences, key=key, most_calls=most_calls)
    error = step.error
    if error is not None and reply.finish == "length":
        error += " It was cut off for its length: be shorter."
    return replace(step, error=error, sources=reply.sources)


def held_to_evidence(step: Step, *, last: bool) -> Step:
    """A step whose answer claims nothing that it does not cite a sentence for.

    Args:
        last: there is no other step, so claims without evidence are dropped; else they are told.
    """
    if step.final is None or not step.final.unsupported:
        return step
    if last:
        return replace(step, final=answer_of([one for one in step.final.claims if one.evidence]))
    bare = "; ".join(claim.text.rstrip(".") for claim in step.final.claims if claim.unsupported)
    error = (
        f"These statements have no evidence: {_shown(bare)}. Cite the sentences that support them, "
        "look them up, or leave them out."
    )
    return Step(step.thought, error=error, sources=step.sources)


def read_native(
    reply: Reply,
    tools: Sequence[ToolInfo],
    sentences: Sequence[Sentence],
    *,
    key: str = "",
    most_calls: int = MOST_CALLS,
) -> Step:
    """The step of a model that calls tools in its own format.

    An answer is plain text that cites sentences as `[3]` behind each statement, or a step in our
    own format; `NO_ANSWER` is an abstention.
    """
    if not reply.calls:
        if _looks_like_a_step(reply.text):
            return parse_step(reply.text, tools, sentences, key=key, most_calls=most_calls)
        if not reply.text.strip():
            return Step(error="You said nothing. Call a tool or answer.")
        return Step(final=read_marked(reply.text, sentences))
    thought = reply.text[:MOST_THOUGHT_CHARS]
    try:
        if len(reply.calls) > most_calls:
            raise Malformed(f"At most {most_calls} calls fit in one step.")
        calls = [read_call(_native_call(call), tools, call.id) for call in reply.calls]
        return Step(thought, calls=tuple(calls))
    except Malformed as error:
        return Step(thought, error=str(error))


def _looks_like_a_step(text: str) -> bool:
    try:
        return not {"action", "final"}.isdisjoint(read_object(text))
    except Malformed:
        return False


def _native_call(call: ToolCall) -> dict[str, Any]:
    try:
        args = _decoded(call.arguments or "{}")
    except Malformed as error:
        raise Malformed(f"The arguments of {_shown(call.name)} are not JSON ({error}).") from error
    return {"tool": call.name, "args": args}


def _read_calls(
    value: Any, tools: Sequence[ToolInfo], key: str, most_calls: int
) -> tuple[PlannedCall, ...]:
    asked = value if isinstance(value, list) else [value]
    if not asked:
        raise Malformed('"action" is empty. Call a tool, or answer with "final".')
    if len(asked) > most_calls:
        raise Malformed(f"At most {most_calls} calls fit in one step.")
    return tuple(
        read_call(each, tools, f"{key}.{number}" if key else str(number))
        for number, each in enumerate(asked)
    )


def read_call(
    value: Any, tools: Sequence[ToolInfo], call_id: str, *, check: bool = True
) -> PlannedCall:
    """One call, its arguments checked against the tool's whole schema.

    Args:
        check: False where arguments still hold placeholders.

    Raises:
        Malformed: there is no such tool, or its arguments are wrong.
    """
    if not isinstance(value, dict) or not isinstance(value.get("tool"), str):
        raise Malformed('A call is an object with "tool" and "args".')
    name, args = value["tool"], value.get("args", {})
    tool = next((each for each in tools if each.name == name), None)
    if tool is None:
        if not tools:
            raise Malformed("No more calls can be made: this step has to be the answer.")
        there = ", ".join(each.name for each in tools)
        raise Malformed(f"There is no tool {_shown(name)} here. Tools: {there}.")
    if not isinstance(args, dict):
        raise Malformed(f"The arguments of {name} must be an object.")
    if check and (wrong := wrong_arguments(tool, args)) is not None:
        raise Malformed(f"The arguments of {name} are wrong: {wrong}.")
    return PlannedCall(call_id, name, args)


def wrong_arguments(tool: ToolInfo, args: Mapping[str, Any]) -> str | None:
    """What is wrong with a call's arguments; None if nothing, or if they cannot be checked here."""
    if not _checkable(json.dumps(tool.parameters)):
        return None
    found = problems(tool.parameters, args)
    return _shown("; ".join(found)) if found else None


def read_final(value: Any, sentences: Sequence[Sentence]) -> Answer:
    """The answer of a step's `final`.

    Raises:
        Malformed: it is no answer, or cites what was not shown.
    """
    claims = value.get("claims") if isinstance(value, dict) else None
    if not isinstance(claims, list):
        raise Malformed('"final" is an object with a list of "claims".')
    by_number = {sentence.number: sentence for sentence in sentences}
    found: list[Claim] = []
    for claim in claims[: 4 * MOST_CLAIMS]:
        if not isinstance(claim, dict) or not isinstance(claim.get("text"), str):
            raise Malformed('A claim is an object with "text" and "evidence".')
        text, numbers = claim["text"].strip(), claim.get("evidence", [])
        if not isinstance(numbers, list):
            raise Malformed('"evidence" is a list of sentence numbers.')
        if text:
            found.append(Claim(text, _cited(numbers, by_number)))
    return answer_of(found)


def read_marked(text: str, sentences: Sequence[Sentence]) -> Answer:
    """The answer of plain text that cites as `[3]`; marks of no sentence stay plain text."""
    if text.strip().rstrip(".").upper() == NO_ANSWER:
        return answer_of([])
    by_number = {sentence.number: sentence for sentence in sentences}
    claims: list[Claim] = []
    for start, end in sentence_spans(text):
        part = text[start:end]
        # A mark behind the full stop begins what looks like the next sentence.
        while (leading := _MARK.match(part)) and claims and (found := _marked(leading, by_number)):
            claims[-1] = Claim(claims[-1].text, [*claims[-1].evidence, *found])
            part = part[leading.end() :]
        cited: list[Citation] = []
        for mark in _MARK.finditer(part):
            cited += _marked(mark, by_number)
        said = _MARK.sub(lambda mark: "" if _marked(mark, by_number) else mark[0], part).strip()
        if said:
            claims.append(Claim(said, cited))
    return answer_of(claims)


def _marked(mark: re.Match[str], by_number: Mapping[int, Sentence]) -> list[Citation]:
    numbers = [int(each) for each in mark[1].split(",")]
    if not all(number in by_number for number in numbers):
        return []
    return [citation(by_number[number]) for number in numbers]


def answer_of(claims: Sequence[Claim]) -> Answer:
    """The answer that is made of these claims."""
    return Answer(" ".join(claim.text for claim in claims), list(claims))


def _cited(numbers: Sequence[Any], by_number: Mapping[int, Sentence]) -> list[Citation]:
    cited: dict[int, Citation] = {}
    for number in numbers[: 4 * MOST_EVIDENCE]:
        known = isinstance(number, int) and not isinstance(number, bool)
        if not known or number not in by_number:
            raise Malformed(
                f"There is no sentence {_shown(str(number))}. Cite numbers that stand in brackets "
                "in what the tools gave."
            )
        cited[number] = citation(by_number[number])
    return list(cited.values())


def citation(sentence: Sentence) -> Citation:
    """A sentence as evidence."""
    return Citation(
        sentence.number,
        sentence.text,
        sentence.call,
        sentence.document_id,
        sentence.start,
        sentence.end,
    )


def _shown(text: str) -> str:
    """What a model wrote, short and on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARS else f"{line[:_SHOWN_CHARS]}…"
