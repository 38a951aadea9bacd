"""One photograph explained on one page: top classes, maps of several methods beside uninformed ones, two stages."""

import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from IPython.display import HTML
from matplotlib import pyplot as plt
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

from xai_lib import explainers, files, pretrained
from xai_lib.checks import in_a_line
from xai_lib.data import imagenet
from xai_lib.explainers.adapter import raw_maps
from xai_lib.explainers.bottleneck import feature_statistics
from xai_lib.explainers.layers import at_depth, find_layer
from xai_lib.explainers.normalise import unit_maps
from xai_lib.forward import device_of
from xai_lib.metrics import causal
from xai_lib.models import is_multi_label
from xai_lib.page import images, standalone, table
from xai_lib.page.names import METHOD_NAMES, METRIC_NAMES
from xai_lib.page.style import PAGE_WIDTH, SMALL
from xai_lib.papers.saliency.method import lineup, step_size
from xai_lib.papers.whole_output import explain_output
from xai_lib.your_images import normalised, picture
from xai_lib.your_model import check_model, load_model, two_classes

NETWORK = "package:efficientnet-lite0"
METHODS = ("grad-cam", "grad-cam++", "layer-cam", "integrated-gradients", "rise", "lime")
UNINFORMED = ("edge-map", "centred-gaussian")
# Less than the methods' own, so that a page is quick.
SETTINGS = {"integrated-gradients": {"steps": 16}, "rise": {"n_masks": 150}, "lime": {"n_samples": 100}}
SETTINGS |= {"score-cam": {"n_channels": 64}}
TOP = 5  # classes that are named
STEPS = 10  # of insertion and deletion
_SUFFIXES = (".html", ".png")
_WORDS = Path(standalone.__file__).with_name("explanation.html")
_BOOK = Path(__file__).parents[1] / "book/_build/html"
_ABREAST = 4  # pictures


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a page says of a photograph; :meth:`save` writes it."""

    photograph: str  # what it is called
    network: str  # what it is called
    layer: str | None  # the one that class activation maps explain; None where none was found
    n_classes: int  # that the network knows
    image: Tensor  # what the network was shown, float [3,H,W] in [0,1]
    top: pd.DataFrame  # the most probable classes, of which the first is explained: name, probability
    maps: dict[str, Tensor]  # method -> map in [0,1], float [H,W]
    scores: pd.DataFrame  # method, insertion, deletion, reason; only a reason where a method does not apply
    two_stages: Figure | str  # of all top classes, by CWOX-2s; or why there is none

    def save(self, file: Path | str) -> Path:
        """Write one self-contained HTML page, or the pictures as a PNG; ValueError for another suffix."""
        file = checked_output(file)
        drawn = [standalone.png(figure) for figure in (self.figure(), self.two_stages) if isinstance(figure, Figure)]
        if file.suffix == ".html":
            return standalone.write(file, f"{self.photograph}, explained", _page(self, drawn, file.parent))
        pictures = [Image.open(io.BytesIO(content)).convert("RGB") for content in drawn]
        whole = Image.new("RGB", (max(one.width for one in pictures), sum(one.height for one in pictures)), "white")
        for place, one in enumerate(pictures):
            whole.paste(one, (0, sum(above.height for above in pictures[:place])))
        with files.atomically(file) as opened:
            whole.save(opened, "png")
        return file

    def figure(self) -> Figure:
        """The photograph, its top classes, and all maps, under one colour bar."""
        height = math.ceil((2 + len(self.maps)) / _ABREAST)
        figure = Figure(figsize=(PAGE_WIDTH, 2.1 * height + 0.6), layout="constrained")
        axes = list(figure.subplots(height, _ABREAST, squeeze=False).flat)
        for axis in axes:
            axis.axis("off")
        images.show(axes[0], self.image)
        axes[0].set_title("the photograph", fontsize=SMALL)
        listed = "\n".join(f"{share:.3f} {name}"[:28] for name, share in self.top.itertuples(index=False))
        axes[1].text(0, 1, listed, va="top", fontsize=SMALL - 1, parse_math=False)
        axes[1].set_title("top classes", fontsize=SMALL)
        for axis, (name, heat) in zip(axes[2:], self.maps.items()):
            images.overlay(axis, self.image, heat)
            axis.set_title(METHOD_NAMES[name] + "\n(uninformed)" * (name in lineup.UNINFORMED), fontsize=SMALL)
        colours = ScalarMappable(cmap="inferno")
        colours.set_clim(0, 1)
        bar = figure.colorbar(colours, ax=axes, location="bottom", shrink=0.5, aspect=40, alpha=0.6)
        bar.set_label("value of a map, from its lowest (0) to its highest (1)", fontsize=SMALL)
        return figure

    def table(self) -> HTML:
        """Insertion and deletion of each map, or why there is none."""
        named = lambda name: METHOD_NAMES[name] + " (uninformed)" * (name in lineup.UNINFORMED)  # noqa: E731
        columns = [table.text("map", "method", named)]
        columns += [table.Column(METRIC_NAMES[name], name, table.number(3)) for name in ("insertion", "deletion")]
        if self.scores["reason"].any():
            columns.append(table.Column("why there is no map", "reason", kind="long"))
        return table.show(self.scores, columns, f"Insertion and deletion of each map for {self.top['name'][0]!r}.")


def explain(
    image: Tensor | Image.Image | Path | str | None = None, model: nn.Module | str = NETWORK, *,
    classes: Sequence[str] | None = None, methods: Sequence[str] = METHODS, size: int | None = None,
    mean: Sequence[float] | None = None, std: Sequence[float] | None = None,
    reference: Sequence[Image.Image | Path | str] = (), **loading: Any,
) -> Explanation:  # fmt: skip
    """Explain the most probable class of a photograph by several methods, and all its top classes in two stages.

    Args:
        image: a file, a PIL image or a tensor, as :func:`xai_lib.your_images.picture` takes it; None for a photograph
            of a cat that scikit-image ships.
        model: a name, as :func:`xai_lib.your_model.load_model` takes it, with that function's other arguments as
            ``loading``; or a network, images [B,3,H,W] -> logits [B,C], in evaluation mode. One logit is two classes.
        classes: names of the C classes; None for ImageNet's where there are 1000, else their numbers.
        methods: names of explainers. One that cannot explain the network has a reason in place of a map.
        size, mean, std: side in pixels and colour statistics that the network was trained with; None for what is known
            of its name, or a network of timm says of itself, else 224 and ImageNet's.
        reference: other photographs, two at least, from which IBA takes the mean and spread of a layer's activations.

    FileNotFoundError if there is no such file; TypeError, ValueError if the image cannot be read, there is no such
    method or network, or the network cannot be explained here.
    """
    for name in methods:
        explainers.about(name)  # raises if there is none, before a network is loaded
    photograph, image = _photograph(image)
    network, own = (load_model(model, **loading), pretrained.inputs(model)) if isinstance(model, str) else (model, None)
    if says := getattr(network, "pretrained_cfg", None):
        own = own or pretrained.Inputs(says["input_size"][-1], says["mean"], says["std"])
    own = own or pretrained.Inputs()
    size, mean, std = own.size if size is None else size, mean or own.mean, std or own.std
    shown = picture(image, size).to(device_of(network))
    x = normalised(shown[None], mean, std)
    network = two_classes(network, x)
    logits = check_model(network, x, None if classes is None else len(classes))[0].cpu()
    probabilities = logits.sigmoid() if is_multi_label(network) else logits.softmax(0)
    n = len(probabilities)
    names = list(map(str, classes or (imagenet.CLASSES if n == len(imagenet.CLASSES) else range(n))))
    values, places = probabilities.topk(min(TOP, n))
    top = pd.DataFrame({"name": [names[place] for place in places], "probability": values.tolist()})
    layer = (_or_reason(find_layer, network, None, x)[0] or [None])[0]
    others = normalised(torch.stack([picture(one, size) for one in reference]).to(x), mean, std) if reference else None
    wanted = tuple(dict.fromkeys((*methods, *UNINFORMED)))
    found = {name: _or_reason(_explained, network, x, places[:1], name, layer, others) for name in wanted}
    rows = [{"method": name, **(one[1] if one else {}), "reason": reason} for name, (one, reason) in found.items()]
    stages, reason = _or_reason(explain_output, network, shown, classes=names, mean=mean, std=std)
    if stages:
        plt.close(stages)  # or a notebook shows it unasked
    return Explanation(
        photograph, model if isinstance(model, str) else type(model).__name__, layer, n, shown.cpu(), top,
        {name: one[0] for name, (one, _) in found.items() if one},
        pd.DataFrame(rows, columns=["method", "insertion", "deletion", "reason"]), stages or reason,
    )  # fmt: skip


def checked_output(file: Path | str) -> Path:
    """The file; ValueError if it is named like neither a page nor a picture."""
    if Path(file).suffix not in _SUFFIXES:
        raise ValueError(f"Expected an output that ends in {' or '.join(_SUFFIXES)}. Got {str(file)!r}.")
    return Path(file)


def _photograph(image: Any) -> tuple[str, Any]:
    """What a photograph is called, and the photograph."""
    if image is None:
        from skimage import data

        return "Chelsea the cat", Image.fromarray(data.chelsea())
    if isinstance(image, (str, Path)):
        picture(image, 8)  # raises if it cannot be read, before a network is loaded
        return Path(image).name, image
    return "A picture", image


def _or_reason(do: Any, *given: Any, **more: Any) -> tuple[Any, str]:
    """What a call returns, or None with the reason why it refuses."""
    try:
        return do(*given, **more), ""
    except Exception as error:  # a network of one's own can make a method fail in any way
        return None, in_a_line(error)


def _explained(
    network: nn.Module, x: Tensor, target: Tensor, method: str, layer: str | None, others: Tensor | None
) -> tuple[Tensor, dict[str, float]]:
    """The map of one method, [H,W] in [0,1], with its insertion and deletion."""
    known = explainers.about(method)
    if known.needs and others is None:
        got = f"{method}, which needs {known.needs[0]}"
        raise ValueError(f"Expected a method that one photograph is enough for, or a reference. Got {got}.")
    target, size = target.to(x.device), tuple(x.shape[-2:])
    given = {"index": torch.zeros_like(target), "step": step_size(x, STEPS)}
    more = {"layer": layer, "settings": SETTINGS.get(method)}
    if others is not None:
        more["statistics"] = lambda: feature_statistics(network, [others], at_depth(network, layer, known.depth, x))
    raw = raw_maps(network, method, x, target, given["index"], **more)
    maps = unit_maps(raw.detach(), method, size)
    if not maps.isfinite().all() or maps.amax() == maps.amin():
        raise ValueError("Expected a map that differs between pixels. Got the same value everywhere, or NaN.")
    curves = {"insertion": causal.insertion, "deletion": causal.deletion}
    return maps[0].cpu(), {name: curve(network, x, maps, target, **given).item() for name, curve in curves.items()}


def _page(found: Explanation, drawn: Sequence[bytes], folder: Path) -> str:
    """The words of the page, with its tables and pictures."""
    explained = found.top["name"][0]
    shares = [table.text("class", "name"), table.Column("probability", "probability", table.number(3))]
    maps = f"Maps for {explained!r} of {len(found.maps)} methods over the photograph."
    stages = "A map for each cluster of top classes, then one for each class, from 0 to the map's own maximum."
    less = ", ".join(
        f"{METHOD_NAMES[name]} {n} {what.removeprefix('n_')}" for name, of in SETTINGS.items() for what, n in of.items()
    )
    given = {
        "photograph": escape(found.photograph), "network": escape(found.network), "size": found.image.shape[-1],
        "layer": f"Class activation maps explain the layer <code>{escape(found.layer)}</code>." if found.layer else "",
        "top": table.show(found.top, shares, f"The {len(found.top)} most probable classes.").data,
        "n_classes": found.n_classes, "explained": escape(explained), "steps": STEPS,
        "maps": standalone.picture(drawn[0], maps, maps),
        "scores": found.table().data,
        "stages": standalone.picture(drawn[1], stages, stages) if drawn[1:] else f"<p>– {escape(found.two_stages)}</p>",
        "less": less, "book": escape(os.path.relpath(_BOOK, folder)),
    }  # fmt: skip
    return _WORDS.read_text(encoding="utf-8").format(**given)
