import math

import numpy as np
import pandas as pd
import pytest
import torch

from xai_lib import explainers, metrics
from xai_lib.explainers import cams, normalise
from xai_lib.metrics import causal, completeness, complexity, effective_complexity, localisation
from xai_lib.papers.saliency.method import TARGETS, fidelity, raw_maps, step_size

MASKED = ("average-increase", "average-drop", "average-gain", "local-accuracy", "local-accuracy-logit")
OF_EACH_TARGET = {"probability", *MASKED, "insertion", "deletion"}
OF_THE_TRUE_CLASS = {
    "completeness",
    "completeness-quantus",
    "sparseness",
    "complexity",
    "effective-complexity",
    "pointing-game",
    "attribution-localisation",
}
READINGS = {
    "absolute values": {*MASKED, "insertion", "deletion"},
    "ranks": set(MASKED),
    "ties from the top": {"insertion", "deletion"},
    "ties from the bottom": {"insertion", "deletion"},
    "black": {*MASKED, "insertion", "deletion"},
    "mean colour": {"insertion"},
    "blur": {"deletion"},
}


@pytest.fixture
def scored(by):
    def score(images, method, settings=None, n_readings=3, causal_steps=4):
        explained = by(method, settings)
        stored = raw_maps(explained, images)
        return fidelity(explained, images, stored, causal_steps=causal_steps, n_readings=n_readings)

    return score


def column(frame, metric, target="ground-truth", reading="paper"):
    rows = frame[(frame["metric"] == metric) & (frame["target"] == target) & (frame["reading"] == reading)]
    return rows.set_index("index")["value"]


def same(found, index, expected):
    assert found.index.tolist() == index.tolist()
    np.testing.assert_allclose(found.to_numpy(), expected.double().numpy(), rtol=1e-5, atol=1e-6)


def sorted_rows(frame):
    return frame.sort_values(["target", "reading", "metric", "index"], ignore_index=True)


@pytest.fixture
def targets(subject, images, x):
    with torch.no_grad():
        logits = subject.network(x)
    return dict(zip(TARGETS, (images.labels, logits.argmax(1), logits.argmin(1))))


def test_every_target_and_reading_has_its_metrics_for_its_images(subject, scored, images):
    frame = scored(images, "grad-cam", n_readings=2)
    assert list(frame.columns) == ["index", "metric", "value", "target", "reading"]
    assert not frame.duplicated(["index", "metric", "target", "reading"]).any()
    paper = frame[frame["reading"] == "paper"]
    assert {target: set(rows["metric"]) for target, rows in paper.groupby("target")} == {
        "ground-truth": OF_EACH_TARGET | OF_THE_TRUE_CLASS,
        "predicted": OF_EACH_TARGET,
        "least-probable": OF_EACH_TARGET,
    }
    assert (
        paper.groupby(["target", "metric"])["index"].agg(list).map(lambda rows: rows == images.index.tolist())
    ).all()
    others = frame[frame["reading"] != "paper"]
    assert {reading: set(rows["metric"]) for reading, rows in others.groupby("reading")} == READINGS
    assert set(others["target"]) == {"ground-truth"}
    assert (
        others.groupby(["reading", "metric"])["index"].agg(list).map(lambda r: r == images.index[:2].tolist())
    ).all()


def test_scores_of_the_gradient_are_those_of_its_maps_made_by_hand(subject, scored, images, x, targets):
    frame = scored(images, "gradient", causal_steps=3)
    for name, target in targets.items():
        raw = explainers.get("gradient")(subject.network, x, score=explainers.class_score(target))
        maps = normalise.min_max_colours(raw)
        order = {"index": images.index, "step": math.ceil(32 * 32 / 3)}
        probability = subject.network(x).softmax(1).gather(1, target[:, None])[:, 0].detach()
        same(column(frame, "probability", name), images.index, probability)
        for metric in ("average-drop", "average-increase", "average-gain", "local-accuracy"):
            expected = metrics.get(metric)(subject.network, x, maps, target)
            same(column(frame, metric, name), images.index, expected)
        expected = causal.insertion(subject.network, x, maps, target, **order)
        same(column(frame, "insertion", name), images.index, expected)
        expected = causal.deletion(subject.network, x, maps, target, **order)
        same(column(frame, "deletion", name), images.index, expected)
        if name == "ground-truth":
            expected = completeness.completeness(subject.network, x, raw, target)
            same(column(frame, "completeness"), images.index, expected)
            same(column(frame, "sparseness"), images.index, complexity.sparseness(maps))
            same(column(frame, "complexity"), images.index, complexity.complexity(maps))
            same(column(frame, "effective-complexity"), images.index, effective_complexity.effective_complexity(maps))
            mask = images.masks["object"]
            same(column(frame, "pointing-game"), images.index, localisation.pointing_game(maps, mask))
            expected = localisation.attribution_localisation(maps, mask)
            same(column(frame, "attribution-localisation"), images.index, expected)


def test_other_readings_change_one_thing_each(subject, scored, images, x):
    frame = scored(images, "grad-cam", n_readings=5)
    labels, index, network = images.labels, images.index, subject.network
    raw = explainers.get("grad-cam")(network, x, score=explainers.class_score(labels), layer="3", upsample=False)
    maps = normalise.unit_maps(raw, "grad-cam", (32, 32))
    absolute = normalise.unit_maps(raw, "grad-cam", (32, 32), "absolute")
    by_rank = normalise.unit_maps(raw, "grad-cam", (32, 32), "rank")
    order = {"index": index, "step": 256}

    def found(metric, reading):
        return column(frame, metric, reading=reading)

    same(found("average-drop", "absolute values"), index, metrics.get("average-drop")(network, x, absolute, labels))
    same(found("insertion", "absolute values"), index, causal.insertion(network, x, absolute, labels, **order))
    same(found("average-drop", "ranks"), index, metrics.get("average-drop")(network, x, by_rank, labels))
    for reading, ties in (("ties from the top", "stable"), ("ties from the bottom", "reversed")):
        same(found("insertion", reading), index, causal.insertion(network, x, maps, labels, ties=ties, **order))
        same(found("deletion", reading), index, causal.deletion(network, x, maps, labels, ties=ties, **order))
    black = {"baseline": "minimum"}
    same(found("average-gain", "black"), index, metrics.get("average-gain")(network, x, maps, labels, **black))
    same(found("insertion", "black"), index, causal.insertion(network, x, maps, labels, **black, **order))
    same(found("deletion", "black"), index, causal.deletion(network, x, maps, labels, **black, **order))
    expected = causal.insertion(network, x, maps, labels, baseline="zero", **order)
    same(found("insertion", "mean colour"), index, expected)
    same(found("deletion", "blur"), index, causal.deletion(network, x, maps, labels, baseline="blur", **order))


def test_completeness_is_of_the_raw_map_on_the_images_pixels(subject, scored, images, x):
    frame = scored(images, "grad-cam")
    raw = explainers.get("grad-cam")(
        subject.network, x, score=explainers.class_score(images.labels), layer="3", upsample=False
    )
    expected = completeness.completeness(subject.network, x, cams.upsample(raw, (32, 32)), images.labels)
    same(column(frame, "completeness"), images.index, expected)


@pytest.mark.parametrize(("method", "settings"), [("grad-cam", {}), ("rise", {"n_masks": 5}), ("random", {})])
def test_rows_do_not_depend_on_the_batches(subject, scored, images, monkeypatch, method, settings):
    whole = scored(images, method, settings)
    monkeypatch.setitem(raw_maps.__globals__, "_BATCH", 2)
    parts = scored(images, method, settings)
    pd.testing.assert_frame_equal(sorted_rows(parts), sorted_rows(whole), rtol=1e-4, atol=1e-6)
    assert set(parts.loc[parts["reading"] == "ranks", "index"]) == set(images.index[:3].tolist())


def test_maps_that_know_no_class_are_the_same_for_every_target(subject, scored, images):
    frame = scored(images, "fake-cam", n_readings=0)
    assert set(frame["reading"]) == {"paper"}
    assert set(frame["target"]) == set(TARGETS)
    low = column(frame, "probability", "least-probable")
    assert (low < column(frame, "probability", "predicted")).all()
    assert column(frame, "average-drop").notna().all()


def test_images_without_masks_have_no_localisation(subject, scored, images):
    bare = images.subset([0, 1])
    object.__setattr__(bare, "masks", {})
    found = set(scored(bare, "gradient", n_readings=0)["metric"])
    assert found == (OF_EACH_TARGET | OF_THE_TRUE_CLASS) - {"pointing-game", "attribution-localisation"}


@pytest.mark.parametrize(("side", "steps", "step"), [(32, 8, 128), (32, 3, 342), (224, 224, 224), (4, 100, 1)])
def test_there_are_at_most_the_steps_asked_for(side, steps, step):
    assert step_size(torch.zeros(1, 3, side, side), steps) == step
