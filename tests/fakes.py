"""Stand-ins for models: quick, deterministic, and good enough to rank by shared words."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np

from rostra.core import (
    ChatEvent,
    ChatMessage,
    Delta,
    EmbeddingSpace,
    Finish,
    FinishReason,
    FloatMatrix,
    FloatVector,
    GenerationOptions,
    Settings,
)
from rostra.retrieval import SentenceEmbedder, load_embedder

_WORD = re.compile(r"\w+")
_BATCH = 16
_KEYS = ("vacuum", "index", "lock", "query")
_FILLERS = ("the", "a", "of", "in", "page", "row")
_VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_KEYS, *_FILLERS]


@cache
def packaged_embedder(dtype: Literal["float32", "auto"] = "float32") -> SentenceEmbedder:
    """The real default embedder, loaded once for all tests."""
    return load_embedder(Settings(embedding_dtype=dtype, device="cpu"))


class FakeTokenizer:
    """A token is a word, or any other character that is no whitespace."""

    def offsets(self, text: str) -> list[tuple[int, int]]:
        return [found.span() for found in re.finditer(r"\w+|[^\w\s]", text)]


class FakeEmbedder:
    """An `Embedder`: a text's vector is the sum of its words' vectors, so shared words are near.

    Attributes:
        embedded: every passage that was embedded, in order.
        before_batch: called with the passages of each batch; may raise.
    """

    def __init__(self, dimensions: int = 32, revision: str = "0" * 64) -> None:
        self._space = EmbeddingSpace("test/words", revision, dimensions)
        self._tokenizer = FakeTokenizer()
        self.embedded: list[str] = []
        self.before_batch: Callable[[Sequence[str]], None] = lambda _: None

    @property
    def space(self) -> EmbeddingSpace:
        return self._space

    @property
    def max_tokens(self) -> int:
        return 254

    @property
    def tokenizer(self) -> FakeTokenizer:
        return self._tokenizer

    def embed_documents(
        self, texts: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> FloatMatrix:
        vectors = np.zeros((len(texts), self._space.dimensions), np.float32)
        for at in range(0, len(texts), _BATCH):
            batch = texts[at : at + _BATCH]
            self.before_batch(batch)
            for row, text in enumerate(batch):
                vectors[at + row] = self._vector(text)
            self.embedded += batch
            if on_batch:
                on_batch(len(batch))
        return vectors

    def embed_query(self, text: str) -> FloatVector:
        return self._vector(text)

    def _vector(self, text: str) -> FloatVector:
        total = np.zeros(self._space.dimensions)
        for word in _WORD.findall(text.casefold()):
            total += _word_vector(word, self._space.dimensions)
        if not total.any():
            total[0] = 1.0
        return np.asarray(total / np.linalg.norm(total), np.float32)


@cache
def _word_vector(word: str, dimensions: int) -> FloatVector:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).normal(size=dimensions).astype(np.float32)


class ScriptedChatModel:
    """A `ChatModel` that says what it was told to, or raises what stands in the script.

    Attributes:
        prompts: the messages of every call.
        options: of every call.
        closed: how many streams have ended, by themselves or broken off.
    """

    name = "test/script"

    def __init__(self, script: Iterable[str | Exception]) -> None:
        self._script = list(script)
        self.prompts: list[list[ChatMessage]] = []
        self.options: list[GenerationOptions] = []
        self.closed = 0

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncIterator[ChatEvent]:
        self.prompts.append(list(messages))
        self.options.append(options)
        try:
            for part in self._script:
                await asyncio.sleep(0)
                if isinstance(part, Exception):
                    raise part
                yield Delta(part)
            yield Finish(FinishReason.STOP)
        finally:
            self.closed += 1


def train_cross_encoder(folder: Path, labels: int = 1, steps: int = 200) -> str:
    """Writes a tiny BERT that finds those passages relevant that have the query's key word.

    The key words are vacuum, index, lock and query; it also knows the words page, row, the, a, of
    and in, which say nothing. A folder that is there already is taken as it is.
    """
    if (folder / "config.json").is_file():
        return str(folder)
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    tokenizer: Any = BertTokenizerFast(vocab={word: at for at, word in enumerate(_VOCABULARY)})
    config = BertConfig(
        vocab_size=len(_VOCABULARY),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.3,  # larger than usual: so small a model learns nothing else
        num_labels=labels,
    )
    random = Random(1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a model only waits for a second one
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model: Any = BertForSequenceClassification(config)
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0)
        for _ in range(steps):
            asked = random.choices(_KEYS, k=64)
            told = [key if random.random() < 0.5 else random.choice(_KEYS) for key in asked]
            queries, passages = ([_hide(key, random) for key in keys] for keys in (asked, told))
            batch = tokenizer(queries, passages, padding=True, return_tensors="pt")
            right = torch.tensor([float(a == b) for a, b in zip(asked, told, strict=True)])
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                model(**batch).logits[:, 0], right
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    torch.set_num_threads(threads)
    model.eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def _hide(key: str, random: Random) -> str:
    """The key word among up to three others."""
    words = [key, *random.sample(_FILLERS, random.randint(0, 3))]
    random.shuffle(words)
    return " ".join(words)
