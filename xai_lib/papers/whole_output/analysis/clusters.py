"""What the clusters are, how firm they are, and what they do to explanations."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from xai_lib.data import NotEnoughError, planted
from xai_lib.papers.whole_output import experiment
from xai_lib.papers.whole_output.analysis.scores import gain, in_order
from xai_lib.papers.whole_output.experiment.documents import LATENT_TREE
from xai_lib.papers.whole_output.method.clusters import agreement, changed_outputs, jaccard, numbers
from xai_lib.papers.whole_output.method.evaluation import CONTRASTIVE
from xai_lib.run.settings import Study

# Classes that the paper says are confused with each other, and where; names as in ImageNet's class index.
_EXAMPLES = (
    (("cello", "violin"), "§1, Figure 3"),
    (("acoustic guitar", "banjo", "electric guitar"), "§1, Figure 3"),
    (("hare", "wood rabbit"), "§3, Figure 5"),
    (("mouse", "computer keyboard"), "§3, Figure 8"),
    (("screwdriver", "syringe"), "§3, Figure 1"),
    (("ambulance", "police van"), "§5.2, Figure 7"),
)
_SIBLINGS = 2  # steps between two nouns with one hypernym right above both


def corpora(found: Mapping[str, experiment.Corpus]) -> pd.DataFrame:
    """Counts of documents (``of_one`` label, ``mean_length`` of the others) and of clusters, a row a collection."""
    rows = []
    for name, corpus in found.items():
        lengths = np.array(list(map(len, corpus.documents)))
        sizes = list(map(len, experiment.partition(corpus)))
        of_documents = len(lengths), (lengths == 1).sum(), lengths[lengths > 1].mean(), lengths.max()
        rows.append((*of_documents, len(sizes), max(sizes), sizes.count(1), name))
    columns = ["documents", "of_one", "mean_length", "longest", "clusters", "largest", "alone", "network"]
    return pd.DataFrame(rows, columns=columns)


def co_occurrence(corpus: experiment.Corpus) -> pd.DataFrame:
    """The share of either class's documents that has both, in the order of the clusters; NaN on the diagonal."""
    shares = jaccard(corpus.informative, len(corpus.classes))
    np.fill_diagonal(shares, np.nan)
    order = [label for cluster in experiment.partition(corpus) for label in cluster]
    names = [corpus.classes[label] for label in order]
    return pd.DataFrame(shares[np.ix_(order, order)], index=names, columns=names)


def strongest(corpus: experiment.Corpus, n: int) -> pd.DataFrame:
    """The clusters that hold most documents: classes (names), size, documents (that have at least two of them)."""
    clusters = experiment.partition(corpus)
    place, held = numbers(clusters), np.zeros(len(clusters), dtype=int)
    for document in corpus.informative:
        found, counts = np.unique(place[document], return_counts=True)
        held[found[counts > 1]] += 1
    ranked = [(clusters[number], held[number]) for number in np.argsort(-held, kind="stable")[:n]]
    names = [(", ".join(corpus.classes[label] for label in found), len(found), count) for found, count in ranked]
    return pd.DataFrame([row for row in names if row[1] > 1], columns=["classes", "size", "documents"])


def paper_examples(corpus: experiment.Corpus, steps: np.ndarray | None = None) -> pd.DataFrame:
    """Are the paper's examples of confusing classes in one cluster? Those of which the documents have all classes.

    ``together`` counts those in the cluster of most; with the ``steps`` between classes in WordNet, rows have those
    between the two furthest, and of all pairs of classes the share ("nearer") that is not further apart.
    """
    place, rows = numbers(experiment.partition(corpus)), []
    for names, section in _EXAMPLES:
        if set(names) <= set(corpus.classes):
            labels = [corpus.classes.index(name) for name in names]
            together = np.bincount(place[labels]).max()
            row = {"classes": ", ".join(names), "section": section, "together": together, "size": len(names)}
            if steps is not None:
                furthest = steps[np.ix_(labels, labels)].max()
                row |= {"steps": furthest, "nearer": (squareform(steps, checks=False) <= furthest).mean()}
            rows.append(row)
    return pd.DataFrame(rows)


def against_wordnet(corpus: experiment.Corpus, steps: np.ndarray) -> pd.DataFrame:
    """The latent tree's clusters, WordNet's own and random ones, by ``steps`` between classes in WordNet, [N,N].

    WordNet's own are by average linkage of these steps, cut into as many clusters; of random ones of the tree's sizes
    the row is what is expected. Of pairs in one cluster: median steps, and the share with one hypernym right above.
    """
    tree, apart = experiment.partition(corpus), squareform(steps, checks=False)
    cut = hierarchy.fcluster(hierarchy.linkage(apart, "average"), len(tree), "maxclust")
    own = [np.flatnonzero(cut == number).tolist() for number in np.unique(cut)]
    rows = []
    for name, partition in {LATENT_TREE: tree, "WordNet": own}.items():
        place = numbers(partition)
        here = apart[squareform(place[:, None] == place, checks=False)]
        rows.append((name, len(partition), len(here), here, agreement(partition, own, range(len(corpus.classes)))))
    rows.append(("random", *rows[0][1:3], apart, 0.0))
    found = [(*known, np.median(here), (here <= _SIBLINGS).mean(), ari) for *known, here, ari in rows]
    return pd.DataFrame(found, columns=["clustering", "clusters", "pairs", "steps", "siblings", "ari"])


def planted_truth() -> list[list[str]]:
    """The clusters that the planted data should give: the look-alikes, the pair that keeps company, two alone."""
    pairs = [list(pair) for pair in (*planted.LOOK_ALIKE_PAIRS, planted.CO_OCCURRING_PAIR)]
    together = {name for pair in pairs for name in pair}
    return pairs + [[name] for name in planted.CLASSES if name not in together]


def against_truth(study: Study) -> pd.DataFrame:
    """Of the four planted pairs, how many are in one cluster (``pairs``), and by themselves there (``exact``)."""
    rows = []
    for explained in study.networks:
        classes = explained.corpus.classes
        truth = [[classes.index(name) for name in cluster] for cluster in planted_truth()]
        pairs = [set(cluster) for cluster in truth if len(cluster) == 2]
        found = experiment.clusterings_of(explained.corpus, study.run.whole_output.stability_repeats)
        for name, partition in found.items():
            sets, ari = list(map(set, partition)), agreement(truth, partition, range(len(classes)))
            together = sum(any(pair <= cluster for cluster in sets) for pair in pairs)
            rows.append((explained.name, name, ari, together, sum(pair in sets for pair in pairs), len(partition)))
    return pd.DataFrame(rows, columns=["network", "clustering", "ari", "pairs", "exact", "clusters"])


def stability(corpus: experiment.Corpus, repeats: int) -> pd.DataFrame:
    """How firm clusterings are: mean, smallest and largest ARI of each of :data:`clusters.What`, over the repeats."""
    found = experiment.stability_of(corpus, repeats)
    grouped = found.groupby(["clustering", "what"], sort=False)["ari"]
    return grouped.agg(ari="mean", low="min", high="max", repeats="size").reset_index()


def clusterings(corpus: experiment.Corpus, repeats: int) -> pd.DataFrame:
    """The clusterings against the latent tree's, the last two columns those of :func:`changed_outputs`."""
    found = experiment.clusterings_of(corpus, repeats)
    reference, rows = found[LATENT_TREE], []
    for name, partition in found.items():
        ari = agreement(reference, partition, range(len(corpus.classes)))
        changed = changed_outputs(reference, partition, corpus.informative)
        rows.append((name, len(partition), max(map(len, partition)), ari, *changed))
    return pd.DataFrame(rows, columns=["clustering", "clusters", "largest", "ari", "changed", "together"])


def effect_of_clusters(study: Study) -> pd.DataFrame:
    """What other clusters do to CWOX-2s on the same pairs: mean CDROP over images, its :func:`gain` against the first
    clustering, the latent tree, and the mean correlation with the map under that one (``same_map``).
    """
    found, rows = experiment.whole_output_scores(study, "clusterings").assign(rivals="", method=CONTRASTIVE), []
    if found.empty:
        raise NotEnoughError("No image has two classes of one cluster at its top, so there is nothing to contrast.")
    reference, *others = names = list(found["clustering"].unique())
    for (model, base), group in found.groupby(["model", "base"], sort=False):
        means = group.groupby(["clustering", "metric", "seed", "index"])["value"].mean()
        means = means.groupby(level=["clustering", "metric"]).mean()
        for name in names:
            row = {"model": model, "base": base, "clustering": name, "mean": means[name, "cdrop"]}
            row["same_map"] = means[name, "same-map"]
            rows.append(row | (gain(group, "cdrop", name, reference, "clustering") if name in others else {}))
    return in_order(pd.DataFrame(rows))
