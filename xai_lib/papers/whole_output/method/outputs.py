"""What a network says of some images: the whole outputs that are explained."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    objects: Tensor | None = None  # where the first and the second object are, bool [B,2,H,W]; None where unknown
    pictured: Sequence[tuple[int, ...]] = ()  # the classes of these objects; () of an image without a second

    def part(self, rows: Sequence[int]) -> "Outputs":
        """Those of some of the images."""
        chosen = {
            field: value[rows] if isinstance(value, Tensor) else [value[row] for row in rows]
            for field, value in vars(self).items()
            if isinstance(value, Tensor | Sequence) and len(value)
        }
        return replace(self, **chosen)


def outputs_of(network: nn.Module, images: Split, partition: Sequence[Sequence[int]], device: torch.device) -> Outputs:
    """Run a network: the top classes of some images, K = min(5, as many as have more than 0.95) (§5), in the confusion
    clusters of ``partition``; ValueError as :func:`confusion_clusters`.
    """
    images = images.materialised()
    x = images.normalise(images.images.to(device))
    with torch.inference_mode():
        probabilities = network(x).float().softmax(1)
    top = top_classes(probabilities, at_most=AT_MOST)
    clusters = [confusion_clusters(partition, found) for found in top]
    found = Outputs(network, x, images.index.to(device), probabilities.clone(), top, clusters)
    return _with_truth(found, images) if images.name == "planted" else found


def _with_truth(outputs: Outputs, images: Split) -> Outputs:
    """What is known of planted images."""
    number, masks = planted.CLASSES.index, {name: mask.to(outputs.x.device) for name, mask in images.masks.items()}
    names = [images.classes[label] for label in images.labels.tolist()]
    pairs = {name: pair for pair in planted.LOOK_ALIKE_PAIRS for name in pair}
    return replace(
        outputs,
        differing=masks["part"],
        look_alike=[tuple(map(number, pairs.get(name, ()))) for name in names],
        objects=torch.stack([masks["object"], masks["second"]], dim=1),
        pictured=[(number(a), number(b)) if b else () for a, b in zip(names, images.factors["second"])],
    )
