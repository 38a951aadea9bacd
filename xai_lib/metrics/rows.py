"""Scores as tidy rows."""

import pandas as pd
from torch import Tensor


def rows(index: Tensor, values: dict[str, Tensor], **labels: object) -> pd.DataFrame:
    """One row a metric and image: index, metric, value, and a column for each label, the same for all rows.

    From image indices, int64 [B], and scores [B] by metric, NaN where undefined; or of the first images.
    """
    parts = []
    for name, scores in values.items():
        columns = {"index": index[: len(scores)].cpu().numpy(), "metric": name, "value": scores.double().cpu().numpy()}
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True).assign(**labels)
