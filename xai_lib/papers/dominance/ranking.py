"""What :func:`xai_lib.foreign.rank_clusters` returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from xai_lib.page.names import LETTERS
from xai_lib.papers.dominance import figures
from xai_lib.papers.dominance.method import matrix as matrices


@dataclass(frozen=True, eq=False)
class ClusterRanking:
    """The clusters of a class, by how much of a network's attention they take from each other.

    Attributes:
        title: the class.
        hierarchy: a row a cluster, the most dominant first: letter (as in the figures), images (their number), and the
            columns of :func:`method.hierarchy.hierarchy`. Cluster 0, or A, has the most images.
        pairs: a row a pair of clusters, see :func:`method.matrix.pairs`.
        matrix: dominance of a row's cluster over a column's, by number, float64 [P,P] in [0,1].
        assigned: cluster of each image, int64 [N].
        representatives: of each cluster up to eight images, nearest to its centre first: files, or positions.
        shares: how frequent each cluster is among the training images, see :func:`method.share.shares`;
            None without training images.
        recognised: share of the images whose highest logit is that of the class. If it is near 0, look at the class
            number and the colour statistics.
        pictures: those of the representatives, cluster's letter and size -> float [up to 8,3,H,W] in [0,1].
        examples: the first four mosaics of the pair of clusters that is furthest from 0.5.
    """

    title: str
    hierarchy: pd.DataFrame
    pairs: pd.DataFrame
    matrix: np.ndarray
    assigned: Tensor
    representatives: list[list[Path | int]]
    shares: pd.DataFrame | None
    recognised: float
    pictures: Mapping[str, Tensor]
    examples: Sequence[figures.Shown]

    def figures(self) -> dict[str, Figure]:
        """The figures "matrix" (Figure 2 of the paper, top), "representatives" and "mosaics" (bottom).

        With :func:`xai_lib.figures.use_style` before, they look as in the book.
        """
        both = self.matrix, matrices.matrix(self.pairs, "p_t_holm")
        return {
            "matrix": figures.dominance_matrices({self.title: both}, LETTERS[: len(self.matrix)]),
            "representatives": figures.representatives(self.pictures),
            "mosaics": figures.mosaics(self.examples),
        }
