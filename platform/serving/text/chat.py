"""Chats as one text: messages made ready, a template rendered, users' control tokens disarmed.

A template writes control tokens such as `<|im_end|>` as text, and the tokenizer turns them into
tokens. A user could write them too and so end their own turn and speak for another. `Guard` marks
every control token in what users wrote, with marks nobody can guess, before the template sees it;
afterwards what is marked is encoded as plain text.

What always holds: only a template makes control tokens; a chat without any in its messages is
rendered from exactly these messages.
"""

import inspect
import json
import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from rostra.core import InvalidRequest
from rostra.serving.errors import BrokenCheckpoint

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})

# What a template is rendered with is ours to say, but for these.
FREE_ARGUMENTS = frozenset({"documents", "continue_final_message", "kwargs"})

TOOLS_AND_TURNS = """\
{%- macro calls(message) %}
{%- for call in message.tool_calls or [] %}
{{- '<tool_call>' + (call.function or call) | tojson + '</tool_call>' }}
{%- endfor %}
{%- endmacro %}
{%- macro tool_list() %}
{{- 'Tools that can be called, one JSON object a line:\\n' }}
{%- for tool in tools %}{{- tool | tojson + '\\n' }}{%- endfor %}
{{- 'To call one, write <tool_call>{"name": its name, "arguments": {...}}</tool_call>' }}
{%- endmacro %}
"""

CHATML_TEMPLATE = (
    TOOLS_AND_TURNS
    + """\
{%- if tools %}{{- '<|im_start|>system\\n' + tool_list() + '<|im_end|>\\n' }}{%- endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + calls(message) + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""
)

PLAIN_TEMPLATE = (
    TOOLS_AND_TURNS
    + """\
{%- if tools %}{{- 'System: ' + tool_list() + '\\n\\n' }}{%- endif %}
{%- for message in messages %}
{{- message.role | capitalize + ': ' + message.content + calls(message) + '\\n\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- 'Assistant:' }}{%- endif %}
"""
)


def default_template(tokenizer: Tokenizer) -> str:
    """For a checkpoint that brings no template: ChatML where it has the tokens, else plain turns.

    Either starts with the BOS token where the tokenizer puts one before a text.
    """
    chatml = all(
        tokenizer.token_to_id(token) is not None for token in ("<|im_start|>", "<|im_end|>")
    )
    template = CHATML_TEMPLATE if chatml else PLAIN_TEMPLATE
    if tokenizer.encode("", add_special_tokens=True).ids:
        return "{{- bos_token }}" + template
    return template


@dataclass(frozen=True, slots=True)
class Controls:
    """The strings that become control tokens.

    Attributes:
        tokens: each with its id.
        pattern: matches any of them, the longest first.
        beginnings: what any of them may begin with, itself excepted.
    """

    tokens: Mapping[str, int]
    pattern: re.Pattern[str]
    beginnings: tuple[str, ...]


def find_controls(tokenizer: Tokenizer, templates: Collection[str]) -> Controls:
    """Control tokens: the special ones, and added ones that a chat template writes.

    Other added tokens are just words, such as runs of spaces or HTML tags.
    """
    tokens = {
        added.content: token
        for token, added in tokenizer.get_added_tokens_decoder().items()
        if added.content.strip()
        and (added.special or any(added.content in template for template in templates))
    }
    longest_first = sorted(tokens, key=len, reverse=True)
    return Controls(
        tokens=tokens,
        pattern=re.compile("|".join(map(re.escape, longest_first)) or "(?!)"),
        beginnings=tuple({token[:n] for token in tokens for n in range(1, len(token))}),
    )


@dataclass(slots=True)
class Guard:
    """Marks control tokens in what users wrote; made anew for each chat.

    Marks are letters and digits, so that filters such as `tojson` and `trim` leave them alone. A
    template that takes a marked string apart leaves single marks, which still keep the parts from
    becoming a control token again.
    """

    controls: Controls
    _opening: str = field(init=False)
    _closing: str = field(init=False)
    _used: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        secret = secrets.token_hex(16)
        self._opening, self._closing = f"x{secret}x", f"y{secret}y"

    def mark(self, value: Any) -> Any:
        """The same value with the control tokens in all its strings marked.

        Raises:
            InvalidRequest: for text with lone surrogates.
        """
        if isinstance(value, str):
            return self._mark_text(value)
        if isinstance(value, Mapping):
            return {self.mark(key): self.mark(item) for key, item in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, bytes):
            return [self.mark(item) for item in value]
        return value

    def split(self, rendered: str) -> Iterator[tuple[str, bool]]:
        """The rendered chat without marks, in parts: text, and whether it was marked."""
        if not self._used:
            yield rendered, False
            return
        control = self.controls.pattern.pattern
        marks = re.compile(
            f"{self._opening}({control}){self._closing}|{self._opening}|{self._closing}"
        )
        # A text, the marked text after it (None after a single mark), a text, ...
        for place, part in enumerate(marks.split(rendered)):
            if part:
                yield part, place % 2 == 1

    def _mark_text(self, text: str) -> str:
        check_text(text)
        marked = self.controls.pattern.sub(
            lambda found: self._opening + found[0] + self._closing, text
        )
        end = len(marked.rstrip())
        if marked.endswith(self.controls.beginnings, 0, end):
            # The template may put something behind it that makes it whole.
            marked = marked[:end] + self._closing + marked[end:]
        self._used = self._used or marked != text
        return marked


def check_text(text: object) -> None:
    """Raises InvalidRequest for what is not text or cannot be written as UTF-8."""
    if not isinstance(text, str):
        raise InvalidRequest("a text must be a string")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            f"a text has a lone surrogate at character {error.start}: it is not valid Unicode",
            hint="decode the bytes with the right encoding, or with errors='replace'",
        ) from None


def prepare_messages(messages: Sequence[Mapping[str, Any]], *, developer: bool) -> list[Any]:
    """Messages as chat templates expect them.

    Args:
        messages: OpenAI's.
        developer: whether the template knows the role; otherwise it becomes "system".

    Returns:
        Messages whose `content` is a string and whose tool calls have arguments as objects; keys
        that are None are left out.

    Raises:
        InvalidRequest: if a message is malformed.
    """
    if not messages:
        raise InvalidRequest("a chat needs at least one message", field="messages")
    return [
        prepare_message(message, f"messages[{place}]", developer)
        for place, message in enumerate(messages)
    ]


def prepare_message(message: Mapping[str, Any], name: str, developer: bool) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        raise InvalidRequest(f"{name} is not an object", field=name)
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise InvalidRequest(
            f"{name} has an unknown role; known are {', '.join(sorted(ROLES))}",
            field=f"{name}.role",
        )
    ready = {key: value for key, value in message.items() if value is not None}
    if role == "developer" and not developer:
        ready["role"] = "system"
    ready["content"] = text_of(message.get("content"), name, optional=role == "assistant")
    if "tool_calls" in ready:
        ready["tool_calls"] = [
            prepare_call(call, f"{name}.tool_calls[{place}]")
            for place, call in enumerate(as_list(ready["tool_calls"], f"{name}.tool_calls"))
        ]
    return ready


def text_of(content: object, name: str, *, optional: bool) -> str:
    """A message's text; parts of a list are joined by line breaks."""
    if content is None and optional:
        return ""
    if isinstance(content, str):
        return content
    parts = []
    for part in as_list(content, f"{name}.content"):
        if not isinstance(part, Mapping) or part.get("type", "text") != "text":
            raise InvalidRequest(
                f"{name} has a content part that is not text; this model reads text only",
                field=f"{name}.content",
            )
        text = part.get("text")
        if not isinstance(text, str):
            raise InvalidRequest(f"{name} has a text part without text", field=f"{name}.content")
        parts.append(text)
    return "\n".join(parts)


def prepare_call(call: object, name: str) -> dict[str, Any]:
    if not isinstance(call, Mapping) or not isinstance(call.get("function"), Mapping):
        raise InvalidRequest(f"{name} has no function", field=name)
    function = dict(call["function"])
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        function["arguments"] = parsed_arguments(arguments)
    return {**call, "function": function}


def parsed_arguments(arguments: str) -> Any:
    """Arguments as the object they describe; a model's malformed ones stay the text they are."""
    if not arguments.strip():
        return {}
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


def as_list(value: object, name: str) -> Iterable[Any]:
    if not isinstance(value, list | tuple):
        raise InvalidRequest(f"{name} must be text or a list", field=name)
    return value


def render_chat(
    tokenizer: PreTrainedTokenizerFast,
    template: str,
    messages: list[Any],
    tools: list[Any] | None,
    add_generation_prompt: bool,
    variables: dict[str, Any],
) -> str:
    """The chat as one text, by transformers' sandboxed template engine.

    Raises:
        InvalidRequest: if the template refuses the chat, or a variable has a reserved name.
        BrokenCheckpoint: if the template itself is malformed.
    """
    reserved = set(inspect.signature(tokenizer.apply_chat_template).parameters) - FREE_ARGUMENTS
    if taken := sorted(reserved & variables.keys()):
        raise InvalidRequest(
            f"a chat template cannot be given {taken[0]}", field="chat_template_kwargs"
        )
    try:
        return str(
            tokenizer.apply_chat_template(
                messages,
                tools=tools,
                chat_template=template,
                add_generation_prompt=add_generation_prompt,
                tokenize=False,
                **variables,
            )
        )
    except TemplateSyntaxError as error:
        raise BrokenCheckpoint(f"the model's chat template is malformed: {error}") from error
    except TemplateError as error:
        raise InvalidRequest(
            f"the model's chat template refuses this chat: {error}", field="messages"
        ) from error
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        # A template is a program: handed a chat that it was not written for, it fails like one.
        raise InvalidRequest(
            f"the model's chat template cannot render this chat: {error}", field="messages"
        ) from error
