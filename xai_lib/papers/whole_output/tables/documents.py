"""Tables of documents and their clusters."""

import numpy as np
from IPython.display import HTML

from xai_lib.page.table import Column, number, part_of, show, text
from xai_lib.papers.whole_output.analysis import clusters
from xai_lib.papers.whole_output.experiment import Corpus
from xai_lib.run.study import Study

_CLUSTERING = text("clustering", "clustering")
_WHAT = {"halves": "two halves of the documents", "bootstrap": "all documents, resampled", "seeds": "other seeds of EM"}
_CORPORA = [
    text("documents of", "network"),
    Column("images", "documents"),
    Column("of one class", "of_one"),
    Column("classes in the others, mean", "mean_length", number(2)),
    *(Column(name, name) for name in ("longest", "clusters", "largest")),
    Column("classes alone", "alone"),
]


def corpora(study: Study) -> HTML:
    """Documents and clusters of each network."""
    rows = clusters.corpora({explained.name: explained.corpus for explained in study.networks})
    caption = f"Documents and level-1 clusters: {study.run.label}, training images."
    return show(rows, _CORPORA, caption, name="corpora")


def corpus(one: Corpus) -> HTML:
    """Documents and clusters of one collection."""
    return show(clusters.corpora({one.label: one}), _CORPORA, "Documents and level-1 clusters.", name="corpus")


def strongest(one: Corpus) -> HTML:
    """The clusters that hold most documents together."""
    together = Column("documents with two or more of them", "documents")
    columns = [Column("classes", "classes", kind="long"), Column("size", "size"), together]
    caption = f"The clusters with most documents: {one.label}."
    return show(clusters.strongest(one, 20), columns, caption, name="strongest")


def paper_examples(one: Corpus, steps: np.ndarray | None = None) -> HTML:
    """Are the paper's examples of confusing classes in one cluster? And how far apart does WordNet have them?"""

    def found(together: int, size: int) -> str:
        return "yes" if together == size else "no" if together == 1 else part_of(together, size)

    columns = [text("classes", "classes"), text("in the paper", "section")]
    columns.append(text("in one cluster here", ("together", "size"), found))
    if steps is not None:
        columns.append(Column("steps in WordNet (pairs as near, %)", ("steps", "nearer"), _steps))
    caption = f"Classes that the paper has confused with each other: {one.label}."
    return show(clusters.paper_examples(one, steps), columns, caption, name="examples")


def against_wordnet(one: Corpus, steps: np.ndarray) -> HTML:
    """How far apart in WordNet are classes of one cluster?"""
    columns = [
        *(text("clusters of", "clustering"), Column("clusters", "clusters"), Column("pairs in one cluster", "pairs")),
        Column("steps in WordNet, median", "steps", number(0)),
        Column("siblings (%)", "siblings", number(1, times=100)),
        Column("ARI with WordNet's", "ari", number(2)),
    ]
    caption = f"Pairs of classes in one cluster, by the steps between them in WordNet: {one.label}."
    return show(clusters.against_wordnet(one, steps), columns, caption, name="wordnet")


def _steps(steps: int, nearer: float) -> str:
    return f"{steps} ({number(1, times=100)(nearer)})"


def against_truth(study: Study) -> HTML:
    """Are the planted clusters found?"""
    columns = [
        *(text("network", "network"), _CLUSTERING, Column("ARI with the truth", "ari", number(2))),
        Column("planted pairs together", "pairs", "{} of 4".format),
        Column("and alone", "exact", "{} of 4".format),
        Column("clusters (truth: 6)", "clusters"),
    ]
    caption = "Planted, and found again or not: three look-alike pairs and a pair that keeps company."
    return show(clusters.against_truth(study), columns, caption, group=["network"])


def stability(one: Corpus, repeats: int) -> HTML:
    """How firm the clusters are."""
    columns = [_CLUSTERING, text("compared", "what", _WHAT), Column("repeats", "repeats")]
    ari = {"ARI, mean": "ari", "smallest": "low", "largest": "high"}
    columns += [Column(title, name, number(2)) for title, name in ari.items()]
    caption = f"Clusters made again: {one.label}."
    return show(clusters.stability(one, repeats), columns, caption, name="stability", group=["clustering"])


def clusterings(one: Corpus, repeats: int) -> HTML:
    """Other clusterings of the same documents, and what would change for images."""
    columns = [
        _CLUSTERING,
        *(Column(name, name) for name in ("clusters", "largest")),
        Column("ARI with the latent tree", "ari", number(2)),
        Column("images whose clusters change (%)", "changed", number(0, times=100)),
        Column("pairs put alike (%)", "together", number(0, times=100)),
    ]
    caption = f"Other clusterings of the same documents: {one.label}."
    return show(clusters.clusterings(one, repeats), columns, caption, name="clusterings")
