"""What a run of some kind has to say beside its tasks: its judges, its systems beside each other.

What always holds: it is computed from the record alone, and the run's own printing shows the same.
"""

from collections import Counter

from evals.compare import COMPARED, compare_systems, comparison_section
from evals.core import RunRecord, Section
from evals.judge.table import judge_sections

_MOST_PAIRS = 150  # of systems; there are soon too many to be tested on request


def sections_of(record: RunRecord, *, compared: bool = True) -> tuple[Section, ...]:
    """The tables of a run; of most kinds there is none.

    Args:
        compared: with systems beside each other, which some reports show in their own way.
    """
    match record.header.kind:
        case "judge":
            return judge_sections(record)
        case "retrieval" if compared:
            return _systems(record)
        case _:
            return ()


def _systems(record: RunRecord) -> tuple[Section, ...]:
    systems = Counter(task.dataset for task in record.header.tasks)
    pairs = sum(count * (count - 1) // 2 for count in systems.values())
    if not pairs:
        return ()
    if pairs > _MOST_PAIRS:
        note = "too many to be compared here; `rostra eval compare RUN` does it"
        return (Section(COMPARED, ("pairs of systems",), ((pairs,),), (note,)),)
    found = compare_systems(record, seed=record.header.seed)
    return (comparison_section(record, found),) if found else ()
