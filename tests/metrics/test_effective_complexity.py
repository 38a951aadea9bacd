import pytest
import quantus
import torch
from torch import nn

from xai_lib import randomness
from xai_lib.metrics import effective_complexity as module
from xai_lib.metrics import get
from xai_lib.metrics.effective_complexity import effective_complexity_minimum, pixels_kept, retention_loss

COUNT = module.effective_complexity
SIZE = 12
INDEX = torch.arange(50, 56)
TARGET = torch.tensor([0, 1, 2, 3, 0, 1])


class SumOfRed(nn.Module):
    """Probability of class 1 is the logistic function of the red values' sum."""

    def forward(self, x):
        red = x[:, 0].sum((1, 2))
        return torch.stack([torch.zeros_like(red), red], 1)


def test_counts_what_is_above_a_share_of_the_largest():
    maps = torch.tensor([[[-2.0, 1e-6, 2.1e-5], [0.0, 1.9e-5, 1.0]]])
    assert COUNT(maps).item() == 3
    assert COUNT(maps, threshold=0.0).item() == 5
    assert COUNT(maps, threshold=0.5).item() == 1


def test_fake_cam_keeps_all_pixels_but_one():
    maps = torch.ones(1, 224, 224)
    maps[:, 0, 0] = 0
    assert COUNT(maps).item() == 50175


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_count_is_equal_to_quantus_on_maps_of_one_maximum(dtype, blobs, quantus_scores):
    maps = torch.cat([blobs(8, dtype=dtype), 10 ** (-8 * torch.rand(8, SIZE, SIZE, dtype=dtype))])
    maps = maps / maps.amax((1, 2), keepdim=True)  # quantus divides by the maximum of the batch
    theirs = quantus_scores(quantus.EffectiveComplexity(disable_warnings=True), maps)
    assert torch.equal(COUNT(maps).double(), theirs)
    assert len(theirs.unique()) > 3


def test_count_knows_neither_sign_nor_scale():
    maps = 10 ** (-8 * torch.rand(8, SIZE, SIZE))
    assert torch.equal(COUNT(-3e-20 * maps), COUNT(maps))
    assert torch.equal(COUNT(maps.bfloat16()[:, :2]), COUNT(maps.bfloat16()[:, :2].float()))


@pytest.mark.parametrize("threshold", [-0.1, 1.0, float("nan")])
def test_refuses_a_threshold_that_is_no_share(threshold):
    with pytest.raises(ValueError, match=r"share in \[0, 1\)"):
        COUNT(torch.ones(1, 2, 2), threshold=threshold)


def test_grid_of_pixels():
    assert pixels_kept(10, 4).tolist() == [4, 8, 10]
    assert pixels_kept(8, 4).tolist() == [4, 8]
    assert pixels_kept(3, 4).tolist() == [3]


def test_minimum_by_hand():
    x = torch.zeros(1, 3, 2, 2)
    x[0, 0] = torch.tensor([[3.0, 1.0], [-0.9, 0.1]])
    f = torch.sigmoid(torch.tensor([3.0, 4.0, 3.1, 3.2]))  # with 1, 2, 3 and 4 pixels kept
    maps = torch.tensor([[[4.0, 3.0], [2.0, 1.0]]])
    settings = {"index": torch.zeros(1, dtype=torch.int64), "step": 1}
    loss = retention_loss(SumOfRed().eval(), x, maps, torch.ones(1, dtype=torch.int64), **settings)
    torch.testing.assert_close(loss[0], (f - f[-1]) ** 2)

    def fewest(maps, **more):
        return effective_complexity_minimum(SumOfRed().eval(), x, maps, torch.ones(1).long(), **settings | more).item()

    first = float(loss[0, 0])
    assert fewest(maps, tolerance=1.01 * first) == 1
    assert fewest(maps, tolerance=0.99 * first) == 3  # two pixels are further off than one
    assert fewest(maps, tolerance=0.0) == 4
    assert fewest(-maps, tolerance=1.01 * first) == 4  # the other end first: -0.8, 0.2, 3.2
    assert fewest(maps, tolerance=1.01 * first, step=3) == 3


@pytest.mark.parametrize("baseline", ["zero", "uniform", torch.tensor([0.5, -1.0, 2.0])[:, None, None]])
def test_loss_is_that_of_a_plain_loop(baseline, images, network, blobs):
    maps = blobs(6)
    found = retention_loss(
        network, images, maps, TARGET, index=INDEX, seed=9, step=40, baseline=baseline, samples=3, ties="stable"
    )
    whole = network(images).softmax(1).detach()
    for b in range(6):
        order = maps[b].flatten().argsort(descending=True, stable=True)
        for s, k in enumerate([40, 80, 120, 144]):
            errors = []
            for draw in range(3):
                kept = torch.zeros(144, dtype=torch.bool)
                kept[order[:k]] = True
                image = torch.where(kept.reshape(SIZE, SIZE), images[b], filling(images, b, baseline, draw))
                error = network(image[None]).softmax(1)[0, TARGET[b]] - whole[b, TARGET[b]]
                errors.append(error.item() ** 2)
            assert found[b, s].item() == pytest.approx(sum(errors) / 3, abs=1e-6)
    assert (found[:, 0] > 1e-6).all()


def filling(images, b, baseline, draw):
    if isinstance(baseline, torch.Tensor):
        return baseline.expand(3, SIZE, SIZE)
    if baseline == "zero":
        return torch.zeros(3, SIZE, SIZE)
    share = randomness.uniform(9, INDEX, f"effective complexity/draw {draw}", (3, SIZE, SIZE))[b]
    return images[b].min() + share * (images[b].max() - images[b].min())


def test_minimum_is_the_first_within_tolerance(images, network, blobs):
    maps = blobs(6)
    for tolerance in (0.0, 1e-5, 1e-3, 0.01, 0.5):
        loss = retention_loss(network, images, maps, TARGET, index=INDEX, step=16)
        found = effective_complexity_minimum(network, images, maps, TARGET, index=INDEX, step=16, tolerance=tolerance)
        for losses, k in zip(loss.tolist(), found.tolist(), strict=True):
            assert k == next(16 * (s + 1) for s, value in enumerate(losses) if value <= tolerance)
    assert (found == 16).all()


def test_better_maps_need_fewer_pixels():
    """A model that reads one quarter of the image, and a map that knows which."""

    class Quarter(nn.Module):
        def forward(self, x):
            return torch.stack([torch.zeros(len(x)), x[:, :, :6, :6].mean((1, 2, 3)) * 10], 1)

    x = torch.ones(2, 3, SIZE, SIZE)
    good = torch.zeros(2, SIZE, SIZE)
    good[:, :6, :6] = 1
    arguments = {"index": INDEX[:2], "step": 4, "tolerance": 1e-4}
    target = torch.ones(2, dtype=torch.int64)
    knows = effective_complexity_minimum(Quarter().eval(), x, good, target, **arguments)
    errs = effective_complexity_minimum(Quarter().eval(), x, 1 - good, target, **arguments)
    assert (knows <= 36).all() and (errs > 108).all()


@pytest.mark.parametrize("baseline", ["zero", "uniform"])
def test_each_image_stands_alone_in_any_chunk_and_nothing_is_changed(baseline, images, network):
    maps = torch.ones(6, SIZE, SIZE)
    maps[:, 3:] = 0.5  # ties, drawn for each image
    before = images.clone(), maps.clone()
    settings = {"seed": 1, "step": 16, "baseline": baseline, "samples": 2, "tolerance": 1e-4}
    whole = effective_complexity_minimum(network, images, maps, TARGET, index=INDEX, **settings)
    for part in torch.arange(6).split(4):
        alone = effective_complexity_minimum(
            network, images[part], maps[part], TARGET[part], index=INDEX[part], chunk=3, **settings
        )
        assert torch.equal(alone, whole[part])
    assert whole.dtype == torch.float32 and len(whole.unique()) > 1
    assert torch.equal(images, before[0]) and torch.equal(maps, before[1])


def test_seed_decides_ties_and_drawn_pixels(images, network, blobs):
    def loss(maps, **settings):
        return retention_loss(network, images, maps, TARGET, index=INDEX, step=40, **settings)

    ties, none = torch.ones(6, SIZE, SIZE), torch.randperm(144).reshape(1, SIZE, SIZE).expand(6, -1, -1).float()
    assert not torch.equal(loss(ties, seed=1), loss(ties, seed=2))
    assert not torch.equal(loss(none, seed=1, baseline="uniform"), loss(none, seed=2, baseline="uniform"))
    assert torch.equal(loss(none, seed=1), loss(none, seed=2))
    few = [
        effective_complexity_minimum(network, images, ties, TARGET, index=INDEX, step=4, tolerance=1e-4, seed=seed)
        for seed in (1, 2)
    ]
    assert not torch.equal(*few)


def test_undefined_maps_are_nan_and_leave_the_others_alone(images, network, blobs):
    maps = blobs(6)
    complete = effective_complexity_minimum(network, images, maps, TARGET, index=INDEX)
    counts = COUNT(maps)
    maps[0] = 0
    maps[1, 2, 2] = torch.nan
    maps[2, 2, 2] = torch.inf
    scores = effective_complexity_minimum(network, images, maps, TARGET, index=INDEX)
    assert scores[:3].isnan().all() and torch.equal(scores[3:], complete[3:])
    assert COUNT(maps)[:3].isnan().all() and torch.equal(COUNT(maps)[3:], counts[3:])


def test_names():
    assert get("effective-complexity") is COUNT
    assert get("effective-complexity-minimum") is effective_complexity_minimum


@pytest.mark.parametrize(
    "change, message",
    [
        ({"tolerance": -0.1}, "squared error of a probability"),
        ({"tolerance": 1.0}, "squared error of a probability"),
        ({"step": 0}, "step as a whole number of at least 1. Got 0"),
        ({"samples": 0}, "samples as a whole number of at least 1. Got 0"),
        ({"baseline": "black"}, "'zero', 'uniform' or a tensor. Got 'black'"),
        ({"baseline": torch.ones(5)}, "broadcasts to images"),
        ({"target": TARGET[:2]}, "one class per image"),
        ({"attribution": torch.ones(6, 4, 4)}, "one map"),
    ],
)
def test_refuses_wrong_settings(change, message, images, network, blobs):
    arguments = {"model": network, "x": images, "attribution": blobs(6), "target": TARGET, "index": INDEX} | change
    with pytest.raises(ValueError, match=message):
        effective_complexity_minimum(**arguments)


def test_refuses_a_model_in_training_mode(images, network, blobs):
    with pytest.raises(ValueError, match="evaluation mode"):
        effective_complexity_minimum(network.train(), images, blobs(6), TARGET, index=INDEX)
