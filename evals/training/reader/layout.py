"""How the reader is asked and what it answers: the tokens beside its words, and its chat template.

The platform's prompts say much that is the same each time: rules, schemas, marks of JSON. The chat
template leaves of them what differs. All prompts become one layout:

    <|begin|> <|evidence|> question                     <|passage|> title <|1|> a sentence <|stop|>
                                                        <|2|> the next <|stop|> ... <|step|>
    <|react|> <|search|> <|calculate|> task <|asked|> query <|passage|> ... <|asked|> query ...

and are followed by `[2]<|end|>`, or by a step in JSON. The question comes before the material,
whatever the order of the messages: whether a sentence answers is then found out once, while the
sentence is read, and what is learnt of evidence serves steps. A run's next step begins with all of
the last one, which a prefix cache keeps.

What always holds: numbers of sentences are single tokens, in the material (`<|17|>`) and in an
answer (`17`); what is the same in all steps of a kind is one token, and spells JSON that the step's
schema admits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_NUMBERS = 200
BEGIN, END, PAD = "<|begin|>", "<|end|>", "<|pad|>"
PASSAGE, STOP, EVIDENCE, REACT, STEP, ASKED = (
    "<|passage|>",
    "<|stop|>",
    "<|evidence|>",
    "<|react|>",
    "<|step|>",
    "<|asked|>",
)
SEARCH, CALCULATE, LAST, CHAT = "<|search|>", "<|calculate|>", "<|last|>", "<|chat|>"
MARKERS = tuple(f"<|{number}|>" for number in range(1, MOST_NUMBERS + 1))
SPECIAL = (
    *(PAD, BEGIN, END, PASSAGE, STOP, EVIDENCE, REACT, STEP, ASKED),
    *(SEARCH, CALCULATE, LAST, CHAT),
    *MARKERS,
)

# --- What a step is made of: each is one token ---

CALL_SEARCH = (
    '{"thought": "The documents may say this.", "action": [{"tool": "search", "args": {"query": "'
)
CALL_CALCULATE = (
    '{"thought": "This is to be computed.", '
    '"action": [{"tool": "calculate", "args": {"expression": "'
)
END_CALL = '"}}]}'
FOUND = (
    '{"thought": "These sentences answer it.", '
    '"final": {"claims": [{"text": "The documents say:", "evidence": ['
)
COMPUTED = (
    '{"thought": "The result answers it.", '
    '"final": {"claims": [{"text": "The calculator says:", "evidence": ['
)
END_FOUND = "]}]}}"
NOTHING = '{"thought": "Nothing that was found answers it.", "final": {"claims": []}}'
SCAFFOLDS = (CALL_SEARCH, CALL_CALCULATE, END_CALL, FOUND, COMPUTED, END_FOUND, NOTHING)

TEMPLATE = """\
{%- macro text(words) -%}{{ ' ' ~ words.split() | join(' ') }}{%- endmacro -%}
{%- macro material(said) -%}
{%- set seen = namespace(last=0) -%}
{%- for line in said.split('\\n') -%}
{%- set number = line[1:].split(']')[0] if line.startswith('[') else '' -%}
{%- if number.isdigit() and number | length < 4 and 0 < number | int <= MOST
  and (fenced or seen.last == 0 or number | int == seen.last + 1) -%}
{%- set seen.last = number | int -%}
{{- '<|' ~ number ~ '|>' ~ text(line[number | length + 2:]) ~ '<|stop|>' -}}
{%- elif fenced and line.startswith('<passage title=') -%}
{{- '<|passage|>' ~ text(line[16:-2].replace('&lt;', '<').replace('&gt;', '>')
  .replace('&amp;', '&')) -}}
{%- elif ' (document ' in line and line.endswith('):') -%}
{{- '<|passage|>' ~ text(line.rsplit(' (document ', 1)[0]) -}}
{%- elif line.strip() and not line.startswith('Result of ')
  and not line.startswith('That was no valid step') -%}
{{- text(line) -}}
{%- endif -%}
{%- endfor -%}
{%- endmacro -%}
{%- set rules = messages[0].content if messages[0].role == 'system' else '' -%}
{{- '<|begin|>' -}}
{%- if rules.startswith('You answer questions by pointing') -%}
{%- set fenced = true -%}
{%- set parts = messages[-1].content.rsplit('\\n\\nQuestion: ', 1) -%}
{{- '<|evidence|>' ~ text(parts[-1]) ~ material(parts[0]) -}}
{%- elif rules.startswith('You work on a task step by step') -%}
{%- set fenced = false -%}
{%- set seen = namespace(last=false) -%}
{{- '<|react|>' -}}
{%- if '\\n- search:' in rules -%}{{- '<|search|>' -}}{%- endif -%}
{%- if '\\n- calculate:' in rules -%}{{- '<|calculate|>' -}}{%- endif -%}
{%- for message in messages -%}
{%- if message.role == 'assistant' -%}
{%- for key in ['"query": "', '"expression": "'] if key in message.content -%}
{{- '<|asked|>' ~ text(message.content.split(key)[1].split('"')[0]) -}}
{%- endfor -%}
{%- elif message.role == 'user' and loop.index0 < 2 -%}
{{- text(message.content) -}}
{%- elif message.role == 'user' -%}
{%- set seen.last = seen.last or 'LAST_STEP' in message.content -%}
{{- material(message.content.split('LAST_STEP')[0]) -}}
{%- endif -%}
{%- endfor -%}
{%- if seen.last -%}{{- '<|last|>' -}}{%- endif -%}
{%- else -%}
{{- '<|chat|>' -}}
{%- for message in messages -%}{{- text(message.content) -}}{%- endfor -%}
{%- endif -%}
{%- if add_generation_prompt -%}{{- '<|step|>' -}}{%- endif -%}
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """A passage as the reader sees it: its title and its sentences, each with its number."""

    title: str
    sentences: tuple[tuple[int, str], ...]


def chat_template(last_step: str) -> str:
    """The template, in Jinja.

    Args:
        last_step: how the platform says that the next step has to be the answer, its beginning.
    """
    return TEMPLATE.replace("LAST_STEP", last_step).replace("MOST", str(MOST_NUMBERS))


def material(passages: Sequence[Shown]) -> str:
    """What the template makes of numbered passages."""
    parts = []
    for passage in passages:
        parts.append(PASSAGE + words(passage.title))
        parts += [f"<|{number}|>{words(sentence)}{STOP}" for number, sentence in passage.sentences]
    return "".join(parts)


def evidence_prompt(question: str, passages: Sequence[Shown]) -> str:
    """A prompt that asks for sentences."""
    return f"{BEGIN}{EVIDENCE}{words(question)}{material(passages)}{STEP}"


def step_prompt(
    task: str,
    turns: Sequence[tuple[str, str]] = (),
    *,
    search: bool = True,
    calculate: bool = False,
    last: bool = False,
) -> str:
    """A prompt that asks for the next step of an agent.

    Args:
        turns: what was searched or computed, each with the material that came back.
        last: the step has to be the answer.
    """
    tools = SEARCH * search + CALCULATE * calculate
    before = "".join(ASKED + words(query) + found for query, found in turns)
    return f"{BEGIN}{REACT}{tools}{words(task)}{before}{LAST * last}{STEP}"


def words(text: str) -> str:
    """A text on one line, as it stands behind a token of ours."""
    return " " + " ".join(text.split())


def numbers_answer(numbers: Sequence[int]) -> str:
    """The answer that names sentences."""
    return "[" + ", ".join(map(str, numbers)) + "]"
