import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional

from xai_lib import models, randomness
from xai_lib.explainers import about, cams, class_score, of_class
from xai_lib.explainers.bottleneck import FeatureStatistics, feature_statistics, iba

INDEX = torch.tensor([5, 0, 17, 3])


@pytest.fixture
def images():
    return torch.randn(30, 3, 16, 16, generator=torch.Generator().manual_seed(2))


def plain_loop(model, image, target, layer, statistics, seed, index, *, beta=10.0, steps=10, copies=10, lr=1.0):
    """One image by the paper's formulas: the whole network at every step, smoothing by a convolution."""
    module, kept = model.get_submodule(layer), {}
    handle = module.register_forward_hook(lambda _m, _i, output: kept.update(a=output.detach().clone()))
    model(image[None])
    handle.remove()
    std = statistics.std.clamp(min=0.01)
    varies = (statistics.std > 0)[:, None]
    standardised = ((kept["a"][0] - statistics.mean) / std)[:, None] * varies  # channels as a batch of planes
    away = torch.arange(-2.0, 3.0)
    kernel = torch.exp(-(away[:, None] ** 2 + away**2) / 2)
    kernel = (kernel / kernel.sum())[None, None]
    alpha = torch.full_like(standardised, 5.0).requires_grad_()
    optimiser = torch.optim.Adam([alpha], lr=lr)

    def divergence():
        mask = functional.conv2d(functional.pad(alpha.sigmoid(), (2, 2, 2, 2), mode="reflect"), kernel)
        mean, variance = standardised * mask, (1 - mask) ** 2
        return mask, (mean**2 + variance - 1 - variance.log()) / 2 * varies

    for step in range(steps):
        mask, information = divergence()
        draws = [randomness.normal(seed, torch.tensor([index]), f"iba/step {step}/copy {c}", mask[:, 0].shape)
                 for c in range(copies)]  # fmt: skip
        mixed = (mask * standardised)[:, 0] + (1 - mask)[:, 0] * torch.cat(draws)
        handle = module.register_forward_hook(lambda _m, _i, _o, z=mixed: statistics.mean + std * varies[:, 0] * z)
        logits = model(image.expand(copies, -1, -1, -1))
        handle.remove()
        loss = functional.cross_entropy(logits, target.expand(copies)) + beta * information.mean()
        optimiser.zero_grad()
        loss.backward(inputs=[alpha])
        optimiser.step()
    return (divergence()[1].sum(dim=0)[0] / torch.log(torch.tensor(2.0))).detach()


@pytest.mark.parametrize(
    ("layer", "settings"),
    [
        ("middle", {}),
        ("stem", {"beta": 100.0, "steps": 3}),
        ("last", {"copies": 3, "lr": 0.3, "steps": 20}),
    ],
)
def test_equals_a_plain_loop(model, x, images, target, layer, settings):
    statistics = feature_statistics(model, [images], layer)
    maps = iba(model, x, score=of_class(target, "log-probability"), statistics=statistics, seed=4, index=INDEX,
               layer=layer, upsample=False, **settings)  # fmt: skip
    for i in range(4):
        expected = plain_loop(model, x[i], target[i], layer, statistics, 4, int(INDEX[i]), **settings)
        assert expected.std() > 1e-3 * expected.mean()
        torch.testing.assert_close(maps[i], expected, rtol=2e-3, atol=1e-4)


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


def test_a_higher_price_lets_less_pass(model, x, images, target):
    statistics = feature_statistics(model, [images], "middle")
    cheap, dear = (
        iba(model, x, score=of_class(target, "log-probability"), statistics=statistics, seed=0, index=INDEX,
            layer="middle", beta=beta).sum((1, 2))
        for beta in (0.1, 100.0)
    )  # fmt: skip
    assert (dear < 0.9 * cheap).all()


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


@pytest.mark.parametrize("layer", ["stem", "middle", "middle.1", "last"])
@pytest.mark.parametrize("chunk", [None, 7])
def test_neither_the_batch_nor_the_chunk_moves_a_map(model, x, images, target, layer, chunk):
    statistics = feature_statistics(model, [images], layer)
    settings = {"statistics": statistics, "seed": 0, "layer": layer, "steps": 4, "upsample": False}
    together = iba(model, x, score=of_class(target, "log-probability"), index=INDEX, **settings)
    chunked = iba(model, x, score=of_class(target, "log-probability"), index=INDEX, chunk=chunk, **settings)
    torch.testing.assert_close(chunked, together, rtol=1e-3, atol=1e-5)
    for i in range(4):
        one = slice(i, i + 1)
        score = of_class(target[one], "log-probability")
        alone = iba(model, x[one], score=score, index=INDEX[one], chunk=chunk, **settings)
        torch.testing.assert_close(alone, together[one], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 25])
def test_no_forward_pass_holds_more_than_the_chunk(model, x, images, target, chunk):
    statistics, seen = feature_statistics(model, [images], "middle"), []
    model.register_forward_hook(lambda _module, _inputs, output: seen.append(len(output)))
    iba(model, x, score=class_score(target), statistics=statistics, seed=0, index=INDEX, layer="middle", chunk=chunk)
    assert max(seen) <= chunk


@pytest.mark.parametrize("layer", ["backbone.block2", "backbone.block3.conv1", "backbone.block3.bn2", None])
def test_inside_a_residual_block_as_well_as_behind_it(layer):
    model = models.build("resnet8", 10, width=4, seed=0).eval()
    model.head.weight.data *= 10
    generator = torch.Generator().manual_seed(0)
    x, target = torch.randn(3, 3, 16, 16, generator=generator), torch.tensor([1, 5, 2])
    statistics = feature_statistics(model, [torch.randn(20, 3, 16, 16, generator=generator)], layer)
    maps = iba(model, x, score=of_class(target, "log-probability"), statistics=statistics, seed=0, index=INDEX[:3],
               layer=layer, upsample=False)  # fmt: skip
    for i in range(3):
        expected = plain_loop(model, x[i], target[i], layer or "backbone.block3", statistics, 0, int(INDEX[i]))
        torch.testing.assert_close(maps[i], expected, rtol=2e-3, atol=1e-4)


def test_several_scores_equal_each_alone(model, x, images, target):
    statistics, other = feature_statistics(model, [images], "last"), (target + 2) % 5
    settings = {"statistics": statistics, "seed": 0, "index": INDEX, "layer": "last", "steps": 5}
    both = iba(model, x, score=of_class(torch.stack([target, other], 1), "log-probability"), **settings)
    assert both.shape == (4, 2, 16, 16)
    assert (both[:, 0] - both[:, 1]).abs().max() > 1e-3
    for s, classes in enumerate((target, other)):
        alone = iba(model, x, score=of_class(classes, "log-probability"), **settings)
        torch.testing.assert_close(both[:, s], alone, rtol=1e-4, atol=1e-5)


def test_the_index_and_the_seed_choose_the_noise(model, x, images, target):
    statistics = feature_statistics(model, [images], "last")
    same, score = x[:1].expand(4, -1, -1, -1), of_class(target[:1].expand(4), "log-probability")
    settings = {"score": score, "statistics": statistics, "index": torch.tensor([1, 1, 2, 3]), "layer": "last"}
    maps = iba(model, same, seed=0, **settings)
    torch.testing.assert_close(maps[0], maps[1])
    assert (maps[2] - maps[3]).abs().max() > 1e-3
    assert (maps - iba(model, same, seed=1, **settings)).abs().amax((1, 2)).min() > 1e-3


def test_the_grid_upsampled_later_is_the_map(model, x, images, target):
    settings = {"score": class_score(target), "seed": 0, "index": INDEX, "layer": "last", "steps": 3}
    settings["statistics"] = feature_statistics(model, [images], "last")
    grid = iba(model, x, upsample=False, **settings)
    assert grid.shape == (4, 4, 4)
    assert torch.equal(cams.upsample(grid, (16, 16)), iba(model, x, **settings))


def test_the_network_and_the_images_are_left_as_they_were(model, x, images, target):
    statistics = feature_statistics(model, [images], "middle")
    settings = {"statistics": statistics, "seed": 0, "index": INDEX, "layer": "middle", "steps": 3}
    expected = iba(model, x, score=class_score(target), **settings)
    assert expected.dtype == torch.float32 and not expected.requires_grad
    assert all(parameter.requires_grad for parameter in model.parameters())
    model.train()
    model.middle.eval()
    model.head.bias.requires_grad_(False)
    flags = [parameter.requires_grad for parameter in model.parameters()]
    modes, before = [module.training for module in model.modules()], x.clone()

    def failing_later(logits, calls=[]):  # noqa: B006
        calls.append(1)
        if len(calls) > 12:
            raise RuntimeError("score failed")
        return class_score(target)(logits)

    assert torch.equal(iba(model, x, score=class_score(target), **settings), expected)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert torch.equal(iba(model, x * 1, score=class_score(target), **settings), expected)
    with pytest.raises(RuntimeError, match=r"score failed"):
        iba(model, x, score=failing_later, **settings)
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(x, before)


def test_double_precision_and_autocast_change_nothing(model, x, images, target):
    statistics = feature_statistics(model, [images], "middle")
    settings = {"score": class_score(target), "statistics": statistics, "seed": 0, "index": INDEX, "layer": "middle"}
    expected = iba(model, x, **settings)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(iba(model, x, **settings), expected)
    double = iba(model.double(), x.double(), **settings)
    assert double.dtype == torch.float32
    torch.testing.assert_close(double, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("build", "layer"),
    [
        (lambda: torchvision.models.resnet50(num_classes=10), "layer4"),
        (lambda: torchvision.models.googlenet(num_classes=10, aux_logits=False, init_weights=False), "inception4b"),
        (
            lambda: torchvision.models.googlenet(num_classes=10, aux_logits=False, init_weights=False),
            "inception5b.branch1",  # beside branches, with which it is concatenated
        ),
    ],
)
def test_works_on_networks_of_all_kinds(build, layer):
    model, x = build(), torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    statistics = feature_statistics(model, [x], layer)
    score = of_class(torch.tensor([1, 2]), "log-probability")
    maps = iba(
        model, x[:2], score=score, statistics=statistics, seed=0, index=INDEX[:2], layer=layer, steps=1, copies=2
    )
    assert maps.shape == (2, 64, 64) and maps.isfinite().all() and maps.max() > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, r"Expected steps as a whole number of at least 1. Got 0"),
        ({"copies": 1.5}, r"Expected copies"),
        ({"beta": -1.0}, r"Expected beta of at least 0. Got -1.0"),
        ({"lr": 0.0}, r"Expected lr above 0. Got 0.0"),
        ({"chunk": 0}, r"Expected chunk of at least 1 image. Got 0"),
        ({"index": INDEX[:3]}, r"Expected one index per image, 4 in all. Got 3"),
        ({"layer": "middle"}, r"Expected statistics of this layer, mean and std \[8, 8, 8\]. Got \[12, 4, 4\]"),
        ({"layer": "lost"}, r"Expected the name of a layer of this model"),
        ({"score": lambda logits: logits.sum()}, r"Expected score to return one number per image"),
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


def test_what_a_caller_must_know():
    known = about("iba")
    assert (known.family, known.explains, known.random, known.on_layer) == ("learning", "log-probability", True, True)
    assert known.needs == ("statistics",)
