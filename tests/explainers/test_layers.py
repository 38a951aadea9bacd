from functools import partial

import pytest
import torch
from derivations.networks import fresh, images
from torch import nn

from xai_lib import explainers
from xai_lib.explainers import cams, class_score, perturbed_cams
from xai_lib.explainers.bottleneck import feature_statistics
from xai_lib.explainers.layers import at_depth, find_layer, grids, last_spatial_layer
from xai_lib.explainers.passes import layer_activations, logits_behind


def test_a_layer_is_found_by_its_name_or_as_a_module(model):
    assert find_layer(model, "last.1") == find_layer(model, model.last[1]) == ("last.1", model.last[1])


def test_the_models_own_list_and_default_are_known():
    model = fresh("resnet8")
    assert find_layer(model, None) == ("backbone.block3", model.backbone.block3)


def test_another_networks_attributes_of_those_names_mean_nothing(x):
    model = fresh("small")
    model.layers, model.default_layer = nn.ModuleList([model.stem]), "stem"
    assert find_layer(model, None, x) == ("relu", model.relu)
    assert at_depth(model, "relu", 2 / 3) == "last"


def test_a_shared_module_is_found_under_both_names():
    relu = nn.ReLU()
    assert find_layer(nn.Sequential(relu, nn.Tanh(), relu), "2")[1] is relu


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        (None, ValueError, r"the name of a layer of this model: stem, .*last\.1, … \(13 in all\)\. Got None"),
        ("lasst", ValueError, r"Expected the name of a layer of this model: last, .*stem.*13 in all.*Got 'lasst'"),
        ("", ValueError, r"Got ''"),
        (nn.ReLU(), ValueError, r"Got a ReLU that is not part of it"),
        (3, TypeError, r"Expected layer as a module, a dotted name or None"),
        (["last"], TypeError, r"Expected layer as a module, a dotted name or None"),
    ],
)
def test_what_is_no_layer_of_the_model_is_refused(model, layer, error, message):
    with pytest.raises(error, match=message):
        find_layer(model, layer)


@pytest.mark.parametrize("find", [find_layer, last_spatial_layer])
def test_a_model_that_is_no_module_is_refused(find, x):
    with pytest.raises(TypeError, match=r"Expected model as a torch.nn.Module. Got function"):
        find(lambda x: x, x)


# An earlier one, by its share of the layers


@pytest.mark.parametrize(
    ("network", "layer", "expected"),
    [("resnet8", None, "backbone.block2"), ("resnet18", None, "backbone.layer3.0"), ("resnet50", "layer4", "layer2"),
     ("small", "relu", "last"), ("small", "last.1", "last.1")],
)  # fmt: skip
def test_two_thirds_of_the_way_to_a_layer(network, layer, expected):
    model = fresh(network)
    assert at_depth(model, layer, 2 / 3) == expected
    assert at_depth(model, layer, 1) == find_layer(model, layer)[0]


# The last layer, found by running


@pytest.mark.parametrize(
    ("network", "expected"), [("resnet8", "backbone"), ("resnet50", "layer4"), ("googlenet", "inception5b")]
)
def test_the_outermost_block_before_the_pooling_is_found(network, expected):
    assert last_spatial_layer(fresh(network), torch.zeros(1, 3, 64, 64)) == expected


def test_in_a_plain_network_it_is_the_last_relu(model, x):
    assert last_spatial_layer(model, x) == "relu"


def test_the_layer_found_gives_the_map_of_the_default_layer(target):
    model, x, score = fresh("resnet8"), images(4, 32), class_score(target)
    expected = cams.grad_cam(model, x, score=score)
    torch.testing.assert_close(cams.grad_cam(model, x, score=score, layer=last_spatial_layer(model, x)), expected)


class Odd(nn.Module):
    """What runs behind `twice`, last run, is no candidate: a pair, whole numbers, another batch, one place."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.twice = nn.ReLU()
        self.pair = Apply(lambda a: (a, a))
        self.whole = Apply(lambda a: a.long())
        self.halves = Apply(lambda a: a.reshape(2 * len(a), 2, *a.shape[2:]))
        self.place = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        a = self.twice(self.conv(x))
        a = self.twice(a - 1)
        self.pair(a)
        self.whole(a)
        self.halves(a)
        return self.place(a).flatten(1)


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, a):
        return self.function(a)


def test_only_what_an_explainer_takes_is_found(x):
    model = Odd()
    assert last_spatial_layer(model, x) == "twice"
    torch.testing.assert_close(layer_activations(model, x, "twice"), (model.conv(x).relu() - 1).relu())


def test_a_network_without_such_a_layer_lists_what_ran(x):
    model = nn.Sequential(nn.Flatten(), nn.Linear(768, 5)).train()
    with pytest.raises(ValueError, match=r"Got these, .*: 1 \[4, 5\], 0 \[4, 768\]. Name the layer yourself"):
        last_spatial_layer(model, x)
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_finding_leaves_the_network_as_it_was(model, x):
    model.train()
    model.middle.eval()
    modes = [module.training for module in model.modules()]
    statistics = model.stem[1].running_mean.clone()
    last_spatial_layer(model, x)
    with pytest.raises(RuntimeError):
        last_spatial_layer(model, x[:, :2])
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(model.stem[1].running_mean, statistics)


class Tokens(nn.Module):
    """A small ViT with a class token, which alone is read, or a Swin-like network with its channels last."""

    def __init__(self, extra=1, heads=2, width=8, patch=8):
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.extra = nn.Parameter(torch.randn(1, extra, width))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).mT
        tokens = torch.cat([self.extra.expand(len(tokens), -1, -1), tokens], 1)
        seen = self.norm1(tokens)
        tokens = self.norm2(tokens + self.attention(seen, seen, seen)[0])
        return self.head(tokens[:, 0] if self.extra.shape[1] else tokens.mean(1))


class Last(nn.Module):
    """Channels last from the patches on, as Swin has them."""

    def __init__(self, width=12):
        super().__init__()
        self.patches, self.features = nn.Conv2d(3, width, 8, 8), nn.Sequential(nn.LayerNorm(width), nn.GELU())
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        return self.head(self.features(self.patches(x).permute(0, 2, 3, 1)).mean((1, 2)))


@pytest.mark.parametrize("size", [(32, 32), (32, 48), (64, 40)])
@pytest.mark.parametrize(
    ("build", "expected"),
    [(Tokens, "norm1"), (partial(Tokens, extra=2), "norm1"), (partial(Tokens, extra=0), "norm2"), (Last, "features")],
)
def test_tokens_and_channels_last_are_a_grid_of_the_images_proportions(build, expected, size):
    model, x = fresh(build), torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    assert last_spatial_layer(model, x) == expected
    grid = (size[0] // 8, size[1] // 8)
    assert grids(model, x)["patches"] == grids(model, x)[expected] == grid
    score = class_score(torch.tensor([0, 3]))
    for explain in (cams.grad_cam, perturbed_cams.score_cam, perturbed_cams.ablation_cam):
        maps = explain(model, x, score=score, upsample=False)
        assert maps.shape == (2, *grid) and maps.isfinite().all() and maps.std() > 0
    output = []
    with model.get_submodule(expected).register_forward_hook(lambda _, __, out: output.append(out.detach())):
        logits = model(x)
    places = output[0] if output[0].ndim == 4 else output[0][:, -grid[0] * grid[1] :].unflatten(1, grid)
    torch.testing.assert_close(layer_activations(model, x, expected), places.permute(0, 3, 1, 2), check_stride=False)
    module = model.get_submodule(expected)
    torch.testing.assert_close(logits_behind(model, module, x, places.permute(0, 3, 1, 2)), logits)


def test_a_map_of_a_channels_last_grid_is_that_of_the_same_network_with_channels_first():
    last = fresh(Last)
    first = nn.Sequential(last.patches, Apply(lambda a: last.features(a.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)))
    first = nn.Sequential(first, nn.AdaptiveAvgPool2d(1), nn.Flatten(), last.head)
    x, score = images(2, 64), class_score(torch.tensor([1, 2]))
    torch.testing.assert_close(
        cams.grad_cam(last, x, score=score), cams.grad_cam(first, x, score=score, layer="0"), rtol=1e-4, atol=1e-6
    )


class OneActivation(nn.Module):
    """EfficientNet-Lite0's own code in small: one activation module, also for the features behind the pooling."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.act = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 6, 3, 2, 1), nn.ReLU6()
        self.hidden, self.head = nn.Linear(6, 6), nn.Linear(6, 5)

    def forward(self, x):
        a = self.act(self.first(x))
        return self.head(self.act(self.hidden(self.act(self.second(a)).mean((2, 3)))))


@pytest.mark.parametrize("name", ["grad-cam", "hires-cam", "score-cam", "ablation-cam", "eigen-cam", "iba"])
def test_an_activation_used_everywhere_is_explained_at_its_last_grid(name):
    shared, x, score = fresh(OneActivation), images(2, 32), class_score(torch.tensor([1, 2]))
    apart = nn.Sequential(shared.first, nn.ReLU6(), shared.second, nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    apart = nn.Sequential(*apart, shared.hidden, nn.ReLU6(), shared.head).eval()
    assert last_spatial_layer(shared, x) == "act" and last_spatial_layer(apart, x) == "3"
    about, maps = explainers.about(name), []
    for model, layer in ((shared, None), (apart, "3")):
        place = layer or find_layer(model, layer, x)[0]
        random = {"seed": 0, "index": torch.tensor([0, 1])} if about.random else {}
        if "statistics" in about.needs:
            random["statistics"] = feature_statistics(model, [images(9, 32, seed=4)], place)
        maps.append(about.function(model, x, score=score, layer=layer, **random))
    torch.testing.assert_close(*maps, rtol=1e-4, atol=1e-5)


def test_an_error_names_ten_layers_with_their_grids(x):
    with pytest.raises(ValueError) as error:
        cams.grad_cam(
            fresh("resnet50"), torch.zeros(1, 3, 64, 64), score=class_score(torch.tensor([1])), layer="layer5"
        )
    assert "layer4 (2×2)" in str(error.value) and ", … (" in str(error.value) and "Got 'layer5'" in str(error.value)
    assert str(error.value).count(",") == 10 and "\n" not in str(error.value)


ZOO = {
    "resnet18": "layer4", "resnet50": "layer4", "convnext_tiny": "norm_pre", "vit_tiny_patch16_224": "blocks.11.norm1",
    "swin_tiny_patch4_window7_224": "norm", "mobilenetv3_small_100": "blocks", "densenet121": "features",
    "regnety_002": "final_conv", "tf_efficientnet_lite0": "bn2", "deit_tiny_distilled_patch16_224": "blocks.11.norm1",
}  # fmt: skip


@pytest.mark.parametrize("name", ZOO)
def test_timms_networks_are_explained_at_their_last_grid(name):
    timm = pytest.importorskip("timm")
    size = int(name[-3:]) if name.endswith("_224") else 64
    model = fresh(partial(timm.create_model, name, num_classes=10))
    assert last_spatial_layer(model, torch.zeros(1, 3, size, size)) == ZOO[name]
    maps = cams.grad_cam(model, images(1, size), score=class_score(torch.tensor([1])))
    assert maps.shape == (1, size, size) and maps.isfinite().all() and maps.std() > 0
