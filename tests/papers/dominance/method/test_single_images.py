import numpy as np
import pandas as pd
import pytest
import torch

from xai_lib import models
from xai_lib.explainers import cams, class_score
from xai_lib.papers.dominance.method.mosaics import assemble
from xai_lib.papers.dominance.method.single_images import all_pairs, of_images, outputs, relative

N, SIZE = 5, 4


COLOURS = lambda x: x.mean((2, 3))  # noqa: E731
X = torch.rand(N, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def test_equal_images_are_even_wherever_the_method_looks_and_one_cannot_be_compared():
    by_place = lambda x, target, _index: x[:, target[0]] * torch.arange(x.shape[2]).square()[:, None]  # noqa: E731
    np.testing.assert_allclose(all_pairs(X[:1].repeat(3, 1, 1, 1), 0, by_place, COLOURS)["value"], 0.5, atol=1e-6)
    with pytest.raises(ValueError, match=r"at least 2 images to compare. Got 1"):
        all_pairs(X[:1], 0, by_place, COLOURS)


def test_relative_dominance_orders_images_by_what_the_method_sees():
    brightness = torch.tensor([0.2, 0.9, 0.5, 0.4, 0.7])
    x = brightness[:, None, None, None].expand(-1, 3, SIZE, SIZE)
    found = relative(all_pairs(x, 0, lambda x, _target, _index: x[:, 0], COLOURS, resized=False), N)
    assert np.array_equal(found.argsort(), brightness.argsort().numpy())
    shares = brightness[:, None] / (brightness[:, None] + brightness)
    np.testing.assert_allclose(found, (shares.sum(1) - 0.5) / (N - 1), rtol=1e-5)


def test_layouts_without_energy_are_counted_and_left_out():
    def explain(x, _target, index):
        """Empty in each pair's first layout, and in all layouts of the first pair."""
        return x[:, 0] * ((index % 6 > 0) & (index > 5))[:, None, None]

    frame = all_pairs(X, 0, explain, COLOURS)
    assert frame["n_undefined"].tolist() == [6] + [1] * 9
    assert frame["value"].isna().tolist() == [True] + [False] * 9
    assert relative(frame, N)[:2] == pytest.approx([frame["value"][1:4].mean(), frame["value"][4:7].mean()])
    alone = relative(pd.DataFrame({"a": [0, 0], "b": [1, 2], "value": [0.7, np.nan], "logit": 0.0}), 3)
    np.testing.assert_allclose(alone, [0.7, 0.3, np.nan])


@pytest.mark.parametrize("n", [1, 3, 5, 20])
def test_what_is_said_of_each_image_is_about_the_class(n):
    """Of few training images all are the nearest."""
    generator = torch.Generator().manual_seed(0)
    draws = [torch.randn(*shape, generator=generator) for shape in ((6, 4), (6, 3), (20, 3))]
    logits, features, training = (part.numpy() for part in draws)
    frame = outputs(2, *draws[:2], draws[2][:n])
    assert frame.columns.tolist() == ["logit", "probability", "training_distance"]
    powers = np.exp(logits)
    for row, one in enumerate(frame.itertuples()):
        assert one.logit == logits[row, 2]
        assert one.probability == pytest.approx(powers[row, 2] / powers[row].sum(), rel=1e-5)
        distances = sorted(np.linalg.norm(features[row] - training[:n], axis=1))
        assert one.training_distance == pytest.approx(np.mean(distances[:5]), rel=1e-5)
    with pytest.raises(ValueError, match="0, the number of reference images"):
        outputs(2, *draws[:2], draws[2][:0])


def test_the_logit_of_an_images_mosaics_is_the_mean_over_all_that_it_stands_in():
    frame = pd.DataFrame({"a": [0, 0, 1], "b": [1, 2, 2], "logit": [1.0, 2.0, 6.0], "value": 0.5})
    assert of_images(frame)["mosaic_logit"].tolist() == [1.5, 3.5, 4.0]
    bright = all_pairs(X, 0, lambda x, _target, _index: x[:, 0], COLOURS, resized=False)  # a mosaic's is a mean of two
    red = X[:, 0].mean((1, 2))
    np.testing.assert_allclose(bright["logit"], (red[bright["a"]] + red[bright["b"]]) / 2, rtol=1e-5)


@pytest.mark.parametrize("resized", [True, False])
def test_before_the_relu_and_without_the_bias_energy_is_a_share_of_the_mosaics_logit(resized):
    """Only for the mosaic's logit, of a network that ends in average pooling and a linear layer; a map without negative
    values keeps it as dominance on the layer's grid.
    """
    network = models.build("resnet8", 4, width=8, seed=0).eval()
    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    network.head.bias.data += 3
    for positive in (False, True):
        network.head.weight.data = network.head.weight.data.abs() if positive else network.head.weight.data
        mosaic = assemble(x[None], resized)
        raw = cams.grad_cam(network, mosaic, score=class_score(torch.tensor([2])), upsample=False).double()
        with torch.no_grad():
            activations = network.backbone(mosaic).double()
            logit, alone = network(mosaic)[0, 2].item(), network(x)[:, 2].mean().item()
        bias, n_channels = network.head.bias[2].item(), activations.shape[1]
        parts = n_channels * raw.unflatten(1, (2, -1)).unflatten(3, (2, -1)).sum((2, 4)).flatten(1)[0]
        by_hand = (
            network.head.weight[2].double()
            @ activations[0].unflatten(1, (2, -1)).unflatten(3, (2, -1)).sum((2, 4)).flatten(1)
            / activations.shape[2:].numel()
        )
        np.testing.assert_allclose(parts, by_hand.detach(), rtol=1e-4)
        assert parts.sum().item() + bias == pytest.approx(logit, rel=1e-4)
        assert abs(logit - alone) > 1e-3  # the images' own logits are other numbers
        assert (raw.min() < 0) == (not positive)
