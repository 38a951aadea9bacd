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


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (torch.zeros(2, 2, 2, dtype=torch.int64), TypeError, r"Expected attribution as a float tensor \[B,H,W\]. Got"),
        ([[0.0]], TypeError, r"Expected attribution as a float tensor \[B,H,W\]. Got list"),
        *((torch.zeros(shape), ValueError, "one map per image") for shape in ((2, 2), (2, 1, 2, 2), (2, 0, 2))),
    ],
)
def test_refuses_what_are_no_maps(wrong, error, message):
    with pytest.raises(error, match=message):
        maps.check_maps(wrong)
    maps.check_maps(torch.zeros(0, 2, 2))  # a batch may be empty


def test_undefined_scores_are_nan():
    scores = maps.defined(torch.tensor([1.0, 2.0], dtype=torch.float64), torch.tensor([True, False]))
    assert scores.dtype == torch.float32
    assert scores[0] == 1 and scores[1].isnan()
