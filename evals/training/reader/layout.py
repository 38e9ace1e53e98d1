"""How the reader is asked and what it answers: the tokens beside its words, and its chat template.

The platform's prompts say much that is the same each time: rules, schemas, marks of JSON. The chat
template leaves of them what differs. All prompts become one layout:

    <|begin|> <|passage|> title <|1|> a sentence <|2|> the next ...
    <|evidence|> question <|step|>                                  -> [2]<|end|>
    <|react|> <|search|> <|calculate|> task <|asked|> query <|step|> -> one step in JSON

Material comes before the question whatever the order of the messages, so that many questions can be
trained behind one copy of it, and what is learnt of evidence serves steps.

What always holds: numbers of sentences are single tokens, in the material (`<|17|>`) and in an
answer (`17`); what is the same in all steps of a kind is one token, and spells JSON that the step's
schema admits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_NUMBERS = 200
BEGIN, END, PAD = "<|begin|>", "<|end|>", "<|pad|>"
PASSAGE, EVIDENCE, REACT, STEP, ASKED = (
    "<|passage|>",
    "<|evidence|>",
    "<|react|>",
    "<|step|>",
    "<|asked|>",
)
SEARCH, CALCULATE, LAST, CHAT = "<|search|>", "<|calculate|>", "<|last|>", "<|chat|>"
MARKERS = tuple(f"<|{number}|>" for number in range(1, MOST_NUMBERS + 1))
SPECIAL = (
    *(PAD, BEGIN, END, PASSAGE, EVIDENCE, REACT, STEP, ASKED, SEARCH, CALCULATE, LAST, CHAT),
    *MARKERS,
)

# --- What a step is made of: each is one token ---

CALL_SEARCH = (
    '{"thought": "The documents may say this.", "action": [{"tool": "search", "args": {"query": "'
)
CALL_AGAIN = (
    '{"thought": "That does not answer it; other words may.", '
    '"action": [{"tool": "search", "args": {"query": "'
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
SCAFFOLDS = (CALL_SEARCH, CALL_AGAIN, CALL_CALCULATE, END_CALL, FOUND, COMPUTED, END_FOUND, NOTHING)

TEMPLATE = """\
{%- macro text(words) -%}{{ ' ' ~ words.split() | join(' ') }}{%- endmacro -%}
{%- macro material(said) -%}
{%- set seen = namespace(last=0) -%}
{%- for line in said.split('\\n') -%}
{%- set number = line[1:].split(']')[0] if line.startswith('[') else '' -%}
{%- if number.isdigit() and number | length < 4 and 0 < number | int <= MOST
  and (fenced or seen.last == 0 or number | int == seen.last + 1) -%}
{%- set seen.last = number | int -%}
{{- '<|' ~ number ~ '|>' ~ text(line[number | length + 2:]) -}}
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
{{- material(parts[0]) ~ '<|evidence|>' ~ text(parts[-1]) -}}
{%- elif rules.startswith('You work on a task step by step') -%}
{%- set fenced = false -%}
{%- set seen = namespace(task='', last=false) -%}
{%- for message in messages -%}
{%- if message.role == 'user' -%}
{%- if loop.index0 < 2 -%}
{%- set seen.task = message.content -%}
{%- elif 'LAST_STEP' in message.content -%}
{%- set seen.last = true -%}
{{- material(message.content.split('LAST_STEP')[0]) -}}
{%- else -%}
{{- material(message.content) -}}
{%- endif -%}
{%- endif -%}
{%- endfor -%}
{{- '<|react|>' -}}
{%- if seen.last -%}{{- '<|last|>' -}}{%- else -%}
{%- if '\\n- search:' in rules -%}{{- '<|search|>' -}}{%- endif -%}
{%- if '\\n- calculate:' in rules -%}{{- '<|calculate|>' -}}{%- endif -%}
{%- endif -%}
{{- text(seen.task) -}}
{%- for message in messages if message.role == 'assistant' -%}
{%- for key in ['"query": "', '"expression": "'] if key in message.content -%}
{{- '<|asked|>' ~ text(message.content.split(key)[1].split('"')[0]) -}}
{%- endfor -%}
{%- endfor -%}
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
    """The beginning of a prompt: what the template makes of numbered passages."""
    parts = [BEGIN]
    for passage in passages:
        parts.append(PASSAGE + words(passage.title))
        parts += [f"<|{number}|>{words(sentence)}" for number, sentence in passage.sentences]
    return "".join(parts)


def evidence_question(question: str) -> str:
    """The end of a prompt that asks for sentences."""
    return f"{EVIDENCE}{words(question)}{STEP}"


def step_question(
    task: str,
    asked: Sequence[str] = (),
    *,
    search: bool = True,
    calculate: bool = False,
    last: bool = False,
) -> str:
    """The end of a prompt that asks for the next step of an agent."""
    tools = LAST if last else SEARCH * search + CALCULATE * calculate
    before = "".join(ASKED + words(query) for query in asked)
    return f"{REACT}{tools}{words(task)}{before}{STEP}"


def words(text: str) -> str:
    """A text on one line, as it stands behind a token of ours."""
    return " " + " ".join(text.split())


def numbers_answer(numbers: Sequence[int]) -> str:
    """The answer that names sentences."""
    return "[" + ", ".join(map(str, numbers)) + "]"
