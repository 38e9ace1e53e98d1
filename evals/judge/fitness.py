"""Whether a judge is fit for use: a judge that agrees too little with people decides nothing.

What always holds: a judge is fit only if all that is asked of it could be told and holds; every
reason against it is named. A liking for a position makes no judge unfit by itself: the harness
shows each pair in both orders, so it costs ties, which agreement knows of. A liking for length or
for its own family does, where it is surely strong: no swapping takes it out, and it favours one
system in all pairs alike. Every bias beyond doubt is remarked on.
"""

from dataclasses import dataclass

from evals.judge.agreement import Agreed
from evals.statistics import Estimate

POSITION = "position"


@dataclass(frozen=True)
class JudgeStandard:
    """What is asked of a judge.

    Attributes:
        min_agreement: the lower end of the interval of its kappa with people must reach this. 0.4
            is where Landis and Koch (1977) let `moderate` begin, and where a judge and a person
            still agree on two of five of the cases that chance leaves open. The lower end, as too
            few pairs must not make a judge look fit.
        min_of_ceiling: its kappa must reach this share of the kappa among people. A judge that is
            clearly below half of what people reach is measured to be missing something that they
            all see, however hard the set is.
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
    """

    is_fit: bool
    reasons: tuple[str, ...]
    remarks: tuple[str, ...]


def fitness_of(
    *,
    agreed: Agreed,
    people: Agreed,
    judged: int,
    lost: int,
    biases: dict[str, Estimate | None],
    standard: JudgeStandard,
) -> Fitness:
    """Judges a judge.

    Args:
        people: how far people agree with each other, where that is known.
        judged: pairs that it has a verdict about; `lost` are those that it has none about.
        biases: by name, `POSITION` being the one that both orders take out; 0 is none.
    """
    reasons: list[str] = []
    total = judged + lost
    if not total:
        reasons.append("it judged nothing")
    elif lost > standard.max_unscored * total:
        reasons.append(
            f"no verdict about {lost} of {total} pairs, more than {100 * standard.max_unscored:g} %"
        )
    if agreed.value is None:
        if judged:
            reasons.append("its agreement with people cannot be told")
    elif agreed.low is None:
        reasons.append("too few pairs to tell how far it agrees with people")
    elif agreed.low < standard.min_agreement:
        reasons.append(
            f"kappa with people may be as low as {agreed.low:.2f}, under "
            f"{standard.min_agreement:.2f}"
        )
    ceiling = people.value
    if agreed.value is not None and ceiling is not None and ceiling > 0:
        high = agreed.kappa.interval.high if agreed.kappa and agreed.kappa.interval else None
        if (agreed.value if high is None else high) < standard.min_of_ceiling * ceiling:
            reasons.append(f"kappa {agreed.value:.2f} is far under the {ceiling:.2f} among people")
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
    return Fitness(not reasons, tuple(reasons), tuple(remarks))
