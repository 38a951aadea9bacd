"""Images and maps for the figures of the dominance part: computed for the few that are shown."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xai_lib.explainers.normalise import min_max, relu
from xai_lib.metrics.mosaics import focus
from xai_lib.page.names import LETTERS
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.analysis import hierarchies, networks
from xai_lib.papers.dominance.experiment import RankedNetwork
from xai_lib.papers.dominance.method import dominance, energy_share, mosaics
from xai_lib.run.settings import Study


@dataclass(frozen=True, eq=False)
class Shown:
    """A mosaic with its explanation."""

    image: Tensor  # float [3,H,W] in [0,1]
    heat: Tensor  # float [H,W] in [0,1]
    first: Tensor  # quadrants of the first cluster, bool [4]: top left, top right, bottom left, bottom right
    title: str
    names: tuple[str, str] = ("A", "B")  # of the two clusters


def explained(
    pictures: Tensor, x: Tensor, first: Tensor, explain: energy_share.Explain, target: int, names: tuple[str, str], *,
    title: str = "", index: Sequence[int] | None = None, resized: bool = True,
) -> list[Shown]:  # fmt: skip
    """Mosaics [M,4,3,H,W] of two clusters, each with its map and, after ``title``, the share of the first (Eq. 6);
    ``x`` are the pictures normalised, ``index`` the numbers of the mosaics, from 0 if None.
    """
    numbers = torch.tensor(range(len(x)) if index is None else index, device=x.device)
    heat = relu(explain(mosaics.assemble(x, resized), torch.full_like(numbers, target), numbers))
    said = [f"{names[0]} has {100 * d:.0f} %" if d == d else "empty map" for d in focus(heat, first).tolist()]
    both = zip(mosaics.assemble(pictures, resized).cpu(), min_max(heat).cpu(), first, said)
    return [Shown(image, scaled, where, title + share, names) for image, scaled, where, share in both]


def widest_and_narrowest(study: Study, kind: str) -> tuple[str, str]:
    """The classes whose relative dominance has the largest and the smallest range in the first network: those shown."""
    found = networks.first(hierarchies.spread(study), kind)
    widest, narrowest = networks.extremes(found[found["clustering"] == experiment.K_MEANS], "range")
    return widest["label"], narrowest["label"]


def representatives(study: Study, kind: str, label: str, n: int = 8) -> dict[str, Tensor]:
    """Images nearest to the centre of each cluster: the cluster's letter and size -> float [n,3,H,W] in [0,1]."""
    images = experiment.class_images(experiment.networks_of(study, kind)[0], label)
    rows, numbers = networks.first(experiment.table(study, "images"), kind), images.index.tolist()
    found = {}
    for cluster, members in rows[rows["label"] == label].groupby("cluster"):
        nearest = members.sort_values("distance", kind="stable")["index"].tolist()[:n]
        shown = images.images[[numbers.index(number) for number in nearest]]
        found[f"{LETTERS[cluster]} ({len(members)})"] = shown.float() / 255
    return found


def examples(study: Study, kind: str, label: str, n: int = 2) -> list[Shown]:
    """The first ``n`` mosaics of the pair of clusters that is furthest apart, and of the pair nearest to 0.5."""
    rows, ranked = hierarchies.pairs_of(study, kind, label), experiment.networks_of(study, kind)[0]
    chosen = networks.extremes(rows.assign(distance=(rows["dominance"] - dominance.NO_DOMINANCE).abs()), "distance")
    pairs = dict.fromkeys((int(pair["first"]), int(pair["second"])) for pair in chosen)
    return [one for pair in pairs for one in shown_mosaics(study, ranked, label, pair, n)]


def shown_mosaics(study: Study, ranked: RankedNetwork, label: str, pair: tuple[int, int], n: int) -> list[Shown]:
    """The first ``n`` mosaics of two clusters, each with Grad-CAM's map and the share of the first cluster."""
    drawn, subject = experiment.class_mosaics(study, ranked, label, pair), ranked.subject
    split = experiment.class_images(ranked, label).subset(drawn.images[:n].flatten())
    raw, target = split.images.to(subject.device), split.classes.index(label)
    pictures, x = (images.unflatten(0, (-1, 4)) for images in (raw.float() / 255, split.normalise(raw)))
    explain, names = energy_share.by_grad_cam(subject.network, subject.layer), (LETTERS[pair[0]], LETTERS[pair[1]])
    resized = experiment.mosaic_sizes(subject.network)[experiment.RESCALED]
    return explained(pictures, x, drawn.first[:n], explain, target, names, title=f"{label}: ", resized=resized)
