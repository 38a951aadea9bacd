"""Tables 1, 2 and 4 of the saliency paper, the metrics of maps alone, and the same scores in other readings."""

import math

import pandas as pd
import torch
from torch import Tensor

from xai_lib import explainers
from xai_lib.data import transforms
from xai_lib.data.split import Split
from xai_lib.explainers.layers import find_layer
from xai_lib.explainers.passes import layer_activations, logits_behind
from xai_lib.explainers.subject import Subject
from xai_lib.metrics import causal, completeness, complexity, effective_complexity, localisation, masking
from xai_lib.metrics.rows import rows
from xai_lib.papers.saliency.method.maps import Batch, Explained, batches

TARGETS = ("ground-truth", "predicted", "least-probable")
_TRANSFORMED = 50  # images at a time
_MASKED = ("average-increase", "average-drop", "average-gain", "local-accuracy", "local-accuracy-logit")
_CURVES = ("insertion", "deletion")


def fidelity(
    explained: Explained, images: Split, stored: dict[str, Tensor], *, causal_steps: int, n_readings: int
) -> pd.DataFrame:
    """Scores of a method's maps for the true, the predicted and the least probable class (§5.2).

    Rows index, metric, value, target (one of :data:`TARGETS`), reading: of :data:`lineup.READINGS` those in which the
    maps differ. ``probability`` is the network's for the target. ``stored`` are the images' raw maps, of
    :func:`maps.raw_maps`. Insertion and deletion take ``causal_steps`` from the one end to the other. The first
    ``n_readings`` images are also scored with one thing changed from the first reading: ranks, ties, baselines.
    """
    parts = []
    for batch in batches(explained, images, stored):
        parts += _of_batch(explained, batch, causal_steps)
        if n_readings > 0:
            parts += _readings(explained, batch, slice(n_readings), causal_steps)
            n_readings -= len(batch.x)
    return pd.concat(parts, ignore_index=True)


def of_maps(
    subject: Subject, x: Tensor, maps: Tensor, target: Tensor, index: Tensor, causal_steps: int
) -> dict[str, Tensor]:
    """The fidelity metrics of Tables 1, 2 and 4, and the probability of the target: metric -> [B].

    Of normalised images, float [B,3,H,W], maps in [0, 1], float [B,H,W], classes and image indices, both int64 [B].
    """
    outputs = masking.masked_outputs(subject.network, x, maps, target)
    order = {"index": index, "step": step_size(x, causal_steps)}
    curves = {name: getattr(causal, name)(subject.network, x, maps, target, **order) for name in _CURVES}
    return {"probability": outputs.probability, **_masked(outputs), **curves}


def transformed(explained: Explained, images: Split, *, causal_steps: int) -> pd.DataFrame:
    """Fidelity for the true class of transformed images, four settings a transformation (§5.3).

    Rows index, metric, value, transform, setting, reading (of :data:`lineup.READINGS`, those in which the maps differ);
    `causal_steps` are those of insertion and deletion.
    """
    device, parts = explained.subject.device, []
    for transform, levels in transforms.TRANSFORMS.items():
        for setting in levels:
            changed = transforms.apply(images, transform, setting)
            for batch in changed.batches(_TRANSFORMED):
                x = changed.normalise(batch.images.to(device))
                labels, index = batch.labels.to(device), batch.index.to(device)
                raw, where = explained.raw(x, labels, index), {"transform": transform, "setting": setting}
                for reading in explained.readings:
                    maps = explained.scaled(raw, x, reading)
                    values = of_maps(explained.subject, x, maps, labels, index, causal_steps)
                    parts.append(rows(batch.index, values, **where, reading=reading))
    return pd.concat(parts, ignore_index=True)


def completeness_gap(explained: Explained, x: Tensor, raw: Tensor, labels: Tensor) -> Tensor:
    """The completeness gap of raw maps for classes int64 [B], against what their method attributes, float32 [B].

    ``about(method).complete`` says what that is; NaN where the method claims no sum, or attributes no logit.
    """
    network, claim = explained.subject.network, explainers.about(explained.method).complete
    if claim is None:
        return torch.full((len(x),), torch.nan)
    nothing = torch.zeros(len(x)) if claim == "logit" else None
    if claim == "layer":
        _, module = find_layer(network, explained.subject.layer)
        with torch.inference_mode():
            silent = torch.zeros_like(layer_activations(network, x, module))
            nothing = logits_behind(network, module, x, silent).gather(1, labels[:, None])[:, 0]
    return completeness.completeness(network, x, raw, labels, nothing=nothing)


def step_size(x: Tensor, steps: int) -> int:
    """Pixels a step, so that there are at most ``steps`` of them: ⌈HW / steps⌉ for images [B,C,H,W]."""
    return math.ceil(x.shape[-2] * x.shape[-1] / steps)


def _of_batch(explained: Explained, batch: Batch, causal_steps: int) -> list[pd.DataFrame]:
    parts = []
    for position, name in enumerate(TARGETS):
        raw, target = batch.raw[:, position], batch.target[:, position]
        for reading in explained.readings:
            maps = explained.scaled(raw, batch.x, reading)
            values = of_maps(explained.subject, batch.x, maps, target, batch.index, causal_steps)
            if position == 0:
                values |= _alone(explained, batch, raw, maps)
            parts.append(rows(batch.index, values, target=name, reading=reading))
    return parts


def _alone(explained: Explained, batch: Batch, raw: Tensor, maps: Tensor) -> dict[str, Tensor]:
    """Metrics of one map: its shape, its sum, and where it lies."""
    network, x, labels = explained.subject.network, batch.x, batch.target[:, 0]
    values = {
        "completeness": completeness_gap(explained, x, raw, labels),
        "completeness-quantus": completeness.completeness_quantus(network, x, maps, labels),  # as the paper scored maps
        "sparseness": complexity.sparseness(maps),
        "complexity": complexity.complexity(maps),
        "effective-complexity": effective_complexity.effective_complexity(maps),
    }
    if "object" in batch.masks:
        values["pointing-game"] = localisation.pointing_game(maps, batch.masks["object"])
        values["attribution-localisation"] = localisation.attribution_localisation(maps, batch.masks["object"])
    return values


def _readings(explained: Explained, batch: Batch, first: slice, causal_steps: int) -> list[pd.DataFrame]:
    """The same maps as ranks, and under other tie rules and baselines: one thing changed at a time."""
    x, raw, labels, index = batch.x[first], batch.raw[first, 0], batch.target[first, 0], batch.index[first]
    network, maps, by_rank = explained.subject.network, *(explained.scaled(raw, x, how) for how in ("absolute", "rank"))

    def masked(some: Tensor, **changed: str) -> dict[str, Tensor]:
        return _masked(masking.masked_outputs(network, x, some, labels, **changed))

    def ordered(*names: str, **changed: str) -> dict[str, Tensor]:
        order = {"index": index, "step": step_size(x, causal_steps), **changed}
        return {name: getattr(causal, name)(network, x, maps, labels, **order) for name in names}

    found = {
        "ranks": masked(by_rank),
        "ties from the top": ordered(*_CURVES, ties="stable"),
        "ties from the bottom": ordered(*_CURVES, ties="reversed"),
        "black": masked(maps, baseline="minimum") | ordered(*_CURVES, baseline="minimum"),
        "mean colour": ordered("insertion", baseline="zero"),
        "blur": ordered("deletion", baseline="blur"),
    }
    return [rows(index, values, target=TARGETS[0], reading=reading) for reading, values in found.items()]


def _masked(outputs: masking.MaskedOutputs) -> dict[str, Tensor]:
    return {name: getattr(masking, f"{name.replace('-', '_')}_of")(outputs) for name in _MASKED}
