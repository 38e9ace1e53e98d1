"""Agentic retrieval: ReAct that looks things up first and answers only what it can show.

It decides whether there is anything to look up, rewrites the question as a query, and searches;
then ReAct goes on. Each claim of an answer is checked against the sentences that it cites: its
words and numbers have to be there, and a model has to grant that it follows. What is not supported
is told, so that it searches again.

What always holds: once a search was decided on, every claim of an answer has passed both checks;
after `most_checks` answers that have not, there is none.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from rostra.agents.events import Answer, Claim, Decided, Origin, PlannedCall, Verified
from rostra.agents.memory.short import squeezed
from rostra.agents.scope import Message, Piece, Reply, Scope, Step
from rostra.agents.strategies.conversation import Conversation
from rostra.agents.strategies.patterns import cascade, filled
from rostra.agents.strategies.react import ReAct
from rostra.agents.strategies.steps import Malformed
from rostra.agents.tools.select import SEARCH_TOOLS
from rostra.agents.tools.tool import ToolInfo
from rostra.core import Role, ToolCall

_QUERY_CHARS = 200
_REASON_CHARS = 300
_LEAST_OVERLAP = 0.5
_STEM = 5
_WORD = re.compile(r"[^\W\d_]{3,}")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SAID_ANYWAY = re.compile(
    r"and|are|but|can|does|for|from|has|have|into|its|may|not|that|the|their|then|there|these|this|"
    r"was|were|when|which|will|with|you|your"
)


class Route(msgspec.Struct, forbid_unknown_fields=True):
    """Whether to search, and for what."""

    thought: Annotated[str, msgspec.Meta(max_length=200)]
    search: bool
    query: Annotated[str, msgspec.Meta(max_length=_QUERY_CHARS)]


@dataclass(frozen=True, slots=True)
class AgenticRAG:
    """See this module.

    Attributes:
        search: name of the tool that the first search is made with; None takes the first one that
            is called so.
        argument: its argument that takes the query.
        most_checks: answers that are looked at.
        react: goes on from the first search. Where it requires evidence, there always is a search.
        checker: the role of the model that checks.
    """

    search: str | None = None
    argument: str = "query"
    most_checks: int = 3
    react: ReAct = field(default_factory=lambda: ReAct(most_steps=8))
    checker: str = "main"

    @property
    def name(self) -> str:
        """See `Strategy.name`."""
        return "rag"

    async def run(self, scope: Scope) -> Answer | None:
        """See `Strategy.run`."""
        rules = Message(Role.SYSTEM, (Piece(scope.prompt("rag_route")),))
        question = Message(Role.USER, (Piece(scope.task, Origin.USER),))
        route = await cascade(scope, "route", [rules, question], Route, model=self.checker)
        talk = await self.react.begin(scope, question.pieces, query=scope.task)
        if route is not None and not route.search and not self.react.require_evidence:
            return await self.react.pursue(scope, talk)
        query = route.query.strip() if route is not None else ""
        await self._first_search(scope, talk, query or scope.task[:_QUERY_CHARS])
        for _ in range(self.most_checks):
            answer = await self.react.pursue(scope, talk)
            if answer is None:
                return None
            problems = await self._problems(scope, answer, talk)
            if not problems:
                return answer
            talk.told(scope.prompt("rag_unsupported", problems="\n".join(problems)))
        return None

    async def _first_search(self, scope: Scope, talk: Conversation, query: str) -> None:
        """Searches as if the model had asked for it."""
        tool = self._search_tool(scope.tools)
        if tool is None:
            return
        key = scope.key()
        call = PlannedCall(f"{key}.0", tool.name, {self.argument: query})
        step = Step("Look it up first.", (call,))
        await scope.note(Decided(key, step.thought, [call]))
        arguments = msgspec.json.encode(call.arguments).decode()
        action = {"thought": step.thought, "action": [{"tool": tool.name, "args": call.arguments}]}
        text = "" if talk.native else msgspec.json.encode(action).decode()
        talk.said(Reply(text, (ToolCall(call.id, tool.name, arguments),)), step)
        talk.observed(await scope.call([call]))
        talk.told(scope.prompt("rag_begin"))

    def _search_tool(self, tools: Sequence[ToolInfo]) -> ToolInfo | None:
        if self.search is not None:
            return next((tool for tool in tools if tool.name == self.search), None)
        named = [tool for tool in tools if tool.name.rpartition("__")[2].startswith("search")]
        able = [
            tool
            for tool in named
            if tool.name != SEARCH_TOOLS
            and self.argument in (tool.parameters.get("properties") or {})
        ]
        return able[0] if able else None

    async def _problems(self, scope: Scope, answer: Answer, talk: Conversation) -> list[str]:
        """What is not supported of an answer, one line each."""
        told = _numbers(scope.task)
        reasons = [unsupported(claim, told) for claim in answer.claims]
        if not any(reasons):
            reasons = await self._model_check(scope, answer, talk)
        problems = []
        for claim, reason in zip(answer.claims, reasons, strict=True):
            subject = claim.text[:200]
            await scope.note(Verified(scope.key(), subject, not reason, reason or ""))
            if reason:
                problems.append(f"- {subject}: {reason}")
        return problems

    async def _model_check(
        self, scope: Scope, answer: Answer, talk: Conversation
    ) -> list[str | None]:
        """Why a model does not grant a claim, one for each claim; None where it does."""
        count = len(answer.claims)

        def read(value: dict[str, Any]) -> list[str | None]:
            checks = value.get("checks")
            if not isinstance(checks, list) or len(checks) != count:
                raise Malformed(f'"checks" has {count} entries, one for each statement.')
            reasons: list[str | None] = []
            for check in checks:
                if not isinstance(check, dict) or not isinstance(check.get("supported"), bool):
                    raise Malformed('A check is an object with "reason" and "supported".')
                why = str(check.get("reason") or "not supported")[:_REASON_CHARS]
                reasons.append(None if check["supported"] else why)
            return reasons

        listed = "\n".join(
            f"Statement {number}: {claim.text}\n"
            + "\n".join(f"  Quote: {cited.quote}" for cited in claim.evidence)
            for number, claim in enumerate(answer.claims, 1)
        )
        messages = [
            Message(Role.SYSTEM, (Piece(scope.prompt("support")),)),
            Message(Role.USER, (Piece(listed, Origin.MODEL), *talk.taint)),
        ]
        messages = squeezed(messages, self.react.window)
        asked = await filled(
            scope, "verify", messages, _checks_schema(count), read, model=self.checker
        )
        if asked.value is None:
            return ["it could not be checked"] * count
        return asked.value


def unsupported(claim: Claim, told: frozenset[str] = frozenset()) -> str | None:
    """Why a claim's own words show that its quotes do not support it; None if they do not.

    Args:
        told: numbers that need no evidence, such as those of the question.
    """
    if not claim.evidence:
        return "it has no evidence"
    quoted = " ".join(cited.quote for cited in claim.evidence)
    if missing := sorted(_numbers(claim.text) - _numbers(quoted) - told):
        return f"its evidence does not say {', '.join(missing[:5])}"
    said, there = _stems(claim.text), _stems(quoted)
    if said and len(said & there) / len(said) < _LEAST_OVERLAP:
        return "its evidence speaks of something else"
    return None


def _numbers(text: str) -> frozenset[str]:
    return frozenset(each.replace(",", "") for each in _NUMBER.findall(text))


def _stems(text: str) -> frozenset[str]:
    words = _WORD.findall(text.lower())
    return frozenset(word[:_STEM] for word in words if not _SAID_ANYWAY.fullmatch(word))


def _checks_schema(count: int) -> dict[str, Any]:
    check = {
        "type": "object",
        "properties": {
            "reason": {"type": "string"},
            "supported": {"type": "boolean"},
        },
        "required": ["reason", "supported"],
        "additionalProperties": False,
    }
    checks = {"type": "array", "items": check, "minItems": count, "maxItems": count}
    return {
        "type": "object",
        "properties": {"checks": checks},
        "required": ["checks"],
        "additionalProperties": False,
    }
