import pytest
import torch

from xai_lib import data as datasets
from xai_lib.data import planted


def uneven(counts):
    """A planted split with the given number of images of its first classes, mixed."""
    split = planted.generate(200, "test", size=16)
    positions = torch.cat([(split.labels == label).nonzero()[:n, 0] for label, n in enumerate(counts)])
    order = torch.randperm(len(positions), generator=torch.Generator().manual_seed(0))
    return split.subset(positions[order])


def test_planted_images_by_name_are_the_generated_ones():
    loaded = datasets.load("planted", "test", n=30, size=48, seed=2, variant="corrupted")
    assert torch.equal(loaded.images, planted.generate(30, "test", size=48, seed=2, variant="corrupted").images)


@pytest.mark.parametrize("name", ["mnist", "folder:", "folder", None, ""])
def test_an_unknown_name_lists_the_choices(name):
    with pytest.raises(ValueError, match="planted, cifar10, cifar100, folder:<path>") as error:
        datasets.load(name, "train")
    assert repr(name) in str(error.value)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("cifar10", {"variant": "corrupted"}, "Expected no variant"),
        ("cifar10", {"size": 64}, "Expected size 32"),
        ("planted", {"variant": "foggy"}, "shortcut-absent"),
        ("planted", {"part": "validation"}, "Got 'validation'"),
        ("planted", {"n": 0}, "Got"),
    ],
)
def test_choices_that_do_not_fit_are_refused(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(name, **({"part": "train"} | arguments))


def test_a_selection_is_balanced_and_a_prefix_of_larger_ones():
    split = uneven([20, 20, 20])
    selected = datasets.select(split, 7)
    assert torch.bincount(selected.labels).tolist() == [3, 2, 2]
    assert torch.equal(datasets.select(split, 31).index[:7], selected.index)
    assert datasets.select(split, None) is split
    assert torch.bincount(datasets.select(uneven([3, 20, 20]), 23).labels).tolist() == [3, 10, 10]
    with pytest.raises(ValueError, match="Expected 1 to 60 images of planted test"):
        datasets.select(split, 61)
