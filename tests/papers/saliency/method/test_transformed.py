import numpy as np
import pytest

from xai_lib import explainers, metrics
from xai_lib.data import transforms
from xai_lib.explainers import normalise
from xai_lib.metrics import causal
from xai_lib.papers.saliency.method import Explained, transformed


def test_every_transform_and_setting_is_scored_for_every_image(subject, images):
    frame = transformed(Explained(subject, "uniform"), images, causal_steps=2)
    assert list(frame.columns) == ["index", "metric", "value", "transform", "setting", "reading"]
    assert not frame.duplicated(["index", "metric", "transform", "setting"]).any()
    found = {name: tuple(rows["setting"].unique()) for name, rows in frame.groupby("transform")}
    assert found == transforms.TRANSFORMS
    counts = frame.groupby(["transform", "setting", "metric"])["index"].agg(tuple)
    assert len(counts) == 16 * 8 and set(counts) == {tuple(images.index.tolist())}


@pytest.mark.parametrize(
    ("reading", "scale"),
    [("absolute", lambda raw: normalise.min_max(raw.abs().amax(1))), ("signed", normalise.min_max_colours)],
)
def test_scores_are_those_of_the_changed_images_own_maps(subject, images, reading, scale):
    frame = transformed(Explained(subject, "gradient"), images, causal_steps=4)
    for name, setting in (("rotation", 45.0), ("mixup", 0.4)):
        changed = transforms.apply(images, name, setting)
        x = changed.normalise(changed.images)
        assert not np.allclose(x, images.normalise(images.images))
        raw = explainers.get("gradient")(subject.network, x, score=explainers.class_score(images.labels))
        maps = scale(raw)
        expected = {
            "average-drop": metrics.get("average-drop")(subject.network, x, maps, images.labels),
            "insertion": causal.insertion(subject.network, x, maps, images.labels, index=images.index, step=256),
            "probability": subject.network(x).softmax(1).gather(1, images.labels[:, None])[:, 0].detach(),
        }
        rows = frame[(frame["reading"] == reading) & (frame["transform"] == name) & (frame["setting"] == setting)]
        for metric, values in expected.items():
            found = rows[rows["metric"] == metric]
            assert found["index"].tolist() == images.index.tolist()
            np.testing.assert_allclose(found["value"], values.double(), rtol=1e-5, atol=1e-6, err_msg=metric)
