"""What a network says about a group of classes, taken as one compound class (whole-output paper §4.1)."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from xai_lib.explainers.scores import Score

_READINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "logit": lambda logits, groups: _within(logits, groups),
    "probability": lambda logits, groups: _within(logits, groups).sub(logits.logsumexp(1, keepdim=True)).exp(),
    "log-probability": lambda logits, groups: _within(logits, groups) - logits.logsumexp(1, keepdim=True),
}


def of_groups(groups: Tensor, what: Literal["logit", "probability", "log-probability"]) -> Score:
    """The score of S groups of classes per image (whole-output paper §4.1); a group of one class is that class.

    Args:
        groups: which classes are in a group, bool [B,S,C]; each group has at least one.
        what: "logit" is the log of the sum of the exponentials of the members' logits, "probability" the sum of their
            softmax probabilities, in [0,1], "log-probability" its logarithm.

    Returns:
        A function from logits [B,C] to scores [B,S]. It raises ValueError if the logits have another shape.

    Raises:
        ValueError: if `groups` is not bool [B,S,C], a group is empty, or `what` is another word.
    """
    if what not in _READINGS:
        raise ValueError(f"Expected what as one of {', '.join(_READINGS)}. Got {what!r}.")
    if not isinstance(groups, Tensor) or groups.dtype != torch.bool or groups.ndim != 3:
        got = f"{groups.dtype} with shape {list(groups.shape)}" if isinstance(groups, Tensor) else type(groups).__name__
        raise ValueError(f"Expected groups as a bool tensor [B,S,C]. Got {got}.")
    if not groups.any(2).all():
        raise ValueError(f"Expected groups of at least one class. Got {int((~groups.any(2)).sum())} empty ones.")
    with torch.inference_mode(False):
        members = groups.clone()  # gradients cannot be taken through what was made in inference mode

    def score(logits: Tensor) -> Tensor:
        if logits.shape != (len(groups), groups.shape[2]):
            raise ValueError(
                f"Expected logits {[len(groups), groups.shape[2]]} for these groups. Got {list(logits.shape)}."
            )
        return _READINGS[what](logits, members.to(logits.device))

    return score


def _within(logits: Tensor, groups: Tensor) -> Tensor:
    """The log of the sum of exponentials over each group's members, [B,S]."""
    return torch.where(groups, logits[:, None], -torch.inf).logsumexp(2)
