"""A script that searches for what a task says, part by part, in place of a model."""

import json
import re
from collections.abc import Sequence

from evals.agents.chains import prompt_of
from rostra.core import ChatMessage, GenerationOptions, Role, sentence_spans
from rostra.models import ScriptedModel

QUERY_CHARS = 300
_MOST_QUERIES = 8
_QUERIES_A_STEP = 4
_LEAST_WORDS = 4
_SENTENCE = re.compile(r"^ *\[(\d+)\] (.+)$", re.MULTILINE)
# How tasks tell a person to play a part; says nothing of what is asked for.
_STAGING = re.compile(
    r"\b(?:role|character|customer support agent|customer service|representative|tool|dump|"
    r"respond|conversation|ask for instructions)\b",
    re.IGNORECASE,
)


def searching_model() -> ScriptedModel:
    """A model that searches for what the task says, part by part, and quotes what it found."""
    return ScriptedModel(_answer)


def _answer(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
    parts = queries_of(next(each.content for each in messages if each.role is Role.USER))
    said = sum(each.role is Role.ASSISTANT for each in messages)
    match prompt_of(messages):
        case "rag_route":
            return json.dumps({"thought": "", "search": True, "query": parts[0]})
        case "support":
            return json.dumps({"checks": [{"reason": "", "supported": True}]})
    # The strategy itself made the first search.
    begin = 1 + (said - 1) * _QUERIES_A_STEP
    if asked := parts[begin : begin + _QUERIES_A_STEP]:
        action = [{"tool": "search", "args": {"query": query}} for query in asked]
        return json.dumps({"thought": "", "action": action})
    read = "\n".join(each.content for each in messages if each.role is not Role.SYSTEM)
    found = _SENTENCE.findall(read)
    claims = [{"text": found[0][1][:500], "evidence": [int(found[0][0])]}] if found else []
    return json.dumps({"thought": "", "final": {"claims": claims}})


def queries_of(text: str) -> list[str]:
    """At most eight queries that a task's sentences make, in their order; never none."""
    sentences = [text[start:end] for start, end in sentence_spans(text)]
    telling = [
        sentence
        for sentence in sentences
        if len(sentence.split()) >= _LEAST_WORDS and not _STAGING.search(sentence)
    ] or [text]
    size = -(-len(telling) // _MOST_QUERIES)
    groups = [" ".join(telling[at : at + size]) for at in range(0, len(telling), size)]
    return [" ".join(group.split())[:QUERY_CHARS] for group in groups]
