"""What an explanation is about: a number per image, computed from the logits."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from xai_lib.checks import described
from xai_lib.explainers.registry import Score

_READINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "logit": lambda logits: logits,
    "probability": partial(torch.softmax, dim=1),
    "log-probability": partial(torch.log_softmax, dim=1),
}
_OF_LABELS = {"logit": lambda logits: logits, "probability": torch.sigmoid, "log-probability": functional.logsigmoid}


def class_score(target: Tensor) -> Score:
    """The score that picks the logit of a class, ``logits[b, target[b]]``.

    Of classes int64 [B], or [B,S] for S classes per image: a function from logits [B,C] to scores of that shape.
    ValueError for another `target`; from the function, if there is not one per image, or one is not a class.

    Example:
        >>> class_score(torch.tensor([2, 0]))(torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]))
        tensor([2., 3.])
    """
    if not isinstance(target, Tensor) or target.dtype != torch.int64 or target.ndim not in (1, 2):
        raise ValueError(f"Expected target as an int64 tensor [B] or [B,S]. Got {described(target)}.")
    with torch.inference_mode(False):
        target = target.clone()  # gradients cannot be taken through what was made in inference mode

    def score(logits: Tensor) -> Tensor:
        if len(target) != len(logits):
            raise ValueError(f"Expected one target per image, {len(logits)} in all. Got {len(target)}.")
        last = logits.shape[1] - 1
        if ((target < 0) | (target > last)).any():
            raise ValueError(f"Expected targets in 0 to {last}. Got targets from {target.min()} to {target.max()}.")
        columns = target.reshape(len(target), target.shape[1:].numel()).to(logits.device)  # [B,S]
        return logits.gather(1, columns).reshape(target.shape)

    return score


def of_class(
    target: Tensor, what: Literal["logit", "probability", "log-probability"], *, multi_label: bool = False
) -> Score:
    """As :func:`class_score`, of what a network says about a class: its logit, or its (log-)probability by a softmax.

    With several labels an image (`multi_label`) it is a sigmoid. ValueError also if `what` is another word.
    """
    if what not in _READINGS:
        raise ValueError(f"Expected what as one of {', '.join(_READINGS)}. Got {what!r}.")
    pick, reading = class_score(target), (_OF_LABELS if multi_label else _READINGS)[what]
    return lambda logits: pick(reading(logits))


def checked_scores(score: Score, logits: Tensor) -> Tensor:
    """Apply `score` to logits [B,C]; TypeError or ValueError if it does not give finite floats [B] or [B,S]."""
    if not callable(score):
        expected = "Expected score as a function from logits [B,C] to [B] or [B,S], such as class_score(target)."
        raise TypeError(f"{expected} Got {described(score)}.")
    scores = score(logits)
    if not isinstance(scores, Tensor) or not scores.is_floating_point():
        raise TypeError(f"Expected score to return a float tensor [B] or [B,S]. Got {described(scores)}.")
    if scores.ndim not in (1, 2) or len(scores) != len(logits) or 0 in scores.shape[1:]:
        expected = f"Expected score to return one number per image, [{len(logits)}], or S of them, [{len(logits)},S]."
        raise ValueError(f"{expected} Got shape {list(scores.shape)}.")
    finite = scores.detach().reshape(len(scores), scores.shape[1:].numel()).isfinite().all(1)  # [B]
    if not finite.all():
        bad = (~finite).nonzero().flatten().tolist()
        got = f"Got NaN or infinity for {len(bad)} of {len(scores)} images, at positions {bad[:5]}"
        raise ValueError(f"Expected finite scores. {got}: check the model's weights and its input.")
    return scores
