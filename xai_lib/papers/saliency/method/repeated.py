"""Metrics that explain or perturb an image many times: sensitivity, monotonicity, complexity, randomised weights."""

import pandas as pd
import torch
from torch import Tensor, nn

from xai_lib import explainers
from xai_lib.checks import in_a_line
from xai_lib.data.split import Split
from xai_lib.metrics import effective_complexity, monotonicity, randomisation, sensitivity
from xai_lib.metrics.rows import rows
from xai_lib.papers.saliency.method.fidelity import step_size
from xai_lib.papers.saliency.method.maps import Explained

WEIGHT_DRAWS = 3  # as the metric's own default
_BATCH = 16


def repeated(
    explained: Explained, images: Split, *, causal_steps: int, draws: int, samples: int,
    weight_draws: int | None = WEIGHT_DRAWS,
) -> pd.DataFrame:  # fmt: skip
    """Robustness (Table 3), monotonicity, the printed effective complexity, and the sanity check (§4.5).

    For the true class, in rows index, metric, value, reading (of :data:`lineup.READINGS`, those in which the maps
    differ). Pixels are removed in `causal_steps`; `draws` is the number of noisy copies of an image for sensitivity,
    `samples` that of a set of pixels for the tool's monotonicity, `weight_draws` that of all new weights. With None,
    where weights cannot be drawn, and of maps computed elsewhere, the sanity check is NaN, and ``attrs["left_out"]``
    says why: metric -> reason. Maps computed elsewhere have no robustness either.
    """
    device, parts, left_out = explained.subject.device, [], {}
    for batch in images.batches(_BATCH):
        x, labels, index = images.normalise(batch.images.to(device)), batch.labels.to(device), batch.index.to(device)
        kept: list[Tensor] = []  # every raw map, in the order in which metrics ask: each reading asks for the same
        for reading in explained.readings:
            given = _Explainer(explained, reading, kept), x, labels, index
            values = _scores(*given, causal_steps, draws, samples) | _sanity(*given, weight_draws, left_out)
            parts.append(rows(batch.index, values, reading=reading))
    frame = pd.concat(parts, ignore_index=True)
    frame.attrs["left_out"] = left_out
    return frame


class _Explainer:
    """Explains under a reading. Raw maps that an earlier reading has had made are taken from where it kept them, those
    of the network and images as they are from the first call.
    """

    def __init__(self, explained: Explained, reading: str, kept: list[Tensor]) -> None:
        self.explained, self.reading, self.kept = explained, reading, kept
        self.network, self.again = explained.subject.network, iter(tuple(kept))
        self.own: tuple[Tensor, Tensor] | None = None  # the images as they are, and their raw maps

    def __call__(self, network: nn.Module | None, x: Tensor, target: Tensor, index: Tensor) -> Tensor:
        """Maps in [0, 1] of the network, or of the subject's own if that is None."""
        if self.own is not None and network is self.network and x is self.own[0]:
            return self.explained.scaled(self.own[1], x, self.reading)
        raw = next(self.again, None)
        if raw is None:
            raw = self.explained.raw(x, target, index, network)
            if len(self.explained.readings) > 1:
                self.kept.append(raw.cpu())
        raw = raw.to(x.device)
        self.own = self.own or (x, raw)
        return self.explained.scaled(raw, x, self.reading)


def _scores(
    explain_by: _Explainer, x: Tensor, labels: Tensor, index: Tensor, causal_steps: int, draws: int, samples: int
) -> dict[str, Tensor]:
    def explain(images: Tensor, target: Tensor, which: Tensor) -> Tensor:
        return explain_by(None, images, target, which)

    maps, values = explain(x, labels, index), {}
    if not explainers.about(explain_by.explained.method).fixed:
        how = {"draws": draws, "variant": "released", "reference": maps}  # as a share of the map's own norm: Table 3
        moved = sensitivity.sensitivities(explain, x, labels, index=index, **how)  # [B,draws]
        values = {"max-sensitivity": moved.amax(dim=1), "average-sensitivity": moved.mean(dim=1)}
    asked, step = (explain_by.network, x, maps, labels), step_size(x, causal_steps)
    minimum = effective_complexity.effective_complexity_minimum(*asked, index=index, step=step)
    return values | {
        "monotonicity": monotonicity.monotonicity(*asked, index=index),
        "monotonicity-quantus": monotonicity.monotonicity_quantus(*asked, index=index, samples=samples),
        "monotonicity-arya": monotonicity.monotonicity_arya(*asked, index=index),
        "effective-complexity-minimum": minimum,
    }


def _sanity(
    explain_by: _Explainer, x: Tensor, labels: Tensor, index: Tensor, draws: int | None, left_out: dict[str, str]
) -> dict[str, Tensor]:
    values = {}
    for name, order in (("", "cascading"), ("-independent", "independent")):
        metric, given = f"parameter-randomisation{name}", {"index": index, "draws": draws, "order": order}
        values[metric] = torch.full((len(x),), torch.nan)
        try:
            if explainers.about(explain_by.explained.method).fixed:
                raise ValueError("Maps that were computed elsewhere cannot be made again.")
            if draws is None:
                raise ValueError("Left out, as weight_draws is null.")
            _, alike = randomisation.parameter_randomisation(explain_by, explain_by.network, x, labels, **given)
            values[metric] = torch.nanmean(alike, dim=1)
        except Exception as error:  # a network of one's own can make it fail in any way
            left_out[metric] = in_a_line(error)
    return values
