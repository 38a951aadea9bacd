"""Table 4 of the saliency paper: explanations of images that were mixed, resized, turned and cropped."""

import pandas as pd

from xai_lib.data import transforms
from xai_lib.data.split import Split
from xai_lib.metrics.rows import rows
from xai_lib.papers.saliency.method.fidelity import of_maps
from xai_lib.papers.saliency.method.maps import Explained

_BATCH = 50


def transformed(explained: Explained, images: Split, *, causal_steps: int) -> pd.DataFrame:
    """Fidelity for the true class of transformed images, four settings a transformation (§5.3).

    Rows index, metric, value, transform, setting, reading (of :data:`lineup.READINGS`, those in which the maps differ);
    `causal_steps` are those of insertion and deletion.
    """
    device, parts = explained.subject.device, []
    for transform, levels in transforms.TRANSFORMS.items():
        for setting in levels:
            changed = transforms.apply(images, transform, setting)
            for batch in changed.batches(_BATCH):
                x = changed.normalise(batch.images.to(device))
                labels, index = batch.labels.to(device), batch.index.to(device)
                raw, where = explained.raw(x, labels, index), {"transform": transform, "setting": setting}
                for reading in explained.readings:
                    maps = explained.scaled(raw, x, reading)
                    values = of_maps(explained.subject, x, maps, labels, index, causal_steps)
                    parts.append(rows(batch.index, values, **where, reading=reading))
    return pd.concat(parts, ignore_index=True)
