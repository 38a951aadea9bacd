"""The tools that the saliency paper names, beside the library: scores by quantus, class activation maps by grad-cam.

Called where they are sound: with maps in [0, 1], since quantus divides by the largest value of a whole batch; and no
correlation of monotonicity for an image whose probability is below 1e-5, at which quantus 0.6 stops with an error.
"""

import math
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from xai_lib import explainers
from xai_lib.data.split import Split
from xai_lib.explainers.layers import find_layer
from xai_lib.metrics.quantus_column import QUIET, tool_maps
from xai_lib.metrics.rows import rows
from xai_lib.papers.saliency.method.fidelity import of_maps
from xai_lib.papers.saliency.method.lineup import PAPER
from xai_lib.papers.saliency.method.maps import Explained

# Those of Table 1 that a tool can explain a second time at little cost: neither masks nor training.
METHODS = tuple(name for name in PAPER if explainers.about(name).family not in ("occlusion", "learning"))
CAMS = {"grad-cam": "GradCAM", "grad-cam++": "GradCAMPlusPlus", "score-cam": "ScoreCAM"}
OF_MAPS = {"sparseness": "Sparseness", "complexity": "Complexity", "effective-complexity": "EffectiveComplexity"}
SENSITIVITY = {"max-sensitivity": "MaxSensitivity", "average-sensitivity": "AvgSensitivity"}
MONOTONICITY = "monotonicity-quantus"
MAP_DIFFERENCE = "map-difference"  # the largest difference between the tool's map and ours, in [0, 1]
_BATCH = 16
_SETS = 32  # of the pixels of each colour: three times as many of colour values
_LEAST = 1e-5


def tools(explained: Explained, images: Split, *, causal_steps: int, draws: int) -> pd.DataFrame:
    """The paper's metrics of one method by its tools, for the true class: rows index, metric, value.

    Of Grad-CAM, Grad-CAM++ and Score-CAM, maps are pytorch-grad-cam's, and AI, AD, AG, I and D of these maps are there
    as well, and :data:`MAP_DIFFERENCE`; of the other :data:`METHODS`, maps are ours. `draws` is the number of noisy
    images for sensitivity, and of draws for each set of pixels for monotonicity.
    """
    subject, is_cam, parts = explained.subject, explained.method in CAMS, []
    layer, images = find_layer(subject.network, subject.layer)[1] if is_cam else None, images.to(subject.device)
    for batch in images.batches(_BATCH):
        x, index, labels, values = images.normalise(batch.images), batch.index, batch.labels, {}

        def explain(noisy: Tensor, target: Tensor, which: Tensor = index) -> Tensor:
            if is_cam:
                return tool_maps(CAMS[explained.method], subject.network, layer, noisy, target)
            return explained.maps(noisy, target, which).detach()

        maps = explain(x, labels)
        if is_cam:
            values = of_maps(subject, x, maps, labels, index, causal_steps)
            values[MAP_DIFFERENCE] = (maps - explained.maps(x, labels, index).detach()).abs().amax((1, 2))
        state = np.random.get_state()
        np.random.seed(0)  # quantus draws from numpy's global numbers
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values |= _by_quantus(explained, x, labels, maps, explain, draws)
        np.random.set_state(state)
        parts.append(rows(index, values))
    return pd.concat(parts, ignore_index=True)


def _by_quantus(
    explained: Explained, x: Tensor, labels: Tensor, maps: Tensor, explain: Callable[..., Tensor], draws: int
) -> dict[str, Tensor]:
    import quantus

    given = {"model": explained.subject.network, "channel_first": True, "device": str(x.device), "batch_size": len(x)}
    given |= {"x_batch": x.cpu().numpy(), "y_batch": labels.cpu().numpy()}

    def scored(tool: object, **more: object) -> Tensor:
        found = tool(**given, a_batch=maps[:, None].cpu().numpy(), **more)
        return torch.tensor(np.asarray(found, dtype=float))

    found = {name: scored(getattr(quantus, tool)(**QUIET)) for name, tool in OF_MAPS.items()}

    def as_quantus(model: object, inputs: np.ndarray, targets: np.ndarray, **_: object) -> np.ndarray:
        noisy = torch.as_tensor(inputs, dtype=x.dtype, device=x.device)
        return explain(noisy, torch.as_tensor(targets, device=x.device))[:, None].cpu().numpy()

    for name, tool in SENSITIVITY.items():
        found[name] = scored(getattr(quantus, tool)(nr_samples=draws, **QUIET), explain_func=as_quantus)
    per_set = math.gcd(maps[0].numel(), maps[0].numel() // _SETS)  # colour values: a divisor of HW, as quantus asks
    tool = quantus.MonotonicityCorrelation(nr_samples=draws, features_in_step=per_set, **QUIET)
    with torch.inference_mode():
        probable = explained.subject.network(x).softmax(1).gather(1, labels[:, None])[:, 0].cpu() >= _LEAST
    return found | {MONOTONICITY: scored(tool, softmax=True) if probable.all() else torch.full((len(x),), torch.nan)}
