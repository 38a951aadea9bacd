"""The printed tables as data: complete, consistent with themselves, and compared only after conversion."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xai_lib import published
from xai_lib.page.names import METHOD_NAMES
from xai_lib.published.__main__ import book_files, marked
from xai_lib.published.tables import cells_with_ids

CELLS = {  # cells that print fills
    ("contrastive", 1): 5 * 2,
    ("contrastive", 2): 8 * 6 - 1 + 3 + 3 * 2,  # CE on CIFAR10 has no warm-up; momentum is SGD's; three of one loss
    ("contrastive", 3): 3 * 2,
    ("contrastive", 4): 10 * 6 - 2 * 3,  # no contrastivity for Eigen-CAM
    ("saliency", 1): 10 * 6,
    ("saliency", 2): 10 * 15,
    ("saliency", 3): 10 * 5,
    ("saliency", 4): 10 * 20,
    ("whole_output", 1): 4 * 4,
    ("whole_output", 2): 4 * 4,
    ("whole_output", 3): 4 * 6,
    ("whole_output", 4): 2 * 3,
    ("whole_output", 5): 2 * 3,
}
EVERY = [(paper, number) for paper in published.papers() for number in published.tables(paper)]
SUPERSCRIPT = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
BLOCKS = {  # the cells among which the bold one is the best
    ("contrastive", 4): ["row", "method"],
    ("whole_output", 1): ["column"],
    ("whole_output", 2): ["column"],
    ("whole_output", 3): ["column"],
    ("whole_output", 4): ["row"],
    ("whole_output", 5): ["row"],
}
UNBOLDED = {"Imagenet-S50 / Coherence – PG (↑)", "Imagenet-S50 / Coherence – AL (↑)"}
RANGES = {"fraction": (0, 1), "percent": (0, 100), "complement-percent": (0, 100), "ssim": (-1, 1)}
RANGES |= {"correlation": (-1, 1), "nats": (0, np.log(224**2)), "pixels": (0, 224**2), "rating 1-5": (1, 5)}


def cell(paper, number, row, column):
    cells = published.table(paper, number)
    return cells[(cells["row"] == row) & (cells["column"] == column)].squeeze()


def as_number(printed):
    text = printed.replace("−", "-").replace(",", "")
    match = re.fullmatch(r"(?:([\d.]+) × )?10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", text)
    if match:
        text = f"{match[1] or 1}e{match[2].translate(SUPERSCRIPT)}"
    return float(text) if re.fullmatch(r"-?[\d.]+(e-\d)?", text) else np.nan


def test_every_table_is_there():
    assert list(CELLS) == EVERY
    assert published.tables("dominance") == ()


@pytest.mark.parametrize(("paper", "number"), EVERY)
def test_every_cell_is_there_once(paper, number):
    cells = published.table(paper, number)
    assert tuple(cells.columns) == published.COLUMNS
    assert len(cells) == CELLS[paper, number]
    assert not cells.duplicated(["row", "column"]).any()
    assert set(cells["paper"]) == {paper}
    assert set(cells["table"]) == {number}
    assert (cells["printed"] != "").all()


@pytest.mark.parametrize(("paper", "number"), [key for key in EVERY if key != ("contrastive", 1)])
def test_the_library_s_names_identify_a_cell(paper, number):
    assert not published.table(paper, number).duplicated(list(published.KEYS)).any()


@pytest.mark.parametrize(("paper", "number"), EVERY)
def test_value_and_spread_are_what_is_printed(paper, number):
    cells = published.table(paper, number)
    parts = cells["printed"].str.split(" ± ", expand=True).reindex(columns=[0, 1])
    np.testing.assert_allclose(cells["value"], parts[0].map(as_number))
    np.testing.assert_allclose(cells["spread"], pd.to_numeric(parts[1]).astype(float))
    assert ((cells["spread_kind"] != "") == cells["spread"].notna()).all()


@pytest.mark.parametrize(("paper", "number"), EVERY)
def test_values_lie_in_the_range_of_their_unit(paper, number):
    cells = published.table(paper, number)
    results = cells[cells["better"] != ""]
    for unit, values in results.groupby("unit")["value"]:
        low, high = RANGES.get(unit, (0, np.inf))
        assert unit
        assert values.between(low, high).all(), unit


@pytest.mark.parametrize(("key", "block"), BLOCKS.items())
def test_bold_marks_the_best(key, block):
    cells = published.table(*key)
    cells = cells[(cells["better"] != "") & ~cells["row"].isin(UNBOLDED)]
    for label, group in cells.groupby(block):
        best = group["value"].max() if group["better"].iloc[0] == "higher" else group["value"].min()
        assert group.loc[group["bold"], "value"].tolist() == [best], label
    assert published.table(*key)["bold"].sum() == cells.groupby(block).ngroups


def test_bold_type_elsewhere():
    assert not any(published.table("contrastive", number)["bold"].any() for number in (1, 2, 3))
    assert all(published.table("saliency", number)["bold"].isna().all() for number in (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("paper", "number", "row", "column", "expected"),
    [
        ("contrastive", 2, "Weight decay", "CIFAR10 / CE", 5e-4),
        ("contrastive", 2, "Weight decay", "CIFAR10 / SCL", 1e-4),
        ("contrastive", 2, "Margin α", "CIFAR10 / TL", 0.3),
        ("contrastive", 2, "Learning rate", "Imagenet-S50 / TL", 1e-3),
        ("contrastive", 3, "SCL", "Imagenet-S50", 85.85),
        ("contrastive", 4, "CIFAR10 / Contrastivity – SSIM (↓)", "Grad-CAM / TL", 0.001),
        ("contrastive", 4, "CIFAR10 / Continuity – SSIM (↑)", "Eigen-CAM / TL", 0.80),
        ("contrastive", 4, "Imagenet-S50 / Coherence – AL (↑)", "Eigen-CAM / CE", 0.71),
        ("saliency", 1, "Gradient", "Monotonicity", -0.19),
        ("saliency", 1, "Score-CAM", "AG", 21.7),
        ("saliency", 2, "LIME", "Pred / I", 72.2),
        ("saliency", 2, "Grad-CAM++", "Least Probable / AI", 79.5),
        ("saliency", 3, "LIME", "EC", 26506.4),
        ("saliency", 4, "Fake-CAM", "Resize / AG", 90.5),
        ("saliency", 4, "IBA", "Crop / D̄", 89.4),
        ("whole_output", 1, "CWOX-2s", "GoogleNet / Grad-CAM", 4.47e-3),
        ("whole_output", 2, "SWOX", "ResNet50 / RISE", 8.19e-2),
        ("whole_output", 3, "MWP", "ResNet50 / n̄_δ", 4194),
        ("whole_output", 4, "Confidence", "CWOX-1sB", 2.60),
        ("whole_output", 5, "Accuracy", "SWOX", 0.40),
    ],
)
def test_single_cells(paper, number, row, column, expected):
    assert cell(paper, number, row, column)["value"] == expected


def test_the_library_s_names():
    row = cell("contrastive", 4, "Imagenet-S50 / Coherence – AL (↑)", "Eigen-CAM / SCL")
    expected = ("imagenet-s50", "resnet50", "eigen-cam", "scl", "attribution-localisation", 0.29, "higher")
    assert tuple(row[["dataset", "model", "method", "loss", "metric", "spread", "better"]]) == expected
    assert set(published.table("contrastive", 4)["metric"]) == {
        *("pixel-flipping", "continuity", "contrastivity", "complexity", "pointing-game", "attribution-localisation")
    }
    assert set(published.table("saliency", 4)["target"]) == {"ground-truth"}


def test_labels_and_names_go_together():
    cells = published.table("contrastive", 4)
    assert (cells["column"].str.lower() == cells["method"] + " / " + cells["loss"]).all()
    assert (cells["row"].str.split(" / ").str[0].str.lower() == cells["dataset"]).all()
    cells = published.table("contrastive", 2)
    assert (cells["column"].str.lower() == cells["dataset"] + " / " + cells["loss"]).all()
    cells = published.table("contrastive", 3)
    assert (cells["row"].str.lower() + cells["column"].str.lower() == cells["loss"] + cells["dataset"]).all()
    cells = pd.concat(published.table("saliency", number) for number in published.tables("saliency"))
    last = cells["column"].str.split(" / ").str[-1]
    for label, name, count in ((cells["row"], "method", 10), (last, "metric", 11), (last, "unit", 11)):
        assert label.nunique() == count
        assert cells.groupby(label)[name].nunique().eq(1).all()
    assert cells["metric"].nunique() == 11
    assert set(cells.loc[last.isin(["AD̄", "D̄"]), "unit"]) == {"complement-percent"}
    targets = {"Ground Truth": "ground-truth", "Pred": "predicted", "Least Probable": "least-probable"}
    cells = published.table("saliency", 2)
    assert (cells["column"].str.split(" / ").str[0].map(targets) == cells["target"]).all()
    cells = published.table("saliency", 4)
    assert (cells["column"].str.split(" / ").str[0].str.lower() == cells["transform"]).all()
    cells = pd.concat(published.table("whole_output", number) for number in (1, 2))
    assert (cells["row"].str.lower() == cells["method"]).all()
    assert (cells["column"].str.lower() == cells["model"] + " / " + cells["base"]).all()
    cells = published.table("whole_output", 3)
    assert (cells["row"] == cells["base"].map(METHOD_NAMES)).all()
    assert (cells["column"].str.split(" / ").str[0].str.lower() == cells["model"]).all()
    cells = pd.concat(published.table("whole_output", number) for number in (4, 5))
    assert (cells["column"].str.lower() == cells["method"]).all()


def test_tables_that_repeat_a_quantity_agree_but_for_known_errata():
    first = published.table("saliency", 1).query("metric != 'monotonicity'")
    second = published.table("saliency", 2).query("target == 'ground-truth'")
    both = first.merge(second, on=["method", "metric"], suffixes=("", "_2"))
    assert len(both) == 50
    assert (both["value"] != both["value_2"]).equals(both["erratum"].str.contains("53.5 in Table 1"))
    second = published.table("whole_output", 2).query("method == 'cwox-2s'")
    both = second.merge(published.table("whole_output", 3), on=["model", "base", "metric"], suffixes=("", "_3"))
    assert (both["value"] != both["value_3"]).equals(both["erratum_3"] != "")


def test_errata_and_cells_refer_to_each_other():
    notes = pd.concat(map(published.errata, published.papers()), ignore_index=True)
    assert notes["id"].is_unique
    assert (notes[["text", "source"]] != "").all(axis=None)
    attached = {}
    for paper, number in EVERY:
        for name in set(" ".join(cells_with_ids(paper, number)["erratum"]).split()):
            attached.setdefault((paper, name), []).append(str(number))
    cell_notes = notes[notes["scope"] == "cells"]
    expected = {(note.paper, note.id): note.tables.split() for note in cell_notes.itertuples()}
    assert attached == expected
    for note in notes[notes["scope"] == "table"].itertuples():
        assert set(map(int, note.tables.split())) <= set(published.tables(note.paper))
        assert note.tables
    assert (notes.loc[notes["scope"] == "text", "tables"] == "").all()
    assert set(notes["scope"]) == {"cells", "table", "text"}


def test_an_erratum_is_read_beside_its_cell():
    assert "swapped" in cell("saliency", 4, "Fake-CAM", "Resize / AD̄")["erratum"]
    assert cell("saliency", 4, "Fake-CAM", "Crop / AD̄")["erratum"] == ""
    coherence = cell("contrastive", 4, "Imagenet-S50 / Coherence – AL (↑)", "Grad-CAM / CE")["erratum"]
    assert "deviation over images" in coherence
    assert "share of the attribution's mass" in coherence
    assert list(published.errata("saliency")["mark"]) == list(range(1, len(published.errata("saliency")) + 1))


def test_what_errata_say_about_the_numbers_is_so():
    table = published.table("contrastive", 4)
    pairs = table.pivot(index=["dataset", "metric", "loss", "better"], columns="method", values="value").dropna()
    sign = np.where(pairs.index.get_level_values("better") == "higher", 1, -1)
    ahead = np.sign(sign * (pairs["eigen-cam"] - pairs["grad-cam"]))
    assert [(ahead == side).sum() for side in (1, -1, 0)] == [14, 8, 2]
    game = table[table["metric"] == "pointing-game"]
    np.testing.assert_allclose(game["spread"], np.sqrt(game["value"] * (1 - game["value"])), atol=0.007)
    insertion = published.table("saliency", 2).query("metric == 'insertion'")
    by_target = insertion.pivot(index="method", columns="target", values="value")
    assert (by_target["predicted"] > by_target["ground-truth"]).all()
    for number, sign in ((1, -1), (2, 1)):
        grid = published.table("whole_output", number).pivot(index="method", columns="column", values="value")
        assert (sign * (grid.loc["cwox-1sa"] - grid.loc["cwox-1sb"]) > 0).all()


@pytest.mark.parametrize(
    ("paper", "number", "message"),
    [
        ("dominance", 1, "dominance.*prints none"),
        ("saliency", 5, r"\(1, 2, 3, 4\).*5"),
        ("cwox", 1, "contrastive, saliency, whole_output, dominance.*'cwox'"),
    ],
)
def test_a_table_that_does_not_exist(paper, number, message):
    with pytest.raises(ValueError, match=message):
        published.table(paper, number)


def test_a_table_is_the_caller_s_own():
    changed = published.table("contrastive", 3)
    changed.loc[:, "value"] = 0.0
    assert published.table("contrastive", 3)["value"].min() == 82.55


def test_conversion():
    rows = published.table("saliency", 1).query("method == 'grad-cam'")
    converted = published.convert(rows).set_index("metric")
    assert converted["value"].round(6).to_dict() == {
        **{"average-increase": 0.444, "average-drop": 0.124, "average-gain": 0.178},
        **{"insertion": 0.668, "deletion": 0.132, "monotonicity": 0.53},
    }
    assert set(converted.index[converted["better"] == "lower"]) == {"average-drop", "deletion"}
    assert set(converted["unit"]) == {"fraction", "correlation"}
    pd.testing.assert_frame_equal(published.convert(published.convert(rows)), published.convert(rows))
    assert rows["value"].tolist()[:2] == [44.4, 87.6]
    accuracy = published.convert(published.table("contrastive", 3))
    assert accuracy.loc[0, ["value", "spread"]].tolist() == pytest.approx([0.9532, 0.001])


def ours(**columns):
    return pd.DataFrame({"loss": ["tl", "ce"], "method": "grad-cam", "metric": "pixel-flipping", **columns})


def cifar10():
    return published.table("contrastive", 4).query("dataset == 'cifar10'")


def test_compare_joins_ours_with_print():
    means = pd.concat([ours(mean=[0.4, 0.3], low=0.1), ours(mean=0.5).assign(metric="pixel-flipping-matched")])
    table = published.compare(cifar10(), means)
    assert table[["loss", "mean", "published"]].values.tolist()[:2] == [["tl", 0.4, 0.32], ["ce", 0.3, 0.37]]
    assert table["better"].tolist() == ["lower", "lower", "", ""]
    assert table["printed"].tolist() == ["0.32 ± 0.01", "0.37 ± 0.01", "", ""]
    assert table["low"].tolist()[0] == 0.1


def test_compare_converts_first():
    accuracy = pd.DataFrame({"dataset": ["cifar10", "imagenet-s50"], "loss": "ce", "mean": [0.85, 0.9]})
    table = published.compare(published.table("contrastive", 3), accuracy)
    np.testing.assert_allclose(table["published"], [0.9532, 0.8917])
    drop = pd.DataFrame({"method": ["grad-cam"], "metric": "average-drop", "mean": 0.2})
    table = published.compare(published.table("saliency", 1), drop)
    assert table["published"][0] == pytest.approx(0.124)


def test_compare_refuses_what_would_join_wrongly():
    with pytest.raises(ValueError, match=r"several.*add.*\(dataset, model\)"):
        published.compare(published.table("contrastive", 4), ours(mean=0.5))
    with pytest.raises(ValueError, match=r"none in common.*'cifar10'.*'planted'"):
        published.compare(cifar10(), ours(mean=0.5, dataset="planted"))
    with pytest.raises(ValueError, match="column 'mean'"):
        published.compare(cifar10(), ours(value=0.5))
    with pytest.raises(ValueError, match=r"none of.*'printed'"):
        published.compare(cifar10(), ours(mean=0.5, printed=""))


def test_the_shape_of_print():
    grid = marked("contrastive", 4)
    assert grid.shape == (10, 6)
    assert grid.loc["Imagenet-S50 / Contrastivity – SSIM (↓)"].tolist()[3:] == ["", "", ""]
    assert [name.partition(" [")[0] for name in grid.columns] == [
        f"{cam} / {loss}" for cam in ("Grad-CAM", "Eigen-CAM") for loss in ("CE", "SCL", "TL")
    ]
    labels = ["MS", "AS", "Sparseness", "Complexity", "EC"]
    assert [name.partition(" [")[0] for name in marked("saliency", 3).columns] == labels


def test_marks_stand_at_the_cell_row_or_column_concerned():
    mark = published.errata("saliency").set_index("id")["mark"]
    grid = marked("saliency", 3)
    assert f"EC [{mark['effective-complexity-threshold']}]" in grid.columns
    assert grid.loc["Fake-CAM", "MS"] == f"0.96 [{mark['fake-cam-sensitivity']}]"
    assert not grid.loc["IBA"].str.contains(r"\[").any()
    mark = published.errata("whole_output").set_index("id")["mark"]
    grid = marked("whole_output", 2)
    assert list(grid.index) == ["SWOX", *(f"CWOX-1s{v} [{mark['1sa-against-1sb']}]" for v in "AB"), "CWOX-2s"]
    assert grid.loc["CWOX-2s"].iloc[0] == f"**8.21 × 10⁻²** [{mark['cdrop-differs']}]"


def test_the_book_shows_the_data():
    folder = Path(__file__).parents[1] / "book" / "published"
    written = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert written == book_files(), "run `python -m xai_lib.published book/published`"
    page = (folder.parent / "published.md").read_text(encoding="utf-8")
    assert [name for name in written if f"published/{name}" not in page] == []
