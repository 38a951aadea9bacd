import re
import shutil
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import resnet50

from xai_lib import data as datasets
from xai_lib import explainers, metrics, pretrained
from xai_lib.data import transforms
from xai_lib.metrics import randomisation
from xai_lib.page.methods import colour, legend_of_methods
from xai_lib.page.style import FAMILY_COLOURS
from xai_lib.papers.saliency import experiment, method, tables
from xai_lib.papers.saliency.analysis import pictures
from xai_lib.papers.saliency.method import TARGETS, lineup
from xai_lib.run import workflow
from xai_lib.run.networks import train_cell
from xai_lib.run.settings import settings
from xai_lib.run.store import Store

FEW = (
    "n_test=null, n_saliency=6, n_transformed=4, n_sensitivity=3, sensitivity_draws=1, n_tools=2,"
    "causal_steps=2, rise_masks=4"
)
PAPERS_OWN = tuple(part for part in experiment.PARTS if part not in ("tools", "metric"))


@pytest.fixture
def run(empty_store):
    return settings(scale="smoke", device="cpu", overrides=f"{FEW}, lime_samples=8")


@pytest.fixture(scope="module")
def images():
    """Ten planted images, one of each class."""
    return datasets.load("planted", "test", n=10)


@pytest.fixture
def study(run, images):
    """A small network of one's own."""
    return experiment.study_of(run, small(), images, name="small")


def small(seed=0):
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)).eval()


def in_order(frame):
    return frame.sort_values(
        [name for name in frame.columns if name not in ("value", "index")] + ["index"], ignore_index=True
    )


def cells(study, name, part):
    return experiment.part_cells(study, study.networks[0], name, part)


def keys(study, name, part="fidelity"):
    return [cell.key for cell in cells(study, name, part)]


def scores(study, name, part):
    """The rows of one method, computed anew where the store lacks them."""
    return experiment.scores(replace(study, methods=(name,)), part)


def test_every_method_has_the_columns_metrics_and_images_of_every_part(smoke_bench):
    index = smoke_bench.networks[0].images.index.tolist()
    assert len(index) == 4
    columns = {
        "fidelity": ["index", "metric", "value", "target", "reading", "seed", "method"],
        "repeated": ["index", "metric", "value", "reading", "seed", "method"],
        "transformed": ["index", "metric", "value", "transform", "setting", "reading", "seed", "method"],
        "cost": ["forwards", "seconds", "megabytes", "seed", "method"],
    }
    for part, names in columns.items():
        frame = experiment.scores(smoke_bench, part)
        assert list(frame.columns) == names
        expected = [name for name in lineup.ALL if part != "transformed" or name not in lineup.BEYOND]
        assert list(frame["method"].unique()) == expected
        assert set(frame["seed"]) == {0}
        identity = [name for name in names if name != "value"] if part != "cost" else ["method"]
        assert not frame.duplicated(identity).any()
        if part == "cost":
            continue
        budget = {"fidelity": 4, "repeated": 2, "transformed": 2}[part]
        rows = frame[frame["reading"].isin(lineup.READINGS)]
        of_each = rows.groupby([name for name in identity if name != "index"])["index"].agg(list)
        assert all(found == index[:budget] for found in of_each)
        of_each = of_each.groupby(["reading", "method"]).size()  # as many metrics for one method as for another
        assert of_each.nunique() == 1
        twice = {"gradient", "integrated-gradients", "guided-backprop", "lime", "smoothgrad", "lrp"}
        assert set(of_each.loc["absolute"].index) == set(expected)
        assert set(of_each.loc["signed"].index) == twice & set(expected)


def test_other_readings_are_of_the_first_images_and_of_the_papers_methods_and_controls(smoke_bench):
    frame = experiment.scores(smoke_bench, "fidelity")
    assert set(frame["target"]) == set(TARGETS)
    others = frame[~frame["reading"].isin(lineup.READINGS)]
    assert set(others["method"]) == {*lineup.PAPER, *lineup.CONTROLS}
    assert set(others["target"]) == {"ground-truth"}
    first = smoke_bench.networks[0].images.index[:2].tolist()
    assert all(found == first for found in others.groupby(["method", "reading", "metric"])["index"].agg(list))


@pytest.mark.parametrize("name", ["gradient", "rise"])
def test_stored_scores_are_those_of_the_plain_function(smoke_bench, name):
    [subject] = smoke_bench.networks
    explained = method.Explained(subject, name, {"n_masks": 4} if name == "rise" else {})
    stored, few = method.raw_maps(explained, subject.images), subject.images.subset([0, 1])
    for part, expected in (
        ("fidelity", method.fidelity(explained, subject.images, stored, causal_steps=2, n_readings=2)),
        ("transformed", method.transformed(explained, few, causal_steps=2)),
    ):
        found = scores(smoke_bench, name, part).drop(columns=["seed", "method"])
        pd.testing.assert_frame_equal(found, expected, rtol=1e-5, atol=1e-7)


def test_similarity_between_classes_is_of_the_informed_methods_that_have_scores(smoke_bench, monkeypatch):
    rows = experiment.class_similarity(smoke_bench)
    assert tuple(rows["method"].unique()) == lineup.INFORMED and set(rows["seed"]) == {0}
    assert rows["value"].between(-1, 1).all()
    columns = set(experiment.scores(smoke_bench, "metric"))
    assert not columns or columns == set(rows)
    scored = experiment.scores(smoke_bench, "fidelity")
    monkeypatch.setattr(experiment, "scores", lambda study, part: scored[scored["method"] == "rise"])
    assert set(experiment.class_similarity.__wrapped__(smoke_bench)["method"]) == {"rise"}


def test_the_networks_are_the_first_cross_entropy_trainings_on_images_in_turns(smoke_bench):
    [subject] = smoke_bench.networks
    assert subject.key == train_cell(smoke_bench.run, "ce", 0).key
    assert subject.images.index.tolist() == datasets.select(smoke_bench.run.test_split(), 4).index.tolist()


def test_a_new_method_and_a_new_metric_join_in_and_no_other_map_is_made_again(smoke_bench, monkeypatch, tmp_path, read):
    shutil.copytree(Store().root, tmp_path / "store")
    monkeypatch.setenv("XAI_STORE", str(tmp_path / "store"))
    for registry in (explainers.registry.EXPLAINERS, metrics.registry.METRICS):
        monkeypatch.setattr(registry, "entries", dict(registry.entries))
    made, plain = [], method.raw_maps
    monkeypatch.setattr(method, "raw_maps", lambda *given: made.append(given[0].method) or plain(*given))

    @explainers.register("mine", title="Mine", paper="-", family="cam", class_specific=False, colours=True)
    def mine(model, x, *, score=None, layer=None):
        return x

    @metrics.register("mass", title="Mass", better="lower", range=(0, 1), paper="-", equation="-")
    def mass(attribution):
        return attribution.mean((1, 2))

    study = experiment.study(smoke_bench.run)
    rows = read(tables.leaderboard(study)).set_index("method")
    assert set(made) == {"mine"}
    assert (rows.index[-1], rows.columns[-1], len(rows)) == ("Mine", "Mass ↓", 24)
    [subject] = study.networks
    x = subject.images.normalise(subject.images.images)
    shown = experiment.explained_by(study, subject, "mine").maps(x, subject.images.labels, subject.images.index)
    assert rows.loc["Mine", "Mass ↓"].removesuffix(" *") == f"{shown.mean():.3f}"
    assert rows.loc["Uniform", "Mass ↓"] == "1.000" and "–" not in set(rows["Mass ↓"])
    assert colour("mine") == FAMILY_COLOURS["cam"]
    legend_of_methods(plt.figure(layout="constrained"), study.methods)
    names = [text.get_text() for text in plt.gcf().legends[0].get_texts()]
    plt.close()
    assert names.index("Ablation-CAM") + 1 == names.index("Mine") == names.index("RISE") - 1


@pytest.mark.parametrize("why", ["Left out, as weight_draws is null.", "Expected 2.reset_parameters"])
def test_the_sanity_check_can_be_left_out_and_leaves_the_rest_standing(empty_store, images, read, why):
    """Where no weights are drawn it is a dash, and the reason is still there when scores are read again."""
    left = "weight_draws" in why
    run = settings(scale="smoke", device="cpu", overrides=f"{FEW}, lime_samples=8" + ", weight_draws=null" * left)
    network = small()
    if not left:
        network[2].reset_parameters = lambda: 1 / 0
        why = "Expected 2.reset_parameters() to draw new weights. Got: division by zero"
    for _ in range(2):
        study = experiment.study_of(run, network, images, name="small", methods=("uniform", "gradient"))
        rows = read(tables.leaderboard(study)).set_index("method")
        assert set(rows["MPRT ↓"]) == {"–"} and why in rows.attrs["caption"]
        assert "–" not in set(rows.iloc[:, 0])


def test_what_a_network_refuses_takes_nothing_else_down(run, images, read, monkeypatch):
    for registry in (explainers.registry.EXPLAINERS, metrics.registry.METRICS):
        monkeypatch.setattr(registry, "entries", dict(registry.entries))

    @explainers.register("broken", title="Broken", paper="-", family="cam")
    def broken(model, x, *, score, layer=None):
        raise ValueError("Expected another network.")

    @metrics.register("never", title="Never", better="lower", range=(0, 1), paper="-", equation="-")
    def never(attribution):
        raise ValueError("Expected other maps.")

    study = experiment.study_of(run, small(), images, name="small", methods=("uniform", "broken", "random"))
    with pytest.warns(RuntimeWarning, match="broken is left out of 'fidelity': Expected another network"):
        assert list(experiment.scores(study, "fidelity")["method"].unique()) == ["uniform", "random"]
    with pytest.warns(RuntimeWarning):
        shown = [read(getattr(tables, name)(study)) for name in ("leaderboard", "cost", "unprinted")]
    for rows in shown:
        dashes = rows.set_index("method").loc["Broken"]
        assert set(dashes) == {"–"} and "No score for Broken: Expected another network." in rows.attrs["caption"]
    assert list(pictures.maps(study, study.methods, n=1)[1]) == ["uniform", "random"]
    with pytest.raises(ValueError, match=r"can be explained by. Got: Expected another network"), pytest.warns():
        experiment.scores(replace(study, methods=("broken",)), "fidelity")
    with pytest.warns(RuntimeWarning, match="uniform is left out of 'never': Expected other maps"):
        assert experiment.scores(replace(study, methods=("uniform",)), "metric").empty


def test_chunks_of_images_give_the_rows_of_all_together(study, monkeypatch):
    whole = {part: scores(study, "gradient", part) for part in ("fidelity", "repeated")}
    monkeypatch.setattr(experiment, "_CHUNK", 2)
    for part, n in (("fidelity", 3), ("repeated", 2)):
        assert len(keys(study, "gradient", part)) == n
        parts = scores(study, "gradient", part)
        pd.testing.assert_frame_equal(in_order(parts), in_order(whole[part]), rtol=1e-4, atol=1e-6)
    assert whole["fidelity"]["index"].nunique() == 6
    others = whole["fidelity"][~whole["fidelity"]["reading"].isin(lineup.READINGS)]
    assert others["index"].nunique() == 3


def test_chunks_that_a_killed_run_had_finished_are_kept(study, monkeypatch):
    monkeypatch.setattr(experiment, "_CHUNK", 2)
    plain, scored, stop = method.fidelity, [], [2]

    def killed_in_the_last(*arguments, **options):
        if len(scored) in stop:
            raise KeyboardInterrupt
        scored.append(arguments[1].index.tolist())
        return plain(*arguments, **options)

    monkeypatch.setattr(method, "fidelity", killed_in_the_last)
    with pytest.raises(KeyboardInterrupt):
        scores(study, "gradient", "fidelity")
    assert [Store().is_done(cell) for cell in cells(study, "gradient", "fidelity")] == [True, True, False]
    stop.clear()
    frame, index = scores(study, "gradient", "fidelity"), study.networks[0].images.index.tolist()
    assert scored == [index[first : first + 2] for first in (0, 2, 4)]
    assert frame["index"].unique().tolist() == index
    scores(study, "gradient", "fidelity")
    assert len(scored) == 3


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"rise_masks": 5}, {("rise", part) for part in PAPERS_OWN}),
        ({"lime_samples": 9}, {("lime", part) for part in PAPERS_OWN}),
        (
            {"causal_steps": 3},
            {(m, p) for m in ("rise", "lime", "gradient") for p in ("fidelity", "repeated", "transformed")}
            | {("gradient", "tools")},
        ),
        ({"sensitivity_draws": 2}, {(m, "repeated") for m in ("rise", "lime", "gradient")} | {("gradient", "tools")}),
        ({"n_tools": 3}, {("gradient", "tools")}),
        ({"monotonicity_samples": 3}, {(name, "repeated") for name in ("rise", "lime", "gradient")}),
        ({"n_sensitivity": 2}, {(m, p) for m in ("rise", "lime", "gradient") for p in ("fidelity", "repeated")}),
        ({"n_transformed": 3}, {(name, "transformed") for name in ("rise", "lime", "gradient")}),
        ({"n_scored": 1, "flipping_step": 1, "epochs_ce": 9, "saliency_seeds": 1}, set()),
    ],
)
def test_a_budget_changes_the_keys_of_what_depends_on_it(study, changed, values, expected):
    other = replace(study, run=changed(study.run, **values))
    pairs = [(name, part) for name in ("rise", "lime", "gradient") for part in (*PAPERS_OWN, "tools")]
    assert {pair for pair in pairs if keys(study, *pair) != keys(other, *pair)} == expected


def test_keys_know_network_layer_images_and_version_but_no_device_and_no_label(study, run, images, monkeypatch):
    key = keys(study, "gradient")
    elsewhere = replace(run, device=torch.device("meta"), label="Another", data_root=Path("/elsewhere"), download=True)
    assert keys(replace(study, run=elsewhere), "gradient") == key
    for more in (images, images.subset(list(range(9)))):  # whose first six are the same
        assert keys(experiment.study_of(run, small(), more, name="small"), "gradient") == key
    others = [
        experiment.study_of(run, small(seed=1), images, name="small"),
        experiment.study_of(run, small(), images, name="large"),
        experiment.study_of(run, small(), images, name="small", layer="1"),
        experiment.study_of(run, small(), images.subset(list(range(1, 9))), name="small"),
    ]
    found = [keys(other, "gradient") for other in others]
    monkeypatch.setattr(experiment, "saliency", replace(experiment.saliency, version=99))
    found.append(keys(study, "gradient"))
    assert len({*map(tuple, found), tuple(key)}) == 6


class Changed(nn.Module):
    """A network of the same weights, whose forward computes something else."""

    def __init__(self, network, change):
        super().__init__()
        self.network, self.change = network, change

    def state_dict(self, *arguments, **keywords):
        return self.network.state_dict(*arguments, **keywords)

    def forward(self, x):
        return self.change(self.network, x)


def test_the_key_of_a_network_knows_what_it_computes(run, images):
    changes = {
        "none": lambda network, x: network(x),
        "again": lambda network, x: network(x),
        "temperature": lambda network, x: network(x) / 1.05,
        "order": lambda network, x: network(x).flip(1),
        "input": lambda network, x: network(x.flip(3).roll(3, 3)),
        "slope": lambda network, x: network(x) + network(x.detach()) - network(x).detach(),
        "no slope": lambda network, x: network(x).detach(),
        "straight-through": lambda network, x: network(x + (x.relu() - x).detach()),
    }
    found = {}
    for what, change in changes.items():
        [subject] = experiment.study_of(run, Changed(small(), change), images, name="s", layer="network.0").networks
        found[what] = subject.key
    assert found.pop("again") == found["none"]
    assert found.pop("slope") == found["none"]  # twice the same, once without a gradient: the same gradient
    assert len({*found.values()}) == len(found)


def test_a_network_of_ones_own_is_explained_at_its_last_spatial_layer_on_images_in_turns(run, images, changed):
    doubled = images.subset([*range(10), *range(10)])
    [subject] = experiment.study_of(run, small(), doubled, name="small").networks
    assert subject.layer == "3"
    assert subject.images.labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert (subject.parents, subject.seed) == ((), 0)
    assert experiment.study_of(run, small(), images, name="small", layer="0").networks[0].layer == "0"
    every = changed(run, n_saliency=None)
    assert len(experiment.study_of(every, small(), images, name="small").networks[0].images) == 10


def test_what_does_not_exist_is_refused_with_the_choices(run, images):
    with pytest.raises(ValueError) as refusal:
        experiment.study_of(run, small(), images, name="small", layer="layer4")
    for name in ("'layer4'", "3 (7×7)", "0 (15×15)"):
        assert name in str(refusal.value)
    methods = f"Expected methods out of {', '.join(lineup.ALL)}. Got rice."
    with pytest.raises(ValueError, match=re.escape(methods)):
        experiment.study_of(run, small(), images, name="small", methods=("rise", "rice"))


def test_only_the_methods_of_the_study_take_part(run, images):
    study = experiment.study_of(run, small(), images, name="small", methods=("uniform", "eigen-cam"))
    assert list(experiment.scores(study, "cost")["method"]) == ["uniform", "eigen-cam"]
    cells = experiment.cells(study)
    parts = {(cell.arguments["explained"].method, cell.config.get("part", cell.stage)) for cell in cells}
    beyond = {("eigen-cam", part) for part in PAPERS_OWN if part != "transformed"}
    assert parts == {("uniform", part) for part in PAPERS_OWN} | beyond
    assert experiment.scores(study, "metric").empty


@pytest.fixture
def imagenet(tmp_path):
    """Three of ImageNet's classes in its layout, four photographs in all."""
    random = np.random.default_rng(0)
    for wnid, n in (("n01440764", 2), ("n02084071", 1), ("n04285008", 1)):
        (tmp_path / "imagenet" / wnid).mkdir(parents=True)
        for number in range(n):
            pixels = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8))
            pixels.resize((320, 240), Image.Resampling.BICUBIC).save(
                tmp_path / "imagenet" / wnid / f"ILSVRC2012_val_{number:08}.JPEG"
            )
    return tmp_path / "imagenet"


@pytest.mark.slow
def test_imagenet_is_scored_on_torchvisions_network_from_its_files(imagenet, empty_store, monkeypatch):
    torch.manual_seed(0)
    network = resnet50().eval()
    asked = []
    monkeypatch.setattr(pretrained, "pretrained", lambda *name, **options: asked.append((name, options)) or network)
    monkeypatch.setattr(transforms, "TRANSFORMS", {"mixup": (0.2,), "crop": (0.8,)})
    monkeypatch.setattr(randomisation, "executed", lambda model, x: ("layer4.2.conv3", "fc"))
    overrides = "n_test=null, n_saliency=2, n_transformed=2, n_sensitivity=1, sensitivity_draws=1, causal_steps=1,"
    run = settings("smoke", f"imagenet:{imagenet}", device="cpu", overrides=overrides + "rise_masks=4")
    study = replace(experiment.study(run), methods=("gradient", "grad-cam", "rise", "iba"))
    assert asked == [(("torchvision:resnet50",), {"download": False})]
    [subject] = study.networks
    assert (subject.layer, subject.key, subject.parents) == ("layer4", pretrained.state_digest(network), ())
    assert subject.images.labels.tolist() == [0, 1]

    found = scores(study, "rise", "fidelity")
    assert set(found["target"]) == set(TARGETS) and found["index"].nunique() == 2
    assert not {"pointing-game", "attribution-localisation"} & set(found["metric"])
    kept = subject.images.materialised()
    assert kept.images.shape[2:] == (224, 224)
    with torch.no_grad():
        expected = network(kept.normalise(kept.images)).softmax(1)[[0, 1], kept.labels]
    probability = found[(found["metric"] == "probability") & (found["target"] == "ground-truth")]
    np.testing.assert_allclose(probability["value"], expected, rtol=1e-3)
    changed = scores(study, "grad-cam", "transformed")
    assert set(zip(changed["transform"], changed["setting"])) == {("mixup", 0.2), ("crop", 0.8)}
    again = scores(study, "grad-cam", "repeated")
    assert len(again) == 8 and again["index"].nunique() == 1
    assert scores(study, "iba", "cost")["forwards"].item() > 10
    jobs = [job for job in workflow.plan(run) if job["command"][0] == "saliency"]
    assert [job["id"] for job in jobs] == ["saliency-0-fake-cam", "saliency-0-uniform"]
    assert not any(job["needs"] or job["done"] for job in jobs)
