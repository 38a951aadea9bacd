import runpy
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from xai_lib.papers.whole_output import experiment

DOCUMENTS = [[0], [0, 1], [1, 0, 2], [3, 2], [4], [2, 3, 0, 1]]
PARTITION = [[0, 1], [2, 3], [4]]


@pytest.fixture(scope="session")
def made_up():
    """The functions of made_up.py."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("made_up.py"))))


@pytest.fixture(scope="session")
def top_of():
    """Function (probabilities of all classes) -> the top ones, ranked, taken one at a time until there is enough."""

    def top(row, cumulative=0.95, at_most=5):
        ranked, found = sorted(range(len(row)), key=lambda label: (-row[label], label)), []
        while len(found) < min(len(row), at_most) and not sum(row[label] for label in found) > cumulative:
            found.append(ranked[len(found)])
        return found

    return top


@pytest.fixture(scope="session")
def grouped():
    """Function (partition, top classes) -> confusion clusters, those of the most probable classes first."""

    def clusters(partition, top):
        groups = [[label for label in top if label in cluster] for cluster in partition]
        return sorted(filter(None, groups), key=lambda group: top.index(group[0]))

    return clusters


@pytest.fixture
def study_of(made_up, monkeypatch):
    """Function (frames of made_up.py, networks, corpus) -> a study that has these scores."""

    def build(frames, networks=made_up.OURS, corpus=None):
        monkeypatch.setattr(experiment, "whole_output_scores", lambda study, part: frames[part])
        monkeypatch.setattr(experiment, "whole_outputs", lambda study: frames["outputs"])
        return made_up.study(networks, corpus)

    return build


@pytest.fixture
def frames(made_up):
    """Those of two trainings with four images, of which the first and the last have five pairs, the others two."""
    return made_up.frames(n_images=4)


@pytest.fixture
def corpus_of(monkeypatch):
    """Function (documents, clusters, classes, other clusterings, stability) -> a corpus of which cells say this."""

    def build(documents=DOCUMENTS, partition=PARTITION, classes=tuple("abcde"), clusterings=None, stability=()):
        frame = pd.DataFrame(stability, columns=["clustering", "what", "ari"])
        monkeypatch.setattr(experiment, "partition", lambda corpus: partition)
        monkeypatch.setattr(experiment, "clusterings_of", lambda corpus, repeats: clusterings)
        monkeypatch.setattr(experiment, "stability_of", lambda corpus, repeats: frame)
        return experiment.Corpus("five letters", classes, "key", (), lambda: documents)

    return build
