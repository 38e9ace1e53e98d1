"""What can be wrong with an evaluation: its data, its runs."""

from rostra.core import Conflict, InvalidRequest, NotFound, RostraError


class DatasetError(InvalidRequest):
    """A judged set is missing, incomplete or contradicts itself; the message says where."""

    code = "invalid_dataset"


class EvalRunNotFound(NotFound):
    """No run of an evaluation goes by this name."""

    code = "eval_run_not_found"


class EvalRunBroken(InvalidRequest):
    """A file is no log of a run, or is damaged elsewhere than in its last line."""

    code = "eval_run_broken"


class EvalRunConflict(Conflict):
    """A run is written by another process, or was begun with other settings."""

    code = "eval_run_conflict"


class EvalRunUnwritable(RostraError):
    """The file of a run cannot be written, as on a full disk; what it has stays."""

    code = "eval_run_unwritable"
    status = 507


class NothingToCompare(InvalidRequest):
    """Two runs have no measure of the same samples in common."""

    code = "nothing_to_compare"
