"""What a trained model predicts on a split, and how often and how confidently it is right."""

from collections.abc import Callable

import torch
from scipy.optimize import brentq
from torch import Tensor, nn

from xai_lib.data.split import Split


@torch.no_grad()
def predict(model: nn.Module | Callable[[Tensor], Tensor], split: Split, batch_size: int = 500) -> Tensor:
    """The model's output for every image of ``split``, in its order and on its device: float32 [N,k].

    The model gives [B,k] for normalised images [B,3,H,W]; a module is run in evaluation mode and left in its own.
    """
    if was_training := isinstance(model, nn.Module) and model.training:
        model.eval()
    try:
        images = (split.normalise(batch.images) for batch in split.batches(batch_size))
        outputs = [model(x.contiguous(memory_format=torch.channels_last)).float() for x in images]
    finally:
        if was_training:
            model.train()
    return torch.cat(outputs)


def accuracy(model: nn.Module | Callable[[Tensor], Tensor], split: Split) -> float:
    """Share of right predictions, in [0, 1], of a model that gives logits [B,C] for C = ``len(split.classes)``."""
    return (predict(model, split).argmax(1) == split.labels).double().mean().item()


def temperature(logits: Tensor, confidence: float) -> float:
    """The T > 0 at which softmax(z/T) has this mean confidence (its largest probability, over images).

    From logits [N,C]. It grows with the logits. NaN where no temperature reaches the confidence: not above 1/C, or 1.
    """
    z = logits.double()
    spread = float((z.amax(1) - z.mean(1)).mean())
    excess = lambda power: float((z / (spread * 10**power)).softmax(1).amax(1).mean()) - confidence  # noqa: E731
    if not spread > 0 or excess(-6) <= 0 or excess(6) >= 0:
        return float("nan")
    return spread * 10 ** brentq(excess, -6, 6, xtol=1e-12)
