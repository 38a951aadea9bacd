"""What the papers claim, one comparison a claim, for :func:`xai_lib.statistics.verdict_table`."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from xai_lib import metrics, published, statistics
from xai_lib.papers.contrastive import experiment
from xai_lib.run.settings import Settings
from xai_lib.statistics import Claim

_LOSSES = {"scl": "SCL", "tl": "TL"}
_METHODS = {"grad-cam": "Grad-CAM", "eigen-cam": "Eigen-CAM"}
_DATASETS = {"cifar10": "CIFAR10", "imagenet-s50": "Imagenet-S50"}


@dataclass(frozen=True)
class _Property:
    """One property of explanations: in which direction the paper says that contrastive training moves ``metric``."""

    metric: str
    direction: Literal["higher", "lower"]
    text: str
    section: str
    methods: tuple[str, ...] = tuple(_METHODS)
    ours: bool = False


_CONTRASTIVE = (
    _Property("pixel-flipping", "lower", "more faithful", "1, 5 and 6"),
    _Property(
        "pixel-flipping-normalised",
        "lower",
        "more faithful, whatever the network's confidence,",
        "1, 5 and 6",
        ours=True,
    ),
    _Property("continuity", "higher", "steadier under small noise", "1 and 5"),
    _Property("complexity", "lower", "less complex", "1, 5 and 6"),
    _Property(
        "contrastivity", "higher", "less contrastive, that is more alike between classes,", "1 and 6", ("grad-cam",)
    ),
)


def contrastive(dataset: str) -> list[Claim]:
    """What the contrastive paper claims about SCL and TL against CE (sections 1, 5 and 6).

    The paper speaks of contrastive training as one thing; here each of its losses is claimed apart, for each method.
    Contrastivity needs maps of several classes, so it is claimed for Grad-CAM only; there ``better`` is the direction
    of the claim, a higher similarity, not the metric's own. Pixel flipping stands a second time in the
    confidence-normalised reading, which is ours. Each text ends with what Table 4 prints, and where that contradicts
    the claim.

    Args:
        dataset: the label of the images that the verdicts will be about.
    """
    return [
        Claim(
            id=f"contrastive-{claimed.metric}-{method}-{loss}",
            paper="contrastive",
            section=claimed.section,
            text=(
                f"{_METHODS[method]} explanations of {_LOSSES[loss]} networks are {claimed.text} than those of CE "
                f"networks. {_in_print(claimed, method, loss)}"
            ),
            metric=claimed.metric,
            method=method,
            better=claimed.direction,
            a=loss,
            b="ce",
            dataset=dataset,
            ours=claimed.ours,
            sentence=f"Contrastive training makes explanations {claimed.text.strip(',')}.",
            range=metrics.about(claimed.metric).range,
            relevant=metrics.about(claimed.metric).relevant,
        )
        for claimed in _CONTRASTIVE
        for method in claimed.methods
        for loss in _LOSSES
    ]


def verdicts(run: Settings) -> pd.DataFrame:
    """A verdict for each claim, as :func:`statistics.verdict_table`.

    Both networks of a comparison have to classify an image correctly, which adjusts for accuracy. Metrics of maps that
    are scaled to [0, 1] do not change with a network's confidence; plain pixel flipping does.
    """
    scores, outputs = experiment.scores(run), experiment.predictions(run)
    decided = []
    for claim in contrastive(run.label):
        paired = statistics.both_correct(scores, outputs, a=claim.a, b=claim.b)
        if paired.empty:  # two weak networks: a comparison without a value, hence undecided
            paired = scores.assign(value=float("nan"))
        adjusted = {"accuracy"} if claim.metric == "pixel-flipping" else {"accuracy", "confidence"}
        alike = _matched(outputs, claim.a, claim.b)
        decided.append(statistics.decide(claim, paired, adjusted_for=adjusted, matched=alike))
    return statistics.verdict_table(decided)


def _in_print(claimed: _Property, method: str, loss: str) -> str:
    cells = published.table("contrastive", 4)
    cells = cells[(cells["metric"] == claimed.metric) & (cells["method"] == method)].set_index(["dataset", "loss"])
    if cells.empty:
        return "A reading of ours, not in print."
    parts = []
    for dataset, label in _DATASETS.items():
        contrastive_cell, ce = cells.loc[(dataset, loss)], cells.loc[(dataset, "ce")]
        higher = contrastive_cell["value"] > ce["value"]
        contradicts = ", which contradicts it" if higher != (claimed.direction == "higher") else ""
        values = (cell["printed"].split(" ± ")[0] for cell in (contrastive_cell, ce))
        parts.append(f"{' against '.join(values)} on {label}{contradicts}")
    return f"Printed: {'; '.join(parts)}."


def _matched(outputs: pd.DataFrame, a: str, b: str) -> statistics.Matched:
    by_seed = outputs.groupby(["loss", "seed"])[["correct", "confidence"]].mean()
    columns = ((loss, column) for column in ("correct", "confidence") for loss in (a, b))
    return statistics.matched(*(by_seed.loc[where].tolist() for where in columns))
