import pytest
import torch
from torch import nn

from xai_lib.papers.whole_output.method.curve import contrastive_curve

SIZE = 12
INDEX = torch.tensor([7, 3, 11])


def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 6)]
    return nn.Sequential(*layers).eval()


class Counting(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner, self.seen = inner, 0

    def forward(self, x):
        self.seen += len(x)
        return self.inner(x)


def case():
    """Five maps of three images, with ties, and one to three rivals for each."""
    generator = torch.Generator().manual_seed(1)
    rivals = torch.tensor(
        [[0, 1, 0, 0, 0, 0], [1, 0, 1, 0, 1, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1]]
    )
    return {
        "model": network(),
        "x": 2 * torch.randn(3, 3, SIZE, SIZE, generator=generator),
        "image": torch.tensor([0, 0, 2, 1, 1]),
        "maps": torch.rand(5, SIZE, SIZE, generator=generator).round(decimals=1),
        "target": torch.tensor([0, 1, 2, 3, 0]),
        "rivals": rivals.bool(),
        "removed": torch.randint(SIZE * SIZE + 1, (5, 4), generator=generator),
        "index": INDEX,
    }


def chosen(arguments, rows):
    return arguments | {name: arguments[name][rows] for name in ("image", "maps", "target", "rivals", "removed")}


@torch.no_grad()
def plain(model, x, image, maps, target, rivals, removed, index):
    """One deleted pixel after the other, for maps without ties."""
    found = torch.empty(*removed.shape, 3)
    for n in range(len(maps)):
        for s, count in enumerate(removed[n].tolist()):
            changed = x[image[n]].clone()
            for pixel in maps[n].flatten().argsort(descending=True)[:count].tolist():
                changed[:, pixel // SIZE, pixel % SIZE] = 0
            probabilities = model(changed[None]).softmax(1)[0]
            own, others = probabilities[target[n]], sum(probabilities[c] for c in range(6) if rivals[n, c])
            found[n, s] = torch.stack([own, others, own * (1 - others)])
    return found


def test_equal_to_the_plain_loop():
    arguments = case()
    arguments["maps"] = torch.randn(5, SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    found = contrastive_curve(**arguments)
    assert found.score.dtype == torch.float32 and found.score.shape == (5, 4)
    torch.testing.assert_close(
        torch.stack([found.probability, found.rivals, found.score], 2), plain(**arguments), atol=1e-6, rtol=0
    )


def test_both_ends():
    arguments = case() | {"removed": torch.tensor([[0, SIZE * SIZE]]).expand(5, -1)}
    found = contrastive_curve(**arguments)
    with torch.no_grad():
        whole = arguments["model"](arguments["x"]).softmax(1)[arguments["image"], arguments["target"]]
        blank = arguments["model"](torch.zeros(1, 3, SIZE, SIZE)).softmax(1)[0, arguments["target"]]
    torch.testing.assert_close(found.probability, torch.stack([whole, blank], 1), atol=1e-6, rtol=0)


def test_each_map_stands_alone():
    arguments = case()
    together = contrastive_curve(**arguments)
    for rows in ([3], [4, 0, 2]):
        alone = contrastive_curve(**chosen(arguments, rows))
        torch.testing.assert_close(alone.score, together.score[rows], atol=1e-6, rtol=0)
        torch.testing.assert_close(alone.rivals, together.rivals[rows], atol=1e-6, rtol=0)
    only = chosen(arguments, [3, 4]) | {
        "x": arguments["x"][[1]],
        "index": INDEX[[1]],
        "image": torch.zeros(2, dtype=torch.int64),
    }
    torch.testing.assert_close(contrastive_curve(**only).score, together.score[3:], atol=1e-6, rtol=0)


def test_equal_values_go_in_an_order_of_the_image():
    arguments = case()
    arguments |= {"maps": torch.ones(5, SIZE, SIZE), "removed": torch.full((5, 1), 70)}
    same_target = chosen(arguments, [3, 3])
    first, second = contrastive_curve(**same_target).score[:, 0].tolist()
    assert first == pytest.approx(second, abs=1e-7)
    assert contrastive_curve(**same_target, seed=1).score[0, 0].item() != pytest.approx(first, abs=1e-5)
    other = same_target | {"index": torch.tensor([7, 4, 11])}
    assert contrastive_curve(**other).score[0, 0].item() != pytest.approx(first, abs=1e-5)


def test_a_repeated_number_of_pixels_is_run_once():
    removed = torch.tensor([[5, 0, 5, 5], [9, 9, 9, 9], [0, 0, 0, 0], [1, 2, 3, 4], [5, 5, 5, 6]])
    arguments = case() | {"removed": removed, "model": Counting(network()).eval()}
    repeated = contrastive_curve(**arguments).score
    assert arguments["model"].seen == 2 + 1 + 1 + 4 + 2
    assert torch.equal(repeated[0, 0], repeated[0, 2]) and torch.equal(repeated[4, 0], repeated[4, 1])
    turned = contrastive_curve(**case() | {"removed": removed.flip(1)}).score
    torch.testing.assert_close(turned, repeated.flip(1), atol=1e-6, rtol=0)


def test_nothing_is_changed_and_autocast_is_left_out():
    arguments = case()
    before = {name: arguments[name].clone() for name in ("x", "maps", "removed", "rivals")}
    found = contrastive_curve(**arguments)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        arguments["maps"].requires_grad_()
        again = contrastive_curve(**arguments)
    assert torch.equal(again.score, found.score) and not again.score.requires_grad
    assert all(torch.equal(arguments[name], tensor) for name, tensor in before.items())


def test_no_map_at_all():
    assert contrastive_curve(**chosen(case(), [])).score.shape == (0, 4)


@pytest.mark.parametrize(
    "wrong, error, message",
    [
        ({"maps": torch.zeros(5, 4, 4)}, ValueError, r"maps \[5, 4, 4\]"),
        ({"maps": torch.zeros(5, SIZE, SIZE, dtype=torch.int64)}, TypeError, "maps as a float tensor"),
        ({"x": torch.zeros(3, 3, SIZE, SIZE, dtype=torch.uint8)}, TypeError, "uint8"),
        ({"image": torch.tensor([0, 0, 2, 1])}, ValueError, r"row of x of each map, int64 \[5\]"),
        ({"image": torch.tensor([0, 0, 3, 1, 1])}, ValueError, "0 to 2. Got 0 to 3"),
        ({"target": torch.tensor([0, 1, 2, 3, 6])}, ValueError, "0 to 5. Got 0 to 6"),
        ({"target": torch.tensor([0, 1, 2, 3, 5])}, ValueError, "not the class itself"),
        ({"rivals": torch.zeros(5, 6, dtype=torch.bool)}, ValueError, "leave out pairs without a rival"),
        ({"rivals": torch.ones(5, 6)}, ValueError, "rivals as bool"),
        ({"removed": torch.full((5, 2), SIZE * SIZE + 1)}, ValueError, "0 to 144. Got 145"),
        ({"removed": torch.full((5, 2), -1)}, ValueError, "Got -1"),
        ({"removed": torch.zeros(5, 2)}, ValueError, "removed as int64"),
        ({"index": torch.tensor([1, 2])}, ValueError, "one index per image, 3 in all"),
        ({"model": network().train()}, ValueError, "evaluation mode"),
    ],
)
def test_refuses_what_has_no_meaning(wrong, error, message):
    with pytest.raises(error, match=message):
        contrastive_curve(**case() | wrong)
