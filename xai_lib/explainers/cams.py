"""Class activation maps: raw, signed, batched (contrastive paper §3.4).

ReLU and scaling to [0,1], which the paper's formulas end with, are steps of their own: see ``normalise``.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from xai_lib.explainers.passes import layer_activations, layer_maps
from xai_lib.explainers.registry import register
from xai_lib.explainers.scores import Score

# Below this share of the activations' norm, what is left after centring is float32 rounding.
_ROUNDING = 1e-6
_POWER_STEPS = 16
_SINE = 1e-8


@register("grad-cam", title="Grad-CAM", paper="Selvaraju et al. 2020", family="cam")
def grad_cam(
    model: nn.Module, x: Tensor, *, score: Score, layer: nn.Module | str | None = None, upsample: bool = True
) -> Tensor:
    """Grad-CAM without its ReLU (contrastive paper §3.4): channels weighted by the mean gradient of the score.

    With the paper's 1/K, the mean over channels; the sum over channels, as others write it, is K times this map.

    Args:
        model: the network.
        x: normalised images, float [B,3,H,W].
        score: what is explained, from logits [B,C] to [B] or [B,S]; S scores share one forward pass.
        layer: a module, its dotted name, or None for the model's default layer.
        upsample: to the size of `x`, bilinearly; False keeps the layer's own grid.

    Returns:
        Signed, in units of the score, float32 [B,H,W] or [B,S,H,W] on x's device; [B,h,w] or [B,S,h,w] without
        upsampling. Positive where the layer's activations raise the score.

    Raises:
        TypeError, ValueError: as :func:`xai_lib.explainers.passes.layer_maps`.
    """
    return on_images(layer_maps(model, x, score, layer, _gradient_weighted), x, upsample)


@register("grad-cam++", title="Grad-CAM++", paper="Chattopadhay et al. 2018", family="cam")
def grad_cam_plus_plus(
    model: nn.Module, x: Tensor, *, score: Score, layer: nn.Module | str | None = None, upsample: bool = True
) -> Tensor:
    """Grad-CAM++ without its ReLU (Chattopadhay et al. §3.2): channels weighted by their positive gradients.

    The paper explains Y = exp(S) of a score S, taken as linear in the activations: a channel's weight is
    Σ_ij α_ij relu(g_ij) with α = g² / (2 g² + g³ Σ_ab A_ab) and g = ∂S/∂A. The factor exp(S) in front, one positive
    number per image, is left out, and so is the small constant that pytorch-grad-cam adds to the denominator, which
    outweighs gradients below about 1e-3. Unlike in Grad-CAM, a score twice as large does not double the map.

    Made for layers behind a ReLU: where a channel's activations have a negative sum, the denominator can come near 0
    or fall below it.

    Args:
        model: the network.
        x: normalised images, float [B,3,H,W].
        score: what is explained, from logits [B,C] to [B] or [B,S]; S scores share one forward pass.
        layer: a module, its dotted name, or None for the model's default layer.
        upsample: to the size of `x`, bilinearly; False keeps the layer's own grid.

    Returns:
        The sum over channels, float32 [B,H,W] or [B,S,H,W] on x's device; [B,h,w] or [B,S,h,w] without upsampling.
        Behind a ReLU no value is negative.

    Raises:
        TypeError, ValueError: as :func:`xai_lib.explainers.passes.layer_maps`.
    """
    return on_images(layer_maps(model, x, score, layer, _positively_weighted), x, upsample)


@register("eigen-cam", title="Eigen-CAM", paper="Muhammad & Yeasin 2020", family="cam", class_specific=False)
def eigen_cam(
    model: nn.Module,
    x: Tensor,
    *,
    score: Score | None = None,
    layer: nn.Module | str | None = None,
    centred: bool = False,
    upsample: bool = True,
) -> Tensor:
    """Eigen-CAM: the first left singular vector of the activations [hw,K] (contrastive paper §3.4).

    A singular vector's sign is arbitrary. Here the map's mean is positive (after a ReLU, no entry is then negative);
    a centred map has mean 0, and its sign is that of its correlation with the mean activation.

    Args:
        model: the network.
        x: normalised images, float [B,3,H,W].
        score: not used: the map is the same for every class.
        layer: a module, its dotted name, or None for the model's default layer.
        centred: subtract each channel's mean over the grid first, as pytorch-grad-cam does and the paper does not.
        upsample: to the size of `x`, bilinearly; False keeps the layer's own grid.

    Returns:
        float32 [B,H,W] on x's device, or [B,h,w] without upsampling: there, of Euclidean norm 1. Zero where all
        activations are 0 or, if centred, where they do not vary over the grid.

    Raises:
        TypeError, ValueError: as :func:`xai_lib.explainers.passes.layer_activations`.
    """
    activations = layer_activations(model, x, layer)
    return on_images(_first_singular_map(activations, centred=centred), x, upsample)


def upsample(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps from a layer's grid to `size` (height, width), bilinearly with ``align_corners=False``.

    Args:
        maps: float [B,h,w] or [B,S,h,w].
        size: height and width in pixels.

    Raises:
        ValueError: if `maps` is neither 3-D nor 4-D.
    """
    if maps.ndim not in (3, 4):
        raise ValueError(f"Expected maps [B,h,w] or [B,S,h,w]. Got shape {list(maps.shape)}.")
    stacked = maps if maps.ndim == 4 else maps[:, None]
    resized = functional.interpolate(stacked, tuple(size), mode="bilinear", align_corners=False)
    return resized if maps.ndim == 4 else resized[:, 0]


def on_images(maps: Tensor, x: Tensor, wanted: bool) -> Tensor:
    """Maps as an explainer returns them: upsampled to the size of images `x` if that is wanted."""
    return upsample(maps, x.shape[-2:]) if wanted else maps


def _gradient_weighted(activations: Tensor, gradient: Tensor) -> Tensor:
    alpha = gradient.mean(dim=(2, 3))  # [B,K]
    return torch.einsum("bk,bkhw->bhw", alpha, activations) / activations.shape[1]


def _positively_weighted(activations: Tensor, gradient: Tensor) -> Tensor:
    positive = gradient.clamp(min=0)
    denominator = 2 + activations.sum(dim=(2, 3), keepdim=True) * positive
    weight = torch.where(denominator == 0, 0, positive / denominator).sum(dim=(2, 3))  # Σ α relu(g), [B,K]
    return torch.einsum("bk,bkhw->bhw", weight, activations)


def _first_singular_map(activations: Tensor, *, centred: bool) -> Tensor:
    """The first left singular vector of each image's [hw,K] matrix, as a map [B,h,w].

    From the smaller of the two Gram matrices, in float64 because that squares the singular values.
    """
    batch, _, height, width = activations.shape
    raw = activations.flatten(2).mT.double()  # [B,hw,K]
    matrix = raw - raw.mean(dim=1, keepdim=True) if centred else raw
    if height * width <= matrix.shape[2]:
        u = _first_eigenvector(matrix @ matrix.mT)  # [B,hw]
        strength = torch.linalg.vector_norm(u[:, None] @ matrix, dim=(1, 2))  # the singular value, [B]
    else:
        v = _first_eigenvector(matrix.mT @ matrix)  # [B,K]
        projected = (matrix @ v[:, :, None])[:, :, 0]
        strength = torch.linalg.vector_norm(projected, dim=1)
        u = projected / strength[:, None]
    alike = (u * raw.mean(dim=2)).sum(dim=1) if centred else u.sum(dim=1)
    u = torch.where(alike[:, None] < 0, -u, u)
    defined = strength > _ROUNDING * torch.linalg.vector_norm(raw, dim=(1, 2))
    return torch.where(defined[:, None], u, 0).reshape(batch, height, width).float()


def _first_eigenvector(gram: Tensor) -> Tensor:
    """The eigenvector of the largest eigenvalue λ₁, unit norm, of positive semi-definite matrices [B,n,n]: [B,n].

    By power iteration where the result can be certified, by the full decomposition elsewhere. No other eigenvalue
    exceeds ‖G‖² - λ₁² in its square, which bounds the gap from below; residual / gap bounds the sine of the angle to
    the eigenvector (Davis & Kahan 1970).
    """
    start = gram.diagonal(dim1=1, dim2=2).argmax(dim=1)
    u = gram[torch.arange(len(gram), device=gram.device), start]
    for _ in range(_POWER_STEPS):
        u = functional.normalize(u, dim=1)
        u = (gram @ u[:, :, None])[:, :, 0]
    u = functional.normalize(u, dim=1)
    image = (gram @ u[:, :, None])[:, :, 0]
    first = (u * image).sum(dim=1)  # λ₁, [B]
    residual = torch.linalg.vector_norm(image - first[:, None] * u, dim=1)
    others = (torch.linalg.matrix_norm(gram).square() - first.square()).clamp(min=0).sqrt()
    certified = residual <= _SINE * (first - others)
    if not certified.all():
        u[~certified] = torch.linalg.eigh(gram[~certified]).eigenvectors[:, :, -1]
    return u
