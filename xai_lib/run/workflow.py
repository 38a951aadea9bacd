"""The cells of a run, what each needs, and what one command of the workflow computes."""

import itertools
from collections.abc import Sequence
from typing import Any

from xai_lib.explainers.subject import Subject
from xai_lib.papers.contrastive.experiment.explain import explain_cell
from xai_lib.papers.contrastive.experiment.predict import predict_cell, predicted
from xai_lib.papers.contrastive.experiment.score import score_cell, scored
from xai_lib.papers.dominance.experiment import dominance, rarity
from xai_lib.papers.saliency import experiment as benchmark
from xai_lib.papers.saliency.method import lineup
from xai_lib.papers.whole_output.experiment import documents
from xai_lib.papers.whole_output.experiment import explanations as whole_output
from xai_lib.run import subjects
from xai_lib.run.cell import Cell
from xai_lib.run.settings import LOSSES, METHODS, Settings
from xai_lib.run.store import Store
from xai_lib.run.train import train_cell, trained
from xai_lib.run.tune import tune_cell

_MANY = 500  # images; from here on a method takes longer than the start of its process


def plan(run: Settings) -> list[dict[str, Any]]:
    """The run's jobs: id, command (arguments of ``python -m xai_lib``), needs (ids), key (of its last cell), done.

    There are two jobs a network, "train" and "score". The second computes predictions, maps and scores of all methods,
    since each of these is shorter than the start of a process. The saliency benchmark has a job for each network and
    method where there are many images, and for each network and half of the methods where there are few. On ImageNet,
    whose networks come with their weights, nothing is trained. The whole-output part has a job for each network and
    part where images are few, and for each chunk of images where they are many. The dominance part has a job for each
    network that it fine-tunes, one for each network whose clusters it ranks, and one for each training with rare modes.
    """
    trained_here = [] if run.pretrained else _contrastive_jobs(run)
    return [*trained_here, *_saliency_jobs(run), *_whole_output_jobs(run), *_tune_jobs(run), *_dominance_jobs(run)]


def _contrastive_jobs(run: Settings) -> list[dict[str, Any]]:
    jobs = []
    for loss, seed in itertools.product(LOSSES, run.seeds):
        cells = {"train": [train_cell(run, loss, seed)]}
        cells["score"] = [predict_cell(run, loss, seed), *(score_cell(run, loss, seed, method) for method in METHODS)]
        for stage, needs in (("train", []), ("score", [f"train-{loss}-{seed}"])):
            command = [stage, "--loss", loss, "--seed", str(seed)]
            jobs.append(_job(f"{stage}-{loss}-{seed}", command, needs, cells[stage]))
    return jobs


def _saliency_jobs(run: Settings) -> list[dict[str, Any]]:
    jobs, bench = [], benchmark.bench(run)
    for subject, methods in itertools.product(bench.subjects, _groups(run)):
        needs = [] if run.pretrained else [f"train-{subjects.LOSS}-{subject.seed}"]
        command = ["saliency", "--seed", str(subject.seed), "--methods", ",".join(methods)]
        jobs.append(
            _job(f"saliency-{subject.seed}-{methods[0]}", command, needs, _saliency_cells(bench, subject, methods))
        )
    return jobs


def _whole_output_jobs(run: Settings) -> list[dict[str, Any]]:
    jobs, study = [], whole_output.study(run)
    for number, explained in enumerate(study.networks):
        seeds = sorted({explained.subject.seed, explained.observer.seed}) if explained.observer else [0]
        needs = [] if run.pretrained else [f"train-{subjects.LOSS}-{seed}" for seed in seeds]
        chunks = range(len(whole_output.chunks(study, explained)))
        few = len(explained.subject.images) < _MANY
        for part, group in itertools.product(whole_output.PARTS, [tuple(chunks)] if few else [(c,) for c in chunks]):
            command = ["whole-output", "--network", str(number), "--part", part, "--chunks", ",".join(map(str, group))]
            cells = whole_output.whole_output_cells(study, explained, part)
            name = f"whole-output-{number}-{part}-{group[0]}"
            jobs.append(_job(name, command, needs, [cells[chunk] for chunk in group]))
    return jobs


def _tune_jobs(run: Settings) -> list[dict[str, Any]]:
    jobs = []
    for (name, recipe), seed in itertools.product(run.fine_tunings.items(), run.tuned_seeds):
        needs = [f"train-ce-{seed}"] if recipe.start == "ce" else []
        command = ["tune", "--name", name, "--seed", str(seed)]
        jobs.append(_job(f"tune-{name}-{seed}", command, needs, [tune_cell(run, name, seed)]))
    return jobs


def _dominance_jobs(run: Settings) -> list[dict[str, Any]]:
    if run.pretrained:
        return []
    jobs, of = [], dominance.hierarchies(run)
    for number, ranked in enumerate(of.networks):
        stage = "train" if ranked.kind in LOSSES else "tune"
        cells = [dominance.dominance_cell(of, ranked, part) for part in ranked.parts]
        needs = [f"{stage}-{ranked.kind}-{ranked.seed}"]
        jobs.append(_job(f"dominance-{number}", ["dominance", "--network", str(number)], needs, cells))
    for number in range(run.scale.rarity_trainings):
        command = ["rarity", "--training", str(number)]
        jobs.append(_job(f"rarity-{number}", command, [], [rarity.rarity_cell(run, number)]))
    return jobs


def _groups(run: Settings) -> list[tuple[str, ...]]:
    """Methods that share a job: where images are few, starting a process takes longer than a method."""
    if run.scale.n_saliency is None or run.scale.n_saliency >= _MANY:
        return [(method,) for method in lineup.ALL]
    return [lineup.PAPER, (*lineup.CONTROLS, *lineup.BEYOND)]


def _saliency_cells(
    bench: benchmark.Bench, subject: Subject, methods: Sequence[str], parts: Sequence[str] = benchmark.PARTS
) -> list[Cell]:
    return [
        cell
        for method in methods
        for part in benchmark.parts_of(method)
        if part in parts
        for cell in benchmark.saliency_cells(bench, subject, method, part)
    ]


def _job(name: str, command: list[str], needs: list[str], cells: list[Cell]) -> dict[str, Any]:
    store = Store()
    done = all(store.is_done(cell) for cell in cells)
    return {"id": name, "command": command, "needs": needs, "key": cells[-1].key, "done": done}


def compute(run: Settings, command: str, loss: str, seed: int) -> None:
    """Do one job of :func:`plan`, "train" or "score"."""
    if command == "train":
        trained(run, loss, seed)
        return
    predicted(run, loss, seed)
    for method in METHODS:
        scored(run, loss, seed, method)


def compute_saliency(run: Settings, seed: int, methods: Sequence[str]) -> None:
    """Do one "saliency" job of :func:`plan`.

    Raises:
        ValueError: if there is no such network or method; the message lists those that exist.
    """
    bench = benchmark.bench(run)
    subjects = {subject.seed: subject for subject in bench.subjects}
    if seed not in subjects:
        raise ValueError(f"Expected a seed out of {', '.join(map(str, subjects))}. Got {seed}.")
    if strangers := [method for method in methods if method not in lineup.ALL]:
        raise ValueError(f"Expected methods out of {', '.join(lineup.ALL)}. Got {', '.join(strangers)}.")
    for method in methods:
        for part in benchmark.parts_of(method):
            benchmark.benchmarked(bench, subjects[seed], method, part)


def compute_whole_output(run: Settings, network: int, part: str, chunks: Sequence[int]) -> None:
    """Do one "whole-output" job of :func:`plan`.

    Raises:
        ValueError: if there is no such network, part or chunk; the message lists those that exist.
    """
    study = whole_output.study(run)
    explained = _chosen("network", network, study.networks)
    if part not in whole_output.PARTS:
        raise ValueError(f"Expected a part out of {', '.join(whole_output.PARTS)}. Got {part!r}.")
    images = whole_output.chunks(study, explained)
    for chunk in chunks:
        whole_output.scored_chunk(study, explained, part, _chosen("chunk", chunk, images))


def compute_dominance(run: Settings, network: int) -> None:
    """Do one "dominance" job of :func:`plan`.

    Raises:
        ValueError: if there is no such network; the message lists those that exist.
    """
    of = dominance.hierarchies(run)
    ranked = _chosen("network", network, of.networks)
    for part in ranked.parts:
        dominance.computed(of, ranked, part)


def compute_rarity(run: Settings, training: int) -> None:
    """Do one "rarity" job of :func:`plan`.

    Raises:
        ValueError: if there is no such training; the message lists those that exist. Also on ImageNet, where nothing
            is trained.
    """
    if run.pretrained:
        raise ValueError(f"Expected a run that trains networks. Got {run.dataset}: take planted, for example.")
    rarity.rarity_scores(run, _chosen("training", training, range(run.scale.rarity_trainings)))


def _chosen(what: str, number: int, choices: Sequence[Any]) -> Any:
    if not 0 <= number < len(choices):
        raise ValueError(f"Expected a {what} from 0 to {len(choices) - 1}. Got {number}.")
    return choices[number]


def of_run(run: Settings) -> list[Cell]:
    """Every cell of the contrastive part of a run, in the order in which they are computed."""
    networks = list(itertools.product(LOSSES, run.seeds))
    methods = [(*network, method) for network in networks for method in METHODS]
    return [
        *(train_cell(run, *network) for network in networks),
        *(predict_cell(run, *network) for network in networks),
        *(explain_cell(run, *which) for which in methods),
        *(score_cell(run, *which) for which in methods),
    ]


def of_bench(bench: benchmark.Bench, parts: Sequence[str] = benchmark.PARTS) -> list[Cell]:
    """The cells of some parts of a saliency benchmark, after those that its networks came from."""
    made = [cell for subject in bench.subjects for cell in subject.parents]
    for subject in bench.subjects:
        made += _saliency_cells(bench, subject, bench.methods, parts)
    return made


def of_study(study: whole_output.Study, parts: Sequence[str] = whole_output.PARTS) -> list[Cell]:
    """The cells of some parts of a whole-output study, after those that they came from."""
    made = [cell for explained in study.networks for cell in whole_output.lineage(study, explained, parts)]
    for explained, part in itertools.product(study.networks, parts):
        made += whole_output.whole_output_cells(study, explained, part)
    return list({cell.key: cell for cell in made}.values())


def of_corpus(corpus: documents.Corpus, repeats: int) -> list[Cell]:
    """The cells of a collection of documents: where they were made, the tree, and other clusterings."""
    return [*corpus.made_by, documents.tree_cell(corpus), documents.stability_cell(corpus, repeats)]


def of_hierarchies(of: dominance.Hierarchies, parts: Sequence[str] = dominance.PARTS) -> list[Cell]:
    """The cells of some parts of the dominance part, after those that they came from."""
    made = []
    for ranked in of.networks:
        if ranked.kind not in LOSSES and of.run.fine_tunings[ranked.kind].start in LOSSES:
            made.append(train_cell(of.run, of.run.fine_tunings[ranked.kind].start, ranked.seed))
        made += ranked.subject.parents
    for ranked, part in itertools.product(of.networks, parts):
        if part in ranked.parts:
            made += [*dominance.dominance_parents(of, ranked, part), dominance.dominance_cell(of, ranked, part)]
    return list({cell.key: cell for cell in made}.values())


def of_rarities(run: Settings) -> list[Cell]:
    """The cells of the trainings on planted images with rare modes."""
    return [rarity.rarity_cell(run, number) for number in range(run.scale.rarity_trainings)]
