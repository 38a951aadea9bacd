"""Ours beside published, after what was printed is brought to the units this library computes in."""

import pandas as pd

from xai_lib.published.tables import KEYS

_OPPOSITE = {"higher": "lower", "lower": "higher"}
_ADDED = ("published", "published_spread", "unit", "better", "printed", "erratum")  # numbers, then text


def convert(rows: pd.DataFrame) -> pd.DataFrame:
    """Bring printed rows to this library's units.

    Per cent become fractions. The saliency paper's AD̄ = 100 − AD and D̄ = 100 − D (Table 1, caption) become AD and D,
    so ``better`` turns round. All other units are ours already. Of any selection of :func:`xai_lib.published.table`'s
    rows, a copy with ``value, spread, unit, better`` converted; converting twice changes nothing more.

    Example:
        >>> from xai_lib.published.tables import table
        >>> convert(table("contrastive", 3))["value"].round(4).tolist()[:2]
        [0.9532, 0.8917]
    """
    rows = rows.copy()
    complement = rows["unit"] == "complement-percent"
    percent = complement | (rows["unit"] == "percent")
    rows.loc[percent, ["value", "spread"]] = rows.loc[percent, ["value", "spread"]] / 100
    rows.loc[complement, "value"] = 1 - rows.loc[complement, "value"]
    rows.loc[complement, "better"] = rows.loc[complement, "better"].map(_OPPOSITE)
    rows.loc[percent, "unit"] = "fraction"
    return rows


def compare(published_rows: pd.DataFrame, ours: pd.DataFrame) -> pd.DataFrame:
    """Our means beside the printed values.

    The rows join on every column of :data:`KEYS` that both sides have. To hold planted images against CIFAR-10's
    values, select the published rows and leave ``dataset`` out of ours.

    The published rows are any selection of :func:`xai_lib.published.table`, converted here (:func:`convert`). Ours are
    one row a mean, such as ``statistics.summarise`` gives: columns of :data:`KEYS`, ``mean`` in this library's units,
    and any others (``spread, low, high``, …).

    Returns the rows and columns of ``ours`` in their order, then ``published, published_spread, unit, better, printed,
    erratum``, in our units. A row that print lacks has NaN and "".
    ValueError where ours lacks ``mean`` or all keys, or has a column of a name that is added; where several printed
    values fit one row of ours, or none fits any.
    """
    shared = _shared_keys(published_rows, ours)
    printed = convert(published_rows).rename(columns={"value": "published", "spread": "published_spread"})
    repeated = printed.duplicated(shared, keep=False)
    if repeated.any():
        first = printed.loc[repeated, shared].iloc[0].to_dict()
        raise ValueError(
            f"Expected one published value for each {shared}. Got several for {first}: select published rows, or add "
            f"the key that tells them apart to ours ({', '.join(_differing(printed[repeated], shared))})."
        )
    joined = ours.merge(printed[[*shared, *_ADDED]], on=shared, how="left", validate="many_to_one")
    if joined["unit"].isna().all():
        raise ValueError(
            f"Expected rows that print has as well. Got none in common on {shared}: "
            f"print has {printed[shared].iloc[0].to_dict()}, ours {ours[shared].iloc[0].to_dict()}."
        )
    text = list(_ADDED[2:])
    joined[text] = joined[text].fillna("")
    return joined


def _shared_keys(published_rows: pd.DataFrame, ours: pd.DataFrame) -> list[str]:
    """The keys to join on: those of ours that print fills in."""
    shared = [key for key in KEYS if key in ours and key in published_rows and (published_rows[key] != "").any()]
    if "mean" not in ours or not shared or ours.empty or {*_ADDED} & set(ours):
        raise ValueError(
            f"Expected rows of ours with a column 'mean', some of {list(KEYS)} and none of {list(_ADDED)}. "
            f"Got {len(ours)} rows with {list(ours.columns)}."
        )
    return shared


def _differing(rows: pd.DataFrame, shared: list[str]) -> list[str]:
    return [key for key in KEYS if key not in shared and rows[key].nunique() > 1] or ["table"]
