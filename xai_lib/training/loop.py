"""The training loop: one network, one loss, a checkpoint an epoch, the same numbers from the same seed."""

import copy
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from xai_lib import files, randomness
from xai_lib.data.augmentation import augment
from xai_lib.data.split import Split
from xai_lib.pretrained import state_digest
from xai_lib.training import checkpoint, distributed, optimisation
from xai_lib.training.arithmetic import Numerics, numerics
from xai_lib.training.objective import accuracy, initial_network, objective, semi_hard_share
from xai_lib.training.recipes import Recipe

_CHECKPOINT = "checkpoint.pt"
_LOOK_EVERY = 20  # steps between looks at the loss: each look waits for the device


class TrainingDivergedError(RuntimeError):
    """The loss or the weights are no longer finite."""


@dataclass(frozen=True)
class TrainingResult:
    """What a training gives."""

    # in evaluation mode: a Classifier for cross entropy; for the others an Embedder [B,3,H,W] -> [B,k], or for
    # `triplets="released"` a Classifier whose head is the identity. Each has `backbone`
    network: nn.Module
    # one row an epoch: epoch (from 1), loss, accuracy and semi_hard (means over steps), learning_rate (of the last
    # step), images_per_second, seconds, threads
    history: pd.DataFrame


def train(
    recipe: Recipe, split: Split, *, seed: int, directory: Path, device: torch.device, progress: bool = True,
    network: nn.Module | None = None, keep: int = 0,
) -> TrainingResult:  # fmt: skip
    """Train one network, going on from ``directory``'s checkpoint if there is one.

    The order of the images and every augmentation are functions of the seed, the epoch and the image. On a processor,
    a training that was killed and resumed ends with the weights of one that was not, bit for bit, if the number of
    threads is the same; on a GPU that holds under ``torch.use_deterministic_algorithms(True)``.

    "accuracy" is measured on the augmented training batches: for cross entropy the share of right predictions; for the
    contrastive losses, which predict no class, the share of images whose most similar other image in the batch has
    their label. "semi_hard" is the share of triplets that are semi-hard (triplet loss), or NaN.

    The training images are moved to ``device``, which computes; an incomplete last batch is left out. ``network`` is
    what to start from, built as the recipe's network is, and is not changed; None is random weights by the seed. The
    networks of ``keep`` epochs (see :func:`kept_epochs`) stay in ``directory``, for :func:`kept_state`.
    TrainingDivergedError at a loss or weight that is NaN or infinite; the last good checkpoint stays. CheckpointError
    if the checkpoint is damaged or belongs to another training.
    """
    start = "" if network is None else state_digest(network)
    path = Path(directory) / _CHECKPOINT
    run = _Run(recipe, split.to(device), seed, device, numerics(device), path, start, keep)
    network = initial_network(recipe, len(split.classes), seed) if network is None else copy.deepcopy(network)
    network = network.to(device, memory_format=torch.channels_last)
    network = distributed.synchronise_norms(network)
    optimizer, history = optimisation.optimizer(recipe, network), []
    if path.exists():
        state = checkpoint.load(path, run.settings, device)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        history = state["history"]
    compiled = run.numerics.compiled
    forward = distributed.wrap(network)
    forward = forward if compiled == "no" else torch.compile(forward, mode=compiled)
    progress = progress and distributed.rank() == 0
    images = run.steps * run.batch_size
    ends = {"total": recipe.epochs * images, "initial": len(history) * images}
    with tqdm(desc=f"training {recipe.loss}", **ends, unit=" images", unit_scale=True, disable=not progress) as bar:
        for epoch in range(len(history), recipe.epochs):
            network.train()
            history.append(_train_epoch(run, epoch, forward, optimizer, bar))
            _save(run, network, optimizer, history)
    return TrainingResult(network.eval(), pd.DataFrame(history))


@dataclass(frozen=True)
class _Run:
    """What stays the same through a training; ``start`` is the digest of the weights it went on from, "" of none."""

    recipe: Recipe
    split: Split
    seed: int
    device: torch.device
    numerics: Numerics
    path: Path
    start: str
    keep: int

    @property
    def batch_size(self) -> int:
        return min(self.recipe.batch_size, len(self.split))

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return len(self.split) // self.batch_size

    @property
    def settings(self) -> dict:
        """What a checkpoint must agree with."""
        data = {"digest": self.split.digest, "images": len(self.split)}
        known = {"recipe": asdict(self.recipe), "seed": self.seed, "data": data, "numerics": asdict(self.numerics)}
        return known | ({"start": self.start} if self.start else {})


def _train_epoch(run: _Run, epoch: int, forward: nn.Module, optimizer: Optimizer, bar: tqdm) -> dict:
    """Take every step of one epoch; return its row of the history."""
    recipe, split, steps = run.recipe, run.split, run.steps
    start = time.perf_counter()
    order = shuffled(split, run.seed, epoch)
    losses_so_far = torch.zeros(steps, device=run.device)
    right, semi_hard = torch.zeros(2, device=run.device)
    for step in range(steps):
        rate = optimisation.learning_rate(recipe, epoch, step, steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        positions = distributed.share(order[step * run.batch_size : (step + 1) * run.batch_size])
        x = augmented_views(split, positions, recipe, run.seed, epoch)  # [B·V,3,H,W]
        with torch.autocast(run.device.type, torch.bfloat16, enabled=run.numerics.precision == "bfloat16"):
            outputs = forward(x)
        outputs = distributed.gather(outputs.float().unflatten(0, (-1, recipe.views)))  # [B,V,k]
        labels = distributed.gather(split.labels[positions])
        loss = objective(recipe, outputs, labels)
        optimizer.zero_grad()
        (loss * distributed.size()).backward()
        optimizer.step()
        losses_so_far[step] = loss.detach()
        right += accuracy(recipe, outputs.detach(), labels)
        semi_hard += semi_hard_share(recipe, outputs.detach(), labels)
        bar.update(run.batch_size)
        if (step + 1) % _LOOK_EVERY == 0 or step + 1 == steps:
            _stop_unless_finite(losses_so_far[: step + 1], run, epoch)
            shown = {"loss": losses_so_far[: step + 1].mean().item(), "accuracy": right.item() / (step + 1)}
            bar.set_postfix({"epoch": f"{epoch + 1}/{recipe.epochs}", **shown}, refresh=False)
    seconds = time.perf_counter() - start
    row = {"epoch": epoch + 1, **shown, "semi_hard": semi_hard.item() / steps, "learning_rate": rate}
    row |= {"images_per_second": steps * run.batch_size / seconds, "seconds": seconds}
    return row | {"threads": torch.get_num_threads()}


def remove_checkpoint(directory: Path) -> None:
    """Remove what a training in ``directory`` would resume from, once its result is stored elsewhere."""
    (Path(directory) / _CHECKPOINT).unlink(missing_ok=True)


def kept_epochs(epochs: int, n: int) -> list[int]:
    """At most ``n`` of the epochs 1 to ``epochs``, evenly spread, the last among them."""
    n = min(n, epochs)
    return [-(-place * epochs // n) for place in range(1, n + 1)]


def kept_state(directory: Path, epoch: int) -> dict[str, Tensor]:
    """State of the network trained in ``directory`` after one of its kept epochs; FileNotFoundError after another."""
    return files.read_tensors(_kept(directory, epoch))


def _kept(directory: Path, epoch: int) -> Path:
    return Path(directory) / "checkpoints" / f"epoch-{epoch}.pt"


def shuffled(split: Split, seed: int, epoch: int) -> Tensor:
    """The order of the images in an epoch: positions int64 [N]."""
    return torch.argsort(randomness.uniform(seed, split.index, f"order/epoch {epoch}"), stable=True)


def augmented_views(split: Split, positions: Tensor, recipe: Recipe, seed: int, epoch: int) -> Tensor:
    """Normalised float32 [B·V,3,H,W], channels last: the V views of an image follow one another."""
    images, given = split.images[positions], {"recipe": recipe.augment, "seed": seed, "index": split.index[positions]}
    purposes = [f"augmentation/epoch {epoch}/view {view}" for view in range(recipe.views)]
    views = [augment(images, purpose=purpose, **given) for purpose in purposes]
    x = split.normalise(torch.stack(views, 1).flatten(0, 1))
    return x.contiguous(memory_format=torch.channels_last)


def _save(run: _Run, network: nn.Module, optimizer: Optimizer, history: list[dict]) -> None:
    epoch, weights = history[-1]["epoch"], network.state_dict()
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise TrainingDivergedError(f"The weights in {name} are not finite after epoch {epoch}. {_advice(run)}")
    if distributed.rank() == 0:
        if epoch in kept_epochs(run.recipe.epochs, run.keep):
            files.write_tensors(_kept(run.path.parent, epoch), weights)
        state = {"network": weights, "optimizer": optimizer.state_dict(), "history": history}
        checkpoint.save(run.path, {"settings": run.settings, **state})
    distributed.wait()


def _stop_unless_finite(step_losses: Tensor, run: _Run, epoch: int) -> None:
    if len(bad := (~step_losses.isfinite()).nonzero()):
        step = bad[0].item()
        value = step_losses[step].item()
        raise TrainingDivergedError(f"The loss became {value} in epoch {epoch + 1}, step {step + 1}. {_advice(run)}")


def _advice(run: _Run) -> str:
    setting = {"scl": ", or raise temperature", "tl": ", or change margin", "ce": ""}[run.recipe.loss]
    kept = f" The last good epoch is kept in {run.path}." if run.path.exists() else ""
    return (
        f"Lower learning_rate (it is {run.recipe.learning_rate:g}) or lengthen its warm-up{setting}; "
        f"precision is {run.numerics.precision}.{kept}"
    )
