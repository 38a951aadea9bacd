"""Metrics, written again: an image and a step at a time, by scipy and scikit-image, and by quantus."""

import itertools
from functools import partial
from unittest import mock

import numpy as np
import quantus
import torch
from scipy import stats
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity
from torch import nn

from derivations import replicates
from xai_lib import explainers, randomness

SIZE = 12
QUIET = {"disable_warnings": True, "normalise": False}
COLOURS = torch.tensor([0.1, 0.2, 0.3])[:, None, None]


def smooth_maps(n, size=SIZE, seed=0, dtype=torch.float32):
    """Smooth maps in [0,1], as a CAM gives them."""
    generator = torch.Generator().manual_seed(seed)
    grids = torch.rand(n, 1, 4, 4, generator=generator, dtype=torch.float64)
    maps = nn.functional.interpolate(grids, size=(size, size), mode="bilinear")[:, 0]
    lowest, highest = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return ((maps - lowest) / (highest - lowest)).to(dtype)


def small_network():
    """A small convolutional classifier of four classes in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = [nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 4)]
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), *head).eval()


class ShareModel(nn.Module):
    """P(class 0) is exactly the weighted sum of the pixels of an image of one colour."""

    def __init__(self, weights):
        super().__init__()
        self.register_buffer("weights", torch.tensor(weights))

    def forward(self, x):
        probability = (x[:, 0] * self.weights).sum((1, 2)).clamp(1e-30, 1)
        return torch.stack([probability, 1 - probability], dim=1).log()


def walked(attribution=None, **settings):
    """A network, six images, maps without ties and classes."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(6, 3, SIZE, SIZE, generator=generator)
    maps = torch.rand(6, SIZE, SIZE, generator=generator) if attribution is None else attribution
    target, index = torch.tensor([0, 1, 2, 3, 0, 1]), torch.arange(20, 26)
    return {"model": small_network(), "x": x, "attribution": maps, "target": target, "index": index} | settings


def by_quantus(metric, attribution, x=None, target=None, mask=None, model=None):
    """Scores of a quantus metric, each map passed with one channel; an explanation's own scale is kept."""
    n, height, width = attribution.shape
    x = torch.zeros(n, 3, height, width) if x is None else x
    arrays = {
        "x_batch": x.numpy().copy(),
        "y_batch": (torch.zeros(n, dtype=torch.int64) if target is None else target).numpy(),
        "a_batch": attribution[:, None].numpy().copy(),
        "s_batch": None if mask is None else mask[:, None].numpy(),
    }
    model = nn.Identity() if model is None else model
    with mock.patch.object(np, "trapz", np.trapezoid, create=True):  # gone from numpy 2.4, still called by quantus 0.6
        values = metric(model=model, **arrays, channel_first=True, softmax=True, device="cpu")
    return torch.tensor(np.asarray(values, dtype=float))


def probability(model, image, target):
    with torch.no_grad():
        return model(image[None]).softmax(1)[0, target]


# Walks from one image to another


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


def alike(scores):
    """The released area, in which every step counts alike."""
    return (scores.sum() - scores[0] / 2 - scores[-1] / 2) / (len(scores) - 1)


@replicates("metrics.causal.deletion", **CAUSAL)
def deletion(model, x, attribution, target, step):
    return alike(deletion_curve(model, x, attribution, target, step))


@replicates("metrics.causal.insertion", **CAUSAL)
def insertion(model, x, attribution, target, step):
    return alike(insertion_curve(model, x, attribution, target, step))


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
            cases=[{"baseline": end, "seed": 9, "step": 40, "samples": 3}
                   for end in ("zero", "uniform", COLOURS)])  # fmt: skip
def retention_loss(model, x, attribution, target, index, seed, step, baseline, samples):
    whole, order, losses = probability(model, x, target), attribution.flatten().argsort(descending=True), []
    for k in [*range(step, len(order), step), len(order)]:
        kept = torch.zeros(len(order), dtype=torch.bool)
        kept[order[:k]] = True
        errors = []
        for draw in range(samples):
            share = randomness.uniform(seed, index[None], f"effective complexity/draw {draw}", tuple(x.shape))[0]
            drawn = {"zero": torch.zeros_like(x), "uniform": x.min() + share * (x.max() - x.min())}
            removed = drawn[baseline] if isinstance(baseline, str) else baseline
            errors.append(probability(model, torch.where(kept.reshape(x.shape[1:]), x, removed), target) - whole)
        losses.append(torch.stack(errors).square().mean())
    return torch.stack(losses)


# Explanations made twice


def noise_of(draw, seed, index):
    return 0.2 * (2 * randomness.uniform(seed, index, f"sensitivity/draw {draw}", (3, SIZE, SIZE)) - 1)


def explained(**settings):
    found = walked(seed=11, draws=7, **settings)
    network = found.pop("model")

    def explain(x, target, index):
        score = explainers.class_score(target)
        return explainers.cams.grad_cam(network, x, score=score, layer="2") + 0.05

    return found | {"explain": explain, "network": network}


VARIANTS = [{"variant": "paper"}, {"variant": "released"}]


@replicates("metrics.sensitivity.sensitivities", inputs=explained, cases=VARIANTS, rtol=1e-5, atol=1e-6)
def sensitivities(explain, x, target, index, seed, draws, variant):
    maps, moved = explain(x, target, index), []
    for draw in range(draws):
        others = explain(x + noise_of(draw, seed, index), target, index)
        moved.append((maps - others).flatten(1).norm(dim=1))
    return torch.stack(moved, 1) / (maps.flatten(1).norm(dim=1)[:, None] if variant == "released" else 1)


def sensitivity_by_quantus(metric, explain, network, x, target, index, seed, draws, variant):
    draw = itertools.count()

    def perturb(arr, indices, **bounds):
        assert bounds["lower_bound"] == 0.2  # quantus' default is ours
        return arr + noise_of(next(draw), seed, index).reshape(arr.shape).numpy()

    def explain_func(model, inputs, targets, **_):
        return explain(torch.as_tensor(inputs, dtype=torch.float32), torch.as_tensor(targets), None)[:, None].numpy()

    norms = {} if variant == "released" else {"norm_denominator": lambda a: np.ones(len(a))}
    values = getattr(quantus, metric)(nr_samples=draws, perturb_func=perturb, disable_warnings=True, **norms)(
        model=network, x_batch=x.numpy().copy(), y_batch=target.numpy(), channel_first=True, explain_func=explain_func,
        a_batch=explain(x, target, None)[:, None].numpy(),
    )  # fmt: skip
    return torch.tensor(np.asarray(values, dtype=float))


for _name, _metric in (("max_sensitivity", "MaxSensitivity"), ("average_sensitivity", "AvgSensitivity")):
    replicates(f"metrics.sensitivity.{_name}", inputs=explained, cases=VARIANTS, rtol=1e-6, atol=1e-6)(
        partial(sensitivity_by_quantus, _metric)
    )


# Maps alone


def of_any_sign(size=SIZE, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    signed = torch.randn(10, size, size, generator=generator).to(dtype)
    return {"attribution": torch.cat([smooth_maps(10, size, dtype=dtype), signed])}


def of_one_maximum(dtype):
    """quantus divides by the maximum of the batch."""
    small = 10 ** (-8 * torch.rand(8, SIZE, SIZE, dtype=dtype, generator=torch.Generator().manual_seed(0)))
    maps = torch.cat([smooth_maps(8, dtype=dtype), small])
    return {"attribution": maps / maps.amax((1, 2), keepdim=True)}


FLOATS = [{"dtype": torch.float32}, {"dtype": torch.float64}]
SIZES = [{"size": size, **dtype} for size in (12, 32) for dtype in FLOATS]


@replicates("metrics.complexity.complexity", inputs=of_any_sign, cases=SIZES, atol=1e-5)
def complexity(attribution):
    return by_quantus(quantus.Complexity(**QUIET, abs=True), attribution)


@replicates("metrics.complexity.sparseness", inputs=of_any_sign, cases=SIZES, atol=1e-5)
def sparseness(attribution):
    return by_quantus(quantus.Sparseness(**QUIET, abs=True), attribution)


@replicates("metrics.effective_complexity.effective_complexity", inputs=of_one_maximum, cases=FLOATS)
def effective_complexity(attribution):
    return by_quantus(quantus.EffectiveComplexity(disable_warnings=True), attribution)


def masked():
    generator = torch.Generator().manual_seed(3)
    maps, mask = torch.rand(2, 20, SIZE, SIZE, generator=generator)
    return {"attribution": maps, "mask": mask < 0.4}


@replicates("metrics.localisation.pointing_game", inputs=masked)
def pointing_game(attribution, mask):
    return by_quantus(quantus.PointingGame(**QUIET, abs=False), attribution, mask=mask)


@replicates("metrics.localisation.attribution_localisation", inputs=masked, atol=1e-5)
def attribution_localisation(attribution, mask):
    return by_quantus(quantus.AttributionLocalisation(**QUIET, abs=False), attribution, mask=mask)


@replicates("metrics.mosaics.quadrant_energy", inputs=of_any_sign, each=True, atol=1e-5)
def quadrant_energy(attribution):
    positive, half = attribution.double().clamp(min=0), SIZE // 2
    rows = positive[:half], positive[half:]
    return torch.stack([part.sum() for row in rows for part in (row[:, :half], row[:, half:])])


def pairs(size=(32, 32)):
    """Alike, unlike, opposite and empty maps."""
    generator = torch.Generator().manual_seed(0)
    a, b = smooth_maps(12, max(size)), smooth_maps(12, max(size), seed=1)
    b[:4] = (a[:4] + 0.02 * torch.randn(4, *a.shape[1:], generator=generator)).clamp(0, 1)
    a[4], b[5] = 0, 0
    a[6:8], b[6:8] = torch.rand(2, 2, *a.shape[1:], generator=generator)
    b[8] = 1 - a[8]
    return {"a": a[:, : size[0], : size[1]], "b": b[:, : size[0], : size[1]]}


@replicates("metrics.similarity.ssim", inputs=pairs, atol=1e-5,
            cases=[{"size": size} for size in ((7, 7), (8, 8), (32, 32), (57, 57), (9, 20))])  # fmt: skip
def ssim(a, b):
    both = zip(a.double().numpy(), b.double().numpy(), strict=True)
    return torch.tensor([structural_similarity(p, q, data_range=1.0) for p, q in both])


def levels(number):
    generator = torch.Generator().manual_seed(number)
    a, noise = torch.randint(number, (2, 8, 9, 7), generator=generator).double()
    return {"a": a, "b": a + noise - number / 2}


@replicates("metrics.randomisation.spearman", inputs=levels, atol=1e-6,
            cases=[{"number": number} for number in (2, 5, 10_000)])  # fmt: skip
def spearman(a, b):
    return torch.tensor([stats.spearmanr(p.flatten(), q.flatten()).statistic for p, q in zip(a, b, strict=True)])
