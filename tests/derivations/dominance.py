"""Functions of the dominance paper, written again: in loops, and by scipy and pytorch-grad-cam."""

import itertools
import math

import numpy as np
import pandas as pd
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from scipy import stats
from torch import nn
from torch.nn import functional

from derivations import replicates
from xai_lib import models
from xai_lib.papers.dominance.method import energy_share, mosaics

METHOD = "papers.dominance.method"
N_CLASSES, SIZE = 5, 16


def tensors(*columns):
    """Original's frame -> its columns as float64 tensors."""
    return lambda frame, _given: [torch.tensor(frame[column].to_numpy(float)) for column in columns]


def as_tensor(found, _given):
    """The original's numbers as a float64 tensor."""
    return torch.tensor(found, dtype=torch.float64)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def feature_maps():
    """A plain network with a grid of 14 × 14 and seven images in two batches."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(980, 2)).eval()
    return {"model": plain, "batches": drawn(7, 3, SIZE, SIZE).split(4), "layer": "0"}


@replicates(f"{METHOD}.clusters.pooled", inputs=feature_maps, rtol=1e-5, atol=1e-6)
def equation_1(model, batches):
    """The mean of each channel, number by number."""
    maps = model[0](torch.cat(batches))
    return torch.tensor([[sum(channel.flatten().tolist()) / 14**2 for channel in image] for image in maps])


def two_clouds(**settings):
    """Features of ten images and of thirty others."""
    return {"features": drawn(10, 8), "reference": drawn(30, 8, seed=1)} | settings


def distances(features, others):
    """Euclidean distances [M,R], plainly."""
    pairs = [[math.dist(image, other) for other in others.double().tolist()] for image in features.double().tolist()]
    return torch.tensor(pairs, dtype=torch.float64)


@replicates(f"{METHOD}.clusters.nearest_distance", inputs=two_clouds, cases=[{"k": 4}, {"k": 30}], atol=1e-5)
def mean_of_the_nearest(features, reference, k):
    """All distances, sorted."""
    return distances(features, reference).sort(1).values[:, :k].mean(1)


def mosaics_of_images(**settings):
    """Thirty mosaics of twelve images for a small residual network whose maps have both signs."""
    model = models.build("resnet8", N_CLASSES, width=8, seed=0).eval()
    model.head.weight.data = drawn(*model.head.weight.shape)
    of_two = mosaics.of_clusters(torch.arange(5), torch.arange(5, 12), 30, seed=0, purpose="test")
    given = {"mosaics": of_two, "x": drawn(12, 3, SIZE, SIZE, seed=1), "target": torch.arange(30) % N_CLASSES}
    explained = {"model": model, "explain": energy_share.by_grad_cam(model), "scalings": ("relu", "min-max")}
    return given | explained | settings


def first_share(heats, first):
    """The first cluster's share of the energy of maps [M,H,W], quadrant by quadrant (Equations 5 and 6)."""
    half = heats.shape[-1] // 2
    quadrants = [heats[:, a : a + half, b : b + half].sum((1, 2)) for a in (0, half) for b in (0, half)]
    return (torch.stack(quadrants, 1) * first).sum(1) / sum(quadrants)


@replicates(
    f"{METHOD}.energy_share.shares",
    inputs=mosaics_of_images,
    cases=[{"resized": False}, {"resized": True}],
    after=lambda found, _given: [found["relu"], found["min-max"]],
    atol=1e-5,
)
def equations_3_to_6(mosaics, x, target, model, resized):
    """Autograd, mosaic by mosaic, and pytorch-grad-cam, which scales its maps to [0, 1]."""
    heats, scaled = [], []
    with GradCAM(model, [model.default_layer()]) as library:
        for images, label in zip(mosaics.images, target.tolist()):
            four = x[images]
            mosaic = torch.cat([torch.cat([*four[:2]], 2), torch.cat([*four[2:]], 2)], 1)[None]
            if resized:
                mosaic = functional.interpolate(mosaic, x.shape[2:], mode="bilinear", antialias=True)
            activations = model.backbone(mosaic)
            (gradient,) = torch.autograd.grad(model.head(activations.mean((2, 3)))[0, label], activations)
            coarse = (gradient.mean((2, 3), keepdim=True) * activations).sum(1, keepdim=True).relu()
            heats.append(functional.interpolate(coarse, mosaic.shape[2:], mode="bilinear")[0, 0])
            scaled.append(torch.tensor(library(mosaic, [ClassifierOutputTarget(label)])[0]))
    return [first_share(torch.stack(maps), mosaics.first) for maps in (heats, scaled)]


def by_place(x, target, _index):
    """A method that attends to bright pixels, to those further down the more."""
    return x[:, target[0]] * torch.arange(x.shape[2]).square()[:, None]


def five_images():
    """Five images, compared one by one by a method that favours a place."""
    x = torch.rand(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return {"pictures": x, "label": 2, "explain": by_place, "model": lambda x: x.mean((2, 3)) + x[:, :, 0, 0]}


@replicates(
    f"{METHOD}.single_images.all_pairs",
    inputs=five_images,
    call=lambda function, given: function(*given.values()),
    after=tensors("a", "b", "value", "logit"),
    atol=1e-6,
)
def pairs_and_layouts(x, target, explain, model):
    """A loop over pairs, and over the six ways to place two of each, with the mosaic's own output."""
    rows = []
    for a, b in itertools.combinations(range(len(x)), 2):
        layouts = [[place in chosen for place in range(4)] for chosen in itertools.combinations(range(4), 2)]
        tiles = torch.stack([torch.stack([x[a] if first else x[b] for first in layout]) for layout in layouts])
        shown = mosaics.assemble(tiles)
        heats, logit = explain(shown, torch.tensor([target]), None), model(shown)[:, target].mean().item()
        rows.append((a, b, first_share(heats, torch.tensor(layouts)).mean().item(), logit))
    return [torch.tensor(column, dtype=torch.float64) for column in zip(*rows)]


def values_of_pairs(n_clusters=3):
    """Shares of 25 mosaics of each pair of clusters, some undefined."""
    rng, rows = np.random.default_rng(0), []
    for first, second in itertools.combinations(range(n_clusters), 2):
        values = rng.beta(5, 4 + second, size=25)
        values[: 2 * first] = math.nan
        rows += [(first, second, number, value) for number, value in enumerate(values)]
    return {"values": pd.DataFrame(rows, columns=["first", "second", "mosaic", "value"])}


@replicates(
    f"{METHOD}.dominance.pairs",
    inputs=values_of_pairs,
    cases=[{}, {"n_clusters": 5}],
    after=tensors("dominance", "p_t", "p_t_holm"),
    atol=1e-9,
)
def equation_8_and_scipys_tests(values):
    """Means and tests of each pair by scipy, and Holm's rule by counting."""
    defined = [rows["value"].dropna().to_numpy() for _, rows in values.groupby(["first", "second"])]
    means = [shares.mean() for shares in defined]
    p_t = [stats.ttest_1samp(shares, 0.5).pvalue for shares in defined]
    holm = [max(min(1, sum(q >= p for q in p_t) * p) for p in p_t if p <= own) for own in p_t]
    return [torch.tensor(np.array(column)) for column in (means, p_t, holm)]


def tournaments(n_clusters):
    """A dominance matrix."""
    rng = np.random.default_rng(n_clusters)
    upper = np.triu(rng.uniform(0.05, 0.95, size=(n_clusters, n_clusters)), 1)
    return {"matrix": upper + np.tril(1 - upper.T, -1) + np.eye(n_clusters) / 2}


SIZES = [{"n_clusters": n} for n in (5, 8, 10)]


@replicates(f"{METHOD}.relative_dominance.cyclic_triples", inputs=tournaments, cases=SIZES, after=as_tensor)
def kendalls_formula(matrix):
    """A tournament of P players with w wins each has C(P,3) - sum of C(w,2) cyclic triples (Kendall & Smith 1940)."""
    triples, wins = math.comb(len(matrix), 3), (matrix > 0.5).sum(axis=1)
    return torch.tensor([triples - sum(math.comb(w, 2) for w in wins), triples], dtype=torch.float64)


def tied_shares():
    """Dominance and tied shares of six clusters in two classes of two trainings, in any order."""
    rng, parts = np.random.default_rng(0), []
    for label, seed in itertools.product("ab", (0, 1)):
        columns = {"cluster": range(6), "dominance": rng.random(6), "training_share": rng.integers(0, 3, 6) / 3}
        parts.append(pd.DataFrame(columns).assign(label=label, seed=seed))
    return {"table": pd.concat(parts).sample(frac=1, random_state=0), "share": "training_share"}


@replicates(
    f"{METHOD}.training_share.correlations", inputs=tied_shares, after=tensors("correlation", "seed"), atol=1e-12
)
def spearmans(table, share):
    """Scipy's correlation of each class and training."""
    groups = {key: stats.spearmanr(rows["dominance"], rows[share]) for key, rows in table.groupby(["label", "seed"])}
    return [torch.tensor([found.statistic for found in groups.values()]), torch.tensor([seed for _, seed in groups])]
