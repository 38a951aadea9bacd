from dataclasses import replace

import pytest
import torch

from xai_lib.papers.saliency.method import Explained, cost


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
def test_images_through_the_network_are_counted_for_each_image_explained(
    subject, by, images, method, settings, forwards
):
    [found] = cost(by(method, settings), images).to_dict("records")
    assert found["forwards"] == forwards
    assert set(found) == {"forwards", "seconds", "megabytes"}
    assert found["seconds"] > 0 and found["megabytes"] > 0
    assert not subject.network._forward_pre_hooks


def test_what_the_layer_does_on_reference_images_is_no_cost_of_a_map(subject, by, images):
    """Whether they were gone through before is not for the method to answer."""
    settings = {"steps": 2, "copies": 2}
    first = cost(by("iba", settings), images)["forwards"]
    assert "statistics" in vars(subject)
    assert cost(by("iba", settings), images)["forwards"].equals(first)
    many = replace(subject, load=lambda: subject.network, reference=lambda: images.subset([0, 1, 2, 3, 4] * 9))
    assert cost(Explained(many, "iba", settings), images)["forwards"].equals(first)


def test_memory_does_not_grow_with_the_number_of_masks_but_with_the_images_at_a_time(by, images):
    few, many, in_parts = (
        cost(by("rise", settings), images).iloc[0]
        for settings in ({"n_masks": 64}, {"n_masks": 256}, {"n_masks": 64, "chunk": 5})
    )
    assert many["forwards"] == 4 * few["forwards"]
    assert many["megabytes"] == pytest.approx(few["megabytes"], rel=0.02)
    assert in_parts["megabytes"] < few["megabytes"] / 2


def test_memory_is_at_least_what_the_maps_take(by, images):
    [found] = cost(by("uniform"), images)["megabytes"]
    assert 32 * 32 * 4 / 1e6 <= found < 3 * 32 * 32 * 4 / 1e6


def test_a_method_that_fails_leaves_no_hook(subject, by, images, monkeypatch):
    calls = []

    def fail(*_):
        calls.append(None)
        if len(calls) > 1:
            raise RuntimeError("stopped")

    monkeypatch.setattr(Explained, "raw", fail)
    with pytest.raises(RuntimeError, match="stopped"):
        cost(by("gradient"), images)
    assert len(calls) == 2 and not subject.network._forward_pre_hooks
    assert torch.is_grad_enabled()
