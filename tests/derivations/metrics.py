"""Metrics, written again: an image and a step at a time, by scipy and scikit-image, and by quantus."""

import itertools
from functools import partial
from unittest import mock

import numpy as np
import quantus
import torch
from scipy import stats
from skimage.metrics import structural_similarity
from torch import nn

from derivations import replicates
from xai_lib import explainers, randomness

SIZE = 12
QUIET = {"disable_warnings": True, "normalise": False}


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
