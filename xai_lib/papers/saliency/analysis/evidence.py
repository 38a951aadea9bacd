"""What the saliency paper argues, as numbers: agreement, stability, what fools a metric, and what moves a ranking."""

import pandas as pd

from xai_lib import metrics, statistics
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency.analysis.found import pairs
from xai_lib.papers.saliency.analysis.scores import directions, in_order, of_metrics, present, scores, under
from xai_lib.papers.saliency.method import TARGETS, lineup
from xai_lib.papers.saliency.method.lineup import READINGS
from xai_lib.run.settings import Study
from xai_lib.statistics.intervals import seeds_last

# Near copies of their namesakes; and completeness, whose means are ruled by images with a tiny denominator.
_NOT_COMPARED = ("local-accuracy-logit", "monotonicity-quantus", "monotonicity-arya", "completeness")


def informed(study: Study) -> tuple[str, ...]:
    """The paper's methods that look at the network and take part."""
    return tuple(name for name in lineup.INFORMED if name in experiment.applicable(study))


def networks(study: Study) -> pd.DataFrame:
    """A row a network: seed, images, accuracy, and the mean probability of each of ``method.TARGETS``."""
    found = under(experiment.scores(study, "fidelity"))
    found = found[(found["metric"] == "probability") & (found["method"] == experiment.applicable(study)[0])]
    wide = found.pivot(index=["seed", "index"], columns="target", values="value")
    grouped = wide.assign(accuracy=wide[TARGETS[0]] == wide[TARGETS[1]]).groupby(level="seed")
    return grouped[["accuracy", *TARGETS]].mean().assign(images=grouped.size()).reset_index()


def agreement(study: Study) -> pd.DataFrame:
    """Do metrics rank the informed methods alike? Kendall's tau of every pair: see ``statistics.metric_agreement``."""
    names = [name for name in present(study) if name not in _NOT_COMPARED]
    return statistics.metric_agreement(of_metrics(study, names, informed(study)), directions(names))


def stability(study: Study) -> pd.DataFrame:
    """Do images, halves of the images and trainings rank the informed methods alike, metric by metric?"""
    names = present(study)
    return in_order(statistics.rank_stability(of_metrics(study, names, informed(study)), directions(names)))


def fooled(study: Study) -> pd.DataFrame:
    """Which uninformed maps score better than the paper's methods: ``statistics.fooled``. No rows without either."""
    uninformed = tuple(name for name in lineup.UNINFORMED if name in experiment.applicable(study))
    names = present(study) if uninformed and informed(study) else ()
    if not names:
        return pd.DataFrame(columns=["metric", "control", "superiority", "low", "high", "verdict"])
    return statistics.fooled(of_metrics(study, names), directions(names), uninformed, informed(study))


def discrimination(study: Study) -> pd.DataFrame:
    """How many pairs of informed methods a metric tells apart, by Holm's method over them: see :func:`found.pairs`.

    Rows metric, n_images, relevant (the smallest difference that matters), pairs, apart (with certainty), alike (with
    certainty closer than that).
    """
    rows = []
    for metric in present(study):
        relevant = metrics.about(metric).relevant
        many, n_images = pairs(of_metrics(study, (metric,)), metric, informed(study), relevant)
        low, high = (end + many.asked for end in many.interval())
        rows.append((metric, n_images, relevant, len(many.yes), low, len(many.yes) - high))
    return pd.DataFrame(rows, columns=["metric", "n_images", "relevant", "pairs", "apart", "alike"])


def mean_ranks(study: Study, metric: str) -> tuple[pd.DataFrame, float]:
    """Mean rank over images of every method under a metric, and the critical difference at 0.05."""
    return statistics.mean_ranks(scores(study), directions((metric,)), experiment.applicable(study), metric)


def readings(study: Study) -> pd.DataFrame:
    """How far another normalisation, order of ties or baseline moves the ranking of the paper's ten and the controls.

    Rows metric, method, reading ("absolute" first), mean, rank (1 is best, ties share the middle), moved (ranks away
    from the first reading), and ``tau`` with that over all methods; of the images that were scored in every reading.
    """
    found = experiment.scores(study, "fidelity")
    found = found[(found["target"] == TARGETS[0]) & found["metric"].isin((*lineup.FIDELITY, "local-accuracy"))]
    within = found.loc[~found["reading"].isin(READINGS), "index"].unique()
    found = pd.concat([found[found["reading"] != "signed"], under(found, "signed").assign(reading="signed")])
    found = found[found["index"].isin(within) & found["method"].isin((*lineup.PAPER, *lineup.CONTROLS))]
    means, rows = seeds_last(found, ["metric", "reading", "method"]).unstack("method"), []
    for metric, reading in sorted(means.index, key=lambda names: (names[0], names[1] != READINGS[0], names[1])):
        lower = metrics.about(metric).better == "lower"
        ours, papers = (means.loc[(metric, name)].rank(ascending=lower) for name in (reading, READINGS[0]))
        tau = statistics.rank_agreement(ours.to_numpy(), papers.to_numpy())
        columns = {"mean": means.loc[(metric, reading)], "rank": ours, "moved": (ours - papers).abs(), "tau": tau}
        rows.append(pd.DataFrame(columns).rename_axis("method").reset_index().assign(metric=metric, reading=reading))
    order = ["metric", "reading", "method", "mean", "rank", "moved", "tau"]
    return in_order(pd.concat(rows, ignore_index=True)[order])


def moved_most(study: Study) -> pd.DataFrame:
    """What :func:`readings` comes to: of each metric and reading the method that moves most, n_moved and n_methods."""
    rows = readings(study)
    grouped = rows[rows["reading"] != READINGS[0]].groupby(["metric", "reading"], sort=False)
    most = rows.loc[grouped["moved"].idxmax()].set_index(["metric", "reading"])
    counts = {"n_moved": grouped["moved"].agg(lambda moved: (moved > 0).sum()), "n_methods": grouped.size()}
    return most.assign(**counts).reset_index()


def against_probability(study: Study) -> pd.DataFrame:
    """Figure 2, image by image: method, index, probability, metric, value, rho (Spearman's, seeds averaged first)."""
    found, keys = scores(study), ["metric", "method"]
    wide = found[found["method"].isin(lineup.PAPER)].pivot_table("value", ["method", "index"], "metric").reset_index()
    shown = ["average-gain", "average-drop", "insertion", "deletion"]
    rows = wide.melt(["method", "index", "probability"], shown, "metric")
    both = {key: group[["value", "probability"]].to_numpy().T for key, group in rows.groupby(keys)}
    rho = {key: statistics.rank_agreement(*pair, kind="spearman") for key, pair in both.items()}
    return in_order(rows.join(pd.Series(rho, name="rho"), on=keys))


def cost(study: Study) -> pd.DataFrame:
    """Forward passes, seconds and megabytes an image, of the first network: method, forwards, seconds, megabytes."""
    found = experiment.scores(study, "cost")
    first = found[found["seed"] == found["seed"].min()]
    return in_order(first[["method", "forwards", "seconds", "megabytes"]])
