import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn import functional

from xai_lib import models
from xai_lib.training import probe
from xai_lib.training.evaluation import accuracy
from xai_lib.training.probe import fit_logistic, fit_probe, fit_released

PENALTY = 1e-2


@pytest.fixture
def stronger(monkeypatch):
    monkeypatch.setattr(probe, "PENALTY", PENALTY)


@pytest.fixture
def features():
    """Features of very unequal scale, one of them dead; noisy labels of four classes."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(300, 8, generator=generator) * torch.logspace(-2, 2, 8) + torch.linspace(0, 50, 8)
    x[:, 5] = 0.75
    evidence = x[:, [0, 2, 3, 4]]
    evidence = (evidence - evidence.mean(0)) / evidence.std(0)
    labels = (evidence + torch.randn(300, 4, generator=generator)).argmax(1)
    return x, labels


def test_probe_is_scikit_learns_optimum_on_standardised_features(features, stronger):
    x, labels = features
    head = fit_logistic(x, labels, 4)
    z = StandardScaler().fit_transform(x.double().numpy())
    oracle = LogisticRegression(C=1 / (PENALTY * len(x)), tol=1e-10, max_iter=10_000).fit(z, labels.numpy())
    ours, theirs = head(x).log_softmax(1), torch.from_numpy(oracle.predict_log_proba(z))
    assert torch.allclose(ours.double(), theirs, atol=1e-3)


def test_folded_head_equals_standardising_first(features, stronger):
    x, labels = features
    x = x + torch.linspace(0, 100, 8)  # folding must undo large means
    head = fit_logistic(x, labels, 4)
    z = (x.double() - x.double().mean(0)) / x.double().std(0, correction=0).clamp_min(1e-9)
    standardised = fit_logistic(z.float(), labels, 4)
    assert torch.allclose(head(x), standardised(z.float()), atol=2e-3)
    assert head.weight[:, 5].abs().max() == 0
    assert not head.weight.requires_grad


def test_a_larger_penalty_gives_smaller_weights_and_less_confidence(features, monkeypatch):
    x, labels = features
    free = fit_logistic(x, labels, 4)
    monkeypatch.setattr(probe, "PENALTY", 1.0)
    bound = fit_logistic(x, labels, 4)
    assert bound(x).softmax(1).amax(1).mean() < free(x).softmax(1).amax(1).mean() - 0.1


def test_features_that_are_not_finite_are_refused(features):
    x, labels = features
    x[0, 0] = torch.nan
    with pytest.raises(ValueError, match="Expected finite features"):
        fit_logistic(x, labels, 4)


def test_a_fit_that_stops_early_is_refused(features, monkeypatch):
    monkeypatch.setitem(probe._LBFGS, "max_iter", 2)
    with pytest.raises(RuntimeError, match=r"did not converge: largest gradient .* after 2 iterations"):
        fit_logistic(*features, 4)


def test_released_probe_is_a_hundred_momentum_steps_on_normalised_features(features):
    x, labels = features
    head = fit_released(x, labels, 4, seed=7)
    torch.manual_seed(7)
    start = nn.Linear(8, 4)
    w, b = start.weight.detach().clone(), start.bias.detach().clone()
    z, target = functional.normalize(x, dim=1), functional.one_hot(labels, 4).float()
    vw, vb = torch.zeros_like(w), torch.zeros_like(b)
    for _ in range(100):
        error = ((z @ w.T + b).softmax(1) - target) / len(x)
        vw, vb = 0.9 * vw + error.T @ z + 1e-4 * w, 0.9 * vb + error.sum(0) + 1e-4 * b
        w, b = w - 0.1 * vw, b - 0.1 * vb
    assert torch.allclose(head.weight, w, atol=1e-5)
    assert torch.allclose(head.bias, b, atol=1e-5)


@pytest.mark.parametrize(("n_classes", "confidence"), [(10, 0.9), (50, 0.11)])
def test_the_released_probe_is_sure_of_collapsed_features_of_ten_classes_and_not_of_fifty(n_classes, confidence):
    x, labels = torch.eye(n_classes, 512).repeat(3, 1), torch.arange(n_classes).repeat(3)
    head = fit_released(x, labels, n_classes, seed=0)
    probabilities = head(x).softmax(1)
    assert (probabilities.argmax(1) == labels).all()
    assert probabilities.amax(1).mean().item() == pytest.approx(confidence, abs=0.012)


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_probe_gives_one_plain_classifier(split, variant):
    backbone = models.build("resnet8", 3, width=8, seed=0).backbone.eval()
    before = [p.clone() for p in backbone.parameters()]
    result, again = (fit_probe(backbone, split, variant=variant) for _ in range(2))
    assert isinstance(result.head, nn.Linear) and not result.training
    assert torch.equal(result.head.weight, again.head.weight)
    assert all(torch.equal(a, b) for a, b in zip(before, backbone.parameters()))
    assert accuracy(result, split) > (0.7 if variant == "paper" else 0.3)


def test_unknown_variant_lists_the_choices(split):
    with pytest.raises(ValueError, match=r"paper, released. Got 'lda'"):
        fit_probe(nn.Identity(), split, variant="lda")
