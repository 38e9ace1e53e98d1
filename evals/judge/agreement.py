"""How far a judge agrees with people beyond chance, and how far people agree with each other.

What always holds: judge and people are measured in the same way, as one annotator against one
other, so the ceiling is what a judge that is as good as one more annotator would reach. (Against
the majority of several people a judge would agree more than they do with each other, and look
better than it is.) Verdicts are those that the harness would use: of both orders, a flip being a
tie. Pairs without a verdict are left out here and counted elsewhere.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from evals.core.samples import Sample
from evals.judge.pairs import Winner, pair_of
from evals.statistics import (
    Agreement,
    Resampling,
    StatisticsError,
    cohen_kappa,
    human_ceiling,
    krippendorff_alpha,
    proportion_estimate,
)

_Labels = Sequence[Winner | None]


@dataclass(frozen=True, slots=True)
class Agreed:
    """How far two sides agree.

    Attributes:
        kappa: Cohen's; None where there is nothing to compare.
        alpha: Krippendorff's, nominal.
        low: the lower end of kappa's interval; see `agreement_of` for full agreement.
        only: what each side says where it only ever says the same; kappa then tells nothing.
    """

    kappa: Agreement | None
    alpha: Agreement | None
    low: float | None
    only: tuple[Winner | None, Winner | None] = (None, None)

    @property
    def value(self) -> float | None:
        """Kappa's."""
        return self.kappa.value if self.kappa is not None else None

    @property
    def ends(self) -> tuple[float, float] | None:
        """Of kappa's interval; None where it has none, for which `no_interval` has the reason."""
        if self.kappa is None or self.kappa.value is None or any(self.only):
            return None
        if self.kappa.interval is not None:
            return self.kappa.interval.low, self.kappa.interval.high
        return None if self.low is None else (self.low, self.kappa.value)

    @property
    def no_interval(self) -> str:
        """Why kappa has no interval; empty where it has one, or where there is no kappa."""
        if self.value is None or self.ends is not None:
            return ""
        first, second = self.only
        if first is not None:
            return f"constant: always {first}"
        return f"constant labels: always {second}" if second is not None else "too few pairs"


@dataclass(frozen=True, slots=True)
class HumanAgreement:
    """How far the annotators of a set agree with each other.

    Attributes:
        annotators: how many there are; with one there is no ceiling.
        items: pairs with two labels or more, which alone say something.
        agreed: all pairs of annotators together.
        kappas: of each pair of annotators, by their places from 1.
        leave_one_out: share of labels that are what most of the others say.
    """

    annotators: int
    items: int
    agreed: Agreed
    kappas: dict[str, float | None]
    leave_one_out: float | None


def agreement_with_people(
    verdicts: _Labels, samples: Sequence[Sample], *, seed: int, level: float = 0.95
) -> Agreed:
    """A judge against each annotator, all of them together.

    Args:
        verdicts: one for each sample; None where there is none.
    """
    first: list[Winner | None] = []
    second: list[Winner | None] = []
    groups: list[str] = []
    for verdict, sample in zip(verdicts, samples, strict=True):
        for label in pair_of(sample).labels:
            first.append(verdict)
            second.append(label)
            groups.append(_group(sample))
    return agreement_of(first, second, groups, seed=seed, level=level)


def agreement_among_people(
    samples: Sequence[Sample], *, seed: int, level: float = 0.95
) -> HumanAgreement:
    """Each annotator against each other, all pairs together and one by one."""
    rows = [pair_of(sample).labels for sample in samples]
    width = max(map(len, rows), default=0)
    columns = [[row[at] if at < len(row) else None for row in rows] for at in range(width)]
    groups = [_group(sample) for sample in samples]
    first: list[Winner | None] = []
    second: list[Winner | None] = []
    kappas: dict[str, float | None] = {}
    for one, other in combinations(range(width), 2):
        first += columns[one]
        second += columns[other]
        fewest = Resampling(seed, groups, resamples=100, level=level)  # its interval is not told
        found = _found(cohen_kappa, columns[one], columns[other], fewest)
        kappas[f"{one + 1}-{other + 1}"] = found.value if found is not None else None
    pooled = agreement_of(first, second, groups * len(kappas), seed=seed, level=level)
    loo = None
    if pooled.kappa is not None:
        named = {str(at): column for at, column in enumerate(columns)}
        loo = human_ceiling(named, Resampling(seed, groups, resamples=100)).leave_one_out.value
    several = sum(sum(label is not None for label in row) > 1 for row in rows)
    return HumanAgreement(width, several, pooled, kappas, loo)


def agreement_of(
    first: _Labels, second: _Labels, groups: Sequence[str], *, seed: int, level: float = 0.95
) -> Agreed:
    """Two annotators, item by item.

    Where they agree on every item no resample differs, and there is no interval; the lower end is
    then what kappa would be at the lower end of Wilson's interval of the share of agreement, each
    group one item. Where one of them only ever says the same, kappa is 0 whatever the other says.
    """
    paired = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if not paired:
        return Agreed(None, None, None)
    resampling = Resampling(seed, groups, level=level)
    kappa = _found(cohen_kappa, first, second, resampling)
    rows = [list(row) for row in zip(first, second, strict=True)]
    alpha = _found(krippendorff_alpha, rows, resampling)
    if kappa is None or kappa.value is None:
        return Agreed(kappa, alpha, None)
    only = _alone({a for a, _ in paired}), _alone({b for _, b in paired})
    if any(only):
        return Agreed(kappa, alpha, kappa.value, only)
    if kappa.interval is not None:
        return Agreed(kappa, alpha, kappa.interval.low)
    return Agreed(kappa, alpha, _low_if_all_agree(paired, groups, level))


def _alone(said: set[Winner]) -> Winner | None:
    return next(iter(said)) if len(said) == 1 else None


def _low_if_all_agree(
    paired: Sequence[tuple[Winner, Winner]], groups: Sequence[str], level: float
) -> float | None:
    if any(a != b for a, b in paired):
        return None
    independent = min(len(paired), len(set(groups)))
    share = proportion_estimate([1.0] * independent, level=level).interval
    if share is None:
        return None
    counts = Counter(a for a, _ in paired)
    by_chance = sum((count / len(paired)) ** 2 for count in counts.values())
    return None if by_chance == 1 else (share.low - by_chance) / (1 - by_chance)


def _found(measure: Callable[..., Agreement], *arguments: object) -> Agreement | None:
    try:
        return measure(*arguments)
    except StatisticsError:
        return None  # no item has two labels


def _group(sample: Sample) -> str:
    return sample.group or f"\0{sample.id}"
