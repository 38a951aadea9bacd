"""Random views of images, a whole batch at a time on its device (contrastive paper §4.2).

Each draw is a function of (seed, image index, purpose), so a view does not depend on its batch. In distribution the
views are those of torchvision's transforms of the same names, which tests compare them with.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from xai_lib import randomness

_ATTEMPTS = 10  # of a resized crop to find a box that fits, as in torchvision


@dataclass(frozen=True)
class Augmentation:
    """What is drawn for each view, in this order; probabilities are per image."""

    padding: int = 0  # black pixels around the image before a crop of its size; 0 for none
    scale: tuple[float, float] | None = None  # share of the area in a crop that is resized to the image's size
    ratio: tuple[float, float] = (3 / 4, 4 / 3)  # aspect ratio of that crop
    flip: float = 0.5  # probability of a left-right flip
    colour: float = 0.0  # factors of brightness, contrast and saturation are drawn from 1 ± this
    hue: float = 0.0  # shift of the hue is drawn from ± this, in turns of the colour circle
    jitter: float = 0.0  # probability that the four colour changes happen, in random order
    grey: float = 0.0  # probability of a grey image
    blur_sigma: tuple[float, float] = (0.1, 2.0)  # range of the Gaussian blur's standard deviation, in pixels
    blur: float = 0.0  # probability of the blur


# Contrastive paper §4.2. LIGHT is ours: for networks too small for the full set.
CE = Augmentation(padding=4)
SCL = Augmentation(scale=(0.2, 1.0), colour=0.4, hue=0.1, jitter=0.8, grey=0.2)
LIGHT = Augmentation(scale=(0.5, 1.0), colour=0.2, hue=0.05, jitter=0.5, grey=0.1)
IMAGENET_CE = Augmentation(scale=(0.08, 1.0))
IMAGENET_SCL = Augmentation(scale=(0.08, 1.0), colour=0.8, hue=0.2, jitter=0.8, grey=0.2, blur=0.5)


def augment(images: Tensor, *, recipe: Augmentation, seed: int, index: Tensor, purpose: str) -> Tensor:
    """One random view of each image, uint8 [B,3,H,W]: float32 [B,3,H,W] in [0, 1], on the images' device.

    Draws are keyed by ``seed``, ``index`` (int64 [B]) and ``purpose``: another epoch or view is another purpose.

    Example:
        >>> images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
        >>> augment(images, recipe=CE, seed=0, index=torch.arange(2), purpose="epoch 0").shape
        torch.Size([2, 3, 8, 8])
    """
    draw = lambda what, *shape: randomness.uniform(seed, index, f"{purpose}/{what}", shape)  # noqa: E731
    if recipe.padding:
        images = _padded_crop(images, recipe.padding, draw("crop", 2))
    x = images.float() / 255
    if recipe.scale:
        x = _resized_crop(x, *_boxes(images.shape[-2:], recipe, draw))
    x = torch.where((draw("flip") < recipe.flip)[:, None, None, None], x.flip(3), x)
    if recipe.jitter:
        chosen = (draw("jitter") < recipe.jitter).nonzero()[:, 0]
        x[chosen] = _jitter(x[chosen], recipe, draw("colour", 4)[chosen], draw("order", 4)[chosen])
    if recipe.grey:
        x = torch.where((draw("grey") < recipe.grey)[:, None, None, None], _greyscale(x).expand_as(x), x)
    if recipe.blur:
        chosen = (draw("blur") < recipe.blur).nonzero()[:, 0]
        low, high = recipe.blur_sigma
        x[chosen] = _blurred(x[chosen], low + (high - low) * draw("sigma")[chosen])
    return x


def _padded_crop(images: Tensor, padding: int, offset: Tensor) -> Tensor:
    """Crops of the image's size from the padded image; ``offset`` in [0,1), [B,2]."""
    batch, _, height, width = images.shape
    padded = functional.pad(images, (padding, padding, padding, padding))
    top, left = (offset * (2 * padding + 1)).long().unbind(dim=1)
    rows = top[:, None] + torch.arange(height, device=images.device)  # [B,H]
    columns = left[:, None] + torch.arange(width, device=images.device)
    each = torch.arange(batch, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _boxes(size: tuple[int, int], recipe: Augmentation, draw: object) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Top, left, height, width of each crop, int64 [B]: the first of ten that fits, else the largest central one."""
    height, width = size
    low, high = (math.log(bound) for bound in recipe.ratio)
    area = height * width * (recipe.scale[0] + (recipe.scale[1] - recipe.scale[0]) * draw("area", _ATTEMPTS))
    ratio = torch.exp(low + (high - low) * draw("ratio", _ATTEMPTS))
    w, h = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()  # [B,10]
    fits = (w >= 1) & (h >= 1) & (w <= width) & (h <= height)
    first = fits.float().argmax(dim=1, keepdim=True)
    w, h, found = w.gather(1, first)[:, 0], h.gather(1, first)[:, 0], fits.any(dim=1)
    central_w = min(width, round(height * recipe.ratio[1]))
    central_h = min(height, round(width / recipe.ratio[0]))
    w, h = torch.where(found, w, central_w), torch.where(found, h, central_h)
    place = draw("place", 2)
    top = torch.where(found, (place[:, 0] * (height - h + 1)).long(), (height - h) // 2)
    left = torch.where(found, (place[:, 1] * (width - w + 1)).long(), (width - w) // 2)
    return top, left, h, w


def _resized_crop(x: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Boxes resized to the image's size, bilinearly (they are never larger, so there is nothing to smooth)."""
    rows, columns = _sources(top, height, x.shape[2]), _sources(left, width, x.shape[3])
    grid = torch.stack(torch.broadcast_tensors(columns[:, None, :], rows[:, :, None]), dim=3)  # [B,H,W,2]: x, y
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _sources(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Where each of ``size`` lines comes from, [B,size], in grid_sample's units: -1 and 1 are the image's edges."""
    centres = (torch.arange(size, device=start.device) + 0.5) / size * length[:, None] - 0.5
    inside = centres.clamp(min=0).minimum(length[:, None] - 1.0)  # the box's edge repeats, not what lies beyond
    return (start[:, None] + inside + 0.5) * (2 / size) - 1


def _jitter(x: Tensor, recipe: Augmentation, colour: Tensor, order: Tensor) -> Tensor:
    """Brightness, contrast, saturation and hue, in an order drawn for each image."""
    spread = torch.tensor([recipe.colour] * 3 + [recipe.hue], device=x.device)
    centre = torch.tensor([1.0, 1.0, 1.0, 0.0], device=x.device)
    low = torch.where(centre == 1, (centre - spread).clamp(min=0), -spread)
    amount = low + (centre + spread - low) * colour  # [B,4]
    turn = order.argsort(dim=1)  # which change comes at each of four turns
    for place in range(4):
        for kind, change in enumerate((_brightness, _contrast, _saturation, _hue)):
            chosen = (turn[:, place] == kind).nonzero()[:, 0]
            if len(chosen) and spread[kind] > 0:
                x[chosen] = change(x[chosen], amount[chosen, kind].view(-1, 1, 1, 1))
    return x


def _brightness(x: Tensor, factor: Tensor) -> Tensor:
    return (x * factor).clamp(0, 1)


def _contrast(x: Tensor, factor: Tensor) -> Tensor:
    mean = _greyscale(x).mean(dim=(1, 2, 3), keepdim=True)
    return (factor * x + (1 - factor) * mean).clamp(0, 1)


def _saturation(x: Tensor, factor: Tensor) -> Tensor:
    return (factor * x + (1 - factor) * _greyscale(x)).clamp(0, 1)


def _hue(x: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue of the HSV colour by ``shift`` turns; value and saturation stay."""
    value, chroma = x.amax(dim=1, keepdim=True), x.amax(dim=1, keepdim=True) - x.amin(dim=1, keepdim=True)
    r, g, b = x.split(1, dim=1)
    safe = chroma.clamp(min=1e-12)
    sixth = torch.where(value == r, (g - b) / safe, torch.where(value == g, 2 + (b - r) / safe, 4 + (r - g) / safe))
    hue = (sixth + 6 * shift) % 6  # [B,1,H,W]
    # f(n) = V - C max(0, min(k, 4 - k, 1)), k = (n + hue) mod 6, for red, green, blue at n = 5, 3, 1
    k = (hue + torch.tensor([5.0, 3.0, 1.0], device=x.device).view(1, 3, 1, 1)) % 6
    return value - chroma * torch.minimum(k, 4 - k).clamp(0, 1)


def _greyscale(x: Tensor) -> Tensor:
    weights = torch.tensor((0.2989, 0.587, 0.114), device=x.device).view(1, 3, 1, 1)
    return (x * weights).sum(dim=1, keepdim=True)


def _blurred(x: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur with one standard deviation an image, [B]; the kernel spans a tenth of the image."""
    if len(x) == 0:
        return x
    radius = max(1, x.shape[-1] // 20)
    offsets = torch.arange(-radius, radius + 1, device=x.device)
    kernel = torch.exp(-0.5 * (offsets / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(3, dim=0)  # [3B,K]
    flat = functional.pad(x, (radius,) * 4, mode="reflect").flatten(0, 1)[None]  # [1,3B,H,W]
    flat = functional.conv2d(flat, kernel[:, None, None, :], groups=len(kernel))
    flat = functional.conv2d(flat, kernel[:, None, :, None], groups=len(kernel))
    return flat.view_as(x)
