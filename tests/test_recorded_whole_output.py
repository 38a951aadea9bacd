"""Sentences about the recorded whole-output runs are held against the numbers that were recorded with them."""

from pathlib import Path

import pandas as pd
import pytest

BOOK = Path(__file__).parents[1] / "book"
RUN = BOOK / "recorded/whole_output/laptop-cifar10-jpeg"
DOCUMENTS = BOOK / "recorded/whole_output/imagenet-resnet50-documents"


@pytest.fixture(scope="module")
def text():
    return (BOOK / "whole_output/recorded.md").read_text()


def test_the_papers_examples_as_they_came_out(text):
    found = pd.read_csv(DOCUMENTS / "examples.csv").set_index("classes")
    whole = found.index[found["together"] == found["size"]]
    assert set(whole) == {"cello, violin", "hare, wood rabbit", "ambulance, police van"} and len(found) == 6
    assert "Three of the six groups that the paper names are wholly in one cluster" in text
    assert found.loc["acoustic guitar, banjo, electric guitar", "together"] == 2
    assert (found.loc[["mouse, computer keyboard", "screwdriver, syringe"], "together"] == 1).all()


def test_the_time_of_the_tree_is_that_of_its_cell(text):
    cells = pd.read_csv(DOCUMENTS / "provenance.csv").set_index("stage")
    assert f"in {cells.loc['latent-tree', 'seconds']:.1f} seconds on one core" in text
    assert cells.loc["latent-tree", "threads"] == 1


def test_clusters_of_real_documents_are_unstable_and_simpler_ones_firmer(text):
    rows = pd.read_csv(DOCUMENTS / "stability.csv").set_index(["clustering", "what"])
    tree, halves = rows.loc["latent tree"], rows["ari"].xs("halves", level="what")
    low, high, n = tree.loc["halves", ["low", "high", "repeats"]]
    assert f"an ARI of {halves['latent tree']:.2f} ({low:.2f} to {high:.2f} over ten halvings)" in text and n == 10
    assert f"the full ones at {tree.loc['bootstrap', 'ari']:.2f}" in text
    assert f"The random starts of EM change little: {tree.loc['seeds', 'ari']:.2f}." in text
    assert f"and two halves agree at {halves['latent tree, no correlation test']:.2f}." in text
    louvain = sorted(halves[name] for name in halves.index if name.startswith("Louvain"))
    assert f"has {halves['average linkage']:.2f} for halves, Louvain {louvain[0]:.2f} to {louvain[1]:.2f}" in text
    assert f"spectral clustering {halves['spectral']:.2f}." in text
    assert halves.drop("latent tree, no correlation test").idxmin() == "latent tree"
    assert halves.idxmax() == "average linkage"


def test_what_other_clusters_would_change(text):
    rows = pd.read_csv(DOCUMENTS / "clusterings.csv").set_index("clustering")
    tree = rows.loc["latent tree"]
    assert f"There are {tree['clusters']:.0f} clusters of at most {tree['largest']:.0f} classes." in text
    other = rows.loc["latent tree, no correlation test"]
    assert f"there are {other['clusters']:.0f} clusters, which agree with the others at {other['ari']:.2f}" in text
    average, chance = rows.loc["average linkage"], rows.loc["random, same sizes"]
    assert average["clusters"] == rows.loc["latent tree", "clusters"]
    assert f"at {average['ari']:.2f}, and gives {100 * average['changed']:.0f} % of the images" in text
    assert f"same sizes give {100 * chance['changed']:.0f} % others" in text


@pytest.fixture(scope="module")
def verdicts():
    return pd.read_csv(RUN / "verdicts.csv")


@pytest.fixture(scope="module")
def means():
    tables = [pd.read_csv(RUN / f"table-{number}.csv") for number in (1, 2)]
    return pd.concat(tables).set_index(["metric", "base", "method"])["mean"]


def test_two_stages_do_not_win(text, verdicts, means):
    rows = verdicts[verdicts["section"] == "5.1, Tables 1-2"]
    assert rows["verdict"].value_counts().to_dict() == {"reverses": 6, "undecided": 5, "holds": 1} and len(rows) == 12
    assert rows.loc[rows["verdict"] == "holds", "claim"].item() == "whole-output-cdrop-rise-cwox-2s-swox"
    assert "one holds (CDROP against SWOX, with RISE) and six reverse" in text
    papers = ["swox", "cwox-1sa", "cwox-1sb", "cwox-2s"]
    for base in ("grad-cam", "excitation-backprop", "rise"):
        assert means["cdrop", base][papers].idxmax() == "cwox-1sa"
    assert means["cdrop", "lime"][papers].idxmax() == "swox"
    for base in ("grad-cam", "rise"):
        assert means["cauc", base][papers].idxmin() == "cwox-1sa"


def test_finer_maps_are_what_it_costs(text, means):
    rows = pd.read_csv(RUN / "gain.csv").query("metric == 'cdrop'").set_index(["step", "base"])["difference"]
    lost = f"loses {-rows['finer maps', 'grad-cam']:.3f} of CDROP with Grad-CAM and {-rows['finer maps', 'rise']:.3f}"
    assert lost in text
    added = rows["own rivals and region"]
    assert f"between −{-added.min():.3f} and −{-added.max():.3f}" in text
    fine, random = means["cdrop", "grad-cam", "cwox-2s"], means["cdrop", "grad-cam", "random"]
    assert f"a CDROP of {fine:.3f}, less than a random map ({random:.3f})" in text and fine < random


def test_rise_is_the_best_base(verdicts):
    found = verdicts.set_index("claim")["verdict"]
    for other in ("grad-cam", "excitation-backprop", "lime"):
        assert found[f"whole-output-cauc-bases-cwox-2s-rise-{other}"] == "holds"
    assert found["whole-output-cdrop-cwox-2s-rise-grad-cam"] == found["whole-output-cdrop-cwox-2s-rise-lime"] == "holds"
    assert found["whole-output-cdrop-cwox-2s-rise-excitation-backprop"] == "undecided"
    rows = pd.read_csv(RUN / "table-3.csv").set_index(["metric", "base"])["mean"]
    assert rows["cauc"].sort_values().index[1] == "excitation-backprop"
    assert rows["cdrop"].sort_values(ascending=False).index[1] == "excitation-backprop"


def test_other_clusters_would_do(text):
    rows = pd.read_csv(RUN / "effect.csv").set_index(["metric", "clustering"])
    random, tree = rows.loc[("cdrop", "random, same sizes")], rows.loc[("cdrop", "latent tree")]
    assert f"a CDROP of {random['mean']:.3f} and under the latent tree's {tree['mean']:.3f}" in text
    assert random["low"] < tree["mean"] < random["high"] and random["high"] > tree["low"]
    assert f"(correlation {rows.loc[('same-map', 'random, same sizes'), 'mean']:.2f})" in text
    halves = pd.read_csv(RUN / "stability.csv").set_index(["clustering", "what"]).loc[("latent tree", "halves")]
    assert (halves["low"], halves["repeats"]) == (1, 20)


def test_empty_maps_and_the_observer(text):
    paper = pd.read_csv(RUN / "degenerate.csv").query("method != 'random'")
    (empty,) = paper[paper["degenerate"] > 0].to_dict("records")
    assert (empty["base"], empty["method"]) == ("lime", "cwox-2s") and set(paper["maps"]) == {778}
    assert f"{empty['degenerate']} of 778 maps of CWOX-2s with LIME, none otherwise" in text
    released = pd.read_csv(RUN / "degenerate-released.csv").set_index(["base", "method"])["degenerate"]
    assert f"leaves {released['lime', 'cwox-2s']} of 778 maps" in text
    matched = pd.read_csv(RUN / "matching.csv").set_index(["base", "method"])["mean"]
    assert f"{matched['rise', 'swox']:.2f} for SWOX with RISE against {matched['rise', 'cwox-2s']:.2f}" in text
    assert matched.idxmax() == ("rise", "swox")
