import pytest
import torch
from torch import nn

from xai_lib.explainers.rise import rise

INDEX = torch.tensor([5, 0, 17, 3])


class ReadsOneRegion(nn.Module):
    """One logit: the mean brightness of the lower left quarter."""

    def forward(self, x):
        side = x.shape[-1] // 2
        return x[:, :, side:, :side].mean((1, 2, 3))[:, None]


def test_peak_lies_where_the_network_reads():
    maps = rise(ReadsOneRegion(), torch.ones(3, 3, 32, 32), score=lambda logits: logits[:, 0], seed=0, index=INDEX[:3])
    highest = maps.flatten(1).argmax(1)
    assert (highest // 32 >= 16).all() and (highest % 32 < 16).all()
    inside = maps[:, 16:, :16].mean((1, 2))
    assert (inside > maps[:, :16].mean((1, 2)) + 0.02).all()


def test_a_score_that_is_always_one_gives_one_everywhere():
    # E[M] = p: with many masks their mean, divided by p, is 1.
    ones = lambda logits: torch.ones(len(logits))  # noqa: E731
    for p in (0.3, 0.5):
        maps = rise(ReadsOneRegion(), torch.ones(1, 3, 16, 16), score=ones, seed=0, index=INDEX[:1], n_masks=4000, p=p)
        assert (maps - 1).abs().max() < 0.1
        assert maps.mean() == pytest.approx(1, abs=0.02)
