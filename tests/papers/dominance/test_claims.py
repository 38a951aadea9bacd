import numpy as np
import pandas as pd
import pytest

from xai_lib import statistics
from xai_lib.papers.dominance import claims
from xai_lib.papers.dominance.analysis import hierarchies, rarity, single, training

NAN = float("nan")
KINDS = ("tuned-resnet18", "tuned-resnet50")
NETWORKS = ((KINDS[0], 0), (KINDS[0], 1), (KINDS[1], 0), ("untrained-resnet18", 0), ("ce", 0))
LABELS = ("truck", "bird", "ship", "cat", "deer")
PAIRED = 56
FIGURES, SINGLE = "4, Figures 4-5", "abstract and 4, Figure 3"
SHARE, RATIO = training.SHARES["training_share"], training.SHARES["representation"]
# What each claim says, read off the paper: section, metric, direction, a, b, unit, whether it is ours.
CLAIMS = {
    "clusters": ("4, Figure 2", "spread", "higher", "clusters", "dealt", "class", False),
    "similar": ("4, Figure 2, example 3", "similar", "higher", "similar", "dealt", "class", False),
    "nearest": ("4, Figure 2, example 3", "nearest", "lower", "nearest", "dealt", "class", False),
    "hierarchy": ("3.4", "cyclic_share", "lower", "hierarchy", "dealt", "class", True),
    "coherence": ("3.1", "adjusted Rand index", "higher", "clusters", "dealt", "class", False),
}
for name, better, ours in (
    ("training_share", "higher", False), ("representation", "higher", True), ("training_distance", "lower", False)
):  # fmt: skip
    what = training.SHARES[name]
    CLAIMS[name] = ("abstract and 4, Figures 4-5", what, better, "dominance", what, "class", ours)
for rank, better in (("least", "lower"), ("lowest two", "lower"), ("same", "higher"), ("most", "higher")):
    named = rank.replace(" ", "-")
    CLAIMS[named] = (FIGURES, SHARE, better, rank, "dealt", "class", rank == "most")
    CLAIMS[f"ours-{named}"] = (FIGURES, RATIO, better, rank, "dealt", "class", True)
for name in ("logit", "probability"):
    said = SINGLE, f"{name}, mean correlation", "lower", "correlation", "0.3", "image"
    CLAIMS |= {name: (*said, False), f"whole-{name}": (*said, True)}
for other in ("eigen-cam", "excitation-backprop", "gradient"):
    CLAIMS[f"focus-{other}"] = ("4", "Focus", "higher", "grad-cam", other, "image", False)
UNTRAINED = ("", "logit, mean correlation", "higher", "trained", "untrained", "image", True)
UNTRAINED = {f"untrained-{size}": UNTRAINED for size in ("rescaled", "whole")}


@pytest.fixture
def made(made_up):
    """Function (networks) -> frames of five classes of 60 images."""
    given = {"labels": LABELS, "sizes": (20, 16, 14, 10), "clusterings": ("k-means",), "paired": PAIRED}
    return lambda networks=NETWORKS, **more: made_up.frames(networks, **given, **more)


def plant(made_up, frames, sign, **where):
    """Let the paper's claims be true, or turned round, in one kind of network."""
    gaps = {(a, b): b - a for a in range(4) for b in range(a + 1, 4)}
    real, shuffled = (0.06, 0.005)[::sign]
    mosaics, control, centres = (frames[name] for name in ("mosaics", "dealt", "centres"))
    jitter = np.random.default_rng(3).uniform(-0.002, 0.002, len(mosaics))
    for frame, column, step in ((mosaics, "value", real), (control, "dominance", -shuffled)):
        away = pd.Series([step * gaps[pair] for pair in zip(frame["first"], frame["second"])])
        made_up.put(frame, column, 0.5 + away + (jitter if frame is mosaics else 0), **where)
    # the further apart centres are, the further is dominance from 0.5 (in dealt clusters the nearer), or turned round
    gap = pd.Series([gaps[pair] for pair in zip(centres["first"], centres["second"])])
    made_up.put(centres, "distance", sign * gap, **where)
    if sign > 0:
        near = pd.Series([0.02 - 0.005 * gaps[pair] for pair in zip(control["first"], control["second"])])
        made_up.put(control, "dominance", 0.5 - near, **where)
    else:
        near = pd.Series([0.4 - 0.06 * gaps[pair] for pair in zip(control["first"], control["second"])])
        made_up.put(control, "dominance", 0.5 - near, **where)
        made_up.put(mosaics, "value", 0.8, first=0, second=3, **where)  # of which centres are nearest
    for few, cluster in zip((0.4, 0.3, 0.2, 0.1)[::sign], range(4)):
        made_up.put(frames["shares"], "training_share", few, cluster=cluster, **where)
        made_up.put(frames["shares"], "representation", 4 * few, cluster=cluster, **where)
        made_up.put(frames["images"], "training_distance", 1 - few, cluster=cluster, **where)
    # a wins the more, the larger its index: dominance rises with it; outputs too, or they are highest at both ends
    pairs, place = frames["pairs"], frames["images"]["index"] % 1000
    made_up.put(pairs, "value", 0.5 - (pairs["b"] - pairs["a"]) / 1000, **where)
    for name in single.OUTPUTS:
        made_up.put(frames["images"], name, 1.0 * place if sign < 0 else (place - 3 * (PAIRED - 1) / 2).abs(), **where)
    focus = frames["focus"]
    made_up.put(
        focus, "value", 0.5 + 0.2 * sign * (focus["explainer"] == "grad-cam") + 0.001 * focus["mosaic"], **where
    )


def by_claim(rows):
    return rows.set_index(rows["claim"].str.removeprefix("dominance-"))


def of_kind(rows, kind):
    own = rows[rows.index.str.endswith(f"-{kind}")]
    return own.set_index(own.index.str.removesuffix(f"-{kind}"))


@pytest.mark.filterwarnings("error")
def test_a_planted_truth_decides_the_papers_claims_of_each_kind_of_fine_tuned_network(study_of, made_up, made):
    """Of one kind they hold, of the other they reverse; networks that are not fine-tuned have none."""
    frames = made(missing=0)
    for kind, sign in zip(KINDS, (1, -1)):
        plant(made_up, frames, sign, kind=kind)
    table = claims.verdicts(study_of(frames, NETWORKS))
    rows = by_claim(table)
    assert (rows[["paper", "dataset"]] == ["dominance", "planted"]).all(axis=None)
    few = {"lowest-two", "focus-eigen-cam", "focus-excitation-backprop", "focus-gradient", "coherence"}
    for kind, verdict, n_seeds in zip(KINDS, ("holds", "reverses"), (2, 1)):
        own, asked = of_kind(rows, kind), CLAIMS | (UNTRAINED if kind == KINDS[0] else {})
        columns = ["section", "metric", "better", "a", "b", "unit", "ours"]
        assert {name: tuple(row) for name, row in own[columns].iterrows()} == asked
        decided = ["clusters", "similar", "training_share", "least", "logit", "probability"]
        assert own.loc[decided, "verdict"].to_dict() == dict.fromkeys(decided, verdict)
        paper = own[~own["ours"]].drop(index=[*few - {"lowest-two"}])
        assert (np.sign(paper["difference"]) == (1 if verdict == "holds" else -1)).all()
        over_classes, over_images = own[own["unit"] == "class"], own[own["unit"] == "image"]
        assert (over_classes[["n_classes", "n_seeds"]] == [len(LABELS), n_seeds]).all(axis=None)
        networks = "this network" if n_seeds == 1 else f"these {n_seeds} networks"
        assert set(over_classes["scope"]) == {f"{networks}, these 5 classes"}
        assert over_images["scope"].str.startswith(networks).all()
    np.testing.assert_allclose(rows["p_holm"], statistics.holm(rows["p_value"]))  # over both kinds
    text = rows["text"]
    assert all(words.endswith(".") and "  " not in words for words in text)
    found = statistics.verdicts.sentences(table)  # a sentence counts once, whatever the networks and comparisons
    assert sorted(found["comparisons"]) == [1, 2, 2, 2, 2, 4, 4, 6, 6]


def test_differences_are_those_of_the_results(study_of, made_up, made):
    frames = made(missing=0.1)
    study = study_of(frames, NETWORKS)
    rows, spread = by_claim(claims.verdicts(study)), hierarchies.spread(study)
    shares = training.over_classes(study).set_index(["kind", "share"])
    ends = training.ranks_in_numbers(study).set_index(["kind", "share", "rank"])

    def mean(frame, column):
        """Over networks, then over classes."""
        return np.nanmean([here[column].mean() for _, here in frame[frame["kind"] == kind].groupby("label")])

    for kind in KINDS:
        own = of_kind(rows, kind)
        found, control = (spread[spread["clustering"] == name] for name in ("k-means", "dealt"))
        expected = mean(found, "spread") - mean(control, "spread")
        assert own.loc["clusters", "difference"] == pytest.approx(expected)
        for name in training.SHARES:
            row, claim = shares.loc[(kind, name)], own.loc[name]
            sign = -1 if name == "training_distance" else 1
            assert claim["difference"] == pytest.approx(sign * row["correlation"])
            assert (claim["p_value"], claim["test"]) == (row["p_value"], "permutation within classes")
            assert -1 <= claim["low"] < claim["difference"] < claim["high"] <= 1
        for name, share in (("least", "training_share"), ("ours-least", "representation")):
            assert own.loc[name, "difference"] == pytest.approx(-ends.loc[(kind, share, "least"), "difference"])
        for name in single.OUTPUTS:
            value, draws = single.mean_correlation(study, kind, name)
            level = own.loc[name, "level"]
            expected = (0.3 - abs(value), *np.quantile(0.3 - np.abs(draws), [(1 - level) / 2, (1 + level) / 2]))
            assert tuple(own.loc[name, ["difference", "low", "high"]]) == pytest.approx(expected)
    trained, untrained = (single.mean_correlation(study, kind, "logit") for kind in (KINDS[0], "untrained-resnet18"))
    row = of_kind(rows, KINDS[0]).loc["untrained-rescaled"]
    assert row["difference"] == pytest.approx(trained[0] - untrained[0])
    over = np.subtract(trained[1], untrained[1])  # resamples of the same images
    assert row["p_value"] == pytest.approx(max(1 / 2000, 2 * min((over <= 0).mean(), (over >= 0).mean())))


@pytest.mark.filterwarnings("error")
def test_one_class_and_no_values_decide_nothing(study_of, made_up, made):
    frames = made_up.frames(NETWORKS[:1], labels=("cat",), sizes=(2, 1))
    rows = of_kind(by_claim(claims.verdicts(study_of(frames, NETWORKS[:1]))), KINDS[0])
    assert (rows["verdict"] == "undecided").drop(rows.index[rows["unit"] == "image"]).all()
    assert np.isnan(rows.loc["hierarchy", "difference"])  # two clusters have no triple
    frames = made(NETWORKS[:1])
    for part in ("mosaics", "pairs", "focus"):
        made_up.put(frames[part], "value", NAN)
    made_up.put(frames["dealt"], "dominance", NAN)
    rows = of_kind(by_claim(claims.verdicts(study_of(frames, NETWORKS[:1]))), KINDS[0]).drop(index="coherence")
    assert set(rows["reason"]) == {"undecided (no interval)"}
    assert rows[["difference", "p_holm"]].isna().all(axis=None)


def test_on_images_without_modes_nothing_is_asked_about_them(study_of, made):
    frames = made(NETWORKS[:1])
    del frames["images"]["mode"]
    assert "coherence" not in of_kind(by_claim(claims.verdicts(study_of(frames, NETWORKS[:1]))), KINDS[0]).index


@pytest.mark.parametrize(("sign", "reason"), [(1, "holds"), (-1, "reverses")])
def test_planted_rare_modes_decide_every_claim(rare_run, made_up, sign, reason):
    rows = made_up.rare()
    rows["rare_share"] = 1.0 * (rows["cluster"] == 2)
    best = (rows["cluster"] == 2) & (rows["rarity"] < 0.2)  # all others are the same
    rows["dominance"] = (1.0 - best) if sign > 0 else best.astype(float)
    for name, way in (("logit", -1), ("probability", -1), ("representation", -1), ("training_distance", 1)):
        rows[name] = -sign * way * best.astype(float)
    found = claims.rarity_verdicts(rare_run(rows))
    assert len(found) == 2 * 6 + 6 and found["ours"].all()
    assert (found["reason"] == reason).all() and set(found["method"]) == {rarity.said(*d) for d in rarity.DESIGNS}
    half = found["b"].isin(["random", rarity.NOT_RARE])
    assert found["difference"].abs().tolist() == pytest.approx(np.where(half, 0.5, 1.0).tolist())
    assert found["text"].str.contains("that is rare in training (1 to 10 %)", regex=False).all()
    columns = ["unit", "n_seeds", "test", "a", "better"]
    assert (found[columns] == ["seed", 6, "t over trainings", "dominance", "higher"]).all(axis=None)
    np.testing.assert_allclose(found["p_holm"], statistics.holm(found["p_value"]))
