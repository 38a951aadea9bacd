"""How likely a comparison is to decide: against simulation, and the number of units that would be enough."""

import math

import numpy as np
import pytest

from xai_lib.statistics import estimate_of, power, units_needed
from xai_lib.statistics.against_zero import Correlation


def test_power_is_how_often_simulated_comparisons_decide():
    rng = np.random.default_rng(0)
    design = estimate_of(rng.normal(size=400))
    expected = power(design, "image", 0.15, 0.99)
    decided = [estimate_of(row).interval(0.99)[0] > 0 for row in rng.normal(0.15, 1, size=(2000, 400))]
    assert np.mean(decided) == pytest.approx(expected, abs=0.04)
    assert 0.5 < expected < 0.8


def test_as_many_units_as_are_needed_have_the_power_and_one_fewer_has_not():
    table = np.random.default_rng(1).normal(size=(3, 200)) * 0.1 + np.array([[0.0], [0.05], [0.1]])
    for unit, design in (("image", estimate_of(table[0])), ("seed", estimate_of(table))):
        n = units_needed(design, unit, 0.05, 0.95)
        assert power(design.with_units(unit, n), unit, 0.05, 0.95) >= 0.8
        assert power(design.with_units(unit, n - 1), unit, 0.05, 0.95) < 0.8


def test_more_trainings_do_not_help_against_an_error_over_images():
    table = np.random.default_rng(2).normal(size=(3, 20))
    assert units_needed(estimate_of(table), "seed", 0.01, 0.95) == math.inf


def test_what_has_no_size_of_errors_has_no_power():
    for estimate, unit in ((Correlation(0.1, 50), "image"), (estimate_of(np.arange(9.0)), "class")):
        assert math.isnan(power(estimate, unit, 0.1, 0.95)) and math.isnan(units_needed(estimate, unit, 0.1, 0.95))
