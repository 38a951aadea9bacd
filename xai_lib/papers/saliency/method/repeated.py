"""Metrics that explain or perturb an image many times: sensitivity, monotonicity, complexity, randomised weights."""

import pandas as pd
import torch
from torch import Tensor, nn

from xai_lib.data.split import Split
from xai_lib.metrics import effective_complexity, monotonicity, randomisation, sensitivity
from xai_lib.metrics.rows import rows
from xai_lib.papers.saliency.method.fidelity import step_size
from xai_lib.papers.saliency.method.maps import Explained

_BATCH = 16


def repeated(explained: Explained, images: Split, *, causal_steps: int, draws: int) -> pd.DataFrame:
    """Robustness (Table 3), monotonicity, the printed effective complexity, and the sanity check (§4.5).

    For the true class, in rows index, metric, value. Pixels are removed in `causal_steps`; `draws` is the number of
    noisy copies of an image for sensitivity, and of a set of pixels for the tool's monotonicity.
    """
    device, parts = explained.subject.device, []
    for batch in images.batches(_BATCH):
        x = images.normalise(batch.images.to(device))
        values = _scores(explained, x, batch.labels.to(device), batch.index.to(device), causal_steps, draws)
        parts.append(rows(batch.index, values))
    return pd.concat(parts, ignore_index=True)


def _scores(
    explained: Explained, x: Tensor, labels: Tensor, index: Tensor, causal_steps: int, draws: int
) -> dict[str, Tensor]:
    def explain_by(network: nn.Module, images: Tensor, target: Tensor, which: Tensor) -> Tensor:
        return explained.maps(images, target, which, network)

    network, maps = explained.subject.network, explained.maps(x, labels, index)
    moved = sensitivity.sensitivities(
        explained.maps, x, labels, index=index, draws=draws, variant="released", reference=maps
    )  # [B,draws], as a share of the map's own norm: the unit of Table 3
    asked = (network, x, maps, labels)
    fewest = effective_complexity.effective_complexity_minimum(*asked, index=index, step=step_size(x, causal_steps))
    values = {
        "max-sensitivity": moved.amax(dim=1),
        "average-sensitivity": moved.mean(dim=1),
        "monotonicity": monotonicity.monotonicity(*asked, index=index),
        "monotonicity-quantus": monotonicity.monotonicity_quantus(*asked, index=index, samples=draws),
        "monotonicity-arya": monotonicity.monotonicity_arya(*asked, index=index),
        "effective-complexity-minimum": fewest,
    }
    for name, order in (("", "cascading"), ("-independent", "independent")):
        _, alike = randomisation.parameter_randomisation(explain_by, network, x, labels, index=index, order=order)
        values[f"parameter-randomisation{name}"] = torch.nanmean(alike, dim=1)
    return values
