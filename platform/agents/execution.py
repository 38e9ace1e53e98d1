"""Executes a run: the scope that its strategy works with, over its journal.

What always holds: a call of a tool that is not repeatable is made at most once for each time that
a person or the policy said yes; its start is on disk before it is made. A call that began and whose
end is not on disk is made again only if it is repeatable, else the run waits for a person. No
budget is exceeded but by the answer of a model that cannot count its tokens beforehand.
"""

import asyncio
import hashlib
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from typing import Any, NamedTuple, Protocol, runtime_checkable

import msgspec

from rostra.agents.errors import BudgetSpent, ReplayDiverged, RunPaused
from rostra.agents.events import (
    ApprovalAsked,
    ApprovalDecided,
    Budget,
    DocumentSpan,
    Effect,
    ModelAnswered,
    ModelAsked,
    ModelCut,
    Noted,
    Outcome,
    PlannedCall,
    RunEvent,
    ToolEnded,
    ToolStarted,
    Usage,
)
from rostra.agents.journal import Journal, attempt_key, over
from rostra.agents.lending import loan, plus
from rostra.agents.scope import Message, Observation, Reply, Scope, Sentence, together
from rostra.agents.tools.observe import Observed
from rostra.agents.tools.tool import CallContext, ToolFailure, ToolInfo, ToolResult
from rostra.agents.within import CallsWithin
from rostra.core import (
    ChatMessage,
    ChatModel,
    GenerationOptions,
    InvalidRequest,
    ModelUnavailable,
    Overloaded,
    ToolCall,
    sentence_spans,
)
from rostra.models import complete, usage_so_far

# Attempts of a repeatable call that a dying process broke off, and of a question to a model.
_CALL_ATTEMPTS = 3
_ASK_ATTEMPTS = 4
_FIRST_DELAY = 0.25


@runtime_checkable
class CountsTokens(Protocol):
    """A model that knows beforehand how many tokens a prompt has."""

    async def count_tokens(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> int: ...


class Tools(Protocol):
    """The run's tools under unique names, as `tools.catalog.Catalog` has them."""

    @property
    def tools(self) -> Sequence[ToolInfo]: ...

    async def call(
        self, name: str, arguments: dict[str, Any], context: CallContext
    ) -> ToolResult: ...


@dataclass(frozen=True, slots=True)
class Guard:
    """What stands between a model's wishes and the world; see `rostra.agents.guard`.

    Attributes:
        reasons: why a call needs a person's approval, given the untrusted sources that influenced
            its arguments; empty when it needs none.
        loop: looks at the calls so far, oldest first, and the one to be made; says why it must not
            be, or None.
        observe: bounds a result to so many characters.
        clean: removes from a text what must not reach a model or a page; its spans of documents
            are moved along.
    """

    reasons: Callable[[ToolInfo, Sequence[str]], Sequence[str]]
    loop: Callable[[Sequence[tuple[PlannedCall, str]], PlannedCall], str | None]
    observe: Callable[[ToolResult, int], Observed]
    clean: Callable[[str, Sequence[DocumentSpan]], "Cleaned"]


class Cleaned(NamedTuple):
    """A text that is fit to be shown.

    Attributes:
        findings: what was removed, in words that do not repeat it.
        documents: spans of stored documents, where they stand in this text.
    """

    text: str
    findings: Sequence[str] = ()
    documents: Sequence[DocumentSpan] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one run, beside its budget.

    Attributes:
        observation: most characters of an observation.
        call_seconds: until a call is given up.
        parallel: most calls at once.
        shares: of the tools that begin runs of their own, by name: which part of what is left of
            the run's budget a call takes with it. Those runs end by it, and by nothing else.
    """

    observation: int = 6000
    call_seconds: float = 60.0
    parallel: int = 8
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Execution:
    """What all scopes of one execution share.

    Attributes:
        models: by role; `main` is always there.
        ask_again: ask models what they have answered already, and compare.
        sources: untrusted sources that influenced the task, and so whatever is made of it.
        sentences: numbered from 1; a number without a sentence is one not seen in this execution.
    """

    run_id: str
    task: str
    user: str
    journal: Journal
    budget: Budget
    models: Mapping[str, ChatModel]
    tools: Tools
    guard: Guard
    prompts: Callable[[str, Mapping[str, Any]], str]
    limits: Limits = field(default_factory=Limits)
    workspace: str = ""
    ask_again: bool = False
    sources: tuple[str, ...] = ()
    sentences: list[Sentence] = field(default_factory=list)
    # Tokens set aside for questions that are being answered, and keys of calls about to begin.
    held: int = 0
    claimed: set[str] = field(default_factory=set)
    # Why calls with a loan wait for a person, by key: they give nothing back before.
    resting: dict[str, str] = field(default_factory=dict)
    returned: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        # Numbers once given stay taken, in whatever order the scopes come to them.
        for record in self.journal.records:
            if isinstance(record.event, ToolEnded):
                self.take_in(record.event)

    def take_in(self, ended: ToolEnded) -> tuple[Sentence, ...]:
        """Numbers an observation's sentences as they were numbered when it was written."""
        lines = _lines(ended) if ended.outcome is Outcome.OK else []
        spans = [(start, end) for start, end, citable in lines if citable]
        found = tuple(
            _sentence(ended, ended.first + at, start, end) for at, (start, end) in enumerate(spans)
        )
        missing = ended.first + len(found) - 1 - len(self.sentences)
        self.sentences += [Sentence(0, "", "")] * missing
        for sentence in found:
            self.sentences[sentence.number - 1] = sentence
        return found

    def give_back(self, tokens: int) -> None:
        """Ends what `held` has of a question; wakes those that wait for it."""
        self.held -= tokens
        self.returned.set()
        self.returned = asyncio.Event()

    async def wait(self) -> None:
        """Waits until something that was set aside or lent may be had again.

        Raises:
            RunPaused: that may be only after a person's word.
        """
        if not self.held and self.resting and len(self.resting) >= len(self.journal.loans):
            raise RunPaused(next(iter(self.resting.values())), [])
        await self.returned.wait()

    def scope(self, prefix: str = "") -> "RunScope":
        """A scope whose keys begin with `prefix`."""
        return RunScope(self, prefix)


class RunScope:
    """`Scope` over an execution."""

    def __init__(self, execution: Execution, prefix: str) -> None:
        self._run = execution
        self._prefix = prefix
        self._numbers = count(1)
        self._history: list[tuple[PlannedCall, str]] = []

    @property
    def task(self) -> str:
        """See `Scope.task`."""
        return self._run.task

    @property
    def tools(self) -> Sequence[ToolInfo]:
        """See `Scope.tools`."""
        return self._run.tools.tools

    @property
    def sentences(self) -> Sequence[Sentence]:
        """See `Scope.sentences`."""
        return self._run.sentences

    def key(self) -> str:
        """See `Scope.key`."""
        return f"{self._prefix}{next(self._numbers)}"

    def branch(self, name: str) -> Scope:
        """See `Scope.branch`."""
        return self._run.scope(f"{self._prefix}{name}/")

    def prompt(self, name: str, **values: Any) -> str:
        """See `Scope.prompt`."""
        return self._run.prompts(name, values)

    async def note(self, event: RunEvent) -> None:
        """See `Scope.note`."""
        self._run.journal.put(event)

    # --- Models ---

    async def ask(
        self,
        purpose: str,
        messages: Sequence[Message],
        options: GenerationOptions,
        *,
        model: str = "main",
    ) -> Reply:
        """See `Scope.ask`."""
        journal, key = self._run.journal, self.key()
        chosen = self._run.models.get(model) or self._run.models["main"]
        read = (label for message in messages for label in _sources(message))
        sources = sorted({*self._run.sources, *read})
        said = [ChatMessage(m.role, m.text, m.calls, m.call_id) for m in messages]
        asked = ModelAsked(key, purpose, chosen.name, _digest(said, options), sources)
        there = journal.find(ModelAnswered, key)
        if there is not None and self._run.ask_again:
            await self._compare(there, chosen, said, options)
        begun = journal.find(ModelAsked, key) is not None
        if begun:
            journal.put(asked)
        if there is None:
            afforded, held = await self._afford(chosen, said, options, asked=begun)
            try:
                await journal.keep(asked)
                there = await self._answer(key, chosen, said, afforded)
                journal.put(there)
            except InvalidRequest as error:
                if afforded.max_tokens == options.max_tokens:
                    raise
                # What the budget left is not enough for any answer of this form.
                raise _spent("tokens", self._run.budget) from error
            finally:
                self._run.give_back(held)
        if there.error is not None:
            raise ModelUnavailable(there.error["message"], hint=there.error.get("hint"))
        calls = tuple(
            ToolCall(f"{key}.{number}", name, arguments)
            for number, (name, arguments) in enumerate(there.calls)
        )
        return Reply(there.text, calls, there.finish, tuple(sources))

    async def _compare(
        self,
        there: ModelAnswered,
        model: ChatModel,
        messages: Sequence[ChatMessage],
        options: GenerationOptions,
    ) -> None:
        again = await self._answer(there.key, model, messages, options)
        if (again.text, again.calls) != (there.text, there.calls):
            raise ReplayDiverged(
                f"{model.name} answers otherwise now under {there.key!r}: {again.text[:200]!r}, "
                f"not {there.text[:200]!r}"
            )

    async def _afford(
        self,
        model: ChatModel,
        messages: Sequence[ChatMessage],
        options: GenerationOptions,
        *,
        asked: bool = False,
    ) -> tuple[GenerationOptions, int]:
        """Cuts the answer to what the budget leaves, and sets that aside.

        Nothing is waited for between the last look at the budget and the return, so that questions
        of several branches do not all take what is left.

        Raises:
            BudgetSpent: nothing is left.
        """
        budget = self._run.budget
        options = replace(options, workspace=options.workspace or self._run.workspace)
        prompt = 0
        if budget.tokens is not None and isinstance(model, CountsTokens):
            prompt = await model.count_tokens(messages, options)
        while True:
            spent = self._run.journal.spent()
            if asked:
                # The question was counted when it was first asked.
                spent = msgspec.structs.replace(spent, steps=spent.steps - 1)
            if (name := over(spent, budget)) and name != "calls":
                raise _spent(name, budget)
            lent = self._run.journal.loans.total
            # What others have set aside and do not use may still be had.
            if over(plus(spent, lent), budget) not in (None, "calls"):
                await self._run.wait()
                continue
            if budget.tokens is None:
                return options, 0
            left = budget.tokens - spent.tokens - lent.tokens - self._run.held - prompt
            if left >= options.max_tokens or not (self._run.held or lent.tokens):
                break
            await self._run.wait()
        if left < 1:
            raise _spent("tokens", budget)
        most = min(options.max_tokens, left)
        self._run.held += prompt + most
        return replace(options, max_tokens=most), prompt + most

    async def _answer(
        self,
        key: str,
        model: ChatModel,
        messages: Sequence[ChatMessage],
        options: GenerationOptions,
    ) -> ModelAnswered:
        heard: list[str] = []
        for attempt in range(1, _ASK_ATTEMPTS + 1):
            try:
                said = await complete(model, messages, options, heard=heard)
                return ModelAnswered(
                    key,
                    said.text,
                    _usage(said.usage),
                    str(said.finish),
                    [(call.name, call.arguments) for call in said.calls],
                )
            except asyncio.CancelledError:
                # What was sent and said is used up, though nobody will read it.
                cut = usage_so_far(model, messages, options, heard)
                self._run.journal.put(ModelCut(key, _usage(cut)))
                raise
            except (ModelUnavailable, Overloaded) as error:
                # A model that cannot answer has tried by itself; one that is busy has not.
                most = _ASK_ATTEMPTS if isinstance(error, Overloaded) else 2
                if attempt == most:
                    failure = error.to_dict()
                    lost = usage_so_far(model, messages, options, heard) if heard else {}
                    return ModelAnswered(key, "", _usage(lost), finish="error", error=failure)
                # Full jitter, so that runs that were shed together do not come back together.
                await asyncio.sleep(random.uniform(0, _FIRST_DELAY * 2**attempt))
        raise RuntimeError("unreachable")

    # --- Tools ---

    async def call(
        self, calls: Sequence[PlannedCall], *, sources: Sequence[str] = ()
    ) -> list[Observation]:
        """See `Scope.call`."""
        keys = [self.key() for _ in calls]
        self._afford_calls(keys)
        gate = asyncio.Semaphore(self._run.limits.parallel)
        history = tuple(self._history)

        async def one(key: str, call: PlannedCall) -> ToolEnded:
            async with gate:
                return await self._made(key, call, sources, history)

        try:
            ended = await together(*(one(key, call) for key, call in zip(keys, calls, strict=True)))
        finally:
            self._run.claimed.difference_update(keys)
        observations = [self._observed(call, end) for call, end in zip(calls, ended, strict=True)]
        for call, end in zip(calls, ended, strict=True):
            self._history.append((call, hashlib.sha256(end.text.encode()).hexdigest()))
        return observations

    def _afford_calls(self, keys: Sequence[str]) -> None:
        """Claims calls that are new; those of other branches may not have begun yet either.

        Raises:
            BudgetSpent: there are too many.
        """
        journal, budget, claimed = self._run.journal, self._run.budget, self._run.claimed
        new = [
            key
            for key in keys
            if journal.find(ToolStarted, key) is None and journal.find(ToolEnded, key) is None
        ]
        taken = journal.spent().calls + journal.loans.total.calls + len(claimed)
        if new and taken + len(new) > budget.calls:
            raise _spent("calls", budget)
        claimed.update(new)

    async def _made(
        self,
        key: str,
        call: PlannedCall,
        sources: Sequence[str],
        history: Sequence[tuple[PlannedCall, str]],
    ) -> ToolEnded:
        """The call's end: the journal's, or that of a call made now.

        Raises:
            RunPaused: it waits for a person.
        """
        journal = self._run.journal
        within = CallsWithin(self._run, key, call, sources)
        within.pass_over()
        if (there := journal.find(ToolEnded, key)) is not None:
            return there
        info = next((tool for tool in self.tools if tool.name == call.tool), None)
        if info is None:
            close = ", ".join(tool.name for tool in self.tools[:20])
            return await self._end(
                key, call, Outcome.ERROR, f"There is no tool {call.tool!r}. Tools: {close}."
            )
        attempt = 1
        began = journal.find(ToolStarted, key)
        lent = began.lent if began is not None else None
        while journal.find(ToolStarted, attempt_key(key, attempt)) is not None:
            attempt += 1
        if lent is not None:
            # However often it was left, it goes on with the one run that it began.
            refusal = None
        elif attempt > 1:
            refusal = self._begun_before(call, info.effect, attempt)
        else:
            refusal = self._guarded(key, call, info, sources, history)
        if refusal is not None:
            return await self._end(key, call, *refusal)
        self._run.claimed.discard(key)  # From here on the journal counts it.
        if lent is None:
            if call.tool in self._run.limits.shares and (lent := self._lend(call.tool)) is None:
                text = "Too little of the run's budget is left for another run."
                return await self._end(key, call, Outcome.ERROR, text)
            await journal.keep(ToolStarted(key, call, info.effect, attempt, list(sources), lent))
        context = CallContext(
            run=self._run.run_id,
            call=f"{self._run.run_id}:{key}",
            timeout=math.inf if lent is not None else self._run.limits.call_seconds,
            user=self._run.user,
            sources=tuple(sources),
            lent=lent,
            call_tool=within.begin(attempt),
        )
        try:
            async with asyncio.timeout(context.timeout):
                result = await self._run.tools.call(call.tool, call.arguments, context)
        except RunPaused as paused:
            # A run that it began waits for a person, and so this one does.
            for asked in paused.asked:
                journal.put(asked)
            self._run.resting[key] = paused.reason
            self._run.give_back(0)
            raise
        except TimeoutError:
            text = f"The tool did not answer within {context.timeout:.0f} s."
            if info.effect.repeatable:
                return await self._end(key, call, Outcome.ERROR, text)
            text += " What it does may have happened all the same; do not repeat it."
            return await self._end(key, call, Outcome.UNKNOWN, text)
        except ToolFailure as failure:
            lost = failure.began and not info.effect.repeatable
            ended = Outcome.UNKNOWN if lost else Outcome.ERROR
            return await self._end(key, call, ended, str(failure))
        outcome = Outcome.ERROR if result.is_error else Outcome.OK
        return await self._end(key, call, outcome, result=result)

    def _lend(self, tool: str) -> Budget | None:
        run = self._run
        taken = plus(run.journal.spent(), run.journal.loans.total)
        taken = msgspec.structs.replace(
            taken, tokens=taken.tokens + run.held, calls=taken.calls + len(run.claimed) + 1
        )
        return loan(run.budget, taken, run.limits.shares[tool])

    def _begun_before(
        self, call: PlannedCall, effect: Effect, attempt: int
    ) -> tuple[Outcome, str] | None:
        """What to do about a call that began and whose end nobody has seen; None: make it again."""
        if effect.repeatable and attempt <= _CALL_ATTEMPTS:
            return None
        if effect.repeatable:
            return Outcome.ERROR, f"The call was broken off {attempt - 1} times."
        decided = self._run.journal.find(ApprovalDecided, call.id)
        match decided.decision if decided else None:
            case "retry":
                return None
            case "done":
                note = f" {decided.note}" if decided and decided.note else ""
                return Outcome.UNKNOWN, f"The call happened; its result is lost.{note}"
            case "deny":
                return Outcome.DENIED, "The call may have happened; do not repeat it."
        raise RunPaused("outcome_unknown", [call.id])

    def _guarded(
        self,
        key: str,
        call: PlannedCall,
        info: ToolInfo,
        sources: Sequence[str],
        history: Sequence[tuple[PlannedCall, str]],
    ) -> tuple[Outcome, str] | None:
        """Why a call is not made; None: make it.

        Raises:
            RunPaused: it needs a person's approval.
        """
        if (loop := self._run.guard.loop(history, call)) is not None:
            return Outcome.DENIED, loop
        reasons = self._run.guard.reasons(info, sources)
        if not reasons:
            return None
        decided = self._run.journal.find(ApprovalDecided, call.id)
        if decided is None:
            self._run.journal.put(ApprovalAsked(key, call, info.effect, list(reasons)))
            raise RunPaused("approval", [call.id])
        if decided.decision == "approve":
            return None
        why = f" {decided.note}" if decided.note else ""
        return Outcome.DENIED, f"This call was not allowed.{why}"

    async def _end(
        self,
        key: str,
        call: PlannedCall,
        outcome: Outcome,
        text: str = "",
        result: ToolResult | None = None,
    ) -> ToolEnded:
        """Writes the end of a call and numbers its sentences."""
        result = result or ToolResult(text)
        seen = self._run.guard.observe(result, self._run.limits.observation)
        shown = self._run.guard.clean(seen.text, seen.documents)
        ended = ToolEnded(
            key,
            call.id,
            outcome,
            shown.text,
            origin=result.origin,
            first=len(self._run.sentences) + 1,
            bytes=seen.bytes,
            truncated=seen.truncated,
            documents=list(shown.documents),
            spent=result.spent,
        )
        self._run.take_in(ended)
        if shown.findings:
            found = {"found": [*shown.findings]}
            self._run.journal.put(Noted(f"{key}!", "guard.removed", data=found))
        await self._run.journal.keep(ended)
        if self._run.limits.shares:
            self._run.give_back(0)  # What a loan had left, if this was the end of one.
        return ended

    def _observed(self, call: PlannedCall, ended: ToolEnded) -> Observation:
        sentences = self._run.take_in(ended)
        if ended.outcome is not Outcome.OK:
            text = f"{ended.outcome}: {ended.text}"
            return Observation(call, ended.outcome, text, ended.origin)
        numbers = iter(sentences)
        lines = [
            f"[{next(numbers).number}] {ended.text[start:end]}"
            if citable
            else ended.text[start:end].strip()
            for start, end, citable in _lines(ended)
        ]
        text = "\n".join(lines) or "(empty)"
        return Observation(call, ended.outcome, text, ended.origin, sentences)


def _lines(ended: ToolEnded) -> list[tuple[int, int, bool]]:
    """`[start, end)` of an observation's sentences, and whether each can be cited.

    Where a result has parts of stored documents, what stands between them is the tool's own words
    and no evidence; no sentence reaches from one into the other. A number of a heading is no
    sentence of its own.
    """
    inside = [(one.at, one.at + one.end - one.start) for one in ended.documents]
    edges = {0, len(ended.text), *(edge for span in inside for edge in span)}
    lines: list[tuple[int, int, bool]] = []
    for start, end in pairwise(sorted(edges)):
        citable = not inside or any(first <= start and end <= past for first, past in inside)
        begun: int | None = None
        for first, past in sentence_spans(ended.text, start, end):
            begun = first if begun is None else begun
            if past < end and not any(map(str.isalpha, ended.text[begun:past])):
                continue
            lines.append((begun, past, citable))
            begun = None
        if begun is not None:
            lines.append((begun, end, citable))
    return lines


def _sentence(ended: ToolEnded, number: int, start: int, end: int) -> Sentence:
    """A sentence of an observation, and where it stands in a stored document if it does."""
    for span in ended.documents:
        if span.at <= start and end <= span.at + span.end - span.start:
            moved = span.start - span.at
            place = (span.document_id, start + moved, end + moved)
            return Sentence(number, ended.text[start:end], ended.call, *place)
    return Sentence(number, ended.text[start:end], ended.call)


def _usage(told: Mapping[str, float]) -> Usage:
    return msgspec.convert(dict(told), Usage, strict=False)


def _sources(message: Message) -> list[str]:
    return [piece.label for piece in message.pieces if piece.label is not None]


def _digest(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
    told = [
        [
            [m.role, m.content, [[c.name, c.arguments] for c in m.calls], m.call_id]
            for m in messages
        ],
        msgspec.to_builtins(options.constraint),
        [[tool.name, tool.description, tool.parameters] for tool in options.tools],
        [options.max_tokens, options.temperature, options.seed, options.stop],
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _spent(name: str, budget: Budget) -> BudgetSpent:
    most = getattr(budget, name)
    return BudgetSpent(
        f"the run has used its budget of {most} {name}",
        hint=f"Start it again with a larger budget of {name}, or fork it.",
        budget=name,
    )
