"""Means over images of scores by one or more networks, where the claim is about these networks on new images."""

from collections.abc import Sequence

import pandas as pd

from xai_lib import statistics
from xai_lib.statistics.estimate import UNBOUNDED
from xai_lib.statistics.intervals import Ranges


def summary(found: pd.DataFrame, by: Sequence[str], ranges: Ranges = UNBOUNDED) -> pd.DataFrame:
    """Means over images, networks averaged first, with a 95 % interval over images.

    Returns one row a group, with the columns of :func:`statistics.summarise`; ``spread`` is over the networks' own
    means, NaN for one network.
    """
    by = list(by)
    over_networks = found.groupby([*by, "index"], as_index=False, sort=False)["value"].mean().assign(seed=0)
    rows = statistics.summarise(over_networks, by=by, ranges=ranges)
    of_networks = found.groupby([*by, "seed"])["value"].mean().groupby(level=by)
    n_undefined = found["value"].isna().groupby([found[name] for name in by]).sum()
    counted = of_networks.agg(spread="std", n_seeds="count").assign(n_undefined=n_undefined)
    return rows.drop(columns=list(counted)).join(counted, on=by)[list(rows)]


def seeds_last(frame: pd.DataFrame, by: Sequence[str], how: str = "mean") -> pd.Series:
    """The mean (or median) over images of each network, then the mean over networks; groups in the order of rows."""
    by_seed = frame.groupby([*by, "seed"], sort=False)["value"].agg(how)
    return by_seed.groupby(level=list(by), sort=False).mean()
