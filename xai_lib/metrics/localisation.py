"""Does the map lie on the object? Coherence with a mask (contrastive paper §3.5)."""

from torch import Tensor


def pointing_game(attribution: Tensor, mask: Tensor) -> Tensor:
    """Whether the largest value lies on the object (PG, contrastive paper §3.5; Zhang et al. 2018); higher is better.

    Args:
        attribution: float [B,H,W].
        mask: bool [B,H,W], the object.

    Returns:
        [B] in [0, 1]: 1 on the object, 0 beside it; the share on the object where several pixels tie for the largest
        value, which is what a random choice among them scores on average. NaN for an empty mask or a constant map.
    """
    _check(attribution, mask)
    flat, inside = attribution.flatten(1), mask.flatten(1)
    largest = flat == flat.amax(dim=1, keepdim=True)
    share = (largest & inside).sum(dim=1) / largest.sum(dim=1)
    undefined = ~inside.any(dim=1) | (flat == flat[:, :1]).all(dim=1) | flat.isnan().any(dim=1)
    return share.to(attribution.dtype).masked_fill(undefined, float("nan"))


def attribution_localisation(attribution: Tensor, mask: Tensor) -> Tensor:
    """Share of the positive attribution that lies on the object (AL as released; Kohlbrenner et al. 2020).

    Args:
        attribution: float [B,H,W]; negative values are left out.
        mask: bool [B,H,W], the object.

    Returns:
        [B] in [0, 1]; higher is better; NaN for an empty mask or a map without positive values.
    """
    _check(attribution, mask)
    positive = attribution.clamp(min=0).flatten(1).double()
    share = (positive * mask.flatten(1)).sum(dim=1) / positive.sum(dim=1)
    return share.to(attribution.dtype).masked_fill(~mask.flatten(1).any(dim=1), float("nan"))


def attribution_localisation_paper(attribution: Tensor, mask: Tensor) -> Tensor:
    """Share of the pixels with positive attribution that lie on the object (AL as printed, contrastive paper §3.5).

    The printed formula is the *number* of such pixels on the object, which grows with the image; divided by the number
    of all pixels with positive attribution it is the precision that the text describes.

    Args:
        attribution: float [B,H,W].
        mask: bool [B,H,W], the object.

    Returns:
        [B] in [0, 1]; higher is better; NaN for an empty mask or a map without positive values.
    """
    _check(attribution, mask)
    return attribution_localisation((attribution > 0).to(attribution.dtype), mask)


def _check(attribution: Tensor, mask: Tensor) -> None:
    if attribution.ndim != 3 or mask.shape != attribution.shape:
        raise ValueError(
            f"Expected maps and masks [B,H,W] of one shape. Got {list(attribution.shape)} and {list(mask.shape)}."
        )
