from dataclasses import asdict

from xai_lib import metrics
from xai_lib.papers.contrastive import analysis as results
from xai_lib.papers.contrastive import tables
from xai_lib.run import settings
from xai_lib.run.networks import trained
from xai_lib.training import recipes


def test_splits(smoke_run, read):
    rows = read(tables.splits(smoke_run)).set_index("part")
    images = {"training": "100", "held out of it": "64", "test": "40", "explained and scored": "10"}
    assert rows["images"].to_dict() == images
    assert rows.loc["training", "classes"] == "10 (10 to 10 images each)"
    assert set(rows["size"]) == {"32 × 32"}


def test_layers_are_named_with_their_grids(smoke_run, read):
    classifier = trained(smoke_run, "ce", 0).classifier
    rows = read(tables.layers(classifier, size=32)).set_index("layer")
    assert rows.index.tolist() == list(classifier.layers())
    last = rows.iloc[-1]
    assert (last["channels"], last["grid"], last.iloc[-1]) == ("16", "8 × 8", "explained")
    assert (rows.iloc[:-1, -1] == "").all()


def test_settings_stand_beside_the_papers_and_differences_are_starred(smoke_run, read):
    rows = read(tables.recipe_settings(smoke_run)).set_index("setting")
    assert rows.loc["Epochs"].tolist() == ["200", "500", "500", "1 *", "1 *", "1 *"]
    assert rows.loc["Temperature τ"].tolist() == ["–", "0.07", "–", "–", "0.07", "–"]
    assert rows.loc["Nesterov"].tolist() == ["no"] * 3 + ["yes *"] * 3
    assert rows.loc["Channels of the first stage"].tolist() == ["own"] * 3 + ["4 *"] * 3


def test_the_scale_paper_has_no_star(read):
    rows = read(tables.recipe_settings(settings.settings(scale="paper", dataset="planted")))
    assert not rows.map(lambda text: "*" in text).any(axis=None)


def test_every_setting_in_which_recipes_differ_is_a_row(smoke_run):
    for loss in settings.LOSSES:
        paper = asdict(recipes.get("paper/cifar10", loss))
        for name, value in asdict(smoke_run.recipe(loss)).items():
            assert value == paper[name] or name in tables._SETTINGS, name


def test_accuracy_is_in_per_cent(smoke_run, read):
    rows = read(tables.accuracy(smoke_run))
    ours = results.accuracy(smoke_run)
    assert rows["quantity"].tolist() == ["accuracy"] * 3 + ["mean confidence"] * 3
    assert rows["loss"].tolist() == ["CE", "SCL", "TL"] * 2
    assert rows.loc[1, "paper, CIFAR-10 (%)"] == "94.83 ± 0.12"
    assert rows.loc[1, "here (%)"] == f"{100 * ours.loc[1, 'mean']:.2f}"
    assert rows.loc[4, "paper, CIFAR-10 (%)"] == "–"
    assert "difference" not in rows


def test_sentences_give_the_gaps(smoke_run):
    text = tables.sentences_on_accuracy(smoke_run).data
    means = results.accuracy(smoke_run).set_index(["metric", "loss"])["mean"]
    gap = 100 * (means["accuracy", "tl"] - means["accuracy", "ce"])
    assert f"TL differs from CE by {gap:+.1f} percentage points".replace("-", "−") in text
    assert "Up to 1 point and 0.02 count as matched" in text


def test_empty_maps_in_per_cent(smoke_run, read):
    rows = read(tables.empty_maps(smoke_run)).set_index(["method", "loss"])
    share = results.empty_maps(smoke_run).set_index(["method", "loss"]).loc[("grad-cam", "ce"), "other"]
    assert rows.loc[("Grad-CAM", "CE"), "of a random other class (%)"] == f"{100 * share:.2f}"
    assert rows.loc[("Eigen-CAM", "CE"), "of a random other class (%)"] == "–"


def test_metrics_of_the_paper_are_listed(read):
    assert {"continuity", "contrastivity", "pointing-game"} <= set(read(tables.metrics())["name in the library"])


def test_arrows_agree_with_the_registry():
    for names in (tables.METRIC_NAMES, tables.PANELS):
        for name, label in names.items():
            if name in metrics.names():
                assert label.endswith({"higher": "↑", "lower": "↓"}[metrics.about(name).better]), name


def test_every_result_has_interval_and_published_value(smoke_run, read):
    table = tables.results(smoke_run)
    rows, ours = read(table), results.results(smoke_run)
    assert len(rows) == len(ours)
    assert rows.attrs["caption"].startswith("Explanations scored: planted, 1 seed, up to 10 images each. Numbers in")
    first = rows.iloc[1]
    assert (first["loss"], first["paper, CIFAR-10"]) == ("SCL", "0.27 ± 0.00 [7] [8]")
    assert first["here"] == f"{ours.loc[1, 'mean']:.3f}"
    assert first["95 % interval"] == f"[{ours.loc[1, 'low']:.3f}, {ours.loc[1, 'high']:.3f}]".replace("-", "−")
    assert "difference" not in rows
    assert rows["undefined"].astype(int).tolist() == ours["n_undefined"].tolist()
    assert rows["metric"].tolist()[:9] == ["Faithfulness: PF ↓", *[""] * 8]
    assert rows["method"].tolist()[:9] == ["Grad-CAM", "", "", "Eigen-CAM", "", "", "Eigen-CAM (tool)", "", ""]


def test_orders_count_the_pairs_that_agree(smoke_run, read):
    rows, numbers = read(tables.orders(smoke_run)), results.orders(smoke_run)
    assert rows["paper, best first"].tolist() == numbers["paper"].tolist()
    assert rows["pairs in the same order"][0] == f"{numbers['agree'][0]} of 3"
    assert f"a random order would give {numbers['pairs'].sum() / 2:g}." in rows.attrs["caption"]
    total = f"{numbers['agree'].sum()} of the {numbers['pairs'].sum()} pairs"
    assert total in rows.attrs["caption"]


def test_quantus_stands_beside_ours(smoke_run, read):
    rows, numbers = read(tables.quantus(smoke_run)), results.quantus(smoke_run)
    assert rows["here"].tolist() == [tables.number()(value) for value in numbers["ours"]]
    assert rows["our maps, quantus"].tolist() == [tables.number()(value) for value in numbers["quantus"]]
    assert "(2 images per network)" in rows.attrs["caption"]
