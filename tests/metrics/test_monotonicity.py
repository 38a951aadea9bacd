import itertools

import numpy as np
import pytest
import quantus
import torch
from scipy.stats import pearsonr, spearmanr
from torch import nn

from xai_lib import metrics, randomness
from xai_lib.metrics.monotonicity import ascending_curve, monotonicity, monotonicity_arya, monotonicity_quantus

SIZE = 12
TARGET = torch.tensor([0, 1, 2, 3, 0, 1])
INDEX = torch.arange(20, 26)
ONE = torch.zeros(1, dtype=torch.int64)
WALKS = [monotonicity, monotonicity_arya]


class ShareModel(nn.Module):
    """P(class 0) is exactly the weighted sum of the pixels of an image of one colour."""

    def __init__(self, weights):
        super().__init__()
        self.register_buffer("weights", torch.tensor(weights))

    def forward(self, x):
        probability = (x[:, 0] * self.weights).sum((1, 2)).clamp(1e-30, 1)
        return torch.stack([probability, 1 - probability], dim=1).log()


def by_hand(metric, attribution, weights=((0.05, 0.3), (0.4, 0.15)), **options):
    attribution = torch.tensor(attribution)[None]
    return metric(ShareModel(weights).eval(), torch.ones(1, 1, 2, 2), attribution, ONE, index=ONE, **options)


def test_by_hand():
    map_ = [[0.1, 0.3], [0.9, 0.2]]  # includes weights 0.05, 0.15, 0.3, 0.4
    curve = by_hand(ascending_curve, map_, sets=4)
    torch.testing.assert_close(curve, torch.tensor([[0.0, 0.05, 0.2, 0.5, 0.9]]))
    expected = pearsonr([0.1, 0.2, 0.3, 0.9], [0.05, 0.2, 0.5, 0.9]).statistic
    assert by_hand(monotonicity, map_, sets=4).item() == pytest.approx(expected, abs=1e-6)
    assert by_hand(monotonicity_arya, map_, sets=4).item() == 1
    assert by_hand(monotonicity, map_, sets=2).item() == pytest.approx(1)


def test_a_probability_that_falls():
    weights = ((0.5, -0.2), (0.3, 0.2))
    map_ = [[0.1, 0.2], [0.3, 0.4]]  # 0.5, 0.3, 0.6, 0.8
    assert by_hand(monotonicity_arya, map_, weights, sets=4).item() == pytest.approx(2 / 3)


def plain_walk(network, x, attribution, target, sets, lowest):
    """One image and one set at a time; the map has no ties."""
    image, ascending = torch.full_like(x, lowest).flatten(1), attribution.flatten().argsort()
    ends = [len(ascending) * i // sets for i in range(sets + 1)]
    means, curve = [], [network(image.reshape(1, *x.shape)).softmax(1)[0, target].item()]
    for start, end in itertools.pairwise(ends):
        image[:, ascending[start:end]] = x.flatten(1)[:, ascending[start:end]]
        means.append(attribution.flatten()[ascending[start:end]].mean().item())
        curve.append(network(image.reshape(1, *x.shape)).softmax(1)[0, target].item())
    return means, curve


@pytest.mark.parametrize("sets", [32, 7, SIZE**2])
@pytest.mark.parametrize("baseline", ["zero", "minimum"])
def test_equal_to_a_plain_loop(network, images, sets, baseline):
    maps = torch.randn(6, SIZE, SIZE)
    options = {"index": INDEX, "sets": sets, "baseline": baseline}
    curve = ascending_curve(network, images, maps, TARGET, **options)
    pearson, share = (metric(network, images, maps, TARGET, **options) for metric in WALKS)
    assert curve.shape == (6, sets + 1) and pearson.dtype == share.dtype == torch.float32
    for i in range(6):
        with torch.no_grad():
            lowest = 0 if baseline == "zero" else images[i].min().item()
            means, loop = plain_walk(network, images[i], maps[i], TARGET[i], sets, lowest)
        assert curve[i].tolist() == pytest.approx(loop, abs=1e-6)
        assert pearson[i].item() == pytest.approx(pearsonr(means, loop[1:]).statistic, abs=1e-4)
        assert share[i].item() == pytest.approx(np.mean(np.diff(loop[1:]) >= 0), abs=1e-6)


def test_sets_of_32_by_default(network, images, blobs):
    assert ascending_curve(network, images, blobs(6), TARGET, index=INDEX).shape == (6, 33)


@pytest.mark.parametrize("metric", WALKS)
def test_choices_are_passed_on(network, images, blobs, metric):
    maps = blobs(6).round(decimals=1)
    default = metric(network, images, maps, TARGET, index=INDEX)
    choices = ({"baseline": "minimum"}, {"seed": 1}, {"ties": "stable"}, {"ties": "reversed"}, {"sets": 9})
    for choice in choices:
        assert not torch.equal(metric(network, images, maps, TARGET, index=INDEX, **choice), default), choice


def replaying(seed, index, sets, samples):
    """A perturbation for quantus that replaces each set by the number that ours draws for it."""
    noise = randomness.uniform(seed, index, "monotonicity", (sets, samples)).flatten(1).numpy()
    calls = itertools.count()

    def perturb(arr, indices, **_):
        arr = arr.copy()
        arr[np.arange(len(arr))[:, None], indices] = noise[:, [next(calls)]]
        return arr

    return perturb


def test_equal_to_quantus_with_the_same_draws(network, images, blobs, quantus_scores):
    maps = blobs(6) - 0.3
    metric = quantus.MonotonicityCorrelation(
        nr_samples=5,
        features_in_step=24,
        perturb_func=replaying(3, INDEX, 18, 5),
        disable_warnings=True,
        normalise=False,
    )
    expected = quantus_scores(metric, maps, x=images, target=TARGET, model=network)
    scores = monotonicity_quantus(network, images, maps, TARGET, index=INDEX, seed=3, sets=18, samples=5)
    assert scores.dtype == torch.float32 and expected.abs().max() > 0.1
    torch.testing.assert_close(scores.double(), expected, atol=1e-6, rtol=0)


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


def test_draws_come_from_seed_and_index_alone(network, images, blobs):
    maps, options = blobs(6), {"samples": 3}
    scores = monotonicity_quantus(network, images, maps, TARGET, index=INDEX, **options)
    assert torch.equal(monotonicity_quantus(network, images, maps, TARGET, index=INDEX, **options), scores)
    assert not torch.equal(monotonicity_quantus(network, images, maps, TARGET, index=INDEX, seed=1, **options), scores)
    assert not torch.equal(monotonicity_quantus(network, images, maps, TARGET, index=INDEX + 9, **options), scores)


@pytest.mark.parametrize("metric", [*WALKS, monotonicity_quantus])
def test_each_image_stands_alone_whatever_the_chunk(network, images, blobs, metric):
    maps, options = blobs(6).round(decimals=1), {"samples": 4} if metric is monotonicity_quantus else {}
    scores = metric(network, images, maps, TARGET, index=INDEX, **options)
    assert scores.isfinite().all()
    for part in ([4], [5, 0, 3]):
        alone = metric(network, images[part], maps[part], TARGET[part], index=INDEX[part], chunk=7, **options)
        torch.testing.assert_close(alone, scores[part], atol=1e-4, rtol=0)


@pytest.mark.parametrize("metric", [*WALKS, monotonicity_quantus])
def test_undefined_maps_are_nan_and_leave_the_others_alone(network, images, blobs, metric):
    maps, options = blobs(6), {"samples": 2} if metric is monotonicity_quantus else {}
    before = metric(network, images, maps, TARGET, index=INDEX, **options)
    maps[0], maps[1], maps[2, 3, 3], maps[3, 3, 3] = 0, 0.1, torch.nan, torch.inf
    after = metric(network, images, maps, TARGET, index=INDEX, **options)
    assert after[:4].isnan().all() and torch.equal(after[4:], before[4:])


@pytest.mark.parametrize("metric", [*WALKS, monotonicity_quantus])
def test_a_model_that_never_changes_its_mind_has_no_score(images, blobs, metric):
    constant = lambda x: torch.tensor([[0.3, 0.1, 0.2, 0.4]]).expand(len(x), 4)  # noqa: E731
    options = {"samples": 2} if metric is monotonicity_quantus else {}
    assert metric(constant, images, blobs(6), TARGET, index=INDEX, **options).isnan().all()


@pytest.mark.parametrize("metric", [*WALKS, monotonicity_quantus])
def test_nothing_is_changed_and_autocast_is_left_out(network, images, blobs, metric):
    maps, options = blobs(6) - 0.5, {"samples": 2} if metric is monotonicity_quantus else {}
    before = [tensor.clone() for tensor in (images, maps)]
    scores = metric(network, images, maps, TARGET, index=INDEX, **options)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(metric(network, images.requires_grad_(), maps, TARGET, index=INDEX, **options), scores)
    assert torch.equal(images, before[0]) and torch.equal(maps, before[1]) and images.grad is None


@pytest.mark.parametrize("name", ["monotonicity", "monotonicity-arya", "monotonicity-quantus"])
@pytest.mark.parametrize(
    "wrong, error, message",
    [
        ({"attribution": torch.zeros(6, 4, 4)}, ValueError, r"maps \[6, 4, 4\]"),
        ({"x": torch.zeros(6, 3, SIZE, SIZE, dtype=torch.uint8)}, TypeError, "uint8"),
        ({"sets": 1}, ValueError, "sets as a whole number from 2 .*Got 1"),
        ({"sets": 3 * SIZE**2 + 1}, ValueError, "sets as a whole number"),
        ({"sets": 2.0}, ValueError, "sets as a whole number"),
        ({"target": TARGET + 1}, ValueError, "targets in 0 to 3. Got 1 to 4"),
        ({"chunk": 0}, ValueError, "chunk of at least 1"),
    ],
)
def test_refuses_what_has_no_meaning(network, images, blobs, name, wrong, error, message):
    arguments = {"model": network, "x": images, "attribution": blobs(6), "target": TARGET, "index": INDEX}
    with pytest.raises(error, match=message):
        metrics.get(name)(**arguments | wrong)


def test_refuses_no_samples(network, images, blobs):
    with pytest.raises(ValueError, match="samples as a whole number"):
        monotonicity_quantus(network, images, blobs(6), TARGET, index=INDEX, samples=0)


def test_memory_is_bounded_by_the_chunk(images, blobs):
    sizes = []

    def model(x):
        sizes.append(len(x))
        return x.mean((2, 3))

    monotonicity_quantus(model, images, blobs(6), TARGET.clamp(max=2), index=INDEX, sets=9, samples=4, chunk=10)
    assert max(sizes) == 10 and sum(sizes) == 6 + 6 * 9 * 4
