"""Values of mosaics as the matrix and the hierarchy of a class take them."""

import pandas as pd
import pytest


@pytest.fixture
def values_of():
    """From {(first, second): values of its mosaics}."""

    def frame(tables):
        parts = [
            pd.DataFrame({"first": i, "second": j, "mosaic": range(len(v)), "value": v}) for (i, j), v in tables.items()
        ]
        return pd.concat(parts, ignore_index=True)

    return frame
