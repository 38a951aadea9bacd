"""A simulated observer of the matching task: which of two heat maps is of which of two confusing classes?

The whole-output paper asks this of people (§5.2, Tables 4-5). This observer is ours: another network than the explained
one, with a stated rule. What it scores is no measurement of people and stands beside those tables, not in them.
"""

import torch
from torch import Tensor

from xai_lib.forward import Model, outputs
from xai_lib.papers.whole_output.method.faithfulness import check_rows, salient


def matched(observer: Model, x: Tensor, image: Tensor, maps: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Let a network match two maps with two classes.

    Of each map its salient pixels (the paper's, see :func:`faithfulness.salient`) stay and the rest becomes 0, the mean
    colour. The observer says log P(a) - log P(b) of both, and the map with the larger number is matched with a. Two
    maps that leave the same pixels cannot be told apart.

    Args:
        observer: images [B,c,H,W] -> logits [B,C], in evaluation mode; another network than the explained one.
        x: images as the observer takes them, normalised, float [B,c,H,W].
        image: which row of x each pair is of, int64 [P].
        maps, labels: of classes a and b, float [P,2,H,W]; these classes, int64 [P,2].

    Returns:
        accuracy, float32 [P]: 1 if the right map is matched with a, 0 if the other one is, 0.5 (a guess) if they say
        the same; and margin, float32 [P]: the first map's number less the second's, above 0 for a right match. Both NaN
        if one of the maps has no salient pixel. TypeError or ValueError if types, shapes or ranges are not these, the
        observer is in training mode, or a logit is not finite.
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
    evidence = outputs(observer, make, _log_odds, space, labels, 2, None)
    same = (stay[:, 0] == stay[:, 1]).flatten(1).all(1)
    margin = (evidence[:, 0] - evidence[:, 1]).masked_fill(same, 0)
    undefined = ~stay.flatten(2).any(2).all(1)
    return tuple(found.masked_fill(undefined, torch.nan) for found in ((margin.sign() + 1) / 2, margin))


def _log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    a, b = logits.gather(1, labels).unbind(1)
    return a - b
