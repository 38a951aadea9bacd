"""The maps of a network are the same in whatever state the caller has it."""

import threading
from contextlib import nullcontext

import pytest
import torch
from derivations.networks import fresh, images
from torch import nn

from xai_lib import explainers
from xai_lib.explainers.adapter import raw_maps
from xai_lib.explainers.bottleneck import feature_statistics
from xai_lib.pretrained import answers

SETTINGS = {"integrated-gradients": {"steps": 3}, "smoothgrad": {"draws": 2}, "rise": {"n_masks": 8},
            "lime": {"n_samples": 8}, "iba": {"steps": 2, "copies": 2}}  # fmt: skip
INDEX = torch.tensor([7, 2])


class Net(nn.Module):
    """Two convolutions, ReLUs and a linear layer on all places."""

    def __init__(self, flatten=torch.Tensor.flatten):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(8 * 16, 5)
        self.flattened = flatten

    def forward(self, x):
        return self.head(self.flattened(self.body(x), 1))


class Silent(Net):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


def viewed(model):
    model.flattened = lambda a, _: a.view(len(a), -1)
    return model


def with_lock(model):
    model.lock, model.seen = threading.Lock(), []
    model.register_forward_hook(lambda module, _inputs, output: module.seen.append(output))
    return model


def without_parameters(model):
    for module in model.modules():
        for name, value in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, value.detach())
    return model


def compiled(model):
    model = torch.compile(model, backend="eager")
    with torch.no_grad():
        model(images(2, 16))  # hooks that come later are not seen
    return model


def with_attributes(model):
    model.layers, model.default_layer, model.features = nn.ModuleList([model.body]), "body", 3
    return model


def writing(model):
    """Changes its images in place, and back for itself."""
    model.register_forward_pre_hook(lambda _, inputs: (inputs[0].sub_(1),))
    model.body.register_forward_pre_hook(lambda _, inputs: (inputs[0] + 1,))
    return model


STATES = {
    "flattens by view": (viewed, nullcontext),
    "channels-last weights": (lambda model: model.to(memory_format=torch.channels_last), nullcontext),
    "a lock and kept outputs": (with_lock, nullcontext),
    "writes into its images": (writing, nullcontext),
    "no parameters": (without_parameters, nullcontext),
    "frozen": (lambda model: model.requires_grad_(False), nullcontext),
    "in training mode": (lambda model: model.train(), nullcontext),
    "attributes of our names": (with_attributes, nullcontext),
    "DataParallel": (nn.DataParallel, nullcontext),
    "compiled": (compiled, nullcontext),
    "under autocast": (lambda model: model, lambda: torch.autocast("cpu", torch.bfloat16)),
    "under inference_mode": (lambda model: model, torch.inference_mode),
    "under no_grad": (lambda model: model, torch.no_grad),
}


def explained(name, model, x, target, statistics, layer=None):
    settings = SETTINGS.get(name, {})
    return raw_maps(model, name, x, target, INDEX[: len(x)], layer=layer, settings=settings,
                    statistics=lambda: statistics, upsample=True)  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*channels")
@pytest.mark.parametrize("state", STATES)
def test_the_maps_are_the_same_in_every_state(state):
    changed, caller = STATES[state]
    x = images(2, 16)
    for name in explainers.names():
        plain, model = fresh(Net), changed(fresh(Net))
        with caller():
            if explainers.about(name).family == "relevance" and state == "no parameters":
                continue  # zennit's rules are about parameters
            target = model(x.clone()).argmax(1) if state != "in training mode" else plain(x).argmax(1)
            statistics = feature_statistics(model, [images(9, 16, seed=2)], _deep(model, name))
            if explainers.about(name).family == "relevance" and state in ("DataParallel", "compiled"):
                layer = "module.body" if state == "DataParallel" else "_orig_mod.body"
            else:
                layer = None
            maps = explained(name, model, x, target, statistics, layer)
        with torch.no_grad():
            expected = explained(name, plain, x, target.clone(), statistics)
        assert maps.dtype == torch.float32
        torch.testing.assert_close(maps.clone(), expected, rtol=1e-5, atol=1e-5, msg=name)


def _deep(model, name):
    return explainers.layers.at_depth(model, None, explainers.about(name).depth, images(2, 16))


def test_an_empty_batch_gives_an_empty_result():
    model, x, target = fresh(Net), torch.zeros(0, 3, 16, 16), torch.zeros(0, dtype=torch.int64)
    statistics = feature_statistics(model, [images(9, 16)], "body")
    for name in explainers.names():
        maps = explained(name, model, x, target, statistics, layer="body")
        assert maps.shape in ((0, 16, 16), (0, 3, 16, 16)), name


class Without(torch.autograd.Function):
    """A function that has no gradient, as of a head that is quantised."""

    @staticmethod
    def forward(ctx, features):
        return features.clone()

    @staticmethod
    def backward(ctx, gradient):
        return None


@pytest.mark.filterwarnings("ignore:.*channels")
def test_a_head_without_gradients_is_refused_in_a_line_by_what_needs_them():
    model, x, target = fresh(Net), images(2, 16), torch.tensor([1, 2])
    model.flattened = lambda features, _: Without.apply(features.flatten(1))
    for name in [name for name in explainers.names() if explainers.about(name).family in ("gradient", "learning")]:
        statistics = feature_statistics(model, [images(9, 16)], "body")
        with pytest.raises(ValueError, match=r"Expected a score that depends on the output of (the )?layer"):
            explained(name, model, x, target, statistics, layer="body")
    assert len(answers(model, x)) == 4


def test_a_forward_under_no_grad_is_explained_or_told_why_not():
    model, x, target = fresh(Silent), images(2, 16), torch.tensor([1, 2])
    statistics = feature_statistics(model, [images(9, 16)], "body")
    for name in [name for name in explainers.names() if explainers.about(name).family != "relevance"]:
        try:
            explained(name, model, x, target, statistics, layer="body")
        except ValueError as error:
            assert "torch.no_grad" in str(error) or "ReLU" in str(error), name
