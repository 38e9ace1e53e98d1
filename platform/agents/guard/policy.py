"""Which calls need a person's yes.

What always holds: a call whose effect is not reading, or that shows its arguments to others, never
goes unapproved when text of a tool or a document influenced its arguments, whatever a policy
trusts; a tool about which nobody said what it does counts as one that does something.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rostra.agents.events import Effect
from rostra.agents.tools.tool import ToolInfo

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Policy:
    """What goes without asking.

    Attributes:
        auto_approve: effects that do, as long as nothing untrusted influenced the arguments.
        trusted_tools: names of tools that do, under the same condition.
        outbound_tools: names of tools that show their arguments to others, beside those that say
            so themselves (`ToolInfo.outbound`); also where they only read, they need approval when
            untrusted text influenced the arguments.
    """

    auto_approve: frozenset[Effect] = frozenset({Effect.READ})
    trusted_tools: frozenset[str] = frozenset()
    outbound_tools: frozenset[str] = frozenset()


def approval_reasons(info: ToolInfo, sources: Sequence[str], policy: Policy) -> list[str]:
    """Why a call needs approval, in words for the person who decides; empty where it needs none.

    Args:
        info: the tool.
        sources: labels of the untrusted text that the arguments' author had read.
        policy: what goes without asking.
    """
    reasons: list[str] = []
    trusted = info.effect in policy.auto_approve or info.name in policy.trusted_tools
    reads = info.effect is Effect.READ
    if not trusted:
        reasons.append(_EFFECTS[info.effect].format(name=info.name))
    if sources and (not reads or info.outbound or info.name in policy.outbound_tools):
        shown = ", ".join(sources[:_SHOWN])
        more = f" and {len(sources) - _SHOWN} more" if len(sources) > _SHOWN else ""
        whose = "sends its arguments out, and they" if reads else "acts, and its arguments"
        reasons.append(f"{info.name} {whose} may come from untrusted text: {shown}{more}.")
    return reasons


_EFFECTS = {
    Effect.READ: "{name} reads, and this policy asks even for that.",
    Effect.IDEMPOTENT: "{name} changes something.",
    Effect.WRITE: "{name} changes something, each time it is called.",
    Effect.UNKNOWN: "Nobody says what {name} changes.",
}
