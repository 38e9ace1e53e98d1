"""Structural tags: free text with constrained parts between tags.

Reads the JSON that xgrammar's `StructuralTag` is written as, the part of it that tool calling and
reasoning need: const_string, any_text, json_schema (JSON style), regex, grammar, token, sequence,
or, optional, plus, star, repeat, tag, triggered_tags, tags_with_separator. A `json_schema` may have
`strict`, false to leave out what a grammar cannot enforce, and `tool`, whose arguments it
describes: such a schema is refused if nothing satisfies it, and errors about it name the tool.

What always holds: free text before a tag contains neither the tag's trigger nor what is excluded.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rostra.serving.errors import InvalidGrammar, UnsupportedSchema
from rostra.serving.grammar import regular
from rostra.serving.grammar.expr import (
    ANY,
    EMPTY,
    NEVER,
    Alt,
    Chars,
    Expr,
    Grammar,
    Repeat,
    Rule,
    Seq,
    Special,
    Text,
    alt,
    chars,
    optional,
    pruned,
    repeat,
    seq,
)
from rostra.serving.grammar.gbnf import parse_gbnf
from rostra.serving.grammar.regex import parse_regex
from rostra.serving.grammar.schema import schema_grammar

MAX_DEPTH = 100


def structural_grammar(tag: str, named: Mapping[str, int]) -> Grammar:
    """The grammar of a structural tag.

    Args:
        tag: as JSON text.
        named: special tokens by name.

    Raises:
        InvalidGrammar: if it cannot be read, or uses a format that is not supported.
        UnsupportedSchema: if a strict schema in it cannot be enforced in full.
    """
    try:
        value = json.loads(tag)
    except ValueError as error:
        raise InvalidGrammar(f"The structural tag is no JSON: {error}") from error
    if not isinstance(value, dict) or value.get("type") != "structural_tag":
        raise InvalidGrammar('A structural tag is {"type": "structural_tag", "format": ...}.')
    builder = _Builder(named)
    builder.rules["root"] = builder.format(value.get("format"), EMPTY)
    return Grammar(builder.rules)


class _Builder:
    """Formats to expressions; each is built together with what follows it, so that free text knows
    where it ends."""

    def __init__(self, named: Mapping[str, int]) -> None:
        self.named = named
        self.rules: dict[str, Expr] = {}
        self.depth = 0

    def format(self, value: Any, then: Expr, *, excludes: Sequence[str] = ()) -> Expr:
        """The format, then `then`; free text in it also stays clear of `excludes`."""
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            raise InvalidGrammar("A format of the structural tag has no type.")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise InvalidGrammar("The structural tag is nested too deeply.")
        try:
            return self._format(value, then, excludes)
        except (KeyError, TypeError) as error:
            raise InvalidGrammar(
                f"A {value['type']} format of the structural tag is malformed: {error!r}"
            ) from error
        finally:
            self.depth -= 1

    def _format(self, value: dict[str, Any], then: Expr, excludes: Sequence[str]) -> Expr:
        match value["type"]:
            case "const_string":
                return seq(Text(value["value"]), then)
            case "any_text":
                if value.get("max_tokens") is not None or value.get("max_chars") is not None:
                    raise InvalidGrammar("max_tokens and max_chars of any_text are not supported.")
                return self.free_text([*value.get("excludes", ()), *excludes], then)
            case "json_schema":
                if value.get("style", "json") != "json":
                    raise InvalidGrammar(f"The style {value['style']!r} is not supported.")
                return seq(self.imported(_schema(value)), then)
            case "regex":
                return seq(parse_regex(value["pattern"]), then)
            case "grammar":
                return seq(self.imported(parse_gbnf(value["grammar"])), then)
            case "token":
                return seq(self.token(value["token"]), then)
            case "sequence":
                for element in reversed(value["elements"]):
                    then = self.format(element, then, excludes=excludes)
                return then
            case "or":
                following = self.shared(then)
                return alt(*(self.format(each, following) for each in value["elements"]))
            case "optional":
                following = self.shared(then)
                return alt(self.format(value["content"], following), following)
            case "star" | "plus" | "repeat":
                least, most = {"star": (0, -1), "plus": (1, -1)}.get(
                    value["type"], (value.get("min", 0), value.get("max", -1))
                )
                once = self.shared(self.format(value["content"], EMPTY))
                return seq(repeat(once, least, None if most < 0 else most), then)
            case "tag":
                return self.tag(value, then)
            case "triggered_tags":
                return self.triggered(value, then, excludes)
            case "tags_with_separator":
                following = self.shared(then)
                one = self.shared(alt(*(self.tag(each, EMPTY) for each in value["tags"])))
                more = seq(Text(value["separator"]), one)
                tags = seq(one, repeat(more, 0, 0 if value.get("stop_after_first") else None))
                if not value.get("at_least_one"):
                    tags = optional(tags)
                return seq(tags, following)
            case other:
                raise InvalidGrammar(f"The format {other!r} is not supported.")

    def tag(self, value: dict[str, Any], then: Expr) -> Expr:
        """Begin, content, end."""
        ends = value["end"] if isinstance(value["end"], list) else [value["end"]]
        end = alt(*(self.mark(each) for each in ends))
        excludes = [each for each in ends if isinstance(each, str) and each]
        content = self.format(value["content"], self.shared(seq(end, then)), excludes=excludes)
        return seq(self.mark(value["begin"]), content)

    def triggered(self, value: dict[str, Any], then: Expr, excludes: Sequence[str]) -> Expr:
        """Free text in which a trigger begins a tag."""
        triggers = value["triggers"]
        for each in value["tags"]:
            if not isinstance(each["begin"], str) or not each["begin"].startswith(tuple(triggers)):
                raise InvalidGrammar(f"No trigger begins the tag {each['begin']!r}.")
        avoid = [*triggers, *value.get("excludes", ()), *excludes]
        again = self.name()
        following = self.shared(then)
        tags = self.shared(
            alt(
                *(
                    self.tag(each, following if value.get("stop_after_first") else Rule(again))
                    for each in value["tags"]
                )
            )
        )
        self.rules[again] = self.free_text(avoid, alt(tags, following))
        if value.get("at_least_one"):
            return self.free_text(avoid, tags)
        return Rule(again)

    def mark(self, value: Any) -> Expr:
        return Text(value) if isinstance(value, str) else self.token(value["token"])

    def token(self, token: int | str) -> Expr:
        """A special token by id or name; a name that is no special token is text."""
        if isinstance(token, str):
            return Special(self.named[token]) if token in self.named else Text(token)
        if token not in self.named.values():
            raise InvalidGrammar(f"Token {token} is not a special token.")
        return Special(token)

    def free_text(self, excludes: Sequence[str], then: Expr) -> Expr:
        """Any text that contains none of these strings, then `then`."""
        avoid = [each for each in excludes if each]
        anything = repeat(chars(ANY), 0, None)
        if not avoid:
            return seq(anything, then)
        containing = seq(anything, alt(*map(Text, avoid)), anything)
        allowed = regular.complement(regular.from_expr(containing))
        rules = regular.rules_of(allowed, self.name() + "_", Chars, self.shared(then))
        self.rules.update(rules)
        return Rule(next(iter(rules)))

    def name(self) -> str:
        name = f"t{len(self.rules)}"
        self.rules[name] = EMPTY
        return name

    def shared(self, expr: Expr) -> Expr:
        """A rule for an expression that is used more than once."""
        if isinstance(expr, Text | Rule | Special) or expr == EMPTY:
            return expr
        name = self.name()
        self.rules[name] = expr
        return Rule(name)

    def imported(self, grammar: Grammar) -> Expr:
        """A grammar's root, its rules under names of their own."""
        prefix = self.name() + "_"
        for name, expr in grammar.rules.items():
            self.rules[prefix + name] = _renamed(expr, prefix)
        return Rule(prefix + grammar.root)


def _schema(value: dict[str, Any]) -> Grammar:
    schema = json.dumps(value["json_schema"])
    strict = value.get("strict", True) is not False
    tool = value.get("tool")
    if tool is None:
        return schema_grammar(schema, strict=strict)
    try:
        grammar = schema_grammar(schema, strict=strict)
        # Beside other tools, or where none must be called, it would silently never be.
        if pruned(grammar).rules[grammar.root] == NEVER:
            raise InvalidGrammar("No arguments satisfy the schema of its parameters.")
    except (InvalidGrammar, UnsupportedSchema) as error:
        details = error.details | {"tool": tool}
        raise type(error)(f"Tool {tool!r}: {error.message}", hint=error.hint, **details) from error
    return grammar


def _renamed(expr: Expr, prefix: str) -> Expr:
    match expr:
        case Seq(parts):
            return Seq(tuple(_renamed(part, prefix) for part in parts))
        case Alt(options):
            return Alt(tuple(_renamed(option, prefix) for option in options))
        case Repeat(item, least, most):
            return Repeat(_renamed(item, prefix), least, most)
        case Rule(name):
            return Rule(prefix + name)
        case _:
            return expr
