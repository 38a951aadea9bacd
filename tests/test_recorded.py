"""Sentences about a recorded run are held against the numbers that were recorded with it."""

from itertools import product
from pathlib import Path

import pandas as pd
import pytest

BOOK = Path(__file__).parents[1] / "book"
RUN = BOOK / "recorded/saliency/laptop-cifar10-jpeg"
MASKING, CAUSAL = ("average-increase", "average-drop", "average-gain"), ("insertion", "deletion")


@pytest.fixture(scope="module")
def text():
    return (BOOK / "saliency/recorded.md").read_text()


@pytest.fixture(scope="module")
def tau():
    pairs = pd.read_csv(RUN / "agreement.csv")
    both = {(a, b): value for a, b, value in zip(pairs["metric_a"], pairs["metric_b"], pairs["tau"])}
    return both | {(b, a): value for (a, b), value in both.items()}


def span(values):
    return f"{min(values):.2f}", f"{max(values):.2f}"


@pytest.mark.parametrize(
    ("part", "run", "claims", "hold"),
    [
        ("saliency", RUN.name, "takeaways", "hold"),
        ("whole_output", RUN.name, "claims", "hold"),
    ],
)
def test_verdicts_of_every_part_are_counted(part, run, claims, hold):
    found = pd.read_csv(BOOK / "recorded" / part / run / "verdicts.csv")["verdict"].tolist()
    holds, reverses, undecided = map(found.count, ("holds", "reverses", "undecided"))
    said = f"Of {len(found)} {claims} {holds} {hold}, {reverses} reverse and {undecided} are undecided."
    assert said in (BOOK / part / "recorded.md").read_text()


def test_integrated_gradients_lead_masking_and_fall_with_absolute_values(text):
    moves = pd.read_csv(RUN / "readings.csv")
    moves = moves[(moves["method"] == "integrated-gradients") & moves["metric"].isin(MASKING)].set_index("reading")
    informed = pd.read_csv(RUN / "leaderboard.csv").set_index("method").drop(["fake-cam", "uniform"])
    assert informed["average-increase"].idxmax() == informed["average-gain"].idxmax() == "integrated-gradients"
    assert informed["average-drop"].idxmin() == "integrated-gradients"
    fallen = moves.loc["absolute values", "moved"]
    assert f"they fall by {fallen.min():g} to {fallen.max():g} places" in text


def test_two_groups_of_metrics(text, tau):
    low, high = span([tau[pair] for pair in product(MASKING, MASKING) if pair[0] != pair[1]])
    assert f"(τ from {low} to {high})" in text
    assert f"so do Insertion and Deletion ({tau[CAUSAL]:.2f})" in text
    assert (
        "Between the two groups τ is {} to {}.".format(*span([tau[pair] for pair in product(MASKING, CAUSAL)])) in text
    )
    assert f"Monotonicity goes with sparseness ({tau['monotonicity', 'sparseness']:.2f})" in text
    assert tau["monotonicity", "average-drop"] < 0


def test_what_is_fooled(text):
    fooled = pd.read_csv(RUN / "fooled.csv").query("verdict == 'fooled'")
    by = fooled.groupby("control")["metric"].agg(set)
    asked = {*MASKING, *CAUSAL, "monotonicity", "local-accuracy"}
    assert by["fake-cam"] & asked == {"average-drop", "deletion", "local-accuracy"}
    assert "Fake-CAM fools AD, Deletion and Local Accuracy; not AI, AG, Insertion or Monotonicity." in text
    assert by["centred-gaussian"] & asked == {"monotonicity"} and by["random"] & asked == {"deletion"}


def test_certain_on_average_and_not_for_an_image(text):
    metrics = [*MASKING, *CAUSAL]
    apart = pd.read_csv(RUN / "discrimination.csv").set_index("metric").loc[metrics, "apart"]
    assert f"tells {apart.min():.0f} to {apart.max():.0f} of 36 pairs" in text
    w = pd.read_csv(RUN / "stability.csv").set_index("metric")["w_images"]
    assert "Kendall's W is {} to {}.".format(*span(w[metrics])) in text
    others = ["max-sensitivity", "average-sensitivity", "sparseness", "complexity", "effective-complexity"]
    assert "(W from {} to {})".format(*span(w[others])) in text


def test_insertion_is_higher_for_the_predicted_class():
    means = pd.read_csv(RUN / "table-2.csv").query("metric == 'insertion'").groupby("target")["mean"].mean()
    assert means["predicted"] > means["ground-truth"]
