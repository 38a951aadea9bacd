"""Training shares: counts by hand, scipy as oracle, all deals enumerated, and errors of the first kind measured."""

import math
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from xai_lib.papers.dominance.method.training_share import correlations, permutation_test, shares

NAN = math.nan


def table_of(*groups):
    """Rows of (label, seed, dominances, shares)."""
    parts = [
        pd.DataFrame({"cluster": range(len(d)), "dominance": d, "training_share": s}).assign(label=label, seed=seed)
        for label, seed, d, s in groups
    ]
    return pd.concat(parts, ignore_index=True)


def permuted(table, **options):
    return permutation_test(table, "training_share", **options)


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
    numbers = [[0, 3, 2, 0.75, 0.4, 1.875], [1, 0, 1, 0, 0.2, 0], [2, 1, 2, 0.25, 0.4, 0.625]]
    np.testing.assert_allclose(found, numbers)
    names = ["cluster", "training", "evaluation", "training_share", "evaluation_share", "representation"]
    assert found.columns.tolist() == names


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


def test_a_correlation_is_undefined_where_nothing_varies_or_nothing_is_left_and_is_then_left_out():
    groups = [
        ("a", 0, [0.1, 0.3, 0.2, NAN], [0.1, 0.2, 0.3, 0.0]),
        ("b", 0, [0.5, 0.5, 0.5], [0.1, 0.2, 0.3]),
        ("c", 0, [0.1, NAN, NAN], [0.1, 0.2, 0.3]),
        ("d", 0, [NAN, NAN], [0.1, 0.2]),
    ]
    found = correlations(table_of(*groups), "training_share")
    assert found["correlation"].tolist() == pytest.approx([0.5, NAN, NAN, NAN], nan_ok=True)
    assert found["n_clusters"].tolist() == [3, 3, 1, 0]
    one, every, none = (permuted(table_of(*some), n=50) for some in (groups[:1], groups, groups[1:]))
    assert every.value == one.value == pytest.approx(0.5) and np.array_equal(every.draws, one.draws)
    assert math.isnan(none.value) and math.isnan(none.p_value()) and np.isnan(none.draws).all()


def test_the_p_value_is_that_of_all_deals():
    rng = np.random.default_rng(1)
    classes = rng.random((2, 4)), (rng.random(4), np.array([0.1, 0.1, 0.3, 0.5]))
    found = permuted(table_of(("a", 0, *classes[0]), ("b", 0, *classes[1])), n=20_000)
    all_a, all_b = (
        np.array([stats.spearmanr(d, np.array(deal)).statistic for deal in permutations(s)]) for d, s in classes
    )
    value = np.mean([stats.spearmanr(*of_class).statistic for of_class in classes])
    everything = (all_a[:, None] + all_b[None, :]) / 2
    assert found.value == pytest.approx(value)
    assert found.p_value() == pytest.approx((np.abs(everything) >= abs(value) - 1e-9).mean(), abs=0.012)
    assert found.draws.shape == (20_000,)
    assert found.draws.std() == pytest.approx(everything.std(), rel=0.02)


def test_seeds_are_averaged_before_classes_and_one_deal_serves_them_all():
    up, shares_of = [0.1, 0.2, 0.3], [0.1, 0.2, 0.3]
    groups = [("a", seed, up, shares_of) for seed in range(3)] + [("b", 0, up[::-1], shares_of)]
    assert permuted(table_of(*groups), n=10).value == pytest.approx(0)
    d, s = np.array([0.9, 0.1, 0.5, 0.3]), np.array([0.4, 0.1, 0.2, 0.3])
    again = np.array([2, 0, 3, 1])  # whatever clusters are called
    one = permuted(table_of(("a", 0, d, s)), n=50)
    two = permuted(table_of(("a", 0, d, s), ("a", 1, d[again], s[again])), n=50)
    apart = permuted(table_of(("a", 0, d, s), ("b", 0, d, s)), n=50)
    assert two.draws == pytest.approx(one.draws)
    assert np.abs(apart.draws - one.draws).max() > 0.1


@pytest.mark.parametrize("seeds", ["independent", "same"])
def test_five_in_a_hundred_tables_without_a_relation_are_significant(seeds):
    # A deal for each seed would give about 0.17 for the same clusters twice; luck gives 0.05 ± 0.022 here.
    rng = np.random.default_rng(2)
    tables = (random_table(rng, n_classes=3, seeds=seeds) for _ in range(100))
    p_values = np.array([permuted(table, n=99, seed=k).p_value() for k, table in enumerate(tables)])
    assert 0.01 <= np.mean(p_values <= 0.05) <= 0.09


def test_a_relation_in_every_class_is_found_with_its_sign_by_deals_of_its_seed_and_class():
    rng = np.random.default_rng(3)
    table = table_of(*((label, 0, s + 0.02 * rng.random(5), s) for label, s in enumerate(rng.random((10, 5)))))
    found = permuted(table, n=999)
    assert found.value > 0.8 and found.p_value() == 1 / 1000
    assert permuted(table.assign(dominance=-table["dominance"]), n=999).value == pytest.approx(-found.value)
    shuffled, other = permuted(table.sample(frac=1, random_state=0), n=999), permuted(table, n=999, seed=1)
    assert np.array_equal(shuffled.draws, found.draws) and not np.array_equal(other.draws, found.draws)


def test_tables_that_would_mislead_are_refused():
    table = table_of(("a", 0, [0.1, 0.2], [0.1, 0.2]))
    with pytest.raises(ValueError, match="without \\['representation'\\]"):
        correlations(table, "representation")
    with pytest.raises(ValueError, match="one row for each label, seed and cluster"):
        permuted(pd.concat([table, table]))
    with pytest.raises(ValueError, match="finite"):
        correlations(table.assign(training_share=math.inf), "training_share")
