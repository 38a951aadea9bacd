"""What the clusters are, how firm they are, and what they do to explanations."""

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from xai_lib.data import planted
from xai_lib.papers.whole_output import experiment
from xai_lib.papers.whole_output.analysis.scores import CONTRASTIVE, in_order, of_images, of_pairs, paired
from xai_lib.papers.whole_output.experiment.documents import LATENT_TREE, Corpus
from xai_lib.papers.whole_output.experiment.explanations import Study, outputs_of
from xai_lib.papers.whole_output.method.confusion import confusion_clusters
from xai_lib.papers.whole_output.method.evaluation import Images, compare_epsilons
from xai_lib.papers.whole_output.method.explanation import FINE, METHODS
from xai_lib.papers.whole_output.method.stability import agreement, changed_outputs
from xai_lib.statistics import paired_comparison
from xai_lib.statistics.over_images import summary


def corpora(study: Study) -> pd.DataFrame:
    """The documents of each network: network, documents, of_one, mean_length, longest, clusters, largest, alone."""
    return pd.DataFrame([corpus_row(explained.corpus) | {"network": explained.name} for explained in study.networks])


def corpus_row(corpus: Corpus) -> dict[str, float]:
    """Counts of documents and clusters: documents, of_one (of one label), mean_length (of the others), longest,
    clusters, largest, alone (classes in a cluster of their own)."""
    lengths = np.array([len(found) for found in corpus.documents])
    sizes = [len(cluster) for cluster in experiment.partition(corpus)]
    return {
        "documents": len(lengths),
        "of_one": int((lengths == 1).sum()),
        "mean_length": float(lengths[lengths > 1].mean()),
        "longest": int(lengths.max()),
        "clusters": len(sizes),
        "largest": max(sizes),
        "alone": sum(size == 1 for size in sizes),
    }


def co_occurrence(corpus: Corpus) -> pd.DataFrame:
    """How often two classes are top classes of the same image: the share of either's documents that has both.

    Returns:
        A square frame with class names, in the order of the clusters; NaN on the diagonal.
    """
    n_labels = len(corpus.classes)
    present = np.zeros((len(corpus.informative), n_labels))
    for row, found in enumerate(corpus.informative):
        present[row, found] = 1
    both = present.T @ present
    either = both.diagonal()[:, None] + both.diagonal()[None] - both
    shares = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
    np.fill_diagonal(shares, np.nan)
    order = [label for cluster in experiment.partition(corpus) for label in cluster]
    names = [corpus.classes[label] for label in order]
    return pd.DataFrame(shares[np.ix_(order, order)], index=names, columns=names)


def strongest(corpus: Corpus, n: int) -> pd.DataFrame:
    """The clusters of at least two classes that hold most documents together.

    Returns:
        Rows classes (names, joined by commas), size, documents (that have at least two of them).
    """
    rows = []
    clusters = experiment.partition(corpus)
    place = {label: number for number, cluster in enumerate(clusters) for label in cluster}
    held = np.zeros(len(clusters), dtype=int)
    for found in corpus.informative:
        numbers, counts = np.unique([place[label] for label in found], return_counts=True)
        held[numbers[counts > 1]] += 1
    for number in np.argsort(-held, kind="stable")[:n]:
        if len(clusters[number]) > 1:
            names = ", ".join(corpus.classes[label] for label in clusters[number])
            rows.append({"classes": names, "size": len(clusters[number]), "documents": int(held[number])})
    return pd.DataFrame(rows, columns=["classes", "size", "documents"])


EPSILONS = (0.0, 0.1, 0.25, 0.5)  # shares of the cluster map's maximum

# Classes that the paper says are confused with each other, and where; names as in ImageNet's class index.
_EXAMPLES = (
    (("cello", "violin"), "§1, Figure 3"),
    (("acoustic guitar", "banjo", "electric guitar"), "§1, Figure 3"),
    (("hare", "wood rabbit"), "§3, Figure 5"),
    (("mouse", "computer keyboard"), "§3, Figure 8"),
    (("screwdriver", "syringe"), "§3, Figure 1"),
    (("ambulance", "police van"), "§5.2, Figure 7"),
)


def paper_examples(corpus: Corpus) -> pd.DataFrame:
    """Are the paper's examples of confusing classes in one cluster? For documents of ImageNet's classes.

    Returns:
        Rows classes (joined by commas), section, together (of the classes, how many are in the cluster of most),
        size (number of the classes).
    """
    place = {label: number for number, cluster in enumerate(experiment.partition(corpus)) for label in cluster}
    rows = []
    for names, section in _EXAMPLES:
        where = [place[corpus.classes.index(name)] for name in names]
        together = max(where.count(number) for number in where)
        rows.append({"classes": ", ".join(names), "section": section, "together": together, "size": len(names)})
    return pd.DataFrame(rows)


def planted_truth() -> list[list[str]]:
    """The clusters that the planted data should give: the look-alikes, the pair that keeps company, two alone."""
    pairs = [list(pair) for pair in (*planted.LOOK_ALIKE_PAIRS, planted.CO_OCCURRING_PAIR)]
    together = {name for pair in pairs for name in pair}
    return pairs + [[name] for name in planted.CLASSES if name not in together]


def against_truth(study: Study) -> pd.DataFrame:
    """Are the planted clusters found? Network by network and clustering by clustering.

    Returns:
        Rows network, clustering, ari (with the truth, 1 is the same, 0 what chance gives), pairs (of the four planted
        pairs, how many are in one cluster), exact (how many are a cluster by themselves), clusters.
    """
    truth = planted_truth()
    label_of = {name: number for number, cluster in enumerate(truth) for name in cluster}
    rows = []
    for explained in study.networks:
        classes = explained.corpus.classes
        found = experiment.clusterings_of(explained.corpus, study.run.whole_output.stability_repeats)
        for name, partition in found.items():
            place = {classes[label]: number for number, cluster in enumerate(partition) for label in cluster}
            sets = [{classes[label] for label in cluster} for cluster in partition]
            pairs = [set(pair) for pair in truth if len(pair) == 2]
            rows.append(
                {
                    "network": explained.name,
                    "clustering": name,
                    "ari": adjusted_rand_score([label_of[c] for c in classes], [place[c] for c in classes]),
                    "pairs": sum(any(pair <= cluster for cluster in sets) for pair in pairs),
                    "exact": sum(pair in sets for pair in pairs),
                    "clusters": len(partition),
                }
            )
    return pd.DataFrame(rows)


def stability(corpus: Corpus, repeats: int) -> pd.DataFrame:
    """How firm clusterings are: clustering, what ("halves", "bootstrap", "seeds"), ari (mean), low, high (smallest and
    largest), repeats."""
    found = experiment.stability_of(corpus, repeats)
    grouped = found.groupby(["clustering", "what"], sort=False)["ari"]
    return grouped.agg(ari="mean", low="min", high="max", repeats="size").reset_index()


def clusterings(corpus: Corpus, repeats: int) -> pd.DataFrame:
    """The clusterings against the latent tree's: clustering, clusters, largest, ari, changed, together.

    ``changed`` is the share of documents whose confusion clusters differ, ``together`` the share of pairs of classes in
    a document that are put together, or apart, alike.
    """
    found = experiment.clusterings_of(corpus, repeats)
    reference = found[LATENT_TREE]
    rows = []
    for name, partition in found.items():
        changed = changed_outputs(reference, partition, corpus.informative)
        rows.append(
            {
                "clustering": name,
                "clusters": len(partition),
                "largest": max(map(len, partition)),
                "ari": agreement(reference, partition, range(len(corpus.classes))),
                "changed": changed.share,
                "together": changed.pair_agreement,
            }
        )
    return pd.DataFrame(rows)


def effect_of_clusters(study: Study) -> pd.DataFrame:
    """What other clusters do to the explanations of CWOX-2s with Grad-CAM: clustering, metric, and means over images.

    "cdrop" is over the classes that have rivals under that clustering, "same-map" the correlation of a class's map with
    the latent tree's.
    """
    found = experiment.whole_output_scores(study, "clusterings")
    keys = ["network", "index", "clustering", "metric"]
    means = found.groupby(keys, as_index=False, sort=False)["value"].mean()
    rows = summary(means.rename(columns={"network": "seed"}), by=["metric", "clustering"])
    order = {name: place for place, name in enumerate(found["clustering"].unique())}
    return rows.sort_values(["metric", "clustering"], key=lambda names: names.map(lambda name: order.get(name, name)))


def epsilons(study: Study, base: str, n: int) -> pd.DataFrame:
    """What ε in Equation 2 does to CWOX-2s, on the first ``n`` images of the first network; computed when asked for.

    Returns:
        Rows epsilon, degenerate (maps without a positive value), maps, and means of CDROP over images.
    """
    explained = study.networks[0]
    settings = experiment.base_of(study, explained, base)
    images = explained.subject.images.subset(list(range(min(n, len(explained.subject.images)))))
    outputs = outputs_of(explained, images)
    clusters = [confusion_clusters(experiment.partition(explained.corpus), top) for top in outputs.top]
    found = compare_epsilons(
        explained.subject.network,
        Images(outputs.x, outputs.images.index.to(outputs.x.device), clusters),
        settings,
        EPSILONS,
        n_classes=outputs.probabilities.shape[1],
        steps=study.run.whole_output.contrast_steps,
    )
    empty = found[found["metric"] == "degenerate"].groupby("epsilon")["value"].agg(degenerate="sum", maps="size")
    means = found[found["metric"] == "cdrop"].groupby(["epsilon", "index"], as_index=False)["value"].mean()
    return summary(means.assign(seed=0), by=["epsilon"]).merge(empty.astype(int).reset_index(), on="epsilon")


def part_energy(study: Study) -> pd.DataFrame:
    """Share of a map's energy in the planted part that tells look-alikes apart: base, method, and means over images.

    Without rows where the images have no such part, or no output has both look-alikes in one cluster.
    """
    found = of_pairs(study)
    found = found[found["metric"] == "part-energy"].dropna(subset="value")
    if found.empty:
        return pd.DataFrame(columns=["base", "method", "mean", "low", "high", "n_images"])
    return in_order(summary(of_images(found), by=["base", "method"]))


def shares_of_the_gain(study: Study) -> pd.DataFrame:
    """Is it two stages, or finer maps? CWOX-2s against 1sA, and what 1sA gains by the second stage's maps alone.

    Returns:
        Rows metric, model, base, step ("finer maps": 1sA-fine less 1sA; "own rivals and region": 2s less 1sA-fine),
        and difference, low, high (95 %, over images; above 0 is better), n_images.
    """
    found = of_pairs(study)
    steps = (("finer maps", FINE, "cwox-1sa"), ("own rivals and region", CONTRASTIVE, FINE))
    rows = []
    for metric, sign in (("cauc", -1), ("cdrop", 1)):
        for (model, base), group in found.groupby(["model", "base"], sort=False):
            for step, a, b in steps:
                both = paired(group, metric, "method", a, b)
                one = paired_comparison(both, metric=metric, a=a, b=b, between="method", unit="image")
                low, high = sorted((sign * one.low, sign * one.high))
                numbers = {"difference": sign * one.difference, "low": low, "high": high, "n_images": one.n_images}
                rows.append({"metric": metric, "model": model, "base": base, "step": step, **numbers})
    return in_order(pd.DataFrame(rows))


def variants(study: Study) -> pd.DataFrame:
    """The paper's equations and the released code on the same images: metric, model, base, method, paper, released."""
    columns = {}
    for variant in ("paper", "released"):
        found = of_pairs(study, variant)
        found = found[found["metric"].isin(("cauc", "cdrop")) & found["method"].isin(METHODS)]
        columns[variant] = of_images(found).groupby(["metric", "model", "base", "method"])["value"].mean()
    return in_order(pd.DataFrame(columns).reset_index())
