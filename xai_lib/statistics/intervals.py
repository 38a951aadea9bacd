"""Means over images and seeds with intervals, as tables show them: see :mod:`xai_lib.statistics.estimate`."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from xai_lib.statistics.estimate import LEVEL, UNBOUNDED, defined_part, estimate_of

RESAMPLES = 2000  # Monte-Carlo error of a 2.5 % quantile is then about 3 % of the half-width
Ranges = Mapping[str, tuple[float, float]] | tuple[float, float]
_CHUNK = 4_000_000  # resampled counts held at a time (32 MB): 50,000 images go through in 25 steps


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its 95 % interval."""

    mean: float
    spread: float  # standard deviation over seeds (ddof 1; NaN with one)
    low: float
    high: float
    n_images: int  # with at least one defined value, as seeds
    n_seeds: int
    n_undefined: int  # NaN left out


def summarise(
    scores: pd.DataFrame, by: Sequence[str] = ("loss", "method", "metric"), *, ranges: Ranges = UNBOUNDED
) -> pd.DataFrame:
    """One row a group: per image -> per-seed mean -> mean over seeds, with a 95 % interval.

    Of one row a score, with the columns ``seed, index, value`` and those of ``by``, which name a group. The same
    ``index`` must mean the same image in every seed. ``ranges`` are what the values can be, which intervals do not
    leave: one range, or metric -> its range, where ``by`` has "metric"; metrics that are not named have none.

    Returns the columns of ``by``, then those of :class:`Interval`; sorted by ``by``. Undefined scores (NaN) are left
    out and counted; a group of nothing else has a mean of NaN. ValueError on a missing column, an infinite value, or
    two scores for one image of one seed.
    """
    by, rows = list(by), []
    check_scores(scores, by)
    for key, group in scores.groupby(by, sort=True, observed=True):
        names = dict(zip(by, key))
        range = ranges.get(names["metric"], UNBOUNDED) if isinstance(ranges, Mapping) else ranges
        interval = mean_interval(seed_by_image(group).to_numpy(), range=range)
        rows.append({**names, **asdict(interval), "n_undefined": int(group["value"].isna().sum())})
    return pd.DataFrame(rows, columns=[*by, *Interval.__dataclass_fields__])


def summary(found: pd.DataFrame, by: Sequence[str], ranges: Ranges = UNBOUNDED) -> pd.DataFrame:
    """Means over images, networks averaged first, with a 95 % interval over images.

    Returns one row a group, with the columns of :func:`summarise`; ``spread`` is over the networks' own
    means, NaN for one network.
    """
    by = list(by)
    over_networks = found.groupby([*by, "index"], as_index=False, sort=False)["value"].mean().assign(seed=0)
    rows = summarise(over_networks, by=by, ranges=ranges)
    of_networks = found.groupby([*by, "seed"])["value"].mean().groupby(level=by)
    n_undefined = found["value"].isna().groupby([found[name] for name in by]).sum()
    counted = of_networks.agg(spread="std", n_seeds="count").assign(n_undefined=n_undefined)
    return rows.drop(columns=list(counted)).join(counted, on=by)[list(rows)]


def seeds_last(frame: pd.DataFrame, by: Sequence[str], how: str = "mean") -> pd.Series:
    """The mean (or median) over images of each network, then the mean over networks; groups in the order of rows."""
    by_seed = frame.groupby([*by, "seed"], sort=False)["value"].agg(how)
    return by_seed.groupby(level=list(by), sort=False).mean()


def check_scores(scores: pd.DataFrame, by: Sequence[str]) -> None:
    """Refuse scores that would be averaged wrongly: see :func:`summarise`."""
    labels = [*by, "seed", "index"]
    check_columns(scores, [*labels, "value"])
    if unnamed := [column for column in labels if scores[column].isna().any()]:
        raise ValueError(f"Expected a label in every row. Got missing labels in {unnamed}.")
    if np.isinf(scores["value"].to_numpy(float)).any():
        raise ValueError("Expected finite scores, or NaN where undefined. Got infinite values.")
    repeated = scores.loc[scores.duplicated(labels), labels]
    if len(repeated):
        raise ValueError(
            f"Expected one score for each {labels}. Got {len(repeated)} more, the first for "
            f"{repeated.iloc[0].to_dict()}: name the column that tells them apart, or select rows first."
        )


def check_columns(table: pd.DataFrame, needed: Sequence[str]) -> None:
    """Refuse a table that lacks one of the columns ``needed``."""
    if missing := [column for column in needed if column not in table]:
        raise ValueError(f"Expected the columns {list(needed)}. Got {list(table.columns)}, without {missing}.")


def seed_by_image(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of one group as a table [S seeds, n images], sorted both ways; NaN where undefined or absent."""
    return scores.pivot(index="seed", columns="index", values="value").sort_index().sort_index(axis=1).astype(float)


def mean_interval(values: np.ndarray, *, range: tuple[float, float] = UNBOUNDED) -> Interval:
    """Mean and 95 % interval of ``values`` [S seeds, n images] or [n images], within a ``range``; NaN is counted.

    Example:
        >>> found = mean_interval(np.array([[0.2, 0.4, 0.6], [0.3, 0.5, np.nan]]))
        >>> round(found.mean, 3), found.low < found.mean < found.high, found.n_undefined
        (0.4, True, 1)
    """
    table = defined_part(values)
    estimate, n_undefined = estimate_of(table, range=range), int(np.isnan(np.asarray(values, dtype=float)).sum())
    spread = float(np.nanmean(table, axis=1).std(ddof=1)) if len(table) > 1 else math.nan
    return Interval(estimate.value, spread, *estimate.interval(), *table.shape[::-1], n_undefined)


def percentile_interval(draws: np.ndarray, n: int = 2, level: float = LEVEL) -> tuple[float, float]:
    """The central part of bootstrap draws [R] over ``n`` items; draws that came out undefined (NaN) are left out.

    NaN below two items, where resampling shows no spread.
    """
    if n < 2 or not np.isfinite(draws).any():
        return math.nan, math.nan
    low, high = np.nanquantile(draws, [(1 - level) / 2, 1 - (1 - level) / 2])
    return float(low), float(high)


def resampled_counts(n: int) -> Iterator[np.ndarray]:
    """How often each of ``n`` items is in each bootstrap resample: chunks float [r, n], always the same."""
    rng = np.random.default_rng([n, RESAMPLES])
    rows = max(1, _CHUNK // max(n, 1))
    for start in range(0, RESAMPLES, rows):
        r = min(rows, RESAMPLES - start)
        drawn = rng.integers(n, size=(r, n)) + n * np.arange(r)[:, None]
        yield np.bincount(drawn.ravel(), minlength=r * n).reshape(r, n).astype(float)
