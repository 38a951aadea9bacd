import itertools

import numpy as np
import pandas as pd
import pytest

from xai_lib import statistics
from xai_lib.papers.dominance import claims
from xai_lib.papers.dominance.analysis import hierarchies, single, training

NAN = float("nan")
KINDS = ("tuned-resnet18", "tuned-resnet50")
NETWORKS = ((KINDS[0], 0), (KINDS[0], 1), (KINDS[1], 0))
LABELS = ("truck", "bird", "ship", "cat", "deer")
PAIRED = 50
# What each claim says, read off the paper: section, metric, direction, a, b, unit.
CLAIMS = {
    "clusters": ("3.4 and 4, Figure 2", "spread", "higher", "clusters", "dealt at random", "class"),
    "hierarchy": ("3.4", "intransitive triples", "lower", "triples", "chance", "class"),
    "least": ("4, Figures 4-5", "training share", "lower", "least dominant", "equal share", "class"),
}
for name, metric, better in (
    ("training_share", "share of the training images", "higher"),
    ("representation", "training share / evaluation share", "higher"),
    ("training_distance", "distance to the training images", "lower"),
):
    CLAIMS[name] = ("abstract and 4, Figures 4-5", metric, better, "dominance", metric, "class")
for name in ("logit", "probability"):
    metric = f"{name}, strength of the correlation"
    CLAIMS[name] = ("abstract and 4, Figure 3", metric, "lower", "correlation", "0.3", "image")
_TRUE = {(0, 1): 0.6, (1, 2): 0.6, (2, 3): 0.6, (0, 2): 0.7, (1, 3): 0.7, (0, 3): 0.8}
_TURNED = {(0, 1): 0.54, (1, 2): 0.51, (2, 3): 0.51, (0, 3): 0.49, (0, 2): 0.53, (1, 3): 0.52}  # two circles of four
_ORDER = {1: [0, 1, 2, 3], -1: [0, 1, 3, 2]}  # of the clusters by relative dominance, the highest first
RIVALS = {
    "random": "a cluster chosen at random",
    "logit": "lowest mean logit",
    "probability": "lowest mean probability",
    "training distance": "largest distance to the training images",
    "representation": "lowest ratio of training to evaluation share, which needs the training images",
}
# What texts say is measured and what is printed.
WORDS = {
    "clusters": "further from 0.5 than with images dealt to the clusters at random",
    "hierarchy": "fewer triples go round than the quarter that does by chance",
    "training_share": "the highest cannot be directly related",  # §4
    "representation": "A reading of ours",
    "training_distance": "Not in print as a measurement",
    "least": "less than its equal share",
    "logit": "with their logit: within a class, the rank correlation is on average weaker than 0.3",
    "probability": "with their probability:",
}


@pytest.fixture
def made(made_up):
    """Function (networks) -> frames of five classes of 60 images."""
    given = {"labels": LABELS, "sizes": (20, 16, 14, 10), "clusterings": ("k-means", "shuffled"), "paired": PAIRED}
    return lambda networks=NETWORKS, **more: made_up.frames(networks, **given, **more)


def plant(made_up, frames, sign, **where):
    """Let every claim be true, or turned round."""
    mosaics, shares, images, pairs = (frames[name] for name in ("mosaics", "shares", "images", "pairs"))
    jitter = np.random.default_rng(3).uniform(-0.002, 0.002, len(mosaics))
    for clustering, table in zip(("k-means", "shuffled"), (_TRUE, _TURNED)[::sign]):
        share = np.array([table[pair] for pair in zip(mosaics["first"], mosaics["second"])])
        made_up.put(mosaics, "value", pd.Series(share + jitter), clustering=clustering, **where)
    for few, cluster in zip((0.4, 0.3, 0.2, 0.1)[::sign], _ORDER[sign]):
        made_up.put(shares, "training_share", few, cluster=cluster, **where)
        made_up.put(shares, "representation", 4 * few, cluster=cluster, **where)
        made_up.put(images, "training_distance", 1 - few, cluster=cluster, **where)
    # a wins the more, the larger its index: dominance rises with it; outputs too, or they are highest at both ends
    made_up.put(pairs, "value", 0.5 - (pairs["b"] - pairs["a"]) / 1000, **where)
    place = images["index"] % 1000
    for name in single.OUTPUTS:
        made_up.put(images, name, 1.0 * place if sign < 0 else (place - 3 * (PAIRED - 1) / 2).abs(), **where)


def by_claim(rows):
    return rows.set_index(rows["claim"].str.removeprefix("dominance-"))


def of_kind(rows, kind):
    own = rows[rows.index.str.endswith(f"-{kind}")]
    return own.set_index(own.index.str.removesuffix(f"-{kind}"))


@pytest.mark.filterwarnings("error")
def test_a_planted_truth_decides_every_claim_of_each_kind_of_fine_tuned_network(study_of, made_up, made):
    """Of one kind all claims hold, of the other all reverse; networks that are not fine-tuned have none."""
    networks = (*NETWORKS, ("ce", 0), ("scl", 0), ("tl", 0))
    frames = made(networks)
    for kind, sign in zip(KINDS, (1, -1)):
        plant(made_up, frames, sign, kind=kind)
    rows = by_claim(claims.verdicts(study_of(frames, networks)))
    assert len(rows) == 2 * len(CLAIMS) and (rows[["paper", "dataset"]] == ["dominance", "planted"]).all(axis=None)
    for kind, reason, n_seeds in zip(KINDS, ("holds", "reverses"), (2, 1)):
        own = of_kind(rows, kind)
        columns = ["section", "metric", "better", "a", "b", "unit"]
        assert {name: tuple(row) for name, row in own[columns].iterrows()} == CLAIMS
        assert own["reason"].to_dict() == dict.fromkeys(CLAIMS, reason) and set(own["method"]) == {kind}
        assert (np.sign(own["difference"]) == (1 if reason == "holds" else -1)).all()
        over_classes, over_images = own[own["unit"] == "class"], own[own["unit"] == "image"]
        assert (over_classes[["n_classes", "n_seeds"]] == [len(LABELS), n_seeds]).all(axis=None)
        assert (over_images[["n_images", "test"]] == [len(LABELS) * PAIRED, "bootstrap over images"]).all(axis=None)
    np.testing.assert_allclose(rows["p_holm"], statistics.holm(rows["p_value"]))  # over both kinds
    assert (rows["p_holm"] > rows["p_value"]).any()
    text = of_kind(rows, KINDS[0])["text"]
    assert all(words.endswith(".") and "  " not in words for words in text)
    for name, words in WORDS.items():
        assert words in text[name]


def test_differences_are_those_of_the_results(study_of, made_up, made):
    frames = made(missing=0.1)
    made_up.put(frames["mosaics"], "value", NAN, label="bird", kind=KINDS[0], clustering="k-means")
    study = study_of(frames, NETWORKS)
    rows, spread, least = by_claim(claims.verdicts(study)), hierarchies.spread(study), training.least(study)
    shares = training.over_classes(study).set_index(["kind", "share"])

    def mean(frame, column):
        """Over networks, then over classes."""
        return np.nanmean([here[column].mean() for _, here in frame[frame["kind"] == kind].groupby("label")])

    for kind in KINDS:
        own = of_kind(rows, kind)
        with_value = spread[spread["label"] != "bird"] if kind == KINDS[0] else spread
        found, dealt = (with_value[with_value["clustering"] == name] for name in ("k-means", "shuffled"))
        assert own.loc["clusters", "difference"] == pytest.approx(mean(found, "spread") - mean(dealt, "spread"))
        cyclic = mean(found.assign(share=found["cyclic"] / found["triples"]), "share")
        assert own.loc["hierarchy", "difference"] == pytest.approx(0.25 - cyclic)
        assert (own.loc[own["unit"] == "class", "n_classes"] == len(LABELS) - (kind == KINDS[0])).all()
        for name in training.SHARES:
            row, claim = shares.loc[(kind, name)], own.loc[name]
            sign = -1 if name == "training_distance" else 1
            assert claim["difference"] == pytest.approx(sign * row["correlation"])
            assert (claim["p_value"], claim["test"]) == (row["p_value"], "permutation within classes")
            assert claim["low"] < claim["difference"] < claim["high"]
        below = mean(least.assign(below=least["chance"] - least["share_of_least"]), "below")
        assert own.loc["least", "difference"] == pytest.approx(below)
        for name in single.OUTPUTS:
            value, draws = single.strength(study, kind, name)
            level = own.loc[name, "level"]
            expected = (0.3 - value, *np.quantile(0.3 - draws, [(1 - level) / 2, (1 + level) / 2]))
            assert tuple(own.loc[name, ["difference", "low", "high"]]) == pytest.approx(expected)


@pytest.mark.filterwarnings("error")
def test_one_class_and_no_values_decide_nothing(study_of, made_up, made):
    frames = made_up.frames(NETWORKS[:1], labels=("cat",), sizes=(2, 1))
    rows = of_kind(by_claim(claims.verdicts(study_of(frames, NETWORKS[:1]))), KINDS[0])
    assert rows.loc[["clusters", "hierarchy", "least"], "reason"].eq("undecided (no interval)").all()
    assert np.isnan(rows.loc["hierarchy", "difference"])  # two clusters have no triple
    frames = made(NETWORKS[:1])
    for part in ("mosaics", "pairs"):
        made_up.put(frames[part], "value", NAN)
    rows = claims.verdicts(study_of(frames, NETWORKS[:1]))
    assert set(rows["reason"]) == {"undecided (no interval)"}
    assert rows[["difference", "p_holm"]].isna().all(axis=None)


@pytest.mark.parametrize(("sign", "reason"), [(1, "holds"), (-1, "reverses")])
def test_planted_rare_modes_decide_every_claim(rare_run, made_up, sign, reason):
    rows = made_up.rare()
    best = rows.groupby(["seed", "label", "clustering"])["rare_mode_in"].transform("max") == rows["rare_mode_in"]
    rows["dominance"] = 1.0 - best if sign > 0 else best.astype(float)
    for name, way in (("logit", -1), ("probability", -1), ("representation", -1), ("training_distance", 1)):
        rows[name] = -sign * way * best.astype(float)
    found = claims.rarity_verdicts(rare_run(rows))
    methods = {"modes": "the planted modes as clusters", "k-means": "clusters by K-means"}
    rows, named = found.set_index("claim"), itertools.product(methods.items(), RIVALS.items())
    for (clustering, method), (rival, words) in named:
        row = rows.loc[f"dominance-rare-{clustering}-{rival.replace(' ', '-')}"]
        assert (row["b"], row["method"]) == (rival, method) and row["text"].endswith(f"{words}. A test of ours.")
        assert row["difference"] == pytest.approx((sign > 0) - (0.2 if rival == "random" else float(sign < 0)))
    assert len(rows) == 10 and rows["text"].str.contains("that is rare in training (1 to 10 %)", regex=False).all()
    columns = ["reason", "unit", "n_seeds", "test", "a", "better"]
    assert (rows[columns] == [reason, "seed", 6, "t over trainings", "dominance", "higher"]).all(axis=None)
    np.testing.assert_allclose(found["p_holm"], statistics.holm(found["p_value"]))
