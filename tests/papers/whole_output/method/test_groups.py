import math

import pytest
import torch

from xai_lib.explainers import of_class
from xai_lib.papers.whole_output.method.groups import of_groups

LOGITS = torch.tensor([[1.0, 2.0, 0.5, -1.0], [0.0, -1.0, 3.0, 2.0]])
READINGS = ("logit", "probability", "log-probability")


def members(*images, n_classes=4):
    found = torch.zeros(len(images), len(images[0]), n_classes, dtype=torch.bool)
    for b, groups in enumerate(images):
        for s, group in enumerate(groups):
            found[b, s, list(group)] = True
    return found


@pytest.mark.parametrize("what", READINGS)
def test_a_group_of_one_class_is_that_class(what):
    scores = of_groups(members([{2}, {0}], [{1}, {3}]), what)(LOGITS)
    expected = of_class(torch.tensor([[2, 0], [1, 3]]), what)(LOGITS)
    torch.testing.assert_close(scores, expected)


def test_a_compound_class_by_hand():
    groups = members([{0, 2}, {1, 2, 3}], [{0, 1}, {2, 3}])
    total = [sum(math.exp(z) for z in row) for row in LOGITS.tolist()]
    sums = torch.tensor(
        [
            [math.exp(1) + math.exp(0.5), math.exp(2) + math.exp(0.5) + math.exp(-1)],
            [math.exp(0) + math.exp(-1), math.exp(3) + math.exp(2)],
        ]
    )
    probabilities = sums / torch.tensor(total)[:, None]
    torch.testing.assert_close(of_groups(groups, "logit")(LOGITS), sums.log())
    torch.testing.assert_close(of_groups(groups, "probability")(LOGITS), probabilities)
    torch.testing.assert_close(of_groups(groups, "log-probability")(LOGITS), probabilities.log())


def test_all_classes_together_are_certain():
    everything = torch.ones(2, 1, 4, dtype=torch.bool)
    torch.testing.assert_close(of_groups(everything, "probability")(LOGITS), torch.ones(2, 1))


@pytest.mark.parametrize("what", READINGS)
def test_large_logits_give_finite_scores_and_gradients(what):
    logits = (1e4 * LOGITS).requires_grad_()
    scores = of_groups(members([{0, 1}], [{0, 1}]), what)(logits)
    (gradient,) = torch.autograd.grad(scores.sum(), logits)
    assert scores.isfinite().all()
    assert gradient.isfinite().all()


def test_the_gradient_of_a_groups_logit_is_each_members_share_of_its_probability():
    logits = LOGITS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(of_groups(members([{0, 2}], [{1, 3}]), "logit")(logits).sum(), logits)
    p = LOGITS.softmax(1)
    expected = torch.zeros(2, 4)
    expected[0, [0, 2]] = p[0, [0, 2]] / (p[0, 0] + p[0, 2])
    expected[1, [1, 3]] = p[1, [1, 3]] / (p[1, 1] + p[1, 3])
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("groups", [[[0]], torch.ones(2, 4, dtype=torch.bool), torch.ones(2, 1, 4)])
def test_groups_of_another_type_or_shape_are_refused(groups):
    with pytest.raises(ValueError, match=r"Expected groups as a bool tensor \[B,S,C\]. Got"):
        of_groups(groups, "logit")


def test_an_empty_group_is_refused():
    with pytest.raises(ValueError, match=r"Expected groups of at least one class. Got 1 empty"):
        of_groups(members([{0}, set()], [{1}, {2}]), "logit")


def test_another_reading_is_refused():
    with pytest.raises(ValueError, match=r"Expected what as one of logit, .*Got 'softmax'"):
        of_groups(members([{0}], [{1}]), "softmax")


@pytest.mark.parametrize("logits", [LOGITS[:1], LOGITS[:, :3]])
def test_logits_of_another_shape_are_refused(logits):
    with pytest.raises(ValueError, match=r"Expected logits \[2, 4\] for these groups. Got"):
        of_groups(members([{0}], [{1}]), "logit")(logits)
