"""What the driver tells a run when it begins."""

from rostra.agents import (
    Budget,
    Catalog,
    Equipped,
    Journal,
    MemoryLog,
    Parts,
    RunEnded,
    RunRequest,
    Status,
    default_guard,
    drive,
    make_strategy,
    prompts,
    started,
)
from rostra.agents.tools.tool import StaticToolset
from rostra.models import ScriptedModel
from tests.unit.agents.strategies.lab import TOOLS, final


async def equipped(approve: list[str], problems: tuple[str, ...] = ()) -> list[str]:
    """What a run is told of tools that are not there."""
    request = RunRequest(task="Look.", budget=Budget(steps=3), approve=approve)
    log = MemoryLog()
    journal = Journal(log)
    await journal.keep(started(request, "main", prompts))
    catalog = await Catalog.open({"local": StaticToolset(TOOLS)})
    parts = Parts(
        {"main": ScriptedModel([final(("Nothing to cite.", []))])},
        catalog,
        make_strategy("react"),
        default_guard(),
        prompts,
        problems=problems,
    )
    last = await drive("run", request, journal, parts)
    assert isinstance(last, RunEnded)
    assert last.status is Status.COMPLETED
    (found,) = [record.event for record in log.records if isinstance(record.event, Equipped)]
    return found.problems


async def test_an_approval_of_no_tool_is_told() -> None:
    assert await equipped(["search", "add"]) == []
    told = await equipped(["serach", "add", "serach"], ("mail is away",))
    assert told[0] == "mail is away"
    assert len(told) == 2
    assert "'serach'" in told[1]


async def test_what_is_told_of_approvals_is_bounded() -> None:
    told = await equipped([f"{number}{'x' * 1000}" for number in range(50)])
    assert len(told) == 21
    assert max(map(len, told)) < 200
    assert told[-1].startswith("30 more")
