import copy

import torch

from xai_lib import explainers
from xai_lib.explainers import normalise
from xai_lib.explainers.subject import Subject


def test_the_network_is_loaded_once_and_only_when_it_is_needed(subject, images):
    calls = []

    def load():
        calls.append("network")
        return subject.load()

    other = Subject(load, "key", (), "3", images, lambda: calls.append("reference") or images, subject.device)
    assert calls == []
    assert other.network is other.network
    assert calls == ["network"]
    assert other.statistics("iba") is other.statistics("iba")
    assert calls == ["network", "reference"]


def test_a_network_first_used_where_nothing_is_recorded_can_still_be_explained(subject, images, x):
    with torch.inference_mode():
        subject.network(x)
    assert subject.raw_maps("gradient", {}, x, images.labels, images.index).any()


def test_the_statistics_are_those_of_the_methods_layer_over_the_reference_images(subject, x):
    with torch.no_grad():
        activations = subject.network[:3](x)  # two thirds of the way to the fourth module, which is explained
    torch.testing.assert_close(subject.statistics("iba").mean, activations.mean(0))
    torch.testing.assert_close(subject.statistics("iba").std, activations.std(0))


def test_another_network_has_statistics_of_its_own(subject, images, x):
    other = copy.deepcopy(subject.network)
    other[0].weight.data *= 3
    found = subject.statistics("iba", other)
    torch.testing.assert_close(found.mean, other[:3](x).mean(0).detach())
    assert not torch.allclose(found.mean, subject.statistics("iba").mean)
    arguments = (x, images.labels, images.index)
    score = explainers.of_class(images.labels, "log-probability")
    given = {"score": score, "layer": "2", "seed": 0, "index": images.index, "upsample": False}
    expected = explainers.get("iba")(other, x, statistics=found, **given)
    assert torch.equal(subject.raw_maps("iba", {}, *arguments, network=other), expected)


def test_another_network_is_explained_in_this_ones_place(subject, images, x):
    other = torch.nn.Sequential(*subject.network[:-1], torch.nn.Linear(8, 10)).eval()
    arguments = ("gradient", {}, x, images.labels, images.index)
    expected = explainers.get("gradient")(other, x, score=explainers.of_class(images.labels, "logit"))
    assert torch.equal(subject.raw_maps(*arguments, network=other), expected)
    assert not torch.allclose(expected, subject.raw_maps(*arguments))


def test_explain_is_raw_maps_normalised(subject, images, x):
    raw = subject.raw_maps("grad-cam", {}, x, images.labels, images.index)
    assert raw.shape == (5, 8, 8)
    found = subject.explain("grad-cam", {}, x, images.labels, images.index)
    assert torch.equal(found, normalise.unit_maps(raw, "grad-cam", (32, 32)))
