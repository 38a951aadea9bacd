"""Rows of made-up tables, for the tests of every paper."""

import numpy as np


def rows(frame, **where):
    """Which rows have these values, as a mask; a tuple stands for any of its entries, ``class_`` for column "class"."""
    chosen = np.ones(len(frame), dtype=bool)
    for column, values in where.items():
        chosen &= frame[column.rstrip("_")].isin(values if isinstance(values, tuple) else (values,)).to_numpy()
    assert chosen.any(), where
    return chosen
