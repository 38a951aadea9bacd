"""Class activation maps: raw, signed, batched (contrastive paper §3.4).

ReLU and scaling to [0,1], which the papers' formulas end with, are steps of their own: see ``normalise``. In formulas
A is a layer's activations [K,h,w] and g the gradient of the score with respect to them.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from xai_lib.explainers.passes import layer_activations, layer_maps
from xai_lib.explainers.registry import Explain, Layer, Score, register
from xai_lib.registry import named_as

# Below this share of the activations' norm, what is left after centring is float32 rounding.
_ROUNDING = 1e-6
_POWER_STEPS = 16
_SINE = 1e-8


def of_gradients(combine: Callable[[Tensor, Tensor], Tensor]) -> Explain:
    """Decorator: an explainer from a map [B,h,w] of a layer's activations and a score's gradient, both [B,K,h,w]."""

    @named_as(combine)
    def explain(model: nn.Module, x: Tensor, *, score: Score, layer: Layer = None, upsample: bool = True) -> Tensor:
        return on_images(layer_maps(model, x, score, layer, combine), x, upsample)

    return explain


@register("grad-cam", title="Grad-CAM", paper="Selvaraju et al. 2020", family="cam")
@of_gradients
def grad_cam(activations: Tensor, gradient: Tensor) -> Tensor:
    """Grad-CAM without its ReLU: Σ_k α_k A_k / K with α_k the mean of g_k (Selvaraju et al. 2020; contrastive §3.4).

    With the contrastive paper's 1/K, the mean over channels; the sum over channels, as others write it, is K times this
    map. In units of the score, positive where the layer's activations raise it.

    Example:
        >>> model = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten())  # logits: means of the colours
        >>> x = torch.tensor([[[[2.0, 6.0]], [[8.0, 8.0]], [[0.0, 4.0]]]])
        >>> grad_cam(model, x, score=lambda logits: 3 * logits[:, 0], layer="0")
        tensor([[[1., 3.]]])
    """
    alpha = gradient.mean(dim=(2, 3))  # [B,K]
    return torch.einsum("bk,bkhw->bhw", alpha, activations) / activations.shape[1]


@register("grad-cam++", title="Grad-CAM++", paper="Chattopadhay et al. 2018", family="cam")
@of_gradients
def grad_cam_plus_plus(activations: Tensor, gradient: Tensor) -> Tensor:
    """Grad-CAM++ without its ReLU: Σ_k A_k Σ_ij α_kij relu(g_kij) (Chattopadhay et al. 2018, §3.2).

    The paper explains Y = exp(S) of a score S, taken as linear in the activations: α = g² / (2 g² + g³ Σ_ab A_ab). The
    factor exp(S) in front, one positive number per image, is left out, and so is the small constant that
    pytorch-grad-cam adds to the denominator, which outweighs gradients below about 1e-3. Unlike in Grad-CAM, a score
    twice as large does not double the map. Made for layers behind a ReLU, where no value is negative: where a channel's
    activations have a negative sum, the denominator can come near 0 or fall below it.

    Example:
        >>> model = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten())  # g = 1/2 at both places
        >>> x = torch.tensor([[[[2.0, 6.0]], [[8.0, 8.0]], [[0.0, 4.0]]]])
        >>> grad_cam_plus_plus(model, x, score=lambda logits: logits[:, 0], layer="0")  # 2 · g / (2 + 8 g) = 1/6
        tensor([[[0.3333, 1.0000]]])
    """
    positive = gradient.clamp(min=0)
    denominator = 2 + activations.sum(dim=(2, 3), keepdim=True) * positive
    weight = torch.where(denominator == 0, 0, positive / denominator).sum(dim=(2, 3))  # Σ α relu(g), [B,K]
    return torch.einsum("bk,bkhw->bhw", weight, activations)


@register("hires-cam", title="HiRes-CAM", paper="Draelos & Carin 2020", family="cam", complete="layer")
@of_gradients
def hires_cam(activations: Tensor, gradient: Tensor) -> Tensor:
    """HiResCAM: Σ_k g_k A_k, place by place (Draelos & Carin 2020, §3), by pytorch-grad-cam's formula.

    In units of the score, which the grid adds up to, but for a constant, where the network behind it is linear.

    Example:
        >>> model = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> x = torch.tensor([[[[2.0, 6.0]], [[8.0, 8.0]], [[0.0, 4.0]]]])
        >>> hires_cam(model, x, score=lambda logits: logits[:, 0] - logits[:, 1], layer="0")
        tensor([[[-3., -1.]]])
    """
    return _by_library("HiResCAM", activations, gradient)


@register("layer-cam", title="Layer-CAM", paper="Jiang et al. 2021", family="cam")
@of_gradients
def layer_cam(activations: Tensor, gradient: Tensor) -> Tensor:
    """LayerCAM: Σ_k relu(g_k) A_k (Jiang et al. 2021, §III), by pytorch-grad-cam's formula.

    In units of the score; behind a ReLU no value is negative.

    Example:
        >>> model = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> x = torch.tensor([[[[2.0, 6.0]], [[8.0, 8.0]], [[0.0, 4.0]]]])
        >>> layer_cam(model, x, score=lambda logits: logits[:, 0] - logits[:, 1], layer="0")
        tensor([[[1., 3.]]])
    """
    return _by_library("LayerCAM", activations, gradient)


@register("xgrad-cam", title="XGrad-CAM", paper="Fu et al. 2020", family="cam", complete="layer")
@of_gradients
def xgrad_cam(activations: Tensor, gradient: Tensor) -> Tensor:
    """XGrad-CAM: Σ_k A_k Σ_ij g_kij A_kij / Σ_ij A_kij (Fu et al. 2020, §3), by pytorch-grad-cam's formula.

    In units of the score. The weights divide by a channel's sum, which can be near 0 unless behind a ReLU.

    Example:
        >>> model = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> x = torch.tensor([[[[2.0, 6.0]], [[8.0, 8.0]], [[0.0, 4.0]]]])
        >>> xgrad_cam(model, x, score=lambda logits: logits[:, 0] - logits[:, 1], layer="0")
        tensor([[[-3., -1.]]])
    """
    return _by_library("XGradCAM", activations, gradient)


@register("eigen-cam", title="Eigen-CAM", paper="Muhammad & Yeasin 2020", family="cam", class_specific=False)
def eigen_cam(
    model: nn.Module, x: Tensor, *, score: Score | None = None, layer: Layer = None, upsample: bool = True
) -> Tensor:
    """Eigen-CAM: the first left singular vector of A as [hw,K] (Muhammad & Yeasin 2020; contrastive paper §3.4).

    A singular vector's sign is arbitrary. Here the map's mean is positive (after a ReLU, no entry is then negative).
    On the layer's grid its Euclidean norm is 1; zero where all activations are 0.

    Example:
        >>> eigen_cam(nn.Sequential(nn.Identity()), torch.tensor([[[[3.0, -4.0]], [[-6.0, 8.0]]]]), layer="0")
        tensor([[[-0.6000,  0.8000]]])
    """
    activations = layer_activations(model, x, layer)
    return on_images(_first_singular_map(activations), x, upsample)


@register("eigen-cam-tool", title="Eigen-CAM (tool)", paper="Gildenblat 2021", family="cam", class_specific=False)
def eigen_cam_tool(
    model: nn.Module, x: Tensor, *, score: Score | None = None, layer: Layer = None, upsample: bool = True
) -> Tensor:
    """Eigen-CAM as pytorch-grad-cam computes it: A as [hw,K], channels centred, projected on its first component.

    (Gildenblat 2021.) With v the first right singular vector of the centred matrix Ā, the map is Ā v. Its mean is 0:
    the ReLU that follows removes the places below it. :func:`eigen_cam` is the paper's formula. In the tool the sign
    of v is the one that LAPACK returns, which float32 rounding of the activations can turn; here it is that of the
    map's correlation with the mean activation. Zero where the activations do not vary over the grid.

    Example:
        >>> eigen_cam_tool(nn.Sequential(nn.Identity()), torch.tensor([[[[3.0, -4.0]]]]), layer="0")
        tensor([[[ 3.5000, -3.5000]]])
    """
    activations = layer_activations(model, x, layer)
    raw = activations.flatten(2).mT.double()  # [B,hw,K]
    u, singular, _ = torch.linalg.svd(raw - raw.mean(dim=1, keepdim=True), full_matrices=False)
    first = torch.where(singular[:, 0] > _ROUNDING * torch.linalg.matrix_norm(raw), singular[:, 0], 0)
    alike = (u[:, :, 0] * raw.mean(dim=2)).sum(dim=1)
    maps = u[:, :, 0] * (torch.where(alike < 0, -1, 1) * first)[:, None]
    return on_images(maps.reshape(len(x), *activations.shape[2:]).float(), x, upsample)


def upsample(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps [B,h,w] or [B,S,h,w], else ValueError, to (height, width): bilinear, ``align_corners=False``."""
    if maps.ndim not in (3, 4):
        raise ValueError(f"Expected maps [B,h,w] or [B,S,h,w]. Got shape {list(maps.shape)}.")
    stacked = maps if maps.ndim == 4 else maps[:, None]
    resized = functional.interpolate(stacked, tuple(size), mode="bilinear", align_corners=False)
    return resized if maps.ndim == 4 else resized[:, 0]


def on_images(maps: Tensor, x: Tensor, wanted: bool) -> Tensor:
    """Maps as an explainer returns them: upsampled to the size of images `x` if that is wanted."""
    return upsample(maps, x.shape[-2:]) if wanted else maps


def _by_library(method: str, activations: Tensor, gradient: Tensor) -> Tensor:
    """pytorch-grad-cam's formula without its ReLU, scaling and hooks."""
    import pytorch_grad_cam  # here, because it takes seconds and only these methods need it

    formula = getattr(pytorch_grad_cam, method)(model=nn.PReLU(), target_layers=[])  # a stand-in: no layer is hooked
    arrays = activations.cpu().numpy(), gradient.cpu().numpy()
    maps = formula.get_cam_image(None, None, None, *arrays, eigen_smooth=False)
    return torch.from_numpy(maps).to(activations)


def _first_singular_map(activations: Tensor) -> Tensor:
    """The first left singular vector of each image's [hw,K] matrix, of positive mean, as a map [B,h,w].

    From the smaller of the two Gram matrices, in float64 because that squares the singular values.
    """
    batch, _, height, width = activations.shape
    matrix = activations.flatten(2).mT.double()  # [B,hw,K]
    if height * width <= matrix.shape[2]:
        u = _first_eigenvector(matrix @ matrix.mT)  # [B,hw]
    else:
        u = functional.normalize((matrix @ _first_eigenvector(matrix.mT @ matrix)[:, :, None])[:, :, 0], dim=1)
    u = torch.where(u.sum(dim=1, keepdim=True) < 0, -u, u)
    seen = (matrix != 0).flatten(1).any(dim=1)
    return torch.where(seen[:, None], u, 0).reshape(batch, height, width).float()


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
