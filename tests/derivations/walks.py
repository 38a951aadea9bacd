"""Metrics that walk from one image to another, written again: an image and a step at a time, and by quantus."""

import itertools

import numpy as np
import quantus
import torch
from scipy import stats
from scipy.ndimage import gaussian_filter
from torch import nn

from derivations import replicates
from derivations.metrics import QUIET, SIZE, by_quantus, smooth_maps, walked
from xai_lib import randomness

COLOURS = torch.tensor([0.1, 0.2, 0.3])[:, None, None]


def probability(model, image, target):
    with torch.no_grad():
        return model(image[None]).softmax(1)[0, target]


def both_outputs(outputs, _given):
    return torch.stack([outputs.probability, outputs.masked_probability, outputs.logit, outputs.masked_logit], 1)


@replicates("metrics.masking.masked_outputs", inputs=walked, each=True, after=both_outputs, atol=1e-6,
            cases=[{"baseline": "zero"}, {"baseline": "minimum"}, {"baseline": COLOURS}])  # fmt: skip
def masked_outputs(model, x, attribution, target, baseline):
    behind = {"zero": torch.zeros(()), "minimum": x.min()}[baseline] if isinstance(baseline, str) else baseline
    with torch.no_grad():
        whole, masked = model(torch.stack([x, attribution * x + (1 - attribution) * behind]))
    return torch.stack([whole.softmax(0)[target], masked.softmax(0)[target], whole[target], masked[target]])


@replicates(
    "metrics.completeness.logit_difference", inputs=walked, cases=[{"baseline": "minimum"}], each=True, atol=1e-6
)
def logit_difference(model, x, target):
    with torch.no_grad():
        whole, lowest = model(torch.stack([x, torch.full_like(x, float(x.min()))]))
    return whole[target] - lowest[target]


@replicates("metrics.pixel_flipping.pixel_flipping_curve", inputs=walked, each=True, atol=1e-6,
            cases=[{"step": 32}, {"step": 17}, {"step": 200}])  # fmt: skip
def pixel_flipping_curve(model, x, attribution, target, step):
    curve, order = [], attribution.flatten().argsort(descending=True)
    for removed in [*range(0, len(order), step), len(order)]:
        image = x.clone().flatten(1)
        image[:, order[:removed]] = x.min()
        curve.append(probability(model, image.reshape(x.shape), target))
    return torch.stack(curve)


def smooth(**settings):
    """Each value three times, once for each colour."""
    return walked(smooth_maps(6), **settings)


def flipped(area):
    options = {"features_in_step": 24, "perturb_baseline": "black", "abs": False, "return_auc_per_sample": area}
    return quantus.PixelFlipping(**options, **QUIET)


@replicates("metrics.pixel_flipping.released_curve", inputs=smooth, cases=[{"step": 24}], atol=1e-6)
def released_curve(model, x, attribution, target):
    return by_quantus(flipped(area=False), attribution, x, target, model=model)


@replicates("metrics.pixel_flipping.pixel_flipping_released", inputs=smooth, cases=[{"step": 24}], atol=1e-6)
def pixel_flipping_released(model, x, attribution, target):
    return by_quantus(flipped(area=True), attribution, x, target, model=model) / 17  # 18 points, spaced by 1


def tied(**settings):
    return walked(smooth_maps(6).round(decimals=1), ties="reversed", **settings)


def blurred_as_released(x):
    """One bright pixel, blurred within its square; each colour on its own, zeros beyond the border."""
    square = np.zeros((11, 11))
    square[5, 5] = 1
    kernel = torch.from_numpy(gaussian_filter(square, 5.0)).float()[None, None]
    return torch.cat([nn.functional.conv2d(colour[None, None], kernel, padding=5)[0] for colour in x])


CAUSAL = {"inputs": tied, "each": True, "cases": [{"step": None}, {"step": 9}], "atol": 1e-6}


def causal_curve(model, start, finish, attribution, target, step):
    start = start.clone().flatten(1)
    order = np.flip(np.argsort(attribution.numpy().ravel(), kind="stable")).copy()
    scores = []
    for first in range(0, len(order) + step, step):
        scores.append(probability(model, start.reshape(finish.shape), target))
        start[:, order[first : first + step]] = finish.flatten(1)[:, order[first : first + step]]
    return torch.stack(scores).double()


@replicates("metrics.causal.deletion_curve", **CAUSAL)
def deletion_curve(model, x, attribution, target, step):
    return causal_curve(model, x, torch.zeros_like(x), attribution, target, step or SIZE)


@replicates("metrics.causal.insertion_curve", **CAUSAL)
def insertion_curve(model, x, attribution, target, step):
    return causal_curve(model, blurred_as_released(x), x, attribution, target, step or SIZE)


SETS = {"inputs": walked, "each": True, "atol": 1e-6,
        "cases": [{"sets": sets, "baseline": end} for sets in (32, 7, 144) for end in ("zero", "minimum")]}  # fmt: skip


def sets_of(attribution, sets):
    ascending = attribution.flatten().argsort()
    ends = [len(ascending) * i // sets for i in range(sets + 1)]
    return [ascending[start:end] for start, end in itertools.pairwise(ends)]


@replicates("metrics.monotonicity.ascending_curve", **SETS)
def ascending_curve(model, x, attribution, target, sets, baseline):
    image = torch.full_like(x, 0 if baseline == "zero" else x.min()).flatten(1)
    curve = [probability(model, image.reshape(x.shape), target)]
    for pixels in sets_of(attribution, sets):
        image[:, pixels] = x.flatten(1)[:, pixels]
        curve.append(probability(model, image.reshape(x.shape), target))
    return torch.stack(curve)


@replicates("metrics.monotonicity.monotonicity", **SETS | {"atol": 1e-4})
def monotonicity(model, x, attribution, target, sets, baseline):
    means = [attribution.flatten()[pixels].mean() for pixels in sets_of(attribution, sets)]
    return stats.pearsonr(means, ascending_curve(model, x, attribution, target, sets, baseline)[1:]).statistic


@replicates("metrics.monotonicity.monotonicity_arya", **SETS)
def monotonicity_arya(model, x, attribution, target, sets, baseline):
    return np.mean(np.diff(ascending_curve(model, x, attribution, target, sets, baseline)[1:]) >= 0)


@replicates("metrics.monotonicity.monotonicity_quantus", inputs=smooth, cases=[{"seed": 3, "sets": 18, "samples": 5}],
            atol=1e-6)  # fmt: skip
def monotonicity_quantus(model, x, attribution, target, index, seed, sets, samples):
    """quantus, which replaces each set by the number that ours draws for it."""
    noise = randomness.uniform(seed, index, "monotonicity", (sets, samples)).flatten(1).numpy()
    calls = itertools.count()

    def perturb(arr, indices, **_):
        arr = arr.copy()
        arr[np.arange(len(arr))[:, None], indices] = noise[:, [next(calls)]]
        return arr

    options = {"nr_samples": samples, "features_in_step": 432 // sets, "perturb_func": perturb}
    return by_quantus(quantus.MonotonicityCorrelation(**options, **QUIET), attribution, x, target, model=model)


@replicates("metrics.effective_complexity.retention_loss", inputs=walked, each=True, atol=1e-6,
            cases=[{"baseline": end, "seed": 9, "step": 40} for end in ("zero", "minimum", COLOURS)])  # fmt: skip
def retention_loss(model, x, attribution, target, index, seed, step, baseline):
    whole, order, losses = probability(model, x, target), attribution.flatten().argsort(descending=True), []
    removed = {"zero": torch.zeros_like(x), "minimum": x.min()}[baseline] if isinstance(baseline, str) else baseline
    for k in [*range(step, len(order), step), len(order)]:
        kept = torch.zeros(len(order), dtype=torch.bool)
        kept[order[:k]] = True
        losses.append(probability(model, torch.where(kept.reshape(x.shape[1:]), x, removed), target) - whole)
    return torch.stack(losses).square()
