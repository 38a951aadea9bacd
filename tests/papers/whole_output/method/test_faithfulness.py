import math

import numpy as np
import pytest
import torch
from torch import nn

from xai_lib.papers.whole_output.method.faithfulness import salient, salient_pixels, scores

VARIANTS = ["paper", "released"]
ZERO = torch.zeros(1, dtype=torch.int64)


class Shares(nn.Module):
    """P(class) is exactly a weighted sum of the pixels of an image of one colour: weights [C,H,W] that sum to 1."""

    def __init__(self, weights):
        super().__init__()
        self.register_buffer("weights", weights)

    def forward(self, x):
        shares = torch.einsum("bhw,chw->bc", x[:, 0], self.weights)
        return torch.cat([shares, 1 - shares.sum(1, keepdim=True)], 1).clamp(1e-30).log()


def by_hand(maps, **options):
    """A class of 0.8 against one of 0.1; deleting the first, second, … pixel takes 0.4, 0.3, 0.1, 0 from the first."""
    weights = torch.tensor([[[0.4, 0.3], [0.1, 0.0]], [[0.0, 0.0], [0.0, 0.1]]])
    return scores(
        Shares(weights).eval(),
        torch.ones(1, 1, 2, 2),
        ZERO,
        torch.tensor(maps)[None],
        ZERO,
        torch.tensor([[False, True, False]]),
        **{"index": ZERO, "compared": [0], "steps": 100} | options,
    )


def random_case(size, n_classes=5, n_maps=3, seed=0):
    """Four pairs of three images, maps without ties that leave out more or less of the image."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, n_classes)]
    rivals = torch.tensor([[0, 1, 1, 0, 0], [1, 0, 0, 0, 0], [1, 1, 0, 1, 1], [0, 0, 0, 1, 0]]).bool()
    maps = torch.rand(4, n_maps, size, size, generator=generator) ** torch.tensor([2.0, 4.0, 1.0])[:n_maps, None, None]
    return {
        "model": nn.Sequential(*layers).eval(),
        "x": 3 * torch.randn(3, 3, size, size, generator=generator),
        "image": torch.tensor([0, 0, 2, 1]),
        "maps": maps,
        "target": torch.tensor([0, 1, 2, 4]),
        "rivals": rivals,
        "index": torch.tensor([5, 6, 9]),
        "compared": [0, 1],
    }


def chosen(arguments, pairs):
    return arguments | {name: arguments[name][pairs] for name in ("image", "maps", "target", "rivals")}


@torch.no_grad()
def score_without(arguments, pair, which, count):
    """s after the `count` highest pixels of a map are 0."""
    image = arguments["x"][arguments["image"][pair]].clone().flatten(1)
    image[:, arguments["maps"][pair, which].flatten().argsort(descending=True)[:count]] = 0
    probabilities = arguments["model"](image.reshape(1, *arguments["x"].shape[1:])).softmax(1)[0].double()
    others = probabilities[arguments["rivals"][pair]].sum()
    return float(probabilities[arguments["target"][pair]] * (1 - others))


def paper_loop(arguments, tau):
    """Equations 4 and 5 as printed, pixel by pixel: s(r) is the score when the first r-1 pixels are gone."""
    maps = arguments["maps"]
    n = maps[0, 0].numel()
    cauc, cdrop = np.empty(maps.shape[:2]), np.empty(maps.shape[:2])
    for pair in range(len(maps)):
        n_delta = [int((m >= 0.5 * m.max()).sum()) for m in maps[pair]]
        common = min(n_delta[which] for which in arguments["compared"])
        for which in range(maps.shape[1]):
            cauc[pair, which] = sum(score_without(arguments, pair, which, r - 1) for r in range(1, common + 1)) / n
            fall = score_without(arguments, pair, which, 0) - score_without(arguments, pair, which, n_delta[which])
            cdrop[pair, which] = fall / math.log2(1 + max(n_delta[which], tau * n) / (tau * n))
    return torch.tensor(cauc), torch.tensor(cdrop)


def released_loop(arguments, step, tau):
    """A list of points, the untouched image first, that is full before the last chunk of salient pixels goes."""
    maps = arguments["maps"]
    n = maps[0, 0].numel()
    cauc, cdrop = np.empty(maps.shape[:2]), np.empty(maps.shape[:2])
    for pair in range(len(maps)):
        n_delta = [int((m > m.min() + 0.5 * (m.max() - m.min())).sum()) for m in maps[pair]]
        common = min(n_delta[which] for which in arguments["compared"])
        for which in range(maps.shape[1]):
            points = [score_without(arguments, pair, which, step * k) for k in range(math.ceil(common / step))]
            cauc[pair, which] = (sum(points) - (points[0] + points[-1]) / 2) / (math.ceil(n / step) + 1)
            points = [score_without(arguments, pair, which, step * k) for k in range(math.ceil(n_delta[which] / step))]
            last = sum(points[-3:]) / 3 if len(points) >= 3 else points[-1]
            cdrop[pair, which] = (points[0] - last) / math.log2(1 + max(n_delta[which], tau * n) / (tau * n))
    return torch.tensor(cauc), torch.tensor(cdrop)


def test_salient_pixels_by_hand():
    maps = torch.tensor([[[4.0, 2.0], [1.9, -3.0]], [[5.0, 3.0], [2.9, 1.0]], [[2.0, 2.0], [2.0, 2.0]]])
    assert salient_pixels(maps).tolist() == [2, 3, 4]
    assert salient(maps)[0].tolist() == [[True, True], [False, False]]
    assert salient_pixels(maps, delta=0.3).tolist() == [3, 3, 4]
    assert salient_pixels(maps, delta=1.0).tolist() == [1, 1, 4]
    assert salient_pixels(maps, variant="released").tolist() == [1, 1, 0]  # from 0 to 4, from 1 to 5, constant
    assert salient_pixels(maps, variant="released", delta=0.49).tolist() == [2, 2, 0]


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_pixel_of_a_degenerate_map_is_salient(variant):
    maps = torch.zeros(5, 3, 3)
    maps[1], maps[2, 0, 0], maps[3, 0, 0], maps[4, 1, 1] = -1, torch.nan, torch.inf, 1
    maps[2, 1, 1] = 1
    assert salient_pixels(maps, variant=variant).tolist() == [0, 0, 0, 0, 1]


def test_paper_scores_by_hand():
    found = by_hand([[[4.0, 3.0], [2.0, 1.0]], [[1.0, 2.0], [3.0, 4.0]]], compared=[0, 1])
    assert found.n_salient.tolist() == [[3, 3]] and found.common.tolist() == [3]
    first = (0.8 * 0.9 + 0.4 * 0.9 + 0.1 * 0.9) / 4
    second = (0.8 * 0.9 + 0.8 * 1.0 + 0.7 * 1.0) / 4
    assert found.cauc.tolist()[0] == pytest.approx([first, second], abs=1e-6)
    price = math.log2(1 + 3 / 0.2)
    assert found.cdrop.tolist()[0] == pytest.approx([(0.72 - 0.0) / price, (0.72 - 0.4) / price], abs=1e-6)


def test_released_scores_by_hand():
    found = by_hand([[[4.0, 3.0], [2.5, 0.0]], [[0.0, 1.0], [3.0, 4.0]]], compared=[0, 1], variant="released")
    assert found.n_salient.tolist() == [[3, 2]] and found.common.tolist() == [2]
    assert found.cauc.tolist()[0] == pytest.approx([(0.72 + 0.36) / 2 / 5, (0.72 + 0.8) / 2 / 5], abs=1e-6)
    drops = [(0.72 - (0.72 + 0.36 + 0.09) / 3) / math.log2(16), (0.72 - 0.8) / math.log2(11)]
    assert found.cdrop.tolist()[0] == pytest.approx(drops, abs=1e-6)


def test_no_price_up_to_tau():
    found = by_hand([[[4.0, 1.0], [0.0, 0.0]], [[4.0, 3.0], [0.0, 0.0]]], tau=0.4)
    assert found.n_salient.tolist() == [[1, 2]]
    assert found.cdrop.tolist()[0] == pytest.approx([0.36, 0.63 / math.log2(1 + 2 / 1.6)], abs=1e-6)


@pytest.mark.parametrize("steps", [200, 10_000])
def test_equal_to_equations_4_and_5(steps):
    arguments = random_case(size=12)
    found = scores(**arguments, steps=steps, tau=0.3)
    cauc, cdrop = paper_loop(arguments, tau=0.3)
    torch.testing.assert_close(found.cauc.double(), cauc, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.cdrop.double(), cdrop, atol=1e-6, rtol=0)
    assert found.cauc.dtype == found.cdrop.dtype == torch.float32
    assert (found.n_salient[:, 2] > found.common).all() and not found.degenerate.any()


@pytest.mark.parametrize("size, step", [(12, 1), (64, 2), (80, 3)])
def test_equal_to_the_released_steps(size, step):
    arguments = random_case(size)
    arguments["maps"] = arguments["maps"] ** 8  # fewer salient pixels
    arguments["maps"][3, 2] = arguments["maps"][3, 2] ** 400
    assert salient_pixels(arguments["maps"][3], variant="released")[2] <= 3 * step
    found = scores(**arguments, steps=2000, variant="released")
    cauc, cdrop = released_loop(arguments, step, tau=0.05)
    torch.testing.assert_close(found.cauc.double(), cauc, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.cdrop.double(), cdrop, atol=1e-6, rtol=0)


def test_released_area_of_a_single_point_is_zero():
    found = by_hand([[[4.0, 1.0], [0.0, 0.0]]], variant="released")
    assert found.cauc.item() == found.cdrop.item() == 0 and not found.degenerate.any()


@pytest.mark.parametrize("variant", VARIANTS)
def test_fewer_steps_are_joined_by_straight_lines(variant):
    arguments = random_case(size=16)
    found = scores(**arguments, steps=6, variant=variant)
    for pair, common in enumerate(found.common.tolist()):
        counts = np.floor(np.linspace(0, common - 1, 6) + 0.5).astype(int)
        points = [score_without(arguments, pair, 0, int(count)) for count in counts]
        line = np.interp(np.arange(common), counts, points)
        area = line.sum() / 256 if variant == "paper" else (line.sum() - (line[0] + line[-1]) / 2) / 257
        assert found.cauc[pair, 0].item() == pytest.approx(area, abs=1e-6)
    exact = scores(**arguments, steps=300, variant=variant)
    assert not torch.equal(found.cauc, exact.cauc)
    torch.testing.assert_close(found.cdrop, exact.cdrop, atol=1e-6, rtol=0)


def test_an_undefined_map_has_no_score_and_sets_no_number():
    arguments = random_case(size=12)
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
    torch.testing.assert_close(after.cauc[1:3][~undefined[1:3]], before.cauc[1:3][~undefined[1:3]], atol=1e-6, rtol=0)


def test_an_undefined_map_takes_one_forward_pass():
    arguments, seen = random_case(size=12), []
    arguments["maps"][0, 1] = 0
    arguments["model"].register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    found = scores(**chosen(arguments, [0]), steps=7)
    assert found.common.item() > 7 and sum(seen) == 1 + 2 * (7 + 1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_compared_maps_set_the_common_number(variant):
    arguments = random_case(size=12)
    found = scores(**arguments, steps=20, variant=variant)
    assert torch.equal(found.common, found.n_salient[:, :2].amin(1))
    alone = scores(**arguments | {"compared": [2]}, steps=20, variant=variant)
    assert torch.equal(alone.common, found.n_salient[:, 2]) and not torch.equal(alone.cauc, found.cauc)
    torch.testing.assert_close(alone.cdrop, found.cdrop, atol=1e-6, rtol=0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_pair_and_map_stands_alone(variant):
    arguments = random_case(size=12)
    arguments["maps"] = arguments["maps"].round(decimals=1)  # with ties
    options = {"steps": 9, "seed": 3, "variant": variant}
    together = scores(**arguments, **options)
    for pairs in ([2], [3, 1]):
        alone = scores(**chosen(arguments, pairs), **options)
        torch.testing.assert_close(alone.cauc, together.cauc[pairs], atol=1e-6, rtol=0)
        torch.testing.assert_close(alone.cdrop, together.cdrop[pairs], atol=1e-6, rtol=0)
    fewer = arguments | {"maps": arguments["maps"][:, :2]}
    torch.testing.assert_close(scores(**fewer, **options).cauc, together.cauc[:, :2], atol=1e-6, rtol=0)
    assert not torch.equal(scores(**arguments, **options | {"seed": 4}).cauc, together.cauc)


def test_the_evidence_of_the_class_against_its_rivals_beats_other_maps():
    """The class has its own 3×3 pixels and shares 3×3 with its rival, which has 3×3 of its own."""
    weights = torch.zeros(2, 12, 12)
    weights[0, 0:3, 0:3] = weights[1, 8:11, 8:11] = 0.25 / 9
    weights[:, 4:7, 4:7] = 0.2 / 9
    own, shared, rival = (torch.zeros(12, 12) for _ in range(3))
    own[0:3, 0:3], shared[4:7, 4:7], rival[8:11, 8:11] = 1, 1, 1
    found = scores(
        Shares(weights).eval(),
        torch.ones(1, 1, 12, 12),
        ZERO,
        torch.stack([own, shared, rival])[None],
        ZERO,
        torch.tensor([[False, True, False]]),
        index=ZERO,
        compared=range(3),
        steps=50,
    )
    assert found.n_salient.tolist() == [[9, 9, 9]]
    cauc, cdrop = found.cauc[0].tolist(), found.cdrop[0].tolist()
    assert cauc[0] < cauc[1] < cauc[2] and cdrop[0] > cdrop[1] > 0 > cdrop[2]


def test_no_pair_at_all():
    found = scores(**chosen(random_case(size=12), []), steps=5)
    assert found.cauc.shape == found.cdrop.shape == found.n_salient.shape == (0, 3) and found.common.shape == (0,)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"maps": torch.rand(4, 12, 12)}, r"\[P,M,H,W\]"),
        ({"maps": torch.rand(3, 3, 12, 12)}, r"int64 \[3\]"),
        ({"maps": torch.rand(4, 3, 8, 8)}, "of their size"),
        ({"rivals": torch.ones(5, 5, dtype=torch.bool)}, r"rivals as bool \[4,C\]"),
        ({"compared": []}, "compared as positions"),
        ({"compared": [3]}, r"0 to 2. Got \[3\]"),
        ({"compared": [-1]}, r"0 to 2. Got \[-1\]"),
        ({"steps": 1}, "at least 2 steps"),
        ({"delta": 0.0}, r"delta in \(0, 1\]"),
        ({"delta": 1.5}, r"delta in \(0, 1\]"),
        ({"tau": 0.0}, "tau above 0"),
        ({"variant": "official"}, "'paper' or 'released'. Got 'official'"),
    ],
)
def test_refuses_what_has_no_meaning(wrong, message):
    with pytest.raises(ValueError, match=message):
        scores(**random_case(size=12) | {"steps": 5} | wrong)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("variant", VARIANTS)
def test_gpu_gives_the_same_scores(variant, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    arguments = random_case(size=12) | {"steps": 7, "variant": variant}
    arguments["maps"] = arguments["maps"].round(decimals=1)
    found = scores(**arguments)
    arguments["model"].cuda()
    on_gpu = scores(**arguments | {name: arguments[name].cuda() for name in ("x", "maps")})
    torch.testing.assert_close(on_gpu.cauc.cpu(), found.cauc, atol=1e-5, rtol=0)
    torch.testing.assert_close(on_gpu.cdrop.cpu(), found.cdrop, atol=1e-5, rtol=0)
