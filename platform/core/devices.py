"""Which device and number format models run in, and quiet loading."""

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rostra.core.errors import ConfigError

if TYPE_CHECKING:
    import torch


def pick_device(wanted: str) -> str:
    """The torch device to use; `auto` is the GPU when there is one.

    Raises:
        ConfigError: the device named is malformed or not on this machine.
    """
    import torch

    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise ConfigError(f"device: {wanted!r} is no torch device") from None
    try:
        # Asking is surer than knowing every backend: some cannot be had, some hold no numbers.
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ConfigError(f"device: {wanted} is not on this machine") from None
    return wanted


def pick_dtype(wanted: str, device: str) -> "torch.dtype":
    """The number format to compute in; `auto` is bfloat16 where the hardware multiplies it."""
    import torch

    if wanted != "auto":
        dtype: torch.dtype = getattr(torch, wanted)
        return dtype
    if device.startswith("cuda"):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device == "cpu":
        capabilities = torch.cpu.get_capabilities()
        native = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    else:
        native = False
    return torch.bfloat16 if native else torch.float32


@contextlib.contextmanager
def quiet_loading() -> Iterator[None]:
    """Keeps model libraries' progress bars and advice off the terminal."""
    from transformers.utils import logging as transformers_logging

    had_bar = transformers_logging.is_progress_bar_enabled()
    level = transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if had_bar:
            transformers_logging.enable_progress_bar()
