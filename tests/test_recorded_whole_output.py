"""Sentences about the recorded whole-output runs are held against the numbers that were recorded with them."""

from pathlib import Path

import pandas as pd
import pytest

from xai_lib.page.verdicts import counted

BOOK = Path(__file__).parents[1] / "book"
RUN = BOOK / "recorded/whole_output/laptop-cifar10-jpeg"
DOCUMENTS = BOOK / "recorded/whole_output/imagenet-resnet50-documents"


@pytest.fixture(scope="module")
def text():
    return (BOOK / "whole_output/recorded.md").read_text()


def test_clusters_against_wordnet(text):
    rows = pd.read_csv(DOCUMENTS / "wordnet.csv").set_index("clustering")
    tree, chance = rows.loc["latent tree"], rows.loc["random"]
    assert f"are {tree['steps']:.0f} steps apart in it (median; any two classes: {chance['steps']:.0f})" in text
    assert f"and {100 * tree['siblings']:.0f} % of the pairs are siblings ({100 * chance['siblings']:.1f} %)." in text
    assert f"agree with the tree's at an ARI of {tree['ari']:.2f}." in text
    pair = pd.read_csv(DOCUMENTS / "examples.csv").set_index("classes").loc["screwdriver, syringe"]
    assert f"Of all pairs of classes, {100 * (1 - pair['nearer']):.0f} % are further apart in WordNet" in text
    assert pair["together"] == 1 and "here they share no cluster" in text


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
    return pd.concat(tables).set_index(["metric", "base", "method"])["mean"].sort_index()


def test_sentences_are_counted(text):
    found = pd.read_csv(RUN / "verdicts-sentences.csv")["verdict"]
    outputs = pd.read_csv(RUN / "outputs.csv").squeeze()
    assert f"Of the paper's {len(found)} sentences {counted(found)}, on the {outputs['explained']} of" in text
    assert f"{outputs['images']} images that have a pair" in text


def test_the_clusters_are_those_of_the_page(text):
    pairs = pd.read_csv(RUN / "strongest.csv")["classes"].str.replace(", ", " and ")
    said = text[text.index("The clusters are what one would draw") :].splitlines()[0]
    assert len(pairs) == 5 and all(pair in said for pair in pairs)
    halves = pd.read_csv(RUN / "stability.csv").set_index(["clustering", "what"]).loc[("latent tree", "halves")]
    said_range = f"({halves['low']:.2f} to {halves['high']:.2f} over ten halvings)."
    assert f"agree at an ARI of {halves['ari']:.2f} {said_range}" in said and halves["repeats"] == 10


def test_two_stages_do_not_win(text, verdicts, means):
    rows = verdicts[(verdicts["section"] == "5.1, Tables 1-2") & (verdicts["a"] == "cwox-2s")]
    assert rows["verdict"].value_counts().to_dict() == {"reverses": 6, "undecided": 6} and len(rows) == 12
    assert "in which CWOX-2s should beat SWOX, 1sA or 1sB, none holds and 6 reverse, 2 of them by less" in text
    assert (rows["reason"].str.startswith("reverses") & rows["reason"].str.contains("negligible")).sum() == 2
    papers = ["swox", "cwox-1sa", "cwox-1sb", "cwox-2s"]
    for base in ("grad-cam", "excitation-backprop", "rise"):
        assert means["cdrop", base][papers].idxmax() == "cwox-1sa"


def test_finer_maps_are_what_it_costs(text):
    rows = pd.read_csv(RUN / "gain.csv").query("metric == 'cdrop'").set_index(["step", "base"])
    cost = -rows.loc["second-stage maps, in one stage", "difference"]
    assert f"cost {cost['grad-cam']:.3f} of CDROP with Grad-CAM and {cost['rise']:.3f} with RISE;" in text
    assert f"of this cost ({cost['excitation-backprop']:.3f}) contains zero." in text
    decided = (rows["low"] > 0) | (rows["high"] < 0)
    assert decided["second-stage maps, in one stage"].to_dict() == {
        "grad-cam": True,
        "excitation-backprop": False,
        "rise": True,
    }
    assert decided["two stages, with first-stage maps"].to_dict() == {
        "grad-cam": False,
        "excitation-backprop": True,
        "rise": False,
    }
    added = -rows.loc["two stages, with first-stage maps", "difference"]
    assert added.idxmax() == "excitation-backprop"
    assert f"with the first stage's maps is between −{added.max():.3f} (MWP, the only one" in text
    assert f"excludes zero) and −{added.min():.3f}." in text
    empty = pd.read_csv(RUN / "degenerate.csv").set_index(["base", "method"]).loc[("grad-cam", "cwox-2s")]
    assert f"{empty['degenerate']} of {empty['maps']} maps of CWOX-2s with Grad-CAM" in text


def test_maps_of_rivals_overlap_less(text, verdicts):
    rows = verdicts.set_index("claim")
    two, one = (rows.loc[f"whole-output-overlap-grad-cam-{method}-swox"] for method in ("cwox-2s", "cwox-1sa"))
    assert two["verdict"] == one["verdict"] == "holds"
    assert f"by {two['difference']:.2f} and {one['difference']:.2f} with Grad-CAM." in text


def test_the_best_base(text, verdicts):
    found = verdicts.set_index("claim")["verdict"]
    for other in ("grad-cam", "excitation-backprop"):
        assert found[f"whole-output-cdrop-cwox-2s-rise-{other}"] == "holds"
    assert "against LIME it is undecided, and in CAUC no difference between bases is decided." in text
    assert set(found[found.index.str.contains("-cauc-bases-")]) == {"undecided"}
    assert found["whole-output-cdrop-cwox-2s-rise-lime"] == "undecided"
    share = pd.read_csv(RUN / "table-3.csv").query("metric == 'salient-share'").set_index("base")["mean"]
    said = "MWP has {:.1f} % of the image, RISE {:.1f} %, LIME {:.1f} %."
    assert said.format(*(100 * share[["excitation-backprop", "rise", "lime"]])) in text
    assert share.idxmin() == "excitation-backprop" and share.idxmax() == "lime"


def test_other_clusters_would_do(text):
    rows = pd.read_csv(RUN / "effect.csv").set_index(["base", "clustering"])
    rise, cam = (rows.loc[(base, "random, same sizes")] for base in ("rise", "grad-cam"))
    assert rise["low"] < 0 < rise["high"] and cam["low"] > 0
    assert f"between −{-rise['low']:.3f} and {rise['high']:.3f}, and" in text
    assert f"they raise it, by {cam['difference']:.3f}." in text
    same = pd.read_csv(RUN / "clusterings.csv").set_index("clustering")["ari"]
    assert same["latent tree, no correlation test"] == same["spectral"] == 1


def test_the_observer(text):
    matched = pd.read_csv(RUN / "matching.csv").query("metric == 'matching-accuracy'")
    matched = matched.set_index(["base", "method"])["mean"]
    assert f"{matched['rise', 'swox']:.2f} for SWOX with RISE against {matched['rise', 'cwox-2s']:.2f}" in text
    assert {matched[base].idxmax() for base in ("rise", "lime")} == {"swox"}
    verdicts = pd.read_csv(RUN / "verdicts.csv").set_index("claim")
    row = verdicts.loc["whole-output-matching-accuracy-rise-cwox-2s-swox"]
    assert row["verdict"] == "undecided" and f"that {row['n_images']} images do not decide." in text
