"""What can be wrong with an evaluation's data."""

from rostra.core import InvalidRequest


class DatasetError(InvalidRequest):
    """A judged set is missing, incomplete or contradicts itself; the message says where."""

    code = "invalid_dataset"
