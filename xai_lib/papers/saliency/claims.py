"""The takeaways of the saliency paper's §5 as claims that one comparison each can decide.

All are about these networks on new images: the paper, too, has one network. A family stands for the mean of its
methods, image by image; a method whose score is undefined on an image is not in that image's mean.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from xai_lib import explainers, metrics, published, statistics
from xai_lib.page.names import TRANSFORM_NAMES
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency.analysis.scores import directions, of_metrics, scores
from xai_lib.papers.saliency.method import TARGETS
from xai_lib.papers.saliency.method.lineup import FIDELITY, INFORMED, PAPER, TABLE_1, TABLE_3
from xai_lib.run.study import Study
from xai_lib.statistics import Claim, Decided, compare_correlation, compare_statistic, decide, decide_by

_NAMES = {name: metrics.about(name).title for name in (*TABLE_1, *TABLE_3)}
_NAMES |= {"insertion": "Insertion", "deletion": "Deletion", "effective-complexity": "EC"}
_OPPOSITE = {"higher": "lower", "lower": "higher"}
_HALF = 0.5
_GROUPS = {"fake-cam": ("fake-cam",), "informed": INFORMED}
for _name in ("gradient", "cam", "occlusion", "learning"):
    _GROUPS[_name] = tuple(method for method in PAPER if explainers.about(method).family == _name)


def verdicts(study: Study) -> pd.DataFrame:
    """A verdict for each claim, as :func:`statistics.verdict_table`, with Holm's correction over all of them."""
    decided = (
        *_gradients_do_badly(study),
        *_cams_do_best(study),
        *_fake_cam(study),
        *_follows_the_probability(study),
        *_cannot_tell_apart(study, FIDELITY, "5.2 (5)"),
        *_by_target(study),
        *_cannot_tell_apart(study, TABLE_3, "5.3 (1)"),
        *_gradients_move_most(study),
        *_gain_moves_least(study),
    )
    return statistics.verdict_table(decided)


def _gradients_do_badly(study: Study) -> Iterator[Decided]:
    for metric in TABLE_1:
        text = f"Gradient-based methods score worse in {_NAMES[metric]} than class activation maps. "
        text, worse = text + _printed(metric, "gradient", "cam"), _OPPOSITE[_better(metric)]
        claim = _claim(study, f"gradients-{metric}", "5.2 (1)", text, metric, worse, "gradient", "cam")
        yield _between_groups(claim, scores(study))


def _cams_do_best(study: Study) -> Iterator[Decided]:
    ranks = statistics.overall_ranks(scores(study), directions(FIDELITY), PAPER, FIDELITY)
    for other in ("occlusion", "learning"):
        text = f"Class activation maps rank above {other}-based methods, on average over the five fidelity metrics."
        claim = _claim(study, f"cams-{other}", "5.2 (2)", text, "mean rank", "lower", "cam", other)
        yield _between_groups(claim, ranks)


def _fake_cam(study: Study) -> Iterator[Decided]:
    for fooled, verb, how, turn in (
        (("average-increase", "average-drop", "monotonicity"), "fools", "better", {}),
        (("average-gain", "insertion", "deletion"), "does not fool", "worse", _OPPOSITE),
    ):
        for metric in fooled:
            text = f"Fake-CAM {verb} {_NAMES[metric]}: it scores {how} than the nine methods do on average. "
            text += _printed(metric, "fake-cam", "informed")
            better = turn.get(_better(metric), _better(metric))
            claim = _claim(study, f"fake-cam-{metric}", "5.2 (3)", text, metric, better, "fake-cam", "informed")
            yield _between_groups(claim, scores(study))


def _follows_the_probability(study: Study) -> Iterator[Decided]:
    informed, cam = ("informed", "the nine methods", "5.2 (4)"), ("cam", "class activation maps", "5.2, Figure 2")
    for metric, (who, named, section), better, verb in (
        ("insertion", informed, "higher", "rises"),
        ("deletion", informed, "higher", "rises"),
        ("average-gain", cam, "higher", "rises"),
        ("average-drop", cam, "lower", "falls"),
    ):
        text = f"{_NAMES[metric]} of {named} {verb} with the probability of the true class, over images"
        text += " (rank correlation)."
        claim = _claim(study, f"probability-{metric}", section, text, metric, better, "probability", "none")
        value, probability = (
            _mean_of(scores(study), name, _GROUPS[who], "").groupby("index")["value"].mean()
            for name in (metric, "probability")
        )
        both = pd.concat([value, probability], axis=1, keys=["value", "probability"])
        yield decide_by(compare_correlation, claim, both["probability"].to_numpy(), both["value"].to_numpy())


def _cannot_tell_apart(study: Study, names: Sequence[str], section: str) -> Iterator[Decided]:
    for metric in names:
        text = (
            f"{_NAMES[metric]} does not tell the nine methods apart. Read as: images agree on their order less than "
            "half (Kendall's W below 0.5)."
        )
        sides = ("higher", "one half", "Kendall's W")
        claim = _claim(study, f"discrimination-{metric}", section, text, metric, *sides)
        rows = of_metrics(study, (metric,), INFORMED)
        value, draws = statistics.w_draws(rows, metric, INFORMED)
        test = {"n_images": _complete(rows), "test": "bootstrap over images"}
        yield decide_by(compare_statistic, claim, _HALF - value, _HALF - draws, **test)


def _by_target(study: Study) -> Iterator[Decided]:
    true, predicted, least = TARGETS
    best, low = "is best for the true class: better than for the predicted one", "for the least probable class than"
    asked = [("truth", metric, _better(metric), (true, predicted), best) for metric in FIDELITY]
    for metric in ("average-increase", "average-drop", "deletion", "average-gain", "insertion"):
        direction = "higher" if metric == "average-increase" else "lower"
        asked.append(("least", metric, direction, (least, true), f"is {direction} {low} for the true one"))
    found = experiment.scores(study, "fidelity")
    found = found[found["reading"] == "paper"]
    for name, metric, better, sides, says in asked:
        text = f"{_NAMES[metric]} {says}."
        claim = _claim(study, f"{name}-{metric}", "5.2, Table 2", text, metric, better, *sides)
        rows = [_mean_of(found[found["target"] == target], metric, INFORMED, target) for target in sides]
        yield decide(claim, pd.concat(rows), unit="image")


def _gradients_move_most(study: Study) -> Iterator[Decided]:
    change = _change(study)
    for transform, title in TRANSFORM_NAMES.items():
        text = (
            f"Under {title}, the fidelity of gradient-based methods changes more than that of class activation "
            "maps (absolute change, over five metrics and four settings)."
        )
        claim = _claim(study, f"moves-{transform}", "5.3 (2)", text, "change", "higher", "gradient", "cam")
        rows = change[change["transform"] == transform]
        rows = rows.groupby(["seed", "index", "method"], as_index=False)["value"].mean().assign(metric="change")
        yield _between_groups(claim, rows)


def _gain_moves_least(study: Study) -> Iterator[Decided]:
    change = _change(study)
    change = change[change["method"].isin(INFORMED)]
    change = change.groupby(["seed", "index", "metric"], as_index=False)["value"].mean()
    rows = change.rename(columns={"metric": "method"}).assign(metric="change")
    for other in FIDELITY:
        if other != "average-gain":
            text = f"Under the transformations AG changes less than {_NAMES[other]} (absolute change, nine methods)."
            claim = _claim(study, f"stable-{other}", "5.3 (3)", text, "change", "lower", "average-gain", other)
            yield decide(claim, rows, unit="image")


def _change(study: Study) -> pd.DataFrame:
    """How far each fidelity score of a transformed image is from the untouched one's, the four settings averaged."""
    moved = experiment.scores(study, "transformed")
    moved = moved[moved["metric"].isin(FIDELITY)]
    both = moved.merge(scores(study), on=["seed", "method", "index", "metric"], suffixes=("", "_untouched"))
    both["value"] = (both["value"] - both["value_untouched"]).abs()
    keys = ["seed", "method", "index", "metric", "transform"]
    return both.groupby(keys, as_index=False)["value"].mean()


def _between_groups(claim: Claim, found: pd.DataFrame) -> Decided:
    """The claim's two groups of methods against each other, image by image."""
    rows = [_mean_of(found, claim.metric, _GROUPS[name], name) for name in (claim.a, claim.b)]
    return decide(claim, pd.concat(rows), unit="image")


def _mean_of(found: pd.DataFrame, metric: str, methods: Sequence[str], name: str) -> pd.DataFrame:
    """The mean over methods, image by image, under a name in the column of methods."""
    rows = found[(found["metric"] == metric) & found["method"].isin(methods)]
    return rows.groupby(["seed", "index"], as_index=False)["value"].mean().assign(metric=metric, method=name)


def _complete(rows: pd.DataFrame) -> int:
    """On how many images every method with any value has one, in some network."""
    table = rows.groupby(["index", "method"])["value"].mean().unstack("method").dropna(axis=1, how="all")
    return int(table.notna().all(axis=1).sum()) if len(table.columns) else 0


def _better(metric: str) -> str:
    return metrics.about(metric).better


def _claim(study: Study, name: str, *fields: str) -> Claim:
    """A claim about methods; ``fields`` are those of :class:`Claim` from the section to its two sides."""
    return Claim(f"saliency-{name}", *fields, paper="saliency", dataset=study.run.label, between="method")


def _printed(metric: str, a: str, b: str) -> str:
    """What Table 1 has for two groups of methods: the means of the printed values."""
    rows = published.table("saliency", 1)
    values = rows[rows["metric"] == metric].set_index("method")["value"]
    ours, other = (values[list(_GROUPS[name])].mean() for name in (a, b))
    return f"Printed: {ours:.3g} against {other:.3g}, higher being better."
