"""Plans as values: their steps, what they need of each other, and in which order that can be had.

What always holds for what `checked` lets through: ids are unique, each need is a step of the plan
or one that is already done, and no step needs itself, however indirectly.
"""

import re
from collections.abc import Collection, Sequence

from rostra.agents.events import PlanStep
from rostra.agents.strategies.steps import Malformed

MOST_PLAN_STEPS = 8
STEP_ID = re.compile(r"E[1-9][0-9]{0,2}")


def checked(steps: Sequence[PlanStep], done: Collection[str], most: int) -> list[PlanStep]:
    """The plan, if it can be carried out.

    Args:
        done: ids of steps whose results are there.
        most: steps of a plan.

    Raises:
        Malformed: it cannot; says why.
    """
    if not 1 <= len(steps) <= most:
        raise Malformed(f"A plan has 1 to {most} steps.")
    ids = [step.id for step in steps]
    for step in steps:
        if not STEP_ID.fullmatch(step.id):
            raise Malformed(f"{step.id[:20]!r} is no id of a step; ids are E1, E2 and so on.")
        if ids.count(step.id) > 1 or step.id in done:
            raise Malformed(f"There is more than one step {step.id}.")
        for need in step.needs:
            if need not in ids and need not in done:
                raise Malformed(f"{step.id} needs {need[:20]}, which is no step.")
    levels(steps, done)
    return list(steps)


def levels(steps: Sequence[PlanStep], done: Collection[str]) -> list[list[PlanStep]]:
    """The steps in groups: each needs only what earlier groups give.

    Raises:
        Malformed: some steps need each other in a circle.
    """
    there = set(done)
    left = list(steps)
    found: list[list[PlanStep]] = []
    while left:
        ready = [step for step in left if there.issuperset(step.needs)]
        if not ready:
            circle = ", ".join(step.id for step in left)
            raise Malformed(f"These steps wait for each other in a circle: {circle}.")
        found.append(ready)
        there.update(step.id for step in ready)
        left = [step for step in left if step not in ready]
    return found


def next_ids(used: Collection[str], count: int) -> list[str]:
    """The ids of a plan's steps, after those that were used."""
    last = max((int(each[1:]) for each in used), default=0)
    return [f"E{last + number}" for number in range(1, count + 1)]
