"""Losses, written again: their equations in loops, and pytorch-metric-learning."""

import torch
from pytorch_metric_learning import distances, losses, miners
from torch.nn import functional

from derivations import called, replicates


def batch(size=48, classes=5, dim=16, seed=0, normalised=True, dtype=torch.float64, **settings):
    """Embeddings and their classes."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(size, dim, generator=generator, dtype=dtype)
    labels = torch.randint(0, classes, (size,), generator=generator)
    return {"z": functional.normalize(z, dim=1) if normalised else z, "labels": labels} | settings


def value_and_gradient(loss, given):
    """A loss and its gradient with respect to the embeddings."""
    z = given["z"].clone().requires_grad_()
    value = called(loss, given | {"z": z})
    (gradient,) = torch.autograd.grad(value, z)
    return value.detach(), gradient


EXACT = {"inputs": batch, "call": value_and_gradient, "rtol": 1e-7, "atol": 1e-7}  # as assert_close has it for float64


@replicates("losses.supervised_contrastive", **EXACT,
            cases=[{"size": 96, "classes": 3 + 10 * seed, "seed": seed, "temperature": temperature}
                   for seed in range(4) for temperature in (0.07, 0.5)])  # fmt: skip
def supervised_contrastive_by_library(z, labels, temperature):
    distance = distances.DotProductSimilarity(normalize_embeddings=False)
    return losses.SupConLoss(temperature=temperature, distance=distance)(z, labels)


@replicates("losses.supervised_contrastive", **EXACT,
            cases=[{"size": 14, "classes": 9, "seed": 3, "temperature": 0.1}])  # fmt: skip
def supervised_contrastive(z, labels, temperature):
    """§3.2 letter by letter; the mean is over the anchors that have a positive."""
    assert (labels.bincount() == 1).any(), "an anchor without a positive must be among them"
    per_anchor = []
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        positives = [j for j in others if labels[j] == labels[i]]
        if positives:
            denominator = sum(torch.exp(z[i] @ z[a] / temperature) for a in others)
            shares = [torch.log(torch.exp(z[i] @ z[j] / temperature) / denominator) for j in positives]
            per_anchor.append(-sum(shares) / len(positives))
    return mean(per_anchor)


def mean(terms):
    return sum(terms) / len(terms)


def distance_of(a, b, variant):
    squared = (a - b).square().sum()
    return squared if variant == "paper" else squared.sqrt()


def semi_hard(z, labels, margin, variant):
    """Equation 1 for each semi-hard triplet of the batch."""
    terms = []
    for a in range(len(z)):
        for p in range(len(z)):
            for n in range(len(z)):
                if p != a and labels[p] == labels[a] != labels[n]:
                    near, far = distance_of(z[a], z[p], variant), distance_of(z[a], z[n], variant)
                    if near < far < near + margin:
                        terms.append(near - far + margin)
    return terms


def hardest(z, labels, margin, variant):
    """Equation 1 for each anchor's farthest positive and nearest negative."""
    terms = []
    for a in range(len(z)):
        positives = [distance_of(z[a], z[p], variant) for p in range(len(z)) if p != a and labels[p] == labels[a]]
        negatives = [distance_of(z[a], z[n], variant) for n in range(len(z)) if labels[n] != labels[a]]
        if positives and negatives:
            terms.append((max(positives) - min(negatives) + margin).clamp(min=0))
    return terms


def repeated(variant):
    """Twice the same points, once under another label: each positive's distance is also a negative's."""
    points = batch(size=6, seed=4)["z"]
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1])
    return {"z": torch.cat([points, points]), "labels": labels, "margin": 0.3, "variant": variant}


def without_semi_hard(variant, apart):
    """Tight groups far apart leave only easy triplets; groups that do not follow the labels leave hard ones as well."""
    generator = torch.Generator().manual_seed(5)
    groups = torch.eye(4, dtype=torch.float64).repeat_interleave(3, 0)
    z = functional.normalize(groups + 0.01 * torch.randn(12, 4, generator=generator, dtype=torch.float64), dim=1)
    labels = torch.arange(4).repeat_interleave(3)
    if not apart:
        z, labels = z[::3], torch.tensor([0, 0, 1, 2])
        z[1] = functional.normalize(z[1] - 2 * z[0], dim=0)
    return {"z": z, "labels": labels, "margin": 0.3, "variant": variant}


VARIANTS = ({"variant": "paper"}, {"variant": "released", "normalised": False})


@replicates("losses.triplet_semi_hard", **EXACT | {"inputs": repeated, "call": called},
            cases=[{"variant": "paper"}, {"variant": "released"}])  # fmt: skip
@replicates("losses.triplet_semi_hard", **EXACT,
            cases=[{"size": 14, "classes": 4, "seed": 1, "margin": 0.3} | variant for variant in VARIANTS])  # fmt: skip
def triplet_semi_hard(z, labels, margin, variant):
    return mean(semi_hard(z, labels, margin, variant))


@replicates("losses.triplet_semi_hard", **EXACT | {"inputs": without_semi_hard},
            cases=[{"variant": variant, "apart": False} for variant in ("paper", "released")])  # fmt: skip
def triplet_without_semi_hard(z, labels, margin, variant):
    assert not semi_hard(z, labels, margin, variant)
    return mean(hardest(z, labels, margin, variant))


@replicates("losses.triplet_semi_hard", **EXACT,
            cases=[{"size": 64, "classes": 2 + 4 * seed, "seed": seed, "margin": margin} | variant
                   for seed in range(3) for margin in (0.05, 0.3, 1.5) for variant in VARIANTS])  # fmt: skip
def triplet_by_library(z, labels, margin, variant):
    distance = distances.LpDistance(normalize_embeddings=False, p=2, power=2 if variant == "paper" else 1)
    mined = miners.TripletMarginMiner(margin=margin, type_of_triplets="semihard", distance=distance)(z, labels)
    assert len(mined[0]) > 0
    return losses.TripletMarginLoss(margin=margin, distance=distance)(z, labels, mined)
