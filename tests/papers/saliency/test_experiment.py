import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import GoogLeNet, resnet50

from xai_lib import data as datasets
from xai_lib import pretrained
from xai_lib.data import transforms
from xai_lib.metrics import randomisation
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency import experiment as saliency
from xai_lib.papers.saliency import method as benchmark
from xai_lib.papers.saliency.method import lineup
from xai_lib.papers.saliency.method.fidelity import TARGETS
from xai_lib.papers.whole_output.experiment.explanations import PARTS
from xai_lib.run import settings, stages, train, workflow
from xai_lib.run.store import Store

ROOT = Path(__file__).parents[3]
FEW = (
    "n_test=null, n_saliency=6, n_transformed=4, n_sensitivity=3, sensitivity_draws=1, causal_steps=2,"
    "rise_masks=4, lime_samples=8"
)


@pytest.fixture
def run(empty_store):
    return settings.settings(scale="smoke", device="cpu", overrides=FEW)


@pytest.fixture(scope="module")
def images():
    """Ten planted images, one of each class."""
    return datasets.load("planted", "test", n=10)


def small(seed=0):
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)).eval()


def in_order(frame):
    return frame.sort_values(
        [name for name in frame.columns if name not in ("value", "index")] + ["index"], ignore_index=True
    )


def keys(study, method, part):
    return [cell.key for cell in saliency.saliency_cells(study, study.networks[0], method, part)]


def with_budgets(study, **values):
    return replace(study, run=replace(study.run, scale=replace(study.run.scale, **values)))


def test_every_method_has_the_columns_metrics_and_images_of_every_part(smoke_bench):
    index = smoke_bench.networks[0].images.index.tolist()
    assert len(index) == 4
    columns = {
        "fidelity": ["index", "metric", "value", "target", "reading", "seed", "method"],
        "repeated": ["index", "metric", "value", "seed", "method"],
        "transformed": ["index", "metric", "value", "transform", "setting", "seed", "method"],
        "cost": ["forwards", "seconds", "megabytes", "seed", "method"],
    }
    for part, names in columns.items():
        frame = saliency.saliency_scores(smoke_bench, part)
        assert list(frame.columns) == names
        expected = [method for method in lineup.ALL if part != "transformed" or method not in lineup.BEYOND]
        assert list(frame["method"].unique()) == expected
        assert set(frame["seed"]) == {0}
        identity = [name for name in names if name != "value"] if part != "cost" else ["method"]
        assert not frame.duplicated(identity).any()
        if part == "cost":
            continue
        budget = {"fidelity": 4, "repeated": 2, "transformed": 2}[part]
        rows = frame[frame["reading"] == "paper"] if part == "fidelity" else frame
        of_each = rows.groupby([name for name in identity if name != "index"])["index"].agg(list)
        assert all(found == index[:budget] for found in of_each)
        assert of_each.groupby("method").size().nunique() == 1  # as many metrics for one method as for another


def test_other_readings_are_of_the_first_images_and_of_the_papers_methods_and_controls(smoke_bench):
    frame = saliency.saliency_scores(smoke_bench, "fidelity")
    assert set(frame["target"]) == set(TARGETS)
    others = frame[frame["reading"] != "paper"]
    assert set(others["method"]) == {*lineup.PAPER, *lineup.CONTROLS}
    assert set(others["target"]) == {"ground-truth"}
    first = smoke_bench.networks[0].images.index[:2].tolist()
    assert all(found == first for found in others.groupby(["method", "reading", "metric"])["index"].agg(list))


@pytest.mark.parametrize("method", ["gradient", "rise"])
def test_stored_scores_are_those_of_the_plain_function(smoke_bench, method):
    [subject] = smoke_bench.networks
    settings = {"n_masks": 4} if method == "rise" else {}
    found = experiment.benchmarked(smoke_bench, subject, method, "fidelity")
    expected = benchmark.fidelity(subject, method, settings, subject.images, causal_steps=2, n_readings=2)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-5, atol=1e-7)
    found = experiment.benchmarked(smoke_bench, subject, method, "transformed")
    expected = benchmark.transformed(subject, method, settings, subject.images.subset([0, 1]), causal_steps=2)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-5, atol=1e-7)


def test_the_networks_are_the_first_cross_entropy_trainings_on_images_in_turns(smoke_bench):
    [subject] = smoke_bench.networks
    run = smoke_bench.run
    assert subject.parents[0].key == workflow.of_run(run)[0].key == subject.key
    assert subject.images.index.tolist() == datasets.select(run.test_split(), 4).index.tolist()
    batch = next(run.test_split().batches(8))
    x = run.test_split().normalise(batch.images)
    with torch.no_grad():
        expected = train.trained(run, "ce", 0).classifier.eval()(x)
        torch.testing.assert_close(subject.network(x), expected, rtol=1e-4, atol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in subject.network.modules())
    reference = subject.reference()
    assert reference.part == "train" and len(reference) == 100


def test_chunks_of_images_give_the_rows_of_all_together(run, images, monkeypatch):
    study = experiment.study_of(run, small(), images, name="small")
    whole = {
        part: experiment.benchmarked(study, study.networks[0], "gradient", part) for part in ("fidelity", "repeated")
    }
    monkeypatch.setattr(saliency, "_CHUNK", 2)
    for part, n in (("fidelity", 3), ("repeated", 2)):
        assert len(keys(study, "gradient", part)) == n
        parts = experiment.benchmarked(study, study.networks[0], "gradient", part)
        pd.testing.assert_frame_equal(in_order(parts), in_order(whole[part]), rtol=1e-4, atol=1e-6)
    assert whole["fidelity"]["index"].nunique() == 6
    others = whole["fidelity"][whole["fidelity"]["reading"] != "paper"]
    assert others["index"].nunique() == 3


def test_chunks_that_a_killed_run_had_finished_are_kept(run, images, monkeypatch):
    monkeypatch.setattr(saliency, "_CHUNK", 2)
    study = experiment.study_of(run, small(), images, name="small")
    subject, plain, scored = study.networks[0], benchmark.fidelity, []

    def killed_in_the_last(*arguments, **options):
        if len(scored) == 2:
            raise KeyboardInterrupt
        scored.append(arguments[3].index.tolist())
        return plain(*arguments, **options)

    monkeypatch.setattr(benchmark, "fidelity", killed_in_the_last)
    with pytest.raises(KeyboardInterrupt):
        experiment.benchmarked(study, subject, "gradient", "fidelity")
    done = [Store().is_done(cell) for cell in saliency.saliency_cells(study, subject, "gradient", "fidelity")]
    assert done == [True, True, False]

    def resumed(*arguments, **options):
        scored.append(arguments[3].index.tolist())
        return plain(*arguments, **options)

    monkeypatch.setattr(benchmark, "fidelity", resumed)
    frame = experiment.benchmarked(study, subject, "gradient", "fidelity")
    assert scored == [subject.images.index[first : first + 2].tolist() for first in (0, 2, 4)]
    assert frame["index"].unique().tolist() == subject.images.index.tolist()
    experiment.benchmarked(study, subject, "gradient", "fidelity")
    assert len(scored) == 3


@pytest.mark.parametrize(
    ("values", "changed"),
    [
        ({"rise_masks": 5}, {("rise", part) for part in saliency.PARTS}),
        ({"lime_samples": 9}, {("lime", part) for part in saliency.PARTS}),
        (
            {"causal_steps": 3},
            {(m, p) for m in ("rise", "lime", "gradient") for p in ("fidelity", "repeated", "transformed")},
        ),
        ({"sensitivity_draws": 2}, {(method, "repeated") for method in ("rise", "lime", "gradient")}),
        (
            {"n_sensitivity": 2},
            {(m, p) for m in ("rise", "lime", "gradient") for p in ("fidelity", "repeated")},
        ),
        ({"n_transformed": 3}, {(method, "transformed") for method in ("rise", "lime", "gradient")}),
        ({"n_scored": 1, "flipping_step": 1, "epochs_ce": 9, "saliency_seeds": 1}, set()),
    ],
)
def test_a_budget_changes_the_keys_of_what_depends_on_it(run, images, values, changed):
    study = experiment.study_of(run, small(), images, name="small")
    other = with_budgets(study, **values)
    pairs = [(method, part) for method in ("rise", "lime", "gradient") for part in saliency.PARTS]
    assert {pair for pair in pairs if keys(study, *pair) != keys(other, *pair)} == changed


def test_keys_know_network_layer_images_and_version_but_no_device_and_no_label(run, images, monkeypatch):
    study = experiment.study_of(run, small(), images, name="small")
    key = keys(study, "gradient", "fidelity")
    elsewhere = replace(run, device=torch.device("meta"), label="Another", data_root=Path("/elsewhere"), download=True)
    assert keys(replace(study, run=elsewhere), "gradient", "fidelity") == key
    assert keys(experiment.study_of(run, small(), images, name="small"), "gradient", "fidelity") == key
    others = [
        experiment.study_of(run, small(seed=1), images, name="small"),
        experiment.study_of(run, small(), images, name="large"),
        experiment.study_of(run, small(), images, name="small", layer="1"),
        experiment.study_of(run, small(), images.subset(list(range(9))), name="small"),
    ]
    found = [keys(other, "gradient", "fidelity") for other in others]
    monkeypatch.setitem(stages.STAGES, "saliency", replace(stages.STAGES["saliency"], version=99))
    found.append(keys(study, "gradient", "fidelity"))
    assert len({*map(tuple, found), tuple(key)}) == 6


def test_a_network_of_ones_own_is_explained_at_its_last_spatial_layer_on_images_in_turns(run, images):
    doubled = images.subset([*range(10), *range(10)])
    [subject] = experiment.study_of(run, small(), doubled, name="small").networks
    assert subject.layer == "3"
    assert subject.images.labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert (subject.parents, subject.seed) == ((), 0)
    assert experiment.study_of(run, small(), images, name="small", layer="0").networks[0].layer == "0"
    every = replace(run, scale=replace(run.scale, n_saliency=None))
    assert len(experiment.study_of(every, small(), images, name="small").networks[0].images) == 10


def test_a_layer_or_method_that_does_not_exist_is_refused_with_the_choices(run, images):
    with pytest.raises(ValueError) as refusal:
        experiment.study_of(run, small(), images, name="small", layer="layer4")
    for name in ("'layer4'", "0", "2", "6"):
        assert name in str(refusal.value)
    with pytest.raises(ValueError) as refusal:
        experiment.study_of(run, small(), images, name="small", methods=("rise", "rice"))
    assert str(refusal.value) == f"Expected methods out of {', '.join(lineup.ALL)}. Got rice."


def test_only_the_methods_of_the_bench_take_part(run, images):
    study = experiment.study_of(run, small(), images, name="small", methods=("uniform", "eigen-cam"))
    assert list(saliency.saliency_scores(study, "cost")["method"]) == ["uniform", "eigen-cam"]
    assert saliency.parts_of("uniform") == saliency.PARTS
    assert saliency.parts_of("eigen-cam") == ("fidelity", "repeated", "cost")
    parts = {(cell.config["method"], cell.config["part"]) for cell in workflow.of_bench(study)}
    assert parts == {("uniform", part) for part in saliency.PARTS} | {
        ("eigen-cam", part) for part in ("fidelity", "repeated", "cost")
    }


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
    monkeypatch.setattr(randomisation, "blocks", lambda model: ("fc", "layer4.2.conv3"))
    overrides = "n_test=null, n_saliency=2, n_transformed=2, n_sensitivity=1, sensitivity_draws=1, causal_steps=1,"
    run = settings.settings("smoke", f"imagenet:{imagenet}", device="cpu", overrides=overrides + "rise_masks=4")
    study = replace(experiment.study(run), methods=("gradient", "grad-cam", "rise", "iba"))
    assert asked == [(("torchvision:resnet50",), {"download": False})]
    [subject] = study.networks
    assert (subject.layer, subject.key, subject.parents) == ("layer4", pretrained.state_digest(network), ())
    assert subject.images.size == 224 and subject.images.labels.tolist() == [0, 1]

    found = experiment.benchmarked(study, subject, "rise", "fidelity")
    assert set(found["target"]) == set(TARGETS) and found["index"].nunique() == 2
    assert not {"pointing-game", "attribution-localisation"} & set(found["metric"])
    kept = subject.images.materialised()
    with torch.no_grad():
        expected = network(kept.normalise(kept.images)).softmax(1)[[0, 1], kept.labels]
    probability = found[(found["metric"] == "probability") & (found["target"] == "ground-truth")]
    np.testing.assert_allclose(probability["value"], expected, rtol=1e-3)
    changed = experiment.benchmarked(study, subject, "grad-cam", "transformed")
    assert set(zip(changed["transform"], changed["setting"])) == {("mixup", 0.2), ("crop", 0.8)}
    again = experiment.benchmarked(study, subject, "grad-cam", "repeated")
    assert len(again) == 8 and again["index"].nunique() == 1
    assert experiment.benchmarked(study, subject, "iba", "cost")["forwards"].item() > 10
    jobs = workflow.plan(run)
    whole_output = [f"whole-output-{network}-{part}-0" for network in (0, 1) for part in PARTS]
    assert [job["id"] for job in jobs] == ["saliency-0-fake-cam", "saliency-0-uniform", *whole_output]
    assert not any(job["needs"] or job["done"] for job in jobs)


@pytest.mark.slow
def test_googlenet_is_explained_at_its_last_inception_module(imagenet, empty_store):
    torch.manual_seed(0)
    network = GoogLeNet(aux_logits=False, init_weights=False, transform_input=True).eval()
    images = datasets.load(f"imagenet:{imagenet}", "test", n=1)
    run = settings.settings("smoke", device="cpu", overrides="n_saliency=1, n_sensitivity=1, causal_steps=1")
    study = experiment.study_of(run, network, images, name="googlenet", methods=("gradient", "grad-cam"))
    assert study.networks[0].layer == "inception5b"
    frame = pd.concat([experiment.benchmarked(study, study.networks[0], name, "fidelity") for name in study.methods])
    assert frame["value"].notna().any()
    assert set(frame["target"]) == set(TARGETS)


@pytest.mark.slow
def test_missing_weights_are_named_with_the_folder_they_belong_in(imagenet, tmp_path):
    environment = {**os.environ, "TORCH_HOME": str(tmp_path / "torch"), "XAI_STORE": str(tmp_path / "store")}
    command = [sys.executable, "-m", "xai_lib", "cells", "--scale", "paper", "--dataset", f"imagenet:{imagenet}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("FileNotFoundError: Expected the weights of torchvision:resnet50 in ")
    assert str(tmp_path / "torch" / "hub" / "checkpoints" / "resnet50-0676ba61.pth") in line
    assert not (tmp_path / "store").exists()
