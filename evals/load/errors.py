"""What can be wrong with traffic, and with the endpoint that it is meant for."""

from evals.errors import DatasetError
from rostra.core import ModelUnavailable


class InvalidTraffic(DatasetError):
    """Recorded traffic cannot be played, or a length or rate cannot be understood."""

    code = "invalid_traffic"


class EndpointUnusable(ModelUnavailable):
    """The endpoint does not answer the first, lone request; under load it would not either."""

    code = "endpoint_unusable"
