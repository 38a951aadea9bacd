import runpy
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch

from xai_lib import files as artefacts
from xai_lib import record
from xai_lib.papers.dominance import claims as verdicts
from xai_lib.papers.dominance import experiment, figures
from xai_lib.papers.dominance.analysis import hierarchies, networks, pictures, rarity, training
from xai_lib.papers.dominance.figures.mosaics import Shown
from xai_lib.papers.dominance.tables import hierarchies as tables
from xai_lib.papers.dominance.tables import rarity as rarity_tables
from xai_lib.run import provenance, workflow
from xai_lib.run.cell import Cell
from xai_lib.run.store import Store

MADE_UP = Path(__file__).parents[1] / "papers/dominance/made_up.py"
made_up = SimpleNamespace(**runpy.run_path(str(MADE_UP)))
KIND = "tuned"


@pytest.fixture
def made(empty_store, monkeypatch):
    """A cell that is done, said to be what a run is made of."""
    cell = Cell("predict", {"version": 1})
    Store().compute(cell, lambda folder: artefacts.write_json(folder / "a.json", 1))
    monkeypatch.setattr(provenance, "require_clean_tree", lambda outputs: None)
    monkeypatch.setattr(workflow, "of_hierarchies", lambda of: [cell])
    monkeypatch.setattr(workflow, "of_rarities", lambda run: [cell])
    return cell


def check(folder, of_tables, views, numbers, drawings):
    """The folder has these files and no others."""
    assert {path.name for path in folder.iterdir()} == (
        {f"{name}.{end}" for name in {*of_tables, "provenance"} for end in ("csv", "html")}
        | {f"{name}.html" for name in views}
        | {f"{name}.csv" for name in numbers}
        | {f"{name}.png" for name in drawings}
        | {"provenance.json"}
    )
    for name in drawings:
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    for path in folder.iterdir():
        if path.suffix != ".png":
            assert str(Store().root) not in path.read_text()


def same(folder, name, numbers):
    written = artefacts.read_frame(folder / f"{name}.csv")
    assert list(written) == list(numbers)
    numbers = numbers.reset_index(drop=True)
    for column in numbers:
        if pd.api.types.is_numeric_dtype(numbers[column]):
            pd.testing.assert_series_equal(
                written[column].astype(float), numbers[column].astype(float), check_exact=True
            )
        else:
            assert written[column].fillna("").astype(str).tolist() == numbers[column].astype(str).tolist()


@pytest.fixture
def of(made, monkeypatch):
    made_up.put_into(monkeypatch, made_up.frames())
    found = made_up.hierarchies()
    monkeypatch.setattr(experiment, "hierarchies", lambda run: found if run is found.run else None)
    return found


def test_a_record_of_the_dominance_part_has_every_table_and_figure(of, made, tmp_path, monkeypatch):
    shown, matrices = [], []
    image, heat, first = torch.zeros(3, 8, 8), torch.ones(8, 8), torch.tensor([True, True, False, False])

    def representatives(of, kind, label):
        shown.append(("representatives", kind, label))
        return {"A (1)": image[None]}

    def examples(of, kind, label):
        shown.append(("examples", kind, label))
        return [Shown(image, heat, first, label)]

    monkeypatch.setattr(pictures, "representatives", representatives)
    monkeypatch.setattr(pictures, "examples", examples)
    drawn = figures.dominance_matrices
    monkeypatch.setattr(
        figures, "dominance_matrices", lambda found, names: matrices.append((list(found), names)) or drawn(found, names)
    )
    plt.close("all")  # what other tests left open is not this one's
    record.dominance.record(of.run, tmp_path / "recorded")
    folder = tmp_path / "recorded"
    check(
        folder,
        {
            *("accuracy", "sizes", "chosen", "focus", "null", "classes", "variants", "between-trainings"),
            *("single-images", "single-by-class", "over-classes", "clusters-and-outputs", "by-class", "least"),
            "verdicts",
        },
        {"fine-tuning", "pairs-widest"},
        {"pairs", "clusters", "correlations"},
        {
            *("representatives", "matrices", "mosaics-widest", "mosaics-narrowest", "all-matrices", "choices"),
            *("focus", "outputs", "training-share"),
        },
    )
    widest, narrowest = pictures.widest_and_narrowest(of, KIND)
    assert widest != narrowest
    assert shown == [("representatives", KIND, widest), ("examples", KIND, widest), ("examples", KIND, narrowest)]
    assert matrices == [([widest, narrowest], "ABCD")]
    for name, compute in (
        ("accuracy", networks.accuracy),
        ("null", hierarchies.spread),
        ("over-classes", training.over_classes),
        ("pairs", hierarchies.pairs),
        ("clusters", hierarchies.ranked),
        ("verdicts", verdicts.verdicts),
    ):
        same(folder, name, compute(of))
    same(folder, "classes", hierarchies.classes(of, KIND))
    assert (folder / "classes.html").read_text() == tables.classes(of, KIND).data + "\n"
    assert (folder / "pairs-widest.html").read_text() == tables.pairs(of, KIND, widest).data + "\n"
    head = artefacts.read_json(folder / "provenance.json")
    assert head["label"] == of.run.label and [cell["key"] for cell in head["cells"]] == [made.key]
    assert not plt.get_fignums()


def test_a_record_of_rare_modes_has_both_clusterings(made, tmp_path, monkeypatch):
    rows = made_up.rare(trainings=5)
    monkeypatch.setattr(experiment, "rare_clusters", lambda run: rows)
    run = made_up.run(rarity_trainings=5)
    record.rarity.record(run, tmp_path / "recorded")
    folder = tmp_path / "recorded"
    both = {"power-modes", "power-k-means"}
    check(folder, {*both, "purity", "suspected", "verdicts"}, (), (), both)
    for clustering in ("modes", "k-means"):
        same(folder, f"power-{clustering}", rarity.power(run, clustering))
        assert (folder / f"power-{clustering}.html").read_text() == rarity_tables.power(run, clustering).data + "\n"
    assert (folder / "power-modes.png").read_bytes() != (folder / "power-k-means.png").read_bytes()
    same(folder, "verdicts", verdicts.rarity_verdicts(run))
    assert [cell["key"] for cell in artefacts.read_json(folder / "provenance.json")["cells"]] == [made.key]


@pytest.mark.parametrize("part", ["dominance", "rarity"])
def test_a_tree_with_changes_is_refused_before_anything_is_written(part, tmp_path, monkeypatch):
    def refuse(outputs):
        raise RuntimeError("Expected a clean tree")

    monkeypatch.setattr(provenance, "require_clean_tree", refuse)
    with pytest.raises(RuntimeError, match="clean tree"):
        getattr(record, part).record(made_up.run(), tmp_path / "recorded")
    assert not (tmp_path / "recorded").exists()
