import pytest
import torch

from xai_lib.explainers import class_score, of_class
from xai_lib.explainers.scores import checked_scores

LOGITS = torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ([2], r"Expected one target per image, 2 in all. Got 1"),
        ([-1, 0], r"Expected targets in 0 to 2. Got targets from -1 to 0"),
        ([0, 3], r"Expected targets in 0 to 2. Got targets from 0 to 3"),
    ],
)
def test_targets_that_do_not_fit_the_logits_are_refused(target, message):
    with pytest.raises(ValueError, match=message):
        class_score(torch.tensor(target))(LOGITS)


@pytest.mark.parametrize(
    "target", [torch.tensor([0.0, 1.0]), torch.tensor(1), [0, 1], torch.tensor([0], dtype=torch.int32)]
)
def test_a_target_of_another_type_or_shape_is_refused(target):
    with pytest.raises(ValueError, match=r"Expected target as an int64 tensor"):
        class_score(target)


@pytest.mark.parametrize(
    "score",
    [
        lambda logits: logits.sum(),
        lambda logits: logits[:1, 0],
        lambda logits: logits.mean(0),
        lambda logits: logits[:, :, None],
        lambda logits: logits[:, :0],
    ],
)
def test_a_score_of_another_shape_is_refused(score):
    with pytest.raises(ValueError, match=r"Expected score to return one number per image, \[2\].*Got shape"):
        checked_scores(score, LOGITS)


@pytest.mark.parametrize("score", [None, 3, lambda logits: 1.0, lambda logits: logits.argmax(1)])
def test_a_score_that_is_no_function_to_floats_is_refused(score):
    with pytest.raises(TypeError, match=r"Expected score"):
        checked_scores(score, LOGITS)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_refused_by_position(value):
    logits = LOGITS.clone()
    logits[1, 2] = value
    with pytest.raises(ValueError, match=r"Got NaN or infinity for 1 of 2 images, at positions \[1\]"):
        checked_scores(lambda logits: logits, logits)


def test_a_logit_outside_the_score_may_be_infinite():
    logits = LOGITS.clone()
    logits[1, 2] = float("-inf")
    assert checked_scores(class_score(torch.tensor([0, 0])), logits).tolist() == [0.0, 3.0]


def test_readings_of_a_class():
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])
    target = torch.tensor([1, 0])
    assert torch.equal(of_class(target, "logit")(logits), torch.tensor([2.0, 0.0]))
    expected = torch.tensor([torch.e**2 / (torch.e + torch.e**2 + torch.e**0.5), 1 / (1 + torch.e**-1 + torch.e**3)])
    assert torch.allclose(of_class(target, "probability")(logits), expected)
    assert torch.allclose(of_class(target, "log-probability")(logits), expected.log())
    with pytest.raises(ValueError, match="log-probability"):
        of_class(target, "softmax")
