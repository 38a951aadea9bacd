import math

import numpy as np
import pytest
import torch
from torch import nn

from xai_lib.papers.whole_output.method import faithfulness
from xai_lib.papers.whole_output.method.faithfulness import contrastive_curve, salient, salient_pixels, scores

SIZE = 12
every_variant = pytest.mark.parametrize("variant", ["paper", "released"])


def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 5)]
    return nn.Sequential(*layers).eval()


def counting():
    """The network, and a list of how many images it is given each time it is run."""
    model, seen = network(), []
    model.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    return model, seen


def case(size=SIZE):
    """Four pairs of three images, and three maps of each, without ties, that leave out more or less of the image."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(4, 3, size, size, generator=generator) ** torch.tensor([2.0, 4.0, 1.0])[:, None, None]
    return {
        "model": network(),
        "x": 3 * torch.randn(3, 3, size, size, generator=generator),
        "image": torch.tensor([0, 0, 2, 1]),
        "maps": maps,
        "target": torch.tensor([0, 1, 2, 4]),
        "rivals": torch.tensor([[0, 1, 1, 0, 0], [1, 0, 0, 0, 0], [1, 1, 0, 1, 1], [0, 0, 0, 1, 0]]).bool(),
        "index": torch.tensor([5, 6, 9]),
        "compared": [0, 1],
    }


def of_curve(**values):
    """The first map of each pair, with ties, and how many pixels go."""
    arguments = case()
    arguments.pop("compared")
    removed = torch.randint(SIZE * SIZE + 1, (4, 4), generator=torch.Generator().manual_seed(1))
    return arguments | {"maps": arguments["maps"][:, 0].round(decimals=1), "removed": removed} | values


def chosen(arguments, pairs):
    names = {"image", "maps", "target", "rivals", "removed"} & set(arguments)
    return arguments | {name: arguments[name][pairs] for name in names}


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0, check_dtype=False)


@torch.no_grad()
def without(arguments, pair, heat, count):
    """Probabilities of the class and of its rivals after the `count` highest pixels of a map are 0."""
    image = arguments["x"][arguments["image"][pair]].clone().flatten(1)
    image[:, heat.flatten().argsort(descending=True)[:count]] = 0
    probabilities = arguments["model"](image.reshape(1, *arguments["x"].shape[1:])).softmax(1)[0].double()
    return probabilities[arguments["target"][pair]], probabilities[arguments["rivals"][pair]].sum()


def score_without(arguments, pair, which, count):
    own, others = without(arguments, pair, arguments["maps"][pair, which], count)
    return float(own * (1 - others))


def by_loop(arguments, variant, step, tau):
    """Equations 4 and 5, one number of deleted pixels at a time: s(r) is the score when the first r-1 pixels are gone.

    As released, a list of points, the untouched image first, that is full before the last chunk of salient pixels goes.
    """
    maps = arguments["maps"]
    n, released = maps[0, 0].numel(), variant == "released"
    cauc, cdrop = torch.empty(maps.shape[:2]), torch.empty(maps.shape[:2])
    for pair, which in np.ndindex(*maps.shape[:2]):
        lowest = [m.min() if released else 0 for m in maps[pair]]
        n_delta = [int((m - low >= 0.5 * (m.max() - low)).sum()) for m, low in zip(maps[pair], lowest)]
        common, own = (math.ceil(k / step) for k in (min(n_delta[k] for k in arguments["compared"]), n_delta[which]))
        points = [score_without(arguments, pair, which, step * k) for k in range(max(common, own) + 1)]
        area, last = sum(points[:common]), points[own]
        if released:
            area -= (points[0] + points[common - 1]) / 2
            last = sum(points[own - 3 : own]) / 3 if own >= 3 else points[own - 1]
        cauc[pair, which] = area / (math.ceil(n / step) + 1 if released else n)
        cdrop[pair, which] = (points[0] - last) / math.log2(1 + max(n_delta[which], tau * n) / (tau * n))
    return cauc, cdrop


def test_a_curve_equals_the_plain_loop_from_the_whole_image_to_the_blank_one():
    ends = torch.tensor([[0, SIZE * SIZE]]).expand(4, -1)
    arguments = of_curve(maps=case()["maps"][:, 0], removed=torch.cat([of_curve()["removed"], ends], 1))
    found = contrastive_curve(**arguments)
    for (pair, s), count in np.ndenumerate(arguments["removed"].numpy()):
        expected = without(arguments, pair, arguments["maps"][pair], count)
        close(torch.stack([curve[pair, s] for curve in found]), torch.stack(expected))
    assert all(curve.dtype == torch.float32 and curve.shape == (4, 6) for curve in found)


def test_equal_values_go_in_an_order_of_the_image_and_a_repeated_number_of_pixels_is_run_once():
    same_target = chosen(of_curve(maps=torch.ones(4, SIZE, SIZE), removed=torch.full((4, 1), 70)), [2, 2])
    first, second = contrastive_curve(**same_target)[0][:, 0].tolist()
    assert first == pytest.approx(second, abs=1e-7)
    for other in ({"seed": 1}, {"index": torch.tensor([5, 6, 10])}):
        assert contrastive_curve(**same_target | other)[0][0].item() != pytest.approx(first, abs=1e-5)
    removed, (model, seen) = torch.tensor([[5, 0, 5, 5], [9, 9, 9, 9], [0, 0, 0, 0], [1, 2, 3, 4]]), counting()
    repeated = contrastive_curve(**of_curve(removed=removed, model=model))[0]
    assert sum(seen) == 1 + 2 + 1 + 1 + 4 and torch.equal(repeated[0, 0], repeated[0, 2])
    close(contrastive_curve(**of_curve(removed=removed.flip(1)))[0], repeated.flip(1))


def test_nothing_is_changed_and_autocast_is_left_out():
    arguments = of_curve()
    before = {name: arguments[name].clone() for name in ("x", "maps", "removed", "rivals")}
    found = contrastive_curve(**arguments)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        arguments["maps"].requires_grad_()
        again = contrastive_curve(**arguments)
    assert all(map(torch.equal, again, found)) and not again[0].requires_grad
    assert all(torch.equal(arguments[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize(
    "wrong, error, message",
    [
        ({"maps": torch.zeros(4, 4, 4)}, ValueError, r"maps \[4, 4, 4\]"),
        ({"image": torch.tensor([0, 0, 2])}, ValueError, r"row of x of each map, int64 \[4\]"),
        ({"image": torch.tensor([0, 0, 3, 1])}, ValueError, "0 to 2. Got 0 to 3"),
        ({"target": torch.tensor([0, 1, 2, 5])}, ValueError, "0 to 4. Got 0 to 5"),
        ({"target": torch.tensor([0, 1, 2, 3])}, ValueError, "not the class itself"),
        ({"rivals": torch.zeros(4, 5, dtype=torch.bool)}, ValueError, "leave out pairs without a rival"),
        ({"rivals": torch.ones(4, 5)}, ValueError, "rivals as bool"),
        ({"removed": torch.full((4, 2), SIZE * SIZE + 1)}, ValueError, "0 to 144. Got 145"),
        ({"removed": torch.full((4, 2), -1)}, ValueError, "Got -1"),
        ({"removed": torch.zeros(4, 2)}, ValueError, "removed as int64"),
        ({"index": torch.tensor([1, 2])}, ValueError, "one index per image, 3 in all"),
        ({"model": network().train()}, ValueError, "evaluation mode"),
    ],
)
def test_a_curve_that_has_no_meaning_is_refused(wrong, error, message):
    with pytest.raises(error, match=message):
        contrastive_curve(**of_curve(**wrong))


def test_salient_pixels_by_hand_and_none_of_a_degenerate_map(monkeypatch):
    maps = torch.tensor([[[4.0, 2.0], [1.9, -3.0]], [[5.0, 3.0], [2.9, 1.0]], [[2.0, 2.0], [2.0, 2.0]]])
    assert salient(maps)[0].tolist() == [[True, True], [False, False]]
    assert salient_pixels(maps).tolist() == [2, 3, 4]
    broken = torch.zeros(5, 3, 3)
    broken[1], broken[2:, 1, 1], broken[2, 0, 0], broken[3, 0, 0] = -1, 1, torch.nan, torch.inf
    for variant in ("paper", "released"):
        assert salient_pixels(broken, variant).tolist() == [0, 0, 0, 0, 1]
    assert salient_pixels(maps, "released").tolist() == [1, 1, 0]  # from 0 to 4, from 1 to 5, constant
    for delta, paper, released in ((0.3, [3, 3, 4], [3, 3, 0]), (1.0, [1, 1, 4], [0, 0, 0])):
        monkeypatch.setattr(faithfulness, "DELTA", delta)
        assert salient_pixels(maps).tolist() == paper and salient_pixels(maps, "released").tolist() == released


@pytest.mark.parametrize(
    "variant, size, step, tau",
    [("paper", 12, 1, 0.3), ("released", 12, 1, 0.05), ("released", 64, 2, 0.05), ("released", 80, 3, 0.05)],
)
def test_equal_to_equations_4_and_5_and_to_the_released_steps(variant, size, step, tau, monkeypatch):
    monkeypatch.setattr(faithfulness, "TAU", tau)
    arguments = case(size)
    if variant == "released":
        arguments["maps"] = arguments["maps"] ** 8  # fewer salient pixels
        arguments["maps"][3, 2] = arguments["maps"][3, 2] ** 400
        assert salient_pixels(arguments["maps"][3], "released")[2] <= 3 * step
    expected = by_loop(arguments, variant, step, tau)
    for steps in (2000, 10_000):
        found = scores(**arguments, steps=steps, variant=variant)
        for ours, theirs in zip((found.cauc, found.cdrop), expected):
            close(ours, theirs)
    assert found.cauc.dtype == found.cdrop.dtype == torch.float32 and not found.degenerate.any()


@every_variant
def test_fewer_steps_are_joined_by_straight_lines(variant):
    arguments = case(16)
    found = scores(**arguments, steps=6, variant=variant)
    for pair, common in enumerate(found.common.tolist()):
        counts = np.floor(np.linspace(0, common - 1, 6) + 0.5).astype(int)
        points = [score_without(arguments, pair, 0, int(count)) for count in counts]
        line = np.interp(np.arange(common), counts, points)
        area = line.sum() / 256 if variant == "paper" else (line.sum() - (line[0] + line[-1]) / 2) / 257
        assert found.cauc[pair, 0].item() == pytest.approx(area, abs=1e-6)
    exact = scores(**arguments, steps=300, variant=variant)
    assert not torch.equal(found.cauc, exact.cauc)
    close(found.cdrop, exact.cdrop)


def test_an_undefined_map_has_no_score_sets_no_number_and_takes_one_forward_pass():
    arguments = case()
    before = scores(**arguments, steps=20)
    arguments["maps"][0, 1], arguments["maps"][2, 2, 4, 4], arguments["maps"][3, :2] = 0, torch.nan, -1
    after = scores(**arguments, steps=20)
    undefined = torch.zeros(4, 3, dtype=torch.bool)
    undefined[0, 1] = undefined[2, 2] = undefined[3, 0] = undefined[3, 1] = True
    assert torch.equal(after.degenerate, undefined) and torch.equal(after.n_salient == 0, undefined)
    assert after.common.tolist() == [before.n_salient[0, 0], *before.common[1:3].tolist(), 0]
    assert torch.equal(after.cdrop.isnan(), undefined)
    undefined[3] = True  # nothing to compare with
    assert torch.equal(after.cauc.isnan(), undefined)
    close(after.cauc[1:3][~undefined[1:3]], before.cauc[1:3][~undefined[1:3]])
    model, seen = counting()
    found = scores(**chosen(arguments, [0]) | {"model": model}, steps=7)
    assert found.common.item() > 7 and sum(seen) == 1 + 1 + 2 * (7 + 1)  # one image finds the layout


@every_variant
def test_each_pair_and_map_stands_alone(variant):
    arguments = case()
    arguments["maps"] = arguments["maps"].round(decimals=1)  # with ties
    options = {"steps": 9, "seed": 3, "variant": variant}
    together = scores(**arguments, **options)
    for pairs in ([2], [3, 1], []):
        alone = scores(**chosen(arguments, pairs), **options)
        close(alone.cauc, together.cauc[pairs])
        close(alone.cdrop, together.cdrop[pairs])
    close(scores(**arguments | {"maps": arguments["maps"][:, :2]}, **options).cauc, together.cauc[:, :2])
    assert not torch.equal(scores(**arguments, **options | {"seed": 4}).cauc, together.cauc)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"maps": torch.rand(4, 12, 12)}, r"\[P,M,H,W\]"),
        ({"maps": torch.rand(3, 3, 12, 12)}, r"int64 \[3\]"),
        ({"rivals": torch.ones(5, 5, dtype=torch.bool)}, r"rivals as bool \[4,C\]"),
        ({"compared": []}, "compared as positions"),
        ({"compared": [3]}, r"0 to 2. Got \[3\]"),
        ({"compared": [-1]}, r"0 to 2. Got \[-1\]"),
        ({"steps": 1}, "at least 2 steps"),
        ({"variant": "official"}, "'paper' or 'released'. Got 'official'"),
    ],
)
def test_scores_that_have_no_meaning_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        scores(**case() | {"steps": 5} | wrong)
