"""Tables of what the library has under a name."""

from collections.abc import Iterable, Mapping

import pandas as pd
from IPython.display import HTML

from xai_lib import metrics
from xai_lib.page.table import Column, show


def metric_table(names: Iterable[str], titles: Mapping[str, str], caption: str) -> HTML:
    """What each registered metric is: direction, range, where it is defined; other names are left out."""
    known = [metrics.about(name) for name in names if name in metrics.names()]
    ranges = [" to ".join(f"{end:g}".replace("inf", "∞") for end in one.range) for one in known]
    rows = [(titles[one.name], one.name, one.better, said, one.equation) for one, said in zip(known, ranges)]
    heads = ("metric", "name in the library", "better", "range", "where")
    columns = [Column(head, head, kind="number" if head == "range" else "text") for head in heads]
    return show(pd.DataFrame(rows, columns=heads), columns, caption)
