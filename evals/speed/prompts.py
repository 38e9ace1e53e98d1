"""Random prompts and requests for them: speed does not depend on what a text says."""

from collections.abc import Sequence
from random import Random

from rostra.serving import EngineRequest, SamplingParams

# Below are control tokens in many vocabularies.
_FIRST_TOKEN = 256


def random_prompts(count: int, tokens: int, vocab_size: int, seed: int) -> list[list[int]]:
    """`count` prompts of `tokens` random ids each; equal arguments give equal prompts."""
    random = Random(seed)
    return [
        [random.randrange(_FIRST_TOKEN, vocab_size) for _ in range(tokens)] for _ in range(count)
    ]


def endless(name: str, prompt: Sequence[int], new_tokens: int) -> EngineRequest:
    """A greedy request that ends after exactly `new_tokens`."""
    return EngineRequest(
        id=name,
        prompt=list(prompt),
        sampling=SamplingParams(max_tokens=new_tokens, temperature=0.0, ignore_eos=True),
    )
