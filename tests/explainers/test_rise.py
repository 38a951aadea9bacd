import pytest
import torch
from torch import nn

from xai_lib.explainers import class_score, of_class
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


def test_the_chunk_does_not_move_a_map(model, x, target):
    score = of_class(target, "probability")
    together = rise(model, x, score=score, seed=0, index=INDEX, n_masks=100)
    for chunk in (1, 3):
        small = rise(model, x, score=score, seed=0, index=INDEX, n_masks=100, chunk=chunk)
        torch.testing.assert_close(small, together, rtol=0, atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 5, 64])
def test_scores_share_forward_passes_that_hold_no_more_than_the_chunk(model, x, target, chunk):
    passed = []
    model.register_forward_hook(lambda _module, inputs, _output: passed.append(len(inputs[0])))
    both = class_score(torch.stack([target, target], 1))
    rise(model, x, score=both, seed=0, index=INDEX, n_masks=66, chunk=chunk)
    assert max(passed) <= chunk and sum(passed) == 4 * 66


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_masks": 0}, r"Expected n_masks as a whole number of at least 1. Got 0"),
        ({"n_masks": 2.0}, r"Expected n_masks"),
        ({"grid": 0}, r"Expected grid"),
        ({"p": 0.0}, r"Expected p .* \(0,1\]. Got 0.0"),
        ({"p": 1.5}, r"Expected p"),
    ],
)
def test_wrong_settings_are_refused(model, x, target, settings, message):
    with pytest.raises(ValueError, match=message):
        rise(model, x, **({"score": class_score(target), "seed": 0, "index": INDEX} | settings))
