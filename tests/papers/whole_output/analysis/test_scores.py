import numpy as np
import pandas as pd
import pytest

from xai_lib import data as datasets
from xai_lib import published
from xai_lib.papers.whole_output.analysis import scores

NAN = float("nan")
BASES = ("grad-cam", "excitation-backprop", "lime", "rise")


@pytest.fixture(params=["OURS", "PRINTED"])
def networks(made_up, request):
    return getattr(made_up, request.param)


def test_pairs_carry_the_model_in_place_of_the_network_and_variants_are_told_apart(study_of, made_up):
    networks = (*made_up.PRINTED, ("seed 3", 3, ""))
    frames = made_up.frames(networks, n_images=2)
    frames["released"]["value"] = 7.0
    study = study_of(frames, networks)
    found = scores.of_pairs(study)
    assert set(found) == {"index", "class", "rivals", "base", "method", "metric", "value", "seed", "model"}
    assert found["model"].tolist() == frames["paper"]["network"].replace({"seed 3": ""}).tolist()
    assert found["seed"].tolist() == frames["paper"]["seed"].tolist() and found["value"].max() != 7
    assert set(scores.of_pairs(study, "released")["value"]) == {7.0}
    with pytest.raises(ValueError, match=r"Expected an output with two classes of one cluster .* take more images"):
        scores.of_pairs(study_of({**frames, "paper": frames["paper"].iloc[:0]}, networks))


def test_a_pair_counts_where_both_sides_have_a_value(study_of, made_up, frames):
    paper, here = frames["paper"], {"metric": "cdrop", "base": "lime", "seed": 1}
    for place, (label, _) in enumerate(made_up.pairs_of(0)):
        for method, value in (("cwox-2s", place), ("swox", 10 * place), ("cwox-1sa", 1e6)):
            made_up.put(paper, value, index=0, class_=label, method=method, **here)
    made_up.put(paper, NAN, index=0, class_=0, method="swox", **here)
    made_up.put(paper, NAN, index=0, class_=3, method="cwox-2s", **here)
    made_up.put(paper, NAN, index=1, method="swox", **here)
    found = scores.of_pairs(study_of(frames))
    found = found[found["base"] == "lime"].sample(frac=1, random_state=0)
    rows = scores.paired(found, "cdrop", "method", "cwox-2s", "swox")
    assert set(rows["metric"]) == {"cdrop"} and len(rows) == 2 * 4 * 2
    value = rows.set_index(["seed", "index", "method"])["value"]
    kept = np.mean((1, 2, 4))  # of places 0 to 4
    assert [value[1, 0, "cwox-2s"], value[1, 0, "swox"]] == pytest.approx([kept, 10 * kept])
    assert np.isnan(value[1, 1, "cwox-2s"]) and np.isnan(value[1, 1, "swox"])  # it has values, its partner none
    assert value.notna().sum() == len(value) - 2


def test_bases_are_paired_within_a_method_and_networks_of_one_seed_not_with_each_other(study_of, made_up, frames):
    """One base lacks class 1 of image 1; the other's value for it must not count."""
    here = {"metric": "cauc-bases", "seed": 0, "index": 1, "method": "cwox-2s"}
    for value, label, base in ((NAN, 1, "rise"), (2.0, 0, "rise"), (3.0, 0, "lime"), (99.0, 1, "lime")):
        made_up.put(frames["paper"], value, class_=label, base=base, **here)
    made_up.put(frames["paper"], NAN, base="grad-cam", **here)
    rows = scores.paired(scores.of_pairs(study_of(frames)), "cauc-bases", "base", "rise", "lime")
    value = rows.set_index(["seed", "index", "base"])["value"]
    assert (value[0, 1, "rise"], value[0, 1, "lime"]) == (2, 3)
    assert value.notna().all() and set(rows["base"]) == {"rise", "lime"}
    frames = made_up.frames(made_up.PRINTED, n_images=2)
    made_up.put(frames["paper"], NAN, network="googlenet", method="swox")
    found = scores.of_pairs(study_of(frames, made_up.PRINTED))
    rows = scores.paired(found[found["base"] == "rise"], "cauc", "method", "cwox-2s", "swox")
    defined = rows.groupby("model")["value"].agg(lambda values: values.notna().all())
    assert len(rows) == 2 * 2 * 2 and defined.to_dict() == {"googlenet": False, "resnet50": True}


def test_outputs_are_counted_network_by_network(study_of, frames):
    rows = [
        ("seed 0", 3, "3 1 2", "3 2 | 1"),  # right; two of a cluster: two pairs
        ("seed 0", 0, "4 0", "4 | 0"),  # wrong; no pair
        ("seed 0", 5, "5", "5"),
        ("seed 0", 7, "7 8 9 6 5", "7 8 | 9 6 5"),  # five pairs
        ("seed 1", 1, "10 1", "10 1"),  # wrong: 10 is not 1
    ]
    listed = pd.DataFrame(rows, columns=["network", "label", "top", "clusters"])
    found = scores.outputs(study_of({**frames, "outputs": listed}))
    columns = ["network", "images", "accuracy", "top_classes", "one", "several_clusters", "explained", "pairs"]
    assert found.columns.tolist() == columns
    assert found.to_numpy().tolist() == [["seed 0", 4, 0.75, 11 / 4, 0.25, 0.75, 2, 7], ["seed 1", 1, 0, 2, 0, 0, 1, 2]]


def printed(number):
    """Model, base explainer, method and metric -> the value in one of the paper's tables."""
    cells = published.table("whole_output", number).set_index(["model", "base", "method", "metric"])
    return cells["value"].to_dict()


@pytest.mark.parametrize(("number", "metric"), [(1, "cauc"), (2, "cdrop")])
def test_each_network_stands_beside_its_own_print_and_ours_beside_resnet_50(
    study_of, made_up, networks, number, metric
):
    rows = scores.methods(study_of(made_up.frames(networks, n_images=3), networks), metric)
    models = sorted({model for _, _, model in networks}, reverse=True)
    assert len(rows) == len(models) * 4 * 7 and rows["model"].unique().tolist() == models
    assert set(rows["metric"]) == {metric} and (rows["n_images"] == 3).all()
    cells = printed(number)
    for row in rows.to_dict("records"):
        value = cells.get((row["model"] or "resnet50", row["base"], row["method"], metric), NAN)
        assert row["published"] == pytest.approx(value, nan_ok=True), row
    assert rows["published"].notna().sum() == len(models) * 8
    assert rows.loc[rows["method"].isin(("cwox-1sa-fine", "cwox-2s-coarse", "random")), "printed"].eq("").all()
    best = min if metric == "cauc" else max
    for (model, base), group in rows[rows["printed"] != ""].groupby(["model", "base"]):
        for column, values in (("order", group["mean"]), ("printed_order", group["published"])):
            assert group.loc[values == best(values), column].tolist() == [1] and group[column].max() == 4, (model, base)
    assert "difference" not in rows  # of other images and sizes
    assert (rows["better"][rows["published"].notna()] == scores.BETTER[metric]).all()


def test_table_3_has_a_row_a_base_and_metric_of_cwox_2s(study_of, made_up, networks):
    frames = made_up.frames(networks, n_images=3)
    made_up.put(frames["paper"], 0.25, metric="cauc-bases", base="lime")
    made_up.put(frames["paper"], 9.0, metric="cauc")
    made_up.put(frames["paper"], 9e9, metric=("salient-share", "cdrop"), method=("swox", "random", "cwox-1sa-fine"))
    rows, cells = scores.bases(study_of(frames, networks)), printed(3)
    for model in {model for _, _, model in networks}:
        own = rows[rows["model"] == model].set_index(["metric", "base"])
        assert own.index.tolist() == [(name, base) for name in ("salient-share", "cauc", "cdrop") for base in BASES]
        as_printed = {"salient-share": "salient-pixels"}
        expected = [
            cells[model or "resnet50", base, "cwox-2s", as_printed.get(metric, metric)]
            / (50176 if "s" in metric else 1)
            for metric, base in own.index
        ]
        assert own["published"].tolist() == pytest.approx(expected)
        assert own.loc[("salient-share", "rise"), "printed_order"] == 1  # the fewest
        assert own.loc[("cauc", "lime"), "mean"] == pytest.approx(0.25)
        assert [own.loc[(name, "rise"), "better"] for name in ("cauc", "cdrop")] == ["lower", "higher"]
        assert own["mean"].max() < 1


def test_an_image_counts_once_however_many_pairs_it_has(study_of, made_up):
    """Images 0 and 3 have five pairs, the others two; the numbers are those of a plain loop."""
    frames = made_up.frames(n_images=5)
    paper, here = frames["paper"], {"metric": "cauc", "base": "rise", "method": "cwox-2s"}
    made_up.put(paper, 1.0, index=0, **here)
    made_up.put(paper, NAN, index=3, class_=(0, 2, 3), network="seed 0", **here)
    made_up.put(paper, NAN, index=4, network="seed 1", **here)
    made_up.put(paper, NAN, metric=("cauc", "cdrop"), base="lime", method="cwox-1sb")
    study = study_of(frames)
    rows = scores.methods(study, "cauc").set_index(["base", "method"])
    row, empty = rows.loc[("rise", "cwox-2s")], scores.methods(study, "cdrop").set_index(["base", "method"])
    assert row["mean"] == pytest.approx(made_up.mean_over_images(paper, **here))
    assert abs(paper[made_up.rows(paper, **here)]["value"].mean() - row["mean"]) > 0.05  # of a mean over pairs
    assert row["n_images"] == 5 and row["n_undefined"] == 1  # image 4 of one network
    row = empty.loc[("lime", "cwox-1sb")]  # all of its maps are degenerate
    assert np.isnan(row["mean"]) and (row["n_images"], row["n_undefined"]) == (0, 10)
    assert empty["mean"].notna().sum() == 27


def test_both_ways_from_one_stage_to_two_finer_ones_add_up_to_the_same_gain(study_of, made_up, networks):
    """All have values, so the four steps are of the same pairs, with the sign that makes a gain positive."""
    frames = made_up.frames(networks, n_images=6)
    paper = frames["paper"]
    made_up.scale(paper, 0.5, metric="cauc", base="rise", method="cwox-2s", network=networks[1][0])
    made_up.scale(paper, 0.8, metric="cauc", base="rise", method="cwox-1sa-fine")
    made_up.scale(paper, 3.0, metric="cdrop", base="grad-cam", method="cwox-2s-coarse")
    rows = scores.shares_of_the_gain(study_of(frames, networks))
    models = list(dict.fromkeys(model for _, _, model in networks))
    assert len(rows) == len(models) * 2 * 3 * 4 and (rows["n_images"] == 6).all()
    assert "lime" not in set(rows["base"])  # both stages have the same settings
    found = rows.set_index(["model", "metric", "base", "step"])["difference"]
    for model, metric, base in rows[["model", "metric", "base"]].drop_duplicates().itertuples(index=False):
        names = tuple(name for name, _, of in networks if of == model)
        chosen = paper[made_up.rows(paper, metric=metric, base=base, network=names)]
        images = chosen.groupby(["method", "network", "index"])["value"].mean().groupby("method").mean()
        images *= -1 if metric == "cauc" else 1
        own = found[model, metric, base]
        for step, (a, b) in scores.STEPS.items():
            assert own[step] == pytest.approx(images[a] - images[b], rel=1e-9)
        first, last = "two stages, with first-stage maps", "second-stage maps, in two stages"
        assert own[first] + own[last] == pytest.approx(images["cwox-2s"] - images["cwox-1sa"], rel=1e-9)
    key = (models[0], "cauc", "rise", "second-stage maps, in one stage")
    row = rows.set_index(["model", "metric", "base", "step"]).loc[key]
    assert 0 < row["low"] < row["difference"] < row["high"]  # a lower CAUC is a gain
    made_up.put(paper, NAN, metric="cauc", base="rise", method="cwox-2s")
    empty = scores.shares_of_the_gain(study_of(frames, networks)).query("difference.isna()")
    assert set(empty["step"]) == {"two stages, with second-stage maps", "second-stage maps, in two stages"}
    assert empty[["low", "high"]].isna().all(axis=None) and (empty["n_images"] == 0).all()


def test_variants_are_beside_each_other(study_of, made_up, networks):
    frames = made_up.frames(networks, n_images=3)
    name, _, model = networks[1]
    for variant, value in (("paper", 0.25), ("released", 0.75)):
        made_up.put(frames[variant], value, metric="cauc", base="lime", method="cwox-2s", network=name)
    rows = scores.variants(study_of(frames, networks))
    assert len(rows) == len({model for _, _, model in networks}) * 2 * 4 * 4
    assert set(rows["method"]) == {"swox", "cwox-1sa", "cwox-1sb", "cwox-2s"}
    assert set(rows["metric"]) == {"cauc", "cdrop"}
    row = rows.set_index(["metric", "model", "base", "method"]).loc[("cauc", model, "lime", "cwox-2s")]
    expected = [0.25, 0.75] if model else [0.125, 0.375]  # two trainings of one model, one of them near 0.005
    assert row[["paper", "released"]].tolist() == pytest.approx(expected, abs=0.01)


def test_epsilon_is_of_the_first_images_of_the_first_network(made_up, corpus_of, monkeypatch):
    rows = [(0, 1, 0.0, 0.3, False), (1, 2, 0.0, 0.5, False), (0, 1, 0.5, 0.1, False), (1, 2, 0.5, 0.0, True)]
    rows, asked = pd.DataFrame(rows, columns=["index", "class", "epsilon", "salient", "degenerate"]), []
    parts = [rows, rows.iloc[:0]]  # the second time no class is alone
    monkeypatch.setattr(scores.evaluation, "compare_epsilons", lambda *given: asked.append(given) or parts.pop(0))
    monkeypatch.setattr(scores.evaluation, "outputs_of", lambda *given: given)
    study, images = made_up.study(corpus=corpus_of()), datasets.load("planted", "test", n=6)
    for explained in study.networks:
        explained.subject.images, explained.subject.network = images, f"network {explained.name}"
    table, empty = scores.epsilons(study, "rise", 3), scores.epsilons(study, "rise", 9)
    ((network, shown, partition, _), base, epsilons), ((_, every, *_), *_) = asked
    assert network == "network seed 0" and base.name == "rise" and 0.0 in epsilons
    assert partition == [[0, 1], [2, 3], [4]] and shown.index.tolist() == [0, 1, 2] and len(every) == 6
    assert table[["epsilon", "maps", "degenerate"]].to_numpy().tolist() == [[0, 2, 0], [0.5, 2, 1]]
    assert table["salient"].tolist() == pytest.approx([0.4, 0.05]) and empty.empty


def test_part_energy_is_over_images_that_have_the_part(study_of, made_up):
    frames = made_up.frames(n_images=6)
    paper, here = frames["paper"], {"metric": "part-energy", "base": "lime", "method": "cwox-2s"}
    made_up.put(paper, NAN, metric="part-energy", index=(0, 2, 4))
    made_up.put(paper, 0.2, class_=0, index=1, **here)
    made_up.put(paper, 0.4, class_=1, index=1, **here)
    made_up.put(paper, 0.9, index=(3, 5), **here)
    rows = scores.planted(study_of(frames), "part-energy")
    assert (rows["n_images"] == 3).all()
    expected = [(base, method) for base in BASES for method in made_up.SCORED]
    assert list(zip(rows["base"], rows["method"])) == expected
    row = rows.set_index(["base", "method"]).loc[("lime", "cwox-2s")]
    assert row["mean"] == pytest.approx((0.3 + 0.9 + 0.9) / 3)
    made_up.put(paper, NAN, metric="part-energy")  # planted images, but no output has both look-alikes
    for without in (frames, made_up.frames(n_images=2, planted=False)):
        rows = scores.planted(study_of(without), "part-energy")
        assert rows.empty and {"base", "method", "mean", "low", "high", "n_images"} <= set(rows)
