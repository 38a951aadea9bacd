import runpy
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from xai_lib import published, statistics
from xai_lib.page.names import CONTRASTIVE_NAMES
from xai_lib.page.table import interval, number, plus_minus, signed
from xai_lib.papers.whole_output import claims as results_of_verdicts
from xai_lib.papers.whole_output import experiment, tables
from xai_lib.papers.whole_output.analysis import evidence, printed, scores
from xai_lib.papers.whole_output.experiment import explanations as of_cells

NAN = float("nan")
MADE_UP = Path(__file__).parent / "made_up.py"
made_up = SimpleNamespace(**runpy.run_path(str(MADE_UP)))
METHODS = ["SWOX", "CWOX-1sA", "CWOX-1sB", "CWOX-2s"]
BESIDE = [*METHODS, "CWOX-1sA, second stage's maps", "random map"]
BASES = ["Grad-CAM", "MWP", "LIME", "RISE"]
OF_A_STUDY = (
    *("outputs", "effect_of_clusters", "table_1", "table_2", "table_3", "degenerate", "shares_of_the_gain"),
    *("variants", "part_energy", "matching"),
)


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


@pytest.fixture
def study_of(monkeypatch):
    """Function (frames of made_up.py, networks, corpus) -> a study that has these scores."""

    def build(frames, networks=made_up.OURS, corpus=None):
        made_up.put_into(monkeypatch, frames)
        return made_up.study(networks, corpus)

    return build


@pytest.fixture
def corpus(monkeypatch):
    """Documents of five letters, and what cells know of them."""
    partition = [[0, 1], [2, 3], [4]]
    clusterings = {"latent tree": partition, "spectral": [[0, 1, 2], [3, 4]]}
    rows = [("latent tree", "halves", 0.25), ("latent tree", "halves", 0.75), ("spectral", "bootstrap", -0.125)]
    stability = pd.DataFrame(rows, columns=["clustering", "what", "ari"])
    monkeypatch.setattr(experiment, "partition", lambda corpus: partition)
    monkeypatch.setattr(experiment, "clusterings_of", lambda corpus, repeats: clusterings)
    monkeypatch.setattr(experiment, "stability_of", lambda corpus, repeats: stability)
    documents = [[0], [0, 1], [1, 0, 2], [3, 2], [4], [2, 3, 0, 1]]
    return experiment.Corpus("five letters", ("a", "b", "c", "d", "e"), "key", (), lambda: documents)


@pytest.fixture
def frames():
    return made_up.frames(n_images=4)


def test_outputs_are_per_cent_and_counts(study_of, frames):
    """Of images 0 to 3, the first and the last have five top classes in two clusters; labels are 0, 1, 2, 3."""
    table = tables.outputs(study_of(frames))
    assert read(table).to_numpy().tolist() == [
        [name, "4", "25.0", "3.50", "0", "50", "4", "14"] for name in ("seed 0", "seed 1")
    ]
    assert "planted" in caption(table) and "more than 0.95 of the probability, at most 5" in caption(table)
    assert of_cells.AT_MOST == 5 and of_cells.documents.CUMULATIVE == 0.95


@pytest.mark.parametrize(("name", "metric", "digits"), [("table_1", "cauc", 4), ("table_2", "cdrop", 3)])
def test_methods_stand_beside_print(study_of, frames, name, metric, digits):
    made_up.put(frames["paper"], NAN, metric=metric, base="rise", method="cwox-1sb", network="seed 0", index=(1, 2))
    study = study_of(frames)
    rows, ours = read(getattr(tables, name)(study)), printed.methods(study, metric)
    assert rows["network"].tolist() == ["ours"] + [""] * 23
    assert rows["base"].tolist() == [text for base in BASES for text in (base, *[""] * 5)]
    assert rows["method"].tolist() == BESIDE * 4
    found, means = filled(rows, "base").set_index("method", append=True), ours.set_index(["base", "method"])
    row, mean = found.loc[("RISE", "CWOX-1sB")], means.loc[("rise", "cwox-1sb")]
    print_of = {"cauc": ("4.96 × 10⁻³", 0.00496), "cdrop": ("7.01 × 10⁻²", 0.0701)}[metric]
    assert row["here"] == plus_minus(mean["mean"], mean["spread"], digits) and " ± " in row["here"]
    assert row["95 % interval"] == interval(mean["low"], mean["high"], digits)
    assert row["paper, as printed"] == print_of[0]
    assert row["difference"] == signed(mean["mean"] - print_of[1], digits)
    assert row["undefined"] == "2"
    beyond = found.loc[[(base, method) for base in BASES for method in BESIDE[4:]]]
    assert set(beyond["paper, as printed"]) == set(beyond["difference"]) == {"–"}
    lacking = found.loc[["MWP", "LIME"]]
    assert set(lacking["paper, as printed"]) == {"–"} and (found["paper, as printed"] != "–").sum() == 8


def test_table_3_has_whole_pixels(study_of, frames):
    made_up.put(frames["paper"], 123.4, metric="salient-pixels", base="lime", method="cwox-2s")
    rows = filled(read(tables.table_3(study_of(frames))), "network", "metric", "base")
    assert rows.index.get_level_values("metric").unique().tolist() == ["salient pixels", "CAUC ↓", "CDROP ↑"]
    row = rows.loc[("ours", "salient pixels", "LIME")]
    assert row[["here", "paper, as printed", "difference"]].tolist() == ["123 ± 0", "2,464", "−2341"]
    assert rows.loc[("ours", "CAUC ↓", "RISE"), "paper, as printed"] == "3.07 × 10⁻³"
    assert len(rows) == 12


@pytest.mark.parametrize(
    ("networks", "counted", "paper"),
    [
        ("OURS", "planted, 2 networks, up to 4 images each", "Paper: ResNet-50 on ImageNet."),
        ("PRINTED", "planted, 2 networks, up to 4 images each", "Paper: the same network on ImageNet."),
        ("ONE", "planted, 1 network, up to 4 images each", "Paper: ResNet-50 on ImageNet."),
    ],
)
def test_captions_count_networks_and_images_and_say_what_print_is_of(study_of, networks, counted, paper):
    networks = getattr(made_up, networks, made_up.OURS[:1])
    frames = made_up.frames(networks, n_images=4)
    made_up.put(frames["paper"], NAN, metric=("cauc", "cdrop"), base="rise", index=0)
    study = study_of(frames, networks)
    for name, title in (("table_1", "CAUC, lower is better"), ("table_2", "CDROP, higher is better")):
        text = caption(getattr(tables, name)(study))
        assert text.startswith(f"Table {name[-1]}: {title}: {counted}, variant “paper”.") and text.endswith(paper)
        assert "The last two rows of a base are ours." in text
        assert "variant “released”" in caption(getattr(tables, name)(study, "released"))
    text = caption(tables.table_3(study))
    assert text.startswith(f"Table 3: base explainers of CWOX-2s: {counted}.") and text.endswith(paper)


def test_the_released_variant_has_numbers_of_its_own(study_of, frames):
    made_up.put(frames["released"], 0.75, metric=("cauc", "cauc-bases", "cdrop"))
    study = study_of(frames)
    for name, text in (("table_1", "0.7500 ± 0.0000"), ("table_2", "0.750 ± 0.000")):
        assert set(read(getattr(tables, name)(study, "released"))["here"]) == {text}
        assert text not in set(read(getattr(tables, name)(study))["here"])
    assert (
        read(tables.table_3(study, "released"))["here"].tolist()[4:] == ["0.7500 ± 0.0000"] * 4 + ["0.750 ± 0.000"] * 4
    )


def test_networks_of_torchvision_are_named_in_every_table_that_has_them(study_of):
    frames = made_up.frames(made_up.PRINTED, n_images=3)
    made_up.put(frames["paper"], 0.25, metric="matching-accuracy", network="googlenet", base="rise", method="swox")
    study = study_of(frames, made_up.PRINTED)
    for name in ("table_1", "table_2", "table_3", "shares_of_the_gain", "variants", "matching"):
        rows = read(getattr(tables, name)(study))
        assert [text for text in rows["network"].unique() if text] == ["ResNet-50", "GoogLeNet"], name
    rows = filled(read(tables.matching(study)), "network", "base").set_index("maps", append=True)
    assert rows.loc[("GoogLeNet", "RISE", "SWOX"), "matched by another network"] == "0.250"
    assert rows.loc[("ResNet-50", "RISE", "SWOX"), "matched by another network"] != "0.250"
    rows = filled(read(tables.table_1(study)), "network", "base").set_index("method", append=True)
    assert rows.loc[("GoogLeNet", "RISE", "CWOX-2s"), "paper, as printed"] == "2.78 × 10⁻³"
    assert rows.loc[("ResNet-50", "RISE", "CWOX-2s"), "paper, as printed"] == "4.08 × 10⁻³"
    assert read(tables.outputs(study))["network"].tolist() == ["googlenet", "resnet50"]


def test_degenerate_maps_are_counted_out_of_all_but_those_of_noise(study_of, frames):
    """A network has 14 pairs."""
    made_up.put(frames["paper"], 1, metric="degenerate", base="lime", method="cwox-1sb", index=0)
    made_up.put(frames["released"], 1, metric="degenerate", base="rise", method="cwox-2s")
    study = study_of(frames)
    table = tables.degenerate(study)
    rows = read(table).set_index("method")
    assert rows.index.tolist() == BESIDE[:-1] and rows.columns.tolist() == BASES
    assert rows.loc["CWOX-1sB", "LIME"] == "10 of 28" and (rows.to_numpy() == "0 of 28").sum() == 19
    assert "variant “paper”" in caption(table)
    table = tables.degenerate(study, "released")
    assert read(table).set_index("method").loc["CWOX-2s", "RISE"] == "28 of 28"
    assert "variant “released”" in caption(table)


def test_shares_of_the_gain_have_signs(study_of, frames):
    made_up.scale(frames["paper"], 0.5, metric="cauc", base="rise", method="cwox-2s")
    study = study_of(frames)
    rows, ours = read(tables.shares_of_the_gain(study)), evidence.shares_of_the_gain(study)
    assert rows["gain"].tolist() == [signed(value, 4) for value in ours["difference"]]
    rows = filled(rows, "metric", "network", "base").set_index("step", append=True)
    row = rows.loc[("CAUC ↓", "ours", "RISE", "own rivals and region")]
    assert row["gain"].startswith("+0.00") and row["gain"] != "+0.0000" and row["images"] == "4"
    assert row["95 % interval"].startswith("[0.00")


def test_variants_have_the_digits_of_their_metric(study_of, frames):
    made_up.put(frames["paper"], 0.12345, metric=("cauc", "cdrop"), base="lime", method="swox")
    made_up.put(frames["released"], 0.98765, metric=("cauc", "cdrop"), base="lime", method="swox")
    rows = filled(read(tables.variants(study_of(frames))), "metric", "network", "base").set_index("method", append=True)
    columns = ["paper's equations", "released code's"]
    assert rows.loc[("CAUC ↓", "ours", "LIME", "SWOX"), columns].tolist() == ["0.1235", "0.9877"]
    assert rows.loc[("CDROP ↑", "ours", "LIME", "SWOX"), columns].tolist() == ["0.123", "0.988"]
    assert rows.index.get_level_values("method").tolist() == METHODS * 8


def test_part_energy_has_the_control_last(study_of, frames):
    made_up.put(frames["paper"], 0.25, metric="part-energy", base="lime", method="random", index=(0, 1))
    made_up.put(frames["paper"], NAN, metric="part-energy", base="lime", method="random", index=(2, 3))
    table = tables.part_energy(study_of(frames))
    rows = filled(read(table), "base").set_index("method", append=True)
    assert rows.index.tolist() == [(base, method) for base in BASES for method in BESIDE]
    assert rows.loc[("LIME", "random map")].tolist() == ["0.250", "[0.250, 0.250]", "2"]
    assert "Random: the part" in caption(table) and "planted" in caption(table)


def test_the_observer_and_people_are_never_in_one_table(study_of, frames):
    made_up.put(frames["paper"], 0.625, metric="matching-accuracy", base="rise", method="cwox-2s")
    made_up.put(frames["paper"], NAN, metric="matching-accuracy", base="rise", method="cwox-1sb", index=1)
    table = tables.matching(study_of(frames))
    rows = filled(read(table), "network", "base").set_index("maps", append=True)
    assert rows.loc[("ours", "RISE", "CWOX-2s")].tolist() == ["0.625", "[0.625, 0.625]", "4", "0"]
    assert rows.loc[("ours", "RISE", "CWOX-1sB"), ["images", "undefined"]].tolist() == ["3", "2"]
    assert rows.index.get_level_values("maps").tolist() == METHODS * 4
    assert "simulated observer" in caption(table) and "0.5 is guessing" in caption(table)
    people = (
        published.table("whole_output", 4)["printed"].tolist() + published.table("whole_output", 5)["printed"].tolist()
    )
    assert not any(text in table.data for text in people)
    shown = tables.people()
    assert read(shown).to_numpy().tolist() == [
        ["expert", "matched", "0.45 ± 0.048", "0.57 ± 0.088", "0.83 ± 0.092"],
        ["", "confidence, 1 to 5", "1.60 ± 0.241", "2.60 ± 0.241", "3.60 ± 0.237"],
        ["non-expert", "matched", "0.40 ± 0.075", "0.51 ± 0.102", "0.75 ± 0.119"],
        ["", "confidence, 1 to 5", "1.40 ± 0.108", "2.80 ± 0.172", "3.40 ± 0.163"],
    ]
    assert read(shown).columns.tolist() == ["group", "measure", "SWOX", "CWOX-1sB", "CWOX-2s"]
    assert "people, as printed" in caption(shown) and "Not measured here" in caption(shown)


def test_without_observer_and_planted_part_tables_are_empty(study_of):
    study = study_of(made_up.frames(made_up.OURS[:1], n_images=3, observed=False, planted=False), made_up.OURS[:1])
    for name in ("matching", "part_energy"):
        table = getattr(tables, name)(study)
        assert read(table).empty and caption(table)
    assert len(read(tables.verdicts(study))) == 26


@pytest.mark.parametrize("name", sorted(set(OF_A_STUDY) - {"outputs", "effect_of_clusters"}))
def test_a_run_without_any_pair_says_so(study_of, frames, name):
    study = study_of({**frames, "paper": frames["paper"].iloc[:0], "released": frames["released"].iloc[:0]})
    with pytest.raises(ValueError, match=r"Got none: take more images."):
        getattr(tables, name)(study)


def test_verdicts_are_counted_and_said_with_their_reasons(study_of):
    frames = made_up.frames(n_images=12)
    made_up.scale(frames["paper"], 0.5, metric="cauc", method="cwox-2s")
    made_up.scale(frames["paper"], 0.5, metric="cdrop", method="cwox-2s", base="rise")
    made_up.put(frames["paper"], NAN, metric="cauc", method="cwox-1sb", base="rise")
    study = study_of(frames)
    table, ours = tables.verdicts(study), results_of_verdicts.verdicts(study)
    rows = read(table)
    assert rows["claim"].tolist() == ours["text"].tolist()
    assert rows["section"].tolist() == ours["section"].tolist()
    assert rows["verdict"].tolist() == ours["reason"].tolist()
    counts = ours["verdict"].value_counts()
    assert min(counts["holds"], counts["reverses"], counts["undecided"]) > 0
    text = f"{counts['holds']} hold, {counts['reverses']} reverse, {counts['undecided']} are undecided"
    assert text in caption(table) and "above zero supports the claim" in caption(table)
    assert rows["difference as claimed"].tolist() == [signed(value, 4) for value in ours["difference"]]
    empty = rows[rows["verdict"] == "undecided (no interval)"]
    assert len(empty) == 2 and set(empty["difference as claimed"]) == set(empty["95 % interval"]) == {"–"}
    assert statistics.RULE in tables.verdict_rule().data


def test_the_effect_of_clusters_keeps_the_order_of_the_clusterings(study_of, frames):
    made_up.put(frames["clusterings"], 0.875, metric="same-map", clustering="spectral")
    study = study_of(frames)
    table, ours = tables.effect_of_clusters(study), evidence.effect_of_clusters(study)
    rows = read(table)
    assert rows["clustering"].tolist() == [*made_up.CLUSTERINGS] * 2
    names = ("CDROP ↑", "correlation with the latent tree's map")
    assert rows["measured"].tolist() == [text for name in names for text in (name, "", "")]
    assert rows["mean"].tolist() == [number(value) for value in ours["mean"]] and rows["mean"][4] == "0.875"
    assert "CWOX-2s with Grad-CAM" in caption(table) and "planted" in caption(table)


def test_settings_of_bases_are_those_of_the_run(study_of, frames):
    study = study_of(frames)
    rows = filled(read(tables.bases(study)), "variant").set_index("base", append=True)
    masks, samples = study.run.explainers.rise_masks, study.run.explainers.lime_samples
    assert rows.index.tolist() == [(variant, base) for variant in ("paper", "released") for base in BASES]
    assert rows.loc[("paper", "RISE")].tolist() == [
        *(f"n_masks {masks}, grid 7, p 0.5", f"n_masks {masks}, grid 10, p 0.3", "min-max"),
    ]
    assert rows.loc[("released", "RISE"), "second stage"] == f"n_masks {max(1, masks * 3 // 5)}, grid 10, p 0.14"
    assert rows.loc[("paper", "Grad-CAM")].tolist() == ["layer coarse", "layer fine", "none"]
    assert rows.loc[("released", "LIME"), "first stage"] == f"n_samples {samples}"


def test_documents_and_clusters_of_networks_and_of_a_file(study_of, frames, corpus):
    numbers = ["6", "2", "2.75", "4", "3", "2", "1"]
    study = study_of(frames, corpus=corpus)
    assert read(tables.corpora(study)).to_numpy().tolist() == [["seed 0", *numbers], ["seed 1", *numbers]]
    assert "planted, training images" in caption(tables.corpora(study))
    assert read(tables.corpus(corpus)).to_numpy().tolist() == [["five letters", *numbers]]
    table = tables.strongest(corpus, 1)
    assert read(table).to_numpy().tolist() == [["a, b", "2", "3"]] and "five letters" in caption(table)


def test_examples_of_the_paper_are_together_apart_or_in_part(monkeypatch, corpus):
    rows = pd.DataFrame(
        {"classes": ["a, b", "c, d", "e, f, g"], "section": "§3", "together": [2, 1, 2], "size": [2, 2, 3]}
    )
    monkeypatch.setattr(evidence, "paper_examples", lambda corpus: rows)
    table = tables.paper_examples(corpus)
    assert read(table).to_numpy().tolist() == [["a, b", "§3", "yes"], ["c, d", "§3", "no"], ["e, f, g", "§3", "2 of 3"]]
    assert "five letters" in caption(table)


def test_epsilons_count_empty_maps(study_of, frames, monkeypatch):
    columns = ["epsilon", "mean", "low", "high", "n_images", "degenerate", "maps"]
    rows = pd.DataFrame([(0.0, 0.0824, 0.07, 0.09, 4, 0, 14), (0.5, NAN, NAN, NAN, 0, 14, 14)], columns=columns)
    monkeypatch.setattr(evidence, "epsilons", lambda study, base, n: {("rise", 9): rows}[base, n])
    table = tables.epsilons(study_of(frames), "rise", 9)
    assert read(table).to_numpy().tolist() == [
        ["0.0", "0.082", "[0.070, 0.090]", "4", "0 of 14"],
        ["0.5", "–", "–", "0", "14 of 14"],
    ]
    assert "CWOX-2s with RISE: planted, one network" in caption(table)


def test_stability_and_other_clusterings(corpus):
    table = tables.stability(corpus, 2)
    assert read(table).to_numpy().tolist() == [
        ["latent tree", "two halves of the documents", "2", "0.50", "0.25", "0.75"],
        ["spectral", "all documents, resampled", "1", "−0.12", "−0.12", "−0.12"],
    ]
    assert "five letters" in caption(table)
    ours, rows = evidence.clusterings(corpus, 2), read(tables.clusterings(corpus, 2))
    assert rows.iloc[0].tolist() == ["latent tree", "3", "2", "1.00", "0", "100"]
    assert rows.iloc[1, 3:].tolist() == [
        number(ours["ari"][1], 2),
        number(100 * ours["changed"][1], 0),
        number(100 * ours["together"][1], 0),
    ]
    assert "five letters" in caption(tables.clusterings(corpus, 2))


def test_planted_pairs_are_counted_out_of_four(study_of, frames, monkeypatch):
    names = experiment.Corpus(
        "planted", tuple(name for cluster in evidence.planted_truth() for name in cluster), "", (), list
    )
    perfect, merged = [[0, 1], [2, 3], [4, 5], [6, 7], [8], [9]], [[0, 1, 2, 3], [4, 5], [6], [7], [8], [9]]
    monkeypatch.setattr(experiment, "clusterings_of", lambda corpus, repeats: {"perfect": perfect, "merged": merged})
    table = tables.against_truth(study_of(frames, corpus=names))
    rows = read(table)
    assert rows["network"].tolist() == ["seed 0", "", "seed 1", ""]
    assert rows.iloc[0, 1:].tolist() == ["perfect", "1.00", "4 of 4", "4 of 4", "6"]
    assert rows.iloc[1, [1, 3, 4, 5]].tolist() == ["merged", "3 of 4", "1 of 4", "6"]
    assert "three look-alike pairs and a pair that keeps company" in caption(table)
    assert "clusters (truth: 6)" in rows


def test_errata_are_those_of_the_data():
    shown = tables.errata("1sa-against-1sb", "screwdriver-syringe").data
    assert shown.count("<b>In print:</b>") == 2 and "In both tables it is better in all cases" in shown
    assert "§5.1 against Tables 1 and 2" in shown and "Screwdriver and syringe" in shown
    with pytest.raises(KeyError):
        tables.errata("nothing")


def test_what_is_undefined_is_a_dash(study_of, frames):
    for metric in ("cauc", "cdrop", "cauc-bases", "part-energy", "matching-accuracy"):
        made_up.put(frames["paper"], NAN, metric=metric, base="rise")
    made_up.put(frames["clusterings"], NAN, metric="same-map", clustering="spectral")
    study = study_of(frames)
    for name in OF_A_STUDY:
        assert "nan" not in getattr(tables, name)(study).data.lower(), name
    row = filled(read(tables.table_1(study)), "base").set_index("method", append=True).loc[("RISE", "SWOX")]
    assert row[["here", "95 % interval", "difference", "undefined"]].tolist() == ["–", "–", "–", "8"]


@pytest.mark.parametrize("name", OF_A_STUDY)
def test_every_table_is_accessible(study_of, frames, name):
    table = getattr(tables, name)(study_of(frames))
    assert table.data.startswith('<div class="companion-table" tabindex="0" role="region" aria-label=')
    assert caption(table).endswith((".", "?"))


def test_arrows_agree_with_the_directions():
    for metric in ("cauc", "cdrop"):
        assert CONTRASTIVE_NAMES[metric].endswith({"lower": "↓", "higher": "↑"}[scores.BETTER[metric]])
        for table in (1, 2, 3):
            rows = published.table("whole_output", table)
            assert set(rows.loc[rows["metric"] == metric, "better"]) <= {scores.BETTER[metric]}
