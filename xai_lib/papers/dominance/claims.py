"""What the dominance paper claims, one comparison a claim.

Claims about hierarchies are tested over classes: they speak about these networks and other classes. Claims about single
images are tested over images, and those on planted images over trainings.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from xai_lib import statistics
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.analysis import hierarchies, rarity, single, training
from xai_lib.papers.dominance.experiment import K_MEANS, SHUFFLED
from xai_lib.papers.dominance.method import training_share
from xai_lib.run.settings import LOSSES, Settings
from xai_lib.run.study import Study
from xai_lib.statistics import Claim, Comparison, Decided

WEAK = 0.3  # a rank correlation weaker than this is what "non-correlated" is taken to mean
_CYCLIC_BY_CHANCE = 1 / 4
_OURS = ("representation", "training_distance", "rare")  # questions that the paper does not answer
_Said = tuple[str, str, str, str, Comparison]  # name, section, metric, which is better, and what was found
_TEXTS = {
    "clusters": "Some clusters of a class dominate others: pairs lie further from 0.5 than with images dealt to the "
    "clusters at random. Printed: matrices only.",
    "hierarchy": "Dominance orders the clusters of a class: fewer triples go round than the quarter that does by "
    "chance. The paper sorts clusters without asking.",
    "training_share": "Clusters that dominate less have fewer training images. Printed: figures only; the paper says "
    "so of the lowest dominance, and that the highest cannot be directly related.",
    "representation": "Clusters that dominate less are rarer in training than in evaluation. A reading of ours: where "
    "both are drawn alike, a small cluster is small in both.",
    "training_distance": "Clusters that dominate less lie further from the training images (“out-of-distribution "
    "biases”). Not in print as a measurement.",
    "least": "The least dominant cluster of a class has less than its equal share of the training images. Printed: "
    "figure only; airplane, where it is not so, has a cluster of three images.",
} | {
    output: f"Dominance of single images is not correlated with their {output}: within a class, the rank correlation "
    f"is on average weaker than {WEAK}, whatever its sign; a bound of ours. Printed: “non-correlated”, and a figure."
    for output in single.OUTPUTS
}
_RIVALS = {
    "logit": "the cluster with the lowest mean logit",
    "probability": "the cluster with the lowest mean probability",
    "training distance": "the cluster with the largest distance to the training images",
    "representation": "the cluster with the lowest ratio of training to evaluation share, which needs the training "
    "images",
    "random": "a cluster chosen at random",
}
_RARE = (
    "The least dominant cluster holds the mode that is rare in training (1 to 10 %) more often than {rival}. A test of "
    "ours."
)
_CLUSTERS = {"modes": "the planted modes as clusters", K_MEANS: "clusters by K-means"}


def verdicts(study: Study) -> pd.DataFrame:
    """A verdict for each claim and kind of fine-tuned network, as :func:`statistics.verdict_table`."""
    about = {"dataset": study.run.label, "between": "clusters"}
    return statistics.verdict_table(
        _claim(f"{name}-{kind}", _TEXTS[name], *said, method=kind, **about)
        for kind in experiment.kinds(study)
        if kind not in LOSSES
        for claims in (_clusters, _training, _single)
        for name, *said in claims(study, kind)
    )


def rarity_verdicts(run: Settings) -> pd.DataFrame:
    """On planted images: is the least dominant cluster the rare one, more often than others would say?"""
    decided = []
    for clustering, method in _CLUSTERS.items():
        about = {"method": method, "dataset": "planted", "between": "score"}
        for rival, named in _RIVALS.items():
            name, text = f"rare-{clustering}-{rival.replace(' ', '-')}", _RARE.format(rival=named)
            found = rarity.against(run, clustering, rival)
            decided.append(_claim(name, text, "4 and 5", "hit rate", "higher", found, **about))
    return statistics.verdict_table(decided)


def _clusters(study: Study, kind: str) -> Iterator[_Said]:
    spread = hierarchies.spread(study)
    spread = spread[spread["kind"] == kind]
    by_class = {name: _seed_by_class(rows, "spread") for name, rows in spread.groupby("clustering")}
    apart = statistics.compare_over_classes(by_class[K_MEANS] - by_class[SHUFFLED], a="clusters", b="dealt at random")
    yield "clusters", "3.4 and 4, Figure 2", "spread", "higher", apart
    found = spread[spread["clustering"] == K_MEANS]
    cyclic = _seed_by_class(found.assign(share=found["cyclic"] / found["triples"].replace(0, np.nan)), "share")
    fewer = statistics.compare_over_classes(cyclic - _CYCLIC_BY_CHANCE, a="triples", b="chance")
    yield "hierarchy", "3.4", "intransitive triples", "lower", fewer


def _training(study: Study, kind: str) -> Iterator[_Said]:
    rows, least = (frame[frame["kind"] == kind] for frame in (training.clusters(study), training.least(study)))
    for name, what in training.SHARES.items():
        by_class = _seed_by_class(training_share.correlations(rows, name), "correlation")
        permuted = training_share.permutation_test(rows, name).draws
        found = statistics.compare_over_classes(by_class, a="dominance", b=what, permuted=permuted, range=(-1.0, 1.0))
        better = "lower" if name == "training_distance" else "higher"
        yield name, "abstract and 4, Figures 4-5", what, better, found
    below = _seed_by_class(least.assign(difference=least["share_of_least"] - least["chance"]), "difference")
    fewer = statistics.compare_over_classes(below, a="least dominant", b="equal share")
    yield "least", "4, Figures 4-5", "training share", "lower", fewer


def _single(study: Study, kind: str) -> Iterator[_Said]:
    images = single.images(study)
    n = len(images[images["kind"] == kind][["label", "index"]].drop_duplicates())
    about = {"a": "correlation", "b": f"{WEAK}", "n_images": n, "test": "bootstrap over images"}
    for output in single.OUTPUTS:
        value, draws = single.strength(study, kind, output)
        found = statistics.compare_statistic(value - WEAK, draws - WEAK, **about)
        yield output, "abstract and 4, Figure 3", f"{output}, strength of the correlation", "lower", found


def _claim(name: str, text: str, section: str, metric: str, better: str, found: Comparison, **about: str) -> Decided:
    said = (f"dominance-{name}", section, text, metric, better, found.a, found.b)
    return Decided(Claim(*said, paper="dominance", ours=name.startswith(_OURS), **about), found)


def _seed_by_class(rows: pd.DataFrame, column: str) -> np.ndarray:
    """Values [S networks, C classes]."""
    return rows.pivot(index="seed", columns="label", values=column).to_numpy(float)
