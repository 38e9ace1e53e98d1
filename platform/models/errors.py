"""What a model cannot be asked, and what can go wrong with one that is not ours."""

from rostra.core import InvalidRequest, ModelUnavailable, Overloaded, RostraError


class RemoteUnavailable(ModelUnavailable):
    """An endpoint cannot be reached, failed, or sent what is no answer; retries are used up."""

    code = "remote_unavailable"


class BreakerOpen(RemoteUnavailable):
    """An endpoint failed so often in a row that it is left alone for a while; nothing was sent."""

    code = "remote_resting"


class RemoteOverloaded(Overloaded):
    """An endpoint has no room or no quota for the request now; retries are used up."""

    code = "remote_overloaded"


class RemoteRefused(InvalidRequest):
    """An endpoint says that the request itself is wrong; the message has its words."""

    code = "remote_refused"


class UnsupportedConstraint(InvalidRequest):
    """A model cannot be held to such a constraint; nothing was sent."""

    code = "unsupported_constraint"


class NoRoute(InvalidRequest):
    """None of a router's models takes the request."""

    code = "no_route"


class ScriptEnded(RostraError):
    """A scripted model was asked more often than its script has turns."""

    status = 500
    code = "script_ended"
