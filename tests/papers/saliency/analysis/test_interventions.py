"""Methods and metrics against interventions, on made-up scores and on drawn images."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from xai_lib.data import planted
from xai_lib.explainers.subject import Subject
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency.analysis import interventions
from xai_lib.papers.saliency.method import lineup
from xai_lib.papers.saliency.method.interventions import METRICS
from xai_lib.papers.saliency.tables import interventions as shown
from xai_lib.run.settings import Study, settings


@pytest.fixture
def frames(made_up):
    """Methods agree with the interventions in the order of the line-up, and have that order under insertion alone."""
    frames = made_up.frames(n_images=12)
    keys = frames["fidelity"][["seed", "method", "index"]].drop_duplicates()
    found = [keys.assign(metric=metric, value=0.0, reading="absolute") for metric in METRICS]
    frames["interventions"] = pd.concat(found, ignore_index=True)
    for place, method in enumerate(lineup.ALL):
        made_up.add(frames["interventions"], 0.5 - 0.04 * place, method=method, metric=METRICS[0])
        made_up.add(frames["fidelity"], -10 * place, method=method, metric="insertion")
        made_up.add(frames["fidelity"], -10 * place, method=method, metric="deletion")
    return frames


def test_methods_stand_in_the_order_of_their_agreement(study_of, frames):
    found = interventions.of_methods(study_of(frames))
    assert found["method"].drop_duplicates().tolist() == [m for m in lineup.ALL if m in set(found["method"])]
    first = found[(found["method"] == lineup.ALL[0]) & (found["metric"] == METRICS[0])].iloc[0]
    assert first["mean"] == pytest.approx(0.5) and first["low"] <= 0.5 <= first["high"]


def test_a_metric_that_ranks_methods_as_interventions_do_has_tau_one(study_of, frames):
    found = interventions.of_metrics(study_of(frames))
    found = found[found["measure"] == METRICS[0]].set_index(["metric", "among"])["tau"]
    for who in ("all", "informed"):
        assert found["insertion", who] == pytest.approx(1)
        assert found["deletion", who] == pytest.approx(-1)  # of which less is better
        assert abs(found["average-gain", who]) < 0.9


def test_tables_show_every_method_and_metric(study_of, frames, read):
    study = study_of(frames)
    methods, metrics = read(shown.methods(study)), read(shown.metrics(study))
    assert len(methods) == len(study.methods)
    assert methods["method"].str.endswith(" (uninformed)").sum() == len(lineup.UNINFORMED)
    assert metrics["metric"].iloc[0] == "I ↑" and metrics.iloc[0, 1] == "1.00"


def test_elements_and_examples_are_of_the_networks_own_images(read):
    torch.manual_seed(0)
    images = planted.generate(40, "test", size=32)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 10)).eval()
    subject = Subject(lambda: network, "key", (), None, images, lambda: images, torch.device("cpu"))
    study = Study(settings(scale="smoke", device="cpu"), (subject,), ("gradient",))
    worth = interventions.worth(study)
    assert set(worth["metric"]) == set(planted.ELEMENTS) and worth["value"].notna().all()
    again = planted.redrawn(images, "body-absent")
    with torch.no_grad():
        logits = network(images.normalise(images.images)) - network(images.normalise(again.images))
    own = worth[worth["metric"] == "body"].set_index("index")["value"]
    assert own[7] == pytest.approx(logits[7, images.labels[7]].item(), rel=1e-4)
    rows = read(shown.elements(study))
    assert len(rows) == 5 and rows["images"].astype(int).max() == 40
    pictures, texts = interventions.example(study)
    assert len(pictures) == len(texts) and len(pictures) % 6 == 0
    assert {"cat", "sailboat"} <= set(texts[::6]) and all(text == "" or text[0] in "+-" for text in texts[1:6])


def test_images_that_were_not_drawn_have_no_interventions():
    images = planted.generate(20, "test", size=16)

    photographs = replace(images, name="folder")
    subject = Subject(lambda: torch.nn.Identity(), "key", (), None, photographs, lambda: images, torch.device("cpu"))
    study = Study(settings(scale="smoke", device="cpu"), (subject,), ("gradient",))
    assert experiment.part_cells(study, subject, "gradient", "interventions") == []
