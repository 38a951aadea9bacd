"""Truth by intervention: what each element of a drawn image is worth to a network, and what a map says of it.

A drawn image can be drawn again without its object's body, without the part in which look-alikes differ, without the
second object or the water, or with other surroundings. What the network's output loses is what that element was
worth to it, and no pixel was replaced by anything that the network has never seen (as Hesse et al. 2023 do with
rendered birds).
"""

import pandas as pd
import torch
from torch import Tensor, nn

from xai_lib.data import planted
from xai_lib.data.split import Split
from xai_lib.forward import logits_of
from xai_lib.metrics.rows import rows
from xai_lib.papers.saliency.method.maps import Explained, batches

METRICS = ("interventions", "interventions-density")  # what a map gives an element: its share, or its mean there
_LEAST = 5  # pixels of an element that can be seen, below which it counts as absent


def worth(network: nn.Module, images: Split, device: torch.device) -> Tensor:
    """What the logit of each image's true class loses with each element, float32 [N,E]; NaN where it is not there.

    In the order of :data:`planted.ELEMENTS`. The network is in evaluation mode, the images are drawn ones.
    """
    here = present(images).to(device)
    as_they_are = _logits(network, images, device)
    without = [_logits(network, planted.redrawn(images, variant), device) for variant in planted.ELEMENTS.values()]
    return (as_they_are[:, None] - torch.stack(without, dim=1)).where(here, torch.nan)


def regions(images: Split) -> Tensor:
    """Where each element can be seen, bool [N,E,H,W]; surroundings are all that no other element covers."""
    seen = {**images.masks, "body": images.masks["object"] & ~images.masks["part"]}
    masks = [seen[name] for name in planted.ELEMENTS if name != "surroundings"]
    return torch.stack([*masks, ~torch.stack(masks).any(dim=0)], dim=1)


def present(images: Split) -> Tensor:
    """Whether an element can be seen, bool [N,E]."""
    return regions(images).sum(dim=(2, 3)) >= _LEAST


def shares(maps: Tensor, regions: Tensor) -> Tensor:
    """The share of maps [N,H,W] in [0,1] that lies on each element's region [N,E,H,W]: float32 [N,E].

    Example:
        >>> shares(torch.tensor([[[3.0, 1.0]]]), torch.tensor([[[[True, False]], [[False, True]]]]))
        tensor([[0.7500, 0.2500]])
    """
    on_each = (maps[:, None] * regions).sum(dim=(2, 3))
    return on_each / maps.sum(dim=(1, 2))[:, None]


def agreement(worth: Tensor, shares: Tensor) -> Tensor:
    """Kendall's tau-a of what elements are worth and what maps give them, both [N,E]: float32 [N] in [-1, 1].

    Over the elements that are there, those with a worth that is no NaN; NaN where there are fewer than two, or the
    shares are not finite. Higher is better. Elements with equal shares agree and disagree by half: 0.

    Example:
        >>> agreement(torch.tensor([[3.0, 1.0, torch.nan, -1.0]]), torch.tensor([[0.5, 0.2, 0.9, 0.3]]))
        tensor([0.3333])
    """
    first, second = torch.triu_indices(worth.shape[1], worth.shape[1], offset=1)
    differences = worth[:, first] - worth[:, second]
    products = differences.sign() * (shares[:, first] - shares[:, second]).sign()
    found = products.where(differences.isfinite(), torch.nan).nanmean(dim=1)
    return found.where(shares.isfinite().all(dim=1), torch.nan)


def scored(explained: Explained, images: Split, stored: dict[str, Tensor]) -> pd.DataFrame:
    """Stored maps for the true class held against the interventions: rows index, metric, value, reading."""
    device, parts, done = explained.subject.device, [], 0
    lost, seen = worth(explained.subject.network, images, device), regions(images).to(device)
    for x, index, _, _, raw in batches(explained, images, stored):
        here = slice(done, done + len(index))
        for reading in explained.readings:
            given = shares(explained.scaled(raw[:, 0], x, reading), seen[here])
            density = given / seen[here].sum(dim=(2, 3)).clamp(min=1)
            values = {name: agreement(lost[here], told) for name, told in zip(METRICS, (given, density))}
            parts.append(rows(index, values, reading=reading))
        done = here.stop
    return pd.concat(parts, ignore_index=True)


def _logits(network: nn.Module, images: Split, device: torch.device) -> Tensor:
    """The logit of each image's true class, float32 [N]."""
    found = []
    with torch.inference_mode():
        for batch in images.batches(64):
            logits = logits_of(network, images.normalise(batch.images.to(device))).float()
            found.append(logits.gather(1, batch.labels.to(device)[:, None])[:, 0])
    return torch.cat(found)
