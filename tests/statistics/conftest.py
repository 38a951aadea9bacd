"""Scores of several methods by several metrics as the tidy frame that rankings are made from."""

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def frame_of():
    """From tables [S, M, n] by metric (an underscore is a blank), methods named a, b, c, …"""

    def frame(**tables):
        parts = []
        for metric, table in tables.items():
            seed, method, image = (axis.ravel() for axis in np.indices(np.shape(table)))
            columns = {"seed": seed, "index": image, "method": np.array(list("abcdefgh"))[method]}
            parts.append(pd.DataFrame(columns).assign(value=np.ravel(table), metric=metric.replace("_", " ")))
        return pd.concat(parts, ignore_index=True)

    return frame
