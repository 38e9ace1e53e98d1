"""The engine's loop against transformers: greedy tokens are the same whatever the loop does."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch
from transformers import AutoModelForCausalLM

from rostra.serving.errors import PromptTooLong
from tests.checkpoints import FAMILIES
from tests.unit.serving.engine.cores import Collector, make_core, random_prompt, request, run

NEW_TOKENS = 10
LENGTHS = (1, 5, 40, 17, 33, 2, 48, 16)


def reference(folder: Path, prompts: list[list[int]], new_tokens: int) -> list[list[int]]:
    """Greedy continuations by transformers, one prompt at a time."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return [
        model.generate(
            torch.tensor([prompt]),
            max_new_tokens=new_tokens,
            min_new_tokens=new_tokens,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )[0, len(prompt) :].tolist()
        for prompt in prompts
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_tokens_are_transformers(checkpoint: Callable[..., Path], family: str) -> None:
    folder = checkpoint(family)
    random = Random(family)
    prompts = [random_prompt(random, length) for length in LENGTHS]
    expected = reference(folder, prompts, NEW_TOKENS)
    # Chunks of a few tokens, more requests than run at once, the next step launched early or not.
    for overlap in (False, True):
        core = make_core(folder, max_step_tokens=24, max_running=4, overlap=overlap)
        results = run(
            core, [request(str(i), p, max_tokens=NEW_TOKENS) for i, p in enumerate(prompts)]
        )
        assert [results[str(i)].tokens[0] for i in range(len(prompts))] == expected
        # Again, from the prefix cache.
        again = run(
            core, [request(str(i), p, max_tokens=NEW_TOKENS) for i, p in enumerate(prompts)]
        )
        assert [again[str(i)].tokens[0] for i in range(len(prompts))] == expected
        assert any(result.end.usage.cached_tokens for result in again.values())


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_preemption_changes_nothing(
    checkpoint: Callable[..., Path], overlap: bool, chunked: bool
) -> None:
    folder = checkpoint("llama3")
    random = Random(1)
    prompts = [random_prompt(random, random.randint(10, 30)) for _ in range(12)]
    expected = reference(folder, prompts, 40)
    roomy = make_core(folder)
    block_bytes = roomy.describe().kv_bytes // roomy.describe().blocks
    core = make_core(
        folder,
        kv_memory_bytes=10 * block_bytes,
        max_step_tokens=70,
        overlap=overlap,
        chunked_prefill=chunked,
    )
    results = run(core, [request(str(i), p, max_tokens=40) for i, p in enumerate(prompts)])
    assert [results[str(i)].tokens[0] for i in range(len(prompts))] == expected
    assert core.stats().preemptions, "the memory was meant to be too small"


@pytest.mark.parametrize("overlap", [False, True])
def test_cancellation_of_others_changes_nothing(
    checkpoint: Callable[..., Path], overlap: bool
) -> None:
    folder = checkpoint("qwen3")
    random = Random(2)
    prompts = [random_prompt(random, random.randint(3, 40)) for _ in range(16)]
    expected = reference(folder, prompts, 12)
    core = make_core(folder, max_step_tokens=32, overlap=overlap)
    collector = Collector()
    for i, prompt in enumerate(prompts):
        core.add(request(str(i), prompt, max_tokens=12))
    doomed = {1, 4, 5, 9, 13}
    for i in sorted(doomed):
        for _ in range(random.randint(0, 4)):
            collector.take(core.step())
        core.abort(str(i))
    while core.has_work:
        collector.take(core.step())
    for i, tokens in enumerate(expected):
        result = collector.results[str(i)]
        assert result.end.error is None
        got = result.tokens.get(0, [])
        assert got == tokens if i not in doomed else got == tokens[: len(got)]


def test_a_sequence_ends_at_the_models_end_token(checkpoint: Callable[..., Path]) -> None:
    folder = checkpoint("llama3")
    prompt = random_prompt(Random(3), 9)
    core = make_core(folder)
    free = run(core, [request("free", prompt, max_tokens=12)])["free"].tokens[0]
    end = free[5]
    place = free.index(end)
    stopped = run(core, [request("eos", prompt, max_tokens=12, eos_token_ids=(end,))])["eos"]
    assert stopped.tokens[0] == free[:place]
    assert stopped.reasons[0] == "stop"
    assert stopped.end.usage.completion_tokens == place + 1
    by_id = run(core, [request("id", prompt, max_tokens=12, stop_token_ids=(end,))])["id"]
    assert by_id.tokens[0] == free[:place]
    later = run(
        core,
        [request("min", prompt, max_tokens=12, eos_token_ids=(end,), min_tokens=12)],
    )["min"]
    assert len(later.tokens[0]) == 12
    assert end not in later.tokens[0]
    assert later.reasons[0] == "length"


@pytest.mark.parametrize("budget", [7, 64])
def test_log_probabilities_are_transformers(checkpoint: Callable[..., Path], budget: int) -> None:
    folder = checkpoint("qwen2")
    prompt = random_prompt(Random(4), 30)
    core = make_core(folder, max_step_tokens=budget)
    wanted = request("one", prompt, max_tokens=6, logprobs=3, prompt_logprobs=2)
    result = run(core, [wanted])["one"]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    whole = torch.tensor([prompt + result.tokens[0]])
    with torch.no_grad():
        expected = model(whole).logits[0].log_softmax(-1)
    found = [*(result.prompt_logprobs or []), *result.logprobs[0]]
    assert len(found) == whole.shape[1] - 1
    for position, value in enumerate(found):
        row = expected[position]
        assert value.token == whole[0, position + 1]
        assert value.logprob == pytest.approx(float(row[value.token]), abs=1e-4)
        top = row.topk(len(value.top))
        assert [token for token, _ in value.top] == top.indices.tolist()
        assert [p for _, p in value.top] == pytest.approx(top.values.tolist(), abs=1e-4)
    # A prompt whose log probabilities are asked for is computed, cached or not.
    again = run(core, [request("two", prompt, max_tokens=6, logprobs=3, prompt_logprobs=2)])["two"]
    assert len(again.prompt_logprobs or []) == len(prompt) - 1


@pytest.mark.parametrize("overlap", [False, True])
def test_a_prompt_that_fills_the_context_can_be_scored(
    checkpoint: Callable[..., Path], overlap: bool
) -> None:
    folder = checkpoint("qwen2")
    prompts = [random_prompt(Random(seed), 48) for seed in (1, 2)]
    core = make_core(folder, max_context=48, max_step_tokens=20, overlap=overlap)
    wanted = [
        request(str(at), prompt, max_tokens=0, prompt_logprobs=1, n=2)
        for at, prompt in enumerate(prompts)
    ]
    # Beside one that decodes, and twice: the second time the prompt is in the prefix cache.
    results = run(core, [*wanted, request("other", prompts[0][:9])])
    assert len(results["other"].tokens[0]) == 8
    again = run(core, wanted)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for at, prompt in enumerate(prompts):
        with torch.no_grad():
            expected = model(torch.tensor([prompt])).logits[0].log_softmax(-1)
        for result in (results[str(at)], again[str(at)]):
            assert result.tokens == {0: [], 1: []}
            assert result.reasons == {0: "length", 1: "length"}
            assert result.end.usage.completion_tokens == 0
            found = result.prompt_logprobs or []
            assert [one.token for one in found] == prompt[1:]
            scores = [float(expected[i, token]) for i, token in enumerate(prompt[1:])]
            assert [one.logprob for one in found] == pytest.approx(scores, abs=1e-4)
    with pytest.raises(PromptTooLong):
        core.add(request("long", [*prompts[0], 20], max_tokens=0, prompt_logprobs=1))
