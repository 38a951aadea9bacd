"""One call from a network and an image to the explanation of its whole output."""

from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import functional

from xai_lib import figures
from xai_lib.datasets import imagenet
from xai_lib.explainers.last_layer import last_spatial_layer
from xai_lib.explainers.layers import find_layer
from xai_lib.foreign.network import check_model
from xai_lib.whole_output import base_maps
from xai_lib.whole_output.confusion import confusion_clusters
from xai_lib.whole_output.documents import top_classes
from xai_lib.whole_output.explanation import explain
from xai_lib.whole_output.latent_tree import Tree

_MASKS, _SAMPLES = 1000, 500


def explain_output(
    model: nn.Module,
    image: Tensor | Image.Image | Path | str,
    *,
    classes: Sequence[str] | None = None,
    tree: Tree | None = None,
    base: str = "grad-cam",
    layers: tuple[str, str] | None = None,
    size: int = 224,
    mean: Sequence[float] = imagenet.MEAN,
    std: Sequence[float] = imagenet.STD,
    at_most: int = 5,
    seed: int = 0,
) -> Figure:
    """Explain all top classes of an image by CWOX-2s, and draw it (whole-output paper, Figure 3).

    Args:
        model: images [B,3,H,W] -> logits [B,C], in evaluation mode.
        image: a file, a PIL image, or a tensor [3,H,W], uint8 or float in [0,1]. Files and PIL images are resized so
            that the shorter side has 8/7 of ``size``, and cut to their middle; tensors are taken as they are.
        classes: names of the C classes; None for their numbers.
        tree: latent tree of the network's documents, whose level-1 clusters are the confusion clusters. None takes all
            top classes as one cluster: its first-stage map then has no rival.
        base: "grad-cam", "excitation-backprop", "lime" or "rise".
        layers: dotted names of the coarse and the fine layer, for Grad-CAM and excitation backprop. None is the
            network's default, or its last spatial layer, for both.
        size: side in pixels of what the network is shown, for files and PIL images.
        mean, std: colour statistics that the network was trained with; ImageNet's by default.
        at_most: the most top classes; there are as many as have more than 0.95 of the probability.
        seed: of RISE and LIME.

    Raises:
        FileNotFoundError: if there is no such file.
        TypeError, ValueError: if the image cannot be read, the network cannot be explained here, there is no such layer
            or base, or names or tree do not fit the network's classes.
    """
    device = next(model.parameters()).device
    picture = _picture(image, size).to(device)
    statistics = (torch.tensor(list(numbers), device=device)[:, None, None] for numbers in (mean, std))
    x = ((picture - next(statistics)) / next(statistics))[None]
    check_model(model, x, None)
    with torch.no_grad():
        probabilities = model(x).softmax(1)
    n_classes = probabilities.shape[1]
    names = [str(number) for number in range(n_classes)] if classes is None else list(classes)
    if len(names) != n_classes or (tree is not None and tree.n_labels != n_classes):
        raise ValueError(
            f"Expected names and a tree of the network's {n_classes} classes. Got {len(names)} names"
            + ("." if tree is None else f" and a tree of {tree.n_labels}.")
        )
    (top,) = top_classes(probabilities, at_most=at_most)
    settings = base_maps.base(base, layers or _layers(model, x, base), n_masks=_MASKS, n_samples=_SAMPLES)
    clusters = [top] if tree is None else confusion_clusters(tree.clusters(1), top)
    index = torch.zeros(1, dtype=torch.int64, device=device)
    (output,) = explain(model, x, [clusters], base=settings, methods=("cwox-2s",), seed=seed, index=index)
    return figures.whole_output(picture.cpu(), output, names)


def _layers(model: nn.Module, x: Tensor, base: str) -> tuple[str, str]:
    if base in ("lime", "rise"):
        return "", ""  # which look at no layer
    name = find_layer(model, None)[0] if hasattr(model, "default_layer") else last_spatial_layer(model, x)
    return name, name


def _picture(image: Tensor | Image.Image | Path | str, size: int) -> Tensor:
    """The picture, float [3,H,W] in [0,1]."""
    if isinstance(image, Tensor):
        if image.ndim != 3 or image.shape[0] != 3:
            raise ValueError(f"Expected an image [3,H,W]. Got shape {list(image.shape)}.")
        picture = image.float() / 255 if image.dtype == torch.uint8 else image.float()
        if not ((picture >= 0) & (picture <= 1)).all():
            raise ValueError(
                f"Expected uint8, or floats in [0,1] that are not normalised yet. Got {image.dtype} from "
                f"{image.min():g} to {image.max():g}."
            )
        return picture
    if isinstance(image, (str, Path)):
        file = Path(image)
        if not file.is_file():
            raise FileNotFoundError(f"Expected an image in {file}. Got no such file.")
        try:
            with Image.open(file) as opened:
                image = opened.convert("RGB")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise ValueError(f"Expected an image in {file}. Got: {error}.") from error
    if not isinstance(image, Image.Image):
        raise TypeError(f"Expected a file, a PIL image or a tensor [3,H,W]. Got {type(image).__name__}.")
    resized = functional.resize(image.convert("RGB"), [round(size * 8 / 7)])
    return functional.pil_to_tensor(functional.center_crop(resized, [size])).float() / 255
