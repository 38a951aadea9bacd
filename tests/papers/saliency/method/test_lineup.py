import pytest
import torch

from xai_lib import explainers
from xai_lib.explainers import normalise
from xai_lib.papers.saliency.method import lineup

SMALL = {"rise": {"n_masks": 4}, "lime": {"n_samples": 8}, "iba": {"steps": 2, "copies": 2}}


def test_every_method_is_an_explainer_and_takes_part_once():
    assert len(set(lineup.ALL)) == len(lineup.ALL) == 23
    assert set(lineup.ALL) <= set(explainers.names())
    assert {name for name in lineup.ALL if explainers.about(name).family == "uninformed"} == {*lineup.UNINFORMED}


@pytest.mark.parametrize("method", lineup.ALL)
def test_every_method_gives_maps_in_the_unit_interval_under_every_normalisation(subject, images, x, method):
    target = torch.stack([images.labels[:2], torch.tensor([9, 8]), torch.tensor([3, 4])], dim=1)
    raw = subject.raw_maps(method, SMALL.get(method, {}), x[:2], target, images.index[:2])
    assert raw.shape[:2] == (2, 3)
    assert raw.ndim == (5 if explainers.about(method).colours else 4)
    one = raw[:, 1].clone()
    for how in normalise.NORMALISATIONS:
        maps = normalise.unit_maps(raw, method, (32, 32), how)
        assert maps.shape == (2, 3, 32, 32) and maps.dtype == torch.float32
        assert maps.min() >= 0 and maps.max() <= 1
        torch.testing.assert_close(normalise.unit_maps(one, method, (32, 32), how), maps[:, 1], rtol=0, atol=0)
    assert torch.equal(raw[:, 1], one)
