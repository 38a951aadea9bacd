"""One call from a network and the images of a class to the hierarchy of their clusters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from xai_lib import explainers
from xai_lib.data import imagenet
from xai_lib.explainers.layers import find_layer
from xai_lib.forward import device_of, images_at_once, logits_of
from xai_lib.page.names import LETTERS
from xai_lib.papers.dominance import figures
from xai_lib.papers.dominance.analysis.pictures import Shown, explained
from xai_lib.papers.dominance.method import clusters, dominance, energy_share, mosaics, training_share
from xai_lib.papers.dominance.method.relative_dominance import hierarchy
from xai_lib.your_images import normalised, pictures
from xai_lib.your_model import check_model

_REPRESENTATIVES, _EXAMPLES = 8, 4


@dataclass(frozen=True, eq=False)
class ClusterRanking:
    """The clusters of a class, by how much of a network's attention they take from each other."""

    title: str  # of the class
    # The most dominant first: letter (A has the most images), images (their number), and the columns of `hierarchy`.
    hierarchy: pd.DataFrame
    pairs: pd.DataFrame  # see `method.dominance.pairs`
    matrix: np.ndarray  # dominance of a row's cluster over a column's, by number, float64 [P,P] in [0,1]
    assigned: Tensor  # cluster of each image, int64 [N]
    representatives: list[list[Path | int]]  # files, or positions, of up to eight images a cluster, the nearest first
    shares: pd.DataFrame | None  # see `method.training_share.shares`; None without training images
    recognised: float  # share of images whose highest logit is the class's; near 0, look at its number and the colours
    pictures: Mapping[str, Tensor]  # the representatives by letter and size of the cluster, float [n,3,H,W] in [0,1]
    examples: Sequence[Shown]  # the first four mosaics of the pair of clusters that is furthest from 0.5

    def figures(self) -> dict[str, Figure]:
        """Those of Figure 2 of the paper and its representatives; use_style makes them the book's."""
        both = self.matrix, dominance.matrix(self.pairs, "p_t_holm")
        return {
            "matrix": figures.dominance_matrices({self.title: both}, LETTERS[: len(self.matrix)]),
            "representatives": figures.representatives(self.pictures),
            "mosaics": figures.mosaics(self.examples),
        }


def rank_clusters(
    model: nn.Module, images: Tensor | Path | str | Sequence[Path | str], target: int, *,
    training: Tensor | Path | str | Sequence[Path | str] | None = None, classes: Sequence[str] | None = None,
    layer: str | None = None, explainer: str = "grad-cam", n_clusters: int = 5, n_mosaics: int = 25,
    resized: bool = True, size: int = 224, mean: Sequence[float] = imagenet.MEAN, std: Sequence[float] = imagenet.STD,
    seed: int = 0,
) -> ClusterRanking:  # fmt: skip
    """Part the images of a class into clusters and rank these by dominance (dominance paper §3).

    Args:
        model: images [B,3,H,W] -> logits [B,C], in evaluation mode; all is computed on its device.
        images: of one class, which the network was not trained on: a folder, files, or a tensor [N,3,H,W], uint8 or
            float in [0,1]. Files are read as :func:`xai_lib.data.images.decoded` says, resized so that the shorter side
            has 8/7 of ``size``, and cut to their middle.
        target: number of the class among the network's.
        training: images of the class that the network was trained on; None leaves the training shares out.
        classes: names of the C classes; None for their numbers.
        layer: dotted name of the layer of features and maps; None is the network's default, or its last spatial layer.
        explainer: a registered one.
        n_clusters: P, from 2 to 26; each needs an image.
        n_mosaics: of each of P (P - 1) / 2 pairs.
        resized: scale mosaics to the size of one image, as the paper does; False leaves them twice as wide and high.
        size: side in pixels of what the network is shown, for files.
        mean, std: colour statistics that the network was trained with; ImageNet's by default.
        seed: of clusters and mosaics.

    FileNotFoundError, TypeError, ValueError if an image cannot be read, there are fewer images than clusters, the
    network cannot be explained here, there is no such class, layer or explainer, or every map is empty.
    """
    shown, files = pictures(images, size)
    x = normalised(shown.to(device_of(model)), mean, std)
    title = _checked(model, x, target, classes, explainer, n_clusters, resized)
    layer = find_layer(model, layer, _mosaic(x, resized))[0]
    found = clusters.kmeans(clusters.pooled(model, _batches(x), layer), n_clusters, seed=seed)
    explain = energy_share.of_explainer(model, explainer, layer)
    draws = {"n": n_mosaics, "seed": seed, "purpose": "rank_clusters"}
    values = dominance.pairwise(x, target, found.assigned, explain, resized=resized, **draws)
    if values["value"].isna().all():
        raise ValueError(f"Expected maps with a positive value. Got none of {title}: look at the layer.")
    shares = None
    if training is not None:
        seen = normalised(pictures(training, size)[0], mean, std)
        of_training = clusters.pooled(model, (batch.to(x.device) for batch in _batches(seen)), layer)
        fitted, _ = clusters.assign(of_training, found.centres)
        shares = training_share.shares(fitted.numpy(), found.assigned.numpy(), n_clusters)
    with torch.no_grad():
        right = torch.cat([logits_of(model, batch).argmax(1) == target for batch in _batches(x)])
    of_pairs = dominance.pairs(values)
    furthest = of_pairs.loc[(of_pairs["dominance"] - dominance.NO_DOMINANCE).abs().idxmax(), ["first", "second"]]
    index = values.index[(values[["first", "second"]] == furthest).all(axis=1)].tolist()[:_EXAMPLES]
    names = tuple(LETTERS[int(cluster)] for cluster in furthest)
    quadrants = dominance.draw(found.assigned, **draws)[1]
    both = (part[quadrants.images[index].to(part.device)] for part in (shown, x))
    examples = explained(*both, quadrants.first[index], explain, target, names, index=index, resized=resized)
    known = {"title": title, "pairs": of_pairs, "shares": shares, "examples": examples}
    return _ranking(hierarchy(values), found, shown, files, **known, recognised=right.float().mean().item())


def _ranking(
    order: pd.DataFrame, found: clusters.Clustering, shown: Tensor, files: list[Path] | None, **known: Any
) -> ClusterRanking:
    sizes, order = found.assigned.bincount(), order.sort_values("rank", ignore_index=True)
    order.insert(1, "letter", [LETTERS[cluster] for cluster in order["cluster"]])
    order.insert(2, "images", sizes.numpy()[order["cluster"]])
    nearest = [members.tolist() for members in clusters.representatives(found, _REPRESENTATIVES)]
    known["representatives"] = [[files[n] if files else n for n in members] for members in nearest]
    known["pictures"] = {f"{LETTERS[k]} ({sizes[k]})": shown[members] for k, members in enumerate(nearest)}
    return ClusterRanking(hierarchy=order, matrix=dominance.matrix(known["pairs"]), assigned=found.assigned, **known)


def _checked(
    model: nn.Module, x: Tensor, target: int, classes: Sequence[str] | None, explainer: str, n_clusters: int,
    resized: bool,
) -> str:  # fmt: skip
    """The name of the class, if the network and the class can be explained on these images and their mosaics."""
    if needs := explainers.about(explainer).needs:
        raise ValueError(f"Expected an explainer without further settings. Got {explainer!r}: it needs {needs}.")
    if not 2 <= n_clusters <= min(len(x), len(LETTERS)):
        raise ValueError(f"Expected n_clusters from 2 to 26, at most one an image. Got {n_clusters} for {len(x)}.")
    n_classes = check_model(model, x[:1], None if classes is None else len(classes)).shape[1]
    try:
        check_model(model, _mosaic(x, resized), None)
    except ValueError as error:
        raise ValueError(f"{error} Mosaics are four images: resized=True scales them to the size of one.") from error
    if type(target) is not int or not 0 <= target < n_classes:
        raise ValueError(f"Expected target as the number of a class, 0 to {n_classes - 1}. Got {target!r}.")
    return f"class {target}" if classes is None else classes[target]


def _mosaic(x: Tensor, resized: bool) -> Tensor:
    return mosaics.assemble(x[:1].expand(4, -1, -1, -1)[None], resized)


def _batches(x: Tensor) -> tuple[Tensor, ...]:
    return x.split(images_at_once(x, None))
