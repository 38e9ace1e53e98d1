"""Plan and execute: a plan of steps, each worked on and checked on its own, then the answer.

After Plan-and-Solve (Wang et al. 2023, arXiv:2305.04091), with the executor of ReAct. The models
of the roles `planner` (plans, puts together), `executor` (works on the steps) and `judge` (checks
them; the planner, where there is none) can differ.

What always holds: a step is begun once all that it needs has passed its check; steps that need
nothing of each other run side by side; there are at most `most_plans` plans, and a later one keeps
what has passed; without anything that has passed there is no answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from rostra.agents.events import Answer, Origin, Planned, PlanStep, Verified
from rostra.agents.memory.short import squeezed
from rostra.agents.scope import Message, Piece, Scope, together
from rostra.agents.strategies.conversation import (
    cited_sentences,
    reported,
    taint_from,
    taint_of,
)
from rostra.agents.strategies.patterns import cascade, filled
from rostra.agents.strategies.plans import MOST_PLAN_STEPS, checked, levels, next_ids
from rostra.agents.strategies.react import ReAct
from rostra.agents.strategies.schemas import THOUGHT
from rostra.agents.strategies.steps import Malformed
from rostra.agents.strategies.synthesis import synthesise
from rostra.agents.strategies.toolbox import open_toolbox
from rostra.core import Role

_GOAL_CHARS = 2000
# Of a tool's description, for those who do not call it themselves.
_SHOWN_CHARS = 200


class Verdict(msgspec.Struct, forbid_unknown_fields=True):
    """Whether a result reaches its goal."""

    reason: Annotated[str, msgspec.Meta(max_length=200)]
    passed: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a step.

    Attributes:
        answer: None where none was found.
        passed: whether it reaches the step's goal.
        reason: why it does not.
        taint: of all that its executor had read.
    """

    step: PlanStep
    answer: Answer | None
    passed: bool
    reason: str
    taint: tuple[Piece, ...]

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """As the next model is told of it."""
        head = Piece(f"{self.step.id} ({self.step.goal}):\n", Origin.MODEL)
        body = reported(self.answer) if self.answer is not None else "(nothing)"
        return (head, Piece(f"{body}\n", Origin.MODEL), *self.taint)


@dataclass(frozen=True, slots=True)
class PlanExecute:
    """See this module.

    Attributes:
        most_plans: the first and those made after a step has failed.
        most_plan_steps: of one plan.
        executor: works on a step; its window and what it requires hold for the whole plan.
        planner: the role of the model that plans and puts together.
        judge: the roles of the model that checks steps, the first that there is.
    """

    most_plans: int = 3
    most_plan_steps: int = MOST_PLAN_STEPS
    executor: ReAct = field(default_factory=lambda: ReAct(most_steps=6, model="executor"))
    planner: str = "planner"
    judge: str = "judge/planner"

    @property
    def name(self) -> str:
        """See `Strategy.name`."""
        return "plan"

    async def run(self, scope: Scope) -> Answer | None:
        """See `Strategy.run`."""
        messages = await self._opening(scope)
        passed: dict[str, Finding] = {}
        used: set[str] = set()
        reason = ""
        for _ in range(self.most_plans):
            ids = next_ids(used, self.most_plan_steps)
            asked = await filled(
                scope,
                "plan",
                squeezed(messages, self.executor.window),
                _plan_schema(ids, list(passed)),
                lambda value: self._read(value, passed),
                model=self.planner,
                max_tokens=1536,
            )
            if asked.value is None:
                break
            key = scope.key()
            await scope.note(Planned(key, asked.value, reason))
            used.update(step.id for step in asked.value)
            failed = await self._carry_out(scope, key, asked.value, passed, asked.sources)
            if not failed:
                break
            reason = "; ".join(f"{one.step.id}: {one.reason}" for one in failed)
            messages = [*asked.messages, _told(list(passed.values()), failed, next_ids(used, 1)[0])]
        if not passed:
            return None
        pieces = [piece for finding in passed.values() for piece in finding.pieces]
        sentences = [
            sentence
            for finding in passed.values()
            if finding.answer is not None
            for sentence in cited_sentences(finding.answer)
        ]
        return await synthesise(
            scope,
            pieces,
            sentences,
            model=self.planner,
            window=self.executor.window,
            require_evidence=self.executor.require_evidence,
        )

    async def _opening(self, scope: Scope) -> list[Message]:
        toolbox = await open_toolbox(scope, self.executor.chooser)
        listed = "\n".join(
            f"- {tool.name}: {' '.join(tool.description.split())[:_SHOWN_CHARS]}"
            for tool in toolbox.shown
        )
        rules = Piece(scope.prompt("plan"))
        return [
            Message(Role.SYSTEM, (rules, Piece(f"\n\nTools of those who carry it out:\n{listed}"))),
            Message(Role.USER, (Piece(scope.task, Origin.USER),)),
        ]

    def _read(self, value: dict[str, Any], passed: Mapping[str, Finding]) -> list[PlanStep]:
        try:
            steps = msgspec.convert(value.get("steps"), list[PlanStep])
        except msgspec.ValidationError as error:
            raise Malformed(f'"steps": {error}.') from error
        plain = [
            PlanStep(step.id, step.goal[:_GOAL_CHARS], list(dict.fromkeys(step.needs)))
            for step in steps
        ]
        return checked(plain, passed, self.most_plan_steps)

    async def _carry_out(
        self,
        scope: Scope,
        key: str,
        plan: Sequence[PlanStep],
        passed: dict[str, Finding],
        sources: Sequence[str],
    ) -> list[Finding]:
        """Works on a plan until a step fails; adds to `passed`, gives the failed."""
        for level in levels(plan, passed):
            found = await together(
                *(
                    self._work(scope.branch(f"{key}.{step.id}"), step, passed, sources)
                    for step in level
                )
            )
            passed.update((one.step.id, one) for one in found if one.passed)
            if failed := [one for one in found if not one.passed]:
                return failed
        return []

    async def _work(
        self, scope: Scope, step: PlanStep, passed: Mapping[str, Finding], sources: Sequence[str]
    ) -> Finding:
        """Works on one step and checks what came of it."""
        needed = [passed[need] for need in step.needs]
        given = [piece for one in needed for piece in one.pieces]
        goal = (Piece("Task: "), Piece(step.goal, Origin.MODEL), *taint_from(sources))
        task = (*goal, Piece("\n\nFound out before:\n"), *given) if given else goal
        talk = await self.executor.begin(scope, task, query=step.goal)
        for one in needed:
            if one.answer is not None:
                talk.sentences += cited_sentences(one.answer)
        answer = await self.executor.pursue(scope, talk)
        verdict = Verdict("no answer was found", False)
        if answer is not None:
            asked = [
                Message(Role.SYSTEM, (Piece(scope.prompt("verify")),)),
                Message(
                    Role.USER,
                    (
                        Piece("Goal: "),
                        Piece(step.goal, Origin.MODEL),
                        Piece("\n\nResult:\n"),
                        Piece(reported(answer), Origin.MODEL),
                        *talk.taint,
                    ),
                ),
            ]
            asked = squeezed(asked, self.executor.window)
            verdict = await cascade(scope, "verify", asked, Verdict, model=self.judge) or Verdict(
                "it could not be checked", False
            )
        await scope.note(Verified(scope.key(), step.id, verdict.passed, verdict.reason))
        return Finding(step, answer, verdict.passed, verdict.reason, talk.taint)


def _told(passed: Sequence[Finding], failed: Sequence[Finding], first: str) -> Message:
    """What a planner needs to know for another plan."""
    pieces = [Piece("The plan did not hold.\n")]
    if passed:
        pieces += [Piece("Done:\n"), *(piece for one in passed for piece in one.pieces)]
    for one in failed:
        pieces += [Piece(f"Failed: {one.step.id}, "), Piece(f"{one.reason}\n", Origin.MODEL)]
    pieces += taint_of(piece for one in failed for piece in one.taint)
    pieces.append(
        Piece(f"Plan what is still to be done, another way. Number the steps from {first}.")
    )
    return Message(Role.USER, tuple(pieces))


def _plan_schema(ids: Sequence[str], done: Sequence[str]) -> dict[str, Any]:
    """A plan whose ids follow each other and whose needs are earlier steps."""
    items = []
    for number, own in enumerate(ids):
        earlier = [*done, *ids[:number]]
        needs: dict[str, Any] = {"type": "array", "maxItems": min(len(earlier), 4)}
        if earlier:
            needs["items"] = {"enum": earlier}
        items.append(
            {
                "type": "object",
                "properties": {
                    "id": {"const": own},
                    "goal": {"type": "string", "minLength": 1},
                    "needs": needs,
                },
                "required": ["id", "goal", "needs"],
                "additionalProperties": False,
            }
        )
    return plan_form(items)


def plan_form(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A thought, then steps, each of the schema at its place."""
    return {
        "type": "object",
        "properties": {
            "thought": THOUGHT,
            "steps": {
                "type": "array",
                "prefixItems": list(items),
                "items": False,
                "minItems": 1,
                "maxItems": len(items),
            },
        },
        "required": ["thought", "steps"],
        "additionalProperties": False,
    }
