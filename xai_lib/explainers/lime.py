"""LIME: a linear model of the score in which superpixels are shown (saliency paper §3.3)."""

import numpy as np
import torch
from skimage.segmentation import quickshift, slic
from torch import Tensor, nn

from xai_lib import randomness
from xai_lib.checks import check_counts, check_index
from xai_lib.explainers.passes import perturbed_scores
from xai_lib.explainers.registry import Layer, register
from xai_lib.explainers.scores import Score, checked_scores
from xai_lib.forward import images_at_once, logits_of, undisturbed

_SAMPLES_DRAWN_AT_ONCE = 64  # part of what is drawn: another number gives other samples
_ORIGINAL_SIDE = 224  # the pixels for which the original's kernel_size=4 was chosen
_SMALL_DISTANCE = 1 / 8  # of the side, as max_dist where the kernel is 1 pixel: with 200, 15 segments at 32, not 40
_SLIC_SEGMENTS = 40


@register("lime", title="LIME", paper="Ribeiro et al. 2016", family="occlusion", explains="probability", signed=True)
def lime(
    model: nn.Module, x: Tensor, *, score: Score, seed: int, index: Tensor, layer: Layer = None, n_samples: int = 500,
    kernel_width: float = 0.25, chunk: int | None = None,
) -> Tensor:  # fmt: skip
    """LIME as its authors' code for images: weights of superpixels in a weighted ridge regression of the score.

    (Ribeiro et al. 2016.) Each superpixel is shown or, with probability ½, replaced by its mean colour; the first
    sample shows all. A sample that shows the share q of the superpixels has the cosine distance d = 1 - √q from the
    image and the weight ``√exp(-d²/kernel_width²)``; the regression has an intercept and the penalty 1. The saliency
    paper (§3.3) writes an L₂ distance between images and K-LASSO instead, the tabular and text form of the method. The
    paper explains a class's softmax probability.

    In units of the score, constant on each superpixel: by how much showing it raises the score. `n_samples` are for
    each image; `kernel_width` is in cosine distance.

    Example:
        >>> x, one = torch.full((1, 3, 8, 8), 0.5), torch.tensor([0])  # hidden in its own colour, nothing changes
        >>> maps = lime(nn.Flatten(), x, score=lambda logits: logits.mean(1), seed=0, index=one, n_samples=4)
        >>> maps.shape, maps.abs().max() < 1e-6
        (torch.Size([1, 8, 8]), tensor(True))
    """
    check_counts(n_samples=n_samples)
    if not kernel_width > 0:
        raise ValueError(f"Expected kernel_width above 0. Got {kernel_width}.")
    with undisturbed(model, x) as images:
        check_index(index, images)
        if not len(images):
            return images.new_zeros(*checked_scores(score, logits_of(model, images)).shape, *x.shape[2:]).float()
        segments = superpixels(images)
        places = segments.flatten(1)[:, None].expand(-1, images.shape[1], -1)  # [B,c,HW]
        means = images.new_zeros(*images.shape[:2], int(segments.max()) + 1)
        means.scatter_reduce_(2, places, images.flatten(2), "mean", include_self=False)
        hidden = _painted(means, segments)
        chunk = images_at_once(images, chunk)
        at_once = max(1, chunk // max(1, len(images)))  # of each image
        n_segments, moments = segments.amax((1, 2)) + 1, 0
        for first in range(0, n_samples, _SAMPLES_DRAWN_AT_ONCE):
            # segment by segment, so that an image's samples do not depend on how many segments another image has
            shape = (means.shape[2], _SAMPLES_DRAWN_AT_ONCE)
            drawn = randomness.uniform(seed, index.to(x.device), f"lime/samples from {first}", shape).mT < 0.5
            drawn[:, 0] |= first == 0
            for shown in drawn[:, : n_samples - first].split(at_once, dim=1):  # [B,n,K]
                visible = _painted(shown, segments)[:, :, None]  # [B,n,1,H,W]
                perturbed = torch.where(visible, images[:, None], hidden[:, None])
                scores = perturbed_scores(model, perturbed, score, chunk)
                moments = moments + _moments(shown, scores, n_segments, kernel_width)
        maps = _painted(_coefficients(moments, n_segments), segments).float()
    return maps if scores.ndim == 3 else maps[:, 0]


def superpixels(x: Tensor) -> Tensor:
    """Segments of normalised images [B,c,H,W], numbered from 0 image by image: int64 [B,H,W].

    Quickshift with the settings of LIME's authors, ratio 0.2, max_dist 200 and kernel_size 4, the last scaled from 224
    pixels to the image's shorter side. Below 56 pixels it would fall under the 1 that quickshift needs; there max_dist
    is an eighth of the side, for some 20 to 60 segments. An image that comes out in one piece gets 20 to 40 by SLIC.
    Colours are stretched to [0,1] image by image; images not of three colours are segmented by their mean, as grey.
    """
    return torch.stack([_segmented(image) for image in x.detach().float().cpu()]).to(x.device)


def _segmented(image: Tensor) -> Tensor:
    if len(image) != 3:  # as quickshift needs them
        image = image.mean(0).expand(3, -1, -1)
    extent = image.max() - image.min()
    colours = ((image - image.min()) / (extent if extent > 0 else 1)).permute(1, 2, 0).double().numpy()
    side = min(colours.shape[:2])
    kernel_size = 4 * side / _ORIGINAL_SIDE
    max_dist = 200 if kernel_size >= 1 else _SMALL_DISTANCE * side
    found = quickshift(colours, ratio=0.2, kernel_size=max(1.0, kernel_size), max_dist=max_dist, rng=0)  # rng: of ties
    if found.max() == 0:
        found = slic(colours, n_segments=_SLIC_SEGMENTS, start_label=0)
    return torch.from_numpy(np.unique(found, return_inverse=True)[1].reshape(found.shape))


def _painted(values: Tensor, segments: Tensor) -> Tensor:
    """Values [B,n,K] of segments on their pixels: [B,n,H,W]."""
    places = segments.flatten(1)[:, None].expand(-1, values.shape[1], -1)
    return values.gather(2, places).unflatten(2, segments.shape[1:])


def _moments(shown: Tensor, scores: Tensor, n_segments: Tensor, kernel_width: float) -> Tensor:
    """Sums over samples of weight · row rowᵀ, rows (shown, 1, scores): float64 [B,K+1+S,K+1+S].

    Of shown bool [B,n,K] and scores [B,n] or [B,n,S]. Segments beyond an image's own number are never shown.
    """
    own = torch.arange(shown.shape[2], device=shown.device) < n_segments[:, None, None]
    features = (shown & own).double()
    distance = 1 - (features.sum(2) / n_segments[:, None]).sqrt()
    weight = (-((distance / kernel_width) ** 2) / 2).exp()[:, :, None]  # [B,n,1]
    columns = scores.reshape(*scores.shape[:2], -1).double()
    rows = torch.cat([features, torch.ones_like(weight), columns], dim=2)
    return (weight * rows).mT @ rows


def _coefficients(moments: Tensor, n_segments: Tensor) -> Tensor:
    """The coefficients of each image's ridge regression, float64 [B,S,K]; 0 for segments that it does not have."""
    one = int(n_segments.max())  # the intercept's place, behind the segments
    sums = moments[:, one, None, :]  # [B,1,K+1+S]
    centred = moments - sums.mT @ sums / sums[:, :, one, None]
    penalty = torch.eye(one, dtype=centred.dtype, device=centred.device)
    return torch.linalg.solve(centred[:, :one, :one] + penalty, centred[:, :one, one + 1 :]).mT
