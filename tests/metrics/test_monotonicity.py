import numpy as np
import pytest
import quantus
import torch
from derivations.metrics import ShareModel
from scipy.stats import spearmanr

from xai_lib.metrics.monotonicity import ascending_curve, monotonicity, monotonicity_arya, monotonicity_quantus

SIZE = 12
TARGET = torch.tensor([0, 1, 2, 3, 0, 1])
INDEX = torch.arange(20, 26)
ONE = torch.zeros(1, dtype=torch.int64)
WALKS = [monotonicity, monotonicity_arya]


def by_hand(metric, attribution, weights=((0.05, 0.3), (0.4, 0.15)), **options):
    attribution = torch.tensor(attribution)[None]
    return metric(ShareModel(weights).eval(), torch.ones(1, 1, 2, 2), attribution, ONE, index=ONE, **options)


def test_sets_of_32_by_default(network, images, blobs):
    assert ascending_curve(network, images, blobs(6), TARGET, index=INDEX).shape == (6, 33)


@pytest.mark.parametrize("metric", WALKS)
def test_choices_are_passed_on(network, images, blobs, metric):
    maps = blobs(6).round(decimals=1)
    default = metric(network, images, maps, TARGET, index=INDEX)
    choices = ({"baseline": "minimum"}, {"seed": 1}, {"ties": "stable"}, {"ties": "reversed"}, {"sets": 9})
    for choice in choices:
        assert not torch.equal(metric(network, images, maps, TARGET, index=INDEX, **choice), default), choice


def test_tool_draws_one_number_for_all_values_of_a_set():
    arr = np.zeros((2, 6))
    drawn = quantus.functions.perturb_func.batch_baseline_replacement_by_indices(
        arr=arr, indices=np.array([[0, 1, 2], [1, 2, 3]]), perturb_baseline="uniform"
    )
    assert (drawn[0, :3] == drawn[0, 0]).all() and 0 < drawn[0, 0] < 1 and drawn[0, 0] != drawn[1, 1]


def test_spearman_by_hand_with_ties_of_whole_sets():
    # Setting pixel j to u changes P by w_j (u - 1): the effect grows with the weight. Sets are single pixels.
    weights = ((0.05, 0.3), (0.4, 0.15))
    effect, map_ = np.array(weights).ravel(), np.array([[0.0, 0.5], [0.9, 0.0]])
    score = by_hand(monotonicity_quantus, map_.tolist(), weights, sets=4, samples=2000)
    assert score.item() == pytest.approx(spearmanr(map_.ravel(), effect).statistic, abs=1e-6)
    assert by_hand(monotonicity_quantus, (-map_).tolist(), weights, sets=4, samples=2000) == score


@pytest.mark.parametrize("metric", [*WALKS, monotonicity_quantus])
def test_a_constant_map_has_no_score(network, images, blobs, metric):
    maps = blobs(6)
    maps[1] = 0.1
    assert metric(network, images, maps, TARGET, index=INDEX).isnan().tolist() == [False, True, *[False] * 4]


@pytest.mark.parametrize("metric", [*WALKS, monotonicity_quantus])
def test_a_model_that_never_changes_its_mind_has_no_score(images, blobs, metric):
    constant = lambda x: torch.tensor([[0.3, 0.1, 0.2, 0.4]]).expand(len(x), 4)  # noqa: E731
    options = {"samples": 2} if metric is monotonicity_quantus else {}
    assert metric(constant, images, blobs(6), TARGET, index=INDEX, **options).isnan().all()
