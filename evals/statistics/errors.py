"""What can be wrong with the numbers that statistics are asked of."""

from rostra.core import InvalidRequest


class StatisticsError(InvalidRequest):
    """Values, clusters or parameters that no statistic can be computed from; the message says why.

    Data that are well formed and only say too little (one value, no variation) are no error: the
    fields that they cannot fill are None.
    """

    code = "invalid_statistics"
