import pytest
import torch
from torch import nn

from xai_lib.explainers.rise import rise

INDEX = torch.tensor([5, 0, 17, 3])


class ReadsOneRegion(nn.Module):
    """Two logits: the mean brightness of the lower left quarter."""

    def forward(self, x):
        side = x.shape[-1] // 2
        return x[:, :, side:, :side].mean((1, 2, 3))[:, None].expand(-1, 2)


def test_a_score_that_is_always_one_gives_one_everywhere():
    # E[M] = p: with many masks their mean, divided by p, is 1.
    ones = lambda logits: torch.ones(len(logits))  # noqa: E731
    for p in (0.3, 0.5):
        maps = rise(ReadsOneRegion(), torch.ones(1, 3, 16, 16), score=ones, seed=0, index=INDEX[:1], n_masks=4000, p=p)
        assert (maps - 1).abs().max() < 0.1
        assert maps.mean() == pytest.approx(1, abs=0.02)
