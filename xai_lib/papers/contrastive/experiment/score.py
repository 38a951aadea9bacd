"""Stage "score": every metric of the contrastive paper for every scored image of one network and method."""

from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from xai_lib import files as artefacts
from xai_lib import models
from xai_lib.data.split import Split
from xai_lib.explainers import cams, normalise
from xai_lib.metrics import complexity, localisation, quantus_column, similarity
from xai_lib.metrics import pixel_flipping as faithfulness
from xai_lib.metrics.rows import rows
from xai_lib.papers.contrastive.experiment.explain import Explained, explain_cell, explained
from xai_lib.run.cell import Cell
from xai_lib.run.settings import Settings
from xai_lib.run.stages import STAGES
from xai_lib.run.store import Store
from xai_lib.run.train import trained

_BATCH = 256


def score_cell(run: Settings, loss: str, seed: int, method: str) -> Cell:
    """What scores depend on: the maps (and through them network and images) and the metrics' settings."""
    return Cell(
        "score",
        {
            "version": STAGES["score"].version,
            "explain": explain_cell(run, loss, seed, method).key,
            "flipping_step": run.scale.flipping_step,
            "n_quantus": run.scale.n_quantus,
        },
    )


def scored(run: Settings, loss: str, seed: int, method: str) -> pd.DataFrame:
    """Scores of one network and method: rows index, metric, value; computed now if the store lacks them."""
    return artefacts.read_frame(_folder(run, loss, seed, method) / "scores.csv")


def curve(run: Settings, loss: str, seed: int, method: str) -> tuple[Tensor, Tensor]:
    """Pixel-flipping curves [N,S+1] of one network and method, and the fractions removed [S+1]."""
    tensors = artefacts.read_tensors(_folder(run, loss, seed, method) / "curves.pt")
    return tensors["curves"], tensors["fractions"]


def scaled(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Raw maps [B,h,w] as the paper scores them: negative values cut, image size, scaled to [0, 1] (§3.4, §4.3)."""
    return normalise.min_max(cams.upsample(normalise.relu(maps), size))


def _folder(run: Settings, loss: str, seed: int, method: str) -> Path:
    cell = score_cell(run, loss, seed, method)

    def work(folder: Path) -> None:
        split = run.scored_split().to(run.device)
        network = models.fold_batchnorm(trained(run, loss, seed).classifier).to(memory_format=torch.channels_last)
        maps = explained(run, loss, seed, method)
        curves, fractions = _curves(network, split, maps, run.scale.flipping_step)
        values = {
            "pixel-flipping": faithfulness.area(curves, fractions),
            "pixel-flipping-normalised": _normalised_area(curves, fractions, maps),
            **_of_maps(maps, split),
            **quantus_column.scores(network, split, scaled(maps.maps, split.images.shape[-2:]), run.scale.n_quantus),
        }
        artefacts.write_tensors(folder / "curves.pt", {"curves": curves, "fractions": fractions})
        artefacts.write_frame(folder / "scores.csv", rows(maps.index, values))

    store = Store()
    if not store.is_done(cell):
        explained(run, loss, seed, method)
    return store.compute(cell, work, parents=[explain_cell(run, loss, seed, method)])


def _curves(network: models.Classifier, split: Split, maps: Explained, step: int) -> tuple[Tensor, Tensor]:
    """Flipping curves of the true class, as in the released code; the maps explain the predicted one (§4.3)."""
    size = split.images.shape[-2:]
    curves = []
    for batch, raw in zip(split.batches(_BATCH), maps.maps.split(_BATCH)):
        attribution = scaled(raw.to(split.images.device), size)
        x = split.normalise(batch.images)
        curves.append(
            faithfulness.pixel_flipping_curve(network, x, attribution, batch.labels, index=batch.index, step=step)
        )
    return torch.cat(curves).cpu(), faithfulness.fractions_removed(size.numel(), step)


def _normalised_area(curves: Tensor, fractions: Tensor, maps: Explained) -> Tensor:
    """Area under the curves divided by their first point, [N]; NaN for images that are classified wrongly.

    There the true class starts near 0, and the quotient would be ruled by how near.
    """
    areas = faithfulness.area(faithfulness.normalised(curves), fractions)
    return areas.masked_fill(maps.predicted != maps.labels, float("nan"))


def _of_maps(maps: Explained, split: Split) -> dict[str, Tensor]:
    """Metrics that need no network, each [N]."""
    size = split.images.shape[-2:]
    full = scaled(maps.maps, size)
    values = {
        "continuity": similarity.continuity(full, scaled(maps.noisy, size)),
        "continuity-released": similarity.continuity(full, scaled(maps.noisy_released, size), empty="keep"),
        "complexity": complexity.complexity(full),
        "sparseness": complexity.sparseness(full),
        "empty-map": (full == 0).flatten(1).all(dim=1).float(),
    }
    if maps.other is not None:
        other = scaled(maps.other, size)
        values["contrastivity"] = similarity.contrastivity(full, other)
        values["contrastivity-empty-kept"] = similarity.contrastivity(full, other, empty="keep")
        values["empty-map-of-other-class"] = (other == 0).flatten(1).all(dim=1).float()
    if "object" in split.masks:
        mask = split.masks["object"].cpu()
        values["pointing-game"] = localisation.pointing_game(full, mask)
        values["attribution-localisation"] = localisation.attribution_localisation(full, mask)
        values["attribution-localisation-paper"] = localisation.attribution_localisation_paper(full, mask)
    return values
