import pytest
import torch

from xai_lib.explainers import normalise
from xai_lib.metrics import similarity
from xai_lib.metrics.similarity import continuity_of_explainer, contrastivity_of_explainer

SIZE = 12

INDEX = torch.arange(50, 56)
TARGET = torch.tensor([0, 1, 2, 0, 1, 2])


def brightness(x, target, index):
    return normalise.min_max(x.mean(1))


def colour_of_class(x, target, index):
    return normalise.min_max(normalise.relu(x[torch.arange(len(x)), target]))


def test_continuity_compares_with_the_noisy_image(images):
    score = continuity_of_explainer(brightness, images, TARGET, index=INDEX, seed=5)
    noisy = similarity.noisy(images, index=INDEX, seed=5)
    assert torch.equal(score, similarity.ssim(brightness(images, None, None), brightness(noisy, None, None)))
    assert (score < 1).all() and (score > 0.9).all()


def test_released_continuity_measures_clamping(images):
    paper = continuity_of_explainer(brightness, images, TARGET, index=INDEX)
    released = continuity_of_explainer(brightness, images, TARGET, index=INDEX, variant="released")
    without_noise = continuity_of_explainer(brightness, images, TARGET, index=INDEX, variant="released", sigma=0.0)
    assert (released < paper - 0.05).all()
    torch.testing.assert_close(released, without_noise, atol=0.02, rtol=0)


def test_without_noise_every_explainer_is_continuous(images):
    score = continuity_of_explainer(brightness, images, TARGET, index=INDEX, sigma=0.0)
    torch.testing.assert_close(score, torch.ones(6))


def test_the_explainer_sees_the_same_class_and_index_twice(images):
    calls = []

    def explain(x, target, index):
        calls.append((target, index))
        return brightness(x, target, index)

    continuity_of_explainer(explain, images, TARGET, index=INDEX)
    assert len(calls) == 2
    assert all(torch.equal(target, TARGET) and torch.equal(index, INDEX) for target, index in calls)


def test_contrastivity_compares_with_the_drawn_class(images):
    other = similarity.other_class(TARGET, 3, index=INDEX, seed=7)
    score = contrastivity_of_explainer(colour_of_class, images, TARGET, 3, index=INDEX, seed=7)
    maps, others = colour_of_class(images, TARGET, INDEX), colour_of_class(images, other, INDEX)
    assert torch.equal(score, similarity.ssim(maps, others))


def test_an_explainer_that_ignores_the_class_is_not_contrastive(images):
    torch.testing.assert_close(contrastivity_of_explainer(brightness, images, TARGET, 3, index=INDEX), torch.ones(6))


def test_empty_maps_of_other_classes_are_undefined_or_look_contrastive(images, blobs):
    def only_class_0(x, target, index):
        return blobs(len(x), SIZE) * (target == 0)[:, None, None]

    target = torch.zeros(6, dtype=torch.int64)
    assert contrastivity_of_explainer(only_class_0, images, target, 3, index=INDEX).isnan().all()
    kept = contrastivity_of_explainer(only_class_0, images, target, 3, index=INDEX, empty="keep")
    assert (kept < 0.05).all()


@pytest.mark.parametrize("arguments", [(continuity_of_explainer,), (contrastivity_of_explainer, 3)])
def test_each_image_stands_alone(images, arguments):
    metric, *n_classes = arguments
    whole = metric(colour_of_class, images, TARGET, *n_classes, index=INDEX, seed=2)
    part = metric(colour_of_class, images[2:5], TARGET[2:5], *n_classes, index=INDEX[2:5], seed=2)
    torch.testing.assert_close(part, whole[2:5], atol=1e-6, rtol=0)


def test_refuses_an_unknown_variant(images):
    with pytest.raises(ValueError, match=r"'paper' or 'released'. Got 'new'"):
        continuity_of_explainer(brightness, images, TARGET, index=INDEX, variant="new")
