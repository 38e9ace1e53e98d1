"""The statistics of evaluations: numbers with error bars, comparisons, power, agreement, rankings.

Functions take plain sequences and give frozen dataclasses. What always holds: no result holds a
NaN (what the data cannot say is None), every draw has its seed, and samples that depend on each
other can be told by a cluster label.
"""

from evals.statistics.agreement import (
    Agreement,
    HumanCeiling,
    Resampling,
    cohen_kappa,
    fleiss_kappa,
    human_ceiling,
    krippendorff_alpha,
    percent_agreement,
)
from evals.statistics.corrections import benjamini_hochberg, holm
from evals.statistics.errors import StatisticsError
from evals.statistics.estimate import (
    Estimate,
    Interval,
    mean_estimate,
    percentile_estimate,
    proportion_estimate,
)
from evals.statistics.paired import (
    PairedResult,
    mcnemar_exact,
    paired_bootstrap,
    paired_randomisation,
    paired_t,
    sign_test,
    wilcoxon_test,
)
from evals.statistics.power import (
    Design,
    detectable_difference,
    detectable_proportion,
    power_of,
    power_of_proportions,
    samples_needed,
    samples_needed_for_proportions,
)
from evals.statistics.ranking import Match, Ranking, Strength, bradley_terry
from evals.statistics.resampling import (
    Statistic,
    bootstrap,
    mean_of,
    of_sample,
    percentile_of,
    ratio_of,
)
from evals.statistics.win_rates import LengthControlled, length_controlled_win_rate, win_rate

__all__ = [
    "Agreement",
    "Design",
    "Estimate",
    "HumanCeiling",
    "Interval",
    "LengthControlled",
    "Match",
    "PairedResult",
    "Ranking",
    "Resampling",
    "Statistic",
    "StatisticsError",
    "Strength",
    "benjamini_hochberg",
    "bootstrap",
    "bradley_terry",
    "cohen_kappa",
    "detectable_difference",
    "detectable_proportion",
    "fleiss_kappa",
    "holm",
    "human_ceiling",
    "krippendorff_alpha",
    "length_controlled_win_rate",
    "mcnemar_exact",
    "mean_estimate",
    "mean_of",
    "of_sample",
    "paired_bootstrap",
    "paired_randomisation",
    "paired_t",
    "percent_agreement",
    "percentile_estimate",
    "percentile_of",
    "power_of",
    "power_of_proportions",
    "proportion_estimate",
    "ratio_of",
    "samples_needed",
    "samples_needed_for_proportions",
    "sign_test",
    "wilcoxon_test",
    "win_rate",
]
