"""Metrics that explain an image twice, and so take the explainer: does the map stay, or change, when it should?

Where both maps are at hand (stored ones, say), :mod:`xai_lib.metrics.similarity` compares them without an explainer.
"""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from xai_lib.checks import check_choice
from xai_lib.metrics import similarity
from xai_lib.metrics.registry import register

Explain = Callable[[Tensor, Tensor, Tensor], Tensor]  # (x [B,C,H,W], target [B], index [B]) -> maps [B,H,W] in [0,1]


@register("continuity", title="Continuity", better="higher", range=(-1.0, 1.0), paper="Nauta et al. 2023",
          equation="contrastive paper §3.5 (Continuity), §4.3")  # fmt: skip
def continuity_of_explainer(
    explain: Explain,
    x: Tensor,
    target: Tensor,
    *,
    index: Tensor,
    seed: int = 0,
    sigma: float = 0.02,
    variant: Literal["paper", "released"] = "paper",
    empty: Literal["nan", "keep"] = "nan",
) -> Tensor:
    """SSIM of an image's map with the map of the same image under a little noise. Higher is better.

    (Nauta et al. 2023.) Both maps explain the same class, in the paper the predicted one, and a random explainer gets
    the same `index` twice: only the image differs.

    Args:
        sigma: standard deviation of the noise, in units of the normalised image.
        variant: "paper" adds noise and no more; "released" also clamps the noisy image, see ``similarity.noisy``.
        empty: what to do with empty maps, see ``similarity.continuity``.
        explain, x, target, index, seed: as in :mod:`xai_lib.metrics`; `index` and `seed` decide the noise.

    Returns:
        float32 [B] in [-1, 1]; NaN if one of the two maps is empty or not finite.

    Example:
        >>> import torch
        >>> x, first = torch.ones(1, 3, 8, 8), torch.tensor([0])
        >>> continuity_of_explainer(lambda x, target, index: 0.5 + 0 * x[:, 0], x, first, index=first)
        tensor([1.])
    """
    check_choice("variant", variant, ("paper", "released"))
    noisy = similarity.noisy(x, index=index, seed=seed, sigma=sigma, clamp=variant == "released")
    return similarity.continuity(explain(x, target, index), explain(noisy, target, index), empty=empty)


@register("contrastivity", title="Contrastivity", better="lower", range=(-1.0, 1.0), paper="Nauta et al. 2023",
          equation="contrastive paper §3.5 (Contrastivity)")  # fmt: skip
def contrastivity_of_explainer(
    explain: Explain,
    x: Tensor,
    target: Tensor,
    n_classes: int,
    *,
    index: Tensor,
    seed: int = 0,
    empty: Literal["nan", "keep"] = "nan",
) -> Tensor:
    """SSIM of an image's map with the map for another class, drawn uniformly. Lower is better.

    (Nauta et al. 2023.) `target` is the predicted class.

    Args:
        n_classes: number of classes.
        empty: what to do with empty maps, see ``similarity.contrastivity``.
        explain, x, target, index, seed: as in :mod:`xai_lib.metrics`; `index` and `seed` decide the other class.

    Returns:
        float32 [B] in [-1, 1]; NaN if one of the two maps is empty or not finite.

    Example:
        >>> import torch
        >>> x, first = torch.ones(1, 3, 8, 8), torch.tensor([0])
        >>> contrastivity_of_explainer(lambda x, target, index: x[:, 0], x, first, 2, index=first)  # ignores the class
        tensor([1.])
    """
    other = similarity.other_class(target, n_classes, index=index, seed=seed)
    return similarity.contrastivity(explain(x, target, index), explain(x, other, index), empty=empty)
