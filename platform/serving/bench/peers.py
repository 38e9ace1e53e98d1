"""Other decoders on the same weights: what `rostra bench decode --compare` measures beside ours.

Each peer runs the same workload: a batch of random prompts of one length, greedy, every sequence to
its full number of new tokens. What always holds: loading and a first, uncounted round are not
timed; prefill ends with the first token, decode counts the others; of several rounds the fastest
counts, for every peer alike.
"""

import ctypes
import importlib
import importlib.util
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from rostra.serving.errors import UnsupportedModel

GgufType = Literal["bf16", "f16"]


@dataclass(frozen=True, slots=True)
class Workload:
    """What is generated.

    Attributes:
        batch: sequences at once.
        prompt_tokens: of each.
        new_tokens: of each, at least 2.
        rounds: the fastest counts.
        threads: of the CPU.
        seed: of the prompts.
    """

    batch: int
    prompt_tokens: int
    new_tokens: int
    rounds: int = 3
    threads: int = 1
    seed: int = 0

    def prompts(self, vocab_size: int) -> Tensor:
        """[batch, prompt_tokens] int64, without the ids that are often special."""
        generator = torch.Generator().manual_seed(self.seed)
        size = (self.batch, self.prompt_tokens)
        return torch.randint(min(3, vocab_size - 1), vocab_size, size, generator=generator)


@dataclass(frozen=True, slots=True)
class Rates:
    """Tokens per second over the whole batch."""

    batch: int
    prefill_tok_s: float
    decode_tok_s: float


def _rates(workload: Workload, prefill: float, decode: float) -> Rates:
    """From the seconds to the first token and from there to the last."""
    count = workload.batch
    return Rates(
        count,
        count * workload.prompt_tokens / prefill,
        count * (workload.new_tokens - 1) / decode,
    )


# --- transformers -------------------------------------------------------------------------------
@contextmanager
def transformers_peer(
    folder: Path, dtype: torch.dtype, device: str = "cpu"
) -> Iterator[Callable[[Workload], Rates]]:
    """`generate` of transformers with its default attention and cache."""
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    model = model.to(device).eval()

    def generate(prompts: Tensor, count: int) -> float:
        started = time.perf_counter()
        out = model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            do_sample=False,
            min_new_tokens=count,
            max_new_tokens=count,
            pad_token_id=0,
        )
        if out.shape[1] != prompts.shape[1] + count:
            raise RuntimeError(f"transformers stopped at {out.shape[1]} tokens")
        return time.perf_counter() - started

    def measure(workload: Workload) -> Rates:
        before = torch.get_num_threads()
        torch.set_num_threads(workload.threads)
        try:
            prompts = workload.prompts(model.config.vocab_size).to(device)
            generate(prompts, 2)
            prefill = min(generate(prompts, 1) for _ in range(workload.rounds))
            whole = min(generate(prompts, workload.new_tokens) for _ in range(workload.rounds))
        finally:
            torch.set_num_threads(before)
        return _rates(workload, prefill, whole - prefill)

    yield measure


# --- llama.cpp ----------------------------------------------------------------------------------
def has_llama_cpp() -> bool:
    """Whether llama-cpp-python and gguf are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("llama_cpp", "gguf"))


def write_gguf(folder: Path, target: Path, weights: GgufType) -> None:
    """Writes a Llama checkpoint's weights for llama.cpp, without its tokenizer.

    Raises:
        UnsupportedModel: another architecture, or scaled rotary embeddings.
    """
    gguf: Any = importlib.import_module("gguf")
    config = json.loads((folder / "config.json").read_text())
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", "default")
    if config["architectures"] != ["LlamaForCausalLM"] or kind != "default":
        raise UnsupportedModel("only plain Llama checkpoints are written for llama.cpp")
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    kv_heads, head_dim = config["num_key_value_heads"], config.get("head_dim") or hidden // heads
    writer = gguf.GGUFWriter(str(target), "llama")
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(hidden)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_tokenizer_model("none")
    for name, tensor in _tensors(folder):
        if config.get("tie_word_embeddings") and name == "lm_head.weight":
            continue
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            tensor = _interleaved(tensor, heads if "q_proj" in name else kv_heads)
        place = _gguf_name(name)
        if tensor.dim() == 1:
            writer.add_tensor(place, tensor.float().numpy())
        elif weights == "f16":
            writer.add_tensor(place, tensor.half().numpy())
        else:
            raw = tensor.bfloat16().contiguous().view(torch.uint8).numpy()
            writer.add_tensor(place, raw, raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    from safetensors import safe_open

    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  # not a mapping
                yield name, tensors.get_tensor(name)


def _interleaved(weight: Tensor, heads: int) -> Tensor:
    """Rows of a head in llama.cpp's order: rotated pairs beside each other."""
    halves = weight.view(heads, 2, weight.shape[0] // heads // 2, weight.shape[1])
    return halves.transpose(1, 2).reshape(weight.shape)


_GGUF_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
_GGUF_ENDS = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def _gguf_name(name: str) -> str:
    if name in _GGUF_ENDS:
        return _GGUF_ENDS[name]
    _, _, layer, part = name.split(".", 3)
    return f"blk.{layer}.{_GGUF_NAMES[part.removesuffix('.weight')]}.weight"


@contextmanager
def llama_cpp_peer(file: Path) -> Iterator[Callable[[Workload], Rates]]:
    """llama.cpp over a GGUF file, driven by its batch interface, all layers on the CPU."""
    llama: Any = importlib.import_module("llama_cpp")
    quiet = llama.llama_log_callback(lambda *_: None)
    llama.llama_log_set(quiet, ctypes.c_void_p(0))
    llama.llama_backend_init()
    params = llama.llama_model_default_params()
    params.n_gpu_layers = 0
    model = llama.llama_model_load_from_file(str(file).encode(), params)
    if not model:
        raise RuntimeError(f"llama.cpp cannot read {file}")
    try:
        yield lambda workload: _measure_llama_cpp(llama, model, workload)
    finally:
        llama.llama_model_free(model)


def _measure_llama_cpp(llama: Any, model: Any, workload: Workload) -> Rates:
    params = llama.llama_context_default_params()
    length = workload.prompt_tokens + workload.new_tokens
    params.n_ctx = workload.batch * (-(-length // 256) * 256)
    params.n_batch = params.n_ubatch = 512
    params.n_seq_max = workload.batch
    params.n_threads = params.n_threads_batch = workload.threads
    context = llama.llama_init_from_model(model, params)
    if not context:
        raise RuntimeError("llama.cpp cannot make a context")
    vocab_size = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    batch = llama.llama_batch_init(max(512, workload.batch), 0, 1)
    try:
        prompts = workload.prompts(vocab_size).tolist()
        least = [math.inf, math.inf]
        for counted in range(workload.rounds + 1):
            llama.llama_memory_clear(llama.llama_get_memory(context), True)
            started = time.perf_counter()
            tokens = [
                _feed(llama, context, batch, sequence, prompt, vocab_size)
                for sequence, prompt in enumerate(prompts)
            ]
            first = time.perf_counter()
            for position in range(workload.prompt_tokens, length - 1):
                tokens = _advance(llama, context, batch, tokens, position, vocab_size)
            if counted:
                spent = (first - started, time.perf_counter() - first)
                least = [min(pair) for pair in zip(least, spent, strict=True)]
        return _rates(workload, *least)
    finally:
        llama.llama_batch_free(batch)
        llama.llama_free(context)


def _put(batch: Any, place: int, token: int, position: int, sequence: int, scored: bool) -> None:
    batch.token[place], batch.pos[place] = token, position
    batch.n_seq_id[place], batch.seq_id[place][0] = 1, sequence
    batch.logits[place] = scored


def _run(llama: Any, context: Any, batch: Any, tokens: int) -> None:
    batch.n_tokens = tokens
    if (code := llama.llama_decode(context, batch)) != 0:
        raise RuntimeError(f"llama_decode returned {code}")


def _likeliest(llama: Any, context: Any, place: int, vocab_size: int) -> int:
    logits = llama.llama_get_logits_ith(context, place)
    return int(np.ctypeslib.as_array(logits, (vocab_size,)).argmax())


def _feed(
    llama: Any, context: Any, batch: Any, sequence: int, prompt: list[int], vocab_size: int
) -> int:
    """Computes a prompt, 512 tokens at a time; the first new token."""
    for start in range(0, len(prompt), 512):
        part = prompt[start : start + 512]
        for place, token in enumerate(part):
            at = start + place
            _put(batch, place, token, at, sequence, at == len(prompt) - 1)
        _run(llama, context, batch, len(part))
    return _likeliest(llama, context, len(part) - 1, vocab_size)


def _advance(
    llama: Any, context: Any, batch: Any, tokens: list[int], position: int, vocab_size: int
) -> list[int]:
    """One step of all sequences."""
    for sequence, token in enumerate(tokens):
        _put(batch, sequence, token, position, sequence, True)
    _run(llama, context, batch, len(tokens))
    return [_likeliest(llama, context, place, vocab_size) for place in range(len(tokens))]
