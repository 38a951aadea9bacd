import gc

import numpy as np
import pytest
import torch
from derivations.networks import images, lively
from torch import nn

from xai_lib.explainers import cams, class_score
from xai_lib.explainers.cams import (
    eigen_cam,
    eigen_cam_tool,
    grad_cam,
    grad_cam_plus_plus,
    hires_cam,
    layer_cam,
    xgrad_cam,
)


def eigen(activations, **settings):
    """Eigen-CAM of given activations."""
    return eigen_cam(nn.Sequential(nn.Identity()), activations, layer="0", **settings)


# Grad-CAM++


def test_grad_cam_plus_plus_equals_derivatives_of_the_exponential(model, x, target):
    """Chattopadhay et al.'s equations by repeated differentiation of exp(S), a place at a time."""
    model = model.double()
    activations = model.last(model.middle(model.stem(x.double()))).detach()[0].relu()
    score = lambda logits: 0.3 * logits[..., target[0]]  # noqa: E731
    expected = torch.zeros(4, 4, dtype=torch.float64)
    for k in range(len(activations)):
        weight = 0
        for i, j in np.ndindex(4, 4):
            place = activations[k, i, j].clone().requires_grad_()
            edited = torch.stack(list(activations.flatten()))
            edited = edited.index_put((torch.tensor([k * 16 + i * 4 + j]),), place[None]).reshape(activations.shape)
            y = score(model.head(edited.mean((1, 2)))).exp()
            first, second, third = derivatives(y, place)
            alpha = second / (2 * second + activations[k].sum() * third)
            weight += alpha * first.relu() / y.detach()
        expected += weight * activations[k]
    given = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), model.head)
    maps = grad_cam_plus_plus(given, activations[None], score=score, layer="0")
    torch.testing.assert_close(maps[0].double(), expected, rtol=1e-5, atol=1e-6)


def derivatives(y, place):
    found = []
    for _ in range(3):
        (y,) = torch.autograd.grad(y, place, create_graph=True)
        found.append(y.detach())
    return found


def test_grad_cam_plus_plus_is_finite_where_the_denominator_is_zero():
    activations = torch.tensor([[[[-2.0, 0.0], [0.0, 0.0]]]]).expand(-1, 2, -1, -1)
    model = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    maps = grad_cam_plus_plus(model, activations, score=lambda logits: 4 * logits, layer="0")
    assert maps.count_nonzero() == 0


# By the library


@pytest.mark.filterwarnings("error")
def test_nothing_of_the_library_is_left_or_printed(model, x, target, capfd):
    state = torch.random.get_rng_state()
    for explain in (hires_cam, layer_cam, xgrad_cam):
        explain(model, x, score=class_score(target), layer="last")
    gc.collect()
    assert capfd.readouterr() == ("", "")
    assert torch.equal(torch.random.get_rng_state(), state)


# Eigen-CAM


@pytest.mark.parametrize("channels", [3, 20])
@pytest.mark.parametrize("second", [0.05, 0.5, 0.9, 0.999])
def test_eigen_cam_equals_the_singular_value_decomposition(channels, second):
    # Fast and slow convergence; more places than channels, and fewer.
    generator = torch.Generator().manual_seed(3)
    left = torch.linalg.qr(torch.randn(6, 12, 3, generator=generator)).Q
    right = torch.linalg.qr(torch.randn(6, channels, 3, generator=generator)).Q
    values = torch.tensor([1.0, second, 0.02])
    matrix = (left * values) @ right.mT  # [B,hw,K]
    activations = matrix.mT.reshape(6, channels, 3, 4)
    maps = eigen(activations).flatten(1)
    torch.testing.assert_close(maps.norm(dim=1), torch.ones(6))
    # float32 activations determine the vector only to rounding / gap.
    tolerance = 1e-6 + 1e-7 / (1 - second)
    assert (1 - (maps * left[:, :, 0]).sum(1).abs()).max() < tolerance**2 + 1e-6
    torch.testing.assert_close(maps.abs(), left[:, :, 0].abs(), rtol=0, atol=2 * tolerance)
    assert (maps.sum(1) > 0).all()


def test_eigen_cam_is_not_fooled_by_a_start_without_the_first_vector():
    # The largest diagonal entry belongs to the second vector: power iteration from there never sees the first.
    pair = torch.tensor([[2.0, 0.0, 0.0, 0.0], [0.0, 1.9, 0.0, 0.0], [0.0, 1.9, 0.0, 0.0]])
    activations = pair.T.reshape(1, 4, 1, 3)
    maps = eigen(activations)
    torch.testing.assert_close(maps, torch.tensor([[[0.0, 0.5**0.5, 0.5**0.5]]]))


def test_eigen_cam_without_activations_is_zero():
    activations = torch.zeros(2, 5, 3, 3)
    activations[1] = torch.rand(5, 3, 3, generator=torch.Generator().manual_seed(0))
    for explain in (eigen_cam, eigen_cam_tool):
        maps = explain(nn.Sequential(nn.Identity()), activations, layer="0")
        assert maps[0].count_nonzero() == 0 and maps[1].norm() > 0.5


def test_the_tools_eigen_cam_leaves_out_what_all_places_share():
    # A constant added to a channel moves the paper's map and not the tool's; activations that do not vary give zeros.
    activations = torch.rand(2, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    shifted = activations + torch.tensor([4.0, 0.0, 0.0, 0.0, 0.0])[:, None, None]
    one, other = (eigen_cam_tool(nn.Sequential(nn.Identity()), some, layer="0") for some in (activations, shifted))
    torch.testing.assert_close(one.abs(), other.abs(), rtol=1e-4, atol=1e-5)
    assert (eigen(activations) - eigen(shifted)).abs().max() > 0.05
    rounding = 1 + 1e-7 * torch.randn(1, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    flat = torch.tensor([0.1, 0.3, 7.0])[None, :, None, None] * rounding
    assert eigen_cam_tool(nn.Sequential(nn.Identity()), flat, layer="0").count_nonzero() == 0


def test_eigen_cam_ignores_the_score(model, x, target):
    with_score = eigen_cam(model, x, score=class_score(target), layer="last")
    assert torch.equal(with_score, eigen_cam(model, x, layer="last"))


# All


def test_the_default_layer_is_the_classifiers_last():
    model, x, score = lively("resnet8"), images(2, 32), class_score(torch.tensor([0, 3]))
    assert torch.equal(grad_cam(model, x, score=score), grad_cam(model, x, score=score, layer="backbone.block3"))


def test_images_need_not_be_square(model, x, target):
    assert grad_cam(model, x[:, :, :8], score=class_score(target), layer="last").shape == (4, 8, 16)
    assert eigen_cam(model, x[:, :, :8], layer="last").shape == (4, 8, 16)


def test_upsample_by_hand():
    # Pixel centres at 1/4 and 3/4 of a side: four pixels over two cells stand at -1/4, 1/4, 3/4, 5/4, clamped.
    maps = torch.tensor([[[0.0, 4.0]]])
    assert cams.upsample(maps, (1, 4)).tolist() == [[[0.0, 1.0, 3.0, 4.0]]]


def test_upsample_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"Expected maps \[B,h,w\] or \[B,S,h,w\]. Got shape \[2, 2\]"):
        cams.upsample(torch.zeros(2, 2), (4, 4))
