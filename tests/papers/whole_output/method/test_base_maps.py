from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from torchvision.models import googlenet, resnet50

from xai_lib import models
from xai_lib.explainers import get
from xai_lib.papers.whole_output.method.base_maps import BASES, base, maps
from xai_lib.papers.whole_output.method.groups import of_groups

LAYERS = ("coarse", "fine")
INDEX = torch.tensor([4, 9, 2])
settings = partial(base, layers=LAYERS, n_masks=40, n_samples=40)
every_base = pytest.mark.parametrize("name", BASES)


def groups_of(*groups, n_images=3, n_classes=7):
    found = torch.zeros(n_images, len(groups), n_classes, dtype=torch.bool)
    for s, group in enumerate(groups):
        found[:, s, list(group)] = True
    return found


SINGLES = groups_of(*({label} for label in range(7)))
GROUP = {1, 2, 5}


@pytest.mark.parametrize("stage", ["first", "second"])
@pytest.mark.parametrize("name", ["grad-cam", "excitation-backprop"])
def test_a_compound_map_is_the_mean_of_its_members_weighted_by_probability(network, images, name, stage):
    compound = maps(network, images, settings(name), stage, groups_of(GROUP), seed=0, index=INDEX)[:, 0]
    each = maps(network, images, settings(name), stage, SINGLES, seed=0, index=INDEX)
    weights = network(images).softmax(1).detach() * SINGLES.new_tensor([label in GROUP for label in range(7)])
    weights = weights / weights.sum(1, keepdim=True)
    torch.testing.assert_close(compound, (weights[:, :, None, None] * each).sum(1), rtol=1e-4, atol=1e-6)
    assert (compound.flatten(1).std(1) > 0).all()
    if name == "grad-cam":
        assert each.min() < 0


@pytest.mark.parametrize("name", ["lime", "rise"])
def test_a_compound_map_of_probabilities_is_the_sum_of_its_members(network, images, name):
    raw = replace(settings(name), scale="none")
    compound = maps(network, images, raw, "first", groups_of(GROUP), seed=0, index=INDEX)[:, 0]
    each = maps(network, images, raw, "first", SINGLES, seed=0, index=INDEX)
    torch.testing.assert_close(compound, each[:, sorted(GROUP)].sum(1), rtol=1e-4, atol=1e-6)
    assert (compound.flatten(1).std(1) > 0).all()


@pytest.mark.parametrize("stage", [0, 1])
@pytest.mark.parametrize(
    ("variant", "rise"),
    [
        ("paper", [{"n_masks": 40, "grid": 7, "p": 0.5}, {"n_masks": 40, "grid": 10, "p": 0.3}]),
        ("released", [{"n_masks": 40, "grid": 15, "p": 0.3}, {"n_masks": 24, "grid": 10, "p": 0.14}]),
    ],
)
@every_base
def test_each_stage_calls_the_explainer_with_its_settings(network, images, name, variant, rise, stage):
    layer = {"layer": LAYERS[stage]}
    drawn = {"seed": 5, "index": INDEX}
    keywords = {
        "grad-cam": layer,
        "excitation-backprop": layer,
        "lime": {"n_samples": 40, **drawn},
        "rise": {**rise[stage], **drawn},
    }[name]
    members = groups_of({0}, {3, 4})
    score = of_groups(members, "probability" if name in ("lime", "rise") else "logit")
    expected = get(name)(network, images, score=score, **keywords)
    if name == "rise":
        lowest, highest = expected.amin((2, 3), keepdim=True), expected.amax((2, 3), keepdim=True)
        expected = (expected - lowest) / (highest - lowest)
    if name == "lime":
        expected = expected.clamp(min=0) / expected.amax((2, 3), keepdim=True)
        assert expected.amax((2, 3)).tolist() == [[1, 1]] * 3
    found = maps(
        network, images, settings(name, variant=variant), ("first", "second")[stage], members, seed=5, index=INDEX
    )
    torch.testing.assert_close(found, expected)
    assert found.shape == (3, 2, 16, 16)
    assert found.dtype == torch.float32


def test_a_map_without_positive_values_has_no_share_of_them(network, images):
    network.head.bias.data[0] = -1e4  # a probability of exactly 0
    nothing = settings("lime")
    assert not maps(network, images, nothing, "first", groups_of({0}), seed=0, index=INDEX).any()


def test_few_masks_leave_one_for_the_second_stage():
    assert base("rise", LAYERS, variant="released", n_masks=1, n_samples=1).second["n_masks"] == 1


def test_other_words_are_refused():
    with pytest.raises(ValueError, match=r"Expected a base explainer out of grad-cam, .*Got 'mwp'"):
        settings("mwp")
    with pytest.raises(ValueError, match=r"Expected variant as 'paper' or 'released'. Got 'ours'"):
        settings("rise", variant="ours")


def test_a_layer_that_does_not_exist_is_refused(network, images):
    wrong = base("grad-cam", ("coarse", "layer3"), n_masks=1, n_samples=1)
    with pytest.raises(ValueError, match=r"Expected the name of a layer .*Got 'layer3'"):
        maps(network, images, wrong, "second", groups_of({0}), seed=0, index=INDEX)


NETWORKS = {
    "resnet8": (partial(models.build, "resnet8", 10, seed=0), ("backbone.block3", "backbone.block2"), 32),
    "resnet50": (partial(resnet50, num_classes=10), ("layer4", "layer3"), 64),
    "resnet50's second": (partial(resnet50, num_classes=10), ("layer4", "layer4.0"), 64),
    "googlenet": (
        partial(googlenet, num_classes=10, aux_logits=False, init_weights=False),
        ("inception5b", "inception5b.branch1"),
        64,
    ),
}


@pytest.mark.parametrize("name", ["grad-cam", "excitation-backprop"])
@pytest.mark.parametrize(("build", "layers", "side"), NETWORKS.values(), ids=NETWORKS.keys())
def test_layers_of_real_networks_by_dotted_name(build, layers, side, name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, x = lively(build()), torch.randn(1, 3, side, side)
    chosen = base(name, layers, n_masks=1, n_samples=1)
    members = groups_of({0}, {3, 4}, n_images=1, n_classes=10)
    first, second = (maps(network, x, chosen, stage, members, seed=0, index=INDEX[:1]) for stage in ("first", "second"))
    for found in (first, second):
        assert found.shape == (1, 2, side, side)
        assert found.isfinite().all()
        assert (found.flatten(2).std(2) > 0).all()
    assert not torch.allclose(first, second)


def lively(network):
    """Weights and statistics that leave signals alive through many layers."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.3)
            module.running_var.uniform_(0.5, 1.5)
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight)
    return network.eval()
