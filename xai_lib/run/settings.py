"""What a run is: the budgets of a scale, a data set, a device; and the images and recipes that follow from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from xai_lib import data, pretrained
from xai_lib.data.listing import is_folder
from xai_lib.data.split import Split
from xai_lib.run import budgets
from xai_lib.training import recipes
from xai_lib.training.recipes import LOSSES, FineTuning, Recipe

_held_out = lru_cache(maxsize=4)(data.held_out)


@dataclass(frozen=True)
class Settings:
    """One run of the experiments, made by :func:`settings`."""

    scale: str  # smoke, demo, laptop or paper: where the budgets come from
    dataset: str  # data set, as `data.load` takes it
    label: str  # how pages call the data
    device: torch.device  # device that computes; its arithmetic, not its name, is in the store's keys
    data_root: Path  # folder that holds data sets which were downloaded
    download: bool  # whether a data set that is missing there may be downloaded
    networks: budgets.Networks
    explainers: budgets.Explainers
    contrastive: budgets.Contrastive
    saliency: budgets.Saliency
    whole_output: budgets.WholeOutput
    dominance: budgets.Dominance
    # what :func:`settings` was given, for whoever wants to run the same again
    parameters: Mapping[str, str | bool] = field(default_factory=dict, compare=False, repr=False)

    @property
    def pretrained(self) -> bool:
        """Whether the network comes with its weights, because nothing is trained on these images here."""
        return self.dataset.startswith("imagenet:")

    @property
    def published(self) -> list[str]:
        """Names of the networks that come with their weights; ValueError if there is none of a name."""
        names = self.networks.published.split()
        if not names or not set(names) <= set(pretrained.names()):
            choices = ", ".join(pretrained.names())
            raise ValueError(f"Expected published networks out of {choices}. Got {self.networks.published!r}.")
        return names

    @property
    def seeds(self) -> range:
        """Training seeds."""
        return range(self.networks.seeds)

    @property
    def tuned_seeds(self) -> range:
        """Seeds of the fine-tunings."""
        return range(min(self.networks.dominance_seeds, self.networks.seeds))

    def recipe(self, loss: str) -> Recipe:
        """Training recipe of ``loss`` ("ce", "scl" or "tl") with this scale's epochs and width."""
        own = recipes.get(self.networks.recipe, loss)
        epochs = getattr(self.networks, f"epochs_{loss}") or own.epochs
        found = replace(own, epochs=epochs, width=self.networks.width)
        released = loss == "tl" and "released-triplet" in self.contrastive.variants
        return replace(found, triplets="released") if released else found

    @property
    def fine_tunings(self) -> dict[str, FineTuning]:
        """Fine-tunings by name, with this scale's epochs and width; none where networks come with their weights."""
        found = {} if self.pretrained else recipes.fine_tunings(self.networks.recipe)
        own = {"ce": {"width": self.networks.width}, "imagenet": {}}  # published weights have one width
        epochs = self.networks.epochs_tuned
        return {name: replace(recipe, epochs=epochs, **own[recipe.start]) for name, recipe in found.items()}

    @property
    def has_training_images(self) -> bool:
        """Whether there are any: of ImageNet, where networks come with their weights, they need not be there."""
        return not self.pretrained or is_folder(Path(self.dataset.partition(":")[2]) / "train")

    def train_split(self) -> Split:
        """Images that networks are trained on, or were; FolderError where there are none of ImageNet."""
        if self.pretrained:
            return _part(self.dataset, "train", self.networks.n_train, **self._source)
        return self._training()[0]

    def held_out_split(self) -> Split:
        """Images like those, class-balanced, that no network is trained on: what is matched is matched on them."""
        return self._training()[1]

    def test_split(self) -> Split:
        """Images on which accuracy is measured; touched by no choice of a setting."""
        return _part(self.dataset, "test", self.networks.n_test, **self._source)

    def scored_split(self) -> Split:
        """The class-balanced part of the test images that the contrastive part explains and scores."""
        return data.some(self.test_split(), self.contrastive.n_scored)

    def shortfalls(self) -> list[str]:
        """Of which budgets the data set has fewer images, and which classes have no test image, for readers."""
        test, train = self.test_split(), None if self.pretrained else self.train_split()
        asked = {"n_test": self.networks.n_test, "n_scored": self.contrastive.n_scored}
        asked |= {"n_saliency": self.saliency.n_saliency, "n_outputs": self.whole_output.n_outputs}
        have = [(name, n, len(test)) for name, n in asked.items()]
        have += [("n_train", self.networks.n_train, len(train))] if train else []
        found = [f"{taken:,} of {n:,} images (`{name}`)" for name, n, taken in have if n is not None and n > taken]
        counts = test.labels.bincount(minlength=len(test.classes))
        if missing := [name for name, n in zip(test.classes, counts) if not n]:
            named = ", ".join(missing[:5]) + ", …" * (len(missing) > 5)
            found.append(f"no test image of {len(missing)} classes ({named})")
        return found

    def _training(self) -> tuple[Split, Split]:
        return _held_out(self.dataset, self.networks.n_train, self.networks.n_held_out, **self._source)

    @property
    def _source(self) -> dict[str, Any]:
        return {"size": self.networks.size, "root": self.data_root, "download": self.download}


@dataclass(frozen=True, eq=False)
class Study:
    """One run of a paper's part, made by the ``study`` of its experiment."""

    run: Settings  # what runs: budgets, data, device
    networks: tuple[Any, ...]  # those that it is about, in the order of its pages
    methods: tuple[str, ...] = ()  # names of the explainers that take part, where the part compares them


def settings(
    scale: str = "demo", dataset: str = "", label: str = "", device: str = "auto", overrides: str = "",
    data_root: str = "data", download: bool = False,
) -> Settings:  # fmt: skip
    """Check the parameters of a notebook or a command, and say what a run is.

    They are what the fields of :class:`Settings` hold, and ``overrides`` single values of the scale, for example
    ``"epochs_ce=1, n_scored=64"``. An empty data set is the scale's own, and an empty label the data set's own name;
    the device is auto (a GPU if there is one), cpu or cuda. ValueError if a name, type or choice does not exist; the
    message lists the choices.
    """
    parameters = dict(locals())
    for what, value in parameters.items():
        check_text(what, value) if what != "download" else None
    if not isinstance(download, bool):
        raise ValueError(f"Expected true or false for download. Got {download!r} (papermill: -p download True).")
    own, found = budgets.load(scale, overrides)
    recipes.get(found["networks"].recipe, LOSSES[0])  # raises if there is no such recipe
    name = dataset or own
    data.check_name(name)
    if ":" in name:  # a folder, whose files may have changed since they were read
        _part.cache_clear(), _held_out.cache_clear()
    where = {"device": _device(device), "data_root": Path(data_root), "download": download}
    run = Settings(scale, name, label or name, **where, **found, parameters=parameters)
    if run.pretrained and "size" not in overrides:
        return replace(run, networks=replace(run.networks, size=pretrained.inputs(run.published[0]).size))
    return run


def check_text(name: str, value: object) -> None:
    """ValueError if a parameter is no text: papermill reads 007 as a number, and null as none, after -p."""
    if not isinstance(value, str):
        raise ValueError(f"Expected text for {name}. Got {value!r}: use -r {name} in place of -p {name}.")
    if not value.isascii() and value != value.encode(errors="replace").decode():
        raise ValueError(f"Expected text in UTF-8 for {name}. Got {value!r}: rename what is called so.")


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise ValueError(f"Expected a device out of auto, cpu, cuda. Got {name!r}.")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("Expected a GPU for device='cuda'. Got none: use auto or cpu, or a torch with CUDA.")
    return torch.device(name)


@lru_cache(maxsize=4)
def _part(name: str, part: str, n: int | None, **source: Any) -> Split:
    """The images of a part, as many as there are of those asked for."""
    if name == "planted":
        return data.load(name, part, n=n, **source)
    return data.some(data.load(name, part, **source), n)
