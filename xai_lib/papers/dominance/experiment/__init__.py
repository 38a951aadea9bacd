"""A run of the dominance part: its networks, what is computed of each and kept, and the tables of all of them."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from xai_lib import files, models, pretrained
from xai_lib.data import Split, planted
from xai_lib.explainers.subject import Subject
from xai_lib.papers.dominance.experiment import parts
from xai_lib.papers.dominance.experiment.parts import K_MEANS, RESCALED, SEED, WHOLE, mosaic_sizes, read
from xai_lib.papers.dominance.method import dominance, mosaics, rare_modes
from xai_lib.run import networks
from xai_lib.run.cell import Cell
from xai_lib.run.settings import LOSSES, Settings, Study
from xai_lib.run.stage import computed
from xai_lib.training import recipes
from xai_lib.your_images import with_normalisation

PARTS = ("clusters", "choice", "mosaics", "variants", "pairs", "focus")
EXPLAINERS = ("grad-cam", "eigen-cam", "excitation-backprop", "gradient", "random")
_OF_OTHERS = ("clusters", "mosaics", "focus")  # parts of networks that are trained in other ways than the paper's
_OF_UNTRAINED = ("clusters", "pairs")
TUNED, UNTRAINED = "tuned", "untrained"
_PART_OF = {"images": "clusters", "shares": "clusters", "centres": "clusters", "dealt": "mosaics"}  # of tables
KINDS = (TUNED, *LOSSES, UNTRAINED)  # the paper's networks are fine-tuned
_RARITY_RECIPE = "small/few-images"
_N_TRAIN, _N_TEST = 10_000, 2000  # images with rare modes, where the scale names no numbers


@dataclass(frozen=True, eq=False)
class RankedNetwork:
    """A network whose clusters are ranked."""

    subject: Subject  # with all evaluation images
    # how it was trained: "ce", "scl", "tl" or a name of `Settings.fine_tunings`, on ImageNet the architecture of a
    # published network; or see :func:`untrained_like`
    kind: str
    parts: tuple[str, ...] = PARTS  # what is computed for it


def study(run: Settings) -> Study:
    """The part on those networks of a run that its ``kinds`` name: fine-tuned as in the paper, then trained by CE, SCL
    and TL, which it does not do, and untrained. On ImageNet its first published network, and untrained ones. Pages show
    the first, for which every part is computed. ValueError for other kinds, without a trained one, or without
    training images.
    """
    if not run.has_training_images:
        expected = "Expected training images, to which clusters are compared, in a folder train."
        raise ValueError(f"{expected} Got none: {run.dataset}.")
    if run.pretrained:
        return _published(run)
    wanted = run.dominance.kinds.split()
    if not set(wanted) <= set(KINDS) or set(wanted) <= {UNTRAINED}:
        raise ValueError(f"Expected kinds out of {' '.join(KINDS)}, a trained one among them. Got {wanted}.")
    tuned = run.fine_tunings
    names = {TUNED: tuned, UNTRAINED: list(map(untrained_like, tuned))}
    kinds = [name for kind in KINDS if kind in wanted for name in names.get(kind, [kind])]
    made = []
    for kind, seed in itertools.product(kinds, run.tuned_seeds):
        of_kind = PARTS if kind in (*tuned, kinds[0]) else _OF_OTHERS if kind in LOSSES else _OF_UNTRAINED
        if kind.startswith(UNTRAINED):
            subject = _untrained(run, kind.replace(UNTRAINED, TUNED), seed)
        else:
            cell = networks.train_cell if kind in LOSSES else networks.tune_cell
            subject = networks.with_images(run, cell(run, kind, seed), None)
        made.append(RankedNetwork(subject, kind, of_kind))
    return Study(run, tuple(made))


def untrained_like(kind: str) -> str:
    """The kind of network of the same architecture that has random weights."""
    return kind.replace(TUNED, UNTRAINED) if kind.startswith(TUNED) else f"{UNTRAINED}-{kind}"


def kinds(study: Study) -> tuple[str, ...]:
    """Ways of training, in the order of the networks."""
    return tuple(dict.fromkeys(ranked.kind for ranked in study.networks))


def judged(study: Study) -> tuple[str, ...]:
    """The kinds about which the paper's claims are asked: those of which every part is computed."""
    return tuple(dict.fromkeys(ranked.kind for ranked in study.networks if ranked.parts == PARTS))


def networks_of(study: Study, kind: str) -> tuple[RankedNetwork, ...]:
    """The networks of a kind; pages show the first of them."""
    return tuple(ranked for ranked in study.networks if ranked.kind == kind)


def part_cell(study: Study, ranked: RankedNetwork, part: str) -> Cell:
    """One of :data:`PARTS` of one network."""
    budgets, images = study.run.dominance, ranked.subject.images
    shared = {"subject": ranked.subject, "images": images}
    if part == "clusters":
        training = with_normalisation(study.run.train_split(), images.mean, images.std)  # in the network's colours
        return parts.cluster.cell(**shared, training=training, n_clusters=budgets.n_clusters)
    if part == "choice":
        return parts.choose.cell(**shared)
    if part == "pairs":
        return parts.pair.cell(**shared, n_images=budgets.n_paired, n_classes=budgets.paired_classes)
    if part == "focus":
        return parts.focus.cell(**shared, n_mosaics=budgets.n_focus, by=EXPLAINERS)
    clustered = shared | {"clustering": part_cell(study, ranked, "clusters"), "n_mosaics": budgets.n_mosaics}
    if part == "mosaics":
        return parts.compare.cell(**clustered, n_deals=budgets.n_deals)
    return parts.vary.cell(**clustered, by=EXPLAINERS)


def cells(study: Study, wanted: Sequence[str] = PARTS) -> list[Cell]:
    """Some parts of every network, without what they stand on."""
    return [part_cell(study, one, part) for one in study.networks for part in wanted if part in one.parts]


def dominance_cells(run: Settings, network: int) -> list[Cell]:
    """What the command ``dominance`` computes: all parts of one network. ValueError for a wrong number."""
    return cells(Study(run, (networks.chosen("network", network, study(run).networks),)))


def rarity_cells(run: Settings, training: int) -> list[Cell]:
    """What the command ``rarity`` computes: one training on planted images with rare modes, and its scores."""
    if run.pretrained:
        raise ValueError(f"Expected a run that trains networks. Got {run.dataset}: take planted, for example.")
    return [rarity_cell(run, networks.chosen("training", training, range(run.dominance.rarity_trainings)))]


def rarity_cell(run: Settings, number: int) -> Cell:
    """Trainings on planted images with the rare modes of a number: by cross-entropy and the recipe for few images
    whatever the run's scale, so that it takes a minute or two on a processor, then fine-tuned.
    """
    first, then = recipes.get(_RARITY_RECIPE, networks.LOSS), recipes.fine_tunings(_RARITY_RECIPE)[TUNED]
    epochs, width = (run.recipe(networks.LOSS).epochs, run.networks.epochs_tuned), run.networks.width
    both = [replace(recipe, epochs=n, width=width) for recipe, n in zip((first, then), epochs)]
    given = {"rarities": dict(rare_modes.rarities_of(number)), "generator": planted.VERSION, "seed": number}
    given |= {"n_train": run.networks.n_train or _N_TRAIN, "n_test": run.networks.n_test or _N_TEST}
    given |= {name: getattr(run.dominance, name) for name in ("n_clusters", "n_mosaics")}
    trained = {"recipes": dict(zip((networks.LOSS, TUNED), both)), "size": run.networks.size, "device": run.device}
    return parts.rarity.cell(**given, **trained)


def jobs(run: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    """The commands of the part and their options: one a network, one a training with rare modes (none on ImageNet,
    where there are no commands at all without training images).
    """
    if run.has_training_images:
        yield from (("dominance", {"network": number}) for number in range(len(study(run).networks)))
    if not run.pretrained:
        yield from (("rarity", {"training": number}) for number in range(run.dominance.rarity_trainings))


@cache
def table(study: Study, name: str) -> pd.DataFrame:
    """A table of a stage of ``parts.py``, of all networks that have it, computed if need be; with kind and seed."""
    part = _PART_OF.get(name, name)
    having = [ranked for ranked in study.networks if part in ranked.parts]
    frames = []
    for ranked in tqdm(having, desc=part, leave=False, disable=None):
        found = read(computed(part_cell(study, ranked, part)) / f"{name}.csv")
        frames.append(found.assign(kind=ranked.kind, seed=ranked.subject.seed))
    return pd.concat(frames, ignore_index=True)


def rare_clusters(run: Settings) -> pd.DataFrame:
    """Every cluster of every training with rare modes, as stage "rarity" writes it; seed is the training's number."""
    numbers = tqdm(range(run.dominance.rarity_trainings), desc="rarity", leave=False, disable=None)
    frames = [files.read_frame(computed(rarity_cell(run, n)) / "clusters.csv").assign(seed=n) for n in numbers]
    return pd.concat(frames, ignore_index=True)


def class_images(ranked: RankedNetwork, label: str) -> Split:
    """The evaluation images of a class, in memory."""
    images = ranked.subject.images
    return images.subset(parts.positions(images, images.classes.index(label))).materialised()


def class_mosaics(study: Study, ranked: RankedNetwork, label: str, pair: tuple[int, int]) -> mosaics.Mosaics:
    """The mosaics of two clusters of a class, the smaller number first; positions are those of :func:`class_images`."""
    images = read(computed(part_cell(study, ranked, "clusters")) / "images.csv")
    assigned = torch.tensor(images.loc[images["label"] == label, "cluster"].to_numpy())
    which, drawn = dominance.draw(assigned, study.run.dominance.n_mosaics, seed=SEED, purpose=f"{K_MEANS}/{label}")
    chosen = torch.tensor(((which["first"] == pair[0]) & (which["second"] == pair[1])).tolist())
    if not chosen.any():
        raise ValueError(f"Expected two of the clusters 0 to {assigned.max()}, the smaller number first. Got {pair}.")
    return mosaics.Mosaics(drawn.images[chosen], drawn.first[chosen])


def _untrained(run: Settings, name: str, seed: int) -> Subject:
    """A network of random weights in the architecture of a fine-tuning, with all evaluation images."""
    recipe, like = run.fine_tunings[name], networks.with_images(run, networks.train_cell(run, "ce", seed), None)
    network = models.build(recipe.architecture, len(like.images.classes), width=recipe.width, seed=seed).eval()
    return _with_network(like, network)


def _published(run: Settings) -> Study:
    """The first published network, as backbone and head, and networks of random weights in its architecture."""
    kind, takes = pretrained.architecture(run.published[0]), pretrained.inputs(run.published[0])
    images = with_normalisation(run.test_split(), takes.mean, takes.std)
    network = pretrained.imagenet_classifier(kind, download=run.download)
    subject = Subject(lambda: network, "", (), None, images, lambda: images, run.device)
    made = [RankedNetwork(_with_network(subject, network), kind)]
    for seed in run.tuned_seeds if UNTRAINED in run.dominance.kinds.split() else ():
        other = models.build(kind, len(images.classes), seed=seed).eval()
        subject = replace(_with_network(subject, other), seed=seed)
        made.append(RankedNetwork(subject, untrained_like(kind), _OF_UNTRAINED))
    return Study(run, tuple(made))


def _with_network(subject: Subject, network: nn.Module) -> Subject:
    folded = models.fold_batchnorm(network).to(subject.device, memory_format=torch.channels_last)
    return replace(subject, load=lambda: folded, key=pretrained.state_digest(network), parents=())
