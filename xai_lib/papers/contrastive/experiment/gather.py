"""A whole run as tidy tables: all losses, seeds and methods."""

import itertools

import pandas as pd

from xai_lib.papers.contrastive.experiment.predict import predicted
from xai_lib.papers.contrastive.experiment.score import curve, scored
from xai_lib.run.settings import LOSSES, METHODS, Settings


def scores(run: Settings) -> pd.DataFrame:
    """All scores: rows loss, seed, method, index, metric, value (NaN where undefined)."""
    parts = [
        scored(run, loss, seed, method).assign(loss=loss, seed=seed, method=method)
        for loss, seed, method in itertools.product(LOSSES, run.seeds, METHODS)
    ]
    return pd.concat(parts, ignore_index=True)[["loss", "seed", "method", "index", "metric", "value"]]


def curves(run: Settings) -> pd.DataFrame:
    """Pixel-flipping curves, averaged over images: rows loss, seed, method, fraction, probability."""
    parts = []
    for loss, seed, method in itertools.product(LOSSES, run.seeds, METHODS):
        values, fractions = curve(run, loss, seed, method)
        columns = {"fraction": fractions, "probability": values.nanmean(dim=0)}
        parts.append(pd.DataFrame(columns).assign(loss=loss, seed=seed, method=method))
    return pd.concat(parts, ignore_index=True)


def predictions(run: Settings) -> pd.DataFrame:
    """What every network says about the test images: rows loss, seed, index, correct (bool), confidence."""
    parts = []
    for loss, seed in itertools.product(LOSSES, run.seeds):
        outputs = predicted(run, loss, seed)
        columns = {"index": outputs.index, "correct": outputs.correct.bool(), "confidence": outputs.confidence}
        parts.append(pd.DataFrame(columns).assign(loss=loss, seed=seed))
    return pd.concat(parts, ignore_index=True)
