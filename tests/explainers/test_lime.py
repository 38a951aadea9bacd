import pytest
import torch
from torch import nn

from xai_lib import data as datasets
from xai_lib.explainers import class_score
from xai_lib.explainers.lime import lime, superpixels

INDEX = torch.tensor([5, 0, 17, 3])


@pytest.fixture(scope="module")
def pictures():
    split = datasets.load("planted", "test", n=24)
    return split.normalise(split.images)[:4]


class ReadsOnePlace(nn.Module):
    """The first logit: how red, minus how green, one pixel is."""

    def forward(self, x):
        return (x[:, :2, 20, 9] - x[:, 1:3, 20, 9]) * 10


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


@pytest.mark.parametrize("n_channels", [1, 2, 4])
def test_images_of_other_than_three_colours_are_segmented_as_grey(pictures, n_channels):
    grey = pictures.mean(1, keepdim=True)
    images = grey.repeat(1, n_channels, 1, 1)
    assert torch.equal(superpixels(images), superpixels(grey.repeat(1, 3, 1, 1)))
    network = nn.Sequential(nn.Conv2d(n_channels, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    score = class_score(torch.zeros(4, dtype=torch.int64))
    maps = lime(network, images, score=score, seed=0, index=INDEX, n_samples=20)
    assert maps.shape == (4, 32, 32) and maps.isfinite().all() and maps.std() > 0
