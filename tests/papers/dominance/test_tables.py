import itertools
import re
import runpy
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from xai_lib import published, statistics
from xai_lib.page.table import interval, number, p_value, plus_minus, signed
from xai_lib.papers.dominance import claims as results_of_verdicts
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.analysis import hierarchies, networks, rarity, single, training
from xai_lib.papers.dominance.method import detection
from xai_lib.papers.dominance.tables import hierarchies as tables
from xai_lib.papers.dominance.tables import rarity as rarity_tables
from xai_lib.run import settings

NAN = float("nan")
MADE_UP = Path(__file__).parents[1] / "made_up.py"
made_up = SimpleNamespace(**runpy.run_path(str(MADE_UP)))
NETWORKS = (("tuned-resnet18", 0), ("tuned-resnet18", 1), ("ce", 0))
KIND = "tuned-resnet18"
NAMES = {KIND: "fine-tuned ResNet-18", "ce": "CE"}
OF_A_RUN = (
    *("accuracy", "sizes", "focus", "null", "variants", "between_trainings", "single_images", "over_classes", "least"),
    *("verdicts", "modes", "clusters_and_outputs"),
)
OF_A_KIND = ("chosen", "classes", "single_by_class", "by_class")
runs = itertools.count()


class Rows(HTMLParser):
    """Collects the texts of a table's cells, row by row."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.open = [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
        self.open = tag in ("th", "td")

    def handle_data(self, data):
        if self.open:
            self.rows[-1][-1] += data


def read(table):
    """A shown table as a frame of texts."""
    head, *rows = Rows(table.data).rows
    return pd.DataFrame(rows, columns=head)


def filled(rows, *columns):
    """Blanks of repeated labels filled in, as index."""
    for column in columns:
        rows[column] = rows[column].mask(rows[column] == "").ffill()
    return rows.set_index(list(columns))


def caption(table):
    return table.data.partition("<caption>")[2].partition("</caption>")[0]


def rows_of(frame, **where):
    for column, value in where.items():
        frame = frame[frame[column] == value]
    assert len(frame), where
    return frame


@pytest.fixture
def hierarchies_of(monkeypatch):
    """Function (frames of made_up.py, networks) -> hierarchies that have these numbers."""

    def build(frames, of_networks=NETWORKS):
        made_up.put_into(monkeypatch, frames)
        return made_up.hierarchies(of_networks)

    return build


@pytest.fixture(scope="module")
def of():
    """Hierarchies that no test changes."""
    with pytest.MonkeyPatch.context() as patch:
        made_up.put_into(patch, made_up.frames(NETWORKS))
        yield made_up.hierarchies(NETWORKS)


@pytest.fixture
def run_of(monkeypatch):
    """Function (rows of made_up.rare) -> settings of a run that has them."""

    def build(rows):
        monkeypatch.setattr(experiment, "rare_clusters", lambda run: rows)
        return replace(made_up.run(), label=f"tables {next(runs)}")  # results of equal runs are kept

    return build


@pytest.mark.parametrize(
    ("kind", "name"),
    [("tuned", "fine-tuned"), ("tuned-resnet50", "fine-tuned ResNet-50"), ("ce", "CE"), ("scl", "SCL"), ("tl", "TL")],
)
def test_names_of_networks(kind, name):
    assert tables.name_of(kind) == name


def test_settings_stand_beside_what_the_paper_names():
    table = tables.fine_tuning(made_up.run(epochs_tuned=3))
    rows = read(table).set_index("setting")
    assert list(rows) == ["in print", "fine-tuned"]
    assert rows["fine-tuned"].to_dict() == {
        "starts from": "our network trained by cross-entropy",
        "architecture": "ResNet-8",
        "epochs": "3",
        "optimizer": "AdamW",
        "learning rate (peak)": "0.001",
        "weight decay": "0.05",
        "label smoothing": "0.1",
        "schedule": "linear warm-up, cosine",
        "warm-up, share of steps": "0.1",
        "augmentation": "as for cross-entropy",
        "batch size": rows.loc["batch size", "fine-tuned"],
    }
    assert rows.loc["batch size", "fine-tuned"].isdigit()
    named = rows["in print"][rows["in print"] != "–"]
    assert list(named.index) == ["starts from", "architecture", "optimizer", "label smoothing", "schedule"]
    of_the_paper = settings.settings(scale="paper", device="cpu")
    rows = read(tables.fine_tuning(of_the_paper)).set_index("setting")
    assert list(rows) == ["in print", "fine-tuned ResNet-18", "fine-tuned ResNet-50"]
    assert list(rows.loc["architecture"]) == ["ResNet-18, ResNet-50", "ResNet-18", "ResNet-50"]
    assert list(rows.loc["starts from"]) == ["ImageNet weights"] * 3


def test_accuracy_is_in_percent(of):
    rows = filled(read(tables.accuracy(of)), "network", "")
    found = networks.accuracy(of).set_index(["kind", "metric"])
    titles = {"accuracy": "accuracy (%)", "probability": "probability of the class (%)"}
    assert list(rows.index) == [(NAMES[kind], titles[metric]) for kind, metric in found.index]
    for (kind, metric), value in found.iterrows():
        row = rows.loc[(NAMES[kind], titles[metric])]
        assert row["mean ± over trainings"] == plus_minus(100 * value["mean"], 100 * value["spread"], 1)
        assert row["95 %"] == interval(100 * value["low"], 100 * value["high"], 1)
        assert (row["trainings"], row["images"]) == ("2" if kind == KIND else "1", "72")
        assert ("±" in row["mean ± over trainings"]) == (kind == KIND)


def test_sizes_chosen_and_modes(of):
    rows = filled(read(tables.sizes(of)), "network")
    assert rows["training"].tolist() == ["0", "1", "0"] and rows.index.tolist() == [NAMES[kind] for kind, _ in NETWORKS]
    assert (rows[["smallest", "median", "largest"]] == ["3", "6", "9"]).all(axis=None)
    assert "4 clusters a class" in caption(tables.sizes(of))
    rows, found = read(tables.chosen(of, KIND)), rows_of(networks.chosen(of), kind=KIND, seed=0)
    assert list(rows)[:3] == ["class", "silhouette of 4", "best silhouette"]
    assert rows["class"].tolist() == list(made_up.LABELS)
    assert rows["silhouette of 4"].tolist() == [number(value, 2) for value in found["silhouette"]]
    assert rows["clusters by silhouette"].tolist() == [str(n) for n in found["by_silhouette"]]
    gaps = ["–" if np.isnan(n) else f"{n:.0f}" for n in found["by_gap"]]
    assert rows["by the gap statistic"].tolist() == gaps
    rows, found = read(tables.modes(of)), networks.modes(of)
    assert rows["ARI, mean over classes"].tolist() == [number(value, 2) for value in found["ari"]]


def test_a_class_that_no_gap_speaks_for_has_a_dash(hierarchies_of):
    frames = made_up.frames(NETWORKS)
    made_up.put(frames["choices"], "gap", np.tile(np.arange(5.0), 2), label="bird")
    rows = read(tables.chosen(hierarchies_of(frames), KIND)).set_index("class")
    assert rows.loc["bird", "by the gap statistic"] == "–"


def test_focus(of):
    rows = filled(read(tables.focus(of)), "network", "explainer")
    found = networks.focus(of)
    assert list(rows.index) == [(NAMES[kind], name) for kind in (KIND, "ce") for name in ("Grad-CAM", "Random")]
    assert rows["Focus ↑"].tolist() == [plus_minus(*pair) for pair in zip(found["mean"], found["spread"])]
    assert rows["empty maps"].tolist() == [str(n) for n in found["n_undefined"]]
    assert tables.named_focus(of)["network"].tolist() == [NAMES[kind] for kind in found["kind"]]


def test_clusters_stand_beside_images_dealt_at_random(of):
    rows = filled(read(tables.null(of)), "network", "clusters")
    spread = hierarchies.spread(of)
    names = {"k-means": "clusters", "shuffled": "images dealt at random"}
    assert list(rows.index) == [(NAMES[kind], name) for kind in (KIND, "ce") for name in names.values()]
    for kind, clustering in itertools.product(NAMES, names):
        here, row = rows_of(spread, kind=kind, clustering=clustering), rows.loc[(NAMES[kind], names[clustering])]
        assert row["mean of the larger"] == number(here["mean"].mean())
        assert row["spread over pairs"] == number(here["spread"].mean())
        for title, column in (
            ("p < 0.05 (%)", "significant"),
            ("Holm (%)", "significant_holm"),
            ("Wilcoxon, Holm (%)", "significant_wilcoxon"),
        ):
            assert row[title] == number(100 * here[column].mean(), 0)
        assert row["intransitive triples"] == f"{here['cyclic'].sum()} of {4 * len(here)}"
        assert row["empty maps"] == f"{here['n_undefined'].sum()} of {36 * len(here)}"
    assert "6 mosaics a pair" in caption(tables.null(of))


def test_pairs_have_letters_and_four_p_values(of):
    rows, found = read(tables.pairs(of, KIND, "bird")), hierarchies.pairs_of(of, KIND, "bird")
    assert rows["pair"].tolist() == ["A over B", "A over C", "A over D", "B over C", "B over D", "C over D"]
    assert rows["dominance"].tolist() == [number(value) for value in found["dominance"]]
    columns = [rows.iloc[:, place].tolist() for place in range(3, 7)]
    expected = ["p_t", "p_t_holm", "p_wilcoxon", "p_wilcoxon_holm"]
    assert list(rows)[3:7] == ["p, t", "Holm", "p, Wilcoxon", "Holm "]
    assert columns == [[p_value(value) for value in found[column]] for column in expected]
    assert rows["mosaics"].tolist() == [str(n) for n in found["n"]]
    assert "bird" in caption(tables.pairs(of, KIND, "bird"))


def test_a_class_in_a_line_names_clusters_by_their_letters(of):
    rows = read(tables.classes(of, KIND)).set_index("class")
    found = hierarchies.classes(of, KIND).set_index("label")
    assert list(rows.index) == list(made_up.LABELS)
    assert len(set(rows["least dominant"].str[0])) > 1
    for label, row in rows.iterrows():
        value = found.loc[label]
        assert row["most dominant"] == f"{'ABCD'[int(value['most'])]} ({value['dominance_most']:.2f})"
        assert row["least dominant"] == f"{'ABCD'[int(value['least'])]} ({value['dominance_least']:.2f})"
        assert row["its 95 %"] == interval(value["low"], value["high"], 2)
        assert row["last in resamples (%)"] == number(100 * value["certain"], 0)
        assert row["pairs that differ"] == f"{value['decided']:g} of 6"
        assert row["intransitive"] == f"{value['cyclic']:g} of 4" and row["misfit"] == number(value["misfit"], 2)


def test_variants_and_trainings(of):
    rows, found = read(tables.variants(of)), hierarchies.variants(of)
    assert [*rows[["explainer", "mosaic", "map"]].itertuples(index=False, name=None)] == [
        ("Grad-CAM", "whole images", "ReLU"),
        ("Grad-CAM", "whole images", "ReLU, min-max"),
        ("Eigen-CAM", "whole images", "ReLU"),
        ("Eigen-CAM", "whole images", "ReLU, min-max"),
        ("Grad-CAM", "one image's size", "ReLU"),
        ("Grad-CAM", "one image's size", "ReLU, min-max"),
    ]
    assert rows["correlation"].tolist() == [number(value, 2) for value in found["correlation"]]
    assert rows["same least dominant (%)"].tolist() == [number(100 * value, 0) for value in found["same_least"]]
    assert rows["empty maps"][0] == f"{found['n_undefined'][0]} of {2 * 3 * 36}"
    (row,) = read(tables.between_trainings(of)).to_dict("records")  # of CE there is one training
    values = hierarchies.between_trainings(of)["correlation"]
    assert (row["network"], row["pairs of trainings"]) == (NAMES[KIND], "1")
    assert row["correlation, mean"] == number(values.mean(), 2)
    assert (row["lowest class"], row["highest class"]) == (number(values.min(), 2), number(values.max(), 2))


def test_pairs_of_trainings_are_counted_by_kind(hierarchies_of):
    """Kinds are not in the order of the alphabet."""
    of_networks = (*(("tuned", seed) for seed in range(3)), ("ce", 0), ("ce", 1))
    frames = made_up.frames(of_networks, labels=("cat", "bird"), clusterings=("k-means",))
    of = hierarchies_of(frames, of_networks)
    rows = read(tables.between_trainings(of))
    means = hierarchies.between_trainings(of).groupby("kind")["correlation"].mean()
    assert rows["network"].tolist() == ["fine-tuned", "CE"] and rows["pairs of trainings"].tolist() == ["3", "1"]
    assert rows["correlation, mean"].tolist() == [number(means[kind], 2) for kind in ("tuned", "ce")]


def test_single_images(of):
    rows, found = filled(read(tables.single_images(of)), "network"), single.over_classes(of)
    assert rows["dominance and"].tolist() == ["logit", "probability"] and set(rows.index) == {NAMES[KIND]}
    for title, column in (("correlation", "correlation"), ("strength", "strength"), ("by chance", "by_chance")):
        assert rows[title].tolist() == [number(value, 2) for value in found[column]]
    assert rows["95 %, over images"].tolist() == [
        interval(*pair, 2) for pair in zip(found["strength_low"], found["strength_high"])
    ]
    assert (rows["classes"] == "3").all() and (rows["trainings"] == "2").all()
    rows, found = read(tables.single_by_class(of, KIND)), rows_of(single.correlations(of), seed=0)
    assert list(rows) == ["class", "logit", "95 %", "images", "probability", "95 % "]
    assert rows["class"].tolist() == list(made_up.LABELS) and set(rows["images"]) == {str(made_up.PAIRED)}
    for output in single.OUTPUTS:
        assert rows[output].tolist() == [number(value, 2) for value in rows_of(found, output=output)["correlation"]]


def test_over_classes_and_least(of):
    rows, found = filled(read(tables.over_classes(of)), "network"), training.over_classes(of)
    assert rows.index.tolist() == [NAMES[KIND]] * 3 + ["CE"] * 3
    assert rows["dominance and"].tolist() == 2 * list(training.SHARES.values())
    assert rows["correlation"].tolist() == [signed(value, 2) for value in found["correlation"]]
    assert rows["p, permutation"].tolist() == [p_value(value) for value in found["p_value"]]
    assert rows["classes above 0"].tolist() == [f"{n} of 3" for n in found["positive"]]
    rows, found = filled(read(tables.clusters_and_outputs(of)), "network"), training.over_classes(of, training.OUTPUTS)
    assert rows["dominance and"].tolist() == 2 * ["mean logit", "mean probability"]
    assert rows["correlation"].tolist() == [signed(value, 2) for value in found["correlation"]]
    rows, found = read(tables.least(of)), training.least_in_numbers(of)
    assert rows["classes where it is the least dominant"].tolist() == [f"{n} of 3" for n in found["same"]]
    assert (rows["by luck"] == number(3 / 4, 1)).all() and rows["training"].tolist() == ["0", "1", "0"] * 2


def test_the_least_dominant_cluster_of_each_class(of):
    rows = read(tables.by_class(of, KIND)).set_index("class")
    clusters = rows_of(training.clusters(of), kind=KIND, seed=0)
    correlations = rows_of(training.correlations(of), kind=KIND, seed=0)
    assert list(rows.index) == list(made_up.LABELS)
    for label, row in rows.iterrows():
        here = rows_of(clusters, label=label).set_index("cluster")
        last, fewest = here["dominance"].idxmin(), here["training_share"].idxmin()
        assert (row["least dominant"], row["fewest training images"]) == ("ABCD"[last], "ABCD"[fewest])
        assert row["same"] == ("yes" if last == fewest else "no")
        found = here.loc[last]
        assert (row["training images"], row["evaluation images"]) == (f"{found['training']}", f"{made_up.SIZES[last]}")
        assert row["share (%)"] == number(100 * found["training_share"], 1)
        assert row["representation"] == number(found["representation"], 2)
        for title, share in (("correlation, share", "training_share"), ("representation ", "representation")):
            (value,) = rows_of(correlations, label=label, share=share)["correlation"]
            assert row[title] == signed(value, 2)


def test_verdicts_name_their_units_and_are_counted(of):
    table = tables.verdicts(of)
    rows, found = read(table), results_of_verdicts.verdicts(of)
    assert rows["claim"].tolist() == found["text"].tolist() and set(rows["with"]) == {NAMES[KIND]}
    assert set(rows["units"]) == {"3 classes", "24 images"}
    assert rows["units"].tolist() == ["3 classes"] * 6 + ["24 images"] * 2
    assert rows["difference as claimed"].tolist() == [signed(value, 3) for value in found["difference"]]
    assert rows["p (Holm)"].tolist() == [p_value(value) for value in found["p_holm"]]
    assert rows["verdict"].tolist() == found["reason"].tolist()
    counts = found["verdict"].value_counts()
    assert caption(table).startswith(
        f"Claims on planted: {counts.get('holds', 0)} hold, {counts.get('reverses', 0)} reverse, "
        f"{counts.get('undecided', 0)} are undecided."
    )
    assert tables.verdict_rule().data.count(statistics.RULE[:40]) == 1


def test_verdicts_on_rare_modes(run_of):
    rows = made_up.rare(trainings=5)
    made_up.put(rows, "dominance", -1.0, clustering="modes", cluster=2)
    table = rarity_tables.verdicts(run_of(rows))
    found = read(table)
    assert set(found["units"]) == {"5 trainings"} and len(found) == 2 * (len(detection.SCORES) - 1)
    by_clusters = found.groupby("with")["verdict"].unique()
    assert list(by_clusters["the planted modes as clusters"]) == ["holds"]
    held = (found["verdict"] == "holds").sum()
    assert caption(table).startswith(f"Claims on planted images: {held} hold, ")


def test_power_has_a_column_for_each_rarity(run_of):
    run = run_of(made_up.rare(trainings=5))
    rows, found = read(rarity_tables.power(run, "modes")).set_index("first suspect by"), rarity.power(run, "modes")
    assert list(rows.index) == list(detection.SCORES) and list(rows) == ["1 %", "2 %", "5 %", "10 %", "20 %"]
    for row in found.to_dict("records"):
        text = rows.loc[row["score"], f"{100 * row['rarity']:g} %"]
        beside = "" if row["score"] == "random" else f" {interval(row['low'], row['high'], 2)}"
        assert text == number(row["hit"], 2) + beside
    words = caption(rarity_tables.power(run, "modes"))
    assert "(planted modes)" in words and "10 trials each, 5 trainings" in words
    assert "(clusters)" in caption(rarity_tables.power(run, "k-means"))
    rows, found = read(rarity_tables.purity(run)).set_index("share in training"), rarity.purity(run).set_index("rarity")
    assert rows.index.tolist() == ["1 %", "2 %", "5 %", "10 %", "20 %"] and set(rows["trials"]) == {"10"}
    shown = read(rarity_tables.suspected(run, "k-means")).set_index("first suspect by")
    assert list(shown.index) == list(detection.SCORES)
    for row in rarity.suspected(run, "k-means").to_dict("records"):
        text = shown.loc[row["score"], f"{100 * row['rarity']:g} %"]
        assert text == f"{number(100 * row['share'], 0)} % ({number(row['rank'], 1)})"
    assert rows["of that cluster (%)"].tolist() == [number(100 * value, 0) for value in found["pure"]]


@pytest.mark.filterwarnings("error")
def test_one_training_on_rare_modes_has_no_interval(run_of):
    run = run_of(made_up.rare(trainings=1))
    rows = read(rarity_tables.power(run, "k-means"))
    assert not rows.iloc[:, 1:].apply(lambda column: column.str.contains("[", regex=False)).any(axis=None)
    found = read(rarity_tables.verdicts(run))
    assert set(found["verdict"]) == {"undecided (seeds)"} and set(found["units"]) == {"1 training"}


def every_table(of, kind, label):
    shown = {name: getattr(tables, name)(of) for name in OF_A_RUN}
    return (
        shown | {name: getattr(tables, name)(of, kind) for name in OF_A_KIND} | {"pairs": tables.pairs(of, kind, label)}
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("empty", [False, True])
def test_tables_of_one_network_and_class_whose_maps_may_all_be_empty(hierarchies_of, empty):
    of_networks = (("tuned", 0),)
    frames = made_up.frames(of_networks, labels=("cat",), sizes=(3, 2), paired=3, n_mosaics=3, missing=0)
    if empty:
        for part in ("mosaics", "variants", "pairs", "focus"):
            frames[part]["value"] = NAN
    shown = every_table(hierarchies_of(frames, of_networks), "tuned", "cat")
    for name, table in shown.items():
        assert caption(table).endswith("."), name
        assert not re.search(r"\bnan\b|None", table.data), name
    assert read(shown["between_trainings"]).empty
    if empty:
        row = read(shown["classes"]).squeeze()
        assert (row["most dominant"], row["least dominant"], row["misfit"]) == ("–", "–", "–")
        assert read(shown["by_class"]).iloc[0].tolist()[1:].count("–") == read(shown["by_class"]).shape[1] - 1
        assert read(shown["pairs"]).squeeze()["dominance"] == "–"


@pytest.mark.filterwarnings("error")
def test_a_class_without_values_has_dashes_beside_the_others(hierarchies_of):
    frames = made_up.frames(NETWORKS[:1])
    made_up.put(frames["mosaics"], "value", NAN, label="bird")
    of = hierarchies_of(frames, NETWORKS[:1])
    rows = read(tables.by_class(of, KIND)).set_index("class")
    assert list(rows.index) == list(made_up.LABELS)
    assert (rows.loc["bird"] == "–").all() and not (rows.drop("bird") == "–").any(axis=None)
    assert rows.loc["ship", "training images"].isdigit()


def test_every_caption_is_a_sentence(of, run_of):
    shown = every_table(of, KIND, "cat")
    run = run_of(made_up.rare(trainings=1))
    shown |= {
        "power": rarity_tables.power(run, "modes"),
        "purity": rarity_tables.purity(run),
        "rare": rarity_tables.verdicts(run),
    }
    shown["suspected"] = rarity_tables.suspected(run, "k-means")
    shown["fine_tuning"] = tables.fine_tuning(made_up.run())
    for name, table in shown.items():
        assert caption(table).endswith(".") and ".." not in caption(table), name


def test_errata_are_those_of_the_data():
    shown = tables.errata("airplane", "mosaic-composition").data
    texts = published.errata("dominance").set_index("id")["text"]
    assert shown.count("<p>") == 2 and texts["airplane"] in shown
    assert shown.index(texts["airplane"]) < shown.index(texts["mosaic-composition"].split(",")[0])
    assert tables.errata().data == ""
    with pytest.raises(KeyError, match="nothing"):
        tables.errata("nothing")
