"""Words that could stand in another's place: the nearest tokens of the packaged encoder.

What always holds: a word is replaced by whole words of the vocabulary alone; the table depends on
the encoder's weights and nothing else.
"""

import random
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

_SHORTEST = 4  # letters of a word that is replaced, or that replaces
_NEAREST = 5
_CLOSE = 0.45  # least cosine
_BLOCK = 2000
_EMBEDDINGS = "word_embeddings.weight"


class Substitutes:
    """See this module.

    Args:
        table: by word in lower case what may stand in its place.
    """

    def __init__(self, table: Mapping[str, list[str]]) -> None:
        self._table = table

    def __call__(self, word: str, rng: random.Random) -> str:
        """Another word, or the word itself where nothing is near."""
        near = self._table.get(word.lower())
        return rng.choice(near) if near else word


def near_words(encoder: Path) -> Substitutes:
    """Reads the table off an encoder's token embeddings.

    Args:
        encoder: folder with tokenizer.json and model.safetensors.
    """
    weights = load_file(encoder / "model.safetensors")
    name = next(one for one in sorted(weights) if one.endswith(_EMBEDDINGS))
    vectors = torch.nn.functional.normalize(weights[name].float(), dim=1)
    vocabulary = Tokenizer.from_file(str(encoder / "tokenizer.json")).get_vocab()
    known = sorted(
        (place, token)
        for token, place in vocabulary.items()
        if token.isalpha() and len(token) >= _SHORTEST
    )
    tokens = [token for _, token in known]
    vectors = vectors[[place for place, _ in known]]
    table: dict[str, list[str]] = {}
    for at in range(0, len(tokens), _BLOCK):
        scores, places = (vectors[at : at + _BLOCK] @ vectors.T).topk(
            min(_NEAREST + 1, len(tokens))
        )
        for row, (near, of) in enumerate(zip(scores.tolist(), places.tolist(), strict=True)):
            own = at + row
            found = [
                tokens[place]
                for score, place in zip(near, of, strict=True)
                if place != own and score > _CLOSE
            ]
            if found:
                table[tokens[own]] = found[:_NEAREST]
    return Substitutes(table)
