import pytest
import torch
from derivations.explainers import ReadsPlaces
from torch import nn

from xai_lib import data as datasets
from xai_lib.explainers import class_score, of_class
from xai_lib.explainers.lime import lime, superpixels

INDEX = torch.tensor([5, 0, 17, 3])


@pytest.fixture(scope="module")
def pictures():
    split = datasets.load("planted", "test", n=24)
    return split.normalise(split.images)[:4]


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
    model = ReadsPlaces()
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


def test_scores_share_forward_passes_that_hold_no_more_than_the_chunk(pictures, target):
    model, passed = ReadsPlaces(), []
    model.register_forward_hook(lambda _module, inputs, _output: passed.append(len(inputs[0])))
    both = class_score(torch.stack([target, target], 1))
    lime(model, pictures, score=both, seed=0, index=INDEX, n_samples=70, chunk=9)
    assert sum(passed) == 4 * 70 and max(passed) <= 9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_samples": 0}, r"Expected n_samples as a whole number of at least 1. Got 0"),
        ({"kernel_width": 0.0}, r"Expected kernel_width above 0. Got 0.0"),
    ],
)
def test_wrong_settings_are_refused(model, x, target, settings, message):
    with pytest.raises(ValueError, match=message):
        lime(model, x, **({"score": class_score(target), "seed": 0, "index": INDEX} | settings))
