"""ReWOO: all calls are planned before any is made, then one synthesis (Xu et al. 2023,
arXiv:2305.18323).

A call's arguments can hold `#E1`, what step E1 gave, and `#E1.value`, a field of it, also in place
of a number; see `placeholders`. So the model is asked twice, however many calls there are, and
never reads a result twice.

What always holds: a call is made once all that it names has succeeded, beside all others of which
that is true, and only with arguments that fit the tool's schema once they are filled in; after a
call that failed, or one that found more tools, what is left is planned anew, at most `most_plans`
plans in all, and what has succeeded is kept; without anything that has succeeded there is no
answer.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from rostra.agents.events import (
    Answer,
    Decided,
    Origin,
    Outcome,
    Planned,
    PlannedCall,
    PlanStep,
)
from rostra.agents.memory.short import Window, squeezed
from rostra.agents.scope import Message, Observation, Piece, Scope
from rostra.agents.strategies.conversation import described, shown
from rostra.agents.strategies.patterns import filled
from rostra.agents.strategies.placeholders import NoField, admitting, filled_in, needed, slot_of
from rostra.agents.strategies.plan_execute import plan_form
from rostra.agents.strategies.plans import MOST_PLAN_STEPS, checked, levels, next_ids
from rostra.agents.strategies.steps import Malformed, call_schema, read_call, wrong_arguments
from rostra.agents.strategies.synthesis import synthesise
from rostra.agents.strategies.toolbox import Chooser, Toolbox, open_toolbox
from rostra.agents.tools.tool import ToolInfo
from rostra.core import Role

_GOAL_CHARS = 500
# Of the schema of all forms of a plan's calls: a grammar of it takes about a second.
_MOST_CHARS = 40_000


@dataclass(frozen=True, slots=True)
class ReWOO:
    """See this module.

    Attributes:
        most_plans: the first and those made after a call has failed.
        most_plan_steps: calls of one plan.
        chooser: picks among more tools than a prompt holds; None goes by shared words.
        window: how much of the results a model reads; the longest are cut. None is all.
        require_evidence: an answer has no claim without a cited sentence.
        planner: the role of the model that plans.
        solver: the role of the model that puts together.
    """

    most_plans: int = 3
    most_plan_steps: int = MOST_PLAN_STEPS
    chooser: Chooser | None = None
    window: Window | None = None
    require_evidence: bool = False
    planner: str = "planner"
    solver: str = "main"

    @property
    def name(self) -> str:
        """See `Strategy.name`."""
        return "rewoo"

    async def run(self, scope: Scope) -> Answer | None:
        """See `Strategy.run`."""
        toolbox = await open_toolbox(scope, self.chooser)
        if not toolbox.shown:
            return None
        rules = Piece(f"{scope.prompt('rewoo_plan')}\n\nTools:\n{described(toolbox.shown)}")
        messages = [
            Message(Role.SYSTEM, (rules,)),
            Message(Role.USER, (Piece(scope.task, Origin.USER),)),
        ]
        results: dict[str, tuple[PlanStep, Observation]] = {}
        used: set[str] = set()
        reason = ""
        for _ in range(self.most_plans):
            asked = await filled(
                scope,
                "plan",
                squeezed(messages, self.window),
                _plan_schema(next_ids(used, self.most_plan_steps), list(results), toolbox),
                lambda value: self._read(value, toolbox, results),
                model=self.planner,
                max_tokens=2048,
            )
            if asked.value is None:
                break
            key = scope.key()
            await scope.note(Planned(key, asked.value, reason))
            used.update(step.id for step in asked.value)
            plan = _Plan(key, asked.value, {tool.name: tool for tool in toolbox.shown})
            failed = await self._call(scope, plan, results, asked.sources)
            new = toolbox.found([one for _, one in results.values()])
            if not failed and not new:
                break
            reason = "; ".join(f"{step.id}: {one.outcome}" for step, one in failed) or "new tools"
            told = _told(list(results.values()), failed, next_ids(used, 1)[0], described(new))
            messages = [*asked.messages, told]
        if not results:
            return None
        pieces = [piece for step, one in results.values() for piece in _reported(step, one)]
        sentences = [sentence for _, one in results.values() for sentence in one.sentences]
        return await synthesise(
            scope,
            pieces,
            sentences,
            model=self.solver,
            window=self.window,
            require_evidence=self.require_evidence,
        )

    def _read(
        self,
        value: dict[str, Any],
        toolbox: Toolbox,
        results: Mapping[str, tuple[PlanStep, Observation]],
    ) -> list[PlanStep]:
        listed = value.get("steps")
        if not isinstance(listed, list):
            raise Malformed('"steps" is a list.')
        steps = []
        for each in listed[: 4 * self.most_plan_steps]:
            if not isinstance(each, dict) or not isinstance(each.get("id"), str):
                raise Malformed('A step is an object with "id", "goal" and "call".')
            call = read_call(each.get("call"), toolbox.shown, "", check=False)
            needs = needed(call.arguments)
            if not needs:
                call = read_call(each["call"], toolbox.shown, "")
            goal = str(each.get("goal", ""))[:_GOAL_CHARS]
            steps.append(PlanStep(each["id"], goal, needs, call.tool, call.arguments))
        return checked(steps, results, self.most_plan_steps)

    async def _call(
        self,
        scope: Scope,
        plan: "_Plan",
        results: dict[str, tuple[PlanStep, Observation]],
        sources: Sequence[str],
    ) -> list[tuple[PlanStep, Observation]]:
        """Makes a plan's calls until one fails; adds to `results`, gives what failed."""
        for level in levels(plan.steps, results):
            given = {name: one for name, (_, one) in results.items()}
            steps, calls, failed = [], [], []
            for step in level:
                call = plan.call(step)
                try:
                    arguments = plan.filled_in(call, given)
                except (NoField, Malformed) as error:
                    await scope.note(Decided(scope.key(), error=f"{step.id} is not made. {error}"))
                    failed.append((step, Observation(call, Outcome.ERROR, f"error: {error}")))
                    continue
                steps.append(step)
                calls.append(msgspec.structs.replace(call, arguments=arguments))
            read = [given[need].piece.label for step in level for need in step.needs]
            influenced = sorted({*sources, *(label for label in read if label is not None)})
            observations = await scope.call(calls, sources=influenced) if calls else []
            pairs = list(zip(steps, observations, strict=True))
            results.update((step.id, (step, one)) for step, one in pairs if _good(one))
            failed += [(step, one) for step, one in pairs if not _good(one)]
            if failed:
                return failed
        return []


@dataclass(frozen=True, slots=True)
class _Plan:
    """A plan that is carried out, by its key, and the tools that it may name."""

    key: str
    steps: Sequence[PlanStep]
    tools: Mapping[str, ToolInfo]

    def call(self, step: PlanStep) -> PlannedCall:
        """The call that a step is, its placeholders not filled in."""
        return PlannedCall(f"{self.key}.{step.id}", step.tool or "", step.arguments or {})

    def filled_in(self, call: PlannedCall, given: Mapping[str, Observation]) -> dict[str, Any]:
        """The arguments to make a call with.

        Raises:
            NoField: a result has no such field.
            Malformed: they do not fit the tool's schema.
        """
        if not needed(call.arguments):
            return call.arguments
        tool = self.tools[call.tool]
        schema = call_schema(tool)["properties"]["args"]
        filled: dict[str, Any] = filled_in(call.arguments, given, schema)
        if (wrong := wrong_arguments(tool, filled)) is not None:
            raise Malformed(f"The arguments of {tool.name} are wrong: {wrong}.")
        return filled


def _good(observation: Observation) -> bool:
    return observation.outcome is Outcome.OK


def _reported(step: PlanStep, observation: Observation) -> tuple[Piece, ...]:
    head = (Piece(f"{step.id} ("), Piece(step.goal, Origin.MODEL), Piece(")\n"))
    return (*head, *shown(observation))


def _told(
    done: Sequence[tuple[PlanStep, Observation]],
    failed: Sequence[tuple[PlanStep, Observation]],
    first: str,
    new_tools: str,
) -> Message:
    """What a planner needs to know for another plan."""
    pieces = [Piece("Not all calls succeeded.\n" if failed else "All calls succeeded.\n")]
    for heading, several in (("Done", done), ("Failed", failed)):
        for step, one in several:
            pieces += [Piece(f"{heading}: "), *_reported(step, one)]
    if new_tools:
        pieces.append(Piece(f"These tools can be called too:\n{new_tools}\n"))
    pieces.append(
        Piece(f"Plan the calls that are still needed, another way. Number them from {first}.")
    )
    return Message(Role.USER, tuple(pieces))


def _plan_schema(ids: Sequence[str], done: Sequence[str], toolbox: Toolbox) -> dict[str, Any]:
    """A plan whose ids follow each other, and whose calls take what earlier steps have given."""
    calls: dict[str, Any] = {"anyOf": [call_schema(tool) for tool in toolbox.shown]}
    defs = {"call": calls}
    if admitting(calls, {}) != calls:
        # Each further form of the calls makes the grammar larger by as much again; where they are
        # many, late steps can name only the first ones for a number.
        forms = max(2, min(len(ids), _MOST_CHARS // len(json.dumps(calls))))
        for earlier in range(forms):
            if known := [*done, *ids[:earlier]]:
                slot = f"slot{earlier}"
                defs[slot] = slot_of(known)
                defs[f"call{earlier}"] = admitting(calls, {"$ref": f"#/$defs/{slot}"})
    items = [
        {
            "type": "object",
            "properties": {
                "id": {"const": own},
                "goal": {"type": "string"},
                "call": {"$ref": f"#/$defs/{_form(defs, at)}"},
            },
            "required": ["id", "goal", "call"],
            "additionalProperties": False,
        }
        for at, own in enumerate(ids)
    ]
    return plan_form(items) | {"$defs": defs}


def _form(defs: Mapping[str, Any], at: int) -> str:
    """The form of a call at a place: the one that knows most of the steps before it."""
    known = (f"call{earlier}" for earlier in range(at, -1, -1))
    return next((name for name in known if name in defs), "call")
