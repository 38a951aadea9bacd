"""Table 4 of the saliency paper: explanations of images that were mixed, resized, turned and cropped."""

import pandas as pd

from xai_lib.data import transforms
from xai_lib.data.split import Split
from xai_lib.explainers.subject import Subject
from xai_lib.metrics.rows import rows
from xai_lib.papers.saliency.method.fidelity import of_maps

_BATCH = 50


def transformed(subject: Subject, method: str, settings: dict, images: Split, *, causal_steps: int) -> pd.DataFrame:
    """Fidelity for the true class of transformed images, four settings a transformation (§5.3).

    Args:
        subject: network and device.
        method: name of an explainer.
        settings: its keywords.
        images: what is transformed and explained.
        causal_steps: steps of insertion and deletion.

    Returns:
        Rows index, metric, value, transform, setting.
    """
    parts = []
    for transform, levels in transforms.TRANSFORMS.items():
        for setting in levels:
            changed = transforms.apply(images, transform, setting)
            for batch in changed.batches(_BATCH):
                x = changed.normalise(batch.images.to(subject.device))
                labels, index = batch.labels.to(subject.device), batch.index.to(subject.device)
                maps = subject.explain(method, settings, x, labels, index)
                values = of_maps(subject, x, maps, labels, index, causal_steps)
                parts.append(rows(batch.index, values, transform=transform, setting=setting))
    return pd.concat(parts, ignore_index=True)
