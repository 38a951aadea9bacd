"""The takeaways of the saliency paper's §5 as claims that one comparison each can decide.

All are about these networks on new images: the paper, too, has one network. A family stands for the mean of its
methods, image by image; a method whose score is undefined on an image is not in that image's mean.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from xai_lib import explainers, published, statistics
from xai_lib.page.names import TRANSFORM_NAMES
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency.analysis.scores import directions, scores
from xai_lib.papers.saliency.method import TARGETS
from xai_lib.papers.saliency.method.lineup import FIDELITY, INFORMED, PAPER, TABLE_1, TABLE_3
from xai_lib.run.study import Study
from xai_lib.statistics import Claim, Comparison

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
_FAMILIES = {
    name: tuple(method for method in PAPER if explainers.about(method).family == name)
    for name in ("gradient", "cam", "occlusion", "learning")
}
_GROUPS = {**_FAMILIES, "fake-cam": ("fake-cam",), "informed": INFORMED}

Decided = tuple[Claim, Comparison]


def verdicts(study: Study) -> pd.DataFrame:
    """A verdict for each claim, as :func:`statistics.verdict_table`, with Holm's correction over all of them."""
    decided = [
        *_gradients_do_badly(study),
        *_cams_do_best(study),
        *_fake_cam(study),
        *_follows_the_probability(study),
        *_cannot_tell_apart(study, FIDELITY, "5.2 (5)"),
        *_by_target(study),
        *_cannot_tell_apart(study, TABLE_3, "5.3 (1)"),
        *_gradients_move_most(study),
        *_gain_moves_least(study),
    ]
    return statistics.verdict_table([claim for claim, _ in decided], {claim.id: found for claim, found in decided})


def _gradients_do_badly(study: Study) -> Iterator[Decided]:
    for metric in TABLE_1:
        text = f"Gradient-based methods score worse in {NAMES[metric]} than class activation maps. "
        claim = _claim(
            study,
            f"gradients-{metric}",
            "5.2 (1)",
            text + _printed(metric, "gradient", "cam"),
            (metric, _OPPOSITE[_better(metric)]),
            ("gradient", "cam"),
        )
        yield _between_groups(claim, scores(study))


def _cams_do_best(study: Study) -> Iterator[Decided]:
    ranks = statistics.overall_ranks(scores(study), directions(FIDELITY), PAPER, FIDELITY)
    for other in ("occlusion", "learning"):
        text = f"Class activation maps rank above {other}-based methods, on average over the five fidelity metrics."
        claim = _claim(study, f"cams-{other}", "5.2 (2)", text, ("mean rank", "lower"), ("cam", other))
        yield _between_groups(claim, ranks)


def _fake_cam(study: Study) -> Iterator[Decided]:
    for metrics, verb, how, turn in (
        (("average-increase", "average-drop", "monotonicity"), "fools", "better", {}),
        (("average-gain", "insertion", "deletion"), "does not fool", "worse", _OPPOSITE),
    ):
        for metric in metrics:
            text = f"Fake-CAM {verb} {NAMES[metric]}: it scores {how} than the nine methods do on average. "
            claim = _claim(
                study,
                f"fake-cam-{metric}",
                "5.2 (3)",
                text + _printed(metric, "fake-cam", "informed"),
                (metric, turn.get(_better(metric), _better(metric))),
                ("fake-cam", "informed"),
            )
            yield _between_groups(claim, scores(study))


def _follows_the_probability(study: Study) -> Iterator[Decided]:
    for metric, who, better in (
        ("insertion", "informed", "higher"),
        ("deletion", "informed", "higher"),
        ("average-gain", "cam", "higher"),
        ("average-drop", "cam", "lower"),
    ):
        named, section = {
            "informed": ("the nine methods", "5.2 (4)"),
            "cam": ("class activation maps", "5.2, Figure 2"),
        }[who]
        verb = {"higher": "rises", "lower": "falls"}[better]
        text = f"{NAMES[metric]} of {named} {verb} with the probability of the true class, over images"
        claim = _claim(
            study,
            f"probability-{metric}",
            section,
            f"{text} (rank correlation).",
            (metric, better),
            ("probability", "none"),
        )
        value, probability = (
            _mean_of(scores(study), name, _GROUPS[who], "").groupby("index")["value"].mean()
            for name in (metric, "probability")
        )
        both = pd.concat([value, probability], axis=1, keys=["value", "probability"])
        pair = both["probability"].to_numpy(), both["value"].to_numpy()
        yield claim, statistics.compare_correlation(*pair, a=claim.a, b=claim.b)


def _cannot_tell_apart(study: Study, metrics: Sequence[str], section: str) -> Iterator[Decided]:
    found = scores(study)
    for metric in metrics:
        text = (
            f"{NAMES[metric]} does not tell the nine methods apart. Read as: images agree on their order less than "
            "half (Kendall's W below 0.5)."
        )
        sides = ("one half", "Kendall's W")
        claim = _claim(study, f"discrimination-{metric}", section, text, (metric, "higher"), sides)
        rows = found[(found["metric"] == metric) & found["method"].isin(INFORMED)]
        value, draws = statistics.w_draws(rows, metric, INFORMED)
        given = {"a": claim.a, "b": claim.b, "n_images": _complete(rows), "test": "bootstrap over images"}
        yield claim, statistics.compare_statistic(_HALF - value, _HALF - draws, **given)


def _by_target(study: Study) -> Iterator[Decided]:
    true, predicted, least = TARGETS
    best, low = "is best for the true class: better than for the predicted one", "for the least probable class than"
    asked = [("truth", metric, _better(metric), (true, predicted), best) for metric in FIDELITY]
    for metric, direction in (
        ("average-increase", "higher"),
        ("average-drop", "lower"),
        ("deletion", "lower"),
        ("average-gain", "lower"),
        ("insertion", "lower"),
    ):
        asked.append(("least", metric, direction, (least, true), f"is {direction} {low} for the true one"))
    found = experiment.scores(study, "fidelity")
    found = found[found["reading"] == "paper"]
    for name, metric, better, sides, says in asked:
        claim = _claim(study, f"{name}-{metric}", "5.2, Table 2", f"{NAMES[metric]} {says}.", (metric, better), sides)
        rows = [_mean_of(found[found["target"] == target], metric, INFORMED, target) for target in sides]
        yield claim, _images(claim, pd.concat(rows))


def _gradients_move_most(study: Study) -> Iterator[Decided]:
    change = _change(study)
    for transform, title in TRANSFORM_NAMES.items():
        text = (
            f"Under {title}, the fidelity of gradient-based methods changes more than that of class activation "
            "maps (absolute change, over five metrics and four settings)."
        )
        claim = _claim(study, f"moves-{transform}", "5.3 (2)", text, ("change", "higher"), ("gradient", "cam"))
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
            text = f"Under the transformations AG changes less than {NAMES[other]} (absolute change, nine methods)."
            sides = ("average-gain", other)
            claim = _claim(study, f"stable-{other}", "5.3 (3)", text, ("change", "lower"), sides)
            yield claim, _images(claim, rows)


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
    return claim, _images(claim, pd.concat(rows))


def _mean_of(found: pd.DataFrame, metric: str, methods: Sequence[str], name: str) -> pd.DataFrame:
    """The mean over methods, image by image, under a name in the column of methods."""
    rows = found[(found["metric"] == metric) & found["method"].isin(methods)]
    return rows.groupby(["seed", "index"], as_index=False)["value"].mean().assign(metric=metric, method=name)


def _complete(rows: pd.DataFrame) -> int:
    """On how many images every method with any value has one, in some network."""
    table = rows.groupby(["index", "method"])["value"].mean().unstack("method").dropna(axis=1, how="all")
    return int(table.notna().all(axis=1).sum()) if len(table.columns) else 0


def _images(claim: Claim, rows: pd.DataFrame) -> Comparison:
    return statistics.compare_claim(claim, rows, unit="image")


def _better(metric: str) -> str:
    return directions((metric,))[metric]


def _claim(study: Study, name: str, section: str, text: str, metric: tuple[str, str], sides: tuple[str, str]) -> Claim:
    """A claim about a metric and the direction that is claimed, of one side against the other."""
    return Claim(
        id=f"saliency-{name}",
        paper="saliency",
        section=section,
        text=text,
        metric=metric[0],
        method=None,
        better=metric[1],
        a=sides[0],
        b=sides[1],
        dataset=study.run.label,
        between="method",
    )


def _printed(metric: str, a: str, b: str) -> str:
    """What Table 1 has for two groups of methods: the means of the printed values."""
    rows = published.table("saliency", 1)
    values = rows[rows["metric"] == metric].set_index("method")["value"]
    ours, other = (values[list(_GROUPS[name])].mean() for name in (a, b))
    return f"Printed: {ours:.3g} against {other:.3g}, higher being better."
