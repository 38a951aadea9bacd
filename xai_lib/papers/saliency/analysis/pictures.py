"""Images and maps for the figures of the saliency notebooks: computed for the few images that are shown."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from xai_lib import metrics
from xai_lib.data import Split
from xai_lib.data.split import first_of_each_class
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency.analysis.scores import directions, of_metrics
from xai_lib.papers.saliency.method import lineup, step_size
from xai_lib.run.settings import Study
from xai_lib.statistics.intervals import seeds_last

SHOWN = ("integrated-gradients", "score-cam", "rise", "lime", "iba")  # a method of each kind, as in Figure 1


def maps(study: Study, methods: Sequence[str], n: int) -> tuple[Tensor, dict[str, Tensor], list[str]]:
    """Pictures [n,3,H,W] in [0,1], maps [n,H,W] in [0,1] by method that has scores, and true classes: of the first
    image of each of the first ``n`` classes, so that nobody chose them.
    """
    split = study.networks[0].images
    images = split.subset(first_of_each_class(split.labels, n)).materialised()
    left_out = experiment.left_out(study, "fidelity")
    found = {method: _explained(study, method, images) for method in methods if (method, "") not in left_out}
    return images.images.cpu().float() / 255, found, [images.classes[label] for label in images.labels.tolist()]


def extremes(study: Study) -> list[dict[str, Any]]:
    """Figure 1: for each fidelity metric, the best image of its best method and the worst of its worst.

    Methods by their mean over images and networks, images by the first network's scores; the first network's maps. Each
    with metric, method, which ("best" or "worst"), score, image (float [3,H,W] in [0,1]), maps (of :data:`SHOWN`, float
    [H,W] in [0,1] by method).
    """
    rows, images = [], study.networks[0].images
    for metric, better in directions(lineup.FIDELITY).items():
        of_metric = of_metrics(study, (metric,), lineup.PAPER)
        in_turn = seeds_last(of_metric, ["method"]).dropna().sort_values(ascending=better == "lower").index
        for which, method in (("best", in_turn[0]), ("worst", in_turn[-1])):
            own = of_metric[(of_metric["method"] == method) & (of_metric["seed"] == study.networks[0].seed)]
            own = own.set_index("index")["value"]
            index = own.idxmin() if (which == "best") == (better == "lower") else own.idxmax()
            image = images.subset((images.index == index).nonzero()[:, 0]).materialised()
            shown = {name: _explained(study, name, image)[0] for name in SHOWN}
            said = {"metric": metric, "method": method, "which": which, "score": float(own[index])}
            rows.append({**said, "image": image.images[0].cpu().float() / 255, "maps": shown})
    return rows


def causal_curves(study: Study, methods: Sequence[str], n: int) -> pd.DataFrame:
    """Mean insertion and deletion curves of the first ``n`` images: rows method, kind, fraction, probability."""
    subject, parts = study.networks[0], []
    images = subject.images.subset(list(range(min(n, len(subject.images))))).materialised().to(subject.device)
    x = images.normalise(images.images)
    order = {"index": images.index, "step": step_size(x, study.run.saliency.causal_steps)}
    for method in methods:
        attribution = _explained(study, method, images).to(subject.device)
        for kind, curve in (("insertion", metrics.causal.insertion_curve), ("deletion", metrics.causal.deletion_curve)):
            mean = curve(subject.network, x, attribution, images.labels, **order).nanmean(dim=0).cpu()
            fraction = torch.linspace(0, 1, len(mean))
            parts.append(pd.DataFrame({"fraction": fraction, "probability": mean}).assign(method=method, kind=kind))
    return pd.concat(parts, ignore_index=True)


def _explained(study: Study, method: str, images: Split) -> Tensor:
    """Maps [N,H,W] in [0,1] for the true class, by the first network."""
    images, explained = images.to(study.networks[0].device), experiment.explained_by(study, study.networks[0], method)
    return explained.maps(images.normalise(images.images), images.labels, images.index).detach().cpu()
