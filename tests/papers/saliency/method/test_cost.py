import pytest
import torch

from xai_lib.explainers.subject import Subject
from xai_lib.papers.saliency.method import Explained
from xai_lib.papers.saliency.method import cost as function


def cost(subject, method, settings, images):
    """The numbers by name."""
    [row] = function(Explained(subject, method, settings), images).to_dict("records")
    return row


@pytest.mark.parametrize(
    ("method", "settings", "forwards"),
    [
        ("uniform", {}, 0),
        ("gradient", {}, 1),
        ("grad-cam", {}, 1),
        ("score-cam", {}, 1 + 8),  # its activations, and one masked image for each of 8 channels
        ("rise", {"n_masks": 12}, 12),
        ("lime", {"n_samples": 7}, 7),
        ("integrated-gradients", {"steps": 9}, 9),
    ],
)
def test_images_through_the_network_are_counted_for_each_image_explained(subject, images, method, settings, forwards):
    found = cost(subject, method, settings, images)
    assert found["forwards"] == forwards
    assert set(found) == {"forwards", "seconds", "megabytes"}
    assert found["seconds"] > 0 and found["megabytes"] > 0
    assert not subject.network._forward_pre_hooks


def test_what_the_layer_does_on_reference_images_is_no_cost_of_a_map(subject, images):
    """Whether they were gone through before is not for the method to answer."""
    settings = {"steps": 2, "copies": 2}
    first = cost(subject, "iba", settings, images)
    assert "iba" in subject._statistics
    assert cost(subject, "iba", settings, images)["forwards"] == first["forwards"]
    many = Subject(
        lambda: subject.network, "key", (), "3", images, lambda: images.subset([0, 1, 2, 3, 4] * 9), subject.device
    )
    assert cost(many, "iba", settings, images)["forwards"] == first["forwards"]


def test_memory_does_not_grow_with_the_number_of_masks_but_with_the_images_at_a_time(subject, images):
    few = cost(subject, "rise", {"n_masks": 64}, images)
    many = cost(subject, "rise", {"n_masks": 256}, images)
    assert many["forwards"] == 4 * few["forwards"]
    assert many["megabytes"] == pytest.approx(few["megabytes"], rel=0.02)
    assert cost(subject, "rise", {"n_masks": 64, "chunk": 5}, images)["megabytes"] < few["megabytes"] / 2


def test_memory_is_at_least_what_the_maps_take(subject, images):
    found = cost(subject, "uniform", {}, images)["megabytes"]
    assert 32 * 32 * 4 / 1e6 <= found < 3 * 32 * 32 * 4 / 1e6


def test_a_method_that_fails_leaves_no_hook(subject, images, monkeypatch):
    calls = []

    def fail(*_, **_given):
        calls.append(None)
        if len(calls) > 1:
            raise RuntimeError("stopped")

    monkeypatch.setattr(Subject, "raw_maps", fail)
    with pytest.raises(RuntimeError, match="stopped"):
        cost(subject, "gradient", {}, images)
    assert len(calls) == 2 and not subject.network._forward_pre_hooks
    assert torch.is_grad_enabled()
