from dataclasses import replace

import pytest
import torch

from xai_lib import models
from xai_lib.training import objective, recipes


def tiny(loss, **changes):
    return replace(recipes.get("small", loss), **{"epochs": 2, "width": 4, "batch_size": 16} | changes)


def same_weights(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_nearest_neighbour_accuracy_by_hand():
    directions = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.6, 0.8]])
    labels = torch.tensor([0, 0, 1, 0])  # the fourth image's nearest is the third
    value = objective.accuracy(tiny("tl"), directions[:, None], labels)
    assert value == 0.5
    views = torch.stack([directions, directions.flip(0)], 1)  # another image's second view may be the nearest
    assert objective.accuracy(tiny("scl"), views, torch.tensor([0, 1, 1, 2])) == 0.5


@pytest.mark.parametrize("loss", recipes.LOSSES)
def test_every_view_is_an_anchor_with_its_images_label(loss):
    recipe = replace(tiny(loss), views=2)
    outputs = torch.nn.functional.normalize(torch.randn(6, 2, 5, generator=torch.Generator().manual_seed(0)), dim=2)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    stacked, repeated = torch.cat([outputs[:, 0], outputs[:, 1]]), labels.repeat(2)
    assert torch.allclose(
        objective.objective(recipe, outputs, labels), objective.objective(recipe, stacked[:, None], repeated), atol=1e-6
    )


def test_fine_tuning_smooths_labels_and_training_does_not():
    recipe = replace(recipes.fine_tunings("small")["tuned"], label_smoothing=0.2)
    logits = torch.randn(6, 1, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    log_p = logits[:, 0].log_softmax(1)
    right, every = -log_p[range(6), labels], -log_p.mean(1)
    assert objective.objective(tiny("ce"), logits, labels) == torch.nn.functional.cross_entropy(logits[:, 0], labels)
    assert objective.objective(recipe, logits, labels).item() == pytest.approx(
        (0.8 * right + 0.2 * every).mean().item()
    )


def test_networks_of_each_loss():
    assert isinstance(objective.initial_network(tiny("ce"), 3, 0), models.Classifier)
    embedder = objective.initial_network(tiny("scl"), 3, 0)
    assert same_weights(embedder, objective.initial_network(tiny("scl"), 3, 0))
    assert not same_weights(embedder, objective.initial_network(tiny("scl"), 3, 1))
    z = embedder.eval()(torch.randn(2, 3, 12, 12))
    assert torch.allclose(z.norm(dim=1), torch.ones(2), atol=1e-6)
    assert z.shape == (2, 128)
    released = objective.initial_network(replace(tiny("tl"), triplets="released"), 3, 0).eval()
    x = torch.randn(2, 3, 12, 12)
    assert torch.equal(released(x), released.features(x))
