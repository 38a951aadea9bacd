import math

import pytest
import torch
from torch import nn

from xai_lib.training.evaluation import accuracy, predict, temperature

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 0.5]])


def test_predictions_do_not_depend_on_batches_and_the_mode_is_restored(split):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    model.train()
    at_once, in_parts = predict(model, split, 60), predict(model, split, 7)
    assert model.training
    assert at_once.shape == (60, 3)
    assert torch.allclose(at_once, in_parts, atol=1e-6)
    assert model[1].num_batches_tracked == 0
    with torch.no_grad():
        assert torch.allclose(model.eval()(split.normalise(split.images)), at_once, atol=1e-6)


def test_accuracy_is_of_any_callable(split):
    def brightest_corner(x):
        return torch.stack([x[:, k, 4 * k : 4 * k + 4, :5].mean((1, 2)) for k in range(3)], 1)

    assert accuracy(brightest_corner, split) == 1.0
    assert accuracy(lambda x: brightest_corner(x).roll(1, 1), split) == 0.0


@pytest.mark.parametrize("confidence", [0.4, 0.75, 0.98])
def test_a_temperature_gives_the_confidence_and_grows_with_the_logits(confidence):
    logits = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    found = temperature(logits, confidence)
    assert (logits.double() / found).softmax(1).amax(1).mean().item() == pytest.approx(confidence, abs=1e-9)
    for factor in (1e-3, 7.0, 1e4):
        assert temperature(factor * logits, confidence) == pytest.approx(factor * found, rel=1e-5)


@pytest.mark.parametrize(("logits", "confidence"), [(torch.ones(4, 3), 0.5), (LOGITS, 0.5), (LOGITS, 0.3), (LOGITS, 1)])
def test_what_no_temperature_reaches_is_nan(logits, confidence):
    assert math.isnan(temperature(logits, confidence))
