"""Other decoders on the same weights: what `rostra bench decode --compare` measures beside ours.

What always holds: every peer takes the same prompts, is greedy, and runs every sequence to its full
number of new tokens; prefill ends with the first token of all, decode counts the others; all use
as many threads as torch does.
"""

import ctypes
import importlib
import importlib.util
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from evals.speed.gguf import write_gguf
from rostra.core import ModelUnavailable

_LLAMA_CPP_STEP = 512  # tokens that llama.cpp computes at once, its own default


@dataclass(frozen=True, slots=True)
class Speed:
    """Of one batch; tokens per second are over the whole of it.

    Attributes:
        ttft_ms: mean time to the first token.
        tpot_ms: mean time between a sequence's tokens.
    """

    prefill_tok_s: float
    decode_tok_s: float
    ttft_ms: float
    tpot_ms: float


class Peer(Protocol):
    """Another engine with the same weights loaded."""

    def run(self, prompts: Sequence[Sequence[int]], new_tokens: int) -> Speed:
        """One batch; prompts are of one length, `new_tokens` at least 2."""
        ...

    def close(self) -> None:
        """Gives its memory back."""
        ...


def _speed(prompts: Sequence[Sequence[int]], new: int, prefill: float, decode: float) -> Speed:
    """From the seconds to the last first token, and from there to the end."""
    batch = len(prompts)
    return Speed(
        prefill_tok_s=sum(map(len, prompts)) / prefill,
        decode_tok_s=batch * (new - 1) / decode,
        ttft_ms=prefill * 1000,
        tpot_ms=decode / (new - 1) * 1000,
    )


class TransformersPeer:
    """`generate` of transformers with its default attention and cache.

    Args:
        folder: checkpoint.
        batch, length: not needed beforehand.
        dtype: of weights and activations.
        device: torch device.
    """

    def __init__(self, folder: Path, batch: int, length: int, dtype: str, device: str) -> None:
        from transformers import AutoModelForCausalLM

        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
        self._device = torch.device(device)
        self._model = model.to(self._device).eval()

    def run(self, prompts: Sequence[Sequence[int]], new_tokens: int) -> Speed:
        """See `Peer.run`."""
        ids = torch.tensor(prompts, device=self._device)
        first = self._generate(ids, 1)
        whole = self._generate(ids, new_tokens)
        return _speed(prompts, new_tokens, first, whole - first)

    def _generate(self, ids: torch.Tensor, count: int) -> float:
        began = time.perf_counter()
        self._model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=count,
            max_new_tokens=count,
            pad_token_id=0,
        )
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter() - began

    def close(self) -> None:
        """See `Peer.close`."""
        del self._model


class LlamaCppPeer:
    """llama.cpp over the same weights, driven by its batch interface, on the CPU.

    Args:
        folder: a plain Llama checkpoint.
        batch: most sequences.
        length: most tokens of one.
        dtype: bfloat16 or float16; others are written as float16.
        device: only the CPU.

    Raises:
        ModelUnavailable: its Python package is not installed, or it cannot read the file.
        UnsupportedModel: a checkpoint that cannot be written for it.
    """

    def __init__(self, folder: Path, batch: int, length: int, dtype: str, device: str) -> None:
        if any(importlib.util.find_spec(name) is None for name in ("llama_cpp", "gguf")):
            raise ModelUnavailable(
                "llama.cpp is not installed", hint="pip install --group peers installs it."
            )
        self._llama: Any = importlib.import_module("llama_cpp")
        self._quiet = self._llama.llama_log_callback(lambda *_: None)
        self._llama.llama_log_set(self._quiet, ctypes.c_void_p(0))
        self._llama.llama_backend_init()
        self._files = tempfile.TemporaryDirectory(prefix="rostra-gguf-")
        file = Path(self._files.name) / "weights.gguf"
        write_gguf(folder, file, "bf16" if dtype == "bfloat16" else "f16")
        params = self._llama.llama_model_default_params()
        params.n_gpu_layers = 0
        self._model = self._llama.llama_model_load_from_file(str(file).encode(), params)
        if not self._model:
            raise ModelUnavailable(f"llama.cpp cannot read {folder}")
        self._vocab_size = self._llama.llama_vocab_n_tokens(
            self._llama.llama_model_get_vocab(self._model)
        )

    def run(self, prompts: Sequence[Sequence[int]], new_tokens: int) -> Speed:
        """See `Peer.run`."""
        llama, batch = self._llama, len(prompts)
        length = len(prompts[0]) + new_tokens
        params = llama.llama_context_default_params()
        params.n_ctx = batch * (-(-length // 256) * 256)
        params.n_batch = params.n_ubatch = _LLAMA_CPP_STEP
        params.n_seq_max = batch
        params.n_threads = params.n_threads_batch = torch.get_num_threads()
        context = llama.llama_init_from_model(self._model, params)
        if not context:
            raise ModelUnavailable("llama.cpp cannot make a context of this size")
        work = llama.llama_batch_init(max(_LLAMA_CPP_STEP, batch), 0, 1)
        try:
            began = time.perf_counter()
            tokens = [self._feed(context, work, i, prompt) for i, prompt in enumerate(prompts)]
            first = time.perf_counter()
            for position in range(len(prompts[0]), length - 1):
                for sequence, token in enumerate(tokens):
                    _put(work, sequence, token, position, sequence, scored=True)
                self._compute(context, work, batch)
                tokens = [self._likeliest(context, place) for place in range(batch)]
            ended = time.perf_counter()
        finally:
            llama.llama_batch_free(work)
            llama.llama_free(context)
        return _speed(prompts, new_tokens, first - began, ended - first)

    def close(self) -> None:
        """See `Peer.close`."""
        self._llama.llama_model_free(self._model)
        with suppress(OSError):
            self._files.cleanup()

    def _feed(self, context: Any, work: Any, sequence: int, prompt: Sequence[int]) -> int:
        """Computes a prompt, a step at a time; gives the first new token."""
        for start in range(0, len(prompt), _LLAMA_CPP_STEP):
            part = prompt[start : start + _LLAMA_CPP_STEP]
            for place, token in enumerate(part):
                at = start + place
                _put(work, place, token, at, sequence, scored=at == len(prompt) - 1)
            self._compute(context, work, len(part))
        return self._likeliest(context, len(part) - 1)

    def _compute(self, context: Any, work: Any, tokens: int) -> None:
        work.n_tokens = tokens
        if (code := self._llama.llama_decode(context, work)) != 0:
            raise ModelUnavailable(f"llama.cpp failed with code {code}")

    def _likeliest(self, context: Any, place: int) -> int:
        logits = self._llama.llama_get_logits_ith(context, place)
        return int(np.ctypeslib.as_array(logits, (self._vocab_size,)).argmax())


def _put(work: Any, place: int, token: int, position: int, sequence: int, *, scored: bool) -> None:
    work.token[place], work.pos[place] = token, position
    work.n_seq_id[place], work.seq_id[place][0] = 1, sequence
    work.logits[place] = scored


PEERS: dict[str, Callable[[Path, int, int, str, str], Peer]] = {
    "llama.cpp": LlamaCppPeer,
    "transformers": TransformersPeer,
}


def peer_names() -> tuple[str, ...]:
    """What `compare` may name."""
    return tuple(PEERS)
