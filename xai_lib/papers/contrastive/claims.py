"""What the paper claims, one comparison a claim, for :func:`xai_lib.statistics.verdict_table`: a family a question."""

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import pandas as pd

from xai_lib import metrics, published, statistics
from xai_lib.page.names import LOSS_NAMES, METHOD_NAMES
from xai_lib.papers.contrastive import experiment, matching
from xai_lib.run.settings import Settings
from xai_lib.statistics import Claim, Decided

METHODS = {"grad-cam": "grad-cam", "eigen-cam-tool": "eigen-cam"}  # that decide, and what print calls them
# Our name of a metric -> the one that it is a reading of, under which print and the registry have it.
READINGS = {
    "pixel-flipping-matched": "pixel-flipping",
    "pixel-flipping-printed": "pixel-flipping",
    "pixel-flipping-released": "pixel-flipping",
    "continuity-released": "continuity",
    "contrastivity-empty-kept": "contrastivity",
    "attribution-localisation-paper": "attribution-localisation",
}
_SUBSTITUTES = {  # variant -> the metric that decides under it, instead of another
    "plain-flipping": ("pixel-flipping-matched", "pixel-flipping"),
    "printed-flipping": ("pixel-flipping-matched", "pixel-flipping-printed"),
    "colour-values": ("pixel-flipping-matched", "pixel-flipping-released"),
    "clamped-noise": ("continuity", "continuity-released"),
    "empty-maps-kept": ("contrastivity", "contrastivity-empty-kept"),
    "printed-localisation": ("attribution-localisation", "attribution-localisation-paper"),
}
# Change with a network's confidence: neither maps scaled to [0, 1] nor pixel flipping at one mean confidence do.
_OF_CONFIDENCE = ("pixel-flipping", "pixel-flipping-printed", "pixel-flipping-released")
_DATASETS = {"cifar10": "CIFAR10", "imagenet-s50": "Imagenet-S50"}
_CLAIM = partial(Claim, paper="contrastive")


@dataclass(frozen=True)
class _Property:
    """One property of explanations: in which direction the paper says that contrastive training moves ``metric``."""

    metric: str
    direction: Literal["higher", "lower"]
    text: str
    said: str  # of the paper's sentence, which is the same for several metrics of one property
    methods: tuple[str, ...] = tuple(METHODS)


_PROPERTIES = (
    _Property("pixel-flipping-matched", "lower", "more faithful (at one mean confidence)", "more faithful"),
    _Property("continuity", "higher", "steadier under small noise", "more continuous"),
    _Property("complexity", "lower", "less complex", "less complex"),
    _Property("sparseness", "higher", "sparser (complexity's second measure in Table 1)", "less complex"),
    _Property("contrastivity", "higher", "less contrastive, that is more alike between classes,", "less contrastive",
              ("grad-cam",)),
    _Property("pointing-game", "higher", "more coherent (pointing game)", "more coherent"),
    _Property("attribution-localisation", "higher", "more coherent (localisation)", "more coherent"),
)  # fmt: skip
# Where the paper says so of either loss: its abstract speaks of SCL alone, its introduction of both, its §5 of both on
# CIFAR-10, and its §6 of SCL "with the exception of contrastivity", and of both where it comes to coherence.
_SECTIONS = {"scl": "abstract, 1, 5 and 6", "tl": "1 and 5"}
_ELSEWHERE = {("scl", "less contrastive"): "1 and 6", ("tl", "less contrastive"): "1"}
_ELSEWHERE |= {(loss, "more coherent"): "6" for loss in _SECTIONS}


def contrastive(dataset: str, variants: Collection[str] = (), methods: Collection[str] = ()) -> list[Claim]:
    """What the paper claims about SCL and TL against CE (sections 1, 5 and 6).

    Its abstract claims more faithful, less complex and more continuous explanations of SCL alone, its introduction of
    both losses. So each has its own sentences, and a claim for each method that print has: Eigen-CAM is the tool's.
    Contrastivity needs maps of several classes, so it is claimed for Grad-CAM only; there ``better`` is the direction
    of the claim, a higher similarity, not the metric's own. Each text ends with what Table 4 prints, also against it.

    ``dataset`` is the label of the images that the verdicts will be about, ``variants`` (of
    :data:`xai_lib.run.budgets.VARIANTS`) what is read otherwise, and ``methods`` some that explain; all for none.
    """
    found, printed = [], published.table("contrastive", 4)
    # of several variants that replace a metric, the first by name decides
    instead = dict(_SUBSTITUTES[name] for name in sorted(_SUBSTITUTES.keys() & set(variants), reverse=True))
    for one in _PROPERTIES:
        about = _about(instead.get(one.metric, one.metric))
        for name, loss in itertools.product(one.methods, ("scl", "tl")):
            method = METHODS[name] if "text-eigen-cam" in variants else name
            if methods and method not in methods:
                continue
            text = (
                f"{METHOD_NAMES[method]} explanations of {LOSS_NAMES[loss]} networks are {one.text} than those of "
                f"CE networks. {_in_print(printed, one, METHODS[name], loss)}"
            )
            sentence = f"{LOSS_NAMES[loss]} networks have {one.said} explanations than CE networks."
            said = {"section": _ELSEWHERE.get((loss, one.said), _SECTIONS[loss]), "text": text, "sentence": sentence}
            known = {"id": f"contrastive-{one.metric}-{name}-{loss}", "better": one.direction, "method": method}
            found.append(_CLAIM(**known, **said, **about, a=loss, b="ce", dataset=dataset))
    return found


def further(dataset: str) -> dict[str, list[Claim]]:
    """The paper's other claims (section 5), a family a question; ``between methods`` has the loss in its id's end."""
    overall = [one for one in _PROPERTIES if one.metric != "contrastivity"]
    shared = {"section": "5", "dataset": dataset}
    return {
        "losses": [
            _CLAIM(id=f"contrastive-best-{one.metric}-{name}", a="scl", b="tl", better=one.direction, method=name,
                   text=f"{METHOD_NAMES[name]} explanations of SCL networks are {one.text} than those of TL networks.",
                   sentence="Supervised contrastive loss leads to the best explanations overall.",
                   **_about(one.metric), **shared)
            for one in overall for name in METHODS
        ],
        "methods": [
            _CLAIM(id=f"contrastive-cams-{one.metric}-{loss}", a="grad-cam", b="eigen-cam-tool", between="method",
                   text=f"Grad-CAM explanations are {one.text} than Eigen-CAM's, of {LOSS_NAMES[loss]} networks.",
                   sentence="Grad-CAM behaves better than Eigen-CAM overall.",
                   better=one.direction, **_about(one.metric), **shared)
            for one in overall if one.metric != "sparseness" for loss in LOSS_NAMES
        ],
        "accuracy": [
            _CLAIM(id=f"contrastive-accuracy-{loss}", a="ce", b=loss, better="higher", metric="accuracy",
                   text=f"CE networks are more accurate than {LOSS_NAMES[loss]} networks.",
                   sentence="Both contrastive networks are less accurate than the baseline.",
                   range=(0.0, 1.0), relevant=0.01, **shared)
            for loss in ("scl", "tl")
        ],
    }  # fmt: skip


def verdicts(run: Settings) -> pd.DataFrame:
    """A verdict for each claim of the paper, of the networks as trained: :func:`statistics.verdict_table` of a family.

    Accuracy is adjusted for by nothing here: see :func:`of_matched`. What cannot be tested has a row that says so.
    """
    scores, outputs = experiment.scores(run), experiment.predictions(run)
    has, right = set(scores["metric"]), outputs.assign(metric="accuracy", value=outputs["correct"].astype(float))

    def decided(claim: Claim) -> Decided:
        if claim.metric == "accuracy":
            return statistics.decide(claim, right, adjusted_for=("accuracy", "confidence"))
        if claim.between == "method":
            return statistics.decide(claim, scores[scores["loss"] == claim.id.rsplit("-", 1)[1]])
        return _decided(claim, scores, (), _matched(outputs, claim.a, claim.b))

    tables = [
        statistics.verdict_table(decided(claim) for claim in family if claim.metric in has | {"accuracy"})
        for family in further(run.label).values()
    ]
    about = {"metric": "none", "better": "lower", "a": "scl", "b": "ce", "between": "none", "dataset": run.label}
    untested = statistics.untested(
        _CLAIM(id=f"contrastive-{name}", section=section, text=text, **about)
        for name, (section, text, _) in published.sentences("contrastive").items()
        if not (name == "coherence" and "pointing-game" in has)
    )
    return pd.concat([against_ce(run), *tables, untested], ignore_index=True)


def against_ce(run: Settings, methods: Sequence[str] = ()) -> pd.DataFrame:
    """The verdicts of :func:`contrastive` alone, as networks were trained, for some methods; all for none."""
    outputs, found = experiment.predictions(run), contrastive(run.label, run.contrastive.variants, methods)
    by_metric = dict(list(experiment.scores(run, methods or experiment.METHODS).groupby("metric")))
    alike = {loss: _matched(outputs, loss, "ce") for loss in ("scl", "tl")}
    return statistics.verdict_table(
        _decided(one, by_metric[one.metric], (), alike[one.a]) for one in found if one.metric in by_metric
    )


def of_matched(run: Settings) -> pd.DataFrame:
    """The verdicts of :func:`contrastive` for pairs of networks that are matched in accuracy on held-out images."""
    scores = matching.of_pairs(run, "scores")
    absent = {"pointing-game", "attribution-localisation"} - set(scores["metric"])
    return statistics.verdict_table(
        _decided(claim, scores[(scores["a"] == claim.a) & (scores["b"] == claim.b)], ("accuracy",), None)
        for claim in contrastive(run.label)
        if claim.metric not in absent
    )


def _decided(claim: Claim, scores: pd.DataFrame, adjusted: Iterable[str], alike: statistics.Matched | None) -> Decided:
    adjusted = {*adjusted, *(() if claim.metric in _OF_CONFIDENCE else ("confidence",))}
    if scores.empty:  # no pair of networks matches
        return Decided(claim, statistics.nothing(claim))
    return statistics.decide(claim, scores, adjusted_for=adjusted, matched=alike)


def _about(metric: str) -> dict[str, object]:
    known = metrics.about(metric if metric in metrics.names() else READINGS[metric])
    return {"metric": metric, "range": known.range, "relevant": known.relevant}


def _in_print(cells: pd.DataFrame, claimed: _Property, method: str, loss: str) -> str:
    metric, said = READINGS.get(claimed.metric, claimed.metric), []
    cells = cells[(cells["metric"] == metric) & (cells["method"] == method)].set_index(["dataset", "loss"])
    for dataset, label in _DATASETS.items():
        if (dataset, loss) in cells.index:
            of_loss, of_ce = cells.loc[(dataset, loss)], cells.loc[(dataset, "ce")]
            agrees = (of_loss["value"] > of_ce["value"]) == (claimed.direction == "higher")
            values = " against ".join(cell["printed"].split(" ± ")[0] for cell in (of_loss, of_ce))
            said.append(f"{values} on {label}{'' if agrees else ', which contradicts it'}")
    return f"Printed: {'; '.join(said) or 'nothing'}."


def _matched(outputs: pd.DataFrame, a: str, b: str) -> statistics.Matched:
    by_seed = outputs.groupby(["loss", "seed"])[["correct", "confidence"]].mean()
    columns = ((loss, column) for column in ("correct", "confidence") for loss in (a, b))
    return statistics.matched(*(by_seed.loc[where].tolist() for where in columns))
