import numpy as np
import pandas as pd
import pytest

from xai_lib.page import record
from xai_lib.page.errata import errata
from xai_lib.page.names import CONTRASTIVE_NAMES
from xai_lib.page.table import interval, number, plus_minus, signed
from xai_lib.papers.whole_output import tables
from xai_lib.papers.whole_output.analysis import clusters, scores
from xai_lib.papers.whole_output.method import documents
from xai_lib.papers.whole_output.method import evaluation as of_images

NAN = float("nan")
METHODS = ["SWOX", "CWOX-1sA", "CWOX-1sB", "CWOX-2s"]
BESIDE = [*METHODS, "CWOX-1sA, second stage's maps", "CWOX-2s, first stage's maps", "CWOX-2s, shifted at random"]
BASES = ["Grad-CAM", "MWP", "LIME", "RISE"]
CLUSTERINGS = {"latent tree": [[0, 1], [2, 3], [4]], "spectral": [[0, 1, 2], [3, 4]]}
STABILITY = [("spectral", "bootstrap", -0.125), ("latent tree", "halves", 0.25), ("latent tree", "halves", 0.75)]
OF_A_STUDY = {
    "table-1": lambda study: tables.methods(study, "cauc"),
    "table-2": lambda study: tables.methods(study, "cdrop"),
    "table-3": tables.table_3,
    "outputs": tables.outputs,
    "effect": tables.effect_of_clusters,
    "degenerate": tables.degenerate,
    "degenerate-released": lambda study: tables.degenerate(study, "released"),
    "gain": tables.shares_of_the_gain,
    "variants": tables.variants,
    "matching": tables.matching,
    "bases": tables.bases,
    "part-energy": lambda study: tables.planted(study, "part-energy"),
    "own-object": lambda study: tables.planted(study, "own-object"),
}


@pytest.fixture
def corpus(corpus_of):
    """Documents of five letters, and what cells know of them."""
    return corpus_of(clusterings=CLUSTERINGS, stability=STABILITY)


@pytest.fixture
def indexed(read):
    """Function (shown table, columns that repeat, last column of the index) -> texts, blanks of repeats filled in."""

    def fill(table, columns, *last):
        rows, columns = read(table), columns.split()
        rows[columns] = rows[columns].mask(rows[columns] == "").ffill()
        return rows.set_index([*columns, *last])

    return fill


def test_outputs_are_per_cent_and_counts(study_of, frames, read):
    """Of images 0 to 3, the first and the last have five top classes in two clusters; labels are 0, 1, 2, 3."""
    rows = read(tables.outputs(study_of(frames)))
    numbers = ["4", "25.0", "3.50", "0", "50", "4", "14"]
    assert rows.to_numpy().tolist() == [[name, *numbers] for name in ("seed 0", "seed 1")]
    assert "planted" in rows.attrs["caption"]
    assert "more than 0.95 of the probability, at most 5" in rows.attrs["caption"]
    assert of_images.AT_MOST == 5 and documents.CUMULATIVE == 0.95


@pytest.mark.parametrize(("metric", "digits", "text"), [("cauc", 4, "4.96 × 10⁻³"), ("cdrop", 3, "7.01 × 10⁻²")])
def test_methods_stand_beside_print(study_of, made_up, frames, read, indexed, metric, digits, text):
    made_up.put(frames["paper"], NAN, metric=metric, base="rise", method="cwox-1sb", network="seed 0", index=(1, 2))
    table, ours = tables.methods(study_of(frames), metric), scores.methods(study_of(frames), metric)
    rows, found = read(table), indexed(table, "base", "method")
    assert rows["network"].tolist() == ["ours"] + [""] * 27
    assert rows["base"].tolist() == [text for base in BASES for text in (base, *[""] * 6)]
    assert rows["method"].tolist() == BESIDE * 4
    mean = ours.set_index(["base", "method"]).loc[("rise", "cwox-1sb")]
    assert found.loc[("RISE", "CWOX-1sB")].drop("network").to_dict() == {
        "here": plus_minus(digits)(mean["mean"], mean["spread"]),
        "95 % interval": interval(digits)(mean["low"], mean["high"]),
        "paper, as printed": text,
        "place here / in print": f"{mean['order']:.0f} / {mean['printed_order']:.0f}",
        "undefined": "2",
    }
    beyond = found.loc[[(base, method) for base in BASES for method in BESIDE[4:]]]
    assert set(beyond["paper, as printed"]) == set(beyond["place here / in print"]) == {"–"}
    assert set(found.loc[["MWP", "LIME"], "paper, as printed"]) == {"–"}
    assert (found["paper, as printed"] != "–").sum() == 8


def test_table_3_has_salient_pixels_in_per_cent_of_images_of_both_sizes(study_of, made_up, frames, indexed):
    made_up.put(frames["paper"], 0.1234, metric="salient-share", base="lime", method="cwox-2s")
    rows = indexed(tables.table_3(study_of(frames)), "network metric base")
    assert rows.index.get_level_values("metric").unique().tolist() == ["salient pixels (%)", "CAUC ↓", "CDROP ↑"]
    row = rows.loc[("ours", "salient pixels (%)", "LIME")]
    shown = ["12.3 ± 0.0", "2,464 of 50,176 (4.9)", "4 / 3"]
    assert row[["here", "paper, as printed", "place here / in print"]].tolist() == shown
    assert rows.loc[("ours", "CAUC ↓", "RISE"), "paper, as printed"] == "3.07 × 10⁻³" and len(rows) == 12


@pytest.mark.parametrize(
    ("kind", "n", "counted", "paper"),
    [
        ("OURS", 2, "2 networks", "ResNet-50"),
        ("PRINTED", 2, "2 networks", "the same network"),
        ("ELSEWHERE", 1, "1 network", "ResNet-50"),
        ("OURS", 1, "1 network", "ResNet-50"),
    ],
)
def test_captions_count_networks_and_images_and_say_what_print_is_of(study_of, made_up, read, kind, n, counted, paper):
    networks = getattr(made_up, kind)[:n]
    frames = made_up.frames(networks, n_images=4)
    made_up.put(frames["paper"], NAN, metric=("cauc", "cdrop"), base="rise", index=0)
    study, counted = study_of(frames, networks), f"planted, {counted}, up to 4 images each"
    beginnings = {
        "table-1": "Table 1: CAUC up to the fewest salient pixels of its four methods (in Table 3: of four bases), "
        f"lower is better: {counted}, variant “paper”. The last three rows of a base are",
        "table-2": f"Table 2: CDROP, higher is better: {counted}, variant “paper”. The last three rows of a base are",
        "table-3": f"Table 3: base explainers of CWOX-2s: {counted}.",
    }
    for name, beginning in beginnings.items():
        text = read(OF_A_STUDY[name](study)).attrs["caption"]
        assert text.startswith(beginning) and f"Paper: {paper} on ImageNet" in text


def test_published_networks_are_named_in_every_table_that_has_them(study_of, made_up, read, indexed):
    networks = (*made_up.ELSEWHERE, *made_up.PRINTED)
    study = study_of(made_up.frames(networks, n_images=3), networks)
    for name in ("table-1", "table-2", "table-3", "gain", "variants", "matching", "effect"):
        rows = read(OF_A_STUDY[name](study))
        assert [text for text in rows["network"].unique() if text] == [
            "ResNet-50",
            "GoogLeNet",
            "EfficientNet-Lite0",
        ], name
    rows = indexed(tables.methods(study, "cauc"), "network base", "method")
    printed = [rows.loc[(name, "RISE", "CWOX-2s"), "paper, as printed"] for name in ("GoogLeNet", "ResNet-50")]
    assert printed == ["2.78 × 10⁻³", "4.08 × 10⁻³"]
    assert read(tables.outputs(study))["network"].tolist() == ["efficientnet-lite0", "googlenet", "resnet50"]


def test_degenerate_maps_are_counted_out_of_all_but_those_of_noise_and_for_each_epsilon(
    study_of, made_up, frames, read, monkeypatch
):
    """A network has 14 pairs."""
    made_up.put(frames["paper"], 1, metric="degenerate", base="lime", method="cwox-1sb", index=0)
    made_up.put(frames["paper"], 1, metric="degenerate", base="lime", method="cwox-1sb", index=1, seed=1)
    made_up.put(frames["released"], 1, metric="degenerate", base="rise", method="cwox-2s")
    study = study_of(frames)
    rows, released = read(tables.degenerate(study)).set_index("method"), read(tables.degenerate(study, "released"))
    assert rows.index.tolist() == BESIDE[:-1] and rows.columns.tolist() == BASES
    assert rows.loc["CWOX-1sB", "LIME"] == "12 of 28" and (rows.to_numpy() == "0 of 28").sum() == 23
    assert released.set_index("method").loc["CWOX-2s", "RISE"] == "28 of 28"
    assert "variant “paper”" in rows.attrs["caption"] and "variant “released”" in released.attrs["caption"]
    columns = ["epsilon", "salient", "degenerate", "maps"]
    rows = pd.DataFrame([(0.0, 0.0824, 0, 14), (0.5, 0.0, 14, 14)], columns=columns)
    monkeypatch.setattr(scores, "epsilons", lambda study, base, n: {("grad-cam", 100): rows}[base, n])
    found = read(tables.epsilons(study))
    assert found.to_numpy().tolist() == [["0.0", "8.2", "0 of 14"], ["0.5", "0.0", "14 of 14"]]
    assert "alone in one of several clusters: planted, one network, the first 100" in found.attrs["caption"]


def test_gains_have_signs_and_variants_the_digits_of_their_metric(study_of, made_up, frames, indexed):
    made_up.scale(frames["paper"], 0.5, metric="cauc", base="rise", method="cwox-2s")
    for variant, value in (("paper", 0.12345), ("released", 0.98765)):
        made_up.put(frames[variant], value, metric=("cauc", "cdrop"), base="lime", method="swox")
    study = study_of(frames)
    rows = indexed(tables.shares_of_the_gain(study), "metric network base", "gain of")
    assert rows["gain"].tolist() == [signed(4)(value) for value in scores.shares_of_the_gain(study)["difference"]]
    row = rows.loc[("CAUC ↓", "ours", "RISE", "second-stage maps, in two stages")]
    assert row["gain"].startswith("+0.00") and row["gain"] != "+0.0000" and row["images"] == "4"
    assert row["95 % interval"].startswith("[0.00")
    rows = indexed(tables.variants(study), "metric network base", "method")
    both = rows[["paper's equations", "released code's"]]
    assert both.loc[("CAUC ↓", "ours", "LIME", "SWOX")].tolist() == ["0.1235", "0.9877"]
    assert both.loc[("CDROP ↑", "ours", "LIME", "SWOX")].tolist() == ["0.123", "0.988"]
    assert rows.index.get_level_values("method").tolist() == METHODS * 8


def test_the_observer_and_people_are_never_in_one_table(study_of, made_up, frames, read, indexed):
    made_up.put(frames["paper"], 0.625, metric="matching-accuracy", base="rise", method="cwox-2s")
    made_up.put(frames["paper"], NAN, metric="matching-accuracy", base="rise", method="cwox-1sb", index=1)
    made_up.put(frames["paper"], 9.0, metric="matching-margin")
    table = tables.matching(study_of(frames))
    rows = indexed(table, "measure network base", "maps")
    assert rows.loc["overlap ↓"].index.get_level_values("maps").tolist() == METHODS * 4
    rows = rows.loc["matched by another network ↑"]
    assert rows.loc[("ours", "RISE", "CWOX-2s")].tolist() == ["0.625", "[0.625, 0.625]", "4", "0"]
    assert rows.loc[("ours", "RISE", "CWOX-1sB"), ["images", "undefined"]].tolist() == ["3", "2"]
    assert rows.index.get_level_values("maps").tolist() == METHODS * 4
    assert "simulated observer" in read(table).attrs["caption"] and "(0.5 is guessing)" in read(table).attrs["caption"]
    assert not any(text in table.data for text in scores.people()["printed"])
    shown = read(tables.people())
    assert shown.columns.tolist() == ["group", "measure", "SWOX", "CWOX-1sB", "CWOX-2s"]
    assert shown.to_numpy().tolist() == [
        ["expert", "matched", "0.45 ± 0.048", "0.57 ± 0.088", "0.83 ± 0.092"],
        ["", "confidence, 1 to 5", "1.60 ± 0.241", "2.60 ± 0.241", "3.60 ± 0.237"],
        ["non-expert", "matched", "0.40 ± 0.075", "0.51 ± 0.102", "0.75 ± 0.119"],
        ["", "confidence, 1 to 5", "1.40 ± 0.108", "2.80 ± 0.172", "3.40 ± 0.163"],
    ]
    assert "people, as printed" in shown.attrs["caption"] and "Not measured here" in shown.attrs["caption"]


def test_settings_of_bases_are_those_of_the_run(study_of, frames, indexed):
    study = study_of(frames)
    rows = indexed(tables.bases(study), "variant", "base")
    masks = study.run.explainers.rise_masks
    assert rows.index.tolist() == [(variant, base) for variant in ("paper", "released") for base in BASES]
    stages = [f"n_masks {masks}, grid 7, p 0.5", f"n_masks {masks}, grid 10, p 0.3"]
    assert rows.loc[("paper", "RISE")].tolist() == [*stages, "min-max"]
    released = study.run.whole_output.released_masks * 3 // 5
    assert rows.loc[("released", "RISE"), "second stage"] == f"n_masks {released}, grid 10, p 0.14"
    assert rows.loc[("paper", "Grad-CAM")].tolist() == ["layer coarse", "layer fine", "none"]
    assert rows.loc[("released", "LIME"), "first stage"] == f"n_samples {study.run.whole_output.released_samples}"


def test_documents_clusters_and_examples_of_a_corpus(study_of, frames, corpus, read, monkeypatch):
    numbers, found = ["6", "2", "2.75", "4", "3", "2", "1"], read(tables.corpora(study_of(frames, corpus=corpus)))
    assert found.to_numpy().tolist() == [["seed 0", *numbers], ["seed 1", *numbers]]
    assert found.attrs["caption"] == "Documents and level-1 clusters: planted."
    assert read(tables.corpus(corpus)).to_numpy().tolist() == [["five letters", *numbers]]
    strongest = read(tables.strongest(corpus))
    assert strongest.to_numpy().tolist() == [["a, b", "2", "3"], ["c, d", "2", "2"]]
    together = [("a, b", "§3", 2, 2), ("c, d", "§3", 1, 2), ("e, f, g", "§3", 2, 3)]
    rows = pd.DataFrame(together, columns=["classes", "section", "together", "size"])
    monkeypatch.setattr(clusters, "paper_examples", lambda corpus, steps: rows)
    examples = read(tables.paper_examples(corpus))
    assert examples["in one cluster here"].tolist() == ["yes", "no", "2 of 3"]
    steps = np.full((5, 5), 4)
    monkeypatch.setattr(clusters, "paper_examples", lambda corpus, steps: rows.assign(steps=steps[0, 1], nearer=0.25))
    assert read(tables.paper_examples(corpus, steps)).iloc[:, -1].tolist() == ["4 (25.0)"] * 3
    against = read(tables.against_wordnet(corpus, steps))
    assert against["clusters of"].tolist() == ["latent tree", "WordNet", "random"]
    assert against["steps in WordNet, median"].tolist() == ["4"] * 3
    assert all("five letters" in table.attrs["caption"] for table in (strongest, examples))


def test_stability_other_clusterings_and_the_planted_truth(study_of, frames, corpus, corpus_of, read):
    assert read(tables.stability(corpus, 2)).to_numpy().tolist() == [
        ["spectral", "all documents, resampled", "1", "−0.12", "−0.12", "−0.12"],
        ["latent tree", "two halves of the documents", "2", "0.50", "0.25", "0.75"],
    ]
    ours, rows = clusters.clusterings(corpus, 2).iloc[1], read(tables.clusterings(corpus, 2))
    assert rows.iloc[0].tolist() == ["latent tree", "3", "2", "1.00", "0", "100"]
    shares = [number(0, times=100)(ours[name]) for name in ("changed", "together")]
    assert rows.iloc[1, 3:].tolist() == [number(2)(ours["ari"]), *shares]
    perfect, merged = [[0, 1], [2, 3], [4, 5], [6, 7], [8], [9]], [[0, 1, 2, 3], [4, 5], [6], [7], [8], [9]]
    names = tuple(name for cluster in clusters.planted_truth() for name in cluster)
    made = corpus_of(classes=names, clusterings={"perfect": perfect, "merged": merged})
    rows = read(tables.against_truth(study_of(frames, corpus=made)))
    assert rows["network"].tolist() == ["seed 0", "", "seed 1", ""] and "clusters (truth: 6)" in rows
    assert rows.iloc[0, 1:].tolist() == ["perfect", "1.00", "4 of 4", "4 of 4", "6"]
    assert rows.iloc[1, [1, 3, 4, 5]].tolist() == ["merged", "3 of 4", "1 of 4", "6"]


def test_errata_are_those_of_the_data_and_arrows_agree_with_the_directions():
    shown = errata("whole_output", "1sa-against-1sb", "screwdriver-syringe").data
    assert shown.count("<b>In print:</b>") == 2 and "it is better than CWOX-1sB in all cases" in shown
    assert "§5.1 against Tables 1 and 2" in shown and "Screwdriver and syringe" in shown
    for metric in ("cauc", "cdrop"):
        assert CONTRASTIVE_NAMES[metric].endswith({"lower": "↓", "higher": "↑"}[scores.BETTER[metric]])


def test_what_is_undefined_is_a_dash_and_without_observer_or_planted_part_tables_are_empty(
    study_of, made_up, frames, read, indexed
):
    for metric in ("cauc", "cdrop", "cauc-bases", "part-energy", "matching-accuracy"):
        made_up.put(frames["paper"], NAN, metric=metric, base="rise")
    made_up.put(frames["clusterings"], NAN, metric="same-map", clustering="spectral")
    study = study_of(frames)
    for name, table in OF_A_STUDY.items():
        assert "nan" not in table(study).data.lower(), name
    row = indexed(tables.methods(study, "cauc"), "base", "method").loc[("RISE", "SWOX")]
    assert row[["here", "95 % interval", "place here / in print", "undefined"]].tolist() == ["–", "–", "–", "8"]
    study = study_of(made_up.frames(n_images=3, observed=False, planted=False))
    for name in ("part-energy", "own-object"):
        assert read(OF_A_STUDY[name](study)).empty and read(OF_A_STUDY[name](study)).attrs["caption"]
    assert set(read(tables.matching(study))["measure"]) == {"overlap ↓", ""}


def test_a_record_has_the_tables_under_the_names_of_the_book(study_of, made_up, frames, corpus, tmp_path, monkeypatch):
    monkeypatch.setenv(record.VARIABLE, str(tmp_path))
    study = study_of(frames, corpus=corpus)
    for table in OF_A_STUDY.values():
        table(study)
    tables.corpora(study), tables.corpus(corpus), tables.strongest(corpus)
    tables.stability(corpus, 2), tables.clusterings(corpus, 2)
    names = {*OF_A_STUDY, "corpora", "corpus", "strongest", "stability", "clusterings"}
    files = {f"{name}.{kind}" for name in names for kind in ("csv", "html")}
    assert {path.name for path in tmp_path.iterdir()} == files
    counted = pd.read_csv(tmp_path / "degenerate.csv")
    assert counted.columns.tolist() == ["base", "method", "maps", "degenerate"] and "random" in set(counted["method"])
