import itertools
from dataclasses import replace

import numpy as np
import pytest

from xai_lib import statistics
from xai_lib.papers.dominance import claims as verdicts
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.analysis import hierarchies, single, training

NAN = float("nan")
NETWORKS = (("tuned-resnet18", 0), ("tuned-resnet18", 1), ("tuned-resnet50", 0))
LABELS = ("truck", "bird", "ship", "cat", "deer")
KINDS = ("tuned-resnet18", "tuned-resnet50")
SIZES = (20, 16, 14, 10)
PAIRED = 50
# What each claim says, read off the paper: section, metric, direction, a, b, unit.
CLAIMS = {
    "clusters": ("3.4 and 4, Figure 2", "spread", "higher", "clusters", "dealt at random", "class"),
    "hierarchy": ("3.4", "intransitive triples", "lower", "triples", "chance", "class"),
    **{
        name: ("abstract and 4, Figures 4-5", metric, better, "dominance", metric, "class")
        for name, metric, better in (
            ("training_share", "share of the training images", "higher"),
            ("representation", "training share / evaluation share", "higher"),
            ("training_distance", "distance to the training images", "lower"),
        )
    },
    "least": ("4, Figures 4-5", "training share", "lower", "least dominant", "equal share", "class"),
    **{
        name: (
            "abstract and 4, Figure 3",
            f"{name}, strength of the correlation",
            "lower",
            "correlation",
            "0.3",
            "image",
        )
        for name in ("logit", "probability")
    },
}
_TRUE = {(0, 1): 0.6, (1, 2): 0.6, (2, 3): 0.6, (0, 2): 0.7, (1, 3): 0.7, (0, 3): 0.8}
_TURNED = {(0, 1): 0.54, (1, 2): 0.51, (2, 3): 0.51, (0, 3): 0.49, (0, 2): 0.53, (1, 3): 0.52}  # two circles of four
_ORDER = {1: [0, 1, 2, 3], -1: [0, 1, 3, 2]}  # of the clusters by relative dominance, the highest first
numbers = itertools.count()


def made(made_up, networks=NETWORKS, **settings):
    return made_up.frames(
        networks, labels=LABELS, sizes=SIZES, clusterings=("k-means", "shuffled"), paired=PAIRED, **settings
    )


def plant(made_up, frames, sign, **where):
    """Let every claim be true, or turned round."""
    mosaics, shares, images, pairs = (frames[name] for name in ("mosaics", "shares", "images", "pairs"))
    jitter = np.random.default_rng(3).uniform(-0.002, 0.002, len(mosaics))
    for clustering, table in (
        ("k-means", _TRUE if sign > 0 else _TURNED),
        ("shuffled", _TURNED if sign > 0 else _TRUE),
    ):
        chosen = made_up.rows(mosaics, clustering=clustering, **where)
        share = np.array([table[pair] for pair in zip(mosaics["first"], mosaics["second"])])
        mosaics.loc[chosen, "value"] = (share + jitter)[chosen]
    for rank, cluster in enumerate(_ORDER[sign]):
        few = (0.4, 0.3, 0.2, 0.1)[rank if sign > 0 else 3 - rank]
        made_up.put(shares, "training_share", few, cluster=cluster, **where)
        made_up.put(shares, "representation", 4 * few, cluster=cluster, **where)
        made_up.put(images, "training_distance", 1 - few, cluster=cluster, **where)
    # a wins the more, the larger its index: dominance rises with it; outputs too, or they are highest at both ends
    chosen = made_up.rows(pairs, **where)
    pairs.loc[chosen, "value"] = (0.5 - (pairs["b"] - pairs["a"]) / 1000)[chosen]
    place = images["index"] % 1000
    middle = 3 * (PAIRED - 1) / 2
    said = place if sign < 0 else (place - middle).abs()
    chosen = made_up.rows(images, **where)
    for name in single.OUTPUTS:
        images.loc[chosen, name] = said.astype(float)[chosen]


def by_claim(of):
    rows = verdicts.verdicts(of)
    return rows.set_index(rows["claim"].str.removeprefix("dominance-"))


@pytest.fixture
def found(hierarchies_of):
    """Function (frames, networks) -> verdicts by claim, without the beginning that all ids share."""

    def decide(frames, networks=NETWORKS):
        return by_claim(hierarchies_of(frames, networks))

    return decide


def of_kind(rows, kind):
    own = rows[rows.index.str.endswith(f"-{kind}")]
    return own.set_index(own.index.str.removesuffix(f"-{kind}"))


@pytest.mark.filterwarnings("error")
def test_a_planted_truth_decides_every_claim_of_each_kind_of_fine_tuned_network(found, made_up):
    """Of one kind all claims hold, of the other all reverse."""
    frames = made(made_up)
    plant(made_up, frames, 1, kind="tuned-resnet18")
    plant(made_up, frames, -1, kind="tuned-resnet50")
    rows = found(frames)
    assert len(rows) == 2 * len(CLAIMS)
    for kind, reason, n_seeds in (("tuned-resnet18", "holds", 2), ("tuned-resnet50", "reverses", 1)):
        own = of_kind(rows, kind)
        columns = ["section", "metric", "better", "a", "b", "unit"]
        assert {name: tuple(row) for name, row in own[columns].iterrows()} == CLAIMS
        assert own["reason"].to_dict() == dict.fromkeys(CLAIMS, reason)
        assert (np.sign(own["difference"]) == (1 if reason == "holds" else -1)).all()
        assert (
            set(own["method"]) == {kind} and set(own["paper"]) == {"dominance"} and set(own["dataset"]) == {"planted"}
        )
        over_classes = own[own["unit"] == "class"]
        assert (over_classes["n_classes"] == len(LABELS)).all() and (over_classes["n_seeds"] == n_seeds).all()
        over_images = own[own["unit"] == "image"]
        assert (over_images["n_images"] == len(LABELS) * PAIRED).all()
        assert (over_images["test"] == "bootstrap over images").all()
    np.testing.assert_allclose(rows["p_holm"], statistics.holm(rows["p_value"]))  # over both kinds
    assert (rows["p_holm"] > rows["p_value"]).any()


def test_differences_are_those_of_the_results(made_up, hierarchies_of):
    frames = made(made_up, missing=0.1)
    made_up.put(frames["mosaics"], "value", NAN, label="bird", kind="tuned-resnet18", clustering="k-means")
    of = hierarchies_of(frames, NETWORKS)
    rows, spread, least = by_claim(of), hierarchies.spread(of), training.least(of)
    shares = training.over_classes(of).set_index(["kind", "share"])

    def mean(frame, column, kind):
        """Over networks, then over classes."""
        here = frame[frame["kind"] == kind]
        return np.nanmean(
            [here.loc[here["label"] == label, column].mean() for label in LABELS if label in set(here["label"])]
        )

    for kind in KINDS:
        own = of_kind(rows, kind)
        with_value = spread[spread["label"] != "bird"] if kind == "tuned-resnet18" else spread
        by_clustering = dict(iter(with_value.groupby("clustering")))
        assert own.loc["clusters", "difference"] == pytest.approx(
            mean(by_clustering["k-means"], "spread", kind) - mean(by_clustering["shuffled"], "spread", kind)
        )
        cyclic = by_clustering["k-means"].assign(share=lambda rows: rows["cyclic"] / rows["triples"])
        assert own.loc["hierarchy", "difference"] == pytest.approx(0.25 - mean(cyclic, "share", kind))
        n = len(LABELS) - (kind == "tuned-resnet18")
        assert (own.loc[own["unit"] == "class", "n_classes"] == n).all()
        for name in training.SHARES:
            row = shares.loc[(kind, name)]
            sign = -1 if name == "training_distance" else 1
            assert own.loc[name, "difference"] == pytest.approx(sign * row["correlation"])
            assert own.loc[name, "p_value"] == row["p_value"]
            assert own.loc[name, "test"] == "permutation within classes"
            assert (own.loc[name, "low"], own.loc[name, "high"]) == pytest.approx(
                tuple(sorted((sign * row["low"], sign * row["high"])))
            )
        below = least.assign(below=least["chance"] - least["share_of_least"])
        assert own.loc["least", "difference"] == pytest.approx(mean(below, "below", kind))
        for name in single.OUTPUTS:
            value, draws = single.strength(of, kind, name)
            assert own.loc[name, "difference"] == pytest.approx(0.3 - value)
            low, high = np.quantile(0.3 - draws, [0.025, 0.975])
            assert (own.loc[name, "low"], own.loc[name, "high"]) == pytest.approx((low, high))


def test_texts_say_what_is_measured_and_what_is_printed(found, made_up):
    networks = NETWORKS[:1]
    text = of_kind(found(made(made_up, networks), networks), "tuned-resnet18")["text"]
    assert all(words.endswith(".") and "  " not in words for words in text)
    assert "further from 0.5 than with images dealt to the clusters at random" in text["clusters"]
    assert "fewer triples go round than the quarter that does by chance" in text["hierarchy"]
    assert "the highest cannot be directly related" in text["training_share"]  # §4
    assert "A reading of ours" in text["representation"]
    assert "Not in print as a measurement" in text["training_distance"]
    assert "less than its equal share" in text["least"] and "three images" in text["least"]
    assert "with their logit:" in text["logit"] and "with their probability:" in text["probability"]
    assert "on average weaker than 0.3" in text["logit"] and "a bound of ours" in text["logit"]


@pytest.mark.filterwarnings("error")
def test_one_class_and_no_values_decide_nothing(found, made_up, hierarchies_of):
    networks = NETWORKS[:1]
    frames = made_up.frames(networks, labels=("cat",), sizes=(2, 1))
    rows = of_kind(found(frames, networks), "tuned-resnet18")
    over_classes = rows[rows["unit"] == "class"]
    assert set(over_classes["reason"]) == {"undecided (no interval)"}
    assert np.isnan(rows.loc["hierarchy", "difference"])  # two clusters have no triple
    frames = made(made_up, networks)
    for part in ("mosaics", "pairs"):
        made_up.put(frames[part], "value", NAN)
    rows = found(frames, networks)
    assert set(rows["reason"]) == {"undecided (no interval)"} and rows["difference"].isna().all()
    assert rows["p_holm"].isna().all()


def test_networks_that_are_not_fine_tuned_have_no_claims(found, made_up, hierarchies_of):
    networks = (("tuned", 0), ("ce", 0), ("scl", 0), ("tl", 0))
    frames = made_up.frames(networks, labels=("cat", "bird"), clusterings=("k-means", "shuffled"))
    rows = found(frames, networks)
    assert set(rows["method"]) == {"tuned"} and len(rows) == len(CLAIMS)


@pytest.fixture
def rare(made_up, monkeypatch):
    """Function (rows of made_up.rare) -> verdicts by claim."""

    def decide(rows):
        monkeypatch.setattr(experiment, "rare_clusters", lambda run: rows)
        found = verdicts.rarity_verdicts(replace(made_up.run(), label=f"verdicts {next(numbers)}"))
        return found.set_index(found["claim"].str.removeprefix("dominance-rare-"))

    return decide


RIVALS = {
    "random": "a cluster chosen at random",
    "logit": "the cluster with the lowest mean logit",
    "probability": "the cluster with the lowest mean probability",
    "training distance": "the cluster with the largest distance to the training images",
    "representation": (
        "the cluster with the lowest ratio of training to evaluation share, which needs the training images"
    ),
}


@pytest.mark.parametrize(("sign", "reason"), [(1, "holds"), (-1, "reverses")])
def test_planted_rare_modes_decide_every_claim(rare, made_up, sign, reason):
    rows = made_up.rare()
    best = rows.groupby(["seed", "label", "clustering"])["rare_mode_in"].transform("max") == rows["rare_mode_in"]
    rows["dominance"] = 1.0 - best if sign > 0 else best.astype(float)
    for name, way in (("logit", -1), ("probability", -1), ("representation", -1), ("training_distance", 1)):
        rows[name] = -sign * way * best.astype(float)
    found = rare(rows)
    assert set(found.index) == {
        f"{clustering}-{rival.replace(' ', '-')}" for clustering in ("modes", "k-means") for rival in RIVALS
    }
    assert set(found["reason"]) == {reason}
    assert set(found["unit"]) == {"seed"} and (found["n_seeds"] == 6).all() and set(found["test"]) == {"t over seeds"}
    assert set(found["a"]) == {"dominance"} and set(found["better"]) == {"higher"}
    expected = [(sign > 0) - (0.2 if rival == "random" else float(sign < 0)) for rival in found["b"]]
    np.testing.assert_allclose(found["difference"], expected)
    for row in found.to_dict("records"):
        assert row["text"] == (
            "The least dominant cluster holds the mode that is rare in training (1 to 10 %) more often than "
            f"{RIVALS[row['b']]}. A test of ours."
        )
        assert row["method"] == (
            "the planted modes as clusters" if "-modes-" in row["claim"] else "clusters by K-means"
        )
    np.testing.assert_allclose(found["p_holm"], statistics.holm(found["p_value"]))


def test_rare_modes_of_few_trainings_decide_nothing(rare, made_up):
    found = rare(made_up.rare(trainings=4))
    assert set(found["reason"]) == {"undecided (seeds)"} and found["p_holm"].isna().all()
