"""The linear probe: a head for a frozen backbone, folded into one linear layer on its pooled features."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from xai_lib import models
from xai_lib.data.split import Split
from xai_lib.training.evaluation import predict

PENALTY = 1e-4
VARIANTS = ("paper", "released")

_TOLERANCE = 1e-6  # of the largest element of the gradient
_LBFGS = {"max_iter": 1000, "max_eval": 2000, "tolerance_grad": _TOLERANCE, "tolerance_change": 0.0}
_LBFGS |= {"history_size": 20, "line_search_fn": "strong_wolfe"}
_CONSTANT = 1e-6  # a feature deviating less than this, relative to the largest deviation, is constant

_RELEASED_STEPS = 100
_RELEASED = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}


def fit_probe(backbone: nn.Module, split: Split, *, variant: str = "paper", seed: int = 0) -> models.Classifier:
    """Fit a linear head on ``backbone``'s pooled features of ``split``, not augmented (contrastive paper §3.3, §4.1).

    "paper" is the optimum of an L2-penalised multinomial logistic regression on standardised features, found by L-BFGS
    in float64 and folded into one layer on the features themselves. The paper only says "100 epochs of SGD with
    learning rate 0.1"; at the optimum no number depends on the solver.

    "released" does what the authors' code does: 100 steps of full-batch gradient descent (rate 0.1, momentum 0.9, decay
    1e-4) on L2-normalised features, and then, as that code evaluates CIFAR-10, the head applied to features that are
    *not* normalised. On normalised features its confidence has a ceiling that falls with the number of classes: were
    the features of each class one, and orthogonal to all others, about 0.9 for ten classes and 0.11 for fifty.

    The backbone, [B,3,H,W] -> activations [B,D,h,w], is on the device of the training images ``split``, and frozen.
    ``seed`` is of the released head's first weights. ValueError if the variant does not exist, or features are NaN or
    infinite; RuntimeError if L-BFGS does not converge.
    """
    if variant not in VARIANTS:
        raise ValueError(f"Expected a probe out of {', '.join(VARIANTS)}. Got {variant!r}.")
    given = predict(models.Classifier(backbone, nn.Identity()), split), split.labels, len(split.classes)
    head = fit_logistic(*given) if variant == "paper" else fit_released(*given, seed=seed)
    return models.Classifier(backbone, head).eval()


def fit_logistic(features: Tensor, labels: Tensor, n_classes: int) -> nn.Linear:
    """Minimise mean cross entropy + (λ/2)·‖W‖² on standardised features; fold the standardising into the layer.

    λ is 1e-4, and the bias has no penalty. With z = (a − μ)/σ: W z + b = (W/σ) a + (b − (W/σ) μ). Constant features get
    weight 0. From features, float32 [N,D], and labels, int64 [N], the layer D -> C on features as they are. ValueError
    if a feature is NaN or infinite; RuntimeError if the gradient is not below 1e-6 after 1000 iterations.
    """
    if not features.isfinite().all():
        raise ValueError("Expected finite features. Got NaN or infinite ones: did the network's training diverge?")
    x = features.double()
    mean, deviation = x.mean(0), x.std(0, correction=0)
    scale = torch.where(deviation > _CONSTANT * deviation.max(), 1 / deviation, 0.0)
    x = (x - mean) * scale
    to_weight = _whitening(x)  # W = V P: the solver's V goes with uncorrelated features x P
    whitened = x @ to_weight
    v = torch.zeros(n_classes, x.shape[1], dtype=x.dtype, device=x.device, requires_grad=True)
    bias = torch.zeros(n_classes, dtype=x.dtype, device=x.device, requires_grad=True)
    solver = torch.optim.LBFGS([v, bias], **_LBFGS)

    def closure() -> Tensor:
        solver.zero_grad()
        value = functional.cross_entropy(whitened @ v.T + bias, labels)
        value = value + 0.5 * PENALTY * (v @ to_weight).square().sum()
        value.backward()
        return value

    solver.step(closure)
    closure()
    if not (gradient := max(v.grad.abs().max().item(), bias.grad.abs().max().item())) <= _TOLERANCE:
        raise RuntimeError(
            f"The linear probe did not converge: largest gradient {gradient:.2g} after {solver.state[v]['n_iter']} "
            f"iterations (expected at most {_TOLERANCE:g}). Does every class have images?"
        )
    folded = (v.detach() @ to_weight) * scale
    layer = nn.Linear(x.shape[1], n_classes, device=x.device).requires_grad_(False)
    layer.weight.copy_(folded)
    layer.bias.copy_(bias.detach() - folded @ mean)
    return layer


def _whitening(x: Tensor) -> Tensor:
    """Symmetric P [D,D] with P² ≈ inverse covariance of ``x``: about ten times fewer iterations, the same optimum."""
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    return (vectors * (values.clamp(min=0) + PENALTY).rsqrt()) @ vectors.T


def fit_released(features: Tensor, labels: Tensor, n_classes: int, *, seed: int) -> nn.Linear:
    """The released probe: 100 full-batch steps on L2-normalised features [N,D]; as :func:`fit_logistic`."""
    x = functional.normalize(features, dim=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = nn.Linear(x.shape[1], n_classes).to(x.device)
    descent = torch.optim.SGD(head.parameters(), **_RELEASED)
    for _ in range(_RELEASED_STEPS):
        descent.zero_grad()
        functional.cross_entropy(head(x), labels).backward()
        descent.step()
    return head.requires_grad_(False)
