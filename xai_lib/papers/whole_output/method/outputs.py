"""What a network says of some images: the whole outputs that are explained."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from xai_lib.data import Split, StreamedSplit, planted
from xai_lib.papers.whole_output.method.clusters import Partition, confusion_clusters
from xai_lib.papers.whole_output.method.documents import top_classes

AT_MOST = 5  # top classes of an image that are explained (§5)


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a network says of B images, and what is explained of it.

    Attributes:
        x: normalised images, float [B,3,H,W].
        index: image indices, int64 [B].
        probabilities: of all classes, float [B,C].
        top: the top classes of each image, ranked.
        clusters: the confusion clusters of these.
        differing: of each image, the part in which its class differs from its look-alike, bool [B,H,W]; None where
            unknown.
        look_alike: the two classes that differ in that part, for each image; None where there is no such pair.
    """

    x: Tensor
    index: Tensor
    probabilities: Tensor
    top: Sequence[list[int]]
    clusters: Sequence[Partition]
    differing: Tensor | None = None
    look_alike: Sequence[tuple[int, int] | None] = ()

    def part(self, rows: Sequence[int]) -> "Outputs":
        """Those of some of the images."""
        lists = (
            [values[row] for row in rows] if values else () for values in (self.top, self.clusters, self.look_alike)
        )
        top, clusters, look_alike = lists
        differing = None if self.differing is None else self.differing[rows]
        return Outputs(self.x[rows], self.index[rows], self.probabilities[rows], top, clusters, differing, look_alike)


def outputs_of(
    network: nn.Module, images: Split | StreamedSplit, partition: Sequence[Sequence[int]], device: torch.device
) -> Outputs:
    """Run the network: the top classes of some images, K = min(5, as many as have more than 0.95) (§5).

    Args:
        network: normalised images -> logits, in evaluation mode, on ``device``.
        images: of the network's classes.
        partition: of the classes, which gives the confusion clusters.
        device: where it runs.

    Raises:
        ValueError: as :func:`confusion_clusters`.
    """
    images = images.materialised()
    x = images.normalise(images.images.to(device))
    with torch.inference_mode():
        probabilities = network(x).float().softmax(1)
    top = top_classes(probabilities, at_most=AT_MOST)
    differing, look_alike = None, ()
    if images.name == "planted":
        differing = images.masks["part"].to(device)
        look_alike = [_look_alike(images.classes[label]) for label in images.labels.tolist()]
    clusters = [confusion_clusters(partition, found) for found in top]
    return Outputs(x, images.index.to(device), probabilities.clone(), top, clusters, differing, look_alike)


def _look_alike(name: str) -> tuple[int, int] | None:
    """The pair of look-alike planted classes that a class belongs to, by number."""
    for pair in planted.LOOK_ALIKE_PAIRS:
        if name in pair:
            return tuple(planted.CLASSES.index(member) for member in pair)
    return None
