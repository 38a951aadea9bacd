import numpy as np
import pandas as pd

from xai_lib import explainers, metrics
from xai_lib.data import transforms
from xai_lib.explainers import normalise
from xai_lib.metrics import causal
from xai_lib.papers.saliency.method import transformed


def test_every_transform_and_setting_is_scored_for_every_image(by, images):
    frame = transformed(by("uniform"), images, causal_steps=2)
    assert list(frame.columns) == ["index", "metric", "value", "transform", "setting"]
    assert not frame.duplicated(["index", "metric", "transform", "setting"]).any()
    found = {name: tuple(rows["setting"].unique()) for name, rows in frame.groupby("transform")}
    assert found == transforms.TRANSFORMS
    counts = frame.groupby(["transform", "setting", "metric"])["index"].agg(tuple)
    assert len(counts) == 16 * 8 and set(counts) == {tuple(images.index.tolist())}


def test_scores_are_those_of_the_changed_images_own_maps(subject, by, images):
    frame = transformed(by("gradient"), images, causal_steps=4)
    for name, setting in (("rotation", 45.0), ("mixup", 0.4)):
        changed = transforms.apply(images, name, setting)
        x = changed.normalise(changed.images)
        assert not np.allclose(x, images.normalise(images.images))
        raw = explainers.get("gradient")(subject.network, x, score=explainers.class_score(images.labels))
        maps = normalise.min_max_colours(raw)
        expected = {
            "average-drop": metrics.get("average-drop")(subject.network, x, maps, images.labels),
            "insertion": causal.insertion(subject.network, x, maps, images.labels, index=images.index, step=256),
            "probability": subject.network(x).softmax(1).gather(1, images.labels[:, None])[:, 0].detach(),
        }
        rows = frame[(frame["transform"] == name) & (frame["setting"] == setting)]
        for metric, values in expected.items():
            found = rows[rows["metric"] == metric]
            assert found["index"].tolist() == images.index.tolist()
            np.testing.assert_allclose(found["value"], values.double(), rtol=1e-5, atol=1e-6, err_msg=metric)


def test_rows_do_not_depend_on_the_batches(by, images, monkeypatch):
    def in_order(frame):
        return frame.sort_values(["transform", "setting", "metric", "index"], ignore_index=True)

    images = images.subset([0, 1, 2])
    whole = transformed(by("grad-cam"), images, causal_steps=2)
    monkeypatch.setitem(transformed.__globals__, "_BATCH", 2)
    parts = transformed(by("grad-cam"), images, causal_steps=2)
    pd.testing.assert_frame_equal(in_order(parts), in_order(whole), rtol=1e-4, atol=1e-6)
