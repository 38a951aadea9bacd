import pytest
import torch
from torch import nn

from xai_lib.papers.whole_output.method.observer import matched

SIZE = 10


class Halves(nn.Module):
    """Class 0 is as likely as the left half is bright, class 1 as the right half is, class 2 never changes."""

    def forward(self, x):
        left, right = x[:, 0, :, : SIZE // 2].mean((1, 2)), x[:, 0, :, SIZE // 2 :].mean((1, 2))
        return torch.stack([left, right, torch.zeros_like(left)], 1)


def planted():
    left = torch.zeros(SIZE, SIZE)
    left[2:5, 0:3] = 1
    left[2, 0] = 0.4  # not salient
    return left, left.flip(1)


def found(maps, labels):
    x = torch.ones(1, 1, SIZE, SIZE)
    image = torch.zeros(len(maps), dtype=torch.int64)
    return matched(Halves().eval(), x, image, torch.stack([torch.stack(pair) for pair in maps]), labels)


def random_case():
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 5))
    return {
        "observer": network.eval(),
        "x": 3 * torch.randn(3, 3, SIZE, SIZE, generator=generator),
        "image": torch.tensor([0, 2, 2, 1]),
        "maps": torch.randn(4, 2, SIZE, SIZE, generator=generator),
        "labels": torch.tensor([[0, 1], [4, 2], [1, 4], [3, 0]]),
    }


def test_maps_on_the_evidence_are_matched_rightly():
    left, right = planted()
    labels = torch.tensor([[0, 1], [0, 1], [1, 0], [0, 2]])
    accuracy, margin = found([(left, right), (right, left), (right, left), (left, right)], labels)
    assert accuracy.tolist() == [1, 0, 1, 1]
    assert accuracy.dtype == margin.dtype == torch.float32
    bright = 8 / (SIZE * SIZE / 2)  # of a half
    assert margin.tolist() == pytest.approx([2 * bright, -2 * bright, 2 * bright, bright], abs=1e-6)


def test_what_cannot_be_told_apart_is_a_guess():
    left, right = planted()
    both = left + right
    accuracy, margin = found([(left, left), (left, 3 * left), (both, 2 * both)], torch.tensor([[0, 1]] * 3))
    assert accuracy.tolist() == [0.5] * 3 and margin.tolist() == [0] * 3
    accuracy, _ = found([(left, right)], torch.tensor([[2, 2]]))
    assert accuracy.tolist() == [0.5]


def test_rounding_by_the_place_in_a_forward_pass_tells_nothing_apart():
    def observer(x):
        return torch.stack([1e-6 * torch.arange(len(x)), torch.zeros(len(x))], 1)

    left, _ = planted()
    image, labels = torch.zeros(1, dtype=torch.int64), torch.tensor([[0, 1]])
    accuracy, margin = matched(observer, torch.ones(1, 1, SIZE, SIZE), image, torch.stack([left, left])[None], labels)
    assert accuracy.tolist() == [0.5] and margin.tolist() == [0]


def test_an_undefined_map_is_no_answer():
    left, right = planted()
    broken = right.clone()
    broken[0, 0] = torch.nan
    zero = torch.zeros_like(left)
    maps = [(left, zero), (zero, zero), (broken, left), (left, right)]
    accuracy, margin = found(maps, torch.tensor([[0, 1]] * 4))
    assert accuracy.isnan().tolist() == margin.isnan().tolist() == [True, True, True, False]


@torch.no_grad()
def test_equal_to_the_plain_loop_and_each_pair_stands_alone_and_there_may_be_none():
    case = random_case()
    accuracy, margin = matched(**case)
    for pair in range(4):
        image, (a, b) = case["x"][case["image"][pair]], case["labels"][pair].tolist()
        odds = []
        for m in case["maps"][pair]:
            logs = case["observer"]((image * (m >= m.max() / 2))[None]).log_softmax(1)[0]
            odds.append(float(logs[a] - logs[b]))
        assert margin[pair].item() == pytest.approx(odds[0] - odds[1], abs=1e-5)
        assert accuracy[pair].item() == float(odds[0] > odds[1])
    assert 0 < accuracy.mean() < 1
    for pairs in ([3], [2, 0], []):
        alone = matched(**case | {name: case[name][pairs] for name in ("image", "maps", "labels")})[1]
        torch.testing.assert_close(alone, margin[pairs], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "wrong, error, message",
    [
        ({"maps": torch.rand(4, 3, SIZE, SIZE)}, ValueError, r"\[P,2,H,W\]"),
        ({"maps": torch.rand(4, 2, 5, 5)}, ValueError, "of their size"),
        ({"labels": torch.tensor([0, 1, 2, 3])}, ValueError, r"labels \[P,2\]"),
        ({"labels": torch.tensor([[0, 1]] * 3 + [[0, 5]])}, ValueError, "targets in 0 to 4"),
        ({"image": torch.tensor([0, 1, 2, 3])}, ValueError, "0 to 2. Got 0 to 3"),
        ({"x": torch.zeros(3, 3, SIZE, SIZE, dtype=torch.uint8)}, TypeError, "uint8"),
        ({"observer": Halves().train()}, ValueError, "evaluation mode"),
    ],
)
def test_refuses_what_has_no_meaning(wrong, error, message):
    with pytest.raises(error, match=message):
        matched(**random_case() | wrong)
