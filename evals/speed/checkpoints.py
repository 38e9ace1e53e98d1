"""Random checkpoints of any size, and a real tokenizer for them: speed needs no trained weights.

What always holds: equal arguments give equal weights; every id below the vocabulary size decodes
to some text, so that a random model's output is text as well. Weights are drawn in bfloat16 and
written straight to safetensors, without building a model first.
"""

import json
from collections.abc import Iterator
from functools import cache
from itertools import count, product
from pathlib import Path
from string import ascii_lowercase
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

_EVALS = Path(__file__).resolve().parent.parent
BOS, EOS, PAD, TURN_END = "<|begin_of_text|>", "<|end_of_text|>", "<|pad|>", "<|im_end|>"
# Hidden when text is shown; their ids are their places in this list.
SPECIAL_TOKENS = (PAD, BOS, EOS, "<|im_start|>", TURN_END, "<|python_tag|>", "[TOOL_CALLS]")
# One token each, yet part of the text: parsers look for them. Their ids follow.
MARKER_TOKENS = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>")
PAD_ID, BOS_ID, EOS_ID, TURN_END_ID = (SPECIAL_TOKENS.index(t) for t in (PAD, BOS, EOS, TURN_END))

CHAT_TEMPLATE = """\
{%- if tools %}
{{- '<|im_start|>system\\n' }}
{%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
{{- 'Tools, one JSON object a line:\\n' }}
{%- for tool in tools %}{{- tool | tojson + '\\n' }}{%- endfor %}
{{- 'Call one with <tool_call>{"name": ..., "arguments": ...}</tool_call>.<|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'system' and loop.first %}
{%- else %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.content %}{{- message.content }}{%- endif %}
{%- for call in message.tool_calls or [] %}
{{- '\\n<tool_call>' + (call.function | default(call)) | tojson + '</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}
{{- '<think>\\n\\n</think>\\n\\n' }}
{%- endif %}
{%- endif %}
"""


def make_tokenizer(folder: Path, vocab_size: int, *, add_bos: bool = False) -> Path:
    """Trains a byte-level BPE tokenizer on the project's own pages and writes it.

    Args:
        folder: takes tokenizer.json, tokenizer_config.json and the ChatML-style chat template.
        vocab_size: ids, special tokens included; at least 300. What the pages do not fill is
            filled with made-up words, which decode but never result from encoding.
        add_bos: encoding starts with `BOS`, as Llama's does.
    """
    tokenizer = Tokenizer.from_str(_trained(vocab_size))
    if add_bos:
        tokenizer.post_processor = TemplateProcessing(
            single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, BOS_ID)]
        )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=TURN_END, pad_token=PAD
    )
    wrapped.chat_template = CHAT_TEMPLATE
    wrapped.save_pretrained(folder)
    return folder


@cache
def _trained(vocab_size: int) -> str:
    """The tokenizer as JSON; trained once a process, since equal sizes give equal results."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    # Prose where there is a checkout; an installed package has at least its sources.
    pages = sorted((_EVALS.parent / "docs").glob("*.md")) or sorted(_EVALS.rglob("*.py"))
    tokenizer.train_from_iterator(
        [page.read_text(encoding="utf-8") for page in pages],
        trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[*SPECIAL_TOKENS, *MARKER_TOKENS],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    described = json.loads(tokenizer.to_str())
    for token in described["added_tokens"]:
        token["special"] = token["content"] not in MARKER_TOKENS
    vocab: dict[str, int] = described["model"]["vocab"]
    words = _made_up_words()
    while len(vocab) < vocab_size:
        vocab.setdefault(next(words), len(vocab))
    if len(vocab) > vocab_size:
        raise ValueError(f"a byte-level vocabulary has at least {len(vocab)} tokens")
    return json.dumps(described)


def _made_up_words() -> Iterator[str]:
    for length in count(2):
        for letters in product(ascii_lowercase, repeat=length):
            word = "".join(letters)
            yield word
            yield "Ġ" + word  # how byte-level vocabularies write a leading space


def write_random_checkpoint(
    folder: Path,
    *,
    family: Literal["llama", "qwen3"] = "llama",
    hidden: int = 1024,
    layers: int = 24,
    heads: int = 16,
    kv_heads: int = 8,
    head_dim: int | None = None,
    intermediate: int = 3072,
    vocab_size: int = 32_000,
    tied: bool = True,
    max_context: int = 4096,
    seed: int = 0,
    tokenizer: bool = True,
) -> Path:
    """Writes a random bfloat16 checkpoint of the given shape; the defaults make 335M parameters.

    Scales keep activations of order one, and logits spread enough for a decisive arg-max.

    Args:
        folder: made when missing; takes config.json, generation_config.json, model.safetensors
            and, unless `tokenizer` is false, the tokenizer's files.
        head_dim: `hidden // heads` when None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    head_dim = head_dim or hidden // heads
    generator = torch.Generator().manual_seed(seed)

    def weight(rows: int, columns: int) -> torch.Tensor:
        drawn = torch.empty(rows, columns, dtype=torch.bfloat16)
        return drawn.normal_(0, columns**-0.5, generator=generator)

    def norm(width: int, scale: float = 1.0) -> torch.Tensor:
        return torch.full((width,), scale, dtype=torch.bfloat16)

    tensors = {
        "model.embed_tokens.weight": weight(vocab_size, hidden),
        "model.norm.weight": norm(hidden, 4.0),  # spreads the logits
    }
    if not tied:
        tensors["lm_head.weight"] = weight(vocab_size, hidden)
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        tensors |= {
            prefix + "self_attn.q_proj.weight": weight(heads * head_dim, hidden),
            prefix + "self_attn.k_proj.weight": weight(kv_heads * head_dim, hidden),
            prefix + "self_attn.v_proj.weight": weight(kv_heads * head_dim, hidden),
            prefix + "self_attn.o_proj.weight": weight(hidden, heads * head_dim),
            prefix + "mlp.gate_proj.weight": weight(intermediate, hidden),
            prefix + "mlp.up_proj.weight": weight(intermediate, hidden),
            prefix + "mlp.down_proj.weight": weight(hidden, intermediate),
            prefix + "input_layernorm.weight": norm(hidden),
            prefix + "post_attention_layernorm.weight": norm(hidden),
        }
        if family == "qwen3":
            tensors[prefix + "self_attn.q_norm.weight"] = norm(head_dim)
            tensors[prefix + "self_attn.k_norm.weight"] = norm(head_dim)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config: dict[str, Any] = {
        "architectures": ["LlamaForCausalLM" if family == "llama" else "Qwen3ForCausalLM"],
        "model_type": family,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "intermediate_size": intermediate,
        "vocab_size": vocab_size,
        "tie_word_embeddings": tied,
        "max_position_embeddings": max_context,
        "rms_norm_eps": 1e-6,
        "rope_theta": 500_000.0,
        "hidden_act": "silu",
        "torch_dtype": "bfloat16",
        **end_tokens(),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    (folder / "generation_config.json").write_text(json.dumps(end_tokens()))
    return make_tokenizer(folder, vocab_size) if tokenizer else folder


def end_tokens() -> dict[str, Any]:
    """The special token ids as config.json and generation_config.json name them."""
    return {"bos_token_id": BOS_ID, "eos_token_id": [TURN_END_ID, EOS_ID], "pad_token_id": PAD_ID}
