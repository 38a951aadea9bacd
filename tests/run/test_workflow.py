import itertools
import shutil
from dataclasses import replace

import pytest

from xai_lib.__main__ import _parser
from xai_lib.files import read_json
from xai_lib.papers.contrastive import experiment as contrastive
from xai_lib.papers.contrastive import matching
from xai_lib.papers.dominance import experiment as dominance
from xai_lib.papers.saliency import experiment as saliency
from xai_lib.papers.saliency.method import lineup
from xai_lib.papers.whole_output import experiment as whole_output
from xai_lib.run import networks, settings, workflow
from xai_lib.run.stage import STAGES, lineage
from xai_lib.run.store import Store
from xai_lib.run.workflow import compute


def test_ids_are_unique_and_needs_exist_before_they_are_needed(empty_store):
    run = settings.settings(scale="smoke", overrides="saliency_seeds=2")
    jobs = workflow.plan(run)
    contrastive = 3 * 2 * 2 + 2 * 2  # losses, seeds, train and score; pairs of losses that are matched, seeds
    saliency = 2 * 2  # seeds, halves of the methods
    whole_output, dominance = 2 * 3, 1 + 5 + 1  # networks and parts; fine-tuned, kinds of network, rare modes
    listed = contrastive + saliency + whole_output + dominance
    assert len(jobs) == len({job["id"] for job in jobs}) == len({job["key"] for job in jobs}) == listed
    seen = set()
    for job in jobs:
        assert set(job["needs"]) <= seen
        seen.add(job["id"])
    needs = {job["id"]: job["needs"] for job in jobs}
    assert needs["score-scl-1"] == ["train-scl-1"]
    assert needs["match-tl-ce-1"] == ["train-ce-1", "train-tl-1"]
    assert needs["saliency-1-fake-cam"] == ["train-ce-1"]
    assert needs["whole-output-1-paper-0"] == ["train-ce-0", "train-ce-1"]  # the network and its observer
    assert needs["tune-tuned-0"] == ["train-ce-0"]
    assert needs["dominance-0"] == ["tune-tuned-0"]


def test_commands_are_those_of_the_command_line(empty_store):
    for job in workflow.plan(settings.settings(scale="smoke")):
        options = _parser().parse_args([*job["command"], "--scale", "smoke"])
        values = [getattr(options, name) for name in options.own]
        first = [value[0] if isinstance(value, list) else value for value in values]
        assert "-".join(map(str, [options.command, *first])) == job["id"]


KINDS = [f"{kind}-{seed}" for kind in ("tune-tuned", "train-ce", "train-scl", "train-tl") for seed in (0, 1)]
TRAINED = ["train-ce-0", "train-scl-0", "train-tl-0"]
PUBLISHED = ["tune-tuned-resnet18-0", "tune-tuned-resnet50-0"]


@pytest.mark.parametrize(
    ("overrides", "command", "needs"),
    [
        ("seeds=3, dominance_seeds=2", "tune", {"tune-tuned-0": ["train-ce-0"], "tune-tuned-1": ["train-ce-1"]}),
        ("seeds=1, dominance_seeds=5", "tune", {"tune-tuned-0": ["train-ce-0"]}),  # no more than trainings
        ("seeds=1, recipe=paper/cifar10", "tune", {name: [] for name in PUBLISHED}),
        ("seeds=3, dominance_seeds=2", "dominance", [*KINDS, "", ""]),  # the untrained need nothing
        ("seeds=1, recipe=paper/cifar10", "dominance", [*PUBLISHED, *TRAINED, "", ""]),
        ("seeds=1, recipe=paper/imagenet-s50, width=null", "dominance", TRAINED),
        ("seeds=1, rarity_trainings=3", "rarity", {f"rarity-{number}": [] for number in range(3)}),
    ],
)
def test_fine_tunings_hierarchies_and_rare_modes_need_the_networks_that_they_are_of(
    empty_store, overrides, command, needs
):
    jobs = workflow.plan(settings.settings(scale="smoke", device="cpu", overrides=overrides))
    if isinstance(needs, list):  # one network each
        needs = {f"{command}-{number}": [need] if need else [] for number, need in enumerate(needs)}
    assert {job["id"]: job["needs"] for job in jobs if job["command"][0] == command} == needs


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("dominance", {"network": 8}, "Expected a network from 0 to 4. Got 8."),
        ("dominance", {"network": -1}, "Expected a network from 0 to 4. Got -1."),
        ("rarity", {"training": 1}, "Expected a training from 0 to 0. Got 1."),
        ("rarity", {"training": -1}, "Expected a training from 0 to 0. Got -1."),
        ("saliency", {"seed": 2, "methods": ["rise"]}, "Expected a seed out of 0. Got 2."),
        (
            "saliency",
            {"seed": 0, "methods": ["rise", "rice", "grad"]},
            f"Expected methods out of {', '.join(lineup.ALL)}. Got rice, grad.",
        ),
        ("whole-output", {"network": 1, "part": "paper", "chunks": [0]}, "Expected a network from 0 to 0. Got 1."),
        (
            "whole-output",
            {"network": 0, "part": "print", "chunks": [0]},
            "Expected a part out of paper, released, clusterings. Got 'print'.",
        ),
        ("whole-output", {"network": 0, "part": "paper", "chunks": [3]}, "Expected a chunk from 0 to 0. Got 3."),
    ],
)
def test_an_option_that_the_run_does_not_have_is_refused_with_the_choices(empty_store, command, options, message):
    with pytest.raises(ValueError) as refusal:
        compute(settings.settings(scale="smoke", overrides="seeds=1"), command, **options)
    assert str(refusal.value) == message
    assert not empty_store.exists()


def test_nothing_is_trained_tuned_or_ranked_on_imagenet(empty_store):
    run = replace(settings.settings(scale="smoke", device="cpu"), dataset="imagenet:/somewhere")
    assert [list(experiment.jobs(run)) for experiment in (networks, contrastive, dominance)] == [[], [], []]
    for command, options in (("dominance", {"network": 0}), ("rarity", {"training": 0})):
        with pytest.raises(ValueError, match=r"Expected .*train.*Got .*imagenet:/somewhere"):
            compute(run, command, **options)
    assert not empty_store.exists()


@pytest.mark.parametrize(("n_saliency", "jobs"), [("499", 2), ("500", len(lineup.ALL)), ("null", len(lineup.ALL))])
def test_methods_share_a_job_only_where_images_are_few_and_none_is_left_out(empty_store, n_saliency, jobs):
    overrides = f"n_test=500, saliency_seeds=1, n_saliency={n_saliency}"
    listed = workflow.plan(settings.settings(scale="smoke", device="cpu", overrides=overrides))
    groups = [job["command"][4].split(",") for job in listed if job["command"][0] == "saliency"]
    assert len(groups) == jobs
    assert list(itertools.chain(*groups)) == list(lineup.ALL)


def test_a_job_is_done_once_it_is_computed(empty_store):
    run = settings.settings(scale="smoke", device="cpu", overrides="seeds=1, n_train=50, width=4")
    assert not any(job["done"] for job in workflow.plan(run))
    compute(run, "train", loss="ce", seed=0)
    assert [job["id"] for job in workflow.plan(run) if job["done"]] == ["train-ce-0"]


@pytest.mark.parametrize(("n_outputs", "jobs"), [("250", [[0, 1, 2]] * 3), ("500", [[0], [1], [2], [3], [4]] * 3)])
def test_chunks_of_images_share_a_job_only_where_images_are_few(empty_store, n_outputs, jobs):
    overrides = f"n_test=500, saliency_seeds=1, n_outputs={n_outputs}"
    listed = workflow.plan(settings.settings(scale="smoke", device="cpu", overrides=overrides))
    assert [
        _parser().parse_args(job["command"]).chunks for job in listed if job["command"][0] == "whole-output"
    ] == jobs


def test_the_jobs_of_the_plan_compute_every_cell_of_a_part(smoke_run, smoke_bench, monkeypatch, benched_store):
    """The store was filled by them."""
    monkeypatch.setenv("XAI_STORE", str(benched_store))
    found = lineage([*contrastive.cells(smoke_run), *matching.cells(smoke_run), *saliency.cells(smoke_bench)])
    stages = ("train", "predict", "explain", "score", "match")
    counted = {name: sum(cell.stage == name for cell in found) for name in stages}
    assert counted == {"train": 3, "predict": 6, "explain": 9, "score": 9, "match": 2}
    _all_done_and_nothing_else(smoke_run, ("train", "score", "match", "saliency"), found)


def test_the_jobs_of_the_whole_output_part_compute_every_cell_of_it(smoke_study):
    """The store was filled by them."""
    cells = lineage(whole_output.cells(smoke_study))
    assert [cell.stage for cell in cells] == ["train", "documents", "latent-tree", "whole-output", "whole-output",
                                              "stability", "whole-output"]  # fmt: skip
    _all_done_and_nothing_else(
        smoke_study.run,
        ("whole-output",),
        lineage([*cells, *contrastive.cells(smoke_study.run), *matching.cells(smoke_study.run)]),
    )


def test_the_jobs_of_the_dominance_part_compute_every_cell_of_it(smoke_hierarchies):
    """The store was filled by them."""
    run = smoke_hierarchies.run
    rarities = [cell for training in range(2) for cell in dominance.rarity_cells(run, training)]
    found = lineage([*dominance.cells(smoke_hierarchies), *rarities])
    stages = [cell.stage for cell in found]
    assert (stages.count("train"), stages.count("tune"), stages.count("rarity")) == (3, 1, 2)
    assert len(found) == 6 + (6 + 3 * 3 + 2)
    _all_done_and_nothing_else(run, ("tune", "dominance", "rarity"), found)


def test_a_network_is_done_once_all_of_its_parts_are(smoke_hierarchies, monkeypatch, tmp_path):
    """A store without the part of one network that is computed first."""
    shutil.copytree(Store().root, tmp_path / "store")
    monkeypatch.setenv("XAI_STORE", str(tmp_path / "store"))
    first = dominance.dominance_cells(smoke_hierarchies.run, 2)[0]
    shutil.rmtree(Store().path(first))
    jobs = [job for job in workflow.plan(smoke_hierarchies.run) if job["command"][0] == "dominance"]
    assert [job["done"] for job in jobs] == [True, True, False, True, True]


def _all_done_and_nothing_else(run, commands, cells):
    """The jobs of some commands are done; the store holds these cells and no others, their parents on record."""
    jobs = [job for job in workflow.plan(run) if job["command"][0] in commands]
    assert jobs and all(job["done"] for job in jobs)
    keys = {cell.key for cell in cells}
    assert len(keys) == len(cells) and {job["key"] for job in jobs} <= keys
    folders = [Store().root / name for name in STAGES]
    assert {
        path.name for stage in folders if stage.is_dir() for path in stage.iterdir() if len(path.name) == 64
    } == keys
    seen = {}
    for cell in cells:
        parents = read_json(Store().path(cell) / "provenance.json")["parents"]
        assert parents == {parent.key: parent.stage for parent in cell.parents} and parents.items() <= seen.items()
        seen[cell.key] = cell.stage
