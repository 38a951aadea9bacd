import math

import numpy as np
import pytest
import torch

from xai_lib import explainers, metrics
from xai_lib.explainers import cams, normalise
from xai_lib.metrics import completeness
from xai_lib.papers.saliency.method import TARGETS, Explained, fidelity, raw_maps, step_size

MASKED = ("average-increase", "average-drop", "average-gain", "local-accuracy", "local-accuracy-logit")
OF_EACH_TARGET = {"probability", *MASKED, "insertion", "deletion"}
OF_THE_TRUE_CLASS = {"completeness", "completeness-quantus", "sparseness", "complexity", "effective-complexity"}
OF_THE_TRUE_CLASS |= {"pointing-game", "attribution-localisation"}
READINGS = {
    "absolute values": {*MASKED, "insertion", "deletion"},
    "ranks": set(MASKED),
    "ties from the top": {"insertion", "deletion"},
    "ties from the bottom": {"insertion", "deletion"},
    "black": {*MASKED, "insertion", "deletion"},
    "mean colour": {"insertion"},
    "blur": {"deletion"},
}


def scored(subject, images, method, n_readings=3, causal_steps=4):
    explained = Explained(subject, method)
    stored = raw_maps(explained, images)
    return fidelity(explained, images, stored, causal_steps=causal_steps, n_readings=n_readings)


def column(frame, metric, target="ground-truth", reading="paper"):
    rows = frame[(frame["metric"] == metric) & (frame["target"] == target) & (frame["reading"] == reading)]
    return rows.set_index("index")["value"]


def same(found, index, expected):
    assert found.index.tolist() == index.tolist()
    np.testing.assert_allclose(found.to_numpy(), expected.double().numpy(), rtol=1e-5, atol=1e-6)


@pytest.fixture
def targets(subject, images, x):
    with torch.no_grad():
        logits = subject.network(x)
    return dict(zip(TARGETS, (images.labels, logits.argmax(1), logits.argmin(1))))


def test_every_target_and_reading_has_its_metrics_for_its_images(subject, images):
    frame = scored(subject, images, "grad-cam", n_readings=2)
    assert list(frame.columns) == ["index", "metric", "value", "target", "reading"]
    assert not frame.duplicated(["index", "metric", "target", "reading"]).any()
    paper = frame[frame["reading"] == "paper"]
    assert {target: set(rows["metric"]) for target, rows in paper.groupby("target")} == {
        "ground-truth": OF_EACH_TARGET | OF_THE_TRUE_CLASS,
        "predicted": OF_EACH_TARGET,
        "least-probable": OF_EACH_TARGET,
    }
    of_each = paper.groupby(["target", "metric"])["index"].agg(list)
    assert all(found == images.index.tolist() for found in of_each)
    others = frame[frame["reading"] != "paper"]
    assert {reading: set(rows["metric"]) for reading, rows in others.groupby("reading")} == READINGS
    assert set(others["target"]) == {"ground-truth"}
    of_each = others.groupby(["reading", "metric"])["index"].agg(list)
    assert all(found == images.index[:2].tolist() for found in of_each)


def test_scores_of_the_gradient_are_those_of_its_maps_made_by_hand(subject, images, x, targets):
    frame = scored(subject, images, "gradient", causal_steps=3)
    for name, target in targets.items():
        raw = explainers.get("gradient")(subject.network, x, score=explainers.class_score(target))
        maps = normalise.min_max_colours(raw)
        order = {"index": images.index, "step": math.ceil(32 * 32 / 3)}
        probability = subject.network(x).softmax(1).gather(1, target[:, None])[:, 0].detach()
        same(column(frame, "probability", name), images.index, probability)
        for metric in (*MASKED, "insertion", "deletion"):
            further = {} if metric in MASKED else order
            expected = metrics.get(metric)(subject.network, x, maps, target, **further)
            same(column(frame, metric, name), images.index, expected)
        if name == "ground-truth":
            expected = metrics.get("completeness")(subject.network, x, raw, target)
            same(column(frame, "completeness"), images.index, expected)
            for metric in ("sparseness", "complexity", "effective-complexity"):
                same(column(frame, metric), images.index, metrics.get(metric)(maps))
            for metric in ("pointing-game", "attribution-localisation"):
                same(column(frame, metric), images.index, metrics.get(metric)(maps, images.masks["object"]))


def test_other_readings_change_one_thing_each(subject, images, x):
    frame = scored(subject, images, "grad-cam", n_readings=5)
    labels, index, network = images.labels, images.index, subject.network
    raw = explainers.get("grad-cam")(network, x, score=explainers.class_score(labels), layer="3", upsample=False)
    for reading, metric, how, changed in (
        ("absolute values", "average-drop", "absolute", {}),
        ("absolute values", "insertion", "absolute", {}),
        ("ranks", "average-drop", "rank", {}),
        *(("ties from the top", metric, "paper", {"ties": "stable"}) for metric in ("insertion", "deletion")),
        *(("ties from the bottom", metric, "paper", {"ties": "reversed"}) for metric in ("insertion", "deletion")),
        *(("black", name, "paper", {"baseline": "minimum"}) for name in ("average-gain", "insertion", "deletion")),
        ("mean colour", "insertion", "paper", {"baseline": "zero"}),
        ("blur", "deletion", "paper", {"baseline": "blur"}),
    ):
        maps = normalise.unit_maps(raw, "grad-cam", (32, 32), how)
        order = {} if metric in MASKED else {"index": index, "step": 256}
        expected = metrics.get(metric)(network, x, maps, labels, **order, **changed)
        same(column(frame, metric, reading=reading), index, expected)


def test_completeness_is_of_the_raw_map_on_the_images_pixels(subject, images, x):
    frame = scored(subject, images, "grad-cam")
    raw = explainers.get("grad-cam")(
        subject.network, x, score=explainers.class_score(images.labels), layer="3", upsample=False
    )
    expected = completeness.completeness(subject.network, x, cams.upsample(raw, (32, 32)), images.labels)
    same(column(frame, "completeness"), images.index, expected)


def test_maps_that_know_no_class_are_the_same_for_every_target(subject, images):
    frame = scored(subject, images, "fake-cam", n_readings=0)
    assert set(frame["reading"]) == {"paper"}
    assert set(frame["target"]) == set(TARGETS)
    low = column(frame, "probability", "least-probable")
    assert (low < column(frame, "probability", "predicted")).all()
    assert column(frame, "average-drop").notna().all()


def test_images_without_masks_have_no_localisation(subject, images):
    bare = images.subset([0, 1])
    object.__setattr__(bare, "masks", {})
    found = set(scored(subject, bare, "gradient", n_readings=0)["metric"])
    assert found == (OF_EACH_TARGET | OF_THE_TRUE_CLASS) - {"pointing-game", "attribution-localisation"}


@pytest.mark.parametrize(("side", "steps", "step"), [(32, 8, 128), (32, 3, 342), (224, 224, 224), (4, 100, 1)])
def test_there_are_at_most_the_steps_asked_for(side, steps, step):
    assert step_size(torch.zeros(1, 3, side, side), steps) == step
