"""Training shares: counts by hand, scipy as oracle, all deals enumerated, and errors of the first kind measured."""

import math
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from xai_lib.papers.dominance.method.share import at_chance, correlations, least, permutation_test, shares


def table_of(*groups):
    """Rows of (label, seed, dominances, shares)."""
    parts = [
        pd.DataFrame({"cluster": range(len(d)), "dominance": d, "training_share": s}).assign(label=label, seed=seed)
        for label, seed, d, s in groups
    ]
    return pd.concat(parts, ignore_index=True)


def random_table(rng, n_classes=10, n_clusters=5, seeds="independent"):
    """No relation of dominance and share; "same" seeds have the same clusters under other numbers."""
    groups = []
    for label in range(n_classes):
        first = rng.random((2, n_clusters))
        for seed in range(2):
            values = first[:, rng.permutation(n_clusters)] if seeds == "same" else rng.random((2, n_clusters))
            groups.append((label, seed, *values))
    return table_of(*groups)


def test_shares_by_hand():
    found = shares(torch.tensor([0, 0, 0, 2]), torch.tensor([0, 0, 1, 2, 2]), 3)
    assert found["cluster"].tolist() == [0, 1, 2]
    assert found["training"].tolist() == [3, 0, 1] and found["evaluation"].tolist() == [2, 1, 2]
    assert found["training_share"].tolist() == pytest.approx([0.75, 0, 0.25])
    assert found["evaluation_share"].tolist() == pytest.approx([0.4, 0.2, 0.4])
    assert found["representation"].tolist() == pytest.approx([1.875, 0, 0.625])


def test_parts_that_are_drawn_alike_have_a_representation_of_one():
    evaluation = np.repeat([0, 1, 2], [50, 30, 20])
    found = shares(np.tile(evaluation, 5), evaluation, 3)
    assert found["representation"].tolist() == pytest.approx([1, 1, 1])
    assert found["training_share"].tolist() == pytest.approx([0.5, 0.3, 0.2])


@pytest.mark.parametrize(
    ("training", "evaluation", "match"),
    [
        ([], [0, 1], "at least one training image"),
        ([0], [1, 1], "Got none in cluster 0"),
        ([0, 2], [0, 1], "0 to 1 in assigned_training. Got 0 to 2"),
        ([0, 1], [-1, 1], "0 to 1 in assigned_evaluation. Got -1"),
        ([0.0, 1.0], [0, 1], "assigned_training as integers"),
        ([0, 1], [[0, 1]], r"assigned_evaluation as integers \[N\]"),
    ],
)
def test_shares_refuse_what_has_none(training, evaluation, match):
    with pytest.raises(ValueError, match=match):
        shares(training, evaluation, 2)


def test_correlations_are_spearmans_with_ties():
    rng = np.random.default_rng(0)
    drawn = [(label, seed, rng.random(6), rng.integers(0, 3, 6) / 3) for label in "ab" for seed in (0, 1)]
    found = correlations(table_of(*drawn).sample(frac=1, random_state=0), "training_share")
    assert list(zip(found["label"], found["seed"])) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert found["n_clusters"].tolist() == [6] * 4
    expected = [stats.spearmanr(d, s).statistic for _, _, d, s in drawn]
    assert found["correlation"].tolist() == pytest.approx(expected)


def test_a_correlation_is_undefined_where_nothing_varies_or_nothing_is_left():
    nan = math.nan
    found = correlations(
        table_of(
            ("a", 0, [0.1, 0.2, 0.3, nan], [0.1, 0.2, 0.3, 0.0]),
            ("b", 0, [0.5, 0.5, 0.5], [0.1, 0.2, 0.3]),
            ("c", 0, [0.1, nan, nan], [0.1, 0.2, 0.3]),
            ("d", 0, [nan, nan], [0.1, 0.2]),
        ),
        "training_share",
    )
    assert found["correlation"].tolist() == pytest.approx([1, nan, nan, nan], nan_ok=True)
    assert found["n_clusters"].tolist() == [3, 3, 1, 0]


def test_the_share_asked_for_is_the_one_used():
    table = table_of(("a", 0, [0.1, 0.2, 0.3], [0.1, 0.2, 0.3])).assign(representation=[3, 2, 1])
    assert correlations(table, "training_share")["correlation"].tolist() == pytest.approx([1])
    assert correlations(table, "representation")["correlation"].tolist() == pytest.approx([-1])


def test_the_p_value_is_that_of_all_deals():
    rng = np.random.default_rng(1)
    (d_a, s_a), (d_b, s_b) = rng.random((2, 4)), (rng.random(4), np.array([0.1, 0.1, 0.3, 0.5]))
    found = permutation_test(table_of(("a", 0, d_a, s_a), ("b", 0, d_b, s_b)), "training_share", n=20_000)
    all_a, all_b = (
        np.array([stats.spearmanr(d, np.array(deal)).statistic for deal in permutations(s)])
        for d, s in ((d_a, s_a), (d_b, s_b))
    )
    value = (stats.spearmanr(d_a, s_a).statistic + stats.spearmanr(d_b, s_b).statistic) / 2
    everything = (all_a[:, None] + all_b[None, :]) / 2
    assert found.value == pytest.approx(value)
    assert found.p_value == pytest.approx((np.abs(everything) >= abs(value) - 1e-9).mean(), abs=0.012)
    assert found.draws.shape == (20_000,)
    assert found.draws.std() == pytest.approx(everything.std(), rel=0.02)


def test_seeds_are_averaged_before_classes():
    up, down, shares_of = [0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.1, 0.2, 0.3]
    groups = [("a", seed, up, shares_of) for seed in range(3)] + [("b", 0, down, shares_of)]
    assert permutation_test(table_of(*groups), "training_share", n=10).value == pytest.approx(0)


def test_one_deal_serves_the_seeds_of_a_class_whatever_their_clusters_are_called():
    d, s = np.array([0.9, 0.1, 0.5, 0.3]), np.array([0.4, 0.1, 0.2, 0.3])
    again = np.array([2, 0, 3, 1])
    one = permutation_test(table_of(("a", 0, d, s)), "training_share", n=50)
    two = permutation_test(table_of(("a", 0, d, s), ("a", 1, d[again], s[again])), "training_share", n=50)
    apart = permutation_test(table_of(("a", 0, d, s), ("b", 0, d, s)), "training_share", n=50)
    assert two.draws == pytest.approx(one.draws)
    assert np.abs(apart.draws - one.draws).max() > 0.1


@pytest.mark.parametrize("seeds", ["independent", "same"])
def test_five_in_a_hundred_tables_without_a_relation_are_significant(seeds):
    # A deal for each seed would give about 0.17 for the same clusters twice; luck gives 0.05 ± 0.022 here.
    rng = np.random.default_rng(2)
    p_values = [
        permutation_test(random_table(rng, n_classes=3, seeds=seeds), "training_share", n=99, seed=k).p_value
        for k in range(100)
    ]
    assert 0.01 <= np.mean(np.array(p_values) <= 0.05) <= 0.09


def test_a_relation_in_every_class_is_found_and_its_sign_kept():
    rng = np.random.default_rng(3)
    groups = [(label, 0, s + 0.02 * rng.random(5), s) for label, s in enumerate(rng.random((10, 5)))]
    found = permutation_test(table_of(*groups), "training_share", n=999)
    assert found.value > 0.8 and found.p_value == 1 / 1000
    table = table_of(*groups).assign(dominance=lambda t: -t["dominance"])
    assert permutation_test(table, "training_share", n=999).value == pytest.approx(-found.value)


def test_deals_are_those_of_their_seed_and_class():
    rng = np.random.default_rng(4)
    table = random_table(rng)
    same, other = (permutation_test(table, "training_share", n=50, seed=seed).draws for seed in (0, 1))
    shuffled = permutation_test(table.sample(frac=1, random_state=0), "training_share", n=50)
    assert np.array_equal(shuffled.draws, same) and not np.array_equal(other, same)


def test_classes_without_a_correlation_are_left_out():
    defined = ("a", 0, [0.1, 0.3, 0.2], [0.1, 0.2, 0.3])
    constant = ("b", 0, [0.5, 0.5, 0.5], [0.1, 0.2, 0.3])
    one, both, none = (
        permutation_test(table_of(*groups), "training_share", n=50)
        for groups in ([defined], [defined, constant], [constant])
    )
    assert both.value == one.value == pytest.approx(0.5) and np.array_equal(both.draws, one.draws)
    assert math.isnan(none.value) and math.isnan(none.p_value) and np.isnan(none.draws).all()


def test_least_by_hand():
    nan = math.nan
    found = least(
        table_of(
            ("a", 0, [0.6, 0.2, 0.7], [0.5, 0.1, 0.4]),
            ("a", 1, [0.6, 0.5, 0.4], [0.5, 0.1, 0.4]),
            ("b", 0, [0.6, 0.2, nan, 0.4], [0.5, 0.3, 0.1, 0.1]),
            ("c", 0, [0.3, 0.2], [0.5, 0.5]),
            ("d", 0, [nan, nan], [0.5, 0.5]),
        ).iloc[::-1],
        "training_share",
    )
    assert list(zip(found["label"], found["seed"])) == [("a", 0), ("a", 1), ("b", 0), ("c", 0)]
    assert found["least_dominant"].tolist() == [1, 2, 1, 1]
    assert found["fewest"].tolist() == [1, 1, 3, 0]
    assert found["same"].tolist() == [True, False, False, False]
    assert found["share_of_least"].tolist() == pytest.approx([0.1, 0.4, 0.3, 0.5])
    assert found["chance"].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1 / 2])


def found_of(same, chances):
    return pd.DataFrame({"label": range(len(same)), "same": same, "chance": chances})


@pytest.mark.parametrize("n_same", range(11))
def test_luck_is_a_binomial(n_same):
    found = found_of([True] * n_same + [False] * (10 - n_same), [0.2] * 10)
    assert at_chance(found) == pytest.approx(stats.binomtest(n_same, 10, 0.2).pvalue)


def test_luck_may_differ_between_classes():
    # 0, 1 or 2 classes have probabilities 3/8, 4/8, 1/8.
    assert at_chance(found_of([True, True], [0.5, 0.25])) == pytest.approx(1 / 8)
    assert at_chance(found_of([False, False], [0.5, 0.25])) == pytest.approx(4 / 8)
    assert at_chance(found_of([False, True], [0.5, 0.25])) == 1
    assert at_chance(found_of([True], [0.2])) == pytest.approx(0.2)
    assert math.isnan(at_chance(found_of([], [])))


def test_tables_that_would_mislead_are_refused():
    table = table_of(("a", 0, [0.1, 0.2], [0.1, 0.2]))
    with pytest.raises(ValueError, match="without \\['representation'\\]"):
        correlations(table, "representation")
    with pytest.raises(ValueError, match="one row for each label, seed and cluster"):
        permutation_test(pd.concat([table, table]), "training_share")
    with pytest.raises(ValueError, match="finite"):
        least(table.assign(training_share=math.inf), "training_share")
    two_seeds = least(table_of(("a", 0, [0.1, 0.2], [0.1, 0.2]), ("a", 1, [0.1, 0.2], [0.1, 0.2])), "training_share")
    with pytest.raises(ValueError, match="one row a class"):
        at_chance(two_seeds)
