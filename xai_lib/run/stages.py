"""The stages of a run and the version of each one's code.

A cell's key holds the version of its stage. A test hashes all that a stage imports, directly or through others:
code that changes what a stage computes without a new version fails it, so that no stored result outlives its code.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """Version of a stage's code, and the module (dotted name below ``xai_lib``) whose function computes it."""

    version: int
    module: str


STAGES = {
    "train": Stage(1, "run.train"),
    "tune": Stage(1, "run.tune"),
    "predict": Stage(1, "papers.contrastive.experiment.predict"),
    "explain": Stage(1, "papers.contrastive.experiment.explain"),
    "score": Stage(1, "papers.contrastive.experiment.score"),
    "saliency": Stage(1, "papers.saliency.experiment"),
    "documents": Stage(1, "papers.whole_output.experiment.documents"),
    "latent-tree": Stage(1, "papers.whole_output.experiment.documents"),
    "stability": Stage(1, "papers.whole_output.experiment.documents"),
    "whole-output": Stage(1, "papers.whole_output.experiment.explanations"),
    "dominance": Stage(1, "papers.dominance.experiment.dominance"),
    "rarity": Stage(1, "papers.dominance.experiment.rarity"),
}
