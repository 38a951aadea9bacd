"""Tables 1 and 2 of the saliency paper, the metrics of maps alone, and the same scores in other readings."""

import math

import pandas as pd
import torch
from torch import Tensor

from xai_lib.data.split import Batch, Split
from xai_lib.explainers import cams, normalise
from xai_lib.explainers.subject import Subject
from xai_lib.metrics import causal, completeness, complexity, effective_complexity, localisation, masking
from xai_lib.metrics.rows import rows

TARGETS = ("ground-truth", "predicted", "least-probable")
_BATCH = 50


def fidelity(
    subject: Subject, method: str, settings: dict, images: Split, *, causal_steps: int, n_readings: int
) -> pd.DataFrame:
    """Scores of a method's maps for the true, the predicted and the least probable class (§5.2).

    Args:
        subject: network and device.
        method: name of an explainer.
        settings: its keywords.
        images: what is explained.
        causal_steps: steps of insertion and deletion from the one end to the other.
        n_readings: how many of the images, from the first, are also scored in other readings: normalisations, orders
            of ties, baselines.

    Returns:
        Rows index, metric, value, target (one of :data:`TARGETS`), reading ("paper", or what differs from it).
        ``probability`` is the network's for the target.
    """
    parts, done = [], 0
    for batch in images.batches(_BATCH):
        positions = slice(done, done + len(batch.labels))
        masks = {name: mask[positions] for name, mask in images.masks.items()}
        parts += _of_batch(subject, method, settings, images, batch, masks, causal_steps, n_readings - done)
        done += len(batch.labels)
    return pd.concat(parts, ignore_index=True)


def of_maps(
    subject: Subject, x: Tensor, maps: Tensor, target: Tensor, index: Tensor, causal_steps: int
) -> dict[str, Tensor]:
    """The fidelity metrics of Tables 1, 2 and 4, and the probability of the target: metric -> [B].

    Args:
        subject: whose network is asked.
        x: normalised images, float [B,3,H,W].
        maps: in [0, 1], float [B,H,W].
        target: classes, int64 [B].
        index: image indices, int64 [B].
        causal_steps: steps of insertion and deletion.
    """
    outputs = masking.masked_outputs(subject.network, x, maps, target)
    step = step_size(x, causal_steps)
    order = {"index": index, "step": step}
    return {
        "probability": outputs.probability,
        **_masked(outputs),
        "insertion": causal.insertion(subject.network, x, maps, target, **order),
        "deletion": causal.deletion(subject.network, x, maps, target, **order),
    }


def step_size(x: Tensor, steps: int) -> int:
    """Pixels a step, so that there are at most ``steps`` of them."""
    return math.ceil(x.shape[-2] * x.shape[-1] / steps)


def _of_batch(
    subject: Subject,
    method: str,
    settings: dict,
    images: Split,
    batch: Batch,
    masks: dict[str, Tensor],
    causal_steps: int,
    n_readings: int,
) -> list[pd.DataFrame]:
    x = images.normalise(batch.images.to(subject.device))
    index, labels = batch.index.to(subject.device), batch.labels.to(subject.device)
    with torch.inference_mode():
        logits = subject.network(x)
    target = torch.stack([labels, logits.argmax(dim=1), logits.argmin(dim=1)], dim=1)  # [B,3]
    raw = subject.raw_maps(method, settings, x, target, index)
    size = tuple(x.shape[-2:])
    parts = []
    for position, name in enumerate(TARGETS):
        maps = normalise.unit_maps(raw[:, position], method, size)
        values = of_maps(subject, x, maps, target[:, position], index, causal_steps)
        if position == 0:
            values |= _alone(subject, x, raw[:, position], maps, labels, masks)
        parts.append(rows(index, values, target=name, reading="paper"))
    first = slice(0, max(n_readings, 0))
    if first.stop:
        parts += _readings(
            subject, method, x[first], raw[first, 0], labels[first], index[first], step_size(x, causal_steps)
        )
    return parts


def _alone(
    subject: Subject, x: Tensor, raw: Tensor, maps: Tensor, labels: Tensor, masks: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Metrics of one map: its shape, its sum, and where it lies."""
    values = {
        "completeness": completeness.completeness(subject.network, x, _on_pixels(raw, x), labels),
        "completeness-quantus": completeness.completeness_quantus(subject.network, x, _on_pixels(raw, x), labels),
        "sparseness": complexity.sparseness(maps),
        "complexity": complexity.complexity(maps),
        "effective-complexity": effective_complexity.effective_complexity(maps),
    }
    if "object" in masks:
        mask = masks["object"].to(maps.device)
        values["pointing-game"] = localisation.pointing_game(maps, mask)
        values["attribution-localisation"] = localisation.attribution_localisation(maps, mask)
    return values


def _readings(
    subject: Subject, method: str, x: Tensor, raw: Tensor, labels: Tensor, index: Tensor, step: int
) -> list[pd.DataFrame]:
    """The same maps under other normalisations, tie rules and baselines: one thing changed at a time."""
    network, size = subject.network, tuple(x.shape[-2:])
    maps = normalise.unit_maps(raw, method, size)
    order = {"index": index, "step": step}

    def causal_scores(some: Tensor, ties: str = "random") -> dict[str, Tensor]:
        return {
            "insertion": causal.insertion(network, x, some, labels, ties=ties, **order),
            "deletion": causal.deletion(network, x, some, labels, ties=ties, **order),
        }

    absolute = normalise.unit_maps(raw, method, size, "absolute")
    by_rank = normalise.unit_maps(raw, method, size, "rank")  # the order of pixels is that of the paper's map
    found = {
        "absolute values": _masked(masking.masked_outputs(network, x, absolute, labels)) | causal_scores(absolute),
        "ranks": _masked(masking.masked_outputs(network, x, by_rank, labels)),
        "ties from the top": causal_scores(maps, "stable"),
        "ties from the bottom": causal_scores(maps, "reversed"),
        "black": _masked(masking.masked_outputs(network, x, maps, labels, baseline="minimum"))
        | {
            "insertion": causal.insertion(network, x, maps, labels, baseline="minimum", **order),
            "deletion": causal.deletion(network, x, maps, labels, baseline="minimum", **order),
        },
        "mean colour": {"insertion": causal.insertion(network, x, maps, labels, baseline="zero", **order)},
        "blur": {"deletion": causal.deletion(network, x, maps, labels, baseline="blur", **order)},
    }
    return [rows(index, values, target=TARGETS[0], reading=reading) for reading, values in found.items()]


def _masked(outputs: masking.MaskedOutputs) -> dict[str, Tensor]:
    return {
        "average-increase": masking.average_increase_of(outputs),
        "average-drop": masking.average_drop_of(outputs),
        "average-gain": masking.average_gain_of(outputs),
        "local-accuracy": masking.local_accuracy_of(outputs),
        "local-accuracy-logit": masking.local_accuracy_logit_of(outputs),
    }


def _on_pixels(raw: Tensor, x: Tensor) -> Tensor:
    """Raw maps where pixels can be summed: those on a layer's grid resized to the image."""
    return raw if raw.shape[-2:] == x.shape[-2:] else cams.upsample(raw, tuple(x.shape[-2:]))
