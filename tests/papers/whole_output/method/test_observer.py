import pytest
import torch
from torch import nn

from xai_lib.papers.whole_output.method.observer import matched

SIZE = 10
LEFT = torch.zeros(SIZE, SIZE)
LEFT[2:5, 0:3] = 1
LEFT[2, 0] = 0.4  # not salient
RIGHT, BOTH, ZERO = LEFT.flip(1), LEFT + LEFT.flip(1), torch.zeros(SIZE, SIZE)
BROKEN = RIGHT.clone()
BROKEN[0, 0] = torch.nan
BRIGHT = 8 / (SIZE * SIZE / 2)  # share of a half that is salient


class Halves(nn.Module):
    """Class 0 is as likely as the left half is bright, class 1 as the right half is, class 2 never changes."""

    def forward(self, x):
        left, right = x[:, 0, :, : SIZE // 2].mean((1, 2)), x[:, 0, :, SIZE // 2 :].mean((1, 2))
        return torch.stack([left, right, torch.zeros_like(left)], 1)


def by_place(x):
    """Rounding by the place in a forward pass."""
    return torch.stack([1e-6 * torch.arange(len(x)), torch.zeros(len(x))], 1)


@pytest.fixture
def case():
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


@pytest.mark.parametrize(
    ("observer", "maps", "labels", "expected"),
    [
        (Halves(), (LEFT, RIGHT), (0, 1), (1, 2 * BRIGHT)),
        (Halves(), (RIGHT, LEFT), (0, 1), (0, -2 * BRIGHT)),
        (Halves(), (RIGHT, LEFT), (1, 0), (1, 2 * BRIGHT)),
        (Halves(), (LEFT, RIGHT), (0, 2), (1, BRIGHT)),
        (Halves(), (LEFT, LEFT), (0, 1), (0.5, 0)),  # what cannot be told apart is a guess
        (Halves(), (LEFT, 3 * LEFT), (0, 1), (0.5, 0)),
        (Halves(), (BOTH, 2 * BOTH), (0, 1), (0.5, 0)),
        (Halves(), (LEFT, RIGHT), (2, 2), (0.5, 0)),
        (by_place, (LEFT, LEFT), (0, 1), (0.5, 0)),
        (Halves(), (LEFT, ZERO), (0, 1), (torch.nan, torch.nan)),  # an undefined map is no answer
        (Halves(), (ZERO, ZERO), (0, 1), (torch.nan, torch.nan)),
        (Halves(), (BROKEN, LEFT), (0, 1), (torch.nan, torch.nan)),
    ],
)
def test_maps_are_matched_by_the_evidence_that_they_leave(observer, maps, labels, expected):
    observer = observer.eval() if isinstance(observer, nn.Module) else observer
    x, image = torch.ones(1, 1, SIZE, SIZE), torch.zeros(1, dtype=torch.int64)
    accuracy, margin = matched(observer, x, image, torch.stack(maps)[None], torch.tensor([labels]))
    assert accuracy.dtype == margin.dtype == torch.float32
    assert (accuracy.item(), margin.item()) == pytest.approx(expected, abs=1e-6, nan_ok=True)


@torch.no_grad()
def test_equal_to_the_plain_loop_and_each_pair_stands_alone_and_there_may_be_none(case):
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
    ("wrong", "message"),
    [
        ({"maps": torch.rand(4, 3, SIZE, SIZE)}, r"\[P,2,H,W\]"),
        ({"labels": torch.tensor([0, 1, 2, 3])}, r"labels \[P,2\]"),
        ({"observer": Halves().train()}, "evaluation mode"),
    ],
)
def test_refuses_what_has_no_meaning(case, wrong, message):
    with pytest.raises(ValueError, match=message):
        matched(**case | wrong)
