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
    loaded = datasets.load("planted", "test", n=30, size=48, variant="corrupted")
    assert torch.equal(loaded.images, planted.generate(30, "test", size=48, variant="corrupted").images)


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


def test_drawn_images_are_held_out_in_addition_and_drawn_as_the_training_images_are():
    training, held_out = datasets.held_out("planted", 30, 20, size=16)
    assert torch.equal(training.images, datasets.load("planted", "train", n=30, size=16).images)
    assert training.digest == datasets.load("planted", "train", n=30, size=16).digest
    longer = datasets.load("planted", "train", n=50, size=16)
    assert torch.equal(held_out.images, longer.images[30:]) and held_out.index.tolist() == list(range(30, 50))
    assert held_out.part == "held-out" and held_out.labels.bincount().tolist() == [2] * 10
    assert held_out.digest != datasets.held_out("planted", 40, 20, size=16)[1].digest


@pytest.mark.parametrize(
    ("counts", "n", "held", "left"),
    [
        ([20, 20, 20], 7, [3, 2, 2], [17, 18, 18]),
        ([20, 20, 20], 100, [4, 4, 4], [16, 16, 16]),  # a fifth at most
        ([2, 20, 20], 8, [1, 4, 3], [1, 16, 17]),  # half of a class at most
        ([1, 20, 20], 4, [0, 2, 2], [1, 18, 18]),
    ],
)
def test_other_images_are_held_out_of_the_training_images_class_by_class(counts, n, held, left):
    split = uneven(counts)
    rest, held_out = datasets.without(split, n)
    assert [part.labels.bincount(minlength=3).tolist() for part in (held_out, rest)] == [held, left]
    assert sorted([*rest.index.tolist(), *held_out.index.tolist()]) == sorted(split.index.tolist())
    again = datasets.without(split, n)
    assert (again[0].digest, again[1].digest) == (rest.digest, held_out.digest)


def test_nothing_can_be_held_out_of_single_images():
    with pytest.raises(ValueError, match=r"at least 5 training images.* Got 3 images of planted in 3 classes"):
        datasets.without(uneven([1, 1, 1]), 3)


@pytest.mark.parametrize(("n", "trained"), [(None, 48), (40, 40), (60, 48), (61, 48)])
def test_a_folder_is_trained_on_without_its_held_out_images(monkeypatch, n, trained):
    monkeypatch.setattr(datasets.folder, "load", lambda root, part, size: uneven([20, 20, 20]))
    training, held_out = datasets.held_out("folder:images", n, 64, size=16)
    assert (len(training), len(held_out)) == (trained, 12)
    assert not set(training.index.tolist()) & set(held_out.index.tolist())
