import numpy as np
import pandas as pd
import pytest

from xai_lib.papers.dominance.analysis import dealt
from xai_lib.statistics import holm

NAN = float("nan")


def compare(values):
    return dealt.against_dealt(np.asarray(values, float), a="clusters", range=(0, 1))


def test_real_clusters_are_set_against_the_mean_of_dealt_ones_class_by_class():
    values = [[[0.8, 0.1, 0.3], [0.6, 0.5, 0.5]], [[0.6, 0.3, 0.1], [NAN, 0.2, 0.4]]]  # two networks, two classes
    found = compare(values)
    assert found.difference == pytest.approx((0.7 - 0.2 + 0.6 - 0.5) / 2)
    assert (found.unit, found.n_seeds, found.n_classes, found.n_undefined) == ("class", 2, 2, 1)
    # any of three may be the real one in either class, and is set against the mean of the others: 0.5, -0.25, -0.25 in
    # the first class; of the second, 0.1, -0.05, -0.05 by one network and -0.2, 0.2 without the real one by the other
    second = 0.1, np.mean([-0.05, -0.2]), np.mean([-0.05, 0.2])
    expected = {round((a + b) / 2, 6) for a in (0.5, -0.25) for b in second}
    assert set(np.round(found.estimate.draws, 6)) == expected


def test_the_test_is_exact_with_few_deals_and_finds_a_difference():
    """Where clusters are dealt too, p < 0.05 in 5 %, though small clusters (of other classes) vary more."""
    rng, spreads = np.random.default_rng(0), np.array([0.1, 0.3, 1.0, 3.0, 0.1, 0.3, 1.0, 3.0])
    p_values = []
    for _ in range(400):
        skewed = rng.exponential(size=(1, 8, 4)) * spreads[:, None]
        p_values.append(compare(skewed).p_value)
    assert 0.025 < np.mean(np.array(p_values) < 0.05) < 0.075
    real = rng.exponential(size=(2, 8, 4))
    real[..., 0] += 4
    found = dealt.against_dealt(real, a="clusters", range=(0, 20))
    assert holm([found.p_value] * 20)[0] < 0.05
    low, high = found.estimate.interval()
    assert 0 < low < found.difference < high


@pytest.mark.filterwarnings("error")
def test_without_values_there_is_no_number_and_without_a_deal_it_is_refused():
    found = compare(np.full((1, 3, 4), NAN))
    assert np.isnan(found.difference) and np.isnan(found.p_value) and np.isnan(found.estimate.interval()).all()
    with pytest.raises(ValueError, match="with a deal or more"):
        compare(np.zeros((1, 3, 1)))


def test_a_table_has_the_real_clusters_first():
    rows = pd.DataFrame({"seed": [0, 0, 0, 0], "label": list("baba"), "deal": [0, 0, -1, -1], "x": [1.0, 2, 3, 4]})
    np.testing.assert_array_equal(dealt.table(rows, "x"), [[[4, 2], [3, 1]]])


def test_relative_dominance_of_real_and_dealt_clusters(study, made_up):
    rows = dealt.relative(study)
    n = len(made_up.NETWORKS) * len(made_up.LABELS) * (1 + made_up.DEALS)
    assert len(rows) == 4 * n and (rows.groupby(dealt.BY)["rank"].sum() == 10).all()
    assert np.allclose(rows.groupby(dealt.BY)["dominance"].mean(), 0.5)
