"""Ours beside published, after what was printed is brought to the units this library computes in."""

import pandas as pd

from xai_lib.published.tables import KEYS

_ADDED = ("published", "published_spread", "unit", "better", "printed", "erratum")  # numbers, then text


def convert(rows: pd.DataFrame) -> pd.DataFrame:
    """Printed rows of :func:`xai_lib.published.table` in this library's units: per cent become fractions.

    The saliency paper's AD̄ = 100 − AD and D̄ = 100 − D (Table 1, caption) become AD and D, so ``better`` turns round.
    All other units are ours already. Converting twice changes nothing more.

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
    rows.loc[complement, "better"] = rows.loc[complement, "better"].map({"higher": "lower", "lower": "higher"})
    rows.loc[percent, "unit"] = "fraction"
    return rows


def compare(published_rows: pd.DataFrame, ours: pd.DataFrame) -> pd.DataFrame:
    """Our means beside the printed values, joined on every column of :data:`KEYS` that both sides have.

    To hold planted images against CIFAR-10's values, select the published rows and leave ``dataset`` out of ours. The
    published rows are any selection of :func:`xai_lib.published.table`, converted here (:func:`convert`). Ours are one
    row a mean, such as ``statistics.summarise`` gives: columns of :data:`KEYS`, ``mean`` in this library's units, and
    any others. Their columns come first, then ``published, published_spread, unit, better, printed, erratum``, in our
    units; a row that print lacks has NaN and "".

    ValueError where ours lacks ``mean`` or all keys, or has a column of a name that is added; where several printed
    values fit one row of ours, or none fits any.
    """
    shared = [key for key in KEYS if key in ours and key in published_rows and (published_rows[key] != "").any()]
    if "mean" not in ours or not shared or ours.empty or {*_ADDED} & set(ours):
        expected = f"Expected rows of ours with a column 'mean', some of {list(KEYS)} and none of {list(_ADDED)}."
        raise ValueError(f"{expected} Got {len(ours)} rows with {list(ours.columns)}.")
    printed = convert(published_rows).rename(columns={"value": "published", "spread": "published_spread"})
    repeated = printed[printed.duplicated(shared, keep=False)]
    if len(repeated):
        apart = [key for key in KEYS if key not in shared and repeated[key].nunique() > 1] or ["table"]
        raise ValueError(
            f"Expected one published value for each {shared}. Got several for {repeated[shared].iloc[0].to_dict()}: "
            f"select published rows, or add the key that tells them apart to ours ({', '.join(apart)})."
        )
    joined = ours.merge(printed[[*shared, *_ADDED]], on=shared, how="left", validate="many_to_one")
    if joined["unit"].isna().all():
        raise ValueError(
            f"Expected rows that print has as well. Got none in common on {shared}: "
            f"print has {printed[shared].iloc[0].to_dict()}, ours {ours[shared].iloc[0].to_dict()}."
        )
    return joined.fillna(dict.fromkeys(_ADDED[2:], ""))
