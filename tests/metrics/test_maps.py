import pytest
import torch

from xai_lib.metrics import maps


def test_empty_and_broken_maps_are_told_apart():
    batch = torch.zeros(4, 2, 2)
    batch[1, 0, 0] = -1
    batch[2, 1, 1] = torch.nan
    batch[3] = torch.inf
    assert maps.is_empty(batch).tolist() == [True, False, False, False]
    assert maps.is_finite(batch).tolist() == [True, True, False, False]


@pytest.mark.parametrize("wrong", [torch.zeros(2, 2, 2, dtype=torch.int64), [[0.0]]])
def test_refuses_what_is_not_a_float_tensor(wrong):
    with pytest.raises(TypeError, match=r"Expected attribution as a float tensor \[B,H,W\]. Got"):
        maps.check_maps(wrong)


@pytest.mark.parametrize("shape", [(2, 2), (2, 1, 2, 2), (2, 0, 2)])
def test_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match="one map per image"):
        maps.check_maps(torch.zeros(shape))


def test_a_batch_may_be_empty():
    maps.check_maps(torch.zeros(0, 2, 2))


def test_undefined_scores_are_nan():
    scores = maps.defined(torch.tensor([1.0, 2.0], dtype=torch.float64), torch.tensor([True, False]))
    assert scores.dtype == torch.float32
    assert scores[0] == 1 and scores[1].isnan()
