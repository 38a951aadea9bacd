"""Sentences about the recorded saliency run are held against the numbers that were recorded with it."""

from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from xai_lib.page.verdicts import counted

BOOK = Path(__file__).parents[1] / "book"
RUN = BOOK / "recorded/saliency/laptop-cifar10-jpeg"
MASKING, CAUSAL = ("average-increase", "average-drop", "average-gain"), ("insertion", "deletion")
INFORMED = [
    *("gradient", "integrated-gradients", "guided-backprop"),
    *("grad-cam", "grad-cam++", "score-cam", "rise", "lime", "iba"),
]


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


def test_sentences_are_counted_under_both_readings(text):
    rows = pd.read_csv(RUN / "sentences.csv")
    assert f"Of the paper's {len(rows)} sentences {counted(rows['verdict'])}" in text
    changed = (rows["verdict"] != rows["verdict_signed"]).sum()
    assert f"With signed gradients the verdicts of {changed} change." in text


def test_maps_of_two_classes(text):
    rows = pd.read_csv(RUN / "verdicts.csv").set_index("claim").filter(like="saliency-specific-", axis=0)
    rows.index = rows.index.str.removeprefix("saliency-specific-")
    similar = rows["difference"] + 0.5
    assert similar.idxmax() == "guided-backprop"
    said = f"(rank correlation {similar['guided-backprop']:.2f}; IG {similar['integrated-gradients']:.2f})"
    assert said in text
    opposed = similar[["grad-cam", "rise", "lime"]]
    assert opposed.max() < 0 < similar.drop(opposed.index).min()
    assert f"({opposed.min():.2f} to {opposed.max():.2f})".replace("-", "\N{MINUS SIGN}") in text
    assert rows["verdict"].value_counts()[["holds", "reverses"]].tolist() == [2, 4] and len(rows) == 9


def test_the_order_with_absolute_gradients(text):
    table = pd.read_csv(RUN / "table-1.csv").set_index(["metric", "method"])[["mean", "published"]]
    tau, places = [], set()
    for metric in MASKING:
        both = table.loc[metric].loc[INFORMED]
        tau.append(stats.kendalltau(*both.T.to_numpy()).statistic)
        ours, printed = (both[name].rank(ascending=metric == "average-drop") for name in both)
        places.add(printed["rise"])
        assert ours["rise"] == 1
        assert min(order[name] for order in (ours, printed) for name in INFORMED[:2]) >= 7
    assert "print over the nine methods is {:.2f} in AI, {:.2f} in AD and {:.2f} in AG.".format(*tau) in text
    assert places == {4, 5} and "Among the nine RISE, first here in all three, is fourth or fifth in print." in text


def test_signed_values_are_further_from_print(text):
    rows = pd.read_csv(RUN / "readings.csv").set_index(["reading", "metric", "method"])
    moved, rank = (rows.loc["signed", :, "integrated-gradients"][name] for name in ("moved", "rank"))
    low, high = moved[[*MASKING]].min(), moved[[*MASKING]].max()
    assert f"integrated gradients rise by {low:g} to {high:g} places out of 14 (" in text
    assert "to the first place in AI and AG" in text
    assert rank["average-increase"] == rank["average-gain"] == 1
    printed = pd.read_csv(RUN / "table-1.csv").set_index(["metric", "method"])["published"]
    said = []
    for metric in MASKING:
        for reading in ("absolute", "signed"):
            values = rows.loc[(reading, metric), "mean"][INFORMED]
            said.append(stats.kendalltau(values, printed[metric][INFORMED]).statistic)
    assert "from {:.2f} to {:.2f} in AI, {:.2f} to {:.2f} in AD and {:.2f} to {:.2f} in AG.".format(*said) in text


def test_groups_of_metrics(text, tau):
    assert "(τ from {} to {})".format(*span([tau[pair] for pair in combinations(MASKING, 2)])) in text
    other = {name: span([tau[name, metric] for metric in MASKING]) for name in (*CAUSAL, "monotonicity")}
    assert "Insertion goes with them ({} to {}).".format(*other["insertion"]) in text
    deletion = "Deletion does not ({} to {} with AI, AD and AG, {:.2f} with Insertion)"
    assert deletion.format(*other["deletion"], tau[CAUSAL]) in text
    assert "nor does Monotonicity ({} to {} with AI, AD and AG).".format(*other["monotonicity"]) in text


def test_what_is_fooled(text):
    fooled = pd.read_csv(RUN / "fooled.csv").query("verdict == 'fooled'")
    by = fooled.groupby("control")["metric"].agg(set)
    asked = {*MASKING, *CAUSAL, "monotonicity", "local-accuracy"}
    assert by["fake-cam"] & asked == {"average-increase", "average-drop", "deletion", "local-accuracy"}
    assert "Fake-CAM fools AI, AD, Deletion and Local Accuracy, and not Insertion; for AG and Monotonicity" in text
    of_fake = pd.read_csv(RUN / "fooled.csv").query("control == 'fake-cam'").set_index("metric")["verdict"]
    assert of_fake["insertion"] == "not fooled"
    assert of_fake["average-gain"] == of_fake["monotonicity"] == "undecided"
    assert by["uniform"] & asked == {"average-drop", "deletion", "local-accuracy"} and by["random"] & asked == {
        "deletion"
    }


def test_certain_on_average_and_not_for_an_image(text):
    metrics = [*MASKING, *CAUSAL]
    apart = pd.read_csv(RUN / "discrimination.csv").set_index("metric").loc[metrics]
    assert f"tell {apart['apart'].min():.0f} to {apart['apart'].max():.0f} of 36 pairs" in text
    assert set(apart["relevant"]) == {0.01} and set(apart["pairs"]) == {36}
    w = pd.read_csv(RUN / "stability.csv").set_index("metric")["w_images"]
    assert "Kendall's W is {} to {}.".format(*span(w[metrics])) in text
    others = ["max-sensitivity", "average-sensitivity", "sparseness", "complexity", "effective-complexity"]
    assert "(W from {} to {})".format(*span(w[others])) in text


def test_integrated_gradients_are_complete(text):
    verdicts = pd.read_csv(RUN / "verdicts.csv").set_index("claim")["verdict"]
    assert verdicts["saliency-complete-integrated-gradients"] == "reverses"  # that they miss it on most images
    assert "integrated gradients are within 5 % on most images." in text


def test_insertion_is_higher_for_the_predicted_class(text):
    rows = pd.read_csv(RUN / "table-2.csv").query("metric == 'insertion' and method in @INFORMED")
    means = rows.groupby("target")["mean"].mean()
    assert f"for it ({means['predicted']:.3f}) than for the true class ({means['ground-truth']:.3f})" in text
    assert means["predicted"] > means["ground-truth"]
    verdicts = pd.read_csv(RUN / "verdicts.csv").set_index("claim")["verdict"]
    assert verdicts["saliency-truth-insertion"] == "reverses"
