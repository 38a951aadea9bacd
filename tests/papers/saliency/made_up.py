"""Scores of made-up networks in the place of a benchmark's: all alike but for noise, until a test plants a truth."""

import numpy as np
import pandas as pd
from selecting import rows

from xai_lib import explainers
from xai_lib.data.transforms import TRANSFORMS
from xai_lib.papers.saliency.method import TARGETS, lineup
from xai_lib.papers.saliency.method.lineup import FIDELITY, LOCALISATION
from xai_lib.papers.saliency.method.tools import CAMS, MAP_DIFFERENCE, METHODS, MONOTONICITY, OF_MAPS, SENSITIVITY

READINGS = {
    "black": FIDELITY,
    "mean colour": ("insertion",),
    "blur": ("deletion",),
    "ranks": (*FIDELITY[:3], "local-accuracy"),
}
ALONE = ("completeness", "sparseness", "complexity", "effective-complexity", *LOCALISATION)
MASKED = ("probability", *FIDELITY, "local-accuracy", "local-accuracy-logit")
REPEATED = tuple(name for name in lineup.METRICS if name not in (*MASKED, *ALONE))
TOOLED = (*OF_MAPS, *SENSITIVITY, MONOTONICITY)
N_READ = 5  # images scored in other readings
SIGNED = tuple(name for name in lineup.ALL if explainers.about(name).has_readings)


def frames(methods=lineup.ALL, *, n_images=30, n_seeds=1):
    """Part of the benchmark -> its scores, 0.5 and a noise of 0.01."""
    rng = np.random.default_rng(0)

    def part(metrics, n, **columns):
        names = {"seed": range(n_seeds), "method": methods, "index": range(n), "metric": metrics, **columns}
        return pd.MultiIndex.from_product(names.values(), names=names).to_frame(index=False)

    fidelity = [
        part(MASKED, n_images, target=TARGETS, reading=lineup.READINGS),
        part(ALONE, n_images, target=TARGETS[:1], reading=lineup.READINGS),
        *(part(metrics, N_READ, target=TARGETS[:1], reading=[name]) for name, metrics in READINGS.items()),
    ]
    fidelity = pd.concat(fidelity, ignore_index=True)
    beyond = fidelity["method"].isin(lineup.BEYOND) & ~fidelity["reading"].isin(lineup.READINGS)
    transformed = [
        part(("probability", *FIDELITY), n_images, transform=[name], setting=settings, reading=lineup.READINGS)
        for name, settings in TRANSFORMS.items()
    ]
    transformed = pd.concat(transformed, ignore_index=True)
    cost = pd.MultiIndex.from_product([range(n_seeds), methods], names=["seed", "method"]).to_frame(index=False)
    found = {
        "fidelity": fidelity[~beyond].reset_index(drop=True),
        "repeated": part(REPEATED, n_images, reading=lineup.READINGS),
        "transformed": transformed[~transformed["method"].isin(lineup.BEYOND)].reset_index(drop=True),
        "classes": part(("class-similarity",), n_images, reading=lineup.READINGS),
    }
    for name, frame in found.items():
        differs = frame["method"].isin(SIGNED) | (frame["reading"] != lineup.READINGS[1])
        found[name] = frame = frame[differs].reset_index(drop=True)
        frame["value"] = 0.5 + 0.01 * rng.standard_normal(len(frame))
    cost = cost.assign(forwards=1000.0, seconds=0.002 + cost["seed"], megabytes=3.0)
    found["metric"] = found["repeated"].iloc[:0]  # of the registry alone: none
    found["tools"] = part((*TOOLED, *FIDELITY, MAP_DIFFERENCE), N_READ).assign(value=0.5)
    by_tool = found["tools"]["method"].isin(METHODS) & found["tools"]["metric"].isin(TOOLED)
    found["tools"] = found["tools"][by_tool | found["tools"]["method"].isin(list(CAMS))].reset_index(drop=True)
    return {**found, "cost": cost}


def add(frame, amount, **where):
    """Add to the scores of the rows with these values."""
    frame.loc[rows(frame, **where), "value"] += amount


def put(frame, value, **where):
    """Replace the scores of the rows with these values."""
    frame.loc[rows(frame, **where), "value"] = value
