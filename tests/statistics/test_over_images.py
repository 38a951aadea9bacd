import numpy as np
import pandas as pd
import pytest

from xai_lib import statistics
from xai_lib.statistics import intervals

NAN = float("nan")


def scored(rows, **columns):
    """A frame of (seed, index, value)."""
    return pd.DataFrame(rows, columns=["seed", "index", "value"]).assign(**{"metric": "insertion", **columns})


def test_an_interval_is_over_images_and_the_spread_over_networks():
    found = scored([(0, 0, 1.0), (0, 1, 2.0), (0, 2, 6.0), (1, 0, 3.0), (1, 1, 4.0), (1, 2, NAN)], method="rise")
    [row] = intervals.summary(found, ["metric", "method"]).to_dict("records")
    alone = statistics.summarise(found.assign(value=[2.0, 3, 6, 2, 3, 6]).query("seed == 0"), by=["metric", "method"])
    assert row["mean"] == pytest.approx(11 / 3)
    assert (row["low"], row["high"]) == (alone["low"].item(), alone["high"].item())
    assert row["spread"] == pytest.approx(abs(3.0 - 3.5) / 2**0.5)
    assert (row["n_images"], row["n_seeds"], row["n_undefined"]) == (3, 2, 1)


def test_groups_keep_to_themselves_and_have_the_columns_of_a_summary():
    one = scored([(0, 0, 1.0), (0, 1, 3.0)], method="lime")
    two = scored([(0, 0, 5.0), (0, 1, NAN), (1, 0, 7.0), (1, 1, 8.0)], method="rise")
    rows = intervals.summary(pd.concat([two, one], ignore_index=True), ["metric", "method"])
    assert rows.columns.tolist() == statistics.summarise(one, by=["metric", "method"]).columns.tolist()
    assert rows["method"].tolist() == ["lime", "rise"]
    assert rows["mean"].tolist() == [2, 7]
    assert rows["n_seeds"].tolist() == [1, 2] and rows["n_undefined"].tolist() == [0, 1]
    assert np.isnan(rows["spread"][0]) and rows["spread"][1] == pytest.approx(2.5 / 2**0.5)


def test_a_group_without_any_value_has_no_mean():
    found = scored([(0, 0, NAN), (0, 1, NAN)], method="rise")
    [row] = intervals.summary(found, ["metric", "method"]).to_dict("records")
    assert np.isnan([row["mean"], row["low"], row["spread"]]).all()
    assert (row["n_images"], row["n_seeds"], row["n_undefined"]) == (0, 0, 2)


def test_nothing_gives_no_rows():
    assert intervals.summary(scored([], method="rise"), ["metric", "method"]).empty


@pytest.mark.parametrize(("how", "expected"), [("mean", (3 + 8) / 2), ("median", (2 + 8) / 2)])
def test_networks_weigh_alike_where_seeds_come_last(how, expected):
    found = scored([(1, 0, 8.0), (0, 0, 1.0), (0, 1, 2.0), (0, 2, 6.0), (1, 1, NAN)], method="rise")
    found = pd.concat([found, found.assign(method="lime", value=4.0)], ignore_index=True)
    means = intervals.seeds_last(found, ["method"], how)
    assert means.index.tolist() == ["rise", "lime"]  # in the order of rows
    assert means.tolist() == pytest.approx([expected, 4.0])
