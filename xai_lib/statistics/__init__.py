"""Evidence: means with intervals, paired comparisons, rank agreement, and verdicts by one stated rule."""

from xai_lib.statistics.agreement import Agreement, Ranking, kendalls_w, nemenyi, rank_agreement
from xai_lib.statistics.comparison import Comparison, compare_differences, holm, paired_comparison
from xai_lib.statistics.intervals import Interval, mean_interval, mean_intervals, summarise
from xai_lib.statistics.matching import Matched, both_correct, matched
from xai_lib.statistics.verdicts import RULE, Claim, Verdict, compare_claim, verdict, verdict_table

__all__ = [
    "RULE",
    "Agreement",
    "Claim",
    "Comparison",
    "Interval",
    "Matched",
    "Ranking",
    "Verdict",
    "both_correct",
    "compare_claim",
    "compare_differences",
    "holm",
    "kendalls_w",
    "matched",
    "mean_interval",
    "mean_intervals",
    "nemenyi",
    "paired_comparison",
    "rank_agreement",
    "summarise",
    "verdict",
    "verdict_table",
]
