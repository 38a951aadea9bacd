import pytest
import torch

from xai_lib import data as datasets
from xai_lib import models
from xai_lib.explainers.subject import Subject
from xai_lib.papers.saliency.analysis import pictures
from xai_lib.papers.saliency.method import Explained, fidelity, lineup, raw_maps
from xai_lib.run.settings import Study, settings


@pytest.fixture(scope="module")
def subject():
    split = datasets.load("planted", "test", n=20)
    return Subject(
        load=lambda: models.build("resnet8", len(split.classes), width=4, seed=0).eval(),
        key="untrained",
        parents=(),
        layer=None,
        images=split,
        reference=lambda: split,
        device=torch.device("cpu"),
    )


@pytest.fixture
def study(subject):
    return Study(settings(scale="smoke", device="cpu"), (subject,))


def test_maps_are_of_the_first_image_of_each_class_for_its_own_class(study, subject):
    images, maps, names = pictures.maps(study, ("grad-cam", "gradient"), n=3)
    split = subject.images
    assert names == list(split.classes[:3]) and list(maps) == ["grad-cam", "gradient"]
    first = [split.labels.tolist().index(label) for label in range(3)]
    assert torch.equal(images * 255, split.images[first].float())
    x, labels = split.normalise(split.images[first]), split.labels[first]
    for method, shown in maps.items():
        assert torch.equal(shown, subject.explain(method, {}, x, labels, split.index[first]))
        assert shown.shape == (3, 32, 32) and shown.min() >= 0 and shown.max() <= 1


def test_curves_are_those_under_which_the_area_is_scored(study, subject):
    rows = pictures.causal_curves(study, ("centred-gaussian",), n=4)
    explained, images = Explained(subject, "centred-gaussian"), subject.images.subset([0, 1, 2, 3])
    table = fidelity(explained, images, raw_maps(explained, images), causal_steps=8, n_readings=0)
    table = table[table["target"] == "ground-truth"].groupby("metric")["value"].mean()
    for kind, curve in rows.groupby("kind"):
        assert curve["fraction"].tolist() == [step / 8 for step in range(9)]
        ends = curve["probability"].to_numpy()
        area = (ends[:-1] + ends[1:]).mean() / 2
        assert area == pytest.approx(table[kind], abs=1e-5)


def test_extremes_are_the_best_image_of_the_best_method_and_the_worst_of_the_worst(
    study_of, made_up, subject, monkeypatch
):
    frames = made_up.frames(lineup.PAPER, n_images=6)
    frame, here = frames["fidelity"], {"target": "ground-truth", "reading": "absolute"}
    indices = subject.images.index[:6].tolist()
    frame["index"] = frame["index"].map(dict(enumerate(indices)))
    frames["repeated"]["index"] = frames["repeated"]["index"].map(dict(enumerate(indices)))
    for metric, high, low in (("insertion", "rise", "lime"), ("deletion", "iba", "grad-cam")):
        made_up.add(frame, 1, metric=metric, method=high, **here)
        made_up.add(frame, 1, metric=metric, method=high, index=indices[2], **here)
        made_up.add(frame, -1, metric=metric, method=low, **here)
        made_up.add(frame, -1, metric=metric, method=low, index=indices[4], **here)
    made_up.put(frame, float("nan"), metric=("insertion", "deletion"), method="score-cam", **here)
    monkeypatch.setattr(pictures, "_explained", lambda study, method, images: torch.zeros(len(images), 32, 32))
    found = pictures.extremes(study_of(frames, (subject,)))
    assert [(row["metric"], row["which"]) for row in found] == [
        (metric, which) for metric in lineup.FIDELITY for which in ("best", "worst")
    ]
    rows = {(row["metric"], row["which"]): row for row in found}
    for metric, which, method, place, score in (
        ("insertion", "best", "rise", 2, 2.5),
        ("insertion", "worst", "lime", 4, -1.5),
        ("deletion", "best", "grad-cam", 4, -1.5),
        ("deletion", "worst", "iba", 2, 2.5),
    ):
        row = rows[metric, which]
        assert row["method"] == method and row["score"] == pytest.approx(score, abs=0.05)
        assert torch.equal(row["image"] * 255, subject.images.images[place].float())
        assert tuple(row["maps"]) == pictures.SHOWN
