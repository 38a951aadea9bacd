import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from xai_lib.data import corruptions, objects, planted

FROZEN = "dd6939a6a5f83d1de620ba980d74a2d41f9940b4207586fd1d1dbb710c85412d"
FROZEN_OWN = "50c2f56977c79034a95f6a123c12442790ba4ed4b38cb848d057afb932b7c636"
CLASS = {name: number for number, name in enumerate(planted.CLASSES)}


@pytest.fixture(scope="module")
def train():
    return planted.generate(4000, "train")


@pytest.fixture(scope="module")
def test():
    return planted.generate(2000, "test")


def of(split, name):
    return split.labels == split.classes.index(name)


# ---- the same numbers give the same bytes ----------------------------------------------------------------------


def test_the_frozen_data_set_has_not_changed():
    """Recorded results stand on these bytes: a change is a new ``planted.VERSION``."""
    small = planted.generate(50, "train")
    digest = hashlib.sha256(
        small.images.numpy().tobytes() + b"".join(small.masks[k].numpy().tobytes() for k in small.masks)
    )
    assert (planted.VERSION, digest.hexdigest()) == (1, FROZEN)
    own = planted.generate(50, "train", variant=planted.OWN_MODES).images.numpy()
    assert hashlib.sha256(own.tobytes()).hexdigest() == FROZEN_OWN


def test_an_image_drawn_again_without_an_element_differs_only_there(test):
    """But for thin lines of far objects, which cover no pixel by half and so are in no mask."""
    for name, variant in planted.ELEMENTS.items():
        again = planted.redrawn(test.subset(list(range(200))), variant)
        assert torch.equal(again.index, test.index[:200]) and torch.equal(again.labels, test.labels[:200])
        masks = test.masks | {"body": test.masks["object"] & ~test.masks["part"]}
        masks["surroundings"] = ~torch.stack([masks[key] for key in planted.ELEMENTS if key in masks]).any(0)
        region = masks[name][:200]
        wider = functional.max_pool2d(region[:, None].float(), 5, stride=1, padding=2)[:, 0] > 0
        differs = (again.images != test.images[:200]).any(1)
        assert (differs & ~wider).sum() < 0.02 * differs.sum()
        there = region.sum((1, 2)) > 9
        assert (differs & region).sum((1, 2))[there].float().div(region.sum((1, 2))[there]).median() > 0.9
        same = again.factors.drop(columns=["surroundings", "second", "second_scale", "shortcut"])
        assert same.equals(test.factors[:200][same.columns])


def test_images_do_not_depend_on_what_is_drawn_beside_them(test):
    for n in (3, 37):  # fewer than classes, and more
        few = planted.generate(n, "test")
        assert torch.equal(few.images, test.images[:n])
        for key, mask in few.masks.items():
            assert torch.equal(mask, test.masks[key][:n])
        assert few.factors.equals(test.factors[:n])


def test_a_run_of_images_may_begin_anywhere(test):
    later = planted.generate(13, "test", first=20)
    assert torch.equal(later.images, test.images[20:33]) and torch.equal(later.masks["part"], test.masks["part"][20:33])
    assert later.index.tolist() == list(range(20, 33)) and later.digest != planted.generate(13, "test").digest
    assert planted.generate(13, "test", first=0).digest == planted.generate(13, "test").digest


def test_seeds_and_parts_are_independent_images_and_digests_tell_all_apart():
    base = planted.generate(20, "train")
    others = [
        planted.generate(20, "train", seed=1),
        planted.generate(20, "test"),
        planted.generate(20, "train", parameters=planted.Parameters(grain=0.0)),
        planted.generate(20, "train", size=33),
        planted.generate(21, "train"),
        planted.generate(20, "train", first=1),
        planted.generate(20, "train", variant="corrupted"),
    ]
    assert len({split.digest for split in [base, *others]}) == 8
    assert planted.generate(20, "train").digest == base.digest == planted.generate(21, "train").subset(range(20)).digest
    for other in others[:2]:
        assert not (other.images == base.images).flatten(1).all(1).any()


def test_colour_statistics_are_those_of_the_training_part(train):
    x = train.normalise(train.images)
    assert x.mean((0, 2, 3)).abs().max() < 0.02
    assert (x.std((0, 2, 3)) - 1).abs().max() < 0.02


# ---- 1: objects with exact masks --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [32, 57])
def test_masks_are_where_the_image_changes_when_the_object_is_taken_away(monkeypatch, size):
    whole = planted.generate(300, "test", size=size)
    for name in planted.CLASSES:
        draw = getattr(objects, name)
        monkeypatch.setattr(
            objects, name, lambda u, v, draw=draw: [replace(x, distance=x.distance + 9) for x in draw(u, v)]
        )
    empty = planted.generate(300, "test", size=size)
    changed = (whole.images != empty.images).any(1)
    shown = whole.masks["object"] | whole.masks["second"]
    assert not empty.masks["object"].any()
    near = functional.max_pool2d(shown[:, None].float(), 3, stride=1, padding=1)[:, 0].bool()
    assert (changed & ~near).float().mean() < 0.003  # rims covered by less than a half, thin ones beyond a neighbour
    assert (shown & ~changed).sum() / shown.sum() < 0.03  # an object's colour can equal what lies behind it


def test_objects_are_small_and_the_centre_is_a_poor_answer(test):
    mask = test.masks["object"]
    assert mask.flatten(1).any(1).all()
    assert 0.05 < mask.float().mean() < 0.2
    assert mask[:, 15:17, 15:17].float().mean() < 0.35


def test_classes_are_balanced_in_every_prefix(test):
    for n in (10, 130, 2000):
        assert torch.bincount(test.labels[:n]).tolist() == [n // 10] * 10


def test_the_scene_is_the_same_at_every_size():
    small, large = planted.generate(40, "test"), planted.generate(40, "test", size=96)
    columns = [name for name in small.factors if name != "size"]
    assert small.factors[columns].equals(large.factors[columns])
    shrunk = functional.avg_pool2d(large.images.float(), 3)
    assert (shrunk - small.images).abs().mean() < 9  # of 255; another scene differs by about 60
    agree = (functional.avg_pool2d(large.masks["object"].float(), 3) >= 0.5) == small.masks["object"]
    assert agree.float().mean() > 0.985


# ---- 2: look-alikes, and classes that appear together ------------------------------------------------------------


@pytest.mark.parametrize("pair", planted.LOOK_ALIKE_PAIRS)
def test_look_alikes_differ_in_their_part_and_nowhere_else(pair, monkeypatch, test):
    first, second = pair
    monkeypatch.setattr(objects, first, getattr(objects, second))
    swapped = planted.generate(2000, "test")
    changed = (swapped.images != test.images).any(1)
    part = swapped.masks["part"] | test.masks["part"]
    near = functional.max_pool2d(part[:, None].float(), 3, stride=1, padding=1)[:, 0].bool()
    assert changed[of(test, first)].flatten(1).any(1).float().mean() > 0.99
    assert not changed[~of(test, first)].any()
    clearly = ((swapped.images.float() - test.images.float()).abs() > 25).any(1)
    assert (clearly & near).sum() / clearly.sum() > 0.97


def test_only_look_alikes_have_a_part_and_it_belongs_to_the_object(test):
    paired = torch.tensor([CLASS[name] for pair in planted.LOOK_ALIKE_PAIRS for name in pair])
    has_part = test.masks["part"].flatten(1).any(1)
    assert torch.equal(has_part, torch.isin(test.labels, paired))
    assert not (test.masks["part"] & ~test.masks["object"]).any()
    shares = test.masks["part"].sum((1, 2))[has_part] / test.masks["object"].sum((1, 2))[has_part]
    assert 0.1 < shares.mean() < 0.5


def test_two_objects_are_labelled_by_the_larger_and_belong_to_the_pair(test):
    two = torch.tensor((test.factors["second"] != "").tolist())
    assert torch.equal(test.masks["second"].flatten(1).any(1), two)
    for name, other in (planted.CO_OCCURRING_PAIR, planted.CO_OCCURRING_PAIR[::-1]):
        mine = of(test, name)
        assert 0.4 < two[mine].float().mean() < 0.6
        assert set(test.factors["second"][(mine & two).numpy()]) == {other}
    assert not two[~torch.isin(test.labels, torch.tensor([CLASS[name] for name in planted.CO_OCCURRING_PAIR]))].any()
    rows = test.factors[two.numpy()]
    assert (rows["second_scale"] < rows["scale"]).all()
    areas = {key: test.masks[key][two].sum((1, 2)) for key in ("object", "second")}
    assert (areas["second"] < areas["object"]).float().mean() > 0.99
    assert not (test.masks["second"] & test.masks["object"]).any()


# ---- 3: modes, some rare in training --------------------------------------------------------------------------


def test_rare_modes_are_rare_in_training_and_as_frequent_as_others_in_evaluation(train, test):
    rarities = planted.Parameters().rarities
    for split, part in ((train, "train"), (test, "test")):
        for name in planted.CLASSES:
            shares = np.bincount(split.factors["mode"][of(split, name).numpy()], minlength=5) / len(split) * 10
            expected = np.full(5, 0.2)
            if part == "train" and name in rarities:
                expected[:] = (1 - rarities[name]) / 4
                expected[planted.rare_mode(name)] = rarities[name]
            assert np.abs(shares - expected).max() < 0.01, (part, name)


@pytest.mark.parametrize("share", [0.01, 0.02, 0.05, 0.1, 0.2])
def test_rarities_are_hit_to_within_two_images(share):
    split = planted.generate(2000, "train", size=16, parameters=planted.Parameters(rarities={"mug": share}), seed=3)
    assert abs(int(split.factors["rare"].sum()) - share * 200) <= 2
    assert (split.labels[split.factors["rare"].to_numpy(copy=True)] == CLASS["mug"]).all()
    assert set(split.factors["mode"][split.factors["rare"]]) == {planted.rare_mode("mug")}


def test_a_mode_is_a_pose_a_colour_and_a_surroundings_that_can_be_seen(test):
    factors = test.factors
    for number, mode in enumerate(planted.MODES):
        rows = factors[factors["mode"] == number]
        assert set(zip(rows["pose"], rows["colour"], rows["surroundings"])) == {
            (mode.pose, mode.colour, mode.surroundings)
        }
        assert (rows["degrees"] - mode.degrees).abs().max() < 8.2
    means = test.images.float().mean((2, 3))
    centres = torch.stack([means[factors["mode"].to_numpy() == number].mean(0) for number in range(5)])
    assert torch.pdist(centres).min() > 20  # of 255


def test_own_modes_look_like_nothing_else_and_leave_all_other_images_as_they_are(test):
    own = planted.generate(2000, "test", variant=planted.OWN_MODES)
    of_class = torch.tensor([planted.rare_mode(name) for name in planted.CLASSES])[own.labels]
    here = torch.tensor(own.factors["mode"].to_numpy()) == of_class
    assert torch.equal(own.images[~here], test.images[~here]) and own.factors[~here.numpy()].equals(
        test.factors[~here.numpy()]
    )
    assert set(own.factors.loc[here.numpy(), "surroundings"]) == set(own.factors.loc[here.numpy(), "colour"]) == {"own"}
    assert own.factors.loc[here.numpy(), "pose"].value_counts(normalize=True).between(0.15, 0.25).all()
    objects = own.masks["object"][:, None]
    centres = {where: [] for where in ("around", "object")}
    for name in planted.CLASSES:
        for where, mask in (("around", ~objects), ("object", objects)):
            shown = mask[here & of(own, name)]
            colours = (own.images[here & of(own, name)].float() * shown).sum((0, 2, 3)) / shown.sum()
            centres[where].append(colours)
    assert torch.pdist(torch.stack(centres["around"])).min() > 20  # of 255
    assert torch.pdist(torch.stack(centres["object"])).min() > 20
    trained = planted.generate(500, "train", variant=planted.OWN_MODES)
    assert trained.factors["rare"].sum() == planted.generate(500, "train").factors["rare"].sum()


# ---- 4: the shortcut ------------------------------------------------------------------------------------------


def test_the_shortcut_goes_with_one_class_and_covers_the_lower_edge(train, test):
    for split in (train, test):
        wet = torch.tensor(split.factors["shortcut"].tolist())
        assert torch.equal(split.masks["shortcut"].flatten(1).any(1), wet)
        assert 0.95 < wet[of(split, planted.SHORTCUT_CLASS)].float().mean() < 1
        assert not wet[~of(split, planted.SHORTCUT_CLASS)].any()
    assert not (test.masks["shortcut"] & test.masks["object"]).any()
    assert 0.1 < test.masks["shortcut"][wet].float().mean() < 0.25
    assert not test.masks["shortcut"][:, :20].any()


# ---- 5: variants ----------------------------------------------------------------------------------------------


def test_without_the_shortcut_nothing_else_changes(test):
    absent = planted.generate(2000, "test", variant="shortcut-absent")
    assert not absent.masks["shortcut"].any()
    assert not absent.factors["shortcut"].any()
    assert torch.equal(absent.labels, test.labels)
    assert torch.equal(absent.masks["object"], test.masks["object"])
    changed = (absent.images != test.images).any(1)
    assert torch.equal(changed.flatten(1).any(1), test.masks["shortcut"].flatten(1).any(1))
    near = functional.max_pool2d(test.masks["shortcut"][:, None].float(), 3, stride=1, padding=1)[:, 0].bool()
    assert (changed & ~near & ~test.masks["object"]).float().mean() < 0.001


def test_the_swapped_shortcut_lies_under_another_class(test):
    swapped = planted.generate(2000, "test", variant="shortcut-swapped")
    wet = torch.tensor(swapped.factors["shortcut"].tolist())
    assert 0.95 < wet[of(swapped, planted.SWAPPED_CLASS)].float().mean() <= 1
    assert not wet[~of(swapped, planted.SWAPPED_CLASS)].any()
    untouched = ~wet & ~of(swapped, planted.SHORTCUT_CLASS)
    assert torch.equal(swapped.images[untouched], test.images[untouched])


def test_unseen_objects_stand_in_the_same_scenes(test):
    unseen = planted.generate(2000, "test", variant="out-of-distribution")
    assert unseen.classes == planted.UNSEEN_CLASSES
    assert not set(unseen.classes) & set(planted.CLASSES)
    assert torch.bincount(unseen.labels).tolist() == [400] * 5
    for name in ("mode", "x", "y", "scale", "degrees"):
        assert unseen.factors[name].equals(test.factors[name])
    assert unseen.masks["object"].flatten(1).any(1).all()
    for key in ("second", "shortcut", "part"):
        assert not unseen.masks[key].any()


def test_each_corrupted_image_has_one_corruption_that_grows_with_severity(test):
    corrupted = planted.generate(2000, "test", variant="corrupted")
    assert torch.equal(corrupted.masks["object"], test.masks["object"])
    counts = corrupted.factors.groupby(["corruption", "severity"]).size()
    assert len(counts) == len(corruptions.NAMES) * 3
    assert counts.min() > 90
    change = (corrupted.images.float() - test.images.float()).abs().mean((1, 2, 3)).numpy()
    for name in corruptions.NAMES:
        by_severity = [
            change[((corrupted.factors["corruption"] == name) & (corrupted.factors["severity"] == s)).to_numpy()].mean()
            for s in (1, 2, 3)
        ]
        assert 2 < by_severity[0] < by_severity[1] < by_severity[2], name
    assert (test.factors["corruption"] == "").all()


# ---- refusals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"part": "validation"}, "part out of train, test. Got 'validation'"),
        (
            {"variant": "foggy"},
            "variant out of shortcut-absent, .*corrupted, .*part-absent, .*own-modes, or None. Got 'foggy'",
        ),
        ({"n": 0}, "Got n = 0"),
        ({"size": 8}, "size = 8"),
    ],
)
def test_what_does_not_exist_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        planted.generate(**({"n": 10, "part": "train"} | arguments))


@pytest.mark.parametrize(
    ("rarities", "message"), [({"dog": 0.1}, "Got 'dog'"), ({"cat": 0.3}, "Got 0.3"), ({"cat": 0}, "Got 0")]
)
def test_impossible_rarities_are_refused(rarities, message):
    with pytest.raises(ValueError, match=message):
        planted.Parameters(rarities=rarities)
