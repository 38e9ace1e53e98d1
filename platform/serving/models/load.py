"""Makes a `Decoder` of a checkpoint's files.

What always holds: every tensor that the model needs is there in the shape that config.json implies,
or loading fails with the file and the tensor named. Files are mapped, not read at once: beyond the
finished weights, at most one packed projection is held in memory.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from rostra.serving.config import WeightFormat
from rostra.serving.errors import BrokenCheckpoint, UnsupportedModel
from rostra.serving.models.config import ModelConfig, read_config
from rostra.serving.models.decoder import Decoder, Layer
from rostra.serving.models.keys import read_json
from rostra.serving.models.linear import Linear, make_linear
from rostra.serving.models.locate import INDEX, SINGLE
from rostra.serving.models.moe import FeedForward, GatedMLP, MixtureOfExperts

Progress = Callable[[int, int], None]  # layers loaded, layers in all

_FLOATS = {"F64", "F32", "F16", "BF16"}


def load_decoder(
    folder: Path,
    *,
    dtype: torch.dtype,
    device: torch.device,
    weights: WeightFormat = "none",
    batch_invariant: bool = False,
    max_context: int | None = None,
    progress: Progress | None = None,
) -> Decoder:
    """Loads a checkpoint.

    Args:
        folder: with config.json and safetensors files.
        dtype: of activations, norms, the embedding, and of linear layers that are not quantized.
        device: where the weights go.
        weights: quantization of the linear layers and the head.
        batch_invariant: a token's result does not depend, bit for bit, on the tokens beside it.
        max_context: positions that are needed; the model's own when None.
        progress: called after each layer.

    Raises:
        UnsupportedModel: the decoder does not know the architecture, a feature or the file format.
        BrokenCheckpoint: a file or a tensor is missing, truncated or of another shape.
    """
    config = read_config(folder)
    with TensorFiles(folder, dtype, device) as files:
        return _Loader(config, files, weights, batch_invariant).decoder(
            max_context or config.max_context, progress
        )


class TensorFiles:
    """The safetensors files of a folder, mapped into memory, as one namespace.

    Args:
        folder: with model.safetensors, or an index and the files it names.
        dtype: that tensors are given out in.
        device: that they are copied to.
    """

    def __init__(self, folder: Path, dtype: torch.dtype, device: torch.device) -> None:
        self.folder = folder
        self._dtype = dtype
        self._device = device
        self._open: dict[Path, Any] = {}
        self._index = folder / INDEX
        self._file_of: dict[str, Path] = {}
        if (folder / SINGLE).is_file():
            self._index = folder / SINGLE
            self._file_of = dict.fromkeys(self._opened(self._index).keys(), self._index)
        elif self._index.is_file():
            self._file_of = self._read_index()
        else:
            raise self._no_weights()

    def __enter__(self) -> "TensorFiles":
        return self

    def __exit__(self, *_: object) -> None:
        """Unmaps the files; tensors given out are copies."""
        for opened in self._open.values():
            with suppress(SafetensorError):
                opened.__exit__(None, None, None)

    def __contains__(self, name: str) -> bool:
        return name in self._file_of

    def read(self, name: str, *shape: int) -> Tensor:
        """A copy of one tensor of this shape; raises as `read_joined` does."""
        return self.read_joined([name], [shape[0]], *shape[1:])

    def read_joined(self, names: Sequence[str], rows: Sequence[int], *columns: int) -> Tensor:
        """A copy of several tensors, one below the other.

        Args:
            names: of the tensors.
            rows: of each.
            columns: of all; none for vectors.

        Raises:
            BrokenCheckpoint: one is missing, cannot be read, or has another shape.
            UnsupportedModel: its numbers are no floats.
        """
        mapped = [self._mapped(n, (r, *columns)) for n, r in zip(names, rows, strict=True)]
        joined = torch.empty(sum(rows), *columns, dtype=self._dtype, device=self._device)
        start = 0
        for tensor in mapped:
            joined[start : start + len(tensor)] = tensor
            start += len(tensor)
        return joined

    def _mapped(self, name: str, shape: tuple[int, ...]) -> Tensor:
        if (file := self._file_of.get(name)) is None:
            raise BrokenCheckpoint(f"{self._index} has no tensor {name}")
        opened = self._opened(file)
        try:
            stored = opened.get_slice(name)
            found, kind = tuple(stored.get_shape()), stored.get_dtype()
            if found != shape:
                raise BrokenCheckpoint(
                    f"{file}: tensor {name} has shape {list(found)}, and config.json implies "
                    f"{list(shape)}"
                )
            if kind not in _FLOATS:
                raise UnsupportedModel(
                    f"{file}: tensor {name} is stored as {kind}, which is not supported",
                    hint=f"Supported are: {', '.join(sorted(_FLOATS))}.",
                )
            tensor: Tensor = opened.get_tensor(name)
        except SafetensorError as error:
            raise BrokenCheckpoint(f"{file}: tensor {name} cannot be read: {error}") from None
        return tensor

    def _opened(self, file: Path) -> Any:
        if file not in self._open:
            try:
                self._open[file] = safe_open(file, "pt", device="cpu")
            except FileNotFoundError:
                raise BrokenCheckpoint(
                    f"{self._index} names {file.name}, which is not in {self.folder}"
                ) from None
            except (SafetensorError, OSError) as error:
                raise BrokenCheckpoint(
                    f"{file} is truncated or no safetensors file: {error}",
                    hint="Download it again.",
                ) from None
        return self._open[file]

    def _read_index(self) -> dict[str, Path]:
        names = read_json(self._index).get("weight_map")
        if not isinstance(names, dict):
            raise BrokenCheckpoint(f"{self._index} has no weight_map")
        for name, file in names.items():
            if not isinstance(file, str) or Path(file).name != file:
                raise BrokenCheckpoint(
                    f"{self._index} puts {name} into {json.dumps(file)}, which is no file's name"
                )
        return {name: self.folder / file for name, file in names.items()}

    def _no_weights(self) -> Exception:
        others = [f.name for end in ("*.bin", "*.gguf", "*.pth") for f in self.folder.glob(end)]
        if others:
            return UnsupportedModel(
                f"{self.folder} has its weights in {sorted(others)[0]}, and only safetensors "
                "files are supported",
                hint="Save the model again with transformers' save_pretrained.",
            )
        return BrokenCheckpoint(
            f"there is neither {SINGLE} nor {INDEX} in {self.folder}",
            hint="A checkpoint folder has config.json, *.safetensors and tokenizer.json.",
        )


class _Loader:
    """Puts the tensors of one checkpoint together."""

    def __init__(
        self,
        config: ModelConfig,
        files: TensorFiles,
        weights: WeightFormat,
        batch_invariant: bool,
    ) -> None:
        self._config = config
        self._files = files
        self._weights = weights
        self._batch_invariant = batch_invariant
        prefixes = config.family.prefixes
        self._prefix = next(
            (prefix for prefix in prefixes if f"{prefix}embed_tokens.weight" in files), prefixes[0]
        )

    def decoder(self, max_context: int, progress: Progress | None) -> Decoder:
        config = self._config
        layers: list[Layer] = []
        embedding = self._files.read(
            f"{self._prefix}embed_tokens.weight", config.vocab_size, config.hidden_size
        )
        for number in range(config.layers):
            layers.append(self._layer(number))
            if progress is not None:
                progress(len(layers), config.layers)
        return Decoder(
            config,
            embedding=embedding,
            layers=layers,
            final_norm=self._norm(f"{self._prefix}norm"),
            head=self._head(embedding),
            max_context=max_context,
        )

    def _layer(self, number: int) -> Layer:
        config, names = self._config, self._config.family.names
        prefix = f"{self._prefix}layers.{number}."

        def norm(name: str | None) -> Tensor | None:
            return None if name is None else self._norm(prefix + name)

        def head_norm(name: str) -> Tensor | None:
            return self._norm(prefix + name, config.head_dim) if config.qk_norm else None

        queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
        return Layer(
            attention_norm=self._norm(prefix + names.attention_norm),
            qkv=self._packed(
                [prefix + name for name in names.qkv],
                [queries, keys, keys],
                config.hidden_size,
                config.qkv_bias,
            ),
            q_norm=head_norm(names.q_norm),
            k_norm=head_norm(names.k_norm),
            output=self._packed(
                [prefix + names.output], [config.hidden_size], queries, config.output_bias
            ),
            post_attention_norm=norm(names.post_attention_norm),
            mlp_norm=self._norm(prefix + names.mlp_norm),
            mlp=self._feed_forward(number, prefix),
            post_mlp_norm=norm(names.post_mlp_norm),
        )

    def _feed_forward(self, number: int, prefix: str) -> FeedForward:
        config, names = self._config, self._config.family.names
        experts = config.experts
        if experts is None or not experts.layers[number]:
            mlp = f"{prefix}{names.mlp}."
            return self._mlp(mlp, names.gate_up, names.down, config.intermediate_size)
        block = f"{prefix}{names.experts}."
        router = self._files.read(f"{block}gate.weight", experts.count, config.hidden_size)
        return MixtureOfExperts(
            # Never quantized: it is small, and its choices are all or nothing.
            router=make_linear(router, None, batch_invariant=self._batch_invariant),
            experts=tuple(
                self._mlp(
                    f"{block}experts.{expert}.",
                    names.expert_gate_up,
                    names.expert_down,
                    experts.intermediate_size,
                )
                for expert in range(experts.count)
            ),
            per_token=experts.per_token,
            normalised=experts.normalised,
        )

    def _mlp(self, prefix: str, gate_up: Sequence[str], down: str, size: int) -> GatedMLP:
        config = self._config
        return GatedMLP(
            gate_up=self._packed(
                [prefix + name for name in gate_up],
                [size, size],
                config.hidden_size,
                config.mlp_bias,
            ),
            down=self._packed([prefix + down], [config.hidden_size], size, config.mlp_bias),
            activation=config.activation,
        )

    def _packed(
        self, names: Sequence[str], rows: Sequence[int], columns: int, bias: bool
    ) -> Linear:
        """One linear layer of several stored ones, or of one that is stored packed."""
        if len(names) == 1:
            rows = [sum(rows)]
        weight = self._files.read_joined([f"{name}.weight" for name in names], rows, columns)
        shift = self._files.read_joined([f"{name}.bias" for name in names], rows) if bias else None
        return self._linear(weight, shift)

    def _head(self, embedding: Tensor) -> Linear:
        if self._config.tied_embeddings:
            return self._linear(embedding, None)
        return self._linear(self._files.read("lm_head.weight", *embedding.shape), None)

    def _linear(self, weight: Tensor, bias: Tensor | None) -> Linear:
        return make_linear(
            weight, bias, weights=self._weights, batch_invariant=self._batch_invariant
        )

    def _norm(self, name: str, width: int | None = None) -> Tensor:
        return self._files.read(f"{name}.weight", width or self._config.hidden_size)
