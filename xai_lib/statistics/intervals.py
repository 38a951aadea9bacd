"""Means over images and seeds, and how far to trust them.

Scores are averaged per image -> per seed -> over seeds, never all at once. A 95 % interval has two sources:

- images: a percentile bootstrap that resamples images. Every seed is scored on the same test images, so one
  resample serves all seeds (images are crossed with seeds, not nested in them: Owen 2007, "The pigeonhole
  bootstrap"). It is stretched by ``t / z * sqrt(n / (n - 1))``, which matters for few images only
  (Hesterberg 2015, "What teachers should know about the bootstrap", section 5).
- seeds: Student's t on the per-seed means. Resampling five seeds with replacement covers the truth in about
  84 % of cases instead of 95 %, and resampling two in 50 %; t is right from two seeds on.

The two half-widths are added in squares, on each side by itself (the MOVER rule: Zou & Donner 2008).
With one seed only the images remain, and the interval speaks about that one network.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95  # coverage of every interval in the book
RESAMPLES = 2000  # Monte-Carlo error of a 2.5 % quantile is then about 3 % of the half-width
_CHUNK = 4_000_000  # resampled counts held at a time (32 MB): 50,000 images go through in 25 steps


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its 95 % interval.

    ``spread`` is the standard deviation over seeds (ddof 1; NaN with one seed). ``interval_over`` is
    "seeds and images", "images", or "none" where there are fewer than two images with a value.
    ``n_images`` and ``n_seeds`` count those with at least one defined value, ``n_undefined`` the NaN left out.
    """

    mean: float
    spread: float
    low: float
    high: float
    interval_over: str
    n_images: int
    n_seeds: int
    n_undefined: int


def summarise(scores: pd.DataFrame, by: Sequence[str] = ("loss", "method", "metric")) -> pd.DataFrame:
    """One row a group: per image -> per-seed mean -> mean over seeds, with a 95 % interval.

    Args:
        scores: one row a score, with the columns ``seed, index, value`` and those of ``by``, which name a group. The
            same ``index`` must mean the same image in every seed. NaN is an undefined score.

    Returns:
        The columns of ``by``, then those of :class:`Interval`; sorted by ``by``. Undefined scores are left out of the
        means and counted; a group with nothing but NaN has a mean of NaN. The order of the rows does not matter, and
        the same scores always give the same numbers.

    ValueError on a missing column, an infinite value, or two scores for one image of one seed.
    """
    by = list(by)
    check_scores(scores, by)
    groups = list(scores.groupby(by, sort=True, observed=True))
    tables = [seed_by_image(group) for _, group in groups]
    undefined = [int(group["value"].isna().sum()) for _, group in groups]
    rows = [
        {**dict(zip(by, key)), **asdict(interval), "n_undefined": count}
        for (key, _), interval, count in zip(groups, mean_intervals([table.values for table in tables]), undefined)
    ]
    return pd.DataFrame(rows, columns=[*by, *Interval.__dataclass_fields__])


def check_scores(scores: pd.DataFrame, by: Sequence[str]) -> None:
    """Refuse scores that would be averaged wrongly: see :func:`summarise`."""
    needed = [*by, "seed", "index", "value"]
    check_columns(scores, needed)
    unnamed = [column for column in needed[:-1] if scores[column].isna().any()]
    if unnamed:
        raise ValueError(f"Expected a label in every row. Got missing labels in {unnamed}.")
    if np.isinf(scores["value"].to_numpy(float)).any():
        raise ValueError("Expected finite scores, or NaN where undefined. Got infinite values.")
    repeated = scores.duplicated(needed[:-1])
    if repeated.any():
        first = scores.loc[repeated, needed[:-1]].iloc[0].to_dict()
        raise ValueError(
            f"Expected one score for each {needed[:-1]}. Got {int(repeated.sum())} more, the first for {first}: "
            "name the column that tells them apart, or select rows first."
        )


def check_columns(table: pd.DataFrame, needed: Sequence[str]) -> None:
    """Refuse a table that lacks one of the columns ``needed``."""
    missing = [column for column in needed if column not in table]
    if missing:
        raise ValueError(f"Expected the columns {list(needed)}. Got {list(table.columns)}, without {missing}.")


def seed_by_image(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of one group as a table [S seeds, n images], sorted both ways; NaN where undefined or absent."""
    return scores.pivot(index="seed", columns="index", values="value").sort_index().sort_index(axis=1).astype(float)


def mean_interval(values: np.ndarray) -> Interval:
    """Mean and interval of ``values`` [S seeds, n images] or [n images]; NaN is left out and counted.

    Example:
        >>> found = mean_interval(np.array([[0.2, 0.4, 0.6], [0.3, 0.5, np.nan]]))
        >>> round(found.mean, 3), found.low < found.mean < found.high, found.interval_over, found.n_undefined
        (0.4, True, 'seeds and images', 1)
    """
    return mean_intervals([np.atleast_2d(values)])[0]


def mean_intervals(tables: Sequence[np.ndarray]) -> list[Interval]:
    """:func:`mean_interval` of many tables [S, n]; tables of as many images share their resamples, hence fast."""
    defined = [_defined(np.asarray(table, dtype=float)) for table in tables]
    same_size = defaultdict(list)
    for position, table in enumerate(defined):
        same_size[table.shape[1]].append(position)
    intervals = {}
    for positions in same_size.values():
        draws = _image_draws(np.concatenate([defined[p] for p in positions]))  # [R, seeds of all tables]
        ends = np.cumsum([len(defined[p]) for p in positions])[:-1]
        for position, table_draws in zip(positions, np.split(draws, ends, axis=1)):
            n_undefined = int(np.isnan(tables[position]).sum())
            intervals[position] = _interval(defined[position], table_draws, n_undefined)
    return [intervals[position] for position in range(len(tables))]


def percentile_interval(draws: np.ndarray, n: int = 2) -> tuple[float, float]:
    """The central 95 % of bootstrap draws [R] over ``n`` items; draws that came out undefined (NaN) are left out.

    NaN below two items, where resampling shows no spread.
    """
    if n < 2 or not np.isfinite(draws).any():
        return math.nan, math.nan
    low, high = np.nanquantile(draws, [(1 - LEVEL) / 2, 1 - (1 - LEVEL) / 2])
    return float(low), float(high)


def resampled_counts(n: int) -> Iterator[np.ndarray]:
    """How often each of ``n`` items is in each bootstrap resample: chunks float [r, n], always the same."""
    rng = np.random.default_rng([n, RESAMPLES])
    rows = max(1, _CHUNK // max(n, 1))
    for start in range(0, RESAMPLES, rows):
        r = min(rows, RESAMPLES - start)
        drawn = rng.integers(n, size=(r, n)) + n * np.arange(r)[:, None]
        yield np.bincount(drawn.ravel(), minlength=r * n).reshape(r, n).astype(float)


def _defined(table: np.ndarray) -> np.ndarray:
    """The table without seeds and images that have no value at all."""
    present = ~np.isnan(table)
    return table[present.any(axis=1)][:, present.any(axis=0)]


def _image_draws(rows: np.ndarray) -> np.ndarray:
    """Means of each row of ``rows`` [K, n] over resampled images: [R, K]; NaN where a resample has no value."""
    n = rows.shape[1]
    if n == 0:
        return np.full((RESAMPLES, len(rows)), math.nan)
    values, present = np.nan_to_num(rows), (~np.isnan(rows)).astype(float)
    with np.errstate(invalid="ignore"):
        return np.concatenate([counts @ values.T / (counts @ present.T) for counts in resampled_counts(n)])


def _interval(table: np.ndarray, draws: np.ndarray, n_undefined: int) -> Interval:
    n_seeds, n_images = table.shape
    if n_images == 0:
        return Interval(math.nan, math.nan, math.nan, math.nan, "none", 0, 0, n_undefined)
    seed_means = np.nanmean(table, axis=1)  # [S]
    mean = float(seed_means.mean())
    spread = float(seed_means.std(ddof=1)) if n_seeds > 1 else math.nan
    if n_images == 1:
        return Interval(mean, spread, math.nan, math.nan, "none", n_images, n_seeds, n_undefined)
    low, high = percentile_interval(draws.mean(axis=1))
    upper = (1 + LEVEL) / 2
    stretch = stats.t.ppf(upper, n_images - 1) / stats.norm.ppf(upper) * math.sqrt(n_images / (n_images - 1))
    below, above = stretch * (mean - low), stretch * (high - mean)
    if n_seeds > 1:
        by_seed = stats.t.ppf(upper, n_seeds - 1) * spread / math.sqrt(n_seeds)
        below, above = math.hypot(below, by_seed), math.hypot(above, by_seed)
    over = "seeds and images" if n_seeds > 1 else "images"
    return Interval(mean, spread, float(mean - below), float(mean + above), over, n_images, n_seeds, n_undefined)
