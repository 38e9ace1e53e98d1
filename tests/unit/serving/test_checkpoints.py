"""The makers of checkpoints that other tests and benchmarks stand on."""

from hashlib import sha256
from pathlib import Path
from typing import Literal

import pytest
import torch
from transformers import AutoTokenizer

from evals.speed.checkpoints import (
    BOS_ID,
    EOS_ID,
    MARKER_TOKENS,
    SPECIAL_TOKENS,
    TURN_END_ID,
    make_tokenizer,
    write_random_checkpoint,
)
from rostra.serving.models.load import load_decoder
from tests.checkpoints import FAMILIES, make_checkpoint
from tests.unit.serving.models.reference import greedy, peer

TEXT = "Hello,  wörld 😀\n<tool_call>{}"


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_random_checkpoint(tmp_path: Path, family: Literal["llama", "qwen3"]) -> None:
    folder = write_random_checkpoint(
        tmp_path / "made",
        family=family,
        hidden=64,
        layers=2,
        heads=4,
        kv_heads=2,
        intermediate=96,
        vocab_size=600,
        tied=family == "llama",
        seed=1,
    )
    decoder = load_decoder(folder, dtype=torch.float32, device=torch.device("cpu"))
    prompt = torch.tensor([[BOS_ID, 50, 60, 70]])
    wanted = peer(folder).generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False
    )
    found = greedy(decoder, prompt[0].tolist(), 12)
    assert found == wanted[0, 4:].tolist()
    assert len({*found}) > 3
    assert decoder.config.eos_token_ids == (TURN_END_ID, EOS_ID)


@pytest.mark.parametrize("vocab_size", [300, 512, 40_000])
def test_tokenizer(tmp_path: Path, vocab_size: int) -> None:
    tokenizer = AutoTokenizer.from_pretrained(make_tokenizer(tmp_path, vocab_size))
    assert len(tokenizer) == vocab_size
    ids = tokenizer.encode(TEXT)
    assert tokenizer.decode(ids) == TEXT
    assert tokenizer.decode(ids, skip_special_tokens=True) == TEXT
    assert tokenizer.convert_tokens_to_ids("<tool_call>") in ids
    assert tokenizer.decode(range(len(SPECIAL_TOKENS)), skip_special_tokens=True) == ""
    for token in (len(SPECIAL_TOKENS) + len(MARKER_TOKENS), vocab_size // 2, vocab_size - 1):
        assert tokenizer.decode([token]) != ""


def test_too_small_a_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 268 tokens"):
        make_tokenizer(tmp_path, 100)


def test_tokenizer_that_begins_texts(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(make_tokenizer(tmp_path, 512, add_bos=True))
    assert tokenizer.encode("a")[0] == BOS_ID
    assert tokenizer.encode("a", add_special_tokens=False)[0] != BOS_ID


def test_chat_template(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(make_tokenizer(tmp_path, 512))
    call = {"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
    text = tokenizer.apply_chat_template(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "1 + 1?"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "2"},
        ],
        tools=[{"type": "function", "function": {"name": "add"}}],
        add_generation_prompt=True,
        tokenize=False,
    )
    assert text.startswith("<|im_start|>system\nBe brief.\n\n")
    assert '{"type": "function", "function": {"name": "add"}}' in text
    assert '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call><|im_end|>' in text
    assert text.endswith("<|im_start|>tool\n2<|im_end|>\n<|im_start|>assistant\n")
    assert text.count("Be brief.") == 1


def test_equal_arguments_give_equal_files(tmp_path: Path) -> None:
    def digests(folder: Path) -> dict[str, str]:
        return {f.name: sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()}

    first, again, other = (
        digests(make_checkpoint(tmp_path / name, FAMILIES[0], seed=seed))
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert first == again
    assert {name for name in first if first[name] != other[name]} == {"model.safetensors"}
