import itertools
import re

import numpy as np
import pandas as pd
import pytest

from xai_lib import published, statistics
from xai_lib.page import record
from xai_lib.page.table import interval, number, p_value, plus_minus, signed
from xai_lib.page.verdicts import counted, verdict_rule
from xai_lib.papers.dominance import claims, tables
from xai_lib.papers.dominance.analysis import hierarchies, networks, rarity, single, training
from xai_lib.papers.dominance.method.rare_modes import SCORES
from xai_lib.papers.dominance.tables import rarity as rarity_tables
from xai_lib.run import settings

NAN = float("nan")
KIND = "tuned"
NAMES = {KIND: "fine-tuned", "ce": "CE"}
EXPLAINERS = {"grad-cam": "Grad-CAM", "eigen-cam": "Eigen-CAM", "random": "Random"}
EXPLAINERS |= {"excitation-backprop": "MWP", "gradient": "Gradient"}
SIZES = {"rescaled": "scaled to the network's input", "whole": "whole, of twice the side"}
PERCENT, TWO = number(0, times=100), number(2)
OF_A_KIND = ("chosen", "classes", "single_by_class", "by_class")


def lettered(cluster, dominance):
    return f"{'ABCD'[cluster]} ({dominance:.2f})"


def with_interval(value, low, high):
    return f"{signed(2)(value)} {interval(2)(low, high)}"


RELATIONS = {"mosaic_logit": "logit of the mosaics", single.LEFT: "logit, the mosaics' held fixed"}
RANKS = {"least": "the least dominant cluster", "lowest two": "the two least dominant (ranks 3 and 4 in print)"}
RANKS |= {"most": "the most dominant cluster", "same": "how often the least dominant has the least"}
# Table -> the frame behind it.
FRAMES = {
    "accuracy": networks.accuracy,
    "sizes": networks.sizes,
    "modes": networks.modes,
    "focus": networks.focus,
    "variants": hierarchies.variants,
    "single_images": single.over_classes,
    "over_classes": training.over_classes,
    "clusters_and_outputs": lambda study: training.over_classes(study, training.OUTPUTS),
    "least": training.ranks_in_numbers,
    "chosen": lambda study: networks.first(networks.chosen(study), KIND),
    "classes": lambda study: hierarchies.classes(study, KIND),
    "pairs": lambda study: hierarchies.pairs_of(study, KIND, "bird"),
}
METRICS = {"accuracy": "accuracy (%)", "probability": "probability of the class (%)"}
# What columns of one title say in every table that has them.
USUAL = [
    *(("network", NAMES.get, "kind"), ("training", str, "seed")),
    *(("class", str, "label"), ("explainer", EXPLAINERS.get, "explainer")),
]
CORRELATIONS = [
    ("correlation", signed(2), "correlation"),
    ("p, permutation", p_value, "p_value"),
    ("classes above 0", "{} of 3".format, "positive"),
]
# Table -> title, and what it says of some columns of the frame.
SAID = {
    "accuracy": [
        ("", METRICS.get, "metric"),
        ("mean ± over trainings", plus_minus(1, times=100), "mean", "spread"),
        ("95 %", interval(1, times=100), "low", "high"),
        *(("trainings", str, "n_seeds"), ("images", str, "n_images")),
    ],
    "sizes": [
        *((name, "{:.0f}".format, name) for name in ("smallest", "median", "largest")),
        ("fewest training images", str, "fewest"),
    ],
    "modes": [("ARI, mean over classes", TWO, "ari")],
    "focus": [("Focus ↑", plus_minus(), "mean", "spread"), ("empty maps", str, "n_undefined")],
    "variants": [
        ("mosaic", SIZES.get, "size"),
        ("map", {"relu": "ReLU", "min-max": "ReLU, min-max"}.get, "scaling"),
        ("correlation", TWO, "correlation"),
        ("same least dominant (%)", PERCENT, "same_least"),
        ("empty maps", f"{{}} of {2 * 3 * 36}".format, "n_undefined"),
    ],
    "single_images": [
        ("dominance and", lambda name: RELATIONS.get(name, name), "output"),
        ("mosaics", SIZES.get, "size"),
        ("correlation", with_interval, "correlation", "low", "high"),
        *(("smallest", TWO, "smallest"), ("largest", TWO, "largest")),
        *(("classes", "3".format), ("networks", "2".format)),
    ],
    "over_classes": [*CORRELATIONS, ("dominance and", training.SHARES.get, "share")],
    "clusters_and_outputs": [*CORRELATIONS, ("dominance and", training.OUTPUTS.get, "share")],
    "least": [
        ("of", {"training_share": "training share", "representation": training.SHARES["representation"]}.get, "share"),
        *(("place", RANKS.get, "rank"), ("clusters", number(), "value"), ("dealt", number(), "dealt")),
        ("difference", with_interval, "difference", "low", "high"),
        ("p, deals", p_value, "p_value"),
    ],
    "chosen": [
        ("silhouette of 4", TWO, "silhouette"),
        *(("clusters by silhouette", str, "by_silhouette"), ("by the gap statistic", number(0), "by_gap")),
    ],
    "classes": [
        ("most dominant", lettered, "most", "dominance_most"),
        ("least dominant", lettered, "least", "dominance_least"),
        ("its 95 %", interval(2), "low", "high"),
        ("last in resamples (%)", PERCENT, "certain"),
        ("pairs that differ", "{} of 6".format, "decided"),
        ("intransitive", "{} of 4".format, "cyclic"),
    ],
    "pairs": [
        ("pair", lambda a, b: f"{'ABCD'[a]} over {'ABCD'[b]}", "first", "second"),
        ("dominance", number(), "dominance"),
        *(("p, t", p_value, "p_t"), ("Holm", p_value, "p_t_holm")),
        ("mosaics", str, "n"),
    ],
}


@pytest.mark.parametrize("name", SAID)
def test_a_table_says_what_was_computed(study, read, name):
    which = {"pairs": (KIND, "bird")}.get(name, (KIND,) if name in OF_A_KIND else ())
    found, expected = read(getattr(tables, name)(study, *which)), FRAMES[name](study).to_dict("records")
    for column in {"network", "dominance and", "of"} & set(found):  # repeats are blank
        found[column] = found[column].replace("", np.nan).ffill()
    for title, said, *columns in [*SAID[name], *(usual for usual in USUAL if usual[0] in found)]:
        assert found[title].tolist() == [said(*(row[column] for column in columns)) for row in expected], title
    caption = {"sizes": "4 clusters a class", "pairs": "bird", "classes": NAMES[KIND], "chosen": NAMES[KIND]}
    assert caption.get(name, "") in found.attrs["caption"]


def test_names_of_networks():
    names = {"tuned": "fine-tuned", "tuned-resnet50": "fine-tuned ResNet-50", "ce": "CE", "scl": "SCL", "tl": "TL"}
    names |= {"untrained": "untrained", "untrained-resnet18": "untrained ResNet-18"}
    assert {kind: tables.name_of(kind) for kind in names} == names


def test_settings_stand_beside_what_the_paper_names(made_up, read):
    rows = read(tables.fine_tuning(made_up.run(epochs_tuned=3))).set_index("setting")
    assert list(rows) == ["in print", "fine-tuned"]
    said = {"starts from": "our network trained by cross-entropy", "architecture": "ResNet-8", "epochs": "3"}
    said |= {"optimizer": "AdamW", "learning rate (peak)": "0.001", "weight decay": "0.05", "label smoothing": "0.1"}
    said |= {"schedule": "linear warm-up, cosine", "warm-up, share of steps": "0.1"}
    said |= {"augmentation": "as for cross-entropy", "batch size": rows.loc["batch size", "fine-tuned"]}
    assert rows["fine-tuned"].to_dict() == said and said["batch size"].isdigit()
    named = rows.index[rows["in print"] != "–"]
    assert list(named) == ["starts from", "architecture", "optimizer", "label smoothing", "schedule"]
    rows = read(tables.fine_tuning(settings.settings(scale="paper", device="cpu"))).set_index("setting")
    assert list(rows) == ["in print", "fine-tuned ResNet-18", "fine-tuned ResNet-50"]
    assert list(rows.loc["architecture"]) == ["ResNet-18, ResNet-50", "ResNet-18", "ResNet-50"]
    assert list(rows.loc["starts from"]) == ["ImageNet weights"] * 3


def test_clusters_stand_beside_images_dealt_at_random(study, read, select):
    rows = read(tables.null(study), "network")
    assert "6 mosaics a pair" in rows.attrs["caption"]
    clusterings = {"k-means": "clusters", "dealt": "images dealt at random"}
    for row, (kind, clustering) in zip(rows.to_numpy(), itertools.product(NAMES, clusterings), strict=True):
        here = select(hierarchies.spread(study), kind=kind, clustering=clustering)
        significant = here[["significant", "significant_holm"]].mean()
        assert [*row[:2]] == [NAMES[kind], clusterings[clustering]]
        assert [*row[2:6]] == [*map(number(), here[["mean", "spread"]].mean()), *map(PERCENT, significant)]
        cyclic, undefined = here["cyclic"].sum(), here["n_undefined"].sum()
        assert [*row[6:]] == [f"{cyclic} of {4 * len(here)}", f"{undefined} of {36 * len(here)}"]


def test_pairs_of_trainings_are_counted_by_kind(study_of, made_up, read):
    """Kinds are not in the order of the alphabet; of one training there is no other."""
    of_networks = (*(("tuned", seed) for seed in range(3)), ("ce", 0), ("ce", 1), ("scl", 0))
    frames = made_up.frames(of_networks, labels=("cat", "bird"), clusterings=("k-means",))
    study = study_of(frames, of_networks)
    grouped = hierarchies.between_trainings(study).groupby("kind")["correlation"]
    expected = [
        [name, n, *(TWO(getattr(grouped, how)()[kind]) for how in ("mean", "min", "max"))]
        for kind, name, n in (("tuned", "fine-tuned", "3"), ("ce", "CE", "1"))
    ]
    assert read(tables.between_trainings(study)).to_numpy().tolist() == expected


def test_outputs_stand_side_by_side_for_each_class(study, made_up, read, select):
    rows, found = read(tables.single_by_class(study, KIND)), select(single.correlations(study), seed=0, size="rescaled")
    assert list(rows) == ["class", "logit", "95 %", "images", "probability", "95 % "]
    assert rows["class"].tolist() == list(made_up.LABELS) and set(rows["images"]) == {str(made_up.PAIRED)}
    for output in single.OUTPUTS:
        assert rows[output].tolist() == [TWO(value) for value in select(found, output=output)["correlation"]]


def test_the_least_dominant_cluster_of_each_class(study, made_up, read, select):
    rows = read(tables.by_class(study, KIND)).set_index("class")
    assert list(rows.index) == list(made_up.LABELS)
    for label, row in rows.iterrows():
        here = select(networks.first(training.clusters(study), KIND), label=label).set_index("cluster")
        agree = select(networks.first(training.correlations(study), KIND), label=label)
        agree = agree.set_index("share")["correlation"]
        last, fewest = here["dominance"].idxmin(), here["training_share"].idxmin()
        found = here.loc[last]
        assert row.tolist() == [
            *("ABCD"[last], "ABCD"[fewest], "yes" if last == fewest else "no"),
            *(f"{found['training']}", number(1, times=100)(found["training_share"])),
            *(f"{made_up.SIZES[last]}", TWO(found["representation"])),
            *(signed(2)(agree["training_share"]), signed(2)(agree["representation"])),
        ]


def test_verdicts_name_their_units_and_are_counted(study, rare_run, made_up, read):
    rows, found = read(tables.verdicts(study)), claims.verdicts(study)
    assert rows["claim"].tolist() == found["text"].tolist() and set(rows["with"]) == {NAMES[KIND], "–"}
    assert rows["verdict"].tolist() == [f"{row.reason}: {row.scope}" for row in found.itertuples()]
    of_paper, of_ours = statistics.sentences(found), found[found["ours"]]
    above = read(tables.verdicts(study), which=0)
    caption = above.attrs["caption"]
    assert len(above) == len(of_paper)
    said = f"Claims on planted: of the paper's {len(of_paper)}, {counted(of_paper['verdict'])}; of our {len(of_ours)}, "
    assert caption.startswith(f"{said}{counted(of_ours['verdict'])}. ")
    assert verdict_rule().data.count(statistics.RULE[:40]) == 1
    rows = made_up.rare(trainings=5)
    made_up.put(rows, "dominance", -1.0, clustering="modes", cluster=2)
    found = read(rarity_tables.verdicts(rare_run(rows)))
    assert len(found) == 2 * 6 + 6 and found["verdict"].str.endswith(": trainings like these 5").all()
    chance = found["with"].str.contains("modes as clusters") & found["claim"].str.contains("chance")
    assert found.loc[chance, "verdict"].str.startswith("holds").all() and chance.sum() == 4
    held = found["verdict"].str.startswith("holds").sum()
    assert found.attrs["caption"].startswith(f"Claims on planted images: of our {len(found)}, {held} hold, ")


def test_rare_modes_have_a_column_for_each_rarity(rare_run, made_up, read):
    run, shares = rare_run(made_up.rare(trainings=5)), ["1 %", "2 %", "5 %", "10 %", "20 %"]
    for design in (rarity.DESIGNS[0], rarity.DESIGNS[-1]):
        power, suspected = (read(table(run, *design)) for table in (rarity_tables.power, rarity_tables.suspected))
        for rows in (power, suspected):
            assert rarity.said(*design) in rows.attrs["caption"]
            assert "Up to 10 trials each, 5 trainings" in rows.attrs["caption"]
            assert rows["first suspect by"].tolist() == list(SCORES) and list(rows)[1:] == shares
        power, suspected = (rows.set_index("first suspect by") for rows in (power, suspected))
        for row in rarity.power(run, *design).to_dict("records"):
            where = row["score"], f"{100 * row['rarity']:g} %"
            beside = "" if row["score"] == "random" else f" {interval(2)(row['low'], row['high'])}"
            assert power.loc[where] == TWO(row["auc"]) + beside
            text = f"{PERCENT(row['share'])} % ({PERCENT(row['base'])} %), {PERCENT(row['accuracy'])} %"
            assert suspected.loc[where] == text


@pytest.mark.filterwarnings("error")
def test_one_training_on_rare_modes_has_no_interval(rare_run, made_up, read):
    run, design = rare_run(made_up.rare(trainings=1)), rarity.DESIGNS[0]
    rows = read(rarity_tables.power(run, *design))
    assert not rows.iloc[:, 1:].apply(lambda column: column.str.contains("[", regex=False)).any(axis=None)
    found = read(rarity_tables.verdicts(run))
    assert set(found["verdict"]) == {"undecided (one training): trainings like these 1"}
    for table in (rows, found, read(rarity_tables.suspected(run, *design))):
        assert re.search(r"[^.]\.$", table.attrs["caption"])


def test_verdicts_are_recorded_with_their_sentences_under_names(study, tmp_path, monkeypatch):
    monkeypatch.setenv(record.VARIABLE, str(tmp_path))
    page = tables.verdicts(study).data
    assert sorted(file.stem for file in tmp_path.glob("*.csv")) == ["verdicts", "verdicts-sentences"]
    parts = [(tmp_path / f"{name}.html").read_text().rstrip("\n") for name in ("verdicts-sentences", "verdicts")]
    assert "".join(parts) == page
    assert len(pd.read_csv(tmp_path / "verdicts.csv")) == len(claims.verdicts(study))


def test_the_exception_is_a_sentence_of_numbers(study, made_up):
    found, said = training.exception(study, KIND, "cat"), tables.exception(study, KIND, "cat").data
    assert f"{signed(2)(found['correlation'])} in cat and {signed(2)(found['others'])} on average" in said
    assert f"of 3 classes it is {'lowest' if not found['below'] else 'not the lowest'}" in said
    assert f"at place {found['narrower']} from the narrowest" in said and f"has {min(made_up.SIZES)} images" in said
    again = not found["below"] and found["narrower"] == 1
    assert said.endswith(f"The exception is {'' if again else 'not '}found again.")
    assert tables.exception(study, KIND).data.endswith("planted has no such class.")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("empty", [False, True])
def test_tables_of_one_network_and_class_whose_maps_may_all_be_empty(study_of, made_up, read, empty):
    frames = made_up.frames((("tuned", 0),), labels=("cat",), sizes=(3, 2), paired=3, n_mosaics=3, missing=0)
    if empty:
        for part in ("mosaics", "variants", "pairs", "focus"):
            frames[part]["value"] = NAN
    study = study_of(frames, (("tuned", 0),))
    of_a_run = ({*SAID} - {*OF_A_KIND, "pairs"}) | {"null", "between_trainings", "verdicts"}
    shown = {name: getattr(tables, name)(study) for name in of_a_run}
    shown |= {name: getattr(tables, name)(study, "tuned") for name in OF_A_KIND}
    shown |= {"pairs": tables.pairs(study, "tuned", "cat"), "fine_tuning": tables.fine_tuning(study.run)}
    for name, table in shown.items():
        assert re.search(r"[^.]\.$", read(table).attrs["caption"]), name
        assert not re.search(r"\bnan\b|None", table.data), name
    assert read(shown["between_trainings"]).empty
    if empty:
        row = read(shown["classes"]).squeeze()
        assert (row["most dominant"], row["least dominant"]) == ("–", "–")
        assert read(shown["by_class"]).iloc[0].tolist()[1:].count("–") == read(shown["by_class"]).shape[1] - 1
        assert read(shown["pairs"]).squeeze()["dominance"] == "–"


@pytest.mark.filterwarnings("error")
def test_a_class_without_values_has_dashes_beside_the_others(study_of, made_up, read):
    frames = made_up.frames(made_up.NETWORKS[:1])
    made_up.put(frames["mosaics"], "value", NAN, label="bird")
    made_up.put(frames["choice"], "gap", np.arange(5.0), label="bird")  # no gap speaks for a number
    study = study_of(frames, made_up.NETWORKS[:1])
    rows = read(tables.by_class(study, KIND)).set_index("class")
    assert list(rows.index) == list(made_up.LABELS) and rows.loc["ship", "training images"].isdigit()
    assert (rows.loc["bird"] == "–").all() and not (rows.drop("bird") == "–").any(axis=None)
    assert read(tables.chosen(study, KIND)).set_index("class").loc["bird", "by the gap statistic"] == "–"


def test_errata_are_those_of_the_paper():
    texts = published.errata("dominance").set_index("id")["text"]
    shown = tables.errata("airplane", "mosaic-composition")
    first, second = texts["airplane"], texts["mosaic-composition"].split(",")[0]
    assert shown.data.index(first) < shown.data.index(second) and tables.errata().data == ""
    with pytest.raises(KeyError, match="nothing"):
        tables.errata("nothing")
