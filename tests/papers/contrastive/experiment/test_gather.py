import itertools

import pandas as pd
import torch

from xai_lib.papers.contrastive import experiment
from xai_lib.run import settings


def test_scores_hold_every_network_and_method(smoke_run):
    scores = experiment.scores(smoke_run)
    assert list(scores.columns) == ["loss", "seed", "method", "index", "metric", "value"]
    found = set(scores[["loss", "seed", "method"]].itertuples(index=False, name=None))
    assert found == set(itertools.product(settings.LOSSES, [0], settings.METHODS))
    one = scores[(scores["loss"] == "tl") & (scores["method"] == "eigen-cam")]
    expected = experiment.scored(smoke_run, "tl", 0, "eigen-cam")
    pd.testing.assert_frame_equal(one[expected.columns].reset_index(drop=True), expected)


def test_curves_are_means_over_images_without_the_undefined(smoke_run, monkeypatch):
    curves = torch.tensor([[0.8, 0.4], [0.4, 0.0], [float("nan")] * 2])
    monkeypatch.setattr(
        "xai_lib.papers.contrastive.experiment.gather.curve", lambda *which: (curves, torch.tensor([0.0, 1.0]))
    )
    found = experiment.curves(smoke_run)
    assert len(found) == 3 * 2 * 2
    one = found[(found["loss"] == "scl") & (found["method"] == "grad-cam")]
    assert one["fraction"].tolist() == [0, 1]
    torch.testing.assert_close(torch.tensor(one["probability"].to_numpy()), torch.tensor([0.6, 0.2]))
    assert set(found["seed"]) == {0}


def test_predictions_hold_every_test_image_of_every_network(smoke_run):
    found = experiment.predictions(smoke_run)
    assert len(found) == 3 * 40 and found["correct"].dtype == bool
    for loss in settings.LOSSES:
        outputs = experiment.predicted(smoke_run, loss, 0)
        rows = found[found["loss"] == loss]
        assert rows["index"].tolist() == outputs.index.tolist()
        assert rows["correct"].sum() == int((outputs.logits.argmax(dim=1) == outputs.labels).sum())
        assert torch.equal(torch.tensor(rows["confidence"].to_numpy()), outputs.logits.softmax(dim=1).amax(dim=1))
