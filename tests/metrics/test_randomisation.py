import copy

import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v2

from xai_lib import explainers, models
from xai_lib.explainers import normalise
from xai_lib.metrics import get
from xai_lib.metrics.randomisation import (
    cascading,
    executed,
    independent,
    parameter_randomisation,
    randomised,
    spearman,
    steps,
)

SIZE = 12
INDEX = torch.arange(50, 56)
TARGET = torch.tensor([0, 1, 2, 3, 0, 1])
ORDERS = pytest.mark.parametrize("order", ["cascading", "independent"])


@pytest.fixture
def resnet():
    return models.build("resnet8", 4, width=8, seed=0).eval()


def gradient(model, x, target, index):
    """Raw, signed: never empty."""
    x = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(model(x).gather(1, target[:, None]).sum(), x)
    return found.sum(1)


def changed_parameters(model, other):
    pairs = zip(model.named_parameters(), other.parameters(), strict=True)
    return {name for (name, a), b in pairs if not torch.equal(a, b)}


def copies(model, seed=0, order="cascading", number=4, x=None):
    """Each step's modules with the copy of the network that it gives."""
    parts = steps(executed(model, torch.zeros(1, 3, SIZE, SIZE) if x is None else x), number)
    return zip(parts, randomised(model, parts, seed, order), strict=True)


class Backwards(nn.Module):
    """Runs its modules in another order than they are registered in, and one of them never by itself."""

    def __init__(self):
        super().__init__()
        self.last, self.second, self.first = nn.Linear(4, 2), nn.Conv2d(4, 4, 1), nn.Conv2d(3, 4, 1)
        self.attention = nn.MultiheadAttention(4, 1)

    def forward(self, x):
        places = self.second(self.first(x)).flatten(2).permute(2, 0, 1)
        return self.last(self.attention(places, places, places)[0].mean(0))


def test_modules_are_in_the_order_in_which_they_run():
    found = executed(Backwards().eval(), torch.rand(2, 3, 4, 4))
    assert found == ("first", "second", "attention", "attention.out_proj", "last")
    names = executed(mobilenet_v2(num_classes=4).eval(), torch.rand(1, 3, 32, 32))
    assert names[0] == "features.0.0" and names[-1] == "classifier.1"
    assert names[1:3] == ("features.0.1", "features.1.conv.0.0") and len(names) == 105


def test_every_architecture_is_randomised_in_as_many_steps(resnet):
    for network, size in ((resnet, 12), (models.build("resnet18", 4, width=4, seed=0).eval(), 16),
                          (mobilenet_v2(num_classes=4).eval(), 32)):  # fmt: skip
        names = executed(network, torch.rand(1, 3, size, size))
        parts = steps(names)
        assert len(parts) == 4 and max(map(len, parts)) - min(map(len, parts)) <= 1
        assert [name for part in parts for name in part] == list(reversed(names))
    assert steps(("a", "b")) == (("b",), ("a",))


def test_refuses_a_network_without_parameters_and_what_is_no_network():
    with pytest.raises(ValueError, match=r"parameters\. Got a Identity"):
        executed(nn.Identity(), torch.rand(1, 3, 4, 4))
    with pytest.raises(TypeError, match=r"Module\. Got function"):
        executed(gradient, torch.rand(1, 3, 4, 4))


@pytest.mark.parametrize("folded", [False, True])
def test_a_cascade_reaches_every_parameter_of_a_classifier(resnet, folded):
    if folded:
        resnet = models.fold_batchnorm(resnet)
    else:
        for module in resnet.modules():  # as if trained: the defaults would look unchanged
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight)
                nn.init.uniform_(module.bias)
                module.running_mean.fill_(3.0)
    before = copy.deepcopy(resnet.state_dict())
    done = set()
    for names, changed in copies(resnet):
        done |= set(names)
        expected = {p for p, _ in resnet.named_parameters() if p.rpartition(".")[0] in done}
        assert changed_parameters(resnet, changed) == expected
        assert not changed.training
    assert changed_parameters(resnet, changed) == {name for name, _ in resnet.named_parameters()}
    assert all((buffer != 3).all() for name, buffer in changed.named_buffers() if "running_mean" in name)
    assert all(torch.equal(value, before[name]) for name, value in resnet.state_dict().items())


def test_one_part_at_a_time_has_the_weights_of_the_cascade(resnet):
    cascade = dict(copies(resnet, 5))
    for names, changed in copies(resnet, 5, "independent"):
        assert changed_parameters(resnet, changed) <= {
            p for p, _ in resnet.named_parameters() if p.rpartition(".")[0] in names
        }
        for name in names:
            part, same = changed.get_submodule(name), cascade[names].get_submodule(name)
            assert all(torch.equal(a, b) for a, b in zip(part.parameters(), same.parameters(), strict=True))
    assert not torch.equal(changed.backbone.stem[0].weight, resnet.backbone.stem[0].weight)


def test_a_module_with_parameters_and_parts_of_its_own_is_reset_without_them():
    class Scaled(nn.Linear):
        def __init__(self):
            super().__init__(3, 3)
            self.inner = nn.Linear(3, 3)

        def forward(self, x):
            return self.inner(super().forward(x.mean((2, 3))))

    model = Scaled().eval()
    (first, inner), (second, outer) = copies(model, 0, "independent")
    assert (first, second) == (("inner",), ("",))
    assert changed_parameters(model, inner) == {"inner.weight", "inner.bias"}
    assert changed_parameters(model, outer) == {"weight", "bias"}


def test_weights_are_those_of_a_new_layer_and_differ_between_parts_and_seeds():
    model = nn.Sequential(nn.Linear(50, 50), nn.Linear(50, 50)).eval()
    *_, changed = randomised(model, [("1",), ("0",)], 0)
    *_, other = randomised(model, [("1",), ("0",)], 1)
    bound = 1 / 50**0.5
    assert 0.99 * bound < changed[0].weight.abs().max() <= bound
    assert not torch.equal(changed[0].weight, changed[1].weight)
    assert not torch.equal(changed[0].weight, other[0].weight)


def test_global_generator_is_left_as_it_is(network):
    torch.manual_seed(3)
    first = list(copies(network))
    after = torch.rand(3)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(3), after)
    again = list(copies(network))
    assert not changed_parameters(first[-1][1], again[-1][1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_weights_are_the_same_on_a_gpu(resnet):
    generator = torch.cuda.get_rng_state()
    *_, (_, there) = copies(copy.deepcopy(resnet).cuda(), x=torch.zeros(1, 3, SIZE, SIZE).cuda())
    *_, (_, here) = copies(resnet)
    assert all(p.is_cuda for p in there.parameters())
    assert not changed_parameters(here, there.cpu())
    assert torch.equal(torch.cuda.get_rng_state(), generator)


def test_a_copy_belongs_to_the_caller(resnet):
    found = iter(copies(resnet))
    _, changed = next(found)
    nn.init.zeros_(changed.head.weight)
    _, changed = next(found)
    assert (changed.head.weight != 0).any()


def test_a_module_that_cannot_start_anew_has_its_values_in_another_order():
    model = nn.MultiheadAttention(4, 2)
    [changed] = randomised(model, [("",)], 0)
    before, after = model.in_proj_weight.flatten(), changed.in_proj_weight.flatten()
    assert not torch.equal(before, after) and torch.equal(before.sort().values, after.sort().values)
    assert torch.equal(model.out_proj.weight, changed.out_proj.weight)


@ORDERS
def test_similarities_are_those_to_each_randomised_copy(order, resnet, images):
    def scaled(model, x, target, index):
        return normalise.min_max(gradient(model, x, target, index))

    settings = {"index": INDEX, "seed": 2, "order": order}
    parts, found = parameter_randomisation(scaled, resnet, images, TARGET, **settings)
    assert found.shape == (6, 4) and found.dtype == torch.float32
    maps, draws = scaled(resnet, images, TARGET, INDEX), []
    for seed in (2, 3, 4):
        made = copies(resnet, seed, order)
        draws.append(torch.stack([spearman(maps, scaled(changed, images, TARGET, INDEX)) for _, changed in made], 1))
    assert parts == tuple(names for names, _ in copies(resnet))
    torch.testing.assert_close(found, torch.stack(draws).mean(0))
    assert (draws[0] - draws[1]).abs().max() > 0.05  # what one draw of the weights alone would decide
    _, one = parameter_randomisation(scaled, resnet, images, TARGET, draws=1, **settings)
    torch.testing.assert_close(one, draws[0])
    assert (found < 0.99).all()  # 1, the network as it is, is not among them


def test_names_are_means_over_the_parts_of_each_order(resnet, images):
    for name, function, order in (
        ("parameter-randomisation", cascading, "cascading"),
        ("parameter-randomisation-independent", independent, "independent"),
    ):
        assert get(name) is function
        settings = {"index": INDEX, "seed": 2}
        _, found = parameter_randomisation(gradient, resnet, images, TARGET, order=order, **settings)
        torch.testing.assert_close(function(gradient, resnet, images, TARGET, **settings), found.mean(1))


def test_parts_with_an_empty_map_are_left_out_of_the_mean(network, images):
    """The classifying layer's copy, the first, gives empty maps for image 50; the network as it is for image 51."""

    def explain(model, x, target, index):
        maps = gradient(model, x, target, index)
        linear_only = not torch.equal(model[5].weight, network[5].weight) and torch.equal(
            model[0].weight, network[0].weight
        )
        maps[(index == 50) & linear_only] = 0
        maps[(index == 51) & torch.equal(model[5].weight, network[5].weight)] = 0
        return maps

    _, found = parameter_randomisation(explain, network, images, TARGET, index=INDEX)
    assert found.isnan()[0].tolist() == [True, True, False]  # batch normalisation's copy has the old convolution
    assert found[1].isnan().all() and not found[2:].isnan().any()
    mean = cascading(explain, network, images, TARGET, index=INDEX)
    assert mean[1].isnan() and mean[0] == found[0, 2]


@ORDERS
def test_maps_blind_to_the_network_score_one_or_are_undefined(order, resnet, images):
    function = {"cascading": cascading, "independent": independent}[order]

    def blind(name):
        def explain(model, x, target, index):
            return normalise.min_max(explainers.get(name)(model, x))

        return function(explain, resnet, images, TARGET, index=INDEX)

    torch.testing.assert_close(blind("edge-map"), torch.ones(6))
    assert blind("uniform").isnan().all()


def test_rank_correlation_is_undefined_for_constant_and_broken_maps():
    a, b = torch.rand(2, 6, 5, 5)
    expected = spearman(a, b)[4:]
    a[0] = 0.3
    b[1] = 0
    a[2, 1, 1] = torch.nan
    b[3, 1, 1] = -torch.inf
    found = spearman(a, b)
    assert found[:4].isnan().all() and torch.equal(found[4:], expected)
    with pytest.raises(ValueError, match="one shape"):
        spearman(a, b[:3])
