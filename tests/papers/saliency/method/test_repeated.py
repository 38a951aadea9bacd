import numpy as np
import pytest
import torch

from xai_lib import explainers
from xai_lib.explainers import normalise
from xai_lib.explainers.subject import Subject
from xai_lib.metrics import effective_complexity, monotonicity, randomisation, sensitivity
from xai_lib.papers.saliency.method import Explained, repeated


def scored(subject, images, method):
    return repeated(Explained(subject, method), images, causal_steps=4, draws=2, samples=3)


@pytest.mark.parametrize(
    ("reading", "scale"),
    [("absolute", lambda raw: normalise.min_max(raw.abs().amax(1))), ("signed", normalise.min_max_colours)],
)
def test_scores_of_the_gradient_are_those_of_the_metrics_called_one_by_one(subject, images, x, reading, scale):
    frame = scored(subject, images, "gradient")
    assert list(frame.columns) == ["index", "metric", "value", "reading"]
    assert not frame.duplicated(["index", "metric", "reading"]).any()
    frame = frame[frame["reading"] == reading]
    network, labels, index = subject.network, images.labels, images.index

    def explain_by(other, images, target, _):
        raw = explainers.get("gradient")(other, images, score=explainers.class_score(target))
        return scale(raw)

    def explain(images, target, which):
        return explain_by(network, images, target, which)

    maps = explain(x, labels, index)
    moved = {"index": index, "draws": 2, "variant": "released"}
    expected = {
        "max-sensitivity": sensitivity.max_sensitivity(explain, x, labels, **moved),
        "average-sensitivity": sensitivity.average_sensitivity(explain, x, labels, **moved),
        "monotonicity": monotonicity.monotonicity(network, x, maps, labels, index=index),
        "monotonicity-quantus": monotonicity.monotonicity_quantus(network, x, maps, labels, index=index, samples=3),
        "monotonicity-arya": monotonicity.monotonicity_arya(network, x, maps, labels, index=index),
        "effective-complexity-minimum": effective_complexity.effective_complexity_minimum(
            network, x, maps, labels, index=index, step=256
        ),
    }
    for name, order in (("", "cascading"), ("-independent", "independent")):
        _, alike = randomisation.parameter_randomisation(explain_by, network, x, labels, index=index, order=order)
        expected[f"parameter-randomisation{name}"] = alike.nanmean(dim=1)
    assert set(frame["metric"]) == set(expected)
    for metric, values in expected.items():
        found = frame[frame["metric"] == metric]
        assert found["index"].tolist() == index.tolist()
        np.testing.assert_allclose(found["value"], values.double(), rtol=1e-5, atol=1e-6, err_msg=metric)


def test_a_map_that_asks_neither_image_nor_network_is_never_moved(subject, images):
    values = scored(subject, images.subset([0, 1]), "centred-gaussian").pivot(
        index="index", columns="metric", values="value"
    )
    assert (values["max-sensitivity"] == 0).all() and (values["average-sensitivity"] == 0).all()
    assert values["parameter-randomisation"].tolist() == pytest.approx([1, 1])


def test_a_random_map_is_the_images_own_under_noise_and_other_weights(subject, images):
    values = scored(subject, images.subset([0, 1]), "random").pivot(index="index", columns="metric", values="value")
    assert (values["max-sensitivity"] == 0).all()
    assert values["parameter-randomisation-independent"].tolist() == pytest.approx([1, 1])
    assert not torch.tensor(values["monotonicity"].to_numpy()).isnan().any()


def test_a_second_reading_makes_no_map_again(subject, images, monkeypatch):
    made, plain = [], Subject.raw_maps
    monkeypatch.setattr(Subject, "raw_maps", lambda *given: made.append(given[1]) or plain(*given))
    counts = []
    for method in ("smoothgrad", "layer-cam"):
        made.clear()
        readings = scored(subject, images.subset([0]), method)["reading"].unique()
        counts.append((len(made), len(readings)))
    (twice, two), (once, one) = counts
    assert (two, one) == (2, 1) and twice == once == 1 + 1 + 2 * 3 * 3  # its own, under noise, with new weights
