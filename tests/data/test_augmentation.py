import math
from dataclasses import replace

import pytest
import torch
from scipy import stats
from torchvision import transforms
from torchvision.transforms import functional as reference

from xai_lib import randomness
from xai_lib.data import augmentation
from xai_lib.data.augmentation import CE, IMAGENET_CE, IMAGENET_SCL, LIGHT, SCL, Augmentation, augment

INDEX = torch.arange(3000)


@pytest.fixture(scope="module")
def picture():
    """One image with a colour in every pixel that no other pixel has."""
    return torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def views(picture, recipe, n=3000):
    return augment(picture.expand(n, -1, -1, -1), recipe=recipe, seed=0, index=INDEX[:n], purpose="test")


def torchvision_views(picture, recipe, n):
    steps = [transforms.RandomHorizontalFlip(recipe.flip)]
    if recipe.padding:
        steps.insert(0, transforms.RandomCrop(picture.shape[1:], padding=recipe.padding))
    if recipe.scale:
        steps.insert(0, transforms.RandomResizedCrop(picture.shape[1:], recipe.scale, recipe.ratio))
    colours = transforms.ColorJitter(*[recipe.colour] * 3, recipe.hue)
    steps += [transforms.RandomApply([colours], recipe.jitter), transforms.RandomGrayscale(recipe.grey)]
    if recipe.blur:
        steps.append(transforms.RandomApply([transforms.GaussianBlur(3, recipe.blur_sigma)], recipe.blur))
    pipeline = transforms.Compose(steps)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torch.stack([pipeline(picture / 255) for _ in range(n)])


@pytest.mark.parametrize(
    "recipe", [CE, SCL, LIGHT, IMAGENET_CE, IMAGENET_SCL], ids=["ce", "scl", "light", "s50 ce", "s50 scl"]
)
def test_views_are_distributed_as_those_of_torchvision(picture, recipe):
    # Of a smooth picture, so that blur matters less than crops.
    smooth = torch.nn.functional.avg_pool2d(picture[None].float(), 5, 1, 2)[0].to(torch.uint8)
    smooth[0, :16] //= 2
    ours, theirs = views(smooth, recipe, 1000), torchvision_views(smooth, recipe, 1000)
    assert ours.dtype == torch.float32
    assert ours.min() >= 0
    assert ours.max() <= 1 + 1e-6
    summaries = {
        "red": lambda x: x[:, 0].mean((1, 2)),
        "blue": lambda x: x[:, 2].mean((1, 2)),
        "contrast": lambda x: x.mean(1).std((1, 2)),
        "colour": lambda x: (x.amax(1) - x.amin(1)).mean((1, 2)),
        "left against right": lambda x: (x[..., :16] - x[..., 16:]).mean((1, 2, 3)),
        "top against bottom": lambda x: (x[:, :, :16] - x[:, :, 16:]).mean((1, 2, 3)),
        "corner": lambda x: x[:, 1, 0, 0],
    }
    for name, summary in summaries.items():
        assert stats.ks_2samp(summary(ours).numpy(), summary(theirs).numpy()).pvalue > 1e-3, name


def test_padded_crops_are_torchvisions_and_every_place_is_equally_likely(picture):
    found = views(picture, replace(CE, flip=0.0))
    padded = reference.pad(picture / 255, [4])
    places = torch.stack([reference.crop(padded, top, left, 32, 32) for top in range(9) for left in range(9)])
    which = torch.cdist(found.flatten(1), places.flatten(1)).argmin(1)
    torch.testing.assert_close(found, places[which])
    assert stats.chisquare(torch.bincount(which, minlength=81).numpy()).pvalue > 1e-3


def test_half_the_images_are_flipped_left_to_right(picture):
    found = views(picture, Augmentation(flip=0.5))
    flipped = (found == picture.flip(2) / 255).flatten(1).all(1)
    assert (flipped | (found == picture / 255).flatten(1).all(1)).all()
    assert stats.binomtest(int(flipped.sum()), len(found)).pvalue > 1e-3


@pytest.mark.parametrize("scale", [(0.2, 1.0), (0.08, 1.0), (0.9, 1.0)])
@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
def test_boxes_are_distributed_as_those_of_torchvision(scale, size):
    draw = lambda what, *shape: randomness.uniform(0, INDEX, what, shape)  # noqa: E731
    ours = torch.stack(augmentation._boxes(size, Augmentation(scale=scale), draw), 1).float()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        image = torch.empty(3, *size)
        boxes = [transforms.RandomResizedCrop.get_params(image, list(scale), [3 / 4, 4 / 3]) for _ in INDEX]
    theirs = torch.tensor(boxes).float()  # top, left, height, width
    for number in range(4):
        assert stats.ks_2samp(ours[:, number].numpy(), theirs[:, number].numpy()).pvalue > 1e-3
    assert stats.ks_2samp((ours[:, 3] / ours[:, 2]).numpy(), (theirs[:, 3] / theirs[:, 2]).numpy()).pvalue > 1e-3


def test_a_box_that_never_fits_becomes_the_central_one_of_torchvision():
    recipe = Augmentation(scale=(1.0, 1.0), ratio=(1.0, 1.0))  # of a wide image: nothing square has its area
    draw = lambda what, *shape: randomness.uniform(0, INDEX[:3], what, shape)  # noqa: E731
    ours = torch.stack(augmentation._boxes((20, 40), recipe, draw), 1)
    theirs = transforms.RandomResizedCrop.get_params(torch.empty(3, 20, 40), [1.0, 1.0], [1.0, 1.0])
    assert ours.tolist() == [list(theirs)] * 3


def test_resizing_a_box_is_torchvisions(picture):
    boxes = torch.tensor([[0, 0, 32, 32], [3, 5, 17, 12], [20, 1, 12, 30], [31, 31, 1, 1], [0, 9, 5, 23]])
    ours = augmentation._resized_crop((picture / 255).expand(5, -1, -1, -1), *boxes.unbind(1))
    for found, (top, left, height, width) in zip(ours, boxes.tolist(), strict=True):
        expected = reference.resized_crop(picture / 255, top, left, height, width, [32, 32], antialias=True)
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("ours", "theirs", "factors"),
    [
        (augmentation._brightness, reference.adjust_brightness, (0.0, 0.6, 1.4, 1.8)),
        (augmentation._contrast, reference.adjust_contrast, (0.0, 0.6, 1.4, 1.8)),
        (augmentation._saturation, reference.adjust_saturation, (0.0, 0.6, 1.4, 1.8)),
        (augmentation._hue, reference.adjust_hue, (-0.5, -0.1, 0.0, 0.03, 0.2)),
    ],
)
def test_each_colour_change_is_torchvisions_for_the_same_factor(picture, ours, theirs, factors):
    x = picture / 255
    x[:, 0] = x[:1, 0]  # some greys
    found = ours(x.expand(len(factors), -1, -1, -1), torch.tensor(factors).view(-1, 1, 1, 1))
    for image, factor in zip(found, factors, strict=True):
        torch.testing.assert_close(image, theirs(x, factor), atol=3e-6, rtol=0)


def test_colour_changes_come_in_each_images_own_order_and_every_order_is_equally_likely(picture):
    x = (picture / 255).expand(len(INDEX), -1, -1, -1)[:, :, :4, :4].clone()
    order, colour = (randomness.uniform(0, INDEX, what, (4,)) for what in ("order", "colour"))
    found = augmentation._jitter(x.clone(), SCL, colour, order)
    changes = [getattr(reference, f"adjust_{name}") for name in ("brightness", "contrast", "saturation", "hue")]
    factors = torch.cat([0.6 + 0.8 * colour[:, :3], -0.1 + 0.2 * colour[:, 3:]], 1)
    turns = order.argsort(1)
    for image in range(40):
        expected = x[image]
        for kind in turns[image].tolist():
            expected = changes[kind](expected, float(factors[image, kind]))
        torch.testing.assert_close(found[image], expected, atol=1e-5, rtol=0)
    counts = torch.bincount((turns * torch.tensor([64, 16, 4, 1])).sum(1)).numpy()
    assert stats.chisquare(counts[counts > 0]).pvalue > 1e-3
    assert (counts > 0).sum() == math.factorial(4)


@pytest.mark.parametrize("sigma", [0.1, 0.7, 2.0])
def test_blur_is_torchvisions_with_a_kernel_of_a_tenth_of_the_image(sigma):
    x = torch.rand(2, 3, 120, 120, generator=torch.Generator().manual_seed(1))
    ours = augmentation._blurred(x, torch.tensor([sigma, 1.0]))
    torch.testing.assert_close(ours[0], reference.gaussian_blur(x[0], [13, 13], [sigma, sigma]), atol=1e-6, rtol=0)
    torch.testing.assert_close(ours[1], reference.gaussian_blur(x[1], [13, 13], [1.0, 1.0]), atol=1e-6, rtol=0)


def test_each_probability_is_that_of_its_change(picture):
    for recipe, share in ((Augmentation(flip=0.0, grey=0.2), 0.2), (replace(SCL, scale=None, flip=0.0, grey=0.0), 0.8)):
        changed = ((views(picture, recipe) - picture / 255).abs() > 1e-6).flatten(1).any(1)
        assert stats.binomtest(int(changed.sum()), len(INDEX), share).pvalue > 1e-3


def test_a_view_depends_on_its_image_seed_and_purpose_alone(picture):
    images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    arguments = {"recipe": IMAGENET_SCL, "seed": 0, "purpose": "epoch 0/view 0"}
    whole = augment(images, index=INDEX[:64], **arguments)
    rows = torch.tensor([40, 3, 17])
    torch.testing.assert_close(augment(images[rows], index=rows, **arguments), whole[rows], atol=1e-6, rtol=0)
    for change in ({"seed": 1}, {"purpose": "epoch 0/view 1"}):
        other = augment(images, index=INDEX[:64], **(arguments | change))
        assert not torch.isclose(other, whole).flatten(1).all(1).any()


def test_images_are_left_as_they_were(picture):
    images = picture.expand(4, -1, -1, -1).clone()
    views(picture, SCL, 4)
    augment(images, recipe=SCL, seed=0, index=INDEX[:4], purpose="test")
    assert (images == picture).all()
