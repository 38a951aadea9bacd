import torch
from torch import nn

from xai_lib.metrics.effective_complexity import effective_complexity as count_of
from xai_lib.metrics.effective_complexity import effective_complexity_minimum, retention_loss
from xai_lib.metrics.perturbation import counts

SIZE = 12


class SumOfRed(nn.Module):
    """Probability of class 1 is the logistic function of the red values' sum."""

    def forward(self, x):
        red = x[:, 0].sum((1, 2))
        return torch.stack([torch.zeros_like(red), red], 1)


def test_counts_what_is_above_a_share_of_the_largest():
    maps = torch.tensor([[[-2.0, 1e-6, 2.1e-5], [0.0, 1.9e-5, 1.0]]])
    assert count_of(maps).item() == 3
    assert count_of(maps, threshold=0.0).item() == 5
    assert count_of(maps, threshold=0.5).item() == 1


def test_fake_cam_keeps_all_pixels_but_one():
    maps = torch.ones(1, 224, 224)
    maps[:, 0, 0] = 0
    assert count_of(maps).item() == 50175


def test_count_knows_neither_sign_nor_scale():
    maps = 10 ** (-8 * torch.rand(8, SIZE, SIZE))
    assert torch.equal(count_of(-3e-20 * maps), count_of(maps))
    assert torch.equal(count_of(maps.bfloat16()[:, :2]), count_of(maps.bfloat16()[:, :2].float()))


def test_grid_of_pixels():
    assert [counts(n, 4).tolist() for n in (10, 8, 3)] == [[0, 4, 8, 10], [0, 4, 8], [0, 3]]


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
