"""The reader's words: a byte-level BPE without capitals, and what each word means to begin with.

Capitals carry little for finding a sentence, and MiniLM, whose word vectors the reader begins with,
has none either. The price: the reader cannot write a text with capitals but for what stands whole
in its vocabulary (the parts of a step).

What always holds: numbers from 1 to `MOST_NUMBERS` are single tokens, digits are never merged with
what stands around them, and the same texts give the same vocabulary.
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
from tokenizers.trainers import BpeTrainer
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from evals.training.reader.layout import (
    BEGIN,
    END,
    MOST_NUMBERS,
    PAD,
    SCAFFOLDS,
    SPECIAL,
    chat_template,
)

# Words with the space before them, numbers of up to three digits, runs of marks, spaces.
_CUTS = r" ?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# A number that stands this often beside others is merged whatever the pages hold.
_REPEATS = 2000
_LEAST_RARE = 0.2


def train_tokenizer(texts: Iterable[str], size: int) -> Tokenizer:
    """A vocabulary of at most `size` tokens, special ones and steps' parts included."""
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Sequence(
        [
            Split(Regex(_CUTS), "isolated"),
            ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=size - len(SCAFFOLDS) - len(SPECIAL),
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_with_numbers(texts), trainer)
    tokenizer.add_tokens([AddedToken(each, normalized=False) for each in SCAFFOLDS])
    tokenizer.add_special_tokens([AddedToken(each, normalized=False) for each in SPECIAL])
    return tokenizer


def _with_numbers(texts: Iterable[str]) -> Iterator[str]:
    for number in range(1, MOST_NUMBERS + 1):
        yield f"{number} " * _REPEATS
    yield from texts


def save_tokenizer(tokenizer: Tokenizer, folder: Path, last_step: str, context: int) -> None:
    """Writes tokenizer.json and what belongs to it, as any checkpoint has them.

    Args:
        last_step: see `chat_template`.
        context: most tokens of a prompt and its answer.
    """
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = chat_template(last_step)
    wrapped.save_pretrained(str(folder))


def first_embedding(tokenizer: Tokenizer, minilm: Path, size: int, seed: int) -> Tensor:
    """Where training starts: [size, 384], rows of length 1.

    Args:
        minilm: its folder.
        size: rows; at least the vocabulary's tokens.

    A token is the mean of MiniLM's pieces of its text, less what all pieces have in common. Numbers
    and the reader's own tokens have no meaning there: they point anywhere.
    """
    words = AutoTokenizer.from_pretrained(str(minilm))
    weights = load_file(minilm / "model.safetensors")
    table = next(w for name, w in weights.items() if name.endswith("word_embeddings.weight"))
    table = table.float() - table.float().mean(0)
    random = torch.randn(size, table.shape[1], generator=torch.Generator().manual_seed(seed))
    made = torch.nn.functional.normalize(random, dim=1)
    own = _own(tokenizer)
    for token in range(tokenizer.get_vocab_size()):
        text = tokenizer.decode([token]).strip()
        if token in own or not text or "\ufffd" in text:
            continue
        pieces = words(text, add_special_tokens=False)["input_ids"]
        if pieces and words.unk_token_id not in pieces:
            made[token] = torch.nn.functional.normalize(table[pieces].mean(0), dim=0)
    return made


def rarities(tokenizer: Tokenizer, texts: Iterable[str]) -> np.ndarray:
    """How rare each token is among texts: float32 [tokens], 0.2 to 1.

    The logarithm of one in how many texts has it; 1 from one in a tenth of all on, and for numbers
    and the reader's own tokens.
    """
    counts = np.zeros(tokenizer.get_vocab_size())
    total = 0
    for text in texts:
        counts[list(set(tokenizer.encode(f" {text}", add_special_tokens=False).ids))] += 1
        total += 1
    rarity = np.log(total / (counts + 1)) / math.log(max(total, 20) / 10)
    rarity[list(_own(tokenizer))] = 1.0
    found: np.ndarray = np.clip(rarity, _LEAST_RARE, 1.0).astype(np.float32)
    return found


def _own(tokenizer: Tokenizer) -> set[int]:
    """Tokens that are no words."""
    own = {int(tokenizer.token_to_id(each) or 0) for each in (*SPECIAL, *SCAFFOLDS)}
    return own | {number_id(tokenizer, number) for number in range(1, MOST_NUMBERS + 1)}


def number_id(tokenizer: Tokenizer, number: int) -> int:
    """The token of a number in an answer.

    Raises:
        ValueError: it is several.
    """
    ids = tokenizer.encode(str(number), add_special_tokens=False).ids
    if len(ids) != 1:
        raise ValueError(f"{number} is cut into {len(ids)} tokens")
    return int(ids[0])


def first_id(tokenizer: Tokenizer, text: str) -> int:
    """The token that a text begins with."""
    return int(tokenizer.encode(text, add_special_tokens=False).ids[0])
