"""Scores as tidy rows."""

import pandas as pd
from torch import Tensor


def rows(index: Tensor, values: dict[str, Tensor], **labels: object) -> pd.DataFrame:
    """One row a metric and image: index, metric, value, and a column for each label.

    Args:
        index: image indices, int64 [B].
        values: metric -> scores [B], NaN where undefined; of the first images only where there are fewer.
        labels: the same for all rows.
    """
    parts = [
        pd.DataFrame(
            {"index": index[: len(scores)].cpu().numpy(), "metric": name, "value": scores.double().cpu().numpy()}
        )
        for name, scores in values.items()
    ]
    return pd.concat(parts, ignore_index=True).assign(**labels)
