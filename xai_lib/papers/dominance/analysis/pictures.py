"""Images and maps for the figures of the dominance notebooks: computed for the few that are shown."""

import math

import torch
from torch import Tensor

from xai_lib.explainers.normalise import min_max, relu
from xai_lib.metrics.mosaics import focus
from xai_lib.page.names import LETTERS
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.analysis import hierarchies
from xai_lib.papers.dominance.analysis.networks import of_first
from xai_lib.papers.dominance.experiment.dominance import Hierarchies, RankedNetwork
from xai_lib.papers.dominance.figures.mosaics import Shown
from xai_lib.papers.dominance.method import energy, mosaics


def widest_and_narrowest(of: Hierarchies, kind: str) -> tuple[str, str]:
    """The classes whose relative dominance has the largest and the smallest range in the first network: those shown."""
    found = of_first(hierarchies.spread(of), kind)
    found = found[found["clustering"] == "k-means"]
    found = found.sort_values("range", kind="stable")  # those without a value are last
    return found["label"].iloc[max(found["range"].count() - 1, 0)], found["label"].iloc[0]


def representatives(of: Hierarchies, kind: str, label: str, n: int = 8) -> dict[str, Tensor]:
    """Images nearest to the centre of each cluster: the cluster's letter and size -> float [n,3,H,W] in [0,1]."""
    ranked = of.of(kind)[0]
    rows = experiment.cluster_images(of)
    rows = rows[(rows["kind"] == kind) & (rows["seed"] == ranked.seed) & (rows["label"] == label)]
    found = {}
    for cluster, members in rows.groupby("cluster"):
        nearest = members.sort_values("distance", kind="stable")["index"].tolist()[:n]
        found[f"{LETTERS[cluster]} ({len(members)})"] = _pictures(ranked, nearest)
    return found


def examples(of: Hierarchies, kind: str, label: str, n: int = 2) -> list[Shown]:
    """Mosaics of the pair of clusters that are furthest apart, and of the pair that is nearest to 0.5: ``n`` of each.

    The first of their mosaics, whatever they show. Where there is one pair with a value, ``n`` in all.
    """
    pairs = hierarchies.pairs_of(of, kind, label)
    distances = (pairs["dominance"] - 0.5).abs().sort_values(kind="stable")  # those without a value are last
    furthest, nearest = distances.index[max(distances.count() - 1, 0)], distances.index[0]
    shown = []
    for place in dict.fromkeys([furthest, nearest]):
        row = pairs.loc[place]
        shown += shown_mosaics(of, of.of(kind)[0], label, (int(row["first"]), int(row["second"])), n)
    return shown


def shown_mosaics(of: Hierarchies, ranked: RankedNetwork, label: str, pair: tuple[int, int], n: int) -> list[Shown]:
    """The first ``n`` mosaics of two clusters, each with Grad-CAM's map and the share of the first cluster."""
    drawn = experiment.class_mosaics(of, ranked, label, pair)
    drawn = mosaics.Mosaics(drawn.images[:n], drawn.first[:n])
    split = ranked.subject.images.subset(drawn.images.flatten()).materialised()
    raw = split.images.to(ranked.subject.device).unflatten(0, (-1, 4))
    x = mosaics.assemble(split.normalise(raw.flatten(0, 1)).unflatten(0, (-1, 4)))
    target = torch.full((len(drawn),), split.classes.index(label), device=x.device)
    explain = energy.by_grad_cam(ranked.subject.network, ranked.subject.layer)
    heat = relu(explain(x, target, torch.arange(len(drawn), device=x.device)))
    shares = focus(heat, drawn.first)  # dominance on each mosaic (Eq. 6)
    pictures = mosaics.assemble(raw.float() / 255)
    names = (LETTERS[pair[0]], LETTERS[pair[1]])
    return [
        Shown(picture.cpu(), scaled.cpu(), first, f"{label}: {_has(names[0], share)}", names)
        for picture, scaled, first, share in zip(pictures, min_max(heat), drawn.first, shares.tolist())
    ]


def _has(name: str, share: float) -> str:
    return "empty map" if math.isnan(share) else f"{name} has {100 * share:.0f} %"


def _pictures(ranked: RankedNetwork, index: list[int]) -> Tensor:
    images = ranked.subject.images
    place = {number: position for position, number in enumerate(images.index.tolist())}
    return images.subset([place[number] for number in index]).images.float().cpu() / 255
