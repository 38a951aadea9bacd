from collections import defaultdict
from statistics import fmean

import numpy as np
import pytest

from xai_lib.papers.whole_output.analysis import printed

NAN = float("nan")
OURS = ("cwox-1sa-fine", "random")  # rows that print lacks
# Typed off the paper's Tables 1 to 3.
PRINTED = {
    "cauc": (
        1e-3,
        {
            ("resnet50", "grad-cam"): {"swox": 7.54, "cwox-1sa": 7.19, "cwox-1sb": 7.68, "cwox-2s": 5.78},
            ("resnet50", "rise"): {"swox": 5.18, "cwox-1sa": 4.65, "cwox-1sb": 4.96, "cwox-2s": 4.08},
            ("googlenet", "grad-cam"): {"swox": 5.93, "cwox-1sa": 5.37, "cwox-1sb": 6.12, "cwox-2s": 4.47},
            ("googlenet", "rise"): {"swox": 3.36, "cwox-1sa": 3.12, "cwox-1sb": 3.24, "cwox-2s": 2.78},
        },
    ),
    "cdrop": (
        1e-2,
        {
            ("resnet50", "grad-cam"): {"swox": 6.84, "cwox-1sa": 7.01, "cwox-1sb": 5.22, "cwox-2s": 8.21},
            ("resnet50", "rise"): {"swox": 8.19, "cwox-1sa": 8.35, "cwox-1sb": 7.01, "cwox-2s": 8.97},
            ("googlenet", "grad-cam"): {"swox": 6.56, "cwox-1sa": 6.59, "cwox-1sb": 5.05, "cwox-2s": 7.64},
            ("googlenet", "rise"): {"swox": 7.68, "cwox-1sa": 7.73, "cwox-1sb": 6.32, "cwox-2s": 8.32},
        },
    ),
}
TABLE_3 = {  # salient pixels, CAUC in thousandths, CDROP in hundredths
    ("resnet50", "grad-cam"): (2029, 3.11, 8.01),
    ("resnet50", "excitation-backprop"): (4194, 3.12, 7.37),
    ("resnet50", "lime"): (2464, 3.40, 4.89),
    ("resnet50", "rise"): (1282, 3.07, 8.97),
    ("googlenet", "grad-cam"): (2181, 1.80, 7.46),
    ("googlenet", "excitation-backprop"): (3026, 1.77, 5.85),
    ("googlenet", "lime"): (2351, 1.92, 3.64),
    ("googlenet", "rise"): (1105, 1.72, 8.32),
}


@pytest.fixture
def frames(made_up):
    return made_up.frames(n_images=5)


def mean_over_images(frame, **where):
    """Pair -> image and network -> image -> all, in plain Python."""
    pairs, images = defaultdict(list), defaultdict(list)
    for row in frame.to_dict("records"):
        if all(row[name] == value for name, value in where.items()) and not np.isnan(row["value"]):
            pairs[row["index"], row["network"]].append(row["value"])
    for (index, _), values in pairs.items():
        images[index].append(fmean(values))
    return fmean(map(fmean, images.values()))


@pytest.mark.parametrize("metric", PRINTED)
def test_each_network_stands_beside_its_own_print(study_of, made_up, metric):
    rows = printed.methods(study_of(made_up.frames(made_up.PRINTED, n_images=3), made_up.PRINTED), metric)
    assert len(rows) == 2 * 4 * 6 and set(rows["metric"]) == {metric}
    unit, cells = PRINTED[metric]
    for row in rows.to_dict("records"):
        value = cells.get((row["model"], row["base"]), {}).get(row["method"], NAN) * unit
        assert row["published"] == pytest.approx(value, nan_ok=True), row
        assert row["difference"] == pytest.approx(row["mean"] - value, nan_ok=True)
    assert rows["published"].notna().sum() == 16
    assert rows["model"].unique().tolist() == ["resnet50", "googlenet"]


@pytest.mark.parametrize("metric", PRINTED)
def test_networks_of_our_own_stand_beside_resnet_50(study_of, made_up, frames, metric):
    rows = printed.methods(study_of(frames), metric)
    assert set(rows["model"]) == {""} and len(rows) == 4 * 6
    unit, cells = PRINTED[metric]
    for row in rows.to_dict("records"):
        value = cells.get(("resnet50", row["base"]), {}).get(row["method"], NAN) * unit
        assert row["published"] == pytest.approx(value, nan_ok=True), row
    assert rows.loc[rows["method"].isin(OURS), "printed"].eq("").all()
    assert (rows["better"][rows["published"].notna()] == {"cauc": "lower", "cdrop": "higher"}[metric]).all()
    assert rows["n_seeds"].unique().tolist() == [2] and rows["n_images"].unique().tolist() == [5]


@pytest.mark.parametrize(("networks", "model"), [("OURS", ""), ("PRINTED", "googlenet"), ("PRINTED", "resnet50")])
def test_table_3_has_a_row_a_base_and_metric(study_of, made_up, networks, model):
    networks = getattr(made_up, networks)
    rows = printed.bases(study_of(made_up.frames(networks, n_images=3), networks))
    rows = rows[rows["model"] == model]
    assert rows["metric"].tolist() == [name for name in ("salient-pixels", "cauc", "cdrop") for _ in range(4)]
    assert rows["base"].tolist() == ["grad-cam", "excitation-backprop", "lime", "rise"] * 3
    found = rows.set_index(["metric", "base"])["published"]
    for (name, base), (pixels, cauc, cdrop) in TABLE_3.items():
        if name == (model or "resnet50"):
            values = [found["salient-pixels", base], found["cauc", base], found["cdrop", base]]
            assert values == pytest.approx([pixels, cauc * 1e-3, cdrop * 1e-2])


def test_table_3_is_of_cwox_2s_with_the_cauc_between_bases(study_of, made_up, frames):
    made_up.put(frames["paper"], 0.25, metric="cauc-bases", base="lime")
    made_up.put(frames["paper"], 9.0, metric="cauc")
    made_up.put(frames["paper"], 123.0, metric="salient-pixels", base="rise", method="cwox-2s")
    made_up.put(frames["paper"], 9e9, metric=("salient-pixels", "cdrop"), method=("swox", "random", *OURS))
    rows = printed.bases(study_of(frames)).set_index(["metric", "base"])
    assert rows.loc[("cauc", "lime"), "mean"] == pytest.approx(0.25)
    assert rows.loc[("salient-pixels", "rise"), "mean"] == pytest.approx(123)
    assert rows["mean"].max() < 1000 and rows.loc["cauc", "mean"].max() < 1


def test_an_image_counts_once_however_many_pairs_it_has(study_of, made_up, frames):
    """Images 0 and 3 have five pairs, the others two; the numbers are those of a plain loop."""
    paper, here = frames["paper"], {"metric": "cauc", "base": "rise", "method": "cwox-2s"}
    made_up.put(paper, 1.0, index=0, **here)
    made_up.put(paper, NAN, index=3, class_=(0, 2, 3), network="seed 0", **here)
    made_up.put(paper, NAN, index=4, network="seed 1", **here)
    [row] = printed.methods(study_of(frames), "cauc").query("base == 'rise' and method == 'cwox-2s'").to_dict("records")
    assert row["mean"] == pytest.approx(mean_over_images(paper, **here))
    rows = paper[made_up.rows(paper, **here)]
    assert abs(rows["value"].mean() - row["mean"]) > 0.05  # what a mean over pairs would be
    assert row["n_images"] == 5 and row["n_undefined"] == 1  # image 4 of one network


def test_a_method_whose_maps_are_all_degenerate_has_no_mean(study_of, made_up, frames):
    made_up.put(frames["paper"], NAN, metric=("cauc", "cdrop"), base="lime", method="cwox-1sb")
    rows = printed.methods(study_of(frames), "cdrop").set_index(["base", "method"])
    row = rows.loc[("lime", "cwox-1sb")]
    assert np.isnan(row["mean"]) and (row["n_images"], row["n_undefined"]) == (0, 10)
    assert rows["mean"].notna().sum() == 23


def test_the_released_variant_has_scores_of_its_own(study_of, made_up, frames):
    made_up.put(frames["released"], 0.5, metric=("cauc", "cdrop", "cauc-bases"))
    study = study_of(frames)
    assert printed.methods(study, "cauc", "released")["mean"].unique().tolist() == [0.5]
    assert printed.bases(study, "released").query("metric != 'salient-pixels'")["mean"].unique().tolist() == [0.5]
    assert printed.methods(study, "cauc")["mean"].max() < 0.1


def test_the_observer_has_the_papers_methods_and_nothing_of_the_study_with_people(study_of, made_up, frames):
    made_up.put(frames["paper"], 0.75, metric="matching-accuracy", base="lime", method="cwox-1sa")
    made_up.put(frames["paper"], 9.0, metric="matching-margin")
    made_up.put(frames["paper"], NAN, metric="matching-accuracy", base="rise", method="swox", index=2)
    rows = printed.matching(study_of(frames))
    assert rows["method"].tolist() == ["swox", "cwox-1sa", "cwox-1sb", "cwox-2s"] * 4
    assert not {"published", "printed", "difference"} & set(rows)
    found = rows.set_index(["base", "method"])
    assert found.loc[("lime", "cwox-1sa"), "mean"] == pytest.approx(0.75)
    assert found.loc[("rise", "swox"), ["n_images", "n_undefined"]].tolist() == [4, 2]
    assert rows["mean"].max() < 1


def test_without_an_observer_there_are_no_rows(study_of, made_up):
    rows = printed.matching(study_of(made_up.frames(n_images=2, observed=False)))
    assert rows.empty and {"model", "base", "method", "mean", "low", "high", "n_images"} <= set(rows)


def test_people_are_as_printed():
    rows = printed.people().set_index(["group", "metric", "method"])
    assert rows["printed"].to_dict() == {
        ("expert", "matching-accuracy", "swox"): "0.45 ± 0.048",
        ("expert", "matching-accuracy", "cwox-1sb"): "0.57 ± 0.088",
        ("expert", "matching-accuracy", "cwox-2s"): "0.83 ± 0.092",
        ("expert", "rated-confidence", "swox"): "1.60 ± 0.241",
        ("expert", "rated-confidence", "cwox-1sb"): "2.60 ± 0.241",
        ("expert", "rated-confidence", "cwox-2s"): "3.60 ± 0.237",
        ("non-expert", "matching-accuracy", "swox"): "0.40 ± 0.075",
        ("non-expert", "matching-accuracy", "cwox-1sb"): "0.51 ± 0.102",
        ("non-expert", "matching-accuracy", "cwox-2s"): "0.75 ± 0.119",
        ("non-expert", "rated-confidence", "swox"): "1.40 ± 0.108",
        ("non-expert", "rated-confidence", "cwox-1sb"): "2.80 ± 0.172",
        ("non-expert", "rated-confidence", "cwox-2s"): "3.40 ± 0.163",
    }
    for value, spread, text in rows[["value", "spread", "printed"]].itertuples(index=False):
        assert text == f"{value:.2f} ± {spread:.3f}"
