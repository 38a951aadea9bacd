import numpy as np
import pytest
import torch
import torchvision
from skimage.transform import resize
from torch import nn

from xai_lib import models, randomness
from xai_lib.explainers import about, class_score, of_class
from xai_lib.explainers.rise import rise

INDEX = torch.tensor([5, 0, 17, 3])


def official(model, image, target, seed, index, *, n_masks, grid, p):
    """The authors' formula in a plain loop: masks by scikit-image from the same cells and shifts, one at a time."""
    size = np.array(image.shape[-2:])
    cell = np.ceil(size / grid).astype(int)
    saliency = np.zeros(size)
    for number in range(n_masks):
        block, place = divmod(number, 64)
        purpose, one = f"rise/masks from {64 * block}", torch.tensor([index])
        cells = randomness.uniform(seed, one, f"{purpose}/cells", (64, grid, grid))[0, place] < p
        down, across = (
            int(randomness.integers(seed, one, f"{purpose}/{way}", int(side), (64,))[0, place])
            for way, side in zip(("down", "across"), cell, strict=True)
        )
        enlarged = resize(cells.float().numpy(), (grid + 1) * cell, order=1, mode="reflect", anti_aliasing=False)
        mask = enlarged[down : down + size[0], across : across + size[1]]
        with torch.no_grad():
            probability = model(image[None] * torch.tensor(mask).float()).softmax(1)[0, target]
        saliency += float(probability) * mask
    return torch.tensor(saliency / n_masks / p).float()


@pytest.mark.parametrize(("size", "grid", "p"), [((16, 16), 7, 0.5), ((16, 12), 5, 0.3), ((4, 6), 7, 0.8)])
def test_equals_the_authors_loop(model, x, target, size, grid, p):
    x = x[:2, :, : size[0], : size[1]]
    settings = {"n_masks": 70, "grid": grid, "p": p}  # more than one block of draws
    maps = rise(model, x, score=of_class(target[:2], "probability"), seed=3, index=INDEX[:2], **settings)
    expected = [official(model, x[i], target[i], 3, int(INDEX[i]), **settings) for i in range(2)]
    assert expected[0].std() > 1e-5
    torch.testing.assert_close(maps, torch.stack(expected), rtol=0, atol=1e-6)


class ReadsOneRegion(nn.Module):
    """One logit: the mean brightness of the lower left quarter."""

    def forward(self, x):
        side = x.shape[-1] // 2
        return x[:, :, side:, :side].mean((1, 2, 3))[:, None]


def test_peak_lies_where_the_network_reads():
    maps = rise(ReadsOneRegion(), torch.ones(3, 3, 32, 32), score=lambda logits: logits[:, 0], seed=0, index=INDEX[:3])
    highest = maps.flatten(1).argmax(1)
    assert (highest // 32 >= 16).all() and (highest % 32 < 16).all()
    inside = maps[:, 16:, :16].mean((1, 2))
    assert (inside > maps[:, :16].mean((1, 2)) + 0.02).all()


def test_a_score_that_is_always_one_gives_one_everywhere():
    # E[M] = p: with many masks their mean, divided by p, is 1.
    ones = lambda logits: torch.ones(len(logits))  # noqa: E731
    for p in (0.3, 0.5):
        maps = rise(ReadsOneRegion(), torch.ones(1, 3, 16, 16), score=ones, seed=0, index=INDEX[:1], n_masks=4000, p=p)
        assert (maps - 1).abs().max() < 0.1
        assert maps.mean() == pytest.approx(1, abs=0.02)


def test_neither_the_batch_nor_the_chunk_moves_a_map(model, x, target):
    together = rise(model, x, score=of_class(target, "probability"), seed=0, index=INDEX, n_masks=100)
    for chunk in (None, 1, 7):
        alone = [
            rise(model, x[i : i + 1], score=of_class(target[i : i + 1], "probability"), seed=0,
                 index=INDEX[i : i + 1], n_masks=100, chunk=chunk)
            for i in range(4)
        ]  # fmt: skip
        torch.testing.assert_close(torch.cat(alone), together, rtol=0, atol=1e-6)
    small = rise(model, x, score=of_class(target, "probability"), seed=0, index=INDEX, n_masks=100, chunk=3)
    torch.testing.assert_close(small, together, rtol=0, atol=1e-6)


def test_the_index_and_the_seed_choose_the_masks(model, x, target):
    same = x[:1].expand(4, -1, -1, -1)
    score = of_class(target[:1].expand(4), "probability")
    maps = rise(model, same, score=score, seed=0, index=torch.tensor([1, 1, 2, 3]), n_masks=20)
    torch.testing.assert_close(maps[0], maps[1])
    assert (maps[2] - maps[3]).abs().max() > 1e-3
    other = rise(model, same, score=score, seed=1, index=torch.tensor([1, 1, 2, 3]), n_masks=20)
    assert (maps - other).abs().amax((1, 2)).min() > 1e-3


def test_several_scores_share_forward_passes_and_equal_each_alone(model, x, target):
    other = (target + 2) % 5
    images = []
    handle = model.register_forward_hook(lambda _module, inputs, _output: images.append(len(inputs[0])))
    both = rise(
        model, x, score=of_class(torch.stack([target, other], 1), "probability"), seed=0, index=INDEX, n_masks=30
    )
    handle.remove()
    assert sum(images) == 4 * 30
    assert both.shape == (4, 2, 16, 16)
    for s, classes in enumerate((target, other)):
        alone = rise(model, x, score=of_class(classes, "probability"), seed=0, index=INDEX, n_masks=30)
        torch.testing.assert_close(both[:, s], alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 5, 64])
def test_no_forward_pass_holds_more_than_the_chunk(model, x, target, chunk):
    images = []
    model.register_forward_hook(lambda _module, inputs, _output: images.append(len(inputs[0])))
    rise(model, x, score=class_score(target), seed=0, index=INDEX, n_masks=66, chunk=chunk)
    assert max(images) <= chunk and sum(images) == 4 * 66


def test_the_network_and_the_images_are_left_as_they_were(model, x, target):
    expected = rise(model, x, score=class_score(target), seed=0, index=INDEX, n_masks=5)
    assert expected.dtype == torch.float32 and not expected.requires_grad
    model.train()
    model.middle.eval()
    modes, before = [module.training for module in model.modules()], x.clone()
    assert torch.equal(rise(model, x, score=class_score(target), seed=0, index=INDEX, n_masks=5), expected)
    with pytest.raises(RuntimeError, match=r"score failed"):
        rise(model, x, score=failing, seed=0, index=INDEX, n_masks=5)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(x, before)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_double_precision_and_autocast_change_nothing(model, x, target):
    expected = rise(model, x, score=class_score(target), seed=0, index=INDEX, n_masks=5)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(rise(model, x, score=class_score(target), seed=0, index=INDEX, n_masks=5), expected)
    double = rise(model.double(), x.double(), score=class_score(target), seed=0, index=INDEX, n_masks=5)
    assert double.dtype == torch.float32
    torch.testing.assert_close(double, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("build", [
    lambda: models.build("resnet8", 10, seed=0),
    lambda: torchvision.models.resnet50(num_classes=10),
    lambda: torchvision.models.googlenet(num_classes=10, aux_logits=False, init_weights=False),
])  # fmt: skip
def test_works_on_networks_of_all_kinds(build):
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    maps = rise(
        build(), images, score=of_class(torch.tensor([1, 2]), "probability"), seed=0, index=INDEX[:2], n_masks=8
    )
    assert maps.shape == (2, 64, 64) and maps.isfinite().all() and (maps >= 0).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_masks": 0}, r"Expected n_masks as a whole number of at least 1. Got 0"),
        ({"n_masks": 2.0}, r"Expected n_masks"),
        ({"grid": 0}, r"Expected grid"),
        ({"p": 0.0}, r"Expected p .* \(0,1\]. Got 0.0"),
        ({"p": 1.5}, r"Expected p"),
        ({"chunk": 0}, r"Expected chunk of at least 1 image. Got 0"),
        ({"index": INDEX[:3]}, r"Expected one index per image, 4 in all. Got 3"),
        ({"score": lambda logits: logits.sum()}, r"Expected score to return one number per image"),
    ],
)
def test_wrong_settings_are_refused(model, x, target, settings, message):
    with pytest.raises(ValueError, match=message):
        rise(model, x, **({"score": class_score(target), "seed": 0, "index": INDEX} | settings))


def test_what_a_caller_must_know():
    known = about("rise")
    assert (known.family, known.explains, known.random, known.on_layer) == ("occlusion", "probability", True, False)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_maps_on_the_gpu_equal_those_on_the_cpu(model, x, target):
    expected = rise(model, x, score=of_class(target, "probability"), seed=0, index=INDEX, n_masks=100)
    maps = rise(model.cuda(), x.cuda(), score=of_class(target, "probability"), seed=0, index=INDEX, n_masks=100)
    assert maps.device.type == "cuda"
    torch.testing.assert_close(maps.cpu(), expected, rtol=1e-2, atol=1e-3)  # TF32 in the convolutions


def failing(logits):
    raise RuntimeError("score failed")
