"""Two tiny tokenizers of the kinds that decoders come with, and folders that hold them."""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

TEXTS = (
    "Rostra answers questions over your own documents, with citations that can be checked.",
    "The quick brown fox jumps over the lazy dog; the lazy dog does not mind at all.",
    "Grüße aus Köln, naïve café, 東京 と 京都, Привет мир, 👩‍👩‍👧 and 🎉.",
    "  indented    code\n\n\tand tabs\r\n",
) * 3

SPECIAL = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
MARKERS = ("<tool_call>", "</tool_call>", "<b>")


def byte_level() -> Tokenizer:
    """As GPT-2's, Llama 3's and Qwen's."""
    return with_added(_described("byte_level"))


@cache
def _described(kind: str) -> str:
    if kind == "byte_level":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(TEXTS, trainer)
        return tokenizer.to_str()
    plain = Tokenizer(models.BPE())
    plain.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    plain.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=200, show_progress=False, limit_alphabet=45)
    )
    model = json.loads(plain.to_str())["model"]
    # SentencePiece's order: specials, the 256 bytes, then what was learnt.
    names = [*SPECIAL[:3], *(f"<0x{byte:02X}>" for byte in range(256))]
    vocab = {name: number for number, name in enumerate(names)}
    for piece in sorted(model["vocab"], key=model["vocab"].__getitem__):
        vocab.setdefault(piece, len(vocab))
    merges = [tuple(merge) for merge in model["merges"]]
    tokenizer = Tokenizer(
        models.BPE(vocab=vocab, merges=merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True)
    )
    # Gemma neither puts a space in front of a text nor takes one away.
    tokenizer.normalizer = (
        plain.normalizer if kind == "sentencepiece" else normalizers.Replace(" ", "▁")
    )
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if kind == "sentencepiece":
        steps.append(decoders.Strip(" ", 1, 0))
    tokenizer.decoder = decoders.Sequence(steps)
    return tokenizer.to_str()


def sentencepiece(*, strip: bool = True) -> Tokenizer:
    """As Llama 2's and Mistral's; without `strip` as Gemma's."""
    return with_added(_described("sentencepiece" if strip else "gemma"))


def with_added(description: str) -> Tokenizer:
    tokenizer = Tokenizer.from_str(description)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in MARKERS])
    return tokenizer


def save(
    tokenizer: Tokenizer,
    folder: Path,
    *,
    chat_template: str | dict[str, str] | None = None,
    bos: bool = False,
    eos: str = "</s>",
    files: Iterable[tuple[str, Any]] = (),
) -> Path:
    """A checkpoint folder with nothing but a tokenizer, and JSON files as given."""
    if bos:
        token = tokenizer.token_to_id("<s>")
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", token)]
        )
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token=eos)
    wrapped.chat_template = chat_template
    wrapped.save_pretrained(folder)
    for name, value in files:
        (folder / name).write_text(value if isinstance(value, str) else json.dumps(value))
    return folder
