"""The takeaways of the saliency paper's §5 as claims that one comparison each can decide.

All are about these networks on new images: the paper, too, has one network. A family stands for the mean of its
methods, image by image; a method whose score is undefined on an image is not in that image's mean.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from xai_lib import explainers, published, statistics
from xai_lib.page.names import TRANSFORM_NAMES
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency.analysis.scores import FIDELITY, INFORMED, TABLE_1, TABLE_3, directions, scores
from xai_lib.papers.saliency.experiment import Bench
from xai_lib.papers.saliency.method import lineup
from xai_lib.papers.saliency.method.fidelity import TARGETS
from xai_lib.statistics import Claim, Decided, compare_correlation, compare_statistic, decide, decide_by

NAMES = {
    "average-increase": "AI",
    "average-drop": "AD",
    "average-gain": "AG",
    "insertion": "Insertion",
    "deletion": "Deletion",
    "monotonicity": "Monotonicity",
    "max-sensitivity": "MS",
    "average-sensitivity": "AS",
    "sparseness": "Sparseness",
    "complexity": "Complexity",
    "effective-complexity": "EC",
}
_OPPOSITE = {"higher": "lower", "lower": "higher"}
_HALF = 0.5


def verdicts(bench: Bench) -> pd.DataFrame:
    """A verdict for each claim, as :func:`statistics.verdict_table`, with Holm's correction over all of them."""
    decided = (
        *_gradients_do_badly(bench),
        *_cams_do_best(bench),
        *_fake_cam(bench),
        *_follows_the_probability(bench),
        *_cannot_tell_apart(bench, FIDELITY, "5.2 (5)"),
        *_true_class_is_best(bench),
        *_least_probable(bench),
        *_cannot_tell_apart(bench, TABLE_3, "5.3 (1)"),
        *_gradients_move_most(bench),
        *_gain_moves_least(bench),
    )
    return statistics.verdict_table(decided)


def _gradients_do_badly(bench: Bench) -> Iterator[Decided]:
    found = scores(bench)
    for metric in TABLE_1:
        better = directions((metric,))[metric]
        claim = _claim(
            bench,
            f"gradients-{metric}",
            "5.2 (1)",
            f"Gradient-based methods score worse in {NAMES[metric]} than class activation maps. "
            f"{_printed(1, metric, _family('gradient'), _family('cam'))}",
            metric,
            _OPPOSITE[better],
            "gradient",
            "cam",
        )
        rows = [_mean_of(found, metric, _family(name), name) for name in ("gradient", "cam")]
        yield decide(claim, pd.concat(rows), unit="image")


def _cams_do_best(bench: Bench) -> Iterator[Decided]:
    ranks = statistics.overall_ranks(scores(bench), directions(FIDELITY), lineup.PAPER, FIDELITY)
    for other in ("occlusion", "learning"):
        claim = _claim(
            bench,
            f"cams-{other}",
            "5.2 (2)",
            f"Class activation maps rank above {other}-based methods, on average over the five fidelity metrics.",
            "mean rank",
            "lower",
            "cam",
            other,
        )
        rows = [_mean_of(ranks, "mean rank", _family(name), name) for name in ("cam", other)]
        yield decide(claim, pd.concat(rows), unit="image")


def _fake_cam(bench: Bench) -> Iterator[Decided]:
    found = scores(bench)
    for metric, wins in (
        ("average-increase", True),
        ("average-drop", True),
        ("monotonicity", True),
        ("average-gain", False),
        ("insertion", False),
        ("deletion", False),
    ):
        better = directions((metric,))[metric]
        verb = "fools" if wins else "does not fool"
        claim = _claim(
            bench,
            f"fake-cam-{metric}",
            "5.2 (3)",
            f"Fake-CAM {verb} {NAMES[metric]}: it scores {'better' if wins else 'worse'} than the nine methods do on "
            f"average. {_printed(1, metric, ('fake-cam',), INFORMED)}",
            metric,
            better if wins else _OPPOSITE[better],
            "fake-cam",
            "informed",
        )
        rows = [_mean_of(found, metric, ("fake-cam",), "fake-cam"), _mean_of(found, metric, INFORMED, "informed")]
        yield decide(claim, pd.concat(rows), unit="image")


def _follows_the_probability(bench: Bench) -> Iterator[Decided]:
    found = scores(bench)
    for metric, methods, sign in (
        ("insertion", INFORMED, 1),
        ("deletion", INFORMED, 1),
        ("average-gain", _family("cam"), 1),
        ("average-drop", _family("cam"), -1),
    ):
        who = "the nine methods" if methods == INFORMED else "class activation maps"
        claim = _claim(
            bench,
            f"probability-{metric}",
            "5.2 (4)" if methods == INFORMED else "5.2, Figure 2",
            f"{NAMES[metric]} of {who} {'rises' if sign > 0 else 'falls'} with the probability of the true class, over "
            "images (rank correlation).",
            metric,
            "higher" if sign > 0 else "lower",
            "probability",
            "none",
        )
        value, probability = (
            _mean_of(found, name, methods, "").groupby("index")["value"].mean() for name in (metric, "probability")
        )
        both = pd.concat([value, probability], axis=1, keys=["value", "probability"])
        yield decide_by(compare_correlation, claim, both["probability"].to_numpy(), both["value"].to_numpy())


def _cannot_tell_apart(bench: Bench, metrics: Sequence[str], section: str) -> Iterator[Decided]:
    found = scores(bench)
    for metric in metrics:
        claim = _claim(
            bench,
            f"discrimination-{metric}",
            section,
            f"{NAMES[metric]} does not tell the nine methods apart. Read as: images agree on their order less than "
            "half (Kendall's W below 0.5).",
            metric,
            "higher",
            "one half",
            "Kendall's W",
        )
        rows = found[(found["metric"] == metric) & found["method"].isin(INFORMED)]
        value, draws = statistics.w_draws(rows, metric, INFORMED)
        test = {"n_images": _complete(rows), "test": "bootstrap over images"}
        yield decide_by(compare_statistic, claim, _HALF - value, _HALF - draws, **test)


def _true_class_is_best(bench: Bench) -> Iterator[Decided]:
    for metric in FIDELITY:
        claim = _claim(
            bench,
            f"truth-{metric}",
            "5.2, Table 2",
            f"{NAMES[metric]} is best for the true class: better than for the predicted one.",
            metric,
            directions((metric,))[metric],
            TARGETS[0],
            TARGETS[1],
        )
        yield decide(claim, _by_target(bench, metric), unit="image")


def _least_probable(bench: Bench) -> Iterator[Decided]:
    for metric, direction in (
        ("average-increase", "higher"),
        ("average-drop", "lower"),
        ("deletion", "lower"),
        ("average-gain", "lower"),
        ("insertion", "lower"),
    ):
        claim = _claim(
            bench,
            f"least-{metric}",
            "5.2, Table 2",
            f"{NAMES[metric]} is {direction} for the least probable class than for the true one.",
            metric,
            direction,
            TARGETS[2],
            TARGETS[0],
        )
        yield decide(claim, _by_target(bench, metric), unit="image")


def _gradients_move_most(bench: Bench) -> Iterator[Decided]:
    change = _change(bench)
    change = change.groupby(["seed", "index", "method", "transform"], as_index=False)["value"].mean()
    for transform, title in TRANSFORM_NAMES.items():
        rows = change[change["transform"] == transform].assign(metric="change")
        claim = _claim(
            bench,
            f"moves-{transform}",
            "5.3 (2)",
            f"Under {title}, the fidelity of gradient-based methods changes more than that of class activation "
            "maps (absolute change, over five metrics and four settings).",
            "change",
            "higher",
            "gradient",
            "cam",
        )
        parts = [_mean_of(rows, "change", _family(name), name) for name in ("gradient", "cam")]
        yield decide(claim, pd.concat(parts), unit="image")


def _gain_moves_least(bench: Bench) -> Iterator[Decided]:
    change = _change(bench)
    change = change[change["method"].isin(INFORMED)]
    change = change.groupby(["seed", "index", "metric"], as_index=False)["value"].mean()
    rows = change.rename(columns={"metric": "method"}).assign(metric="change")
    for other in FIDELITY:
        if other == "average-gain":
            continue
        claim = _claim(
            bench,
            f"stable-{other}",
            "5.3 (3)",
            f"Under the transformations AG changes less than {NAMES[other]} (absolute change, nine methods).",
            "change",
            "lower",
            "average-gain",
            other,
        )
        yield decide(claim, rows, unit="image")


def _change(bench: Bench) -> pd.DataFrame:
    """How far each fidelity score of a transformed image is from the untouched one's, the four settings averaged."""
    moved = experiment.saliency_scores(bench, "transformed")
    moved = moved[moved["metric"].isin(FIDELITY)]
    both = moved.merge(scores(bench), on=["seed", "method", "index", "metric"], suffixes=("", "_untouched"))
    both["value"] = (both["value"] - both["value_untouched"]).abs()
    keys = ["seed", "method", "index", "metric", "transform"]
    return both.groupby(keys, as_index=False)["value"].mean()


def _by_target(bench: Bench, metric: str) -> pd.DataFrame:
    """The mean of the nine methods for each target, in the column of methods."""
    found = experiment.saliency_scores(bench, "fidelity")
    found = found[(found["reading"] == "paper") & found["method"].isin(INFORMED)]
    return pd.concat([_mean_of(found[found["target"] == name], metric, INFORMED, name) for name in TARGETS])


def _mean_of(found: pd.DataFrame, metric: str, methods: Sequence[str], name: str) -> pd.DataFrame:
    """The mean over methods, image by image, under a name in the column of methods."""
    rows = found[(found["metric"] == metric) & found["method"].isin(methods)]
    return rows.groupby(["seed", "index"], as_index=False)["value"].mean().assign(metric=metric, method=name)


def _complete(rows: pd.DataFrame) -> int:
    """On how many images every method with any value has one, in some network."""
    table = rows.groupby(["index", "method"])["value"].mean().unstack("method").dropna(axis=1, how="all")
    return int(table.notna().all(axis=1).sum()) if len(table.columns) else 0


def _family(name: str) -> tuple[str, ...]:
    """The methods of the paper's line-up in a family."""
    return tuple(method for method in lineup.PAPER if explainers.about(method).family == name)


def _claim(bench: Bench, name: str, *fields: str) -> Claim:
    return Claim(f"saliency-{name}", *fields, paper="saliency", dataset=bench.run.label, between="method")


def _printed(number: int, metric: str, a: Sequence[str], b: Sequence[str]) -> str:
    """What the table has for two groups of methods: the means of the printed values."""
    rows = published.table("saliency", number)
    values = rows[rows["metric"] == metric].set_index("method")["value"]
    return f"Printed: {values[list(a)].mean():.3g} against {values[list(b)].mean():.3g}, higher being better."
