"""Sentences about the recorded dominance runs are held against the numbers that were recorded with them."""

from pathlib import Path

import pandas as pd
import pytest

BOOK = Path(__file__).parents[1] / "book"
RUN = BOOK / "recorded/dominance/laptop-cifar10-jpeg"
RARITY = BOOK / "recorded/dominance/rarity"


@pytest.fixture(scope="module")
def text():
    return (BOOK / "dominance/recorded.md").read_text()


def signed(value):
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def test_clusters_differ_and_have_an_order(text):
    rows = pd.read_csv(RUN / "null.csv").query("kind == 'tuned'")
    means = rows.groupby("clustering")[["spread", "significant_holm"]].mean()
    clusters, dealt = means.loc["k-means"], means.loc["shuffled"]
    assert f"Pairs lie {clusters['spread']:.3f} from 0.5 on average" in text
    assert f"dealt to the clusters at random {dealt['spread']:.3f}." in text
    assert f"After correction {100 * clusters['significant_holm']:.0f} % of the pairs differ" in text
    assert f"and {100 * dealt['significant_holm']:.0f} % of those dealt at random." in text
    triples = rows[rows["clustering"] == "k-means"][["cyclic", "triples"]].sum()
    assert f"{triples['cyclic']} of {triples['triples']} triples go round" in text
    assert pd.read_csv(RUN / "classes.csv")["misfit"].max() < 0.04 and "every pair to within 0.04" in text
    assert pd.read_csv(RUN / "null.csv")["n_undefined"].sum() == 0 and "No map is empty." in text


def test_dominance_is_the_logit(text):
    single = pd.read_csv(RUN / "single-images.csv").set_index(["kind", "output"])["correlation"]["tuned"]
    assert f"is {single['logit']:.2f} with the logit and {single['probability']:.2f} with the probability" in text
    rows = pd.read_csv(RUN / "clusters-and-outputs.csv").set_index(["kind", "share"])["correlation"]["tuned"]
    assert f"and {rows['logit']:.2f} and {rows['probability']:.2f} between clusters." in text


def test_training_share_and_what_stands_beside_it(text):
    rows = pd.read_csv(RUN / "over-classes.csv").set_index(["share", "kind"])["correlation"]
    share, ratio, distance = rows["training_share"], rows["representation"], rows["training_distance"]
    assert f"the share of the training images is {signed(share['tuned'])}, as claimed." in text
    assert f"it is {signed(share['ce'])}, with SCL {signed(share['scl'])}, with TL {signed(share['tl'])}." in text
    others = ratio.drop("tuned")
    assert f"correlates at {signed(ratio['tuned'])}, and at {signed(others.min())} to {signed(others.max())}" in text
    assert f"({signed(distance['tuned'])} and {signed(distance['ce'])})" in text
    assert f"with SCL the sign is the other ({signed(distance['scl'])})" in text


def test_explainers_sizes_and_trainings(text):
    rows = pd.read_csv(RUN / "variants.csv").set_index(["explainer", "resized", "scaling"])
    whole = rows.xs((False, "relu"), level=["resized", "scaling"])["correlation"]
    assert f"(correlation {whole['excitation-backprop']:.2f}), Eigen-CAM another ({whole['eigen-cam']:.2f})" in text
    assert f"the gradient none ({whole['gradient']:.2f})" in text
    changed = 1 - rows.loc[("grad-cam", True, "relu"), "same_least"]
    assert f"change the least dominant cluster in {100 * changed:.0f} % of the classes." in text
    assert rows.loc[("grad-cam", False, "min-max"), ["correlation", "same_least"]].tolist() == pytest.approx([1, 1])
    alike = pd.read_csv(RUN / "between-trainings.csv").groupby("kind")["correlation"].mean()
    assert f"rank the images of a class alike at {alike.min():.2f} to {alike.max():.2f}." in text


def test_how_many_clusters_and_focus(text):
    rows = pd.read_csv(RUN / "chosen.csv")
    low, high = rows["silhouette"].min(), rows["silhouette"].max()
    assert f"The silhouette of five clusters is {low:.2f} to {high:.2f}" in text
    assert f"at two clusters in {(rows['by_silhouette'] == 2).sum()} of {len(rows)} cases" in text
    focus = pd.read_csv(RUN / "focus.csv").groupby("explainer")["mean"].agg(["min", "max"])
    assert focus["max"].sort_values().index[-2:].tolist() == ["excitation-backprop", "grad-cam"]
    cam, mwp = focus.loc["grad-cam"], focus.loc["excitation-backprop"]
    assert f"Grad-CAM ({cam['min']:.2f} to {cam['max']:.2f}), then MWP ({mwp['min']:.2f} to {mwp['max']:.2f})" in text
    assert f"the random map has {focus.loc['random', 'max']:.2f}" in text


def percent(row, *rarities):
    return [f"{100 * row[rarity]:.0f}" for rarity in rarities]


def test_the_rare_mode_is_found_among_modes(text):
    hit = pd.read_csv(RARITY / "power-modes.csv").pivot(index="score", columns="rarity", values="hit")
    one, two, five, ten, none = percent(hit.loc["dominance"], 0.01, 0.02, 0.05, 0.1, 0.2)
    assert f"in {one} % of the trials where it has 1 % of the class in training" in text
    assert f"in {two} %, {five} % and {ten} % with 2, 5 and 10 %." in text and f"it is named in {none} %." in text
    assert "as often ({}, {}, {} and {} %)".format(*percent(hit.loc["logit"], 0.01, 0.02, 0.05, 0.1)) in text
    far = percent(hit.loc["training distance"], 0.01, 0.02, 0.05, 0.1)
    assert "training images has {}, {}, {} and {} %.".format(*far) in text
    assert (hit.loc["representation"].drop(0.2) == 1).all()


def test_the_rare_mode_is_not_found_among_clusters(text):
    hit = (
        pd.read_csv(RARITY / "power-k-means.csv").pivot(index="score", columns="rarity", values="hit").loc["dominance"]
    )
    assert f"the rare one in {100 * hit.min():.0f} to {100 * hit.max():.0f} % of the trials." in text
    rows = pd.read_csv(RARITY / "suspected.csv").set_index(["score", "rarity"])
    share = rows["share"]
    for output in ("logit", "probability"):  # name the same clusters
        assert share[output].tolist() == pytest.approx(share["dominance"].tolist())
    assert f"{100 * share['dominance', 0.01]:.0f} % of its images are of a mode that has 1 % in training" in text
    assert f"and {100 * share['dominance', 0.2]:.0f} % where nothing is rare." in text
    assert round(rows.loc[("dominance", 0.01), "rank"]) == 2
    assert f"lowest representation {100 * share['representation', 0.01]:.0f} % are of the mode." in text
