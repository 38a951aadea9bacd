"""Monotonicity: do pixels with more attribution matter more? Three readings of one name.

The saliency paper (§4.1) prints a Pearson correlation with the class probability once sets of pixels are included;
cites Arya et al., who ask whether that probability ever falls; and takes its numbers from a tool that computes the
correlation of Nguyen and Martínez, which replaces one set at a time with noise. Each has its own name here.
"""

import torch
from torch import Tensor

from xai_lib import randomness
from xai_lib.baselines import Baseline, replacement
from xai_lib.checks import check_counts
from xai_lib.forward import Model, class_probability, outputs
from xai_lib.metrics.correlation import pearson, spearman
from xai_lib.metrics.maps import defined, is_finite, sizes
from xai_lib.metrics.perturbation import Ties, check_inputs, class_probabilities, ranks
from xai_lib.metrics.registry import register, score_of


def ascending_curve(
    model: Model, x: Tensor, attribution: Tensor, target: Tensor, *, index: Tensor, seed: int = 0, sets: int = 32,
    baseline: Baseline = "zero", ties: Ties = "random", chunk: int | None = None,
) -> Tensor:  # fmt: skip
    """Probability of the target while sets of pixels are included, those with the lowest attribution first.

    Softmax probabilities, float32 [B,K+1], from the baseline to the untouched image; NaN for a constant map, which says
    nothing of the order, or one that is not finite. `sets` is K, into how many sets of nearly equal size the sorted
    pixels are cut; `baseline` what pixels are before they are included: "zero" is the paper's product with a set.
    """
    check_inputs(x, attribution, target)
    ends = torch.tensor([0, *_ends(attribution[0].numel(), sets)], device=x.device)
    rank = ranks(-attribution.detach().to(x.device), ties=ties, seed=seed, index=index)[:, None]
    curve = class_probabilities(model, replacement(x, baseline), x, rank, ends, target.to(x.device), chunk)
    return defined(curve, _ordered(attribution).to(curve.device)[:, None])


@register("monotonicity", title="Monotonicity", better="higher", range=(-1.0, 1.0), paper="Arya et al. 2019",
          equation="saliency paper §4.1 (Monotonicity), Pearson")  # fmt: skip
@score_of(ascending_curve)
def monotonicity(curve: Tensor, *, attribution: Tensor, sets: int) -> Tensor:
    """Pearson correlation of the sets' mean attribution with the probability once each is included.

    Higher is better. The saliency paper cites Arya et al. 2019 for it. The formula's ``f(x ⊙ m_i)`` with m_i "the i-th
    set of pixels" could also mean that set alone; the sentence before it, "incremental inclusion of pixels", decides:
    sets 1 to i are in. The empty start is no set and left out. `sets` is at least 2. float32 [B] in [-1, 1]; NaN where
    the curve is, or if it is constant.

    Example:
        >>> mean = lambda x: torch.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], 1).log()  # is P(class 0)
        >>> x, maps, one = torch.ones(1, 1, 2, 2), torch.tensor([[[4.0, 3.0], [2.0, 1.0]]]), torch.tensor([0])
        >>> monotonicity(mean, x, maps, one, index=one, sets=4)
        tensor([1.])
    """
    ascending = attribution.detach().to(curve.device).flatten(1).sort(dim=1).values.double()
    parts = ascending.tensor_split(_ends(ascending.shape[1], sets)[:-1], dim=1)
    means = torch.stack([part.mean(1) for part in parts], dim=1)  # of each set, [B,K]
    return pearson(means, curve[:, 1:].double()).float()


@register("monotonicity-arya", title="Monotonicity, Arya", better="higher", range=(0.0, 1.0), paper="Arya et al. 2019",
          equation="saliency paper §4.1 (Monotonic-increase), share of the steps")  # fmt: skip
@score_of(ascending_curve)
def monotonicity_arya(curve: Tensor) -> Tensor:
    """Share of the K - 1 steps between sets on which the probability does not fall. Higher is better.

    Arya et al. 2019 ask that it falls on none, one pixel at a time, which on images is the case for hardly any map.
    (quantus 0.6 has a metric of this name that never puts a pixel back, and so is always true.) `sets` is at least 2.
    float32 [B] in [0, 1]; NaN where the curve of :func:`ascending_curve` is, or if it is constant.

    Example:
        >>> mean = lambda x: torch.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], 1).log()  # is P(class 0)
        >>> x, maps, one = torch.tensor([[[[0.3, 0.9, 0.1]]]]), torch.tensor([[[3.0, 2.0, 1.0]]]), torch.tensor([0])
        >>> monotonicity_arya(mean, x, maps, one, index=one, sets=3, baseline=torch.tensor(0.5))
        tensor([0.5000])
    """
    steps = curve[:, 1:]
    return defined((steps.diff(dim=1) >= 0).double().mean(1), _varies(steps))


@register("monotonicity-quantus", title="Monotonicity, Quantus", better="higher", range=(-1.0, 1.0),
          paper="Nguyen and Martínez 2020",
          equation="saliency paper §5.1 (Monotonicity), as its tool computes it: Spearman")  # fmt: skip
def monotonicity_quantus(
    model: Model, x: Tensor, attribution: Tensor, target: Tensor, *, index: Tensor, seed: int = 0, sets: int = 32,
    samples: int = 100, chunk: int | None = None,
) -> Tensor:  # fmt: skip
    """Spearman correlation of the sets' total attribution with what noise in each set does. Higher is better.

    (Nguyen and Martínez 2020.) As quantus 0.6's MonotonicityCorrelation: absolute attributions; the map is repeated for
    each colour and single colour values are sorted, equal ones as numpy's unstable sort leaves them; one set at a time
    is replaced by one number, drawn from [0, 1) in normalised space and the same for all values of the set; the effect
    is the mean square change of the probability. quantus also divides by the squared probability of the image, which no
    rank notices, and fails where that is near 0. Its default is one value a set: 300,000 forward passes an image at 32
    pixels. Here the colour values are cut into `sets`, all of one size but the last, which may be smaller, with
    `samples` draws for each. float32 [B] in [-1, 1]; NaN for a map that is not finite, or equal totals or effects.

    Example:
        >>> mean = lambda x: torch.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], 1).log()  # is P(class 0)
        >>> x, maps, one = torch.rand(1, 1, 2, 2), torch.ones(1, 2, 2), torch.tensor([0])
        >>> monotonicity_quantus(mean, x, maps, one, index=one, sets=2, samples=1)  # a constant map
        tensor([nan])
    """
    check_inputs(x, attribution, target)
    check_counts(samples=samples)
    values = sizes(attribution).cpu()[:, None].expand(-1, x.shape[1], -1).flatten(1)
    size = -(-values.shape[1] // len(_ends(values.shape[1], sets)))
    order = torch.from_numpy(values.numpy().argsort(axis=1))
    totals = torch.stack([part.sum(1) for part in values.double().gather(1, order).split(size, dim=1)], dim=1)
    member = (order.argsort(dim=1).reshape(x.shape) // size).to(x.device)  # which set a colour value is in
    noise = randomness.uniform(seed, index.to(x.device), "monotonicity", (totals.shape[1], samples)).to(x.dtype)
    target = target.to(x.device)

    def noisy(image: Tensor, point: Tensor) -> Tensor:
        one_set, sample = point // samples, point % samples
        inside = member[image] == one_set[:, None, None, None]
        return torch.where(inside, noise[image, one_set, sample][:, None, None, None], x[image])

    before = outputs(model, lambda image, _: x[image], class_probability, x, target, 1, chunk)  # [B,1]
    after = outputs(model, noisy, class_probability, x, target, totals.shape[1] * samples, chunk)
    change = (after - before).double().square().unflatten(1, (-1, samples)).mean(2)  # [B,K]
    correlation = spearman(totals.to(change.device), change)
    return defined(correlation, _ordered(attribution).to(change.device))


def _ends(n: int, sets: int) -> list[int]:
    """Where each of the sets ends in the order of n values."""
    if type(sets) is not int or not 2 <= sets <= n:
        raise ValueError(f"Expected sets as a whole number from 2 to the {n} values of a map. Got {sets!r}.")
    return [n * i // sets for i in range(1, sets + 1)]


def _ordered(attribution: Tensor) -> Tensor:
    """Which maps order their pixels at all, bool [B]."""
    return is_finite(attribution) & _varies(attribution.flatten(1))


def _varies(values: Tensor) -> Tensor:
    """Which rows [B,N] hold more than one value, bool [B]; not those with NaN."""
    return values.amax(1) > values.amin(1)
