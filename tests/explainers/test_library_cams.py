import gc

import numpy as np
import pytest
import torch
from pytorch_grad_cam import HiResCAM, LayerCAM, XGradCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from xai_lib import models
from xai_lib.explainers import class_score, normalise
from xai_lib.explainers.cams import hires_cam, layer_cam, xgrad_cam
from xai_lib.explainers.passes import layer_maps

FORMULAS = {
    hires_cam: lambda a, g: (a * g).sum(1),
    layer_cam: lambda a, g: (a * g.relu()).sum(1),
    xgrad_cam: lambda a, g: torch.einsum("bk,bkhw->bhw", (a * g).sum((2, 3)) / (a.sum((2, 3)) + 1e-7), a),
}


@pytest.mark.parametrize("explain", FORMULAS)
@pytest.mark.parametrize("layer", ["middle", "last", "relu"])
def test_equals_the_formula_with_its_signs(model, x, target, explain, layer):
    expected = layer_maps(model, x, class_score(target), layer, FORMULAS[explain])
    maps = explain(model, x, score=class_score(target), layer=layer, upsample=False)
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("explain", [hires_cam, xgrad_cam])
def test_maps_are_signed_and_sum_to_a_linear_score(model, x, target, explain):
    maps = explain(model, x, score=class_score(target), layer="relu", upsample=False)
    assert maps.min() < 0 < maps.max()
    score = model(x).gather(1, target[:, None])[:, 0] - model.head.bias[target]
    torch.testing.assert_close(maps.sum((1, 2)), score.detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("explain", "library"), [(hires_cam, HiResCAM), (layer_cam, LayerCAM), (xgrad_cam, XGradCAM)])
def test_equals_pytorch_grad_cam(explain, library):
    model = models.build("resnet8", 10, width=8, seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    model.head.weight.data = torch.randn(model.head.weight.shape, generator=generator)
    x, target = torch.randn(4, 3, 32, 32, generator=generator), torch.tensor([0, 3, 9, 1])
    with library(model, [model.default_layer()]) as reference:
        expected = reference(x, [ClassifierOutputTarget(int(c)) for c in target])
    grid = explain(model, x, score=class_score(target), upsample=False)
    scaled = scale_cam_image(np.maximum(scale_cam_image(normalise.relu(grid).numpy(), (32, 32)), 0))
    np.testing.assert_allclose(scaled, expected, rtol=0, atol=1e-4)


@pytest.mark.filterwarnings("error")
def test_nothing_of_the_library_is_left_or_printed(model, x, target, capfd):
    state = torch.random.get_rng_state()
    for explain in FORMULAS:
        explain(model, x, score=class_score(target), layer="last")
    gc.collect()
    assert capfd.readouterr() == ("", "")
    assert torch.equal(torch.random.get_rng_state(), state)
