import math
from dataclasses import replace
from functools import partial

import pytest
import torch
import torchvision
from torch import nn

from xai_lib.explainers import get
from xai_lib.papers.whole_output.method.base_maps import BASES, base, coarse_and_fine, maps, of_groups

LAYERS = ("coarse", "fine")
INDEX = torch.tensor([4, 9, 2])
LOGITS = torch.tensor([[1.0, 2.0, 0.5, -1.0], [0.0, -1.0, 3.0, 2.0]])
settings = partial(base, layers=LAYERS, n_masks=40, n_samples=40)


def members(*images, n_classes=4):
    """Groups of classes of each image as bool [B,S,C]."""
    return torch.tensor([[[c in group for c in range(n_classes)] for group in groups] for groups in images])


def groups_of(*groups):
    return members(groups, groups, groups, n_classes=7)


def test_a_compound_class_by_hand():
    groups = members([{0, 2}, {1, 2, 3}, range(4)], [{0, 1}, {2, 3}, range(4)])
    e = [[math.exp(z) for z in row] for row in LOGITS.tolist()]
    sums = torch.tensor([[sum(row[c] for c in range(4) if g[c]) for g in own] for row, own in zip(e, groups.tolist())])
    torch.testing.assert_close(of_groups(groups, "logit")(LOGITS), sums.log())
    torch.testing.assert_close(of_groups(groups, "probability")(LOGITS), sums / sums[:, 2:])
    for what in ("logit", "probability"):  # large logits stay finite
        logits = (1e4 * LOGITS).requires_grad_()
        scores = of_groups(groups, what)(logits)
        (gradient,) = torch.autograd.grad(scores.sum(), logits)
        assert scores.isfinite().all() and gradient.isfinite().all()


@pytest.mark.parametrize(
    ("groups", "what", "logits", "message"),
    [
        ([[0]], "logit", LOGITS, r"Expected groups as a bool tensor \[B,S,C\]. Got list"),
        (torch.ones(2, 4, dtype=torch.bool), "logit", LOGITS, r"\[B,S,C\]. Got torch.bool with shape \[2, 4\]"),
        (torch.ones(2, 1, 4), "logit", LOGITS, r"\[B,S,C\]. Got torch.float32"),
        (members([{0}, set()], [{1}, {2}]), "logit", LOGITS, "Expected groups of at least one class. Got 1 empty"),
        (members([{0}], [{1}]), "softmax", LOGITS, r"Expected what as one of logit, .*Got 'softmax'"),
        (members([{0}], [{1}]), "logit", LOGITS[:1], r"Expected logits \[2, 4\] for these groups. Got \[1, 4\]"),
        (members([{0}], [{1}]), "logit", LOGITS[:, :3], r"Expected logits \[2, 4\] for these groups. Got \[2, 3\]"),
    ],
)
def test_groups_without_a_meaning_are_refused(groups, what, logits, message):
    with pytest.raises(ValueError, match=message):
        of_groups(groups, what)(logits)


SINGLES = groups_of(*({label} for label in range(7)))
GROUP = [1, 2, 5]


@pytest.mark.parametrize("stage", ["first", "second"])
@pytest.mark.parametrize("name", BASES)
def test_a_compound_map_is_the_mean_of_its_members_by_probability_or_their_sum(network, images, name, stage):
    """The mean where logits are explained, the sum where probabilities are."""
    raw = replace(settings(name), scale="none")
    compound = maps(network, images, raw, stage, groups_of(GROUP), seed=0, index=INDEX)[:, 0]
    each = maps(network, images, raw, stage, SINGLES, seed=0, index=INDEX)[:, GROUP]
    weights = network(images).softmax(1).detach()[:, GROUP]
    weights = torch.ones(3, 3) if name in ("lime", "rise") else weights / weights.sum(1, keepdim=True)
    torch.testing.assert_close(compound, (weights[:, :, None, None] * each).sum(1), rtol=1e-4, atol=1e-6)
    assert (compound.flatten(1).std(1) > 0).all()
    assert name != "grad-cam" or each.min() < 0


@pytest.mark.parametrize("stage", [0, 1])
@pytest.mark.parametrize(
    ("variant", "rise"),
    [
        ("paper", [{"n_masks": 40, "grid": 7, "p": 0.5}, {"n_masks": 40, "grid": 10, "p": 0.3}]),
        ("released", [{"n_masks": 40, "grid": 15, "p": 0.3}, {"n_masks": 24, "grid": 10, "p": 0.14}]),
    ],
)
@pytest.mark.parametrize("name", BASES)
def test_each_stage_calls_the_explainer_with_its_settings(network, images, name, variant, rise, stage):
    layer, drawn = {"layer": LAYERS[stage]}, {"seed": 5, "index": INDEX}
    keywords = {"lime": {"n_samples": 40, **drawn}, "rise": {**rise[stage], **drawn}}.get(name, layer)
    groups = groups_of({0}, {3, 4})
    score = of_groups(groups, "probability" if name in ("lime", "rise") else "logit")
    expected = get(name)(network, images, score=score, **keywords)
    if name == "rise":
        lowest, highest = expected.amin((2, 3), keepdim=True), expected.amax((2, 3), keepdim=True)
        expected = (expected - lowest) / (highest - lowest)
    if name == "lime":
        expected = expected.clamp(min=0) / expected.amax((2, 3), keepdim=True)
        assert expected.amax((2, 3)).tolist() == [[1, 1]] * 3
    chosen, place = settings(name, variant=variant), ("first", "second")[stage]
    found = maps(network, images, chosen, place, groups, seed=5, index=INDEX)
    torch.testing.assert_close(found, expected)
    assert found.shape == (3, 2, 16, 16) and found.dtype == torch.float32


def test_one_mask_is_enough_a_map_may_be_empty_and_other_words_are_refused(network, images):
    assert base("rise", LAYERS, variant="released", n_masks=1, n_samples=1).second["n_masks"] == 1
    network.head.bias.data[0] = -1e4  # a probability of exactly 0
    assert not maps(network, images, settings("lime"), "first", groups_of({0}), seed=0, index=INDEX).any()
    with pytest.raises(ValueError, match=r"Expected a base explainer out of grad-cam, .*Got 'mwp'"):
        settings("mwp")
    with pytest.raises(ValueError, match=r"Expected variant as 'paper' or 'released'. Got 'ours'"):
        settings("rise", variant="ours")
    with pytest.raises(ValueError, match=r"Expected the name of a layer .*Got 'layer3'"):
        wrong = base("grad-cam", ("coarse", "layer3"), n_masks=1, n_samples=1)
        maps(network, images, wrong, "second", groups_of({0}), seed=0, index=INDEX)


@pytest.mark.parametrize(
    ("name", "size", "fine"),
    [("resnet18", 64, "layer3"), ("resnet50", 64, "layer3"), ("googlenet", 64, "inception4e"), ("vgg11", 64, None)],
)
def test_the_fine_layer_is_the_last_of_a_finer_grid_and_no_part_of_a_block(name, size, fine):
    kwargs = {"init_weights": False} | ({"aux_logits": False} if name == "googlenet" else {})
    model = getattr(torchvision.models, name)(
        weights=None, num_classes=3, **({} if "resnet" in name else kwargs)
    ).eval()
    x, shapes = torch.zeros(1, 3, size, size), {}
    for of, module in model.named_modules():
        module.register_forward_hook(lambda _, __, out, of=of: shapes.__setitem__(of, out.shape[-1]))
    coarse, found = coarse_and_fine(model, x)
    assert shapes[found] > shapes[coarse] and (fine is None or found == fine)


def test_where_no_layer_has_a_finer_grid_both_stages_have_the_same():
    flat = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten())
    assert coarse_and_fine(flat, torch.zeros(1, 3, 8, 8)) == ("1", "1")


def test_the_fine_layer_has_the_next_finer_grid_also_where_its_blocks_stand_in_one_module():
    """As in EfficientNet, ConvNeXt and Swin of timm: the stem, with its far finer grid, stands beside all blocks."""
    blocks = nn.Sequential(*(nn.Sequential(nn.Conv2d(4, 4, 2, 2), nn.ReLU()) for _ in range(3)))
    network = nn.Sequential(nn.Conv2d(3, 4, 1), blocks, nn.ReLU(), nn.Flatten(), nn.Linear(16, 5)).eval()
    assert coarse_and_fine(network, torch.zeros(1, 3, 16, 16)) == ("2", "1.1")
