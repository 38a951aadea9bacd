import numpy as np
import pytest
import torch

from xai_lib.papers.whole_output.method.heatmaps import PERCENTILES, released_subtracted, scout, subtracted, support

OWN = torch.tensor([[3.0, -1.0], [0.5, 2.0]])
REST = torch.tensor([[1.0, -4.0], [2.0, -2.0]])


def test_subtracted_by_hand():
    assert subtracted(OWN, REST).tolist() == [[2.0, 3.0], [0.0, 4.0]]


def test_released_subtracted_by_hand():
    assert released_subtracted(OWN, torch.stack([REST, OWN, OWN])).tolist() == [[2.0, 3.0], [0.0, 4.0]]
    assert released_subtracted(OWN, torch.stack([REST, REST])).tolist() == [[4.0, 6.0], [0.0, 8.0]]


def test_scout_by_hand():
    assert scout(OWN, REST).tolist() == [[3.0, 0.0], [0.0, 4.0]]  # the rest's positive part is [[1, 0], [2, 0]]


def test_scout_takes_each_maps_own_maximum():
    both = scout(torch.stack([OWN, OWN]), torch.stack([REST, 10 * REST]))
    assert torch.equal(both, torch.stack([scout(OWN, REST), 10 * scout(OWN, REST)]))


def test_maps_may_be_stacked():
    generator = torch.Generator().manual_seed(0)
    own, rivals = torch.randn(2, 3, 5, 4, generator=generator), torch.randn(2, 3, 6, 5, 4, generator=generator)
    both = released_subtracted(own, rivals)
    assert both.shape == own.shape
    assert torch.equal(both[1, 2], released_subtracted(own[1, 2], rivals[1, 2]))


def test_support_of_the_paper_is_what_is_positive():
    cluster_map = torch.tensor([[0.0, 1e-6], [2.0, 4.0]])
    assert support(cluster_map, "paper", "rise").tolist() == [[False, True], [True, True]]
    assert support(cluster_map, "paper", "rise", epsilon=0.5).tolist() == [[False, False], [False, True]]


def test_an_empty_map_supports_nothing():
    for variant in ("paper", "released"):
        assert not support(torch.zeros(3, 4, 4), variant, "lime").any()


@pytest.mark.parametrize(
    ("base", "percent"), [("grad-cam", 50), ("excitation-backprop", 60), ("rise", 70), ("lime", 85)]
)
def test_support_as_released_lies_above_a_percentile(base, percent):
    maps = torch.randn(3, 9, 11, generator=torch.Generator().manual_seed(0)).relu()
    found = support(maps, "released", base)
    for one, where in zip(maps.numpy(), found.numpy()):
        assert np.array_equal(where, one > np.percentile(one, percent))
    assert PERCENTILES[base] == percent


def test_support_as_released_is_never_where_the_map_is_zero():
    cluster_map = torch.zeros(10, 10)
    cluster_map[0, :3] = 1
    assert torch.equal(support(cluster_map, "released", "grad-cam"), cluster_map > 0)


def test_other_words_and_numbers_are_refused():
    with pytest.raises(ValueError, match=r"Expected variant as 'paper' or 'released'. Got 'ours'"):
        support(OWN, "ours", "rise")
    with pytest.raises(ValueError, match=r"Expected base as one of grad-cam, .*Got 'shap'"):
        support(OWN, "paper", "shap")
    for epsilon in (-0.1, 1.0):
        with pytest.raises(ValueError, match=r"Expected epsilon as a share"):
            support(OWN, "paper", "rise", epsilon=epsilon)
