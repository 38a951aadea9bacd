"""What the saliency paper argues, as numbers: agreement, stability, what fools a metric, and what moves a ranking."""

import pandas as pd

from xai_lib import statistics
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency.analysis.scores import (
    FIDELITY,
    INFORMED,
    UNINFORMED,
    directions,
    in_order,
    informed,
    present,
    scores,
    uninformed,
)
from xai_lib.papers.saliency.experiment import Bench
from xai_lib.papers.saliency.method import lineup
from xai_lib.papers.saliency.method.fidelity import TARGETS
from xai_lib.statistics.over_images import seeds_last

# Near copies of their namesakes; and completeness, whose means are ruled by images with a tiny denominator.
_NOT_COMPARED = ("local-accuracy-logit", "monotonicity-quantus", "monotonicity-arya", "completeness")


def compared(bench: Bench) -> tuple[str, ...]:
    """The metrics that are held against each other: one reading of each."""
    return tuple(name for name in present(bench) if name not in _NOT_COMPARED)


def agreement(bench: Bench) -> pd.DataFrame:
    """Do metrics rank the informed methods alike? Kendall's tau of every pair: see ``statistics.metric_agreement``."""
    names = compared(bench)
    found = scores(bench)
    found = found[found["method"].isin(informed(bench)) & found["metric"].isin(names)]
    return statistics.metric_agreement(found, directions(names))


def stability(bench: Bench) -> pd.DataFrame:
    """Do images, halves of the images and trainings rank the informed methods alike, metric by metric?"""
    names = present(bench)
    found = scores(bench)
    found = found[found["method"].isin(informed(bench)) & found["metric"].isin(names)]
    return in_order(statistics.rank_stability(found, directions(names)))


def fooled(bench: Bench) -> pd.DataFrame:
    """Which uninformed maps score better than the paper's methods, metric by metric: see ``statistics.fooled``.

    Raises:
        ValueError: if the one or the other kind takes no part.
    """
    if not (uninformed(bench) and informed(bench)):
        raise ValueError(
            f"Expected at least one of {', '.join(UNINFORMED)} and one of {', '.join(INFORMED)}, to hold against each "
            f"other. Got {', '.join(bench.methods)}."
        )
    names = present(bench)
    found = scores(bench)
    return statistics.fooled(found[found["metric"].isin(names)], directions(names), uninformed(bench), informed(bench))


def discrimination(bench: Bench) -> pd.DataFrame:
    """How many pairs of informed methods a metric tells apart: see ``statistics.discrimination``."""
    names = present(bench)
    found = scores(bench)
    return in_order(statistics.discrimination(found[found["metric"].isin(names)], directions(names), informed(bench)))


def mean_ranks(bench: Bench, metric: str) -> tuple[pd.DataFrame, float]:
    """Mean rank over images of every method under a metric, and the critical difference at 0.05."""
    methods = tuple(name for name in lineup.ALL if name in bench.methods)
    return statistics.mean_ranks(scores(bench), directions((metric,)), methods, metric)


def readings(bench: Bench) -> pd.DataFrame:
    """How far another normalisation, order of ties or baseline moves the ranking of the paper's ten and the controls.

    Returns:
        Rows metric, method, reading ("paper" first), mean, rank (1 is best, ties share the middle), moved (ranks away
        from the paper's reading), and ``tau`` with the paper's reading over all methods. All readings are of the
        images that were scored in every one.
    """
    found = experiment.saliency_scores(bench, "fidelity")
    found = found[(found["target"] == TARGETS[0]) & found["metric"].isin((*FIDELITY, "local-accuracy"))]
    within = found.loc[found["reading"] != "paper", "index"].unique()
    found = found[found["index"].isin(within) & ~found["method"].isin(lineup.BEYOND)]
    means = seeds_last(found, ["metric", "reading", "method"]).unstack("method")
    better = directions(tuple(means.index.get_level_values("metric").unique()))
    paper_first = sorted(means.index, key=lambda names: (names[0], names[1] != "paper", names[1]))
    rows = []
    for metric, reading in paper_first:
        values = means.loc[(metric, reading)]
        ours, papers = (_ranks(line, better[metric]) for line in (values, means.loc[(metric, "paper")]))
        tau = statistics.rank_agreement(ours.to_numpy(), papers.to_numpy()).value
        for method in values.index:
            rows.append(
                {
                    "metric": metric,
                    "reading": reading,
                    "method": method,
                    "mean": values[method],
                    "rank": ours[method],
                    "moved": abs(ours[method] - papers[method]),
                    "tau": tau,
                }
            )
    return in_order(pd.DataFrame(rows))


def against_probability(bench: Bench) -> pd.DataFrame:
    """Figure 2: the true class's probability and a metric, image by image, with their rank correlation.

    Returns:
        Rows method, metric, index, probability, value, rho (Spearman's over images, seeds averaged first).
    """
    found = scores(bench)
    found = found[found["method"].isin(lineup.PAPER)]
    over_seeds = found.groupby(["method", "metric", "index"])["value"].mean()
    probability = over_seeds.xs("probability", level="metric").rename("probability")
    rows = []
    for metric in ("average-gain", "average-drop", "insertion", "deletion"):
        both = over_seeds.xs(metric, level="metric").rename("value").to_frame().join(probability).reset_index()
        for _, group in both.groupby("method"):
            rho = statistics.rank_agreement(group["value"].to_numpy(), group["probability"].to_numpy(), kind="spearman")
            rows.append(group.assign(metric=metric, rho=rho.value))
    return in_order(pd.concat(rows, ignore_index=True))


def cost(bench: Bench) -> pd.DataFrame:
    """Forward passes, seconds and megabytes an image, of the first network: method, forwards, seconds, megabytes."""
    found = experiment.saliency_scores(bench, "cost")
    first = found[found["seed"] == found["seed"].min()]
    return in_order(first[["method", "forwards", "seconds", "megabytes"]])


def _ranks(values: pd.Series, better: str) -> pd.Series:
    return values.rank(ascending=better == "lower")
