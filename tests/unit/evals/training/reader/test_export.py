"""The exported folder: loaded by the engine, and as transformers reads it."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from evals.training.reader.exporting import export_reader
from evals.training.reader.layout import (
    CALL_SEARCH,
    END_CALL,
    END_FOUND,
    FOUND,
    NOTHING,
    Shown,
    evidence_prompt,
    step_prompt,
)
from evals.training.reader.net import Reader
from rostra.agents.scope import Sentence
from rostra.agents.strategies.steps import parse_step, step_constraint
from rostra.agents.tools.tool import ToolInfo
from rostra.core import Evidence
from rostra.serving import (
    Engine,
    EngineConfig,
    GrammarCompiler,
    SamplingParams,
    TextTokenizer,
    Vocabulary,
    start_matcher,
)

SEARCH = ToolInfo(
    "search",
    "Finds passages.",
    {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
)
SENTENCES = [Sentence(number, "It is so.", "1") for number in range(1, 41)]


@pytest.fixture
def folder(net: Reader, tokenizer: Tokenizer, tmp_path: Path) -> Path:
    # Random weights of this size repeat the token they were given; larger ones say something.
    torch.manual_seed(3)
    for weight in net.parameters():
        if weight.dim() == 2:
            weight.data = torch.randn_like(weight) * 0.2
    export_reader(net, tokenizer, "This is the last step", tmp_path / "reader")
    return tmp_path / "reader"


def greedy(model: LlamaForCausalLM, prompt: list[int], most: int) -> list[int]:
    said: list[int] = []
    for _ in range(most):
        with torch.no_grad():
            said.append(int(model(torch.tensor([prompt + said])).logits[0, -1].argmax()))
    return said


def test_engine_and_transformers_say_the_same(folder: Path, tokenizer: Tokenizer) -> None:
    other = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    texts = [
        step_prompt("what does the server write"),
        evidence_prompt("which one", [Shown("some words", ((3, "a sentence"),))]),
    ]
    prompts = [tokenizer.encode(one, add_special_tokens=False).ids for one in texts]
    config = EngineConfig(dtype="float32", device="cpu", kv_memory_bytes=2**24)
    with Engine(folder, config) as engine:
        made = engine.generate(
            prompts, SamplingParams(temperature=0, max_tokens=24, ignore_eos=True)
        )
        assert [one.token_ids for one in made] == [greedy(other, one, 24) for one in prompts]
        # Held to the product's own grammars, whatever the weights are.
        evidence, step = engine.generate(
            prompts,
            [
                SamplingParams(max_tokens=30, constraint=Evidence(sentences=40, most=3)),
                SamplingParams(max_tokens=200, constraint=step_constraint([SEARCH], SENTENCES)),
            ],
        )
    assert all(1 <= number <= 40 for number in json.loads(evidence.text))
    assert parse_step(step.text, [SEARCH], SENTENCES).error is None


TAUGHT = [CALL_SEARCH + "dead rows" + END_CALL, FOUND + "3, 17" + END_FOUND, NOTHING]


@pytest.mark.parametrize("said", TAUGHT)
def test_steps_that_are_taught_are_steps(said: str) -> None:
    step = parse_step(said, [SEARCH], SENTENCES)
    assert step.error is None
    assert json.loads(said)["thought"] == step.thought


def test_the_grammars_take_the_tokens_that_are_taught(folder: Path) -> None:
    tokenizer = TextTokenizer(folder)
    vocabulary = Vocabulary(
        [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)],
        tokenizer.eos_token_ids,
        encode=lambda text: tokenizer.encode(text, add_special_tokens=False),
    )
    constraints = [step_constraint([SEARCH], SENTENCES)] * 3 + [Evidence(sentences=40)] * 2
    compiler = GrammarCompiler(vocabulary)
    try:
        for said, constraint in zip([*TAUGHT, "[3, 17]", "[]"], constraints, strict=True):
            matcher = start_matcher(
                compiler.compile_now(constraint, max_tokens=200),
                vocabulary,
                max_tokens=200,
                eos_token_ids=tokenizer.eos_token_ids,
                jump_forward=False,
            )
            for token in tokenizer.encode(said, add_special_tokens=False):
                assert matcher.take(token) == [token]
            assert matcher.finished or matcher.take(tokenizer.eos_token_ids[0]) == []
            assert matcher.finished
    finally:
        compiler.close_now()
