"""Evidence: means with intervals, paired comparisons, rank agreement, and verdicts by one stated rule."""

from xai_lib.statistics.against_zero import compare_correlation, compare_over_classes, compare_statistic
from xai_lib.statistics.agreement import rank_agreement
from xai_lib.statistics.comparison import Comparison, compare_differences, holm, paired_comparison
from xai_lib.statistics.intervals import mean_interval, mean_intervals, summarise
from xai_lib.statistics.leaderboard import discrimination, fooled, mean_ranks, nemenyi, overall_ranks
from xai_lib.statistics.matching import Matched, both_correct, matched
from xai_lib.statistics.rankings import metric_agreement, rank_stability, w_draws
from xai_lib.statistics.verdicts import RULE, Claim, Decided, decide, decide_by, verdict, verdict_table
