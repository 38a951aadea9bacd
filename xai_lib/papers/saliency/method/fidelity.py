"""Tables 1 and 2 of the saliency paper, the metrics of maps alone, and the same scores in other readings."""

import math

import pandas as pd
from torch import Tensor

from xai_lib.data.split import Split
from xai_lib.explainers import cams, normalise
from xai_lib.explainers.subject import Subject
from xai_lib.metrics import causal, completeness, complexity, effective_complexity, localisation, masking
from xai_lib.metrics.rows import rows
from xai_lib.papers.saliency.method.maps import Batch, Explained, batches

TARGETS = ("ground-truth", "predicted", "least-probable")
_MASKED = ("average-increase", "average-drop", "average-gain", "local-accuracy", "local-accuracy-logit")


def fidelity(
    explained: Explained, images: Split, stored: dict[str, Tensor], *, causal_steps: int, n_readings: int
) -> pd.DataFrame:
    """Scores of a method's maps for the true, the predicted and the least probable class (§5.2).

    Rows index, metric, value, target (one of :data:`TARGETS`), reading ("paper", or what differs from it);
    ``probability`` is the network's for the target. ``stored`` are the images' raw maps, of :func:`maps.raw_maps`.
    Insertion and deletion take ``causal_steps`` from the one end to the other. The first ``n_readings`` images are also
    scored in other readings: normalisations, orders of ties, baselines.
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
    return {
        "probability": outputs.probability,
        **_masked(outputs),
        "insertion": causal.insertion(subject.network, x, maps, target, **order),
        "deletion": causal.deletion(subject.network, x, maps, target, **order),
    }


def step_size(x: Tensor, steps: int) -> int:
    """Pixels a step, so that there are at most ``steps`` of them: ⌈HW / steps⌉ for images [B,C,H,W].

    Example:
        >>> import torch
        >>> step_size(torch.zeros(1, 3, 32, 32), 3)
        342
    """
    return math.ceil(x.shape[-2] * x.shape[-1] / steps)


def _of_batch(explained: Explained, batch: Batch, causal_steps: int) -> list[pd.DataFrame]:
    parts = []
    for position, name in enumerate(TARGETS):
        raw, target = batch.raw[:, position], batch.target[:, position]
        maps = normalise.unit_maps(raw, explained.method, tuple(batch.x.shape[-2:]))
        values = of_maps(explained.subject, batch.x, maps, target, batch.index, causal_steps)
        if position == 0:
            values |= _alone(explained.subject, batch, raw, maps)
        parts.append(rows(batch.index, values, target=name, reading="paper"))
    return parts


def _alone(subject: Subject, batch: Batch, raw: Tensor, maps: Tensor) -> dict[str, Tensor]:
    """Metrics of one map: its shape, its sum, and where it lies."""
    x, labels = batch.x, batch.target[:, 0]
    on_pixels = raw if raw.shape[-2:] == x.shape[-2:] else cams.upsample(raw, tuple(x.shape[-2:]))
    values = {
        "completeness": completeness.completeness(subject.network, x, on_pixels, labels),
        "completeness-quantus": completeness.completeness_quantus(subject.network, x, on_pixels, labels),
        "sparseness": complexity.sparseness(maps),
        "complexity": complexity.complexity(maps),
        "effective-complexity": effective_complexity.effective_complexity(maps),
    }
    if "object" in batch.masks:
        values["pointing-game"] = localisation.pointing_game(maps, batch.masks["object"])
        values["attribution-localisation"] = localisation.attribution_localisation(maps, batch.masks["object"])
    return values


def _readings(explained: Explained, batch: Batch, first: slice, causal_steps: int) -> list[pd.DataFrame]:
    """The same maps under other normalisations, tie rules and baselines: one thing changed at a time."""
    network, size = explained.subject.network, tuple(batch.x.shape[-2:])
    x, raw, labels, index = batch.x[first], batch.raw[first, 0], batch.target[first, 0], batch.index[first]
    maps, absolute, by_rank = (  # the order of pixels is that of the paper's map in ranks
        normalise.unit_maps(raw, explained.method, size, how) for how in ("paper", "absolute", "rank")
    )

    def masked(some: Tensor, **changed: str) -> dict[str, Tensor]:
        return _masked(masking.masked_outputs(network, x, some, labels, **changed))

    def ordered(some: Tensor, *names: str, **changed: str) -> dict[str, Tensor]:
        order = {"index": index, "step": step_size(x, causal_steps), **changed}
        return {name: getattr(causal, name)(network, x, some, labels, **order) for name in names}

    both = ("insertion", "deletion")
    found = {
        "absolute values": masked(absolute) | ordered(absolute, *both),
        "ranks": masked(by_rank),
        "ties from the top": ordered(maps, *both, ties="stable"),
        "ties from the bottom": ordered(maps, *both, ties="reversed"),
        "black": masked(maps, baseline="minimum") | ordered(maps, *both, baseline="minimum"),
        "mean colour": ordered(maps, "insertion", baseline="zero"),
        "blur": ordered(maps, "deletion", baseline="blur"),
    }
    return [rows(index, values, target=TARGETS[0], reading=reading) for reading, values in found.items()]


def _masked(outputs: masking.MaskedOutputs) -> dict[str, Tensor]:
    return {name: getattr(masking, f"{name.replace('-', '_')}_of")(outputs) for name in _MASKED}
