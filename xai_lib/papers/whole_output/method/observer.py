"""A simulated observer of the matching task: which of two heat maps is of which of two confusing classes? The paper
asks people (§5.2, Tables 4-5); this is another network than the explained one, and no measurement of people.
"""

import torch
from torch import Tensor

from xai_lib.forward import Model, outputs
from xai_lib.papers.whole_output.method.faithfulness import check_rows, salient


def matched(observer: Model, x: Tensor, image: Tensor, maps: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Which of two maps [P,2,H,W] is of class a, and which of b, labels [P,2]? Accuracy (1, 0, 0.5 for a guess), [P].

    And the margin [P]: log P(a) - log P(b) that the observer says of the first map's salient pixels alone, the rest 0,
    less that of the second's; above 0 is right. Both are NaN if a map has no salient pixel.
    """
    if maps.ndim != 4 or maps.shape[1] != 2 or labels.shape != maps.shape[:2]:
        got = f"{list(maps.shape)} and {list(labels.shape)}"
        raise ValueError(f"Expected two maps [P,2,H,W] and two classes, labels [P,2], for each pair. Got {got}.")
    check_rows(x, image.repeat_interleave(2), maps.flatten(0, 1), labels.flatten())
    image, labels = image.to(x.device), labels.to(x.device)
    stay = salient(maps.to(x.device).flatten(0, 1)).unflatten(0, (-1, 2))  # [P,2,H,W]

    def make(pair: Tensor, which: Tensor) -> Tensor:
        return x[image[pair]].masked_fill(~stay[pair, which][:, None], 0)

    space = x[:1].expand(len(maps), -1, -1, -1)
    log_odds = lambda logits, of: -logits.gather(1, of).diff(dim=1)[:, 0]  # noqa: E731
    evidence = outputs(observer, make, log_odds, space, labels, 2, None)
    same = (stay[:, 0] == stay[:, 1]).flatten(1).all(1)
    margin = (evidence[:, 0] - evidence[:, 1]).masked_fill(same, 0)
    undefined = ~stay.flatten(2).any(2).all(1)
    return tuple(found.masked_fill(undefined, torch.nan) for found in ((margin.sign() + 1) / 2, margin))
