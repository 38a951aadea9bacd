"""What a network says of some images: the whole outputs that are explained."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from xai_lib.data import Split, planted
from xai_lib.papers.whole_output.method.clusters import Partition, confusion_clusters
from xai_lib.papers.whole_output.method.documents import top_classes

AT_MOST = 5  # top classes of an image that are explained (§5)


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a network says of B images, and what is explained of it."""

    network: nn.Module  # normalised images [B,3,H,W] -> logits [B,C], in evaluation mode
    x: Tensor  # the images, normalised, float [B,3,H,W]
    index: Tensor  # their indices, int64 [B]
    probabilities: Tensor  # of all classes, float [B,C]
    top: Sequence[list[int]]  # the top classes of each image, ranked
    clusters: Sequence[Partition]  # the confusion clusters of these
    differing: Tensor | None = None  # the part in which look-alikes differ, bool [B,H,W]; None where unknown
    look_alike: Sequence[tuple[int, ...]] = ()  # the two classes that differ in that part; () without such a pair

    def part(self, rows: Sequence[int]) -> "Outputs":
        """Those of some of the images."""
        lists = (self.top, self.clusters, self.look_alike)
        top, clusters, look_alike = ([values[row] for row in rows] if values else () for values in lists)
        differing = None if self.differing is None else self.differing[rows]
        tensors = (self.x[rows], self.index[rows], self.probabilities[rows])
        return Outputs(self.network, *tensors, top, clusters, differing, look_alike)


def outputs_of(network: nn.Module, images: Split, partition: Sequence[Sequence[int]], device: torch.device) -> Outputs:
    """Run a network, on ``device``: the top classes of some images, K = min(5, as many as have more than 0.95) (§5).

    Their confusion clusters are those of ``partition``; ValueError as :func:`confusion_clusters`.
    """
    images = images.materialised()
    x = images.normalise(images.images.to(device))
    with torch.inference_mode():
        probabilities = network(x).float().softmax(1)
    top = top_classes(probabilities, at_most=AT_MOST)
    clusters = [confusion_clusters(partition, found) for found in top]
    differing, look_alike = None, ()
    if images.name == "planted":
        differing = images.masks["part"].to(device)
        pairs = {name: pair for pair in planted.LOOK_ALIKE_PAIRS for name in pair}
        of_images = [pairs.get(images.classes[label], ()) for label in images.labels.tolist()]
        look_alike = [tuple(map(planted.CLASSES.index, pair)) for pair in of_images]
    return Outputs(network, x, images.index.to(device), probabilities.clone(), top, clusters, differing, look_alike)
