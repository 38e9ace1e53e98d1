"""`python -m tests.conformance [TARGET...]`: the conformance table; exits with 1 on a failure.

Targets are everything-server, /mcp, /mcp+fixtures and client; all by default, each at both
revisions.
"""

import asyncio
import sys

from rich.console import Console
from rich.table import Table

from tests.conformance.programs import Unavailable, installed
from tests.conformance.suite import REVISIONS, TARGETS, Report, Verdict, run


async def reports(targets: list[str]) -> list[Report]:
    """One after the other; a line on stderr says which."""
    programs = installed()
    found = []
    for target in targets:
        for revision in REVISIONS:
            print(f"{target} at {revision} ...", file=sys.stderr)
            found.append(await run(programs, target, revision))
    return found


def show(found: list[Report]) -> None:
    """The table, and below it every reason."""
    console = Console(width=120)
    table = Table("side", "revision", "applicable", *(v.value for v in Verdict), "checks passed")
    for report in found:
        counted = [s for s in report.scenarios if s.verdict in (Verdict.PASSED, Verdict.EXPECTED)]
        counts = (str(report.count(verdict)) for verdict in Verdict)
        checks = str(sum(scenario.passed for scenario in counted))
        table.add_row(report.target, report.revision, str(report.applicable), *counts, checks)
    console.print(table)
    for report in found:
        for (verdict, reason), names in report.reasons().items():
            told = f"{report.target} {report.revision}, {verdict.value}: {', '.join(names)}"
            console.print(f"{told}\n    {reason}", highlight=False, soft_wrap=True, markup=False)


def main() -> None:
    """See this module."""
    targets = sys.argv[1:] or list(TARGETS)
    if unknown := [target for target in targets if target not in TARGETS]:
        sys.exit(f"no target {unknown[0]!r}; there are {', '.join(TARGETS)}")
    try:
        found = asyncio.run(reports(targets))
    except Unavailable as error:
        sys.exit(f"the suite cannot be had: {error}")
    show(found)
    sys.exit(any(report.count(Verdict.FAILED) for report in found))


if __name__ == "__main__":
    main()
