"""One call from a network and an image to the explanation of its whole output."""

from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

from xai_lib.data import imagenet
from xai_lib.forward import device_of
from xai_lib.models import is_multi_label
from xai_lib.papers.whole_output import figures
from xai_lib.papers.whole_output.latent_tree import Tree
from xai_lib.papers.whole_output.method import base_maps, clusters, contrastive_maps, documents
from xai_lib.your_images import normalised, picture
from xai_lib.your_model import check_model

_MASKS, _SAMPLES = 1000, 500


def explain_output(
    model: nn.Module, image: Tensor | Image.Image | Path | str, *,
    classes: Sequence[str] | None = None, tree: Tree | None = None,
    base: str = "grad-cam", layers: tuple[str, str] | None = None, size: int = 224,
    mean: Sequence[float] = imagenet.MEAN, std: Sequence[float] = imagenet.STD, at_most: int = 5, seed: int = 0,
) -> Figure:  # fmt: skip
    """Explain all top classes of an image by CWOX-2s, and draw it (whole-output paper, Figure 3).

    Args:
        model: images [B,3,H,W] -> logits [B,C], in evaluation mode.
        image: a file, a PIL image, or a tensor [3,H,W], uint8 or float in [0,1]. Files and PIL images are read as
            :func:`xai_lib.data.images.decoded` says, resized so that the shorter side has 8/7 of ``size``, and cut to
            their middle; tensors are taken as they are.
        classes: names of the C classes; None for their numbers.
        tree: latent tree of the network's documents, whose level-1 clusters are the confusion clusters. None takes all
            top classes as one cluster: its first-stage map then has no rival.
        base: "grad-cam", "excitation-backprop", "lime" or "rise".
        seed: of the random masks of RISE and LIME.
        layers: dotted names of the coarse and the fine layer, for Grad-CAM and excitation backprop. None finds them by
            their grids, see :func:`base_maps.coarse_and_fine`.
        size: side in pixels of what the network is shown, for files and PIL images.
        mean, std: colour statistics that the network was trained with; ImageNet's by default.
        at_most: the most top classes; there are as many as have more than 0.95 of the probability.

    FileNotFoundError if there is no such file, TypeError or ValueError if the image cannot be read, the network cannot
    be explained here, there is no such layer or base, or names or tree do not fit the network's classes.
    """
    device = device_of(model)
    if is_multi_label(model):
        raise ValueError("Expected a network of classes that exclude each other. Got a multi-label one.")
    shown = picture(image, size).to(device)
    x = normalised(shown[None], mean, std)
    probabilities = check_model(model, x, None).softmax(1)
    n_classes = probabilities.shape[1]
    names = [str(number) for number in range(n_classes)] if classes is None else list(classes)
    if len(names) != n_classes or (tree is not None and tree.n_labels != n_classes):
        got = f"{len(names)} names" + ("" if tree is None else f" and a tree of {tree.n_labels}")
        raise ValueError(f"Expected names and a tree of the network's {n_classes} classes. Got {got}.")
    (top,) = documents.top_classes(probabilities, at_most=at_most)
    if layers is None:  # RISE and LIME look at none
        layers = ("", "") if base in ("lime", "rise") else base_maps.coarse_and_fine(model, x)
    settings = base_maps.base(base, layers, n_masks=_MASKS, n_samples=_SAMPLES)
    groups = [top] if tree is None else clusters.confusion_clusters(tree.clusters(1), top)
    index = torch.zeros(1, dtype=torch.int64, device=device)
    how = {"base": settings, "methods": ("cwox-2s",), "seed": seed, "index": index}
    (output,) = contrastive_maps.explain(model, x, [groups], **how)
    return figures.whole_output(shown.cpu(), output, names)
