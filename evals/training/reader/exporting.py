"""The trained reader as a checkpoint folder, as any other Llama's.

What always holds: weights have transformers' names and are float16; the folder has all that the
engine and transformers read, and nothing of this machine.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from evals.training.atomic import replacing, write_whole
from evals.training.reader.layout import BEGIN, END, PAD
from evals.training.reader.net import Reader, Shape
from evals.training.reader.vocabulary import save_tokenizer


def export_reader(net: Reader, tokenizer: Tokenizer, last_step: str, folder: Path) -> None:
    """Writes the folder.

    Args:
        last_step: see `chat_template`.

    Raises:
        OSError: the disk is full or not writable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_tokenizer(tokenizer, folder, last_step, net.shape.context)
    weights = {
        f"model.{name}": one.detach().to("cpu", torch.float16).contiguous()
        for name, one in net.state_dict().items()
    }
    with replacing(folder / "model.safetensors") as draft:
        save_file(weights, draft, {"format": "pt"})
        draft.chmod(0o644)  # it is written for its owner alone
    described = config_json(net.shape, tokenizer)
    write_whole(folder / "config.json", json.dumps(described, indent=2) + "\n")
    ends = {name: described[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    generation = ends | {"do_sample": False}
    write_whole(folder / "generation_config.json", json.dumps(generation, indent=2) + "\n")


def config_json(shape: Shape, tokenizer: Tokenizer) -> dict[str, Any]:
    """What config.json says."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads,
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "rms_norm_eps": shape.eps,
        "rope_theta": shape.theta,
        "max_position_embeddings": shape.context,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": tokenizer.token_to_id(BEGIN),
        "eos_token_id": tokenizer.token_to_id(END),
        "pad_token_id": tokenizer.token_to_id(PAD),
        "torch_dtype": "float16",
    }
