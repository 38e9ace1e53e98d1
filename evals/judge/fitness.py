"""Whether a judge is fit for use: a judge that agrees too little with people decides nothing.

What always holds: a judge is fit only if all that is asked of it could be told and holds; every
reason against it is named. A liking for a position makes no judge unfit by itself: the harness
shows each pair in both orders, so it costs ties, which agreement knows of. A liking for length or
for its own family does, where it is surely strong: no swapping takes it out, and it favours one
system in all pairs alike. Every bias beyond doubt is remarked on, and so is a human ceiling that
says too little to hold a judge against.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from evals.judge.agreement import Agreed, HumanAgreement
from evals.statistics import Estimate

POSITION = "position"
_MOST_TOLD = 3  # reasons why there are no verdicts


@dataclass(frozen=True)
class JudgeStandard:
    """What is asked of a judge.

    Attributes:
        min_agreement: the lower end of the interval of its kappa with people must reach this. 0.4
            is where Landis and Koch (1977) let `moderate` begin, and where a judge and a person
            still agree on two of five of the cases that chance leaves open. The lower end, as too
            few pairs must not make a judge look fit.
        min_of_ceiling: its kappa must reach this share of the kappa among people. A judge that is
            clearly below half of what people surely reach is measured to be missing something that
            they all see, however hard the set is. 0 asks for nothing.
        max_unscored: most of the pairs that may be without a verdict: what was lost is no random
            part of a set, so beyond a tenth the rest says little about the whole.
        max_bias: most that length bias and self-preference may surely be, either way. At 0.2 a
            system gains up to a fifth of all pairs by longer answers alone, more than most changes
            to a system bring.
    """

    min_agreement: float = 0.4
    min_of_ceiling: float = 0.5
    max_unscored: float = 0.1
    max_bias: float = 0.2


@dataclass(frozen=True, slots=True)
class Fitness:
    """Whether a judge is fit, and why not.

    Attributes:
        reasons: against it; none for a fit judge.
        remarks: biases that it has beyond doubt, for whoever uses it.
        ceiling: why the kappa among people is nothing to hold it against; empty where it is.
    """

    is_fit: bool
    reasons: tuple[str, ...]
    remarks: tuple[str, ...]
    ceiling: str = ""


def fitness_of(
    *,
    agreed: Agreed,
    people: HumanAgreement,
    judged: int,
    lost: Mapping[str, int],
    biases: dict[str, Estimate | None],
    standard: JudgeStandard,
) -> Fitness:
    """Judges a judge.

    Args:
        people: how far people agree with each other, where that is known.
        judged: pairs that it has a verdict about; `lost` are those that it has none about, by
            reason.
        biases: by name, `POSITION` being the one that both orders take out; 0 is none.
    """
    reasons: list[str] = []
    without = sum(lost.values())
    total = judged + without
    if not total:
        reasons.append("it judged nothing")
    elif not judged:
        reasons.append(f"no verdict about any of {total} pairs ({_most_of(lost)})")
    elif without > standard.max_unscored * total:
        reasons.append(
            f"no verdict about {without} of {total} pairs ({_most_of(lost)}), more than "
            f"{100 * standard.max_unscored:g} %"
        )
    if agreed.value is None:
        if judged:
            why = "one label alone occurs" if agreed.kappa else "no pair that it judged has a label"
            reasons.append(f"its agreement with people cannot be told: {why}")
    elif agreed.low is None:
        reasons.append("too few pairs to tell how far it agrees with people")
    elif agreed.low < standard.min_agreement:
        reasons.append(_too_low(agreed, agreed.low, standard.min_agreement))
    ceiling = ""
    if standard.min_of_ceiling > 0:
        ceiling = no_ceiling(people)
        reasons += _under_the_ceiling(agreed, people, standard.min_of_ceiling)
    remarks: list[str] = []
    for name, bias in biases.items():
        if bias is None or bias.interval is None or bias.interval.contains(0):
            continue
        remarks.append(f"{name} {bias.mean:+.2f}")
        surely = min(abs(bias.interval.low), abs(bias.interval.high))
        if name != POSITION and surely > standard.max_bias:
            reasons.append(
                f"bias by {name} is at least {surely:.2f}, more than {standard.max_bias:.2f}"
            )
    return Fitness(not reasons, tuple(reasons), tuple(remarks), ceiling)


def _too_low(agreed: Agreed, low: float, least: float) -> str:
    """What the lower end of kappa says against a judge; of a constant one, what it always says."""
    judge, people = agreed.only
    if judge is not None:
        return f"it says {judge} of every pair, which is kappa {low:.2f} whatever people say"
    if people is not None:
        return f"people say {people} of every pair, which is kappa {low:.2f} whatever a judge says"
    return f"kappa with people may be as low as {low:.2f}, under {least:.2f}"


def no_ceiling(people: HumanAgreement) -> str:
    """Why the kappa among people is nothing to hold judges against.

    Empty where it is something, and where no pair has two labels, so that nobody expects any.
    """
    kappa, low, labels = people.agreed.value, people.agreed.low, f"n {people.items}"
    if not people.items:
        return ""
    if kappa is None:
        return f"how far people agree cannot be told ({labels}): there is no ceiling"
    if kappa <= 0:
        return f"people agree no more than by chance (kappa {kappa:.2f}, {labels}): no ceiling"
    if low is None or low <= 0:
        return f"too few labels for a ceiling: {kappa:.2f} among people ({labels}) may be chance"
    return ""


def _under_the_ceiling(agreed: Agreed, people: HumanAgreement, least: float) -> list[str]:
    """What the kappa among people says against a judge.

    People who surely agree by chance alone, or less, have given labels that show nothing.
    """
    ceiling = people.agreed
    if ceiling.value is None:
        return []
    if ceiling.value <= 0:
        ends = ceiling.kappa.interval if ceiling.kappa else None
        if ends is None or ends.high > 0:
            return []
        return [f"the labels show nothing: people agree by {ceiling.value:.2f} with each other"]
    if agreed.value is None or ceiling.low is None:
        return []
    ends = agreed.kappa.interval if agreed.kappa else None
    if (agreed.value if ends is None else ends.high) >= least * ceiling.low:
        return []
    return [
        f"kappa {agreed.value:.2f} is far under the {ceiling.value:.2f} among people "
        f"(n {people.items})"
    ]


def _most_of(lost: Mapping[str, int]) -> str:
    """The most frequent reasons, with how often each was."""
    told = [f"{count}: {reason}" for reason, count in Counter(lost).most_common(_MOST_TOLD)]
    if (rest := len(lost) - len(told)) > 0:
        told.append(f"{rest} other reasons")
    return "; ".join(told)
