import math

import numpy as np
import pytest
import torch

from xai_lib import explainers, metrics
from xai_lib.explainers import normalise
from xai_lib.metrics import completeness
from xai_lib.papers.saliency.method import TARGETS, Explained, fidelity, lineup, raw_maps, step_size

MASKED = ("average-increase", "average-drop", "average-gain", "local-accuracy", "local-accuracy-logit")
OF_EACH_TARGET = {"probability", *MASKED, "insertion", "deletion"}
OF_THE_TRUE_CLASS = {"completeness", "completeness-quantus", "sparseness", "complexity", "effective-complexity"}
OF_THE_TRUE_CLASS |= {"pointing-game", "attribution-localisation"}
READINGS = {
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


def column(frame, metric, target="ground-truth", reading="absolute"):
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
    paper = frame[frame["reading"] == "absolute"]
    assert {target: set(rows["metric"]) for target, rows in paper.groupby("target")} == {
        "ground-truth": OF_EACH_TARGET | OF_THE_TRUE_CLASS,
        "predicted": OF_EACH_TARGET,
        "least-probable": OF_EACH_TARGET,
    }
    of_each = paper.groupby(["target", "metric"])["index"].agg(list)
    assert all(found == images.index.tolist() for found in of_each)
    others = frame[~frame["reading"].isin(lineup.READINGS)]
    assert {reading: set(rows["metric"]) for reading, rows in others.groupby("reading")} == READINGS
    assert set(others["target"]) == {"ground-truth"}
    of_each = others.groupby(["reading", "metric"])["index"].agg(list)
    assert all(found == images.index[:2].tolist() for found in of_each)


@pytest.mark.parametrize(
    ("reading", "scale"),
    [
        ("absolute", lambda raw: normalise.min_max(raw.abs().amax(1))),
        ("signed", normalise.min_max_colours),
    ],
)
def test_scores_of_the_gradient_are_those_of_its_maps_made_by_hand(subject, images, x, targets, reading, scale):
    frame = scored(subject, images, "gradient", causal_steps=3)
    for name, target in targets.items():
        raw = explainers.get("gradient")(subject.network, x, score=explainers.class_score(target))
        maps = scale(raw)
        order = {"index": images.index, "step": math.ceil(32 * 32 / 3)}
        probability = subject.network(x).softmax(1).gather(1, target[:, None])[:, 0].detach()
        same(column(frame, "probability", name, reading), images.index, probability)
        for metric in (*MASKED, "insertion", "deletion"):
            further = {} if metric in MASKED else order
            expected = metrics.get(metric)(subject.network, x, maps, target, **further)
            same(column(frame, metric, name, reading), images.index, expected)
        if name == "ground-truth":
            for metric in ("sparseness", "complexity", "effective-complexity"):
                same(column(frame, metric, reading=reading), images.index, metrics.get(metric)(maps))
            for metric in ("pointing-game", "attribution-localisation"):
                expected = metrics.get(metric)(maps, images.masks["object"])
                same(column(frame, metric, reading=reading), images.index, expected)


@pytest.mark.parametrize(("method", "both"), [("lime", True), ("grad-cam", False), ("edge-map", False)])
def test_only_methods_whose_maps_differ_are_scored_twice(subject, images, method, both):
    frame = scored(subject, images, method, n_readings=0)
    assert set(frame["reading"]) == ({*lineup.READINGS} if both else {"absolute"})
    if both:
        drops = [column(frame, "average-drop", reading=reading) for reading in lineup.READINGS]
        assert (drops[0] != drops[1]).any()


def test_other_readings_change_one_thing_each(subject, images, x):
    frame = scored(subject, images, "grad-cam", n_readings=5)
    labels, index, network = images.labels, images.index, subject.network
    raw = explainers.get("grad-cam")(network, x, score=explainers.class_score(labels), layer="3", upsample=False)
    for reading, metric, how, changed in (
        ("ranks", "average-drop", "rank", {}),
        *(("ties from the top", metric, "absolute", {"ties": "stable"}) for metric in ("insertion", "deletion")),
        *(("ties from the bottom", metric, "absolute", {"ties": "reversed"}) for metric in ("insertion", "deletion")),
        *(("black", name, "absolute", {"baseline": "minimum"}) for name in ("average-gain", "insertion", "deletion")),
        ("mean colour", "insertion", "absolute", {"baseline": "zero"}),
        ("blur", "deletion", "absolute", {"baseline": "blur"}),
    ):
        maps = normalise.unit_maps(raw, "grad-cam", (32, 32), how)
        order = {} if metric in MASKED else {"index": index, "step": 256}
        expected = metrics.get(metric)(network, x, maps, labels, **order, **changed)
        same(column(frame, metric, reading=reading), index, expected)


def gaps(subject, images, method):
    return column(scored(subject, images, method, n_readings=0), "completeness")


@pytest.mark.parametrize(("method", "atol"), [("hires-cam", 1e-4), ("xgrad-cam", 1e-4), ("integrated-gradients", 0.05)])
def test_a_method_that_is_complete_by_its_own_paper_has_no_gap(subject, images, method, atol):
    """The network behind the layer, a mean and a linear map, is linear: XGrad-CAM and HiRes-CAM are complete there."""
    assert gaps(subject, images, method).max() < atol


def test_relevance_is_held_against_the_logit_itself(subject, images, x):
    raw = explainers.get("lrp")(subject.network, x, score=explainers.class_score(images.labels))
    logits = subject.network(x).detach().gather(1, images.labels[:, None])[:, 0]
    same(gaps(subject, images, "lrp"), images.index, ((raw.sum((1, 2, 3)) - logits) / logits).abs())


@pytest.mark.parametrize("method", ["grad-cam", "gradient", "rise", "lime", "iba", "uniform"])
def test_a_method_that_claims_no_sum_of_logits_has_no_gap_to_show(subject, images, method):
    assert gaps(subject, images, method).isna().all()


def test_equality_is_asked_of_scaled_maps_as_in_print(subject, images, x):
    """At 32 pixels a map in [0, 1] adds up to a hundred and more; the logits differ by a few."""
    found = column(scored(subject, images, "integrated-gradients", n_readings=0), "completeness-quantus")
    maps = Explained(subject, "integrated-gradients").maps(x, images.labels, images.index)
    same(found, images.index, completeness.completeness_quantus(subject.network, x, maps, images.labels))
    difference = completeness.logit_difference(subject.network, x, images.labels)
    assert (found == 0).all() and (maps.sum((1, 2)) > 10 * difference.abs()).all()


def test_maps_that_know_no_class_are_the_same_for_every_target(subject, images):
    frame = scored(subject, images, "fake-cam", n_readings=0)
    assert set(frame["reading"]) == {"absolute"}
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
