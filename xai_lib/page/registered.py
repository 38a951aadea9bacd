"""Tables of what the library has under a name."""

import math
from collections.abc import Iterable, Mapping

import pandas as pd
from IPython.display import HTML

from xai_lib import metrics
from xai_lib.page.table import Column, show, text


def metric_table(names: Iterable[str], titles: Mapping[str, str], caption: str) -> HTML:
    """What each registered metric is: direction, range, where it is defined; other names are left out."""
    known = [metrics.about(name) for name in names if name in metrics.names()]
    rows = [
        {
            "title": titles[about.name],
            "name": about.name,
            "better": about.better,
            "range": " to ".join(_limit(end) for end in about.range),
            "where": about.equation,
        }
        for about in known
    ]
    columns = [
        text("metric", "title"),
        text("name in the library", "name"),
        text("better", "better"),
        Column("range", "range"),
        text("where", "where"),
    ]
    return show(pd.DataFrame(rows), columns, caption)


def _limit(end: float) -> str:
    return f"{end:g}" if math.isfinite(end) else ("∞" if end > 0 else "-∞")
