import io
import math
from pathlib import Path

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from xai_lib.page.names import METHOD_NAMES, METRIC_NAMES
from xai_lib.page.table import interval, number
from xai_lib.papers.saliency import claims, example, tables
from xai_lib.papers.saliency.analysis import evidence, printed
from xai_lib.papers.saliency.method import lineup

NAN = float("nan")
RECORDED = Path(__file__).parents[3] / "book/recorded/saliency/laptop-cifar10-jpeg"
EXAMPLE = tuple(example._METHODS.split(", "))


def filled(rows, *columns):
    """Blanks of repeated labels filled in, as index."""
    for column in columns:
        rows[column] = rows[column].mask(rows[column] == "").ffill()
    return rows.set_index(list(columns))


@pytest.fixture
def frames(made_up):
    return made_up.frames(n_images=6)


def test_networks_have_accuracy_and_confidence(study_of, made_up, read):
    """Of four images the first network gets three right; the predicted class is the most probable."""
    frames = made_up.frames(("lime", "random"), n_images=4, n_seeds=2)
    for target, values in (("ground-truth", (0.9, 0.8, 0.7, 0.2)), ("predicted", (0.9, 0.8, 0.7, 0.6))):
        for index, value in enumerate(values):
            made_up.put(frames["fidelity"], value, metric="probability", target=target, index=index)
    made_up.put(frames["fidelity"], 0.9, metric="probability", target="ground-truth", index=1, seed=1)
    made_up.put(frames["fidelity"], 1e-5, metric="probability", target="least-probable")
    made_up.put(frames["fidelity"], 0, metric="probability", method="random")
    rows = read(tables.networks(study_of(frames)))
    assert rows.loc[0].tolist() == ["seed 0", "4", "75.0", "0.650", "0.750", "1.0e-05"]
    assert rows.loc[1].tolist() == ["seed 1", "4", "50.0", "0.675", "0.750", "1.0e-05"]


def test_methods_are_listed_with_where_they_belong(study_of, frames, read):
    rows = read(tables.methods(study_of(frames))).set_index("name in the library")
    assert rows.index.tolist() == list(lineup.ALL)
    kinds = dict.fromkeys(lineup.PAPER, "Table 1") | dict.fromkeys(lineup.CONTROLS, "control")
    assert rows["in the paper"].to_dict() == {name: kinds.get(name, "beyond") for name in lineup.ALL}
    assert rows.loc["rise", "settings"] == "n_masks 8" and rows.loc["grad-cam", "settings"] == "–"
    assert rows.loc["fake-cam", "explains"] == "no class" and rows.loc["rise", "explains"] == "probability"
    assert rows.loc["grad-cam", "family"] == "class activation map"


def test_metrics_are_listed_with_direction_and_range(read):
    rows = read(tables.metrics()).set_index("name in the library")
    assert rows.index.tolist() == list(lineup.METRICS)
    assert rows.loc["average-drop", ["better", "range"]].tolist() == ["lower", "0 to 1"]
    assert rows.loc["monotonicity", ["better", "range"]].tolist() == ["higher", "-1 to 1"]
    assert rows.loc["completeness", "range"] == "0 to ∞"


def test_cost_is_an_images(study_of, frames, read):
    rows = read(tables.cost(study_of(frames)))
    assert rows["method"].tolist() == [METHOD_NAMES[name] for name in lineup.ALL]
    assert rows.iloc[0, 1:].tolist() == ["1,000", "2.00", "3.00"]


def test_table_1_has_print_as_printed_and_in_our_unit(study_of, frames, made_up, read):
    made_up.put(frames["fidelity"], NAN, metric="average-drop", method="grad-cam", index=(1, 2))
    study = study_of(frames)
    rows, ours = read(tables.table_1(study)), printed.table_1(study)
    assert (len(rows), len(ours)) == (7 * 10, 7 * 23)  # Monotonicity in two readings
    assert rows["metric"].tolist()[:11] == ["AI ↑", *[""] * 9, "AD ↓"]
    row = filled(rows, "metric").loc["AD ↓"].set_index("method").loc["Grad-CAM"]
    mean = ours.set_index(["metric", "method"]).loc[("average-drop", "grad-cam")]
    assert row["paper, in our unit (as printed)"] == "0.124 (87.6)"
    assert row["here"] == f"{mean['mean']:.3f}" and row["undefined maps"] == "2"
    assert row["rank here; in print"] == f"{mean['rank']:g}; 3"
    assert row["95 % interval"] == interval()(mean["low"], mean["high"])
    there = made_up.rows(
        frames["fidelity"], metric="average-drop", method="grad-cam", index=(0, 3, 4), target="ground-truth"
    )
    there &= frames["fidelity"]["reading"] == "absolute"
    assert row["authors' tools; ours, same images"] == f"0.500; {frames['fidelity'].loc[there, 'value'].mean():.3f}"
    assert not any("difference" in name for name in (*rows, *ours))
    printed_twice = ours.set_index(["method", "metric"])["published"].unstack()
    assert (printed_twice["monotonicity"].dropna() == printed_twice["monotonicity-quantus"].dropna()).all()
    assert "Kendall's τ of the two orders of ten methods: AI" in rows.attrs["caption"]


@pytest.mark.parametrize(("n_seeds", "networks"), [(1, "1 network"), (2, "2 networks")])
@pytest.mark.parametrize("name", ["table_1", "table_2", "table_3", "table_4"])
def test_captions_count_networks_and_images(study_of, name, n_seeds, networks, made_up, read):
    frames = made_up.frames(lineup.PAPER, n_images=3, n_seeds=n_seeds)
    made_up.put(frames["fidelity"], NAN, method="rise", index=0)
    text = read(getattr(tables, name)(study_of(frames))).attrs["caption"]
    assert f"planted, {networks}, up to 3 images each" in text


def test_table_2_has_a_column_a_class_and_side(study_of, frames, made_up, read):
    made_up.put(frames["fidelity"], 0.25, metric="insertion", method="grad-cam", target="least-probable")
    rows = read(tables.table_2(study_of(frames)))
    sides = [
        f"{target}, {side}" for target in ("ground truth", "predicted", "least probable") for side in ("here", "paper")
    ]
    assert rows.columns.tolist() == ["metric", "method", *sides]
    assert len(rows) == 5 * 10 and rows["metric"].tolist()[:11] == ["AI ↑", *[""] * 9, "AD ↓"]
    row = filled(rows, "metric").loc["I ↑"].set_index("method").loc["Grad-CAM"]
    assert row["least probable, here"] == "0.250 [0.250, 0.250]"
    assert row[sides[1::2]].tolist() == ["0.668", "0.752", "0.000"]


def test_table_3_has_what_depends_on_the_size_as_shares(study_of, frames, made_up, read):
    """Of pixels, 32 × 32 here and 224 × 224 in print, and of the logarithms of these."""
    made_up.put(frames["fidelity"], 512, metric="effective-complexity")
    made_up.put(frames["fidelity"], math.log(32), metric="complexity")
    study = study_of(frames)
    assert study.run.networks.size == 32
    rows = filled(read(tables.table_3(study)), "metric", "method")
    row = rows.loc[("EC / HW, as tabulated ↓", "LIME")]
    assert row[["here", "paper, in our unit (as printed)"]].tolist() == ["0.500", "0.528 (26506.4)"]
    row = rows.loc[("Complexity / ln HW ↓", "LIME")]
    assert row[["here", "paper, in our unit (as printed)"]].tolist() == ["0.500", f"{9.7 / math.log(224**2):.3f} (9.7)"]
    assert "undefined maps" not in rows


def test_tools_are_compared_map_by_map(study_of, frames, made_up, read):
    tools = frames["tools"]
    for index, value in enumerate((0.1, 0.2, 0.3, 0.4, 0.5)):
        for name in ("sparseness", "average-drop", "monotonicity-quantus"):
            made_up.put(tools, value, metric=name, index=index)
            ours = frames["fidelity" if name != "monotonicity-quantus" else "repeated"]
            made_up.put(ours, value if name == "sparseness" else 2 * value, metric=name, index=index)
    made_up.put(tools, 0.01, metric="map-difference", method="score-cam")
    rows = read(tables.tools(study_of(frames))).set_index("compared")
    assert rows.loc["Sparseness ↑, of the same maps"].tolist()[1:] == ["0", "1.000", "rounding"]
    row = rows.loc["Monotonicity, Quantus ↑, of the same maps"]
    assert row["maps"] == str(4 * 5) and row["largest difference"] == "0.5" and "noise" in row["why they differ"]
    row = rows.loc["map of Score-CAM"]
    assert row.tolist()[:3] == ["5", "0.01", "1.000"] and "corner" in row["why they differ"]


def test_sentences_have_a_verdict_under_both_readings(study_of, made_up, read):
    rows = read(tables.sentences(study_of(made_up.frames(lineup.PAPER, n_images=6))))
    assert len(rows) == 28 and rows.columns.tolist()[2:] == [
        "maps absolute, as the cited code", "maps signed, as the text"
    ]  # fmt: skip
    assert rows.iloc[:, 2].str.contains("of 9 hold").any()


def test_table_4_has_print_in_brackets(study_of, frames, made_up, read):
    made_up.put(frames["transformed"], 0.25, metric="average-drop", method=("fake-cam", "random"), transform="resize")
    rows = read(tables.table_4(study_of(frames)))
    assert rows.columns.tolist() == ["transformation", "method", *[METRIC_NAMES[name] for name in lineup.FIDELITY]]
    assert rows["transformation"].tolist() == [
        text for name in ("MixUp", "Resize", "Rotation", "Crop") for text in (name, *[""] * 13)
    ]
    rows = filled(rows, "transformation", "method")
    assert rows.loc[("Resize", "Fake-CAM"), "AD ↓"] == "0.250 (0.980)"
    assert rows.loc[("Resize", "Random"), "AD ↓"] == "0.250"
    assert rows.loc["Crop"].index.tolist() == [METHOD_NAMES[name] for name in (*lineup.PAPER, *lineup.CONTROLS)]


def test_completeness_is_shown_by_its_median(study_of, frames, made_up, read):
    made_up.put(frames["fidelity"], 1e6, metric="completeness", method="lime", index=0)
    made_up.put(frames["fidelity"], 0.5, metric="completeness", method="lime", index=(1, 2, 3, 4, 5))
    study = study_of(frames)
    for table in (tables.unprinted, tables.leaderboard):
        rows = read(table(study)).set_index("method")
        assert rows.loc["LIME", "Completeness gap ↓, median"].startswith("0.500")
        assert METRIC_NAMES["completeness"] not in rows and "means unless stated" in rows.attrs["caption"]


def test_unprinted_has_what_is_in_no_other_table(study_of, frames, made_up, read):
    made_up.put(frames["repeated"], NAN, metric="monotonicity-quantus", method="uniform")
    study = study_of(frames)
    rows = read(tables.unprinted(study)).set_index("method")
    assert len(rows.columns) == len(lineup.UNPRINTED) + 2
    assert rows.loc["Uniform", "Monotonicity, Quantus ↑"] == "–"
    ours = printed.unprinted(study, ("pointing-game",)).set_index("method").loc["rise", "mean"]
    assert rows.loc["RISE", "Pointing game ↑"] == number()(ours)


def test_the_leaderboard_stars_the_best_that_looks_at_the_network(study_of, frames, made_up, read):
    for metric, sign in (("insertion", 1), ("deletion", -1)):
        made_up.put(frames["fidelity"], sign * 3, metric=metric, method=("random", "fake-cam"))
        made_up.put(frames["fidelity"], sign * 2, metric=metric, method=("lrp", "rise", "uniform"))
    made_up.put(frames["repeated"], NAN, metric="monotonicity")
    rows = read(tables.leaderboard(study_of(frames))).set_index("method")
    assert rows.index.tolist() == [METHOD_NAMES[name] for name in lineup.ALL]
    assert rows.columns.tolist()[:6] == [METRIC_NAMES[name] for name in lineup.TABLE_1]
    assert rows.index[rows["I ↑"].str.endswith(" *")].tolist() == ["RISE", "LRP"]
    assert rows.index[rows["D ↓"].str.endswith(" *")].tolist() == ["RISE", "LRP"]
    assert rows.loc["Random", ["I ↑", "D ↓"]].tolist() == ["3.000", "−3.000"]
    assert set(rows["Monotonicity ↑"]) == {"–"}


def test_readings_name_the_method_that_moves_most(study_of, frames, made_up, read):
    who = (*lineup.PAPER, *lineup.CONTROLS)
    for place, name in enumerate(who):
        made_up.put(frames["fidelity"], place, metric="insertion", method=name)
    made_up.put(frames["fidelity"], 20, metric="insertion", method="fake-cam", reading="black")
    rows = read(tables.readings(study_of(frames)))
    rows = filled(rows, "metric", "reading").loc["I ↑"]
    assert rows.index.tolist() == ["black", "mean colour", "signed"]
    assert rows.loc["black", "moved most"] == "Fake-CAM, by 13"
    assert rows.loc["black", "methods that change place"] == "14 of 14"
    tau = (91 - 2 * 13) / 91
    assert rows.loc["black"].iloc[0] == f"{tau:.2f}"
    assert rows.loc["mean colour"].tolist() == ["1.00", "0 of 14", "–"]


def test_stability_fooled_and_discrimination_are_those_of_the_results(study_of, frames, read):
    study = study_of(frames)
    ours, rows = evidence.stability(study), read(tables.stability(study))
    assert rows.iloc[:, 2].tolist() == [number(2)(value) for value in ours["w_images"]]
    assert rows.iloc[0, -1] == "–"  # one training
    ours, rows = evidence.fooled(study), read(tables.fooled(study))
    assert rows["the metric is"].tolist() == ours["verdict"].tolist()
    assert rows.iloc[:, 2].tolist() == [number(0, times=100)(value) for value in ours["superiority"]]
    assert rows["rank"].tolist() == [f"{rank:g} of 10" for rank in ours["rank"]]
    ours, rows = evidence.discrimination(study), read(tables.discrimination(study))
    assert rows["pairs told apart"].tolist() == [f"{apart:g} of 36" for apart in ours["apart"]]
    for name in ("stability", "discrimination", "fooled"):
        assert "9 informed methods" in " ".join(read(getattr(tables, name)(study)).attrs["caption"].split())


def test_what_is_undefined_is_a_dash(study_of, frames, made_up, read):
    made_up.put(frames["repeated"], NAN, metric="monotonicity", method="uniform")
    made_up.put(frames["repeated"], NAN, metric="monotonicity-arya")
    study = study_of(frames)
    rows = filled(read(tables.fooled(study)), "metric", "uninformed map")
    assert rows.loc[("Monotonicity ↑", "Uniform")].tolist() == ["–", "–", "–", "undefined"]
    assert rows.loc[("Monotonicity ↑", "Random"), "rank"].endswith(" of 10")
    rows = read(tables.discrimination(study)).set_index("metric")
    assert rows.loc["Monotonicity, Arya ↑"].tolist() == ["0", "0.01", "0 of 0", "0 of 0"]
    for name in ("table_1", "table_3", "unprinted", "leaderboard", "stability", "fooled", "discrimination"):
        assert "nan" not in getattr(tables, name)(study).data.lower(), name


def test_the_few_methods_of_the_example_are_enough(study_of, made_up, read):
    study = study_of(made_up.frames(EXAMPLE, n_images=4))
    names = [METHOD_NAMES[name] for name in lineup.ALL if name in EXAMPLE]
    for name in ("methods", "leaderboard", "cost", "unprinted"):
        assert read(getattr(tables, name)(study))["method"].tolist() == names, name
    assert len(read(tables.networks(study))) == 1
    rows = read(tables.fooled(study))
    assert set(rows["uninformed map"]) == {"Fake-CAM", "Uniform", "Random", "Centred Gaussian"}
    assert rows["rank"].str.endswith(" of 6").all() and len(rows) == 4 * len(lineup.METRICS)
    assert read(tables.discrimination(study))["pairs told apart"].str.endswith(" of 10").all()
    assert set(evidence.mean_ranks(study, "insertion")[0]["method"]) == set(EXAMPLE)
    for name in ("fooled", "discrimination", "stability"):
        assert "5 informed methods" in read(getattr(tables, name)(study)).attrs["caption"]


def test_a_record_has_the_columns_of_the_recorded_numbers(study_of, frames, made_up, tmp_path, monkeypatch):
    """Readings, Tables 2 and 4 and the unprinted metrics are shown in another shape than they are kept in."""
    monkeypatch.setenv("XAI_RECORD", str(tmp_path))
    masked = made_up.rows(frames["fidelity"], metric=lineup.LOCALISATION)  # the recorded images have no masks
    frames["fidelity"] = frames["fidelity"][~masked]
    study = study_of(frames)
    shown = [*(f"table_{number}" for number in range(1, 5)), "unprinted", "leaderboard", "readings", "stability"]
    for name in (*shown, "fooled", "discrimination", "cost"):
        getattr(tables, name)(study)
    kept = {file.name: pd.read_csv(file) for file in tmp_path.glob("*.csv")}
    assert len(kept) == len(list(tmp_path.glob("*.html"))) == 11
    for name, found in kept.items():
        assert found.columns.tolist() == pd.read_csv(RECORDED / name, nrows=1).columns.tolist(), name
    assert len(kept["table-1.csv"]) == 7 * 23 and len(kept["table-2.csv"]) == 5 * 23 * 3


def test_a_true_run_fills_every_table(smoke_bench, read):
    for name in ("networks", "methods", "cost", "table_1", "table_2", "table_3", "table_4", "unprinted", "leaderboard"):
        assert len(read(getattr(tables, name)(smoke_bench))) > 0, name
    for name in ("readings", "stability", "fooled", "discrimination"):
        rows, shown = getattr(evidence, name)(smoke_bench), read(getattr(tables, name)(smoke_bench))
        assert len(rows) >= len(shown) > 0, name
    assert len(claims.sentences(smoke_bench)) == 28
    assert "up to 4 images each" in read(tables.table_1(smoke_bench)).attrs["caption"]


def test_the_leaderboard_comes_out_as_numbers_and_as_a_page_of_its_own(study_of, frames, made_up, read, tmp_path):
    made_up.put(frames["repeated"], NAN, method="lime", metric="max-sensitivity")
    study = study_of(frames)
    wide, intervals, page = (file.read_text() for file in tables.export(study, tmp_path / "a/b"))
    shown = read(tables.leaderboard(study)).set_index("method")
    found = pd.read_csv(io.StringIO(wide)).set_index("title")
    assert found.index.tolist() == shown.index.tolist() and found["method"].tolist() == list(lineup.ALL)
    assert f"{found.loc['LIME', 'insertion']:.3f}" == shown.loc["LIME", "I ↑"].removesuffix(" *")
    assert math.isnan(found.loc["LIME", "max-sensitivity"]) and found.notna().to_numpy().sum() == found.size - 1
    rows = pd.read_csv(io.StringIO(intervals)).set_index(["metric", "method"])
    low, high, mean = rows.loc[("insertion", "lime"), ["low", "high", "mean"]]
    assert low < mean < high and mean == pytest.approx(found.loc["LIME", "insertion"])
    page = BeautifulSoup(page, "html.parser")
    assert page.h1.text == f"Leaderboard of methods: {study.run.label}"
    assert page.style and not page(["script", "link", "img", "iframe"]) and not page(src=True) and not page(href=True)
    cells = [[cell.text for cell in row("td")] for row in page("table")[0].tbody("tr")]
    assert cells == shown.reset_index().to_numpy().tolist()
