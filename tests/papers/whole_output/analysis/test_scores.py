import numpy as np
import pandas as pd
import pytest

from xai_lib import files as artefacts
from xai_lib.papers.whole_output.analysis import scores

NAN = float("nan")


@pytest.fixture
def frames(made_up):
    return made_up.frames(n_images=4)


def test_pairs_carry_the_model_in_place_of_the_network(study_of, made_up):
    networks = (*made_up.PRINTED, ("seed 3", 3, ""))
    frames = made_up.frames(networks, n_images=2)
    found = scores.of_pairs(study_of(frames, networks))
    assert found.columns.tolist() == [
        *("index", "class", "rivals", "base", "method", "metric", "value", "seed", "model"),
    ]
    assert found["model"].tolist() == frames["paper"]["network"].replace({"seed 3": ""}).tolist()
    assert found["seed"].tolist() == frames["paper"]["seed"].tolist()


def test_variants_are_told_apart(study_of, frames):
    frames["released"]["value"] = 7.0
    study = study_of(frames)
    assert scores.of_pairs(study)["value"].max() != 7
    assert set(scores.of_pairs(study, "released")["value"]) == {7.0}


def test_a_run_without_any_pair_says_so(study_of, frames):
    with pytest.raises(ValueError, match=r"Expected an output with two classes of one cluster .* take more images"):
        scores.of_pairs(study_of({**frames, "paper": frames["paper"].iloc[:0]}))


def test_an_image_is_the_mean_of_its_pairs_that_have_a_value(study_of, made_up, frames):
    """Image 0 has five pairs, image 1 two."""
    here = {"metric": "cauc", "base": "rise", "method": "swox", "seed": 0}
    for (label, _), value in zip(made_up.pairs_of(0), (1, 2, 3, NAN, 6)):
        made_up.put(frames["paper"], value, index=0, class_=label, **here)
    made_up.put(frames["paper"], NAN, index=1, **here)
    found = scores.of_images(scores.of_pairs(study_of(frames)))
    assert not found.duplicated(["model", "seed", "index", "base", "method", "metric"]).any()
    chosen = found[made_up.rows(found, **here)].set_index("index")["value"]
    assert chosen[0] == 3 and np.isnan(chosen[1]) and len(chosen) == 4


def test_a_pair_counts_where_both_sides_have_a_value(study_of, made_up, frames):
    paper, here = frames["paper"], {"metric": "cdrop", "base": "lime", "seed": 1}
    for place, (label, _) in enumerate(made_up.pairs_of(0)):
        made_up.put(paper, place, index=0, class_=label, method="cwox-2s", **here)
        made_up.put(paper, 10 * place, index=0, class_=label, method="swox", **here)
        made_up.put(paper, 1e6, index=0, class_=label, method="cwox-1sa", **here)
    made_up.put(paper, NAN, index=0, class_=0, method="swox", **here)
    made_up.put(paper, NAN, index=0, class_=3, method="cwox-2s", **here)
    made_up.put(paper, NAN, index=1, method="swox", **here)
    found = scores.of_pairs(study_of(frames))
    found = found[found["base"] == "lime"].sample(frac=1, random_state=0)
    rows = scores.paired(found, "cdrop", "method", "cwox-2s", "swox")
    assert set(rows["metric"]) == {"cdrop"} and len(rows) == 2 * 4 * 2
    value = rows.set_index(["seed", "index", "method"])["value"]
    kept = (1, 2, 4)  # of places 0 to 4
    assert value[1, 0, "cwox-2s"] == pytest.approx(np.mean(kept))
    assert value[1, 0, "swox"] == pytest.approx(10 * np.mean(kept))
    assert np.isnan(value[1, 1, "cwox-2s"]) and np.isnan(value[1, 1, "swox"])  # it has values, its partner none
    assert value.notna().sum() == len(value) - 2


def test_bases_are_paired_within_a_method(study_of, made_up, frames):
    """One base lacks class 1 of image 1; the other's value for it must not count."""
    here = {"metric": "cauc-bases", "seed": 0, "index": 1, "method": "cwox-2s"}
    made_up.put(frames["paper"], NAN, class_=1, base="rise", **here)
    made_up.put(frames["paper"], 2.0, class_=0, base="rise", **here)
    made_up.put(frames["paper"], 3.0, class_=0, base="lime", **here)
    made_up.put(frames["paper"], 99.0, class_=1, base="lime", **here)
    made_up.put(frames["paper"], NAN, base="grad-cam", **here)
    rows = scores.paired(scores.of_pairs(study_of(frames)), "cauc-bases", "base", "rise", "lime")
    value = rows.set_index(["seed", "index", "base"])["value"]
    assert (value[0, 1, "rise"], value[0, 1, "lime"]) == (2, 3)
    assert value.notna().all() and set(rows["base"]) == {"rise", "lime"}


def test_networks_of_one_seed_are_not_paired_with_each_other(study_of, made_up):
    frames = made_up.frames(made_up.PRINTED, n_images=2)
    made_up.put(frames["paper"], NAN, network="googlenet", method="swox")
    found = scores.of_pairs(study_of(frames, made_up.PRINTED))
    rows = scores.paired(found[found["base"] == "rise"], "cauc", "method", "cwox-2s", "swox")
    defined = rows.groupby("model")["value"].agg(lambda values: values.notna().all())
    assert len(rows) == 2 * 2 * 2 and defined.to_dict() == {"googlenet": False, "resnet50": True}


def test_degenerate_maps_are_counted_over_networks(study_of, made_up, frames):
    """A network has 14 pairs: images 0 and 3 have five, 1 and 2 two."""
    made_up.put(frames["paper"], 1, metric="degenerate", base="rise", method="cwox-1sb", index=0)
    made_up.put(frames["paper"], 1, metric="degenerate", base="rise", method="cwox-1sb", index=1, seed=1)
    made_up.put(frames["released"], 1, metric="degenerate", base="lime", method="swox")
    study = study_of(frames)
    rows = scores.degenerate(study).set_index(["base", "method"])
    assert rows.index.tolist() == [(base, method) for base in ORDER for method in made_up.SCORED]
    assert (rows["maps"] == 2 * 14).all()
    assert rows.loc[("rise", "cwox-1sb"), "degenerate"] == 2 * 5 + 2 and rows["degenerate"].sum() == 12
    released = scores.degenerate(study, "released").set_index(["base", "method"])
    assert released.loc[("lime", "swox"), "degenerate"] == 28 and released["degenerate"].sum() == 28


ORDER = ("grad-cam", "excitation-backprop", "lime", "rise")


def test_outputs_are_counted_network_by_network(study_of, made_up, frames):
    rows = [
        ("seed 0", 3, "3 1 2", "3 2 | 1"),  # right; two of a cluster: two pairs
        ("seed 0", 0, "4 0", "4 | 0"),  # wrong; no pair
        ("seed 0", 5, "5", "5"),
        ("seed 0", 7, "7 8 9 6 5", "7 8 | 9 6 5"),  # five pairs
        ("seed 1", 1, "10 1", "10 1"),  # wrong: 10 is not 1
    ]
    listed = pd.DataFrame(rows, columns=["network", "label", "top", "clusters"])
    found = scores.outputs(study_of({**frames, "outputs": listed}))
    assert found.to_dict("records") == [
        {
            "network": "seed 0",
            "images": 4,
            "accuracy": 0.75,
            "top_classes": 11 / 4,
            "one": 0.25,
            "several_clusters": 0.75,
            "explained": 2,
            "pairs": 7,
        },
        {
            "network": "seed 1",
            "images": 1,
            "accuracy": 0.0,
            "top_classes": 2.0,
            "one": 0.0,
            "several_clusters": 0.0,
            "explained": 1,
            "pairs": 2,
        },
    ]


def test_a_file_of_single_classes_is_read_as_numbers_and_counted_all_the_same(study_of, frames, tmp_path):
    """A frame in the store is a CSV file, which does not say that "3" is a text."""
    single = pd.DataFrame({"network": "seed 0", "label": [3, 1], "top": ["3", "2"], "clusters": ["3", "2"]})
    several = pd.DataFrame({"network": "seed 0", "label": [4], "top": ["4 2"], "clusters": ["4 2"]})
    parts = []
    for number, part in enumerate((single, several)):
        artefacts.write_frame(tmp_path / f"{number}.csv", part)
        parts.append(artefacts.read_frame(tmp_path / f"{number}.csv"))
    assert not isinstance(parts[0]["top"][0], str)
    for listed, images, explained in ((parts[0], 2, 0), (pd.concat(parts, ignore_index=True), 3, 1)):
        [row] = scores.outputs(study_of({**frames, "outputs": listed})).to_dict("records")
        assert (row["images"], row["explained"], row["pairs"]) == (images, explained, 2 * explained)
        assert row["accuracy"] == (1 + explained) / images


def test_rows_come_in_the_order_of_the_pages(made_up):
    frame = pd.DataFrame(
        [
            (metric, model, base, method)
            for metric in ("matching-accuracy", "cdrop", "cauc", "salient-pixels")
            for model in ("googlenet", "resnet50")
            for base in reversed(ORDER)
            for method in reversed(made_up.SCORED)
        ],
        columns=["metric", "model", "base", "method"],
    )
    ordered = scores.in_order(frame)
    assert ordered.index.tolist() == list(range(len(frame)))
    assert ordered["metric"].unique().tolist() == ["salient-pixels", "cauc", "cdrop", "matching-accuracy"]
    assert ordered["model"].unique().tolist() == ["resnet50", "googlenet"]
    assert ordered["base"].unique().tolist() == list(ORDER)
    assert ordered["method"].tolist()[: len(made_up.SCORED)] == list(made_up.SCORED)
