"""Sentences about the recorded dominance runs are held against the numbers that were recorded with them."""

import json
from pathlib import Path

import pandas as pd
import pytest

from xai_lib.page.verdicts import counted

BOOK = Path(__file__).parents[1] / "book"
RUN = BOOK / "recorded/dominance/laptop-cifar10-jpeg"
IMAGENET = BOOK / "recorded/dominance/imagenet-efficientnet-lite0"
KIND, UNTRAINED = "efficientnet-lite0", "untrained-efficientnet-lite0"
SMALL = "## CIFAR-10, JPEG copy: small networks"


@pytest.fixture(scope="module")
def text():
    """What the page says of the small networks."""
    return (BOOK / "dominance/recorded.md").read_text().split(SMALL)[1]


@pytest.fixture(scope="module")
def on_imagenet():
    """What it says of ImageNet's."""
    return (BOOK / "dominance/recorded.md").read_text().split(SMALL)[0]


def signed(value):
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def test_clusters_differ_and_have_an_order(text):
    rows = pd.read_csv(RUN / "null.csv").query("kind == 'tuned'")
    means = rows.groupby("clustering")[["spread", "significant_holm", "nearest"]].mean()
    clusters, dealt = means.loc["k-means"], means.loc["dealt"]
    assert f"Pairs lie {clusters['spread']:.3f} from 0.5 on average" in text
    assert f"dealt to the clusters at random {dealt['spread']:.3f}." in text
    assert f"After correction {100 * clusters['significant_holm']:.0f} % of the pairs differ" in text
    assert f"and {100 * dealt['significant_holm']:.0f} % of those dealt at random." in text
    assert f"lie {clusters['nearest']:.3f} from 0.5, dealt ones {dealt['nearest']:.3f}." in text
    assert pd.read_csv(RUN / "verdicts.csv").set_index("claim")["verdict"]["dominance-nearest-tuned"] == "undecided"
    triples = rows[rows["clustering"] == "k-means"][["cyclic", "triples"]].sum()
    assert f"{triples['cyclic']} of {triples['triples']} triples goes round" in text


def test_dominance_goes_with_the_logit(text):
    rows = pd.read_csv(RUN / "single-images.csv").set_index(["kind", "size", "output"])["correlation"]
    scaled, whole = rows["tuned", "rescaled"], rows["tuned", "whole"]
    assert f"is {scaled['logit']:.2f} with the logit and {scaled['probability']:.2f} with the probability" in text
    assert f"On whole mosaics it is {whole['logit']:.2f} and {whole['probability']:.2f}:" in text
    of_clusters = pd.read_csv(RUN / "clusters-and-outputs.csv").set_index(["kind", "share"])["correlation"]["tuned"]
    assert f"and between clusters {of_clusters['logit']:.2f} and {of_clusters['probability']:.2f}." in text
    said = "({rescaled:.2f} with the logit on mosaics scaled to one image, {whole:.2f} on whole ones,"
    assert said.format(**rows.loc["untrained", :, "logit"]) in text
    left = [of_size["logit, given its mosaics'"] for of_size in (scaled, whole)]
    assert "networks keep {:.2f} on scaled mosaics and {:.2f} on whole ones.".format(*left) in text
    more = pd.read_csv(RUN / "verdicts.csv").set_index("claim").loc["dominance-untrained-whole-tuned"]
    assert f"where trained networks have {more['difference']:.2f} more)" in text and more["verdict"] == "holds"
    verdicts = pd.read_csv(RUN / "verdicts-sentences.csv")
    assert verdicts.loc[verdicts["verdict"] == "reverses", "text"].item().startswith("Dominance is “non-correlated”")


def test_training_share_and_distance(text):
    rows = pd.read_csv(RUN / "over-classes.csv").set_index(["share", "kind"])
    share, distance = rows.loc["training_share"], rows.loc["training_distance", "correlation"]
    tuned, started = share.loc["tuned"], share.loc["ce"]
    above = f"({tuned['positive']:.0f} of {tuned['classes']:.0f} classes above 0)"
    assert f"is {signed(tuned['correlation'])} {above}, in the claimed direction." in text
    assert f"it is {signed(started['correlation'])}, with zero in the interval." in text
    assert tuned["low"] > 0 > started["low"] and started["high"] > 0
    assert f"({signed(distance['tuned'])}, and {signed(distance['ce'])} in the CE networks)" in text
    rows = pd.read_csv(RUN / "least.csv").set_index(["kind", "share", "rank"]).loc[("tuned", "training_share")]
    least, same = rows.loc["least"], rows.loc["same"]
    said = f"has {100 * least['value']:.1f} % of the training images, a dealt one {100 * least['dealt']:.1f} %;"
    assert said in text and "divided by its share of the test images this is undecided." in text
    said = f"in {100 * same['value']:.0f} % of the classes, where images are dealt in {100 * same['dealt']:.0f} %:"
    assert said in text and "undecided, too." in text
    verdicts = pd.read_csv(RUN / "verdicts.csv").set_index("claim")["verdict"]
    assert verdicts["dominance-same-tuned"] == "undecided"
    assert verdicts["dominance-ours-least-tuned"] == "undecided" and verdicts["dominance-least-tuned"] == "holds"


def test_explainers_sizes_and_trainings(text):
    rows = pd.read_csv(RUN / "variants.csv").set_index(["explainer", "size", "scaling"])
    scaled = rows.xs(("rescaled", "relu"), level=["size", "scaling"])["correlation"]
    assert f"(correlation {scaled['excitation-backprop']:.2f}), Eigen-CAM another ({scaled['eigen-cam']:.2f})" in text
    assert f"the gradient another still ({scaled['gradient']:.2f})" in text
    same = rows.loc[("grad-cam", "whole", "relu"), "same_least"]
    assert f"change the least dominant cluster in {100 - 100 * same:.0f} % of the classes." in text
    alike = pd.read_csv(RUN / "between-trainings.csv").groupby("kind")["correlation"].agg(["mean", "min", "max"])
    tuned, started = alike["mean"][["tuned", "ce"]]
    assert f"rank the images of a class alike at {tuned:.2f} (fine-tuned) and {started:.2f} (CE)" in text
    assert f"range from {alike['min'].min():.2f} to {alike['max'].max():.2f}." in text


def test_how_many_clusters_and_focus(text):
    rows = pd.read_csv(RUN / "chosen.csv")
    assert "The silhouette of five is {min:.2f} to {max:.2f}".format(**rows["silhouette"].describe()) in text
    assert f"at two clusters in {(rows['by_silhouette'] == 2).sum()} of {len(rows)} cases" in text
    assert f"the gap statistic has {rows['by_gap'].min():.0f} to {rows['by_gap'].max():.0f}." in text
    focus = pd.read_csv(RUN / "focus.csv").groupby("explainer")["mean"].agg(["min", "max"])
    assert focus["max"].sort_values().index[-2:].tolist() == ["excitation-backprop", "grad-cam"]
    cam, mwp = focus.loc["grad-cam"], focus.loc["excitation-backprop"]
    assert f"Grad-CAM ({cam['min']:.2f} to {cam['max']:.2f}), then MWP ({mwp['min']:.2f} to {mwp['max']:.2f})" in text
    assert f"the random map has {focus.loc['random', 'max']:.2f}" in text


def test_sentences_are_counted_and_both_runs_stand_side_by_side(on_imagenet, text):
    imagenet, small = (pd.read_csv(run / "verdicts-sentences.csv") for run in (IMAGENET, RUN))
    assert imagenet["text"].tolist() == small["text"].tolist()
    for said, here, there in zip(imagenet["text"], imagenet["verdict"], small["verdict"], strict=True):
        assert f"| {said} | {here} | {there} |" in on_imagenet
    for found, page in ((imagenet["verdict"], on_imagenet), (small["verdict"], text)):
        assert f"Of the paper's {len(found)} sentences {counted(found)}" in page


def test_what_is_said_of_imagenet(on_imagenet):
    here = {path.stem: pd.read_csv(path) for path in IMAGENET.glob("*.csv")}
    small = pd.read_csv(RUN / "null.csv").query("kind == 'tuned' and clustering == 'k-means'")["spread"].mean()
    means = here["null"].groupby("clustering")[["spread", "significant_holm"]].mean()
    clusters, dealt = means.loc["k-means"], means.loc["dealt"]
    assert set(here["null"]["kind"]) == {KIND} and 1.7 < clusters["spread"] / small < 2
    sizes = here["sizes"].set_index("kind").loc[KIND]
    ends = here["classes"].set_index("label")[["dominance_least", "dominance_most"]]
    width = ends["dominance_most"] - ends["dominance_least"]
    wide, narrow = ("the {} ({:.2f} to {:.2f})".format(n, *ends.loc[n]) for n in (width.idxmax(), width.idxmin()))
    outputs = here["single-images"].set_index(["kind", "size", "output"])["correlation"]
    scaled, whole, untrained = outputs[KIND, "rescaled"], outputs[KIND, "whole"], outputs.loc[UNTRAINED, :, "logit"]
    run = json.loads((IMAGENET / "provenance.json").read_text())["scale"]["dominance"]
    rows = here["over-classes"].set_index("share")
    share, of_evaluation = rows.loc["training_share"], rows.loc["representation"]
    assert share["low"] > 0 > of_evaluation["low"] and of_evaluation["high"] > 0
    by_rank = here["least"].query("share == 'training_share'").set_index("rank").T
    least, most = by_rank["least"], by_rank["most"]
    variants = here["variants"].query("scaling == 'relu'").set_index(["explainer", "size"])
    same = variants["correlation"].xs("rescaled", level="size")
    focus, chosen = here["focus"].set_index("explainer")["mean"], here["chosen"]["by_silhouette"]
    for said in (
        "n_paired={n_paired}, n_focus={n_focus}, seeds=1".format(**run),
        f"{here['accuracy']['n_images'].max()} validation images",
        f"lie {clusters['spread']:.3f} from 0.5 on average, nearly twice as far as on CIFAR-10 ({small:.3f}), and",
        f"and {dealt['spread']:.3f} where images are dealt to the clusters at random;",
        f"after correction {100 * clusters['significant_holm']:.0f} % of the pairs differ, and "
        f"{100 * dealt['significant_holm']:.0f} % of the dealt ones, since clusters of 50 images are small "
        f"({sizes['smallest']:.0f} to {sizes['largest']:.0f}).",
        f"ranges furthest for {wide} and least for {narrow}.",
        f"logit at {scaled['logit']:.2f} and with its probability at {scaled['probability']:.2f},",
        f"which leaves open with {run['n_paired']} images a class",
        f"on whole mosaics, at {whole['logit']:.2f} and {whole['probability']:.2f}, they are not.",
        f"with the logit at {untrained['rescaled']:.2f} and {untrained['whole']:.2f}, and whether",
        f"have fewer training images ({signed(share['correlation'])}, {share['positive']} of 10 classes above 0),",
        f"that they have ({signed(of_evaluation['correlation'])}, with zero in the interval).",
        f"has {100 * least['value']:.1f} % of the training images and a dealt one {100 * least['dealt']:.1f} %,",
        f"has {100 * most['value']:.1f} % where a dealt one has {100 * most['dealt']:.1f} %, which is certain",
        f"lie further from the training images ({signed(rows.loc['training_distance', 'correlation'])}).",
        f"the order of Grad-CAM ({same['excitation-backprop']:.2f}), Eigen-CAM another ({same['eigen-cam']:.2f}), the "
        f"gradient another still ({same['gradient']:.2f}); whole mosaics change the least dominant cluster in "
        f"{100 - 100 * variants.loc[('grad-cam', 'whole'), 'same_least']:.0f} % of the classes.",
        f"for Grad-CAM ({focus['grad-cam']:.2f}) than for MWP ({focus['excitation-backprop']:.2f}), the gradient "
        f"({focus['gradient']:.2f}) or Eigen-CAM ({focus['eigen-cam']:.2f})",
        f"at two clusters in {(chosen == 2).sum()} of {len(chosen)} classes, not at the paper's five",
    ):
        assert said in on_imagenet
    verdicts = here["verdicts"].set_index("claim")["verdict"]
    undecided = "logit probability untrained-rescaled untrained-whole least"
    both = {"undecided": undecided, "reverses": "whole-logit whole-probability", "holds": "most training_share"}
    for verdict, names in both.items():
        assert {verdicts[f"dominance-{name}-{KIND}"] for name in names.split()} == {verdict}


def test_no_photograph_of_imagenet_is_shown():
    shown = {path.stem for path in IMAGENET.glob("*.png")}
    assert shown == {"all-matrices", "choices", "focus", "matrices", "outputs", "training-share"}
