"""Evidence: means with intervals, paired comparisons, rank agreement, and verdicts by one stated rule."""

from xai_lib.statistics.against_zero import compare_correlation, compare_over_classes, compare_statistic
from xai_lib.statistics.agreement import rank_agreement
from xai_lib.statistics.comparison import Comparison, compare_differences, holm, holm_levels, paired_comparison
from xai_lib.statistics.estimate import Estimate, estimate_of, power, units_needed
from xai_lib.statistics.intervals import mean_interval, summarise
from xai_lib.statistics.leaderboard import fooled, mean_ranks, nemenyi, overall_ranks
from xai_lib.statistics.matching import Matched, matched
from xai_lib.statistics.rankings import metric_agreement, rank_stability
from xai_lib.statistics.verdicts import RULE, Claim, Decided, decide, nothing, sentences, untested, verdict_table
