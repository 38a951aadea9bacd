import pytest
import torch
from derivations import networks
from torch import nn

from xai_lib.explainers import class_score, of_class
from xai_lib.explainers.bottleneck import FeatureStatistics, feature_statistics, iba

INDEX = torch.tensor([5, 0, 17, 3])


@pytest.fixture
def images():
    return networks.images(30, 16, seed=2)


class ReadsOneRegion(nn.Module):
    """Two classes, by the brightness of the lower left quarter; four channels, of which one is silent."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 1, bias=False)
        self.layer.weight.data = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])[:, :, None, None]

    def forward(self, x):
        a = self.layer(x)
        side = x.shape[-1] // 2
        bright = a[:, :, side:, :side].mean((1, 2, 3)) * 30
        return torch.stack([bright, -bright], 1)


def test_information_flows_where_the_network_reads():
    generator = torch.Generator().manual_seed(0)
    model = ReadsOneRegion()
    statistics = feature_statistics(model, torch.randn(40, 3, 8, 8, generator=generator).split(8), "layer")
    x = 1 + 0.1 * torch.randn(3, 3, 8, 8, generator=generator)
    score = of_class(torch.zeros(3, dtype=torch.int64), "log-probability")
    maps = iba(model, x, score=score, statistics=statistics, seed=0, index=INDEX[:3], layer="layer", beta=1.0, steps=40)
    inside = maps[:, 5:, :3].mean((1, 2))
    assert (inside > 3 * maps[:, :3].mean((1, 2))).all()
    assert (maps >= 0).all()


def test_activations_that_never_vary_carry_no_information():
    model, generator = ReadsOneRegion(), torch.Generator().manual_seed(0)
    images = torch.randn(20, 3, 8, 8, generator=generator)
    images[:, 2] = 0.5
    statistics = feature_statistics(model, [images], "layer")
    assert (statistics.std[2:] == 0).all() and (statistics.std[:2] > 0).all()
    score = of_class(torch.zeros(2, dtype=torch.int64), "log-probability")
    settings = {"score": score, "statistics": statistics, "seed": 0, "index": INDEX[:2], "layer": "layer", "beta": 1e-3}
    expected = iba(model, images[:2], **settings)
    images[:2, 2] = 9.0  # far from all that was seen, but of no consequence
    torch.testing.assert_close(iba(model, images[:2], **settings), expected)


def test_statistics_are_those_of_all_images_at_once(model, images):
    activations = model.middle(model.stem(images)).detach()
    for parts in (images.split(7), [images], images.split(1)):
        found = feature_statistics(model, (part for part in parts), "middle")
        torch.testing.assert_close(found.mean, activations.mean(0), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(found.std, activations.std(0), rtol=1e-5, atol=1e-6)
        assert found.mean.dtype == found.std.dtype == torch.float32


def test_statistics_need_images_of_one_size(model, images):
    with pytest.raises(ValueError, match=r"Expected at least two images .* Got 1"):
        feature_statistics(model, [images[:1]], "last")
    with pytest.raises(ValueError, match=r"Expected at least two images .* Got 0"):
        feature_statistics(model, [], "last")
    with pytest.raises(ValueError, match=r"Expected images of one size, with activations \[12, 4, 4\]"):
        feature_statistics(model, [images, images[:, :, :8]], "last")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer": "middle"}, r"Expected statistics of this layer, mean and std \[8, 8, 8\]. Got \[12, 4, 4\]"),
        ({"layer": "lost"}, r"Expected the name of a layer of this model"),
        ({"score": lambda logits: torch.ones(4)}, r"Expected a score that depends on the output of the layer"),
    ],
)
def test_wrong_settings_are_refused(model, x, images, target, settings, message):
    given = {"score": class_score(target), "seed": 0, "index": INDEX, "layer": "last"}
    with pytest.raises(ValueError, match=message):
        iba(model, x, statistics=feature_statistics(model, [images], "last"), **(given | settings))


def test_statistics_of_another_kind_are_refused(model, x, target):
    wrong = FeatureStatistics(torch.zeros(12, 4, 4), torch.ones(12))
    with pytest.raises(ValueError, match=r"Got \[12, 4, 4\] and \[12\]"):
        iba(model, x, score=class_score(target), statistics=wrong, seed=0, index=INDEX, layer="last")
