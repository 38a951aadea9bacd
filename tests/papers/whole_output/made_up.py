"""Scores of made-up pairs in the place of a study's: all alike but for noise, until a test plants a truth."""

import itertools
from collections import defaultdict
from statistics import fmean
from types import SimpleNamespace

import numpy as np
import pandas as pd
from selecting import rows

from xai_lib.papers.whole_output import experiment
from xai_lib.papers.whole_output.method.base_maps import BASES
from xai_lib.papers.whole_output.method.evaluation import DRAWN, SCORED
from xai_lib.run.settings import Study, settings

OURS = (("seed 0", 0, ""), ("seed 1", 1, ""))  # networks: name, seed, model
PRINTED = (("googlenet", 0, "googlenet"), ("resnet50", 0, "resnet50"))
ELSEWHERE = (("efficientnet-lite0", 0, "efficientnet-lite0"),)  # published, but not in print
CLUSTERINGS = ("latent tree", "spectral", "random, same sizes")
_FACES = ((0, 1), (2, 3, 4))  # clusters of an image's top classes: every image has the first, every third the second
LEVEL = {"cauc": 0.005, "cauc-bases": 0.003, "cdrop": 0.08, "salient-share": 0.05, "degenerate": 0.0}
NOISE = 0.0001


def clusters_of(index):
    """The confusion clusters of a made-up image."""
    return _FACES if index % 3 == 0 else _FACES[:1]


def pairs_of(index):
    """The pairs of an image: class, and its rivals as stored."""
    listed = [(label, cluster) for cluster in clusters_of(index) for label in cluster]
    return [(label, " ".join(str(other) for other in cluster if other != label)) for label, cluster in listed]


def frames(networks=OURS, *, n_images=20, observed=True, planted=True):
    """Part of the study -> its scores; scores of an image and of a pair lie far apart, those of methods do not."""
    rng = np.random.default_rng(0)

    def part(metrics, methods, pairs=pairs_of):
        rows = [
            (index, *pair, base, method, metric)
            for metric, base, method, index in itertools.product(metrics, BASES, methods, range(n_images))
            for pair in pairs(index)
        ]
        rows = pd.DataFrame(rows, columns=["index", "class", "rivals", "base", "method", "metric"])
        level = rows["metric"].map(LEVEL).fillna(0.5)
        apart = 1 + 0.01 * rows["index"] + 0.1 * rows["class"]
        return rows.assign(value=level * apart + NOISE * level * rng.standard_normal(len(rows)))

    def listed(*parts):
        found = pd.concat(parts, ignore_index=True)
        of = [found.assign(network=name, seed=seed, model=model) for name, seed, model in networks]
        return pd.concat(of, ignore_index=True)

    def first_two(index):
        return [(cluster[0], str(cluster[1])) for cluster in clusters_of(index)]

    scores = [part(("cauc", "cdrop", "salient-share", "degenerate"), SCORED), part(("cauc-bases",), ("cwox-2s",))]
    scores += [part(("part-energy", "own-object"), SCORED)] if planted else []
    scores += [part(("overlap",), DRAWN, first_two)]
    matched = [part(("matching-accuracy", "matching-margin"), DRAWN, first_two)] if observed else []
    others = [part(("cdrop", "same-map"), ("cwox-2s",)).assign(clustering=name) for name in CLUSTERINGS]
    others = [rows.drop(columns=["rivals", "method"]) for rows in others]
    outputs = pd.DataFrame({"index": range(n_images), "label": [n % 4 for n in range(n_images)], "probability": 0.96})
    clusters = [" | ".join(" ".join(map(str, own)) for own in clusters_of(n)) for n in range(n_images)]
    outputs = outputs.assign(clusters=clusters, top=[text.replace(" |", "") for text in clusters])
    return {
        "paper": listed(*scores, *matched),
        "released": listed(*scores),
        "clusterings": listed(*others),
        "outputs": listed(outputs),
    }


def study(networks=OURS, corpus=None):
    """A study of these networks, of which nothing but names is there."""
    layers = ("coarse", "fine")
    explained = [
        experiment.ExplainedNetwork(SimpleNamespace(seed=seed), model, layers, corpus, None)
        for _, seed, model in networks
    ]
    return Study(settings(scale="smoke", device="cpu"), tuple(explained))


def mean_over_images(frame, **where):
    """The mean of the rows with these values: pair -> image and network -> image -> all, in plain Python."""
    pairs, images = defaultdict(list), defaultdict(list)
    for row in frame[rows(frame, **where)].dropna(subset="value").to_dict("records"):
        pairs[row["index"], row["network"]].append(row["value"])
    for (index, _), values in pairs.items():
        images[index].append(fmean(values))
    return fmean(map(fmean, images.values()))


def scale(frame, factor, **where):
    """Multiply the scores of the rows with these values."""
    frame.loc[rows(frame, **where), "value"] *= factor


def put(frame, value, **where):
    """Replace the scores of the rows with these values."""
    frame.loc[rows(frame, **where), "value"] = value
