"""The takeaways of the saliency paper's §5 as claims that one comparison each can decide.

All are about these networks on new images: the paper, too, has one network. A family stands for the mean of its
methods, image by image; a method whose score is undefined on an image is not in that image's mean.
"""

from collections.abc import Callable, Iterator, Sequence

import pandas as pd

from xai_lib import explainers, metrics, published, statistics
from xai_lib.page.names import TRANSFORM_NAMES
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency.analysis.scores import directions, scores
from xai_lib.papers.saliency.method import TARGETS
from xai_lib.papers.saliency.method.lineup import FIDELITY, INFORMED, PAPER, TABLE_1, TABLE_3
from xai_lib.run.study import Study
from xai_lib.statistics import Claim, Decided, compare_correlation, compare_statistic, cube, decide, decide_by

NAMES = {name: metrics.about(name).title for name in (*TABLE_1, *TABLE_3)}
NAMES |= {"insertion": "Insertion", "deletion": "Deletion", "effective-complexity": "EC"}
_OPPOSITE = {"higher": "lower", "lower": "higher"}
_HALF = 0.5
_GROUPS = {
    name: tuple(method for method in PAPER if explainers.about(method).family == name)
    for name in ("gradient", "cam", "occlusion", "learning")
} | {"fake-cam": ("fake-cam",), "informed": INFORMED}

# Section and first word of a claim's name -> the sentence of the paper, in our words, that it is one comparison of.
_SENTENCES = {
    ("5.2 (1)", "gradients"): "Gradient-based methods score badly in fidelity.",
    ("5.2 (2)", "cams"): "Class activation maps rank highest over the fidelity metrics.",
    ("5.2 (3)", "fake"): "Fake-CAM fools AI, AD and Monotonicity, and does not fool AG, Insertion and Deletion.",
    ("5.2 (4)", "probability"): "Insertion and Deletion rise with the probability of the true class.",
    ("5.2, Figure 2", "probability"): "AG and AD of class activation maps follow the probability of the true class.",
    ("5.2 (5)", "discrimination"): "Fidelity metrics do not tell the informed methods apart.",
    ("5.2, Table 2", "truth"): "Fidelity is best for the true class.",
    ("5.2, Table 2", "least"): "Fidelity for the least probable class is lower, and AI higher, than for the true one.",
    ("5.3 (1)", "discrimination"): "Robustness and complexity do not tell the informed methods apart.",
    ("5.3 (2)", "moves"): "Transformations change the fidelity of gradient-based methods most.",
    ("5.3 (3)", "stable"): "AG is the most stable of the fidelity metrics.",
}

Asked = Callable[..., Claim]  # (name, section, text, metric, better, a, b) -> claim


def verdicts(study: Study) -> pd.DataFrame:
    """A verdict for each claim, as :func:`statistics.verdict_table`, with Holm's correction over all of them."""

    def ask(name: str, section: str, text: str, metric: str, *sides: str) -> Claim:
        shared = {"paper": "saliency", "dataset": study.run.label, "between": "method"}
        shared["sentence"] = _SENTENCES[section, name.partition("-")[0]]
        if metric in metrics.names():
            shared |= {"range": metrics.about(metric).range, "relevant": metrics.about(metric).relevant}
        return Claim(f"saliency-{name}", section, text, metric, *sides, **shared)

    plain, change = scores(study), _change(study)
    decided = (
        *_gradients_do_badly(ask, plain),
        *_cams_do_best(ask, plain),
        *_fake_cam(ask, plain),
        *_follows_the_probability(ask, plain),
        *_cannot_tell_apart(ask, plain, FIDELITY, "5.2 (5)"),
        *_by_target(ask, experiment.scores(study, "fidelity")),
        *_cannot_tell_apart(ask, plain, TABLE_3, "5.3 (1)"),
        *_gradients_move_most(ask, change),
        *_gain_moves_least(ask, change),
    )
    return statistics.verdict_table(decided)


def _gradients_do_badly(ask: Asked, plain: pd.DataFrame) -> Iterator[Decided]:
    for metric in TABLE_1:
        text = f"Gradient-based methods score worse in {NAMES[metric]} than class activation maps."
        text, worse = f"{text} {_printed(metric, 'gradient', 'cam')}", _OPPOSITE[metrics.about(metric).better]
        yield _groups(ask(f"gradients-{metric}", "5.2 (1)", text, metric, worse, "gradient", "cam"), plain)


def _cams_do_best(ask: Asked, plain: pd.DataFrame) -> Iterator[Decided]:
    ranks = statistics.overall_ranks(plain, directions(FIDELITY), PAPER, FIDELITY)
    for other in ("occlusion", "learning"):
        text = f"Class activation maps rank above {other}-based methods, on average over the five fidelity metrics."
        yield _groups(ask(f"cams-{other}", "5.2 (2)", text, "mean rank", "lower", "cam", other), ranks)


def _fake_cam(ask: Asked, plain: pd.DataFrame) -> Iterator[Decided]:
    for metric in ("average-increase", "average-drop", "monotonicity", "average-gain", "insertion", "deletion"):
        fools = metric in ("average-increase", "average-drop", "monotonicity")
        verb, how = ("fools", "better") if fools else ("does not fool", "worse")
        text = f"Fake-CAM {verb} {NAMES[metric]}: it scores {how} than the nine methods do on average."
        text, better = f"{text} {_printed(metric, 'fake-cam', 'informed')}", metrics.about(metric).better
        claimed = better if fools else _OPPOSITE[better]
        yield _groups(ask(f"fake-cam-{metric}", "5.2 (3)", text, metric, claimed, "fake-cam", "informed"), plain)


def _follows_the_probability(ask: Asked, plain: pd.DataFrame) -> Iterator[Decided]:
    nine, cams = ("the nine methods", "5.2 (4)", "informed"), ("class activation maps", "5.2, Figure 2", "cam")
    for metric, (named, section, who), better, verb in (
        ("insertion", nine, "higher", "rises"),
        ("deletion", nine, "higher", "rises"),
        ("average-gain", cams, "higher", "rises"),
        ("average-drop", cams, "lower", "falls"),
    ):
        over = "with the probability of the true class, over images (rank correlation)."
        text = f"{NAMES[metric]} of {named} {verb} {over}"
        claim = ask(f"probability-{metric}", section, text, metric, better, "probability", "none")
        sides = (_mean_of(plain, name, _GROUPS[who], "") for name in ("probability", metric))
        both = pd.concat([side.groupby("index")["value"].mean() for side in sides], axis=1)
        yield decide_by(compare_correlation, claim, *both.to_numpy().T)


def _cannot_tell_apart(ask: Asked, plain: pd.DataFrame, names: Sequence[str], section: str) -> Iterator[Decided]:
    for metric in names:
        read_as = "images agree on their order less than half (Kendall's W below 0.5)."
        text = f"{NAMES[metric]} does not tell the nine methods apart. Read as: {read_as}"
        claim = ask(f"discrimination-{metric}", section, text, metric, "higher", "one half", "Kendall's W")
        rows = plain[(plain["metric"] == metric) & plain["method"].isin(INFORMED)]
        value, draws = statistics.w_draws(rows, metric, INFORMED)
        _, complete = cube.complete_images(cube.by_image(cube.cube_of(rows, {metric: "higher"}).values)[0])
        how = {"n_images": int(complete.sum()), "test": "bootstrap over images"}
        yield decide_by(compare_statistic, claim, _HALF - value, _HALF - draws, **how)


def _by_target(ask: Asked, fidelity: pd.DataFrame) -> Iterator[Decided]:
    found, (true, predicted, least) = fidelity[fidelity["reading"] == "paper"], TARGETS
    best, low = "is best for the true class: better than for the predicted one", "for the least probable class than"
    asked = [("truth", metric, metrics.about(metric).better, (true, predicted), best) for metric in FIDELITY]
    for metric in ("average-increase", "average-drop", "deletion", "average-gain", "insertion"):
        claimed = "higher" if metric == "average-increase" else "lower"
        asked.append(("least", metric, claimed, (least, true), f"is {claimed} {low} for the true one"))
    for name, metric, claimed, sides, says in asked:
        text = f"{NAMES[metric]} {says}."
        rows = [_mean_of(found[found["target"] == target], metric, INFORMED, target) for target in sides]
        claim = ask(f"{name}-{metric}", "5.2, Table 2", text, metric, claimed, *sides)
        yield decide(claim, pd.concat(rows), unit="image")


def _gradients_move_most(ask: Asked, change: pd.DataFrame) -> Iterator[Decided]:
    for transform, title in TRANSFORM_NAMES.items():
        than = "that of class activation maps (absolute change, over five metrics and four settings)."
        text = f"Under {title}, the fidelity of gradient-based methods changes more than {than}"
        rows = change[change["transform"] == transform]
        rows = rows.groupby(["seed", "index", "method"], as_index=False)["value"].mean().assign(metric="change")
        yield _groups(ask(f"moves-{transform}", "5.3 (2)", text, "change", "higher", "gradient", "cam"), rows)


def _gain_moves_least(ask: Asked, change: pd.DataFrame) -> Iterator[Decided]:
    of_nine = change[change["method"].isin(INFORMED)]
    rows = of_nine.groupby(["seed", "index", "metric"], as_index=False)["value"].mean()
    rows = rows.rename(columns={"metric": "method"}).assign(metric="change")
    for other in FIDELITY:
        if other != "average-gain":
            text = f"Under the transformations AG changes less than {NAMES[other]} (absolute change, nine methods)."
            claim = ask(f"stable-{other}", "5.3 (3)", text, "change", "lower", "average-gain", other)
            yield decide(claim, rows, unit="image")


def _change(study: Study) -> pd.DataFrame:
    """How far each fidelity score of a transformed image is from the untouched one's, the four settings averaged."""
    moved = experiment.scores(study, "transformed")
    moved = moved[moved["metric"].isin(FIDELITY)]
    both = moved.merge(scores(study), on=["seed", "method", "index", "metric"], suffixes=("", "_untouched"))
    both["value"] = (both["value"] - both["value_untouched"]).abs()
    keys = ["seed", "method", "index", "metric", "transform"]
    return both.groupby(keys, as_index=False)["value"].mean()


def _groups(claim: Claim, found: pd.DataFrame) -> Decided:
    """The claim's two groups of methods against each other, image by image."""
    rows = [_mean_of(found, claim.metric, _GROUPS[name], name) for name in (claim.a, claim.b)]
    return decide(claim, pd.concat(rows), unit="image")


def _mean_of(found: pd.DataFrame, metric: str, methods: Sequence[str], name: str) -> pd.DataFrame:
    """The mean over methods, image by image, under a name in the column of methods."""
    rows = found[(found["metric"] == metric) & found["method"].isin(methods)]
    return rows.groupby(["seed", "index"], as_index=False)["value"].mean().assign(metric=metric, method=name)


def _printed(metric: str, a: str, b: str) -> str:
    """What Table 1 has for two groups of methods: the means of the printed values."""
    rows = published.table("saliency", 1)
    values = rows[rows["metric"] == metric].set_index("method")["value"]
    ours, other = (values[list(_GROUPS[name])].mean() for name in (a, b))
    return f"Printed: {ours:.3g} against {other:.3g}, higher being better."
