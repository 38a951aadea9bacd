"""Explainers but for class activation maps, written again: in plain loops and by other packages."""

import numpy as np
import torch
from captum._utils.models.linear_model import SkLearnLinearModel
from captum.attr import GuidedBackprop, IntegratedGradients, LimeBase, Saliency
from scipy import ndimage
from scipy.stats import rankdata
from skimage.transform import resize
from torch import nn
from torch.nn import functional
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.composites import EpsilonPlusFlat, ExcitationBackprop
from zennit.torchvision import ResNetCanonizer

from derivations import replicates
from derivations.cams import activations_and_gradients
from derivations.networks import INDEX, fresh, images, large, small
from xai_lib import data, models, randomness
from xai_lib.explainers import of_class
from xai_lib.explainers.bottleneck import feature_statistics
from xai_lib.explainers.lime import superpixels

TWO_LARGE = {"side": 64, "n": 2}
TWO_FRESH = TWO_LARGE | {"make": fresh}

# Gradients


@replicates("explainers.gradients.gradient", inputs=large, rtol=1e-4, share=1e-5,
            cases=[{"network": name} | TWO_FRESH for name in ("resnet8", "resnet50", "googlenet")])  # fmt: skip
def gradient(model, x, target):
    return Saliency(model).attribute(x.requires_grad_(), target=target, abs=False)


@replicates("explainers.gradients.integrated_gradients", inputs=small, rtol=1e-4, atol=1e-6,
            cases=[{"steps": n, "baseline": end} for n in (1, 7, 32) for end in ("zero", "minimum")])  # fmt: skip
def integrated_gradients(model, x, target, steps, baseline):
    start = x.amin((1, 2, 3), keepdim=True).expand_as(x) if baseline == "minimum" else torch.zeros_like(x)
    return IntegratedGradients(model).attribute(x, start, target=target, n_steps=steps, method="gausslegendre")


@replicates("explainers.gradients.smoothgrad", inputs=small, cases=[{"draws": 6, "sigma": 0.2}], rtol=1e-4, atol=1e-6)
def smoothgrad(model, x, target, seed, index, draws, sigma):
    total = torch.zeros_like(x)
    for draw in range(draws):
        noise = randomness.normal(seed, index, f"smoothgrad/{draw}", (3, 16, 16))
        spread = torch.stack([sigma * (image.max() - image.min()) for image in x])[:, None, None, None]
        total += Saliency(model).attribute((x + spread * noise).requires_grad_(), target=target, abs=False) / draws
    return total


@replicates("explainers.gradients.guided_backprop", inputs=large, rtol=1e-4, share=1e-5,
            cases=[{"network": name} | TWO_FRESH for name in ("resnet8", "resnet50")])  # fmt: skip
def guided_backprop(model, x, target):
    return GuidedBackprop(model).attribute(x.requires_grad_(), target=target)


# Perturbations


@replicates("explainers.rise.rise", inputs=small, each=True, atol=1e-6,
            cases=[{"reading": "probability", "x": images(4, 16)[..., :h, :w], "n_masks": 70, "grid": grid, "p": p}
                   for h, w, grid, p in ((16, 16, 7, 0.5), (16, 12, 5, 0.3), (4, 6, 7, 0.8))])  # fmt: skip
def rise(model, x, target, seed, index, n_masks, grid, p):
    """The authors' formula: masks by scikit-image from the same cells and shifts, one at a time."""
    size = np.array(x.shape[-2:])
    cell = np.ceil(size / grid).astype(int)
    saliency = np.zeros(size)
    for number in range(n_masks):
        block, place = divmod(number, 64)
        purpose = f"rise/masks from {64 * block}"
        cells = randomness.uniform(seed, index[None], f"{purpose}/cells", (64, grid, grid))[0, place] < p
        down, across = (
            int(randomness.integers(seed, index[None], f"{purpose}/{way}", int(side), (64,))[0, place])
            for way, side in zip(("down", "across"), cell, strict=True)
        )
        enlarged = resize(cells.float().numpy(), (grid + 1) * cell, order=1, mode="reflect", anti_aliasing=False)
        mask = enlarged[down : down + size[0], across : across + size[1]]
        with torch.no_grad():
            saliency += float(model(x[None] * torch.tensor(mask).float()).softmax(1)[0, target]) * mask
    return torch.tensor(saliency / n_masks / p)


class ReadsPlaces(nn.Module):
    """Logits that depend on places: sums of the image weighted by random fields."""

    def __init__(self) -> None:
        super().__init__()
        self.fields = nn.Parameter(torch.randn(5, 3 * 32 * 32, generator=torch.Generator().manual_seed(0)) / 60)

    def forward(self, x):
        return x.flatten(1) @ self.fields.T


def pictures(**settings):
    split = data.load("planted", "test", n=24)
    return small(
        reading="probability", model=ReadsPlaces(), x=split.normalise(split.images)[:4], n_samples=150, **settings
    )


@replicates("explainers.lime.lime", inputs=pictures, cases=[{"kernel_width": 0.25}, {"kernel_width": 1.0}], each=True,
            rtol=1e-3, atol=1e-5)  # fmt: skip
def lime(model, x, target, seed, index, n_samples, kernel_width):
    """The same samples through captum's LimeBase with scikit-learn's ridge regression."""
    [segments] = superpixels(x[None])
    blocks = [
        randomness.uniform(seed, index[None], f"lime/samples from {first}", (int(segments.max()) + 1, 64))[0].T
        for first in range(0, n_samples, 64)
    ]
    shown = (torch.cat(blocks) < 0.5).float()[:n_samples]
    shown[0] = 1
    colours = torch.zeros_like(x)
    for segment in segments.unique():
        inside = segments == segment
        colours[:, inside] = x[:, inside].mean(1, keepdim=True)

    def weight(original, perturbed, row, **_):
        distance = 1 - functional.cosine_similarity(row, torch.ones_like(row))
        return torch.exp(-(distance**2) / kernel_width**2).sqrt()

    rows = iter(shown[:, None])
    explain = LimeBase(
        lambda x: model(x).softmax(1),
        SkLearnLinearModel("linear_model.Ridge", alpha=1),
        weight,
        lambda original, **_: next(rows),
        perturb_interpretable_space=True,
        from_interp_rep_transform=lambda row, original, **_: torch.where(row[0, segments] > 0, original, colours),
        to_interp_rep_transform=None,
    )
    found = explain.attribute(x[None], target=int(target), n_samples=n_samples, perturbations_per_eval=10)
    return found.flatten()[segments]


# The information bottleneck


def bottled(layer, **settings):
    found = small(layer, "log-probability", **settings)
    return found | {"statistics": feature_statistics(found["model"], [images(30, 16, seed=2)], layer)}


def bottled_resnet(layer):
    """Inside a residual block as well as behind it."""
    model = models.build("resnet8", 10, width=4, seed=0).eval()
    model.head.weight.data *= 10
    return bottled(layer, model=model, x=images(3, 16), target=torch.tensor([1, 5, 2]), index=INDEX[:3],
                   score=of_class(torch.tensor([1, 5, 2]), "log-probability"))  # fmt: skip


@replicates("explainers.bottleneck.iba", inputs=bottled_resnet, each=True, rtol=2e-3, atol=1e-4,
            cases=[{"layer": f"backbone.block{name}"} for name in ("2", "3", "3.conv1", "3.bn2")])  # fmt: skip
@replicates("explainers.bottleneck.iba", inputs=bottled, each=True, rtol=2e-3, atol=1e-4,
            cases=[{"layer": "middle"}, {"layer": "stem", "beta": 100.0, "steps": 3},
                   {"layer": "last", "copies": 3, "lr": 0.3, "steps": 20}])  # fmt: skip
def iba(model, x, target, layer, statistics, seed, index, beta=10.0, steps=10, copies=10, lr=1.0):
    """The paper's formulas: the whole network at every step, smoothing by a convolution."""
    module, (a, _) = model.get_submodule(layer), activations_and_gradients(model, x[None], target[None], layer)
    std = statistics.std.clamp(min=0.01)
    varies = (statistics.std > 0)[:, None]
    standardised = ((a[0] - statistics.mean) / std)[:, None] * varies  # channels as a batch of planes
    away = torch.arange(-2.0, 3.0)
    kernel = torch.exp(-(away[:, None] ** 2 + away**2) / 2)
    kernel = (kernel / kernel.sum())[None, None]
    alpha = torch.full_like(standardised, 5.0).requires_grad_()
    optimiser = torch.optim.Adam([alpha], lr=lr)

    def divergence():
        mask = functional.conv2d(functional.pad(alpha.sigmoid(), (2, 2, 2, 2), mode="reflect"), kernel)
        mean, variance = standardised * mask, (1 - mask) ** 2
        return mask, (mean**2 + variance - 1 - variance.log()) / 2 * varies

    for step in range(steps):
        mask, information = divergence()
        names = [f"iba/step {step}/copy {copy}" for copy in range(copies)]
        draws = torch.cat([randomness.normal(seed, index[None], name, mask[:, 0].shape) for name in names])
        mixed = (mask * standardised)[:, 0] + (1 - mask)[:, 0] * draws
        handle = module.register_forward_hook(lambda _m, _i, _o, z=mixed: statistics.mean + std * varies[:, 0] * z)
        logits = model(x.expand(copies, -1, -1, -1))
        handle.remove()
        loss = functional.cross_entropy(logits, target.expand(copies)) + beta * information.mean()
        optimiser.zero_grad()
        loss.backward(inputs=[alpha])
        optimiser.step()
    return (divergence()[1].sum(dim=0)[0] / np.log(2)).detach()


# Relevance


class Pooled(nn.Module):
    """The small network with its pooling as a module, which zennit alone can see."""

    def __init__(self, small):
        super().__init__()
        self.stem, self.middle, self.last = small.stem, small.middle, small.last
        self.relu, self.pool, self.head = small.relu, nn.AdaptiveAvgPool2d(1), small.head

    def forward(self, x):
        return self.head(self.pool(self.relu(self.last(self.middle(self.stem(x))))).flatten(1))


def by_zennit(model, x, target, composite, layer=None):
    """Relevance at the images, of a class's logit; or at a layer, of 1 at that logit."""
    outputs = []
    x = x.clone().requires_grad_()
    with composite.context(model):
        if layer is not None:
            module = dict(model.named_modules())[layer]
            module.register_forward_hook(lambda _module, _inputs, y: outputs.append(y) or +y)
        logits = model(x)
        start = functional.one_hot(target, logits.shape[1]).float()
        at = x if layer is None else outputs[0]
        return torch.autograd.grad(logits, at, start * logits.detach() if layer is None else start)[0]


@replicates("explainers.relevance.lrp", inputs=small, rtol=1e-4, atol=1e-6)
def lrp(model, x, target):
    return by_zennit(Pooled(model), x, target, EpsilonPlusFlat(canonizers=[SequentialMergeBatchNorm()]))


@replicates("explainers.relevance.lrp", inputs=large, rtol=1e-3, share=1e-4,
            cases=[{"network": name} | TWO_LARGE for name in ("torchvision resnet18", "resnet50")])  # fmt: skip
def lrp_with_residual_blocks(model, x, target):
    return by_zennit(model, x, target, EpsilonPlusFlat(canonizers=[ResNetCanonizer()]))


@replicates("explainers.relevance.excitation_backprop", inputs=small, rtol=1e-3, atol=1e-6,
            cases=[{"layer": layer} for layer in ("stem", "middle", "last")])  # fmt: skip
def excitation_backprop(model, x, target, layer):
    composite = ExcitationBackprop(zero_params=["bias"], canonizers=[SequentialMergeBatchNorm()])
    return by_zennit(Pooled(model), x, target, composite, layer).sum(1)


@replicates("explainers.controls.edge_map", inputs=small, each=True, atol=1e-6)
def edge_map(x):
    grey = x.mean(0).double().numpy()
    return np.hypot(ndimage.sobel(grey, 0), ndimage.sobel(grey, 1)) / 8


def tied_maps():
    return {"maps": torch.randn(3, 2, 7, 9, generator=torch.Generator().manual_seed(0)).mul(2).round()}


@replicates("explainers.normalise.by_rank", inputs=tied_maps, atol=1e-6)
def by_rank(maps):
    return torch.tensor((rankdata(maps.flatten(-2).numpy(), axis=-1) - 1) / 62).reshape(maps.shape)
