import itertools
import shutil
from dataclasses import replace

import pytest

from xai_lib.__main__ import _parser
from xai_lib.files import read_json
from xai_lib.papers.dominance.experiment import dominance
from xai_lib.papers.saliency.method import lineup
from xai_lib.run import settings, stages, workflow
from xai_lib.run.store import Store
from xai_lib.run.workflow import (
    _dominance_jobs,
    _tune_jobs,
    compute,
    compute_dominance,
    compute_rarity,
    compute_saliency,
    compute_whole_output,
)


def test_ids_are_unique_and_needs_exist_before_they_are_needed(empty_store):
    run = settings.settings(scale="smoke", overrides="saliency_seeds=2")
    jobs = workflow.plan(run)
    contrastive, saliency = 3 * 2 * 2, 2 * 2  # losses, seeds, train and score; seeds, halves of the methods
    whole_output, dominance = 2 * 3, 1 + 4 + 1  # networks and parts; fine-tuned, kinds of network, rare modes
    listed = contrastive + saliency + whole_output + dominance
    assert len(jobs) == len({job["id"] for job in jobs}) == len({job["key"] for job in jobs}) == listed
    seen = set()
    for job in jobs:
        assert set(job["needs"]) <= seen
        seen.add(job["id"])
    needs = {job["id"]: job["needs"] for job in jobs}
    assert needs["score-scl-1"] == ["train-scl-1"]
    assert needs["saliency-1-fake-cam"] == ["train-ce-1"]
    assert needs["whole-output-1-paper-0"] == ["train-ce-0", "train-ce-1"]  # the network and its observer
    assert needs["tune-tuned-0"] == ["train-ce-0"]
    assert needs["dominance-0"] == ["tune-tuned-0"]


def test_commands_are_those_of_the_command_line(empty_store):
    for job in workflow.plan(settings.settings(scale="smoke")):
        options = _parser().parse_args([*job["command"], "--scale", "smoke"])
        if options.command == "saliency":
            assert f"saliency-{options.seed}-{options.methods.split(',')[0]}" == job["id"]
        elif options.command == "whole-output":
            assert f"whole-output-{options.network}-{options.part}-{options.chunks[0]}" == job["id"]
        elif options.command == "tune":
            assert f"tune-{options.name}-{options.seed}" == job["id"]
        elif options.command == "dominance":
            assert f"dominance-{options.network}" == job["id"]
        elif options.command == "rarity":
            assert f"rarity-{options.training}" == job["id"]
        else:
            assert f"{options.command}-{options.loss}-{options.seed}" == job["id"]


@pytest.mark.parametrize(
    ("overrides", "jobs"),
    [
        ("seeds=3, dominance_seeds=2", {"tune-tuned-0": ["train-ce-0"], "tune-tuned-1": ["train-ce-1"]}),
        ("seeds=1, dominance_seeds=5", {"tune-tuned-0": ["train-ce-0"]}),
        ("seeds=1, recipe=paper/cifar10", {"tune-tuned-resnet18-0": [], "tune-tuned-resnet50-0": []}),
    ],
)
def test_fine_tunings_need_what_is_trained_here_and_are_no_more_than_trainings(empty_store, overrides, jobs):
    listed = workflow.plan(settings.settings(scale="smoke", device="cpu", overrides=overrides))
    assert {job["id"]: job["needs"] for job in listed if job["command"][0] == "tune"} == jobs


@pytest.mark.parametrize(
    ("overrides", "needs"),
    [
        (
            "seeds=3, dominance_seeds=2",
            [f"{kind}-{seed}" for kind in ("tune-tuned", "train-ce", "train-scl", "train-tl") for seed in (0, 1)],
        ),
        (
            "seeds=1, recipe=paper/cifar10",
            ["tune-tuned-resnet18-0", "tune-tuned-resnet50-0", "train-ce-0", "train-scl-0", "train-tl-0"],
        ),
        ("seeds=1, recipe=paper/imagenet-s50, width=null", ["train-ce-0", "train-scl-0", "train-tl-0"]),
    ],
)
def test_hierarchies_need_the_network_that_they_are_of(empty_store, overrides, needs):
    listed = workflow.plan(settings.settings(scale="smoke", device="cpu", overrides=overrides))
    found = {job["id"]: job["needs"] for job in listed if job["command"][0] == "dominance"}
    assert found == {f"dominance-{number}": [need] for number, need in enumerate(needs)}


def test_trainings_with_rare_modes_need_nothing(empty_store):
    jobs = workflow.plan(settings.settings(scale="smoke", device="cpu", overrides="seeds=1, rarity_trainings=3"))
    found = {job["id"]: job["needs"] for job in jobs if job["command"][0] == "rarity"}
    assert found == {f"rarity-{number}": [] for number in range(3)}


@pytest.mark.parametrize(
    ("compute_one", "number", "message"),
    [
        (compute_dominance, 5, "Expected a network from 0 to 3. Got 5."),
        (compute_dominance, -1, "Expected a network from 0 to 3. Got -1."),
        (compute_rarity, 1, "Expected a training from 0 to 0. Got 1."),
        (compute_rarity, -1, "Expected a training from 0 to 0. Got -1."),
    ],
)
def test_a_network_or_training_that_does_not_exist_is_refused(empty_store, compute_one, number, message):
    with pytest.raises(ValueError) as refusal:
        compute_one(settings.settings(scale="smoke", overrides="seeds=1"), number)
    assert str(refusal.value) == message
    assert not empty_store.exists()


def test_nothing_is_tuned_ranked_or_trained_on_imagenet(empty_store):
    run = replace(settings.settings(scale="smoke", device="cpu"), dataset="imagenet:/somewhere")
    assert _tune_jobs(run) == _dominance_jobs(run) == []
    for refused in (compute_dominance, compute_rarity):
        with pytest.raises(ValueError, match=r"Expected a .* train.*Got imagenet:/somewhere: take planted"):
            refused(run, 0)
    assert not empty_store.exists()


@pytest.mark.parametrize(("n_saliency", "jobs"), [("499", 2), ("500", 22), ("null", 22)])
def test_methods_share_a_job_only_where_images_are_few_and_none_is_left_out(empty_store, n_saliency, jobs):
    overrides = f"n_test=500, saliency_seeds=1, n_saliency={n_saliency}"
    listed = workflow.plan(settings.settings(scale="smoke", device="cpu", overrides=overrides))
    groups = [job["command"][4].split(",") for job in listed if job["command"][0] == "saliency"]
    assert len(groups) == jobs
    assert list(itertools.chain(*groups)) == list(lineup.ALL)


def test_there_are_no_more_networks_in_the_benchmark_than_trainings(empty_store):
    run = settings.settings(scale="smoke", overrides="seeds=1, saliency_seeds=5")
    ids = {job["id"] for job in workflow.plan(run) if job["command"][0] == "saliency"}
    assert ids == {"saliency-0-fake-cam", "saliency-0-uniform"}


@pytest.mark.parametrize(
    ("seed", "methods", "message"),
    [
        (2, ["rise"], "Expected a seed out of 0. Got 2."),
        (0, ["rise", "rice", "grad"], f"Expected methods out of {', '.join(lineup.ALL)}. Got rice, grad."),
    ],
)
def test_a_network_or_method_that_does_not_exist_is_refused_with_the_choices(empty_store, seed, methods, message):
    with pytest.raises(ValueError) as refusal:
        compute_saliency(settings.settings(scale="smoke"), seed, methods)
    assert str(refusal.value) == message
    assert not empty_store.exists()


def test_a_job_is_done_once_it_is_computed(empty_store):
    run = settings.settings(scale="smoke", device="cpu", overrides="seeds=1, n_train=50, width=4")
    assert not any(job["done"] for job in workflow.plan(run))
    compute(run, "train", "ce", 0)
    assert [job["id"] for job in workflow.plan(run) if job["done"]] == ["train-ce-0"]


@pytest.mark.parametrize(("n_outputs", "jobs"), [("250", [[0, 1, 2]] * 3), ("500", [[0], [1], [2], [3], [4]] * 3)])
def test_chunks_of_images_share_a_job_only_where_images_are_few(empty_store, n_outputs, jobs):
    overrides = f"n_test=500, saliency_seeds=1, n_outputs={n_outputs}"
    listed = workflow.plan(settings.settings(scale="smoke", device="cpu", overrides=overrides))
    assert [
        _parser().parse_args(job["command"]).chunks for job in listed if job["command"][0] == "whole-output"
    ] == jobs


@pytest.mark.parametrize(
    ("network", "part", "chunk", "message"),
    [
        (1, "paper", 0, "Expected a network from 0 to 0. Got 1."),
        (0, "print", 0, "Expected a part out of paper, released, clusterings. Got 'print'."),
        (0, "paper", 3, "Expected a chunk from 0 to 0. Got 3."),
    ],
)
def test_a_part_or_chunk_that_does_not_exist_is_refused_with_the_choices(empty_store, network, part, chunk, message):
    with pytest.raises(ValueError) as refusal:
        compute_whole_output(settings.settings(scale="smoke"), network, part, [chunk])
    assert str(refusal.value) == message
    assert not empty_store.exists()


def test_the_jobs_of_the_plan_compute_every_cell_of_the_run(smoke_bench):
    """The store was filled by them."""
    store = Store()
    parts = ("train", "score", "saliency")
    jobs = [job for job in workflow.plan(smoke_bench.run) if job["command"][0] in parts]
    assert all(job["done"] for job in jobs)
    contrastive, saliency = workflow.of_run(smoke_bench.run), workflow.of_bench(smoke_bench)
    assert [cell.stage for cell in contrastive] == ["train"] * 3 + ["predict"] * 3 + ["explain"] * 6 + ["score"] * 6
    methods_and_parts = 14 * 4 + 8 * 3  # Table 4 without those beyond the paper
    assert [cell.stage for cell in saliency] == ["train"] + ["saliency"] * methods_and_parts
    assert saliency[0].key == contrastive[0].key
    found = [*contrastive, *saliency[1:]]
    assert len({cell.key for cell in found}) == len(found)
    assert all(store.is_done(cell) for cell in found)
    assert {cell.key for cell in found} == _in_store()
    assert {job["key"] for job in jobs} <= _in_store()


def test_the_jobs_of_the_whole_output_part_compute_every_cell_of_it(smoke_study):
    """The store was filled by them."""
    found = workflow.of_study(smoke_study)
    stages = ["train", "documents", "latent-tree", "stability", "whole-output", "whole-output", "whole-output"]
    assert [cell.stage for cell in found] == stages
    assert all(job["done"] for job in workflow.plan(smoke_study.run) if job["command"][0] == "whole-output")
    assert {cell.key for cell in [*workflow.of_run(smoke_study.run), *found]} == _in_store()


def test_the_jobs_of_the_dominance_part_compute_every_cell_of_it(smoke_hierarchies):
    """The store was filled by them."""
    run = smoke_hierarchies.run
    found, rarities = workflow.of_hierarchies(smoke_hierarchies), workflow.of_rarities(run)
    assert [cell.stage for cell in found] == ["train", "tune", "train", "train"] + ["dominance"] * (6 + 3 * 3)
    assert [cell.stage for cell in rarities] == ["rarity"] * 2
    jobs = [job for job in workflow.plan(run) if job["command"][0] in ("tune", "dominance", "rarity")]
    assert len(jobs) == 1 + 4 + 2 and all(job["done"] for job in jobs)
    assert {cell.key for cell in [*found, *rarities]} == _in_store()
    assert {job["key"] for job in jobs} <= _in_store()


def test_a_hierarchy_is_done_once_all_of_its_parts_are(smoke_hierarchies, monkeypatch, tmp_path):
    """A store without the part of one network that is computed first."""
    shutil.copytree(Store().root, tmp_path / "store")
    monkeypatch.setenv("XAI_STORE", str(tmp_path / "store"))
    cell = dominance.dominance_cell(smoke_hierarchies, smoke_hierarchies.networks[2], "clusters")
    shutil.rmtree(Store().path(cell))
    jobs = [job for job in workflow.plan(smoke_hierarchies.run) if job["command"][0] == "dominance"]
    assert [job["done"] for job in jobs] == [True, True, False, True]


def test_parents_come_first_and_are_on_record(smoke_bench):
    seen = set()
    for cell in [*workflow.of_run(smoke_bench.run), *workflow.of_bench(smoke_bench)]:
        parents = read_json(Store().path(cell) / "provenance.json")["parents"]
        assert set(parents) <= seen
        assert bool(parents) == (cell.stage != "train")
        seen.add(cell.key)


def test_parents_of_the_whole_output_part_come_first_and_are_on_record(smoke_study):
    seen = set()
    for cell in workflow.of_study(smoke_study):
        parents = read_json(Store().path(cell) / "provenance.json")["parents"]
        assert set(parents) <= seen
        assert bool(parents) == (cell.stage != "train")
        seen.add(cell.key)


def test_parents_of_the_dominance_part_come_first_and_are_on_record(smoke_hierarchies):
    seen = {}
    for cell in workflow.of_hierarchies(smoke_hierarchies):
        parents = read_json(Store().path(cell) / "provenance.json")["parents"]
        assert parents.items() <= seen.items()
        part = cell.config.get("part")
        expected = {"mosaics": 2, "variants": 2}.get(part, cell.stage != "train")  # the network, and its clusters
        assert len(parents) == expected
        seen[cell.key] = cell.stage
    assert set(seen.values()) == {"train", "tune", "dominance"}


def _in_store():
    folders = [Store().root / stage for stage in stages.STAGES]
    return {path.name for stage in folders if stage.is_dir() for path in stage.iterdir() if path.is_dir()}
