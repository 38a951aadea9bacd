"""What a run is: a scale, a data set, a device; and the images that follow from them."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch

from xai_lib import data as datasets
from xai_lib.data.split import Split
from xai_lib.run import scales
from xai_lib.run.scales import Scale
from xai_lib.training import recipes
from xai_lib.training.recipes import FineTuning, Recipe

LOSSES = ("ce", "scl", "tl")
METHODS = ("grad-cam", "eigen-cam")

_IMAGENET_SIZE = 224  # pixels, whatever the scale says, unless it is overridden


@dataclass(frozen=True)
class Settings:
    """One run of the experiments, made by :func:`settings`.

    Attributes:
        scale: budgets.
        dataset: data set, as ``datasets.load`` takes it.
        label: how pages call the data.
        device: device that computes; no number in the store's keys depends on it.
        data_root: folder that holds data sets which were downloaded.
        download: whether a data set that is missing there may be downloaded.
    """

    scale: Scale
    dataset: str
    label: str
    device: torch.device
    data_root: Path
    download: bool

    @property
    def pretrained(self) -> bool:
        """Whether the network comes with its weights, because nothing is trained on these images here."""
        return self.dataset.startswith("imagenet:")

    @property
    def seeds(self) -> range:
        """Training seeds."""
        return range(self.scale.seeds)

    def recipe(self, loss: str) -> Recipe:
        """Training recipe of ``loss`` with this scale's epochs and width."""
        return replace(recipes.get(self.scale.recipe, loss), epochs=self.scale.epochs(loss), width=self.scale.width)

    @property
    def fine_tunings(self) -> dict[str, FineTuning]:
        """Fine-tunings by name, with this scale's epochs and width; none where networks come with their weights."""
        found = {} if self.pretrained else recipes.fine_tunings(self.scale.recipe)
        own = {"ce": {"width": self.scale.width}, "imagenet": {}}  # published weights have one width
        return {
            name: replace(recipe, epochs=self.scale.epochs_tuned, **own[recipe.start]) for name, recipe in found.items()
        }

    @property
    def tuned_seeds(self) -> range:
        """Seeds of the fine-tunings."""
        return range(min(self.scale.dominance_seeds, self.scale.seeds))

    def train_split(self) -> Split:
        """Images that networks are trained on."""
        return _load(self.dataset, "train", self.scale.n_train, self.scale.size, self.data_root, self.download)

    def test_split(self) -> Split:
        """Images on which accuracy is measured; touched by no choice of a setting."""
        return _load(self.dataset, "test", self.scale.n_test, self.scale.size, self.data_root, self.download)

    def scored_split(self) -> Split:
        """The class-balanced part of the test images that is explained and scored."""
        return datasets.select(self.test_split(), self.scale.n_scored)


def settings(
    scale: str = "demo",
    dataset: str = "",
    label: str = "",
    device: str = "auto",
    overrides: str = "",
    data_root: str = "data",
    download: bool = False,
) -> Settings:
    """Check the parameters of a notebook or a command, and say what a run is.

    Args:
        scale: smoke, demo, laptop or paper.
        dataset: planted, cifar10, cifar100, ``folder:<path>`` or ``imagenet:<path>``; empty for the scale's own.
        label: how pages call the data; empty for the data set's own name.
        device: auto (a GPU if there is one), cpu, or cuda.
        overrides: single values of the scale, for example ``"epochs_ce=1, n_scored=64"``.
        data_root: folder that holds downloaded data sets.
        download: whether a missing data set may be downloaded there.

    Raises:
        ValueError: if a name, type or choice does not exist; the message lists the choices.
    """
    if not isinstance(download, bool):
        raise ValueError(f"Expected true or false for download. Got {download!r} (papermill: -p download True).")
    budgets = scales.load(scale, overrides)
    recipes.get(budgets.recipe, LOSSES[0])  # raises if there is no such recipe
    name = dataset or budgets.dataset
    datasets.check_name(name)
    run = Settings(budgets, name, label or name, _device(device), Path(data_root), download)
    if run.pretrained and "size" not in overrides:
        return replace(run, scale=replace(budgets, size=_IMAGENET_SIZE))
    return run


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise ValueError(f"Expected a device out of auto, cpu, cuda. Got {name!r}.")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("Expected a GPU for device='cuda'. Got none: use auto or cpu, or a torch with CUDA.")
    return torch.device(name)


@lru_cache(maxsize=8)
def _load(name: str, part: str, n: int | None, size: int, root: Path, download: bool) -> Split:
    return datasets.load(name, part, n=n, size=size, root=root, download=download)
