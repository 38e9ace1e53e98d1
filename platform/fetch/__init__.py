"""Fetch: pages of the web through one guarded client, for sources and for tools alike.

Whoever asks another server for something that a user, a document or a model named does it here.
"""

from typing import TYPE_CHECKING

from rostra.core import lazy_names

if TYPE_CHECKING:
    from rostra.fetch.addresses import (
        MAX_URL,
        Guard,
        GuardedBackend,
        Network,
        Unreachable,
        is_public,
        resolve,
    )
    from rostra.fetch.client import Fetched, Fetcher, Validators, parse_url
    from rostra.fetch.robots import DisallowedByRobots, Robots

_HOMES = {
    "MAX_URL": "addresses",
    "DisallowedByRobots": "robots",
    "Fetched": "client",
    "Fetcher": "client",
    "Guard": "addresses",
    "GuardedBackend": "addresses",
    "Network": "addresses",
    "Robots": "robots",
    "Unreachable": "addresses",
    "Validators": "client",
    "is_public": "addresses",
    "parse_url": "client",
    "resolve": "addresses",
}

__all__ = [
    "MAX_URL",
    "DisallowedByRobots",
    "Fetched",
    "Fetcher",
    "Guard",
    "GuardedBackend",
    "Network",
    "Robots",
    "Unreachable",
    "Validators",
    "is_public",
    "parse_url",
    "resolve",
]

__getattr__ = lazy_names(__name__, _HOMES)
