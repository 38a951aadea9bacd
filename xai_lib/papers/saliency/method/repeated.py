"""Metrics that explain or perturb an image many times: sensitivity, monotonicity, complexity, randomised weights."""

import pandas as pd
import torch
from torch import Tensor, nn

from xai_lib.data.split import Split
from xai_lib.explainers import normalise
from xai_lib.explainers.subject import Subject
from xai_lib.metrics import effective_complexity, monotonicity, randomisation, sensitivity
from xai_lib.metrics.rows import rows
from xai_lib.papers.saliency.method.fidelity import step_size

_BATCH = 16


def repeated(
    subject: Subject, method: str, settings: dict, images: Split, *, causal_steps: int, draws: int
) -> pd.DataFrame:
    """Robustness (Table 3), monotonicity, the printed effective complexity, and the sanity check (§4.5).

    Args:
        subject: network and device.
        method: name of an explainer.
        settings: its keywords.
        images: what is explained, for the true class.
        causal_steps: steps in which pixels are added or removed.
        draws: noisy copies of an image for sensitivity, and of a set of pixels for the tool's monotonicity.

    Returns:
        Rows index, metric, value.
    """
    parts = []
    for batch in images.batches(_BATCH):
        x = images.normalise(batch.images.to(subject.device))
        values = _scores(
            subject,
            method,
            settings,
            x,
            batch.labels.to(subject.device),
            batch.index.to(subject.device),
            causal_steps,
            draws,
        )
        parts.append(rows(batch.index, values))
    return pd.concat(parts, ignore_index=True)


def _scores(
    subject: Subject,
    method: str,
    settings: dict,
    x: Tensor,
    labels: Tensor,
    index: Tensor,
    causal_steps: int,
    draws: int,
) -> dict[str, Tensor]:
    network, size = subject.network, tuple(x.shape[-2:])

    def explain(images: Tensor, target: Tensor, which: Tensor) -> Tensor:
        return subject.explain(method, settings, images, target, which)

    def explain_by(other: nn.Module, images: Tensor, target: Tensor, which: Tensor) -> Tensor:
        raw = subject.raw_maps(method, settings, images, target, which, network=other)
        return normalise.unit_maps(raw, method, size)

    maps = explain(x, labels, index)
    moved = sensitivity.sensitivities(
        explain, x, labels, index=index, draws=draws, variant="released", reference=maps
    )  # [B,draws], as a share of the map's own norm: the unit of Table 3
    step = step_size(x, causal_steps)
    values = {
        "max-sensitivity": moved.amax(dim=1),
        "average-sensitivity": moved.mean(dim=1),
        "monotonicity": monotonicity.monotonicity(network, x, maps, labels, index=index),
        "monotonicity-quantus": monotonicity.monotonicity_quantus(network, x, maps, labels, index=index, samples=draws),
        "monotonicity-arya": monotonicity.monotonicity_arya(network, x, maps, labels, index=index),
        "effective-complexity-minimum": effective_complexity.effective_complexity_minimum(
            network, x, maps, labels, index=index, step=step
        ),
    }
    for order, name in (
        ("cascading", "parameter-randomisation"),
        ("independent", "parameter-randomisation-independent"),
    ):
        _, similarity = randomisation.parameter_randomisation(explain_by, network, x, labels, index=index, order=order)
        values[name] = torch.nanmean(similarity, dim=1)
    return values
