import dataclasses

import pandas as pd
import pytest
import torch

from xai_lib.data import transforms
from xai_lib.data.split import Split

UNCHANGED = {"mixup": 0, "resize": 1, "rotation": 0, "crop": 1}


def made(n=12, side=16, classes=3, width=None):
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (n, 3, side, width or side), generator=generator, dtype=torch.uint8)
    return Split(
        images=images,
        labels=torch.arange(n) % classes,
        classes=tuple("abcdefgh"[:classes]),
        index=torch.arange(n) * 5 + 3,
        mean=(0.2, 0.4, 0.6),
        std=(0.1, 0.1, 0.1),
        name="made",
        part="test",
        source="ab",
        masks={"object": images[:, 0] > 128},
        factors=pd.DataFrame({"size": range(n)}),
    )


def of(images, masks=None):
    """A split of the given float or integer images [N,3,H,W], each a class of its own."""
    split = made(len(images), classes=len(images))
    return dataclasses.replace(split, images=images.to(torch.uint8), masks=masks or {})


def test_there_are_four_transforms_at_four_settings():
    assert list(transforms.TRANSFORMS) == ["mixup", "resize", "rotation", "crop"]
    assert all(len(set(settings)) == 4 for settings in transforms.TRANSFORMS.values())


@pytest.mark.parametrize("name", transforms.TRANSFORMS)
def test_what_changes_nothing_changes_no_image(name):
    split = made()
    same = transforms.apply(split, name, UNCHANGED[name])
    assert torch.equal(same.images, split.images)
    assert torch.equal(same.masks["object"], split.masks["object"])


@pytest.mark.parametrize("name", transforms.TRANSFORMS)
def test_labels_and_index_stay_and_the_digest_names_what_was_done(name):
    split = made(width=24)
    changed = [transforms.apply(split, name, setting) for setting in transforms.TRANSFORMS[name]]
    for other in changed:
        assert other.images.dtype == torch.uint8
        assert other.images.shape == split.images.shape
        assert not torch.equal(other.images, split.images)
        assert torch.equal(other.labels, split.labels)
        assert torch.equal(other.index, split.index)
        assert other.factors is None
    digests = {other.digest for other in changed}
    assert len(digests | {split.digest}) == 5
    again = transforms.apply(split, name, transforms.TRANSFORMS[name][0], seed=1)
    assert (again.digest in digests) == (name != "mixup")
    other_parent = dataclasses.replace(split, source="cd")
    assert transforms.apply(other_parent, name, transforms.TRANSFORMS[name][0]).digest not in digests


def test_transforms_of_the_same_setting_have_their_own_digests():
    split = made()
    assert len({transforms.apply(split, name, 0.5).digest for name in transforms.TRANSFORMS}) == 4


@pytest.mark.parametrize("name", transforms.TRANSFORMS)
def test_an_image_changes_alike_in_any_company(name, monkeypatch):
    split = made()
    setting = transforms.TRANSFORMS[name][1]
    together = transforms.apply(split, name, setting)
    for position in () if name == "mixup" else (0, 7):  # mixup's partners are those of the split
        alone = transforms.apply(split.subset([position]), name, setting)
        assert torch.equal(alone.images[0], together.images[position])
        assert torch.equal(alone.masks["object"][0], together.masks["object"][position])
    monkeypatch.setattr(transforms, "_CHUNK", 5)
    assert torch.equal(transforms.apply(split, name, setting).images, together.images)


def test_mixup_is_the_weighted_mean_of_two_images_of_different_classes():
    split = made()
    partner = transforms.partners(split, 0)
    assert (split.labels[partner] != split.labels).all()
    mixed = transforms.apply(split, "mixup", 0.3)
    exact = 0.7 * split.images.double() + 0.3 * split.images[partner].double()
    assert (mixed.images.double() - exact).abs().max() <= 0.5 + 1e-4
    assert torch.equal(mixed.masks["object"], split.masks["object"])


def test_partners_depend_on_seed_and_images_but_not_on_order_or_share():
    split = made(40)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    shuffled = split.subset(order)
    partner = split.index[transforms.partners(split, 3)]
    assert torch.equal(shuffled.index[transforms.partners(shuffled, 3)], partner[order])
    assert not torch.equal(split.index[transforms.partners(split, 4)], partner)


def test_partners_are_uniform_over_the_images_of_other_classes():
    split = dataclasses.replace(made(10), labels=torch.tensor([0, 0, 0, 1, 1, 1, 1, 2, 2, 2]))
    counts = torch.zeros(10, 10)
    for seed in range(900):
        counts[torch.arange(10), transforms.partners(split, seed)] += 1
    other = split.labels[:, None] != split.labels[None]
    assert (counts[~other] == 0).all()
    expected = 900 / other.sum(1, keepdim=True)
    assert ((counts - expected).abs()[other] < 5 * expected.sqrt().expand(10, 10)[other]).all()


def test_images_of_one_class_cannot_be_mixed():
    split = made()
    with pytest.raises(ValueError, match=r"at least two classes to mix. Got 1"):
        transforms.apply(split.subset((split.labels == 0).nonzero()[:, 0]), "mixup", 0.1)


def test_resize_takes_fine_detail_away_and_leaves_flat_images():
    stripes = (torch.arange(16) % 2 * 200).expand(1, 3, 16, 16)
    inner = transforms.apply(of(stripes), "resize", 0.5).images[0, :, :, 2:-2].float()
    assert (inner - 100).abs().max() <= 25  # of 100 before
    flat = torch.full((1, 3, 16, 16), 77)
    assert torch.equal(transforms.apply(of(flat), "resize", 0.25).images, flat.to(torch.uint8))
    ramp = torch.linspace(0, 250, 16).expand(1, 3, 16, 16)
    assert torch.equal(transforms.apply(of(ramp), "resize", 1 / 16).images, torch.full((1, 3, 16, 16), 125).byte())


def test_quarter_and_half_turns_are_exact_and_anticlockwise():
    split = made()
    for degrees, turns in ((90, 1), (180, 2)):
        turned = transforms.apply(split, "rotation", degrees)
        assert torch.equal(turned.images, torch.rot90(split.images, turns, (2, 3)))
        assert torch.equal(turned.masks["object"], torch.rot90(split.masks["object"], turns, (1, 2)))


def test_corners_that_come_in_have_the_mean_colour_and_no_mask():
    white = torch.full((1, 3, 32, 32), 255)
    turned = transforms.apply(of(white, {"object": torch.ones(1, 32, 32, dtype=torch.bool)}), "rotation", 45)
    for corner in turned.images[0][:, [0, 0, -1, -1], [0, -1, 0, -1]].unbind(1):
        assert corner.tolist() == [51, 102, 153]
    assert not turned.masks["object"][0, 0, 0]
    assert (turned.images[0, :, 8:24, 8:24] == 255).all()
    assert turned.masks["object"][0, 8:24, 8:24].all()


def test_crop_enlarges_the_middle():
    image = torch.zeros(1, 3, 20, 20)
    image[:, :, 5:15, 5:15] = 200
    mask = image[:, 0] > 0
    split = of(image, {"object": mask})
    half = transforms.apply(split, "crop", 0.5)
    assert (half.images == 200).all()
    assert half.masks["object"].all()
    # side 16 of 20 kept: the square covers 3 to 13 of 16, which is 3.75 to 16.25 of 20
    wide = transforms.apply(split, "crop", 0.8)
    assert (wide.images[..., 5:15, 5:15] == 200).all()
    assert (wide.images[..., :3, :] == 0).all()
    covered = wide.masks["object"][0].nonzero()
    assert covered.min() == 4
    assert covered.max() == 15


def test_crop_of_a_wide_image_keeps_its_proportions():
    split = made(side=10, width=20)
    kept = transforms._crop(split, 0.6, 0)[0]
    middle = split.images[:, :, 2:8, 4:16].float()
    expected = torch.nn.functional.interpolate(middle, size=(10, 20), mode="bilinear", align_corners=False)
    assert (kept.float() - expected).abs().max() <= 0.5001


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("blur", 0.5, "out of mixup, resize, rotation, crop. Got 'blur'"),
        ("mixup", 0.6, r"share in \[0, 0.5\]"),
        ("mixup", -0.1, "Got -0.1"),
        ("resize", 0, r"factor in \(0, 1\]"),
        ("resize", 1.5, "Got 1.5"),
        ("rotation", float("nan"), "an angle in degrees"),
        ("rotation", "90", "Got '90'"),
        ("crop", 0, r"share in \(0, 1\]"),
    ],
)
def test_what_makes_no_sense_is_refused(name, setting, message):
    with pytest.raises(ValueError, match=message):
        transforms.apply(made(), name, setting)
