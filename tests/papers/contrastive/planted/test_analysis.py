import pandas as pd
import pytest

from xai_lib.data import planted
from xai_lib.papers.contrastive.planted import analysis as results


def row(label, predicted, *, variant=results.ORIGINAL, rare=False):
    given = {"loss": "ce", "seed": 0, "variant": variant, "label": label, "predicted": predicted}
    return given | {"rare": rare, "correct": label == predicted, "confidence": 0.5}


@pytest.fixture
def found():
    rows = [
        row("cat", "rabbit", rare=True),
        row("cat", "cat"),
        row("cat", "rabbit"),
        row("house", "tree"),
        row("sailboat", "sailboat"),
        row("sailboat", "car", variant="shortcut-absent"),
        row("car", "sailboat", variant="shortcut-swapped"),
        row("car", "car", variant="corrupted"),
        row("cat", "car", variant="corrupted"),
    ]
    return pd.DataFrame([given | {"index": index} for index, given in enumerate(rows)])


def test_each_question_counts_the_images_it_names(found):
    mean = results.questions(found).set_index("question")["mean"]
    assert mean["all test images"] == pytest.approx(2 / 5)
    assert mean["look-alike classes"] == pytest.approx(1 / 3)
    assert mean["modes that are rare in training"] == 0
    assert mean["common modes of classes with a rare one"] == pytest.approx(1 / 2)
    assert mean["sailboat, with the shortcut"] == 1
    assert mean["sailboat, shortcut absent"] == 0
    assert mean["car, with the shortcut of sailboat"] == 0
    assert mean["corrupted images"] == pytest.approx(1 / 2)


def test_mistakes_are_counted_by_pair_and_named_as_planted(found):
    mistaken = results.mistaken(found).set_index("pair")
    assert mistaken.loc["cat – rabbit"].tolist() == [pytest.approx(2 / 3), "look-alikes"]
    assert mistaken.loc["house – tree"].tolist() == [pytest.approx(1 / 3), "appear together"]
    assert len(mistaken) == 2


def test_outcomes_cover_every_network_image_and_variant(smoke_run):
    found = results.outcomes(smoke_run)
    assert len(found) == 3 * len(smoke_run.seeds) * smoke_run.networks.n_test * len(results.VARIANTS)
    assert set(found["label"]) <= set(planted.CLASSES)
    assert ((found["label"] == found["predicted"]) == found["correct"]).all()
    confidence = results.confidence(found, smoke_run)
    assert len(confidence) == 9 and confidence["confidence"].between(0.1, 1).all()
