import numpy as np
import pytest
import torch
from pytorch_grad_cam import EigenCAM, GradCAM, GradCAMPlusPlus
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from xai_lib import models
from xai_lib.explainers import cams, class_score, normalise
from xai_lib.explainers.cams import eigen_cam, grad_cam, grad_cam_plus_plus

RESNET8_LAYERS = tuple(models.build("resnet8", 10, seed=0).layers())
RESNET18_LAYERS = tuple(models.build("resnet18", 10, width=8, seed=0).layers())


class GivenActivations(nn.Module):
    """Returns the input as the layer's activations; the logits are fixed mixtures of their channels' means."""

    def __init__(self, mixtures: list[list[float]]) -> None:
        super().__init__()
        self.layer = nn.Identity()
        self.mixtures = torch.tensor(mixtures)

    def forward(self, x):
        return self.layer(x).mean((2, 3)) @ self.mixtures.T

    def default_layer(self):
        return self.layer


# Grad-CAM


def test_grad_cam_by_hand():
    activations = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [0.0, -1.0]]]])
    model = GivenActivations([[4.0, -8.0], [0.0, 1.0]])
    # Each of the 4 places adds a quarter of the channel's mean: α = (1, -2) for the first class; mean over 2 channels.
    expected = torch.tensor([[[0.5, 0.0], [1.5, 3.0]]])
    torch.testing.assert_close(grad_cam(model, activations, score=class_score(torch.tensor([0]))), expected)


def test_grad_cam_of_a_nonlinear_score_by_hand():
    activations = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])
    model = GivenActivations([[1.0]])
    # score = mean², its gradient 2 · 3 / 4 at each place.
    maps = grad_cam(model, activations, score=lambda logits: logits[:, 0] ** 2)
    torch.testing.assert_close(maps, 1.5 * activations[:, 0])


def test_grad_cam_is_linear_in_the_score(model, x, target):
    other = (target + 1) % 5
    both = grad_cam(model, x, score=class_score(torch.stack([target, other], 1)), layer="last")
    score = lambda logits: class_score(target)(logits) - class_score(other)(logits)  # noqa: E731
    difference = grad_cam(model, x, score=score, layer="last")
    torch.testing.assert_close(both[:, 0] - both[:, 1], difference, rtol=0, atol=1e-6)
    assert difference.min() < 0 < difference.max()


@pytest.mark.parametrize(
    ("architecture", "width", "layer"),
    [("resnet8", None, layer) for layer in RESNET8_LAYERS] + [("resnet18", 8, layer) for layer in RESNET18_LAYERS],
)
def test_grad_cam_equals_pytorch_grad_cam(architecture, width, layer):
    model, x, target, module = lively(architecture, width, layer)
    with GradCAM(model, [module]) as reference:
        expected = reference(x, [ClassifierOutputTarget(int(c)) for c in target])
    model.zero_grad()
    grid = grad_cam(model, x, score=class_score(target), layer=layer, upsample=False)
    channels = module_channels(model, x, module)
    np.testing.assert_allclose(as_pytorch_grad_cam(channels * grid, (32, 32)), expected, rtol=0, atol=1e-5)


# Grad-CAM++


def test_grad_cam_plus_plus_by_hand():
    activations = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [0.0, 1.0]], [[5.0, 0.0], [0.0, 0.0]]]])
    model = GivenActivations([[4.0, 2.0, -8.0]])
    # g = (1, 1/2, -2) at each of 4 places, ΣA = (10, 2, 5): α g = g / (2 + g ΣA) = (1/12, 1/6, none).
    expected = 4 * (activations[:, 0] / 12 + activations[:, 1] / 6)
    torch.testing.assert_close(grad_cam_plus_plus(model, activations, score=class_score(torch.tensor([0]))), expected)


def test_grad_cam_plus_plus_equals_derivatives_of_the_exponential(model, x, target):
    """Chattopadhay et al.'s equations by repeated differentiation of exp(S), a place at a time."""
    model = model.double()
    activations = model.last(model.middle(model.stem(x.double()))).detach()[0].relu()
    head = lambda a: 0.3 * model.head(a.mean((1, 2)))[target[0]]  # noqa: E731
    expected = torch.zeros(4, 4, dtype=torch.float64)
    for k in range(len(activations)):
        weight = 0
        for i, j in np.ndindex(4, 4):
            place = activations[k, i, j].clone().requires_grad_()
            edited = torch.stack(list(activations.flatten()))
            edited = edited.index_put((torch.tensor([k * 16 + i * 4 + j]),), place[None]).reshape(activations.shape)
            y = head(edited).exp()
            first, second, third = derivatives(y, place)
            alpha = second / (2 * second + activations[k].sum() * third)
            weight += alpha * first.relu() / y.detach()
        expected += weight * activations[k]
    given = Behind(head)
    maps = grad_cam_plus_plus(given, activations[None], score=lambda logits: logits[:, 0])
    torch.testing.assert_close(maps[0].double(), expected, rtol=1e-5, atol=1e-6)


def derivatives(y, place):
    found = []
    for _ in range(3):
        (y,) = torch.autograd.grad(y, place, create_graph=True)
        found.append(y.detach())
    return found


class Behind(nn.Module):
    """The input as activations, and a function of each image's activations as the one logit."""

    def __init__(self, function):
        super().__init__()
        self.layer = nn.Identity()
        self.function = function

    def forward(self, x):
        return torch.stack([self.function(a) for a in self.layer(x)])[:, None]

    def default_layer(self):
        return self.layer


@pytest.mark.parametrize(
    ("architecture", "width", "layer"),
    [("resnet8", None, layer) for layer in RESNET8_LAYERS] + [("resnet18", 8, layer) for layer in RESNET18_LAYERS],
)
def test_grad_cam_plus_plus_equals_pytorch_grad_cam(architecture, width, layer):
    # The library adds 1e-6 to a denominator of the order of the squared gradient: a large score makes that nothing.
    model, x, target, module = lively(architecture, width, layer)
    with GradCAMPlusPlus(model, [module]) as reference:
        expected = reference(x, [lambda logits, c=int(c): 1e4 * logits[c] for c in target])
    score = lambda logits: 1e4 * class_score(target)(logits)  # noqa: E731
    grid = grad_cam_plus_plus(model, x, score=score, layer=layer, upsample=False)
    np.testing.assert_allclose(as_pytorch_grad_cam(grid, (32, 32)), expected, rtol=0, atol=1e-4)


def test_grad_cam_plus_plus_is_finite_where_the_denominator_is_zero():
    activations = torch.tensor([[[[-2.0, 0.0], [0.0, 0.0]]]])
    maps = grad_cam_plus_plus(GivenActivations([[4.0]]), activations, score=lambda logits: logits)
    assert maps.count_nonzero() == 0


# Eigen-CAM


def test_eigen_cam_by_hand():
    # [hw,K] = 5 · (0.6, 0, 0.8, 0) ⊗ (0, 1) + (0, 1, 0, 0) ⊗ (1, 0): first singular value 5.
    activations = torch.tensor([[[[0.0, 1.0], [0.0, 0.0]], [[3.0, 0.0], [4.0, 0.0]]]])
    maps = eigen_cam(GivenActivations([[1.0, 1.0]]), activations)
    torch.testing.assert_close(maps, torch.tensor([[[0.6, 0.0], [0.8, 0.0]]]))


def test_eigen_cam_sign_makes_the_mean_positive():
    activations = -torch.tensor([[[[0.0, 1.0], [0.0, 0.0]], [[3.0, 0.0], [4.0, 0.0]]]])
    maps = eigen_cam(GivenActivations([[1.0, 1.0]]), activations)
    torch.testing.assert_close(maps, torch.tensor([[[0.6, 0.0], [0.8, 0.0]]]))


@pytest.mark.parametrize("flip", [1, -1])
def test_centred_eigen_cam_sign_follows_the_mean_activation(flip):
    pattern = flip * torch.tensor([[3.0, 1.0], [-1.0, -3.0]])
    activations = torch.stack([5 + 2 * pattern, 5 - pattern])[None]  # the mean activation is 5 + pattern / 2
    maps = eigen_cam(GivenActivations([[1.0, 1.0]]), activations, centred=True)
    torch.testing.assert_close(maps, pattern[None] / 20**0.5)


@pytest.mark.parametrize("channels", [3, 20])
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("second", [0.05, 0.5, 0.9, 0.999])
def test_eigen_cam_equals_the_singular_value_decomposition(channels, centred, second):
    # Fast and slow convergence; more places than channels, and fewer.
    generator = torch.Generator().manual_seed(3)
    left = torch.linalg.qr(centre(torch.randn(6, 12, 3, generator=generator), centred)).Q
    right = torch.linalg.qr(torch.randn(6, channels, 3, generator=generator)).Q
    values = torch.tensor([1.0, second, 0.02])
    matrix = (left * values) @ right.mT  # [B,hw,K]
    activations = matrix.mT.reshape(6, channels, 3, 4)
    maps = eigen_cam(GivenActivations([[1.0] * channels]), activations, centred=centred).flatten(1)
    torch.testing.assert_close(maps.norm(dim=1), torch.ones(6))
    # float32 activations determine the vector only to rounding / gap.
    tolerance = 1e-6 + 1e-7 / (1 - second)
    assert (1 - (maps * left[:, :, 0]).sum(1).abs()).max() < tolerance**2 + 1e-6
    torch.testing.assert_close(maps.abs(), left[:, :, 0].abs(), rtol=0, atol=2 * tolerance)
    towards = (maps * matrix.mean(2)).sum(1) if centred else maps.sum(1)
    assert (towards > 0).all()


def test_eigen_cam_is_not_fooled_by_a_start_without_the_first_vector():
    # The largest diagonal entry belongs to the second vector: power iteration from there never sees the first.
    pair = torch.tensor([[2.0, 0.0, 0.0, 0.0], [0.0, 1.9, 0.0, 0.0], [0.0, 1.9, 0.0, 0.0]])
    activations = pair.T.reshape(1, 4, 1, 3)
    maps = eigen_cam(GivenActivations([[1.0] * 4]), activations)
    torch.testing.assert_close(maps, torch.tensor([[[0.0, 0.5**0.5, 0.5**0.5]]]))


@pytest.mark.parametrize("centred", [False, True])
def test_eigen_cam_without_activations_is_zero(centred):
    activations = torch.zeros(2, 5, 3, 3)
    activations[1] = torch.rand(5, 3, 3, generator=torch.Generator().manual_seed(0))
    maps = eigen_cam(GivenActivations([[1.0] * 5]), activations, centred=centred)
    assert maps[0].count_nonzero() == 0
    assert maps[1].norm() == pytest.approx(1)


def test_centred_eigen_cam_of_activations_that_do_not_vary_is_zero():
    rounding = 1 + 1e-7 * torch.randn(1, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    activations = torch.tensor([0.1, 0.3, 7.0])[None, :, None, None] * rounding
    assert eigen_cam(GivenActivations([[1.0] * 3]), activations, centred=True).count_nonzero() == 0
    torch.testing.assert_close(eigen_cam(GivenActivations([[1.0] * 3]), activations), torch.full((1, 3, 3), 1 / 3))


def test_eigen_cam_ignores_the_score(model, x, target):
    with_score = eigen_cam(model, x, score=class_score(target), layer="last")
    assert torch.equal(with_score, eigen_cam(model, x, layer="last"))


def test_eigen_cam_is_exact_under_autocast():
    activations = torch.rand(3, 40, 4, 4, generator=torch.Generator().manual_seed(0))
    model = GivenActivations([[1.0] * 40])
    expected = eigen_cam(model, activations)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(eigen_cam(model, activations), expected)


@pytest.mark.parametrize(
    ("architecture", "width", "layer"),
    [("resnet8", None, layer) for layer in RESNET8_LAYERS] + [("resnet18", 8, layer) for layer in RESNET18_LAYERS],
)
def test_centred_eigen_cam_equals_pytorch_grad_cam_up_to_sign(architecture, width, layer):
    model, x, _, module = lively(architecture, width, layer)
    with EigenCAM(model, [module]) as reference:
        expected = reference(x, None)
    grid = eigen_cam(model, x, layer=layer, centred=True, upsample=False)
    same, flipped = (as_pytorch_grad_cam(maps, (32, 32)) for maps in (grid, -grid))
    error = np.minimum(abs(same - expected).max((1, 2)), abs(flipped - expected).max((1, 2)))
    assert error.max() < 1e-5


# All


@pytest.mark.parametrize("options", [{}, {"centred": True}])
def test_batched_equals_one_by_one_eigen(model, x, options):
    batched = eigen_cam(model, x, layer="last", **options)
    single = torch.cat([eigen_cam(model, image[None], layer="last", **options) for image in x])
    torch.testing.assert_close(batched, single, rtol=0, atol=1e-6)


def test_batched_equals_one_by_one_grad(model, x):
    batched = grad_cam(model, x, score=lambda logits: logits, layer="last")
    single = torch.cat([grad_cam(model, image[None], score=lambda logits: logits, layer="last") for image in x])
    assert batched.shape == (4, 5, 16, 16)
    torch.testing.assert_close(batched, single, rtol=0, atol=1e-6)


def test_the_default_layer_is_the_classifiers_last():
    model, x, target, _ = lively("resnet8", None, RESNET8_LAYERS[-1])
    assert torch.equal(
        grad_cam(model, x, score=class_score(target)),
        grad_cam(model, x, score=class_score(target), layer=RESNET8_LAYERS[-1]),
    )


def test_the_grid_upsampled_later_is_the_map(model, x, target):
    score = class_score(torch.stack([target, target], 1))
    grid = grad_cam(model, x, score=score, layer="last", upsample=False)
    assert grid.shape == (4, 2, 4, 4)
    assert torch.equal(cams.upsample(grid, (16, 16)), grad_cam(model, x, score=score, layer="last"))
    grid = eigen_cam(model, x, layer="last", upsample=False)
    assert grid.shape == (4, 4, 4)
    assert torch.equal(cams.upsample(grid, (16, 16)), eigen_cam(model, x, layer="last"))


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


@pytest.mark.parametrize("explain", [grad_cam, grad_cam_plus_plus, eigen_cam])
def test_double_precision_networks_give_float32_maps(model, x, target, explain):
    expected = explain(model, x, score=class_score(target), layer="relu")
    maps = explain(model.double(), x.double(), score=class_score(target), layer="relu")
    assert maps.dtype == torch.float32
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("explain", [grad_cam, grad_cam_plus_plus, eigen_cam])
def test_maps_on_the_gpu_equal_those_on_the_cpu(model, x, target, explain):
    expected = explain(model, x, score=class_score(target), layer="relu")
    maps = explain(model.cuda(), x.cuda(), score=class_score(target), layer="relu")
    assert maps.device.type == "cuda"
    torch.testing.assert_close(maps.cpu(), expected, rtol=1e-2, atol=1e-3)  # TF32 in the convolutions


def as_pytorch_grad_cam(grid, size):
    """What pytorch-grad-cam makes of a raw grid: ReLU, min-max, upsampling, min-max."""
    scaled = scale_cam_image(normalise.relu(grid).numpy(), size)
    return scale_cam_image(np.maximum(scaled, 0))


def module_channels(model, x, module):
    shapes = []
    handle = module.register_forward_hook(lambda _module, _inputs, output: shapes.append(output.shape))
    model(x)
    handle.remove()
    return shapes[0][1]


def centre(matrix, wanted):
    return matrix - matrix.mean(1, keepdim=True) if wanted else matrix


def lively(architecture, width, layer):
    """A network with a head large enough for lively logits, six images and their targets, and the layer's module."""
    model = models.build(architecture, 10, width=width, seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(0.2 * torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=generator))
    model.head.weight.data = torch.randn(model.head.weight.shape, generator=generator)
    x = torch.randn(6, 3, 32, 32, generator=generator)
    return model, x, torch.tensor([0, 3, 9, 1, 5, 7]), model.layers()[layer]
