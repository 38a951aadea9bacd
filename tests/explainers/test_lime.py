import pytest
import torch
import torchvision
from captum._utils.models.linear_model import SkLearnLinearModel
from captum.attr import LimeBase
from torch import nn

from xai_lib import data as datasets
from xai_lib import models, randomness
from xai_lib.explainers import about, class_score, of_class
from xai_lib.explainers.lime import lime, superpixels

INDEX = torch.tensor([5, 0, 17, 3])


@pytest.fixture(scope="module")
def pictures():
    split = datasets.load("planted", "test", n=24)
    return split.normalise(split.images)[:4]


class NetOfPictures(nn.Module):
    """Logits that depend on places: sums of the image weighted by random fields."""

    def __init__(self) -> None:
        super().__init__()
        self.fields = nn.Parameter(torch.randn(5, 3 * 32 * 32, generator=torch.Generator().manual_seed(0)) / 60)

    def forward(self, x):
        return x.flatten(1) @ self.fields.T


def samples(seed, index, segments, n_samples):
    """Which of an image's superpixels each sample shows, float [n,K]."""
    blocks = [
        randomness.uniform(seed, torch.tensor([index]), f"lime/samples from {first}", (int(segments.max()) + 1, 64))[
            0
        ].T
        for first in range(0, n_samples, 64)
    ]
    shown = (torch.cat(blocks) < 0.5).float()[:n_samples]
    shown[0] = 1
    return shown


def by_captum(model, image, target, shown, segments, kernel_width):
    """The same samples through captum's LimeBase with scikit-learn's ridge regression."""
    colours = torch.zeros_like(image)
    for segment in segments.unique():
        inside = segments == segment
        colours[:, inside] = image[:, inside].mean(1, keepdim=True)

    def weight(original, perturbed, row, **_):
        distance = 1 - torch.nn.functional.cosine_similarity(row, torch.ones_like(row))
        return torch.exp(-(distance**2) / kernel_width**2).sqrt()

    rows = iter(shown[:, None])
    explain = LimeBase(
        lambda images: model(images).softmax(1),
        SkLearnLinearModel("linear_model.Ridge", alpha=1),
        weight,
        lambda original, **_: next(rows),
        perturb_interpretable_space=True,
        from_interp_rep_transform=lambda row, original, **_: torch.where(row[0, segments] > 0, original, colours),
        to_interp_rep_transform=None,
    )
    found = explain.attribute(image[None], target=int(target), n_samples=len(shown), perturbations_per_eval=10)
    return found.flatten()[segments]


@pytest.mark.parametrize("kernel_width", [0.25, 1.0])
def test_equals_captum_on_the_same_samples(pictures, target, kernel_width):
    model = NetOfPictures()
    maps = lime(model, pictures, score=of_class(target, "probability"), seed=2, index=INDEX, n_samples=150,
                kernel_width=kernel_width)  # fmt: skip
    segments = superpixels(pictures)
    for i in range(4):
        shown = samples(2, int(INDEX[i]), segments[i], 150)
        expected = by_captum(model, pictures[i], target[i], shown, segments[i], kernel_width)
        assert expected.abs().max() > 1e-3
        torch.testing.assert_close(maps[i], expected.float(), rtol=1e-3, atol=1e-5)


class ReadsOnePlace(nn.Module):
    """One logit: how red, minus how green, one pixel is."""

    def forward(self, x):
        return (x[:, :1, 20, 9] - x[:, 1:2, 20, 9]) * 10


def test_the_superpixel_that_the_network_reads_gets_the_largest_weight(pictures):
    noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(0))
    images = pictures + noise  # so that a pixel differs from its superpixel's mean
    maps = lime(ReadsOnePlace(), images, score=lambda logits: logits[:, 0], seed=0, index=INDEX)
    segments = superpixels(images)
    hidden = torch.stack([images[i, :, segments[i] == segments[i, 20, 9]].mean(1) for i in range(4)])
    effect = 10 * ((images[:, 0, 20, 9] - hidden[:, 0]) - (images[:, 1, 20, 9] - hidden[:, 1]))
    torch.testing.assert_close(maps[:, 20, 9], effect, rtol=0.1, atol=0)
    for i in range(4):
        elsewhere = maps[i][segments[i] != segments[i, 20, 9]]
        assert elsewhere.abs().max() < 0.2 * effect[i].abs()


def test_superpixels_are_numbered_without_gaps_and_of_a_useful_number(pictures):
    large = torch.nn.functional.interpolate(pictures[:1], (112, 112), mode="bilinear")
    for images in (pictures, large, torch.nn.functional.interpolate(pictures, (64, 48))):
        segments = superpixels(images)
        assert segments.shape == (len(images), *images.shape[2:]) and segments.dtype == torch.int64
        for own in segments:
            found = own.unique()
            assert found.tolist() == list(range(len(found)))
            assert 15 <= len(found) <= 80


def test_superpixels_are_those_of_an_image_in_any_normalisation(pictures):
    assert torch.equal(superpixels(4 * pictures - 1), superpixels(pictures))


def test_an_image_in_one_piece_is_cut_all_the_same(model):
    flat = torch.full((1, 3, 32, 32), 0.3)
    assert superpixels(flat).max() >= 10
    maps = lime(model, flat, score=class_score(torch.tensor([0])), seed=0, index=INDEX[:1], n_samples=20)
    # Hidden in its mean colour, nothing of a constant image changes.
    assert maps.abs().max() < 1e-4


def test_neither_the_batch_nor_the_chunk_moves_a_map(pictures, target):
    model = NetOfPictures()
    together = lime(model, pictures, score=of_class(target, "probability"), seed=0, index=INDEX, n_samples=100)
    counts = superpixels(pictures).amax((1, 2))
    assert len(counts.unique()) > 1
    for chunk in (None, 7):
        alone = [
            lime(model, pictures[i : i + 1], score=of_class(target[i : i + 1], "probability"), seed=0,
                 index=INDEX[i : i + 1], n_samples=100, chunk=chunk)
            for i in range(4)
        ]  # fmt: skip
        torch.testing.assert_close(torch.cat(alone), together, rtol=0, atol=1e-6)
    small = lime(model, pictures, score=of_class(target, "probability"), seed=0, index=INDEX, n_samples=100, chunk=3)
    torch.testing.assert_close(small, together, rtol=0, atol=1e-6)


def test_the_index_and_the_seed_choose_the_samples(pictures, target):
    same, score = pictures[:1].expand(4, -1, -1, -1), of_class(target[:1].expand(4), "probability")
    index = torch.tensor([1, 1, 2, 3])
    maps = lime(NetOfPictures(), same, score=score, seed=0, index=index, n_samples=30)
    torch.testing.assert_close(maps[0], maps[1])
    assert (maps[2] - maps[3]).abs().max() > 1e-3
    other = lime(NetOfPictures(), same, score=score, seed=1, index=index, n_samples=30)
    assert (maps - other).abs().amax((1, 2)).min() > 1e-3


def test_several_scores_share_forward_passes_and_equal_each_alone(pictures, target):
    model, other, images = NetOfPictures(), (target + 2) % 5, []
    handle = model.register_forward_hook(lambda _module, inputs, _output: images.append(len(inputs[0])))
    score = of_class(torch.stack([target, other], 1), "probability")
    both = lime(model, pictures, score=score, seed=0, index=INDEX, n_samples=70, chunk=9)
    handle.remove()
    assert sum(images) == 4 * 70 and max(images) <= 9
    assert both.shape == (4, 2, 32, 32)
    for s, classes in enumerate((target, other)):
        alone = lime(model, pictures, score=of_class(classes, "probability"), seed=0, index=INDEX, n_samples=70)
        torch.testing.assert_close(both[:, s], alone, rtol=0, atol=1e-6)


def test_the_network_and_the_images_are_left_as_they_were(model, x, target):
    expected = lime(model, x, score=class_score(target), seed=0, index=INDEX, n_samples=5)
    assert expected.dtype == torch.float32 and not expected.requires_grad
    model.train()
    model.middle.eval()
    modes, before = [module.training for module in model.modules()], x.clone()
    assert torch.equal(lime(model, x, score=class_score(target), seed=0, index=INDEX, n_samples=5), expected)
    with pytest.raises(RuntimeError, match=r"score failed"):
        lime(model, x, score=failing, seed=0, index=INDEX, n_samples=5)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(x, before)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_double_precision_and_autocast_change_nothing(model, x, target):
    expected = lime(model, x, score=class_score(target), seed=0, index=INDEX, n_samples=5)
    with torch.autocast("cpu", torch.bfloat16):
        again = lime(model, x, score=class_score(target), seed=0, index=INDEX, n_samples=5)
    torch.testing.assert_close(again, expected)
    maps = lime(model.double(), x.double(), score=class_score(target), seed=0, index=INDEX, n_samples=5)
    assert maps.dtype == torch.float32
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("build", [
    lambda: models.build("resnet8", 10, seed=0),
    lambda: torchvision.models.resnet50(num_classes=10),
    lambda: torchvision.models.googlenet(num_classes=10, aux_logits=False, init_weights=False),
])  # fmt: skip
def test_works_on_networks_of_all_kinds(build):
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    score = of_class(torch.tensor([1, 2]), "probability")
    maps = lime(build(), images, score=score, seed=0, index=INDEX[:2], n_samples=8)
    assert maps.shape == (2, 64, 64) and maps.isfinite().all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_samples": 0}, r"Expected n_samples as a whole number of at least 1. Got 0"),
        ({"kernel_width": 0.0}, r"Expected kernel_width above 0. Got 0.0"),
        ({"chunk": 0}, r"Expected chunk of at least 1 image. Got 0"),
        ({"index": INDEX[:3]}, r"Expected one index per image, 4 in all. Got 3"),
        ({"score": lambda logits: logits.sum()}, r"Expected score to return one number per image"),
    ],
)
def test_wrong_settings_are_refused(model, x, target, settings, message):
    with pytest.raises(ValueError, match=message):
        lime(model, x, **({"score": class_score(target), "seed": 0, "index": INDEX} | settings))


def test_what_a_caller_must_know():
    known = about("lime")
    assert (known.family, known.explains, known.random, known.on_layer) == ("occlusion", "probability", True, False)


def failing(logits):
    raise RuntimeError("score failed")
