"""What the dominance paper claims, one comparison a claim.

Claims about hierarchies are tested over classes: they speak about these networks and other classes. Claims about single
images are tested over images, and those on planted images over trainings.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from xai_lib import statistics
from xai_lib.papers.dominance.analysis import hierarchies, rarity, single, training
from xai_lib.papers.dominance.experiment.dominance import Hierarchies
from xai_lib.papers.dominance.method import detection, share
from xai_lib.run.settings import LOSSES, Settings
from xai_lib.statistics import Claim, Decided, compare_over_classes, compare_statistic, decide_by

WEAK = 0.3  # a rank correlation weaker than this is what "non-correlated" is taken to mean
_CYCLIC_BY_CHANCE = 1 / 4
_RIVALS = {
    "random": "a cluster chosen at random",
    "logit": "the cluster with the lowest mean logit",
    "probability": "the cluster with the lowest mean probability",
    "training distance": "the cluster with the largest distance to the training images",
    "representation": "the cluster with the lowest ratio of training to evaluation share, which needs the training "
    "images",
}
_CLUSTERS = {"modes": "the planted modes as clusters", "k-means": "clusters by K-means"}


def verdicts(of: Hierarchies) -> pd.DataFrame:
    """A verdict for each claim and kind of fine-tuned network, as :func:`statistics.verdict_table`."""
    kinds = [kind for kind in of.kinds if kind not in LOSSES]
    parts = (_clusters, _training, _single)
    return statistics.verdict_table(decided for kind in kinds for part in parts for decided in part(of, kind))


def rarity_verdicts(run: Settings) -> pd.DataFrame:
    """On planted images: is the least dominant cluster the rare one, more often than others would say?"""
    return statistics.verdict_table(_rarity(run))


def _clusters(of: Hierarchies, kind: str) -> Iterator[Decided]:
    spread = hierarchies.spread(of)
    spread = spread[spread["kind"] == kind]
    by_class = {name: _seed_by_class(rows, "spread") for name, rows in spread.groupby("clustering")}
    claim = _claims(of, kind)
    apart = claim(
        f"dominance-clusters-{kind}",
        "3.4 and 4, Figure 2",
        "Some clusters of a class dominate others: pairs lie further from 0.5 than with images dealt to the clusters "
        "at random. Printed: matrices only.",
        "spread",
        "higher",
        "clusters",
        "dealt at random",
    )
    yield decide_by(compare_over_classes, apart, by_class["k-means"] - by_class["shuffled"])
    found = spread[spread["clustering"] == "k-means"]
    cyclic = _seed_by_class(found.assign(share=found["cyclic"] / found["triples"].replace(0, np.nan)), "share")
    ordered = claim(
        f"dominance-hierarchy-{kind}",
        "3.4",
        "Dominance orders the clusters of a class: fewer triples go round than the quarter that does by chance. The "
        "paper sorts clusters without asking.",
        "intransitive triples",
        "lower",
        "triples",
        "chance",
    )
    yield decide_by(compare_over_classes, ordered, cyclic - _CYCLIC_BY_CHANCE)


def _training(of: Hierarchies, kind: str) -> Iterator[Decided]:
    claim = _claims(of, kind)
    rows = training.clusters(of)
    rows = rows[rows["kind"] == kind]
    asked = {
        "training_share": (
            "higher",
            "Clusters that dominate less have fewer training images. Printed: figures only; the paper says so of the "
            "lowest dominance, and that the highest cannot be directly related.",
        ),
        "representation": (
            "higher",
            "Clusters that dominate less are rarer in training than in evaluation. A reading of ours: where both are "
            "drawn alike, a small cluster is small in both.",
        ),
        "training_distance": (
            "lower",
            "Clusters that dominate less lie further from the training images (“out-of-distribution biases”). Not in "
            "print as a measurement.",
        ),
    }
    for name, (better, text) in asked.items():
        test = share.permutation_test(rows, name)
        by_class = _seed_by_class(share.correlations(rows, name), "correlation")
        what = training.SHARES[name]
        follows = claim(
            f"dominance-{name}-{kind}", "abstract and 4, Figures 4-5", text, what, better, "dominance", what
        )
        permuted = {"p_value": test.p_value, "test": "permutation within classes"}
        yield decide_by(compare_over_classes, follows, by_class, **permuted)
    found = training.least(of)
    found = found[found["kind"] == kind]
    below = _seed_by_class(found.assign(difference=found["share_of_least"] - found["chance"]), "difference")
    least = claim(
        f"dominance-least-{kind}",
        "4, Figures 4-5",
        "The least dominant cluster of a class has less than its equal share of the training images. Printed: figure "
        "only; airplane, where it is not so, has a cluster of three images.",
        "training share",
        "lower",
        "least dominant",
        "equal share",
    )
    yield decide_by(compare_over_classes, least, below)


def _single(of: Hierarchies, kind: str) -> Iterator[Decided]:
    images = single.images(of)
    n = len(images[images["kind"] == kind][["label", "index"]].drop_duplicates())
    for output in single.OUTPUTS:
        value, draws = single.strength(of, kind, output)
        claim = _claims(of, kind)(
            f"dominance-{output}-{kind}",
            "abstract and 4, Figure 3",
            f"Dominance of single images is not correlated with their {output}: within a class, the rank correlation "
            f"is on average weaker than {WEAK}, whatever its sign; a bound of ours. Printed: “non-correlated”, and a "
            "figure.",
            f"{output}, strength of the correlation",
            "lower",
            "correlation",
            f"{WEAK}",
        )
        test = {"n_images": n, "test": "bootstrap over images"}
        yield decide_by(compare_statistic, claim, value - WEAK, draws - WEAK, **test)


def _rarity(run: Settings) -> Iterator[Decided]:
    for clustering, clusters in _CLUSTERS.items():
        for rival in detection.SCORES:
            if rival == "dominance":
                continue
            claim = Claim(
                id=f"dominance-rare-{clustering}-{rival.replace(' ', '-')}",
                paper="dominance",
                section="4 and 5",
                text=(
                    "The least dominant cluster holds the mode that is rare in training (1 to 10 %) more often than "
                    f"{_RIVALS[rival]}. A test of ours."
                ),
                metric="hit rate",
                method=clusters,
                better="higher",
                a="dominance",
                b=rival,
                dataset="planted",
                between="score",
            )
            yield Decided(claim, rarity.against(run, clustering, rival))


def _claims(of: Hierarchies, kind: str) -> partial[Claim]:
    return partial(Claim, paper="dominance", dataset=of.run.label, between="clusters", method=kind)


def _seed_by_class(rows: pd.DataFrame, column: str) -> np.ndarray:
    """Values [S networks, C classes]."""
    return rows.pivot(index="seed", columns="label", values=column).to_numpy(float)
