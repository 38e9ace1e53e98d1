"""What stands between a model's wishes and the world: approval, filters, loop detection."""

from typing import TYPE_CHECKING

from rostra.core import lazy_names

if TYPE_CHECKING:
    from rostra.agents.guard.defaults import FILTERS, default_guard, make_filters
    from rostra.agents.guard.filters import Filtered, OutputFilter, apply
    from rostra.agents.guard.hidden import HiddenText
    from rostra.agents.guard.links import ForeignLinks, hosts_in
    from rostra.agents.guard.loop import LoopDetector
    from rostra.agents.guard.pii import PersonalData
    from rostra.agents.guard.policy import Policy, approval_reasons
    from rostra.agents.guard.rewrite import moved
    from rostra.agents.guard.secrets import Secrets

_HOMES = {
    "FILTERS": "defaults",
    "default_guard": "defaults",
    "make_filters": "defaults",
    "Filtered": "filters",
    "OutputFilter": "filters",
    "apply": "filters",
    "HiddenText": "hidden",
    "ForeignLinks": "links",
    "hosts_in": "links",
    "LoopDetector": "loop",
    "PersonalData": "pii",
    "Policy": "policy",
    "approval_reasons": "policy",
    "moved": "rewrite",
    "Secrets": "secrets",
}

__all__ = [
    "FILTERS",
    "Filtered",
    "ForeignLinks",
    "HiddenText",
    "LoopDetector",
    "OutputFilter",
    "PersonalData",
    "Policy",
    "Secrets",
    "apply",
    "approval_reasons",
    "default_guard",
    "hosts_in",
    "make_filters",
    "moved",
]

__getattr__ = lazy_names(__name__, _HOMES)
