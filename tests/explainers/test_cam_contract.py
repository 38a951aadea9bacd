"""What all class activation maps that are about a score have in common."""

import pytest
import torch
from torchvision.models import googlenet, resnet50

from xai_lib import models
from xai_lib.explainers import cams, class_score, get

NAMES = ("grad-cam", "grad-cam++", "score-cam", "hires-cam", "layer-cam", "xgrad-cam", "ablation-cam")


def hooks(model):
    return [len(module._forward_hooks) + len(module._backward_hooks) for module in model.modules()]


@pytest.mark.parametrize("name", NAMES)
def test_batched_equals_one_by_one(model, x, target, name):
    batched = get(name)(model, x, score=class_score(target), layer="relu")
    pairs = zip(x, target, strict=True)
    single = [get(name)(model, image[None], score=class_score(c[None]), layer="relu") for image, c in pairs]
    torch.testing.assert_close(batched, torch.cat(single), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_several_scores_equal_each_alone(model, x, target, name):
    targets = torch.stack([target, (target + 1) % 5], 1)
    together = get(name)(model, x, score=class_score(targets), layer="relu")
    assert together.shape == (4, 2, 16, 16)
    for s in range(2):
        alone = get(name)(model, x, score=class_score(targets[:, s]), layer="relu")
        torch.testing.assert_close(together[:, s], alone, rtol=1e-4, atol=1e-5)
    assert get(name)(model, x, score=class_score(target[:, None]), layer="relu").shape == (4, 1, 16, 16)


@pytest.mark.parametrize("name", NAMES)
def test_the_network_and_the_images_are_left_as_they_were(model, x, target, name):
    expected = get(name)(model, x, score=class_score(target), layer="middle")
    model.train()
    model.last.eval()
    model.head.requires_grad_(False)
    model.stem[0].weight.grad = torch.ones_like(model.stem[0].weight)
    before, modes, images = hooks(model), [module.training for module in model.modules()], x.clone()
    weights = [value.clone() for value in model.state_dict().values()]

    def failing(logits):
        raise RuntimeError("score failed")

    assert torch.equal(get(name)(model, x, score=class_score(target), layer="middle"), expected)
    with pytest.raises(RuntimeError, match="score failed"):
        get(name)(model, x, score=failing, layer="middle")
    assert hooks(model) == before
    assert [module.training for module in model.modules()] == modes
    assert [p.requires_grad for p in model.head.parameters()] == [False, False]
    assert (model.stem[0].weight.grad == 1).all()
    assert all(p.grad is None for n, p in model.named_parameters() if n != "stem.0.weight")
    assert all(torch.equal(a, b) for a, b in zip(weights, model.state_dict().values(), strict=True))
    assert torch.equal(x, images)


@pytest.mark.parametrize("name", NAMES)
def test_maps_are_float32_without_a_graph(model, x, target, name):
    x.requires_grad_()
    grid = get(name)(model, x, score=class_score(target), layer="relu", upsample=False)
    maps = get(name)(model, x, score=class_score(target), layer="relu")
    assert grid.shape == (4, 4, 4)
    assert maps.dtype == grid.dtype == torch.float32
    assert not maps.requires_grad
    assert torch.equal(maps, cams.upsample(grid, (16, 16)))
    double = get(name)(model.double(), x.double(), score=class_score(target), layer="relu")
    assert double.dtype == torch.float32
    torch.testing.assert_close(double, maps, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_they_work_under_autocast_and_inference_mode(model, x, target, name):
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        maps = get(name)(model, x, score=class_score(target), layer="relu")
    assert maps.dtype == torch.float32
    assert maps.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("build", "layer", "narrow"),
    [
        (lambda: models.build("resnet8", 5, width=8, seed=0), None, "backbone.stem"),
        (lambda: resnet50(num_classes=5), "layer4", "conv1"),
        (lambda: googlenet(num_classes=5, aux_logits=False, init_weights=False), "inception5b", "conv1"),
    ],
    ids=["resnet8", "resnet50", "googlenet"],
)
def test_they_work_on_residual_and_inception_networks(name, build, layer, narrow):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build()
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    perturbing = name in ("score-cam", "ablation-cam")  # for them, a layer with few channels, to be fast
    maps = get(name)(model, x, score=class_score(torch.tensor([2])), layer=narrow if perturbing else layer)
    assert maps.shape == (1, 64, 64)
    assert maps.isfinite().all()
    assert maps.std() > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_maps_on_the_gpu_equal_those_on_the_cpu(model, x, target, name):
    expected = get(name)(model, x, score=class_score(target), layer="relu")
    maps = get(name)(model.cuda(), x.cuda(), score=class_score(target), layer="relu")
    assert maps.device.type == "cuda"
    torch.testing.assert_close(maps.cpu(), expected, rtol=2e-2, atol=2e-2)  # TF32 in the convolutions
