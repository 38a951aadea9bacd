import numpy as np
import pytest
import torch

from xai_lib.explainers.layers import find_layer
from xai_lib.metrics import complexity, effective_complexity, sensitivity
from xai_lib.metrics.quantus_column import tool_maps
from xai_lib.papers.saliency.method import Explained, tools
from xai_lib.papers.saliency.method.fidelity import of_maps
from xai_lib.papers.saliency.method.lineup import FIDELITY
from xai_lib.papers.saliency.method.tools import CAMS, MAP_DIFFERENCE, METHODS, MONOTONICITY, OF_MAPS, SENSITIVITY

SETTINGS = {"causal_steps": 4, "draws": 2}


def scores(subject, images, method):
    return tools(Explained(subject, method), images, **SETTINGS).pivot(index="index", columns="metric", values="value")


def test_every_method_gets_the_metrics_of_its_tools(subject, images):
    assert set(METHODS) == {"fake-cam", "gradient", "integrated-gradients", "guided-backprop", *CAMS}
    by_quantus = {*OF_MAPS, *SENSITIVITY, MONOTONICITY}
    assert set(scores(subject, images, "gradient").columns) == by_quantus
    found = scores(subject, images, "grad-cam")
    assert set(found.columns) >= by_quantus | {*FIDELITY, MAP_DIFFERENCE}
    assert found.index.tolist() == sorted(images.index.tolist())


def test_quantus_agrees_with_ours_on_the_same_maps(subject, images, x):
    explained = Explained(subject, "integrated-gradients")
    maps = explained.maps(x, images.labels, images.index).detach()
    found = scores(subject, images, "integrated-gradients").loc[images.index.tolist()]
    ours = {
        "sparseness": complexity.sparseness(maps),
        "complexity": complexity.complexity(maps),
        "effective-complexity": effective_complexity.effective_complexity(maps),
    }
    for name, values in ours.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, err_msg=name)
    moved = sensitivity.sensitivities(
        explained.maps, x, images.labels, index=images.index, draws=200, variant="released", reference=maps
    )
    often = tools(explained, images, causal_steps=4, draws=200).pivot(index="index", columns="metric", values="value")
    average = often["average-sensitivity"].loc[images.index.tolist()]
    np.testing.assert_allclose(average, moved.mean(1), rtol=0.2)  # other noise


def test_a_constant_map_does_not_move_by_quantus_either(subject, images):
    """Table 3 prints 0.96 for Fake-CAM; called with one and the same function the tool says 0."""
    assert (scores(subject, images, "fake-cam")[list(SENSITIVITY)] == 0).all(axis=None)


def test_the_tools_grad_cam_is_ours_and_scored_alike(subject, images, x):
    found = scores(subject, images, "grad-cam").loc[images.index.tolist()]
    _, layer = find_layer(subject.network, subject.layer)
    by_tool = tool_maps("GradCAM", subject.network, layer, x, images.labels)
    assert by_tool.shape == (5, 32, 32) and by_tool.min() >= 0 and by_tool.max() <= 1
    expected = of_maps(subject, x, by_tool, images.labels, images.index, SETTINGS["causal_steps"])
    for name in FIDELITY:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5, err_msg=name)


def test_tools_leave_nothing_behind(subject, images):
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    first, second = (scores(subject, images, "score-cam") for _ in range(2))
    assert (np.random.get_state()[1] == before).all()
    assert all(parameter.grad is None for parameter in subject.network.parameters())
    assert first.equals(second)


def test_an_image_of_no_probability_has_no_monotonicity(subject, images):
    """quantus stops with an error at it."""
    with torch.no_grad():
        subject.network[-1].bias[images.labels[0]] -= 100
    assert scores(subject, images, "gradient")[MONOTONICITY].isna().all()


@pytest.mark.parametrize("method", CAMS)
def test_a_tools_map_is_close_to_ours(subject, images, method):
    assert scores(subject, images, method)[MAP_DIFFERENCE].max() < (1e-4 if method == "grad-cam" else 0.35)
