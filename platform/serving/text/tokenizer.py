"""Text and chats to token ids, by the tokenizer that a checkpoint brings.

What always holds: nothing is fetched from a network; text of a user never becomes a control token,
neither in a prompt nor anywhere in a chat; what a user can get wrong is an `InvalidRequest`, what
the checkpoint has wrong a `BrokenCheckpoint`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from tokenizers import Encoding, Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from rostra.core import InvalidRequest
from rostra.serving.errors import BrokenCheckpoint
from rostra.serving.text.chat import (
    Guard,
    check_text,
    default_template,
    find_controls,
    prepare_messages,
    render_chat,
)
from rostra.serving.text.pieces import read_pieces


class TextTokenizer:
    """A checkpoint's tokenizer, chat template and end tokens.

    Args:
        folder: checkpoint directory with tokenizer.json; tokenizer_config.json,
            chat_template.jinja, generation_config.json and config.json are read where they exist.

    Attributes:
        vocab_size: ids that the tokenizer knows are below it; a model's logits may be wider.
        eos_token_ids: tokens that end a text: generation_config.json's, else config.json's, and
            the tokenizer's own.
        bos_token_id: None where there is none.
        pieces: the vocabulary as bytes.
        special_ids: tokens that are not shown.
        has_chat_template: whether the checkpoint brings one.

    Raises:
        BrokenCheckpoint: if a file is missing or cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._wrapped = load_wrapped(folder)
        self._parsing: Tokenizer = self._wrapped.backend_tokenizer
        self._parsing.no_truncation()
        self._parsing.no_padding()
        try:
            self.pieces = read_pieces(self._parsing)
        except ValueError as error:
            raise BrokenCheckpoint(
                f"the tokenizer of {folder} is of an unknown kind: {error}"
            ) from error
        self.vocab_size = len(self.pieces.by_id)
        self.special_ids = self.pieces.special
        self.bos_token_id: int | None = self._wrapped.bos_token_id
        self.eos_token_ids = read_eos(folder, self._wrapped.eos_token_id)
        self._templates = read_templates(self._wrapped.chat_template)
        self.has_chat_template = bool(self._templates)
        if not self._templates:
            self._templates = {"default": default_template(self._parsing)}
        self._controls = find_controls(self._parsing, self._templates.values())

    def encode(
        self, text: str, *, add_special_tokens: bool = True, parse_special: bool = False
    ) -> list[int]:
        """Token ids of a text.

        Args:
            text: what looks like a control token in it is text, unless `parse_special`.
            add_special_tokens: put what the tokenizer puts around a text, such as a BOS token.

        Raises:
            InvalidRequest: if the text has lone surrogates.
        """
        check_text(text)
        if parse_special or not self._controls.pattern.search(text):
            return ids_of(self._parsing.encode(text, add_special_tokens=add_special_tokens))
        return self._encode_plain(text, add_special_tokens=add_special_tokens)

    def apply_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        add_generation_prompt: bool = True,
        **variables: Any,
    ) -> list[int]:
        """Token ids of a chat, ready for the assistant's next words.

        Messages are OpenAI's: `content` is a string, a list of text parts, or, of an assistant,
        None; `tool_calls` may have their arguments as JSON text. A checkpoint without a template
        gets ChatML where its vocabulary has ChatML's tokens, else plain "Role: text" paragraphs.

        Args:
            variables: what else the template may look at, such as `enable_thinking`.

        Raises:
            InvalidRequest: if a message is malformed, or the template refuses the chat.
            BrokenCheckpoint: if the template is no valid template.
        """
        template = self._template(tools)
        guard = Guard(self._controls)
        try:
            marked = guard.mark(prepare_messages(messages, developer="developer" in template))
            marked_tools = guard.mark(list(tools)) if tools else None
            marked_variables = guard.mark(variables)
        except RecursionError:
            raise InvalidRequest("the chat is nested too deeply", field="messages") from None
        rendered = render_chat(
            self._wrapped, template, marked, marked_tools, add_generation_prompt, marked_variables
        )
        ids: list[int] = []
        for part, plain in guard.split(rendered):
            ids += self._continue(part, plain=plain, first=not ids)
        return ids

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """The text of token ids, on its own; ids beyond the vocabulary add nothing."""
        return str(self._parsing.decode(list(token_ids), skip_special_tokens=skip_special_tokens))

    def token_bytes(self, token: int) -> bytes:
        """What a token adds to a text; nothing for special tokens and ids that do not exist."""
        return self.pieces.bytes_of(token)

    def token_text(self, token: int) -> str:
        """A token as logprobs show it: special ones by name, incomplete bytes as U+FFFD."""
        if token in self.special_ids:
            return self._parsing.id_to_token(token) or ""
        return self.token_bytes(token).decode(errors="replace")

    @property
    def chat_template(self) -> str:
        """Source of the template that chats with tools are rendered with."""
        return self._template([{}])

    def token_id(self, token: str) -> int | None:
        """The id of a token by its name in the vocabulary; None if there is none."""
        return self._parsing.token_to_id(token)

    @cached_property
    def _plain(self) -> Tokenizer:
        """The same tokenizer, to which control tokens are text like any other."""
        description = json.loads(self._parsing.to_str())
        for added in description["added_tokens"]:
            added["special"] = added["content"] in self._controls.tokens
        plain = Tokenizer.from_str(json.dumps(description))
        plain.encode_special_tokens = True
        return plain

    def _encode_plain(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        encoding = self._plain.encode(text, add_special_tokens=add_special_tokens)
        made = {
            token
            for token, around in zip(encoding.ids, encoding.special_tokens_mask, strict=True)
            if not around
        }
        found = self._controls.pattern.finditer(text)
        cuts = [control.start() + 1 for control in found if len(control[0]) > 1]
        if not cuts or made.isdisjoint(self._controls.tokens.values()):
            return ids_of(encoding)
        # The model part of some vocabularies knows control tokens as words, so they are cut in two.
        ids = ids_of(self._plain.encode("", add_special_tokens=add_special_tokens))
        for start, end in pairwise([0, *cuts, len(text)]):
            ids += self._continue(text[start:end], plain=True, first=not start)
        return ids

    def _continue(self, text: str, *, plain: bool, first: bool) -> list[int]:
        """Token ids of a part of a text; SentencePiece gives only the first a leading space."""

        def encode(part: str) -> list[int]:
            if plain:
                return self._encode_plain(part)
            return ids_of(self._parsing.encode(part, add_special_tokens=False))

        if first or self.pieces.byte_level:
            return encode(text)
        anchor = encode("\n")
        ids = encode("\n" + text)
        return ids[len(anchor) :] if ids[: len(anchor)] == anchor else encode(text)

    def _template(self, tools: Sequence[Mapping[str, Any]] | None) -> str:
        if tools and "tool_use" in self._templates:
            return self._templates["tool_use"]
        return self._templates.get("default") or next(iter(self._templates.values()))


def ids_of(encoding: Encoding) -> list[int]:
    return list(encoding.ids)


def load_wrapped(folder: Path) -> PreTrainedTokenizerFast:
    """transformers' tokenizer of a folder, from its files alone."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise BrokenCheckpoint(
            f"{path} is missing",
            hint="only this format is read; transformers can convert others to it",
        )
    for name in ("tokenizer_config.json", "config.json"):
        read_json(folder / name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    # tokenizers raises bare Exceptions for malformed files, and each tokenizer class its own.
    except Exception as error:
        raise BrokenCheckpoint(f"{path} cannot be read: {error}") from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise BrokenCheckpoint(f"{path} is for a tokenizer written in Python, which is unsupported")
    return tokenizer


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a checkpoint, empty when the file is missing."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BrokenCheckpoint(f"{path} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise BrokenCheckpoint(f"{path} is not a JSON object")
    return value


def read_eos(folder: Path, own: int | None) -> tuple[int, ...]:
    """End tokens, the tokenizer's own last."""
    named: object = None
    for name in ("generation_config.json", "config.json"):
        config = read_json(folder / name)
        named = config.get("eos_token_id")
        if named is None and isinstance(config.get("text_config"), dict):
            named = config["text_config"].get("eos_token_id")
        if named is not None:
            break
    ids: Iterable[object] = named if isinstance(named, list) else [named]
    return tuple(dict.fromkeys(token for token in (*ids, own) if isinstance(token, int)))


def read_templates(templates: object) -> dict[str, str]:
    """Chat templates by name; the usual single one is "default"."""
    if isinstance(templates, str):
        return {"default": templates}
    if isinstance(templates, Mapping):
        return {str(name): str(template) for name, template in templates.items()}
    return {}
