"""A model's text as reasoning, tool calls and content, and which way a model writes them.

What always holds: what is told apart depends on the whole text alone, never on how it was cut into
pieces; without reasoning and without tools the text is the content, to the character.
"""

from collections.abc import Callable, Collection, Sequence

from rostra.serving.parsers.deltas import ContentDelta, ParsedDelta, ReasoningDelta
from rostra.serving.parsers.reasoning import OPEN, ReasoningParser, ReasoningTokens
from rostra.serving.parsers.tool_calls import ToolCallParser, ToolFormat, new_call_id


class OutputParser:
    """Reads one generated text.

    Args:
        tools: how the model writes calls, None when there are none to be read.
        names: the tools that may be called.
        reasoning: whether the text may begin with reasoning.
        inside_reasoning: whether the prompt already opened it.
        hold: show a call only once it is complete, for text that no grammar keeps well-formed.
        new_id: makes a call's id.
    """

    def __init__(
        self,
        *,
        tools: ToolFormat | None = None,
        names: Collection[str] = (),
        reasoning: bool = False,
        inside_reasoning: bool = False,
        hold: bool = True,
        new_id: Callable[[], str] = new_call_id,
    ) -> None:
        self._reasoning = (
            ReasoningParser(inside=inside_reasoning) if reasoning or inside_reasoning else None
        )
        self._tokens = ReasoningTokens(inside=inside_reasoning) if self._reasoning else None
        self._tools = ToolCallParser(tools, names, hold=hold, new_id=new_id) if tools else None

    def feed(self, text: str) -> list[ParsedDelta]:
        """What a further piece of the text shows."""
        thought, rest = self._reasoning.feed(text) if self._reasoning else ("", text)
        return self._deltas(thought, rest)

    def finish(self) -> list[ParsedDelta]:
        """What the end of the text shows; nothing may be fed afterwards."""
        thought, rest = self._reasoning.finish() if self._reasoning else ("", "")
        deltas = self._deltas(thought, rest)
        return deltas + self._tools.finish() if self._tools else deltas

    def reasoning_tokens(self, tokens: Sequence[str]) -> int:
        """How many of the text's next tokens are reasoning.

        Args:
            tokens: what each spells; they may be ahead of what was fed, or behind it.
        """
        return self._tokens.count(tokens) if self._tokens else 0

    @property
    def calls(self) -> int:
        """How many tool calls were shown so far."""
        return self._tools.calls if self._tools else 0

    def _deltas(self, thought: str, rest: str) -> list[ParsedDelta]:
        deltas: list[ParsedDelta] = [ReasoningDelta(thought)] if thought else []
        if self._tools:
            return deltas + self._tools.feed(rest)
        return [*deltas, ContentDelta(rest)] if rest else deltas


def tool_format_of(chat_template: str, knows: Callable[[str], bool]) -> ToolFormat:
    """How a model writes tool calls, by what its chat template and its vocabulary have.

    Hermes' form is taken for models that show none: they follow it best when told to.

    Args:
        chat_template: Jinja source; empty when the tokenizer brings none.
        knows: whether the vocabulary has a token of this name.
    """
    if "<tool_call>" in chat_template:
        return "hermes"
    if "[TOOL_CALLS]" in chat_template or knows("[TOOL_CALLS]"):
        return "mistral"
    if "<|python_tag|>" in chat_template or knows("<|python_tag|>"):
        return "llama3"
    return "hermes"


def reasons(chat_template: str, knows: Callable[[str], bool]) -> bool:
    """Whether a model may begin with reasoning between `<think>` and `</think>`."""
    return OPEN in chat_template or knows(OPEN)


def opens_reasoning(prompt_end: str) -> bool:
    """Whether a prompt that ends so has already opened the reasoning.

    >>> opens_reasoning("<|im_start|>assistant\\n<think>\\n")
    True
    """
    return prompt_end.rstrip().endswith(OPEN)
