"""Twenty tasks of known length, and a script that does each with any strategy.

A task is a chain: each record names the key of the next, the last one holds the value asked for. So
no strategy can do with fewer calls than its length, or make them side by side; they differ only in
what they send to the model.

What always holds: an observation has `OBSERVATION` words as a model reads it, the numbers of its
sentences included; the scripted model counts words as tokens.
"""

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.core.dataset import Dataset, make_dataset
from evals.core.samples import Sample
from rostra.agents import (
    CallContext,
    Effect,
    StaticToolset,
    ToolFailure,
    ToolInfo,
    ToolResult,
    prompts,
)
from rostra.core import ChatMessage, GenerationOptions, Role
from rostra.models import ScriptedModel

OBSERVATION = 300
LENGTHS = tuple(2 + number % 7 for number in range(20))
_SENTENCES = 25
_KEY = re.compile(r"K\d+-\d+")
_RECORD = re.compile(r"\[(\d+)\] (Record K\d+-\d+ holds [^.]*\.)")
_VALUE = re.compile(r"\[(\d+)\] Record K\d+-\d+ holds the value (V\d+)")
_NEXT = re.compile(r"\[\d+\] Record K\d+-\d+ holds the key (K\d+-\d+)")
_CHAIN = re.compile(r"Follow (\d+) records from (K\d+-\d+)")
_FILLER = [
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heron",
    "islet",
    "jetty",
    "knoll",
    "larch",
    "marsh",
    "niche",
    "ochre",
    "pebble",
    "quarry",
    "ridge",
    "slate",
    "thorn",
    "umber",
    "valley",
    "willow",
    "yarrow",
    "zephyr",
]


@dataclass(frozen=True, slots=True)
class Chain:
    """A task.

    Attributes:
        length: calls that it takes.
        value: what is asked for.
        records: key -> text.
    """

    task: str
    length: int
    value: str
    records: Mapping[str, str]


def make_chains(lengths: Sequence[int] = LENGTHS) -> list[Chain]:
    """One task for each length; equal arguments give equal tasks."""
    return [_chain(number, length) for number, length in enumerate(lengths)]


def chain_dataset(chains: Sequence[Chain]) -> Dataset:
    """Chains as samples; the records that each is about are in its data."""
    samples = [
        Sample(
            id=f"chain {number:02}",
            input=chain.task,
            targets=[chain.value],
            data={"length": chain.length, "records": dict(chain.records)},
        )
        for number, chain in enumerate(chains)
    ]
    return make_dataset("chains", samples)


def chain_of(sample: Sample) -> Chain:
    """The chain of a sample of `chain_dataset`."""
    return Chain(sample.input, sample.data["length"], sample.targets[0], sample.data["records"])


def chain_tools(chains: Sequence[Chain]) -> StaticToolset:
    """The tool that finds records: by the last key in its argument."""
    records = {key: text for chain in chains for key, text in chain.records.items()}

    async def lookup(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        keys = _KEY.findall(arguments["text"])
        if not keys or keys[-1] not in records:
            raise ToolFailure("There is no such record.", began=False)
        return ToolResult(records[keys[-1]])

    parameters = {
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
        "additionalProperties": False,
    }
    description = "The record with the last key in a text."
    return StaticToolset(((ToolInfo("lookup", description, parameters, Effect.READ), lookup),))


def chain_model() -> ScriptedModel:
    """A model that does any chain, whatever the strategy asks it."""
    return ScriptedModel(_answer)


def _chain(number: int, length: int) -> Chain:
    draw = random.Random(f"chain {number}")
    keys = [f"K{number}-{at}" for at in range(length)]
    value = f"V{draw.randrange(1000, 9999)}"
    held = [f"the key {key}" for key in keys[1:]] + [f"the value {value}"]
    task = f"Follow {length} records from {keys[0]} and say what value the last one holds."
    records = {key: _record(key, what, draw) for key, what in zip(keys, held, strict=True)}
    return Chain(task, length, value, records)


def _record(key: str, held: str, draw: random.Random) -> str:
    words = OBSERVATION - _SENTENCES  # a number before each sentence is a word too
    said = f"Record {key} holds {held}."
    left = words - len(said.split())
    sentences = []
    for at in range(_SENTENCES - 1):
        size = left // (_SENTENCES - 1) + (at < left % (_SENTENCES - 1))
        sentences.append(" ".join(draw.choices(_FILLER, k=size)).capitalize() + ".")
    # In the middle, so that it is not the first thing that a bound would keep.
    sentences.insert(_SENTENCES // 2, said)
    return " ".join(sentences)


def _answer(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
    read = "\n".join(each.content for each in messages if each.role is not Role.SYSTEM)
    match prompt_of(messages):
        case "rewoo_plan":
            return json.dumps(_plan(read, calls=True))
        case "plan":
            return json.dumps(_plan(read, calls=False))
        case "verify":
            return json.dumps({"reason": "The record is there.", "passed": True})
        case "synthesis":
            return json.dumps({"thought": "The last one.", "final": _final(_VALUE, read)})
    if _CHAIN.search(messages[1].content) is None:
        return json.dumps(_part(messages, read))
    if _VALUE.search(read):
        return json.dumps({"thought": "The last one.", "final": _final(_VALUE, read)})
    return json.dumps(_call((_NEXT.findall(read) or _KEY.findall(read))[-1]))


def prompt_of(messages: Sequence[ChatMessage]) -> str:
    """The prompt of the library that a request begins with; empty if it is none."""
    opening = messages[0].content
    for name, prompt in prompts.library().items():
        if not prompt.slots and opening.startswith(prompt.text):
            return name
    return ""


def _plan(read: str, *, calls: bool) -> dict[str, Any]:
    found = _CHAIN.search(read)
    length, first = (int(found[1]), found[2]) if found else (1, "K0-0")
    steps: list[dict[str, Any]] = []
    for at in range(1, length + 1):
        key = first if at == 1 else f"#E{at - 1}"
        goal = f"Look up {key if at == 1 else f'the key of E{at - 1}'}."
        step: dict[str, Any] = {"id": f"E{at}", "goal": goal}
        if calls:
            step["call"] = {"tool": "lookup", "args": {"text": key}}
        else:
            step["needs"] = [] if at == 1 else [f"E{at - 1}"]
        steps.append(step)
    return {"thought": "One record after the other.", "steps": steps}


def _part(messages: Sequence[ChatMessage], read: str) -> dict[str, Any]:
    """A step of an executor, which has a goal and what the steps before found."""
    if any(message.role is Role.ASSISTANT for message in messages):
        return {"thought": "It is found.", "final": _final(_RECORD, read)}
    return _call(_KEY.findall(read)[-1])


def _call(key: str) -> dict[str, Any]:
    return {"thought": "The next one.", "action": [{"tool": "lookup", "args": {"text": key}}]}


def _final(sought: re.Pattern[str], read: str) -> dict[str, Any]:
    found = sought.findall(read)
    if not found:
        return {"claims": []}
    number, text = found[-1]
    return {"claims": [{"text": text, "evidence": [int(number)]}]}
