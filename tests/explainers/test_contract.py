"""What all explainers have in common, tested on every one that is registered."""

import gc

import pytest
import torch
from derivations.networks import fresh, images

from xai_lib import explainers
from xai_lib.explainers import cams, class_score, of_class
from xai_lib.explainers.adapter import raw_maps
from xai_lib.explainers.bottleneck import feature_statistics
from xai_lib.explainers.layers import at_depth

INDEX = torch.tensor([7, 2, 40, 11])
SETTINGS = {
    "integrated-gradients": {"steps": 5},
    "smoothgrad": {"draws": 3},
    "rise": {"n_masks": 20},
    "lime": {"n_samples": 30},
    "iba": {"steps": 3, "copies": 3},
}
PIXELS = ("gradient", "integrated-gradients", "smoothgrad", "guided-backprop", "lrp")  # with a value per colour
every = pytest.mark.parametrize("name", explainers.names())
ABOUT = {name: explainers.about(name) for name in explainers.names()}
asked = pytest.mark.parametrize("name", [name for name in ABOUT if ABOUT[name].family != "uninformed"])
about_a_score = pytest.mark.parametrize("name", [name for name in ABOUT if ABOUT[name].class_specific])


def explain(name, model, x, explained, index=INDEX, layer="relu", seed=0, upsample=True, **settings):
    def statistics():
        with torch.autocast("cpu", enabled=False):
            place = at_depth(model, layer, ABOUT[name].depth)
            return feature_statistics(model, [images(30, x.shape[-1], seed=2).to(x)], place)

    settings = SETTINGS.get(name, {}) | settings
    keywords = {"layer": layer, "settings": settings, "statistics": statistics, "seed": seed, "upsample": upsample}
    return raw_maps(model, name, x, explained, index[: len(x)], **keywords)


def hooks(model):
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    return [len(getattr(module, kind)) for module in model.modules() for kind in kinds]


def test_what_is_registered():
    by_family = {family: {n for n in ABOUT if ABOUT[n].family == family} for family in (
        "uninformed", "gradient", "cam", "occlusion", "learning", "relevance")}  # fmt: skip
    assert by_family["uninformed"] == {"uniform", "random", "centred-gaussian", "edge-map", "fake-cam"}
    assert by_family["gradient"] == set(PIXELS) - {"lrp"}
    assert by_family["cam"] == {name for name in ABOUT if "cam" in name and name != "fake-cam"}
    assert by_family["occlusion"] == {"rise", "lime"} and by_family["learning"] == {"iba"}
    assert by_family["relevance"] == {"lrp", "excitation-backprop"}
    assert {n for n in ABOUT if ABOUT[n].random} == {"random", "smoothgrad", "rise", "lime", "iba"}
    assert {n for n in ABOUT if ABOUT[n].on_layer} == by_family["cam"] | {"iba", "excitation-backprop"}
    assert {n for n in ABOUT if not ABOUT[n].class_specific} == by_family["uninformed"] | {
        "eigen-cam", "eigen-cam-tool"}  # fmt: skip
    assert {n: ABOUT[n].explains for n in ABOUT if ABOUT[n].explains != "logit"} == {
        "rise": "probability", "lime": "probability", "iba": "log-probability"}  # fmt: skip
    assert {n: ABOUT[n].complete for n in ABOUT if ABOUT[n].complete} == {
        "integrated-gradients": "image", "hires-cam": "layer", "xgrad-cam": "layer", "lrp": "logit"}  # fmt: skip
    assert {n for n in ABOUT if ABOUT[n].signed} == {"lime"} and {n for n in ABOUT if ABOUT[n].depth < 1} == {"iba"}
    assert {n: ABOUT[n].needs for n in ABOUT if ABOUT[n].needs} == {"iba": ("statistics",)}


@every
def test_maps_are_float32_of_the_images_size_and_without_a_graph(model, x, target, name):
    maps = explain(name, model, x.requires_grad_(), target)
    assert maps.shape == ((4, 3, 16, 16) if name in PIXELS else (4, 16, 16))
    assert maps.dtype == torch.float32 and not maps.requires_grad
    if ABOUT[name].on_layer:
        grid = explain(name, model, x, target, upsample=False)
        assert grid.shape == (4, 4, 4) and grid.dtype == torch.float32
        assert torch.equal(maps, cams.upsample(grid, (16, 16)))
    double = explain(name, model.double(), x.double(), target)
    assert double.dtype == torch.float32
    torch.testing.assert_close(double, maps, rtol=1e-3, atol=1e-4)


@every
def test_batched_equals_one_by_one(model, x, target, name):
    batched = explain(name, model, x, target)
    single = [explain(name, model, x[b : b + 1], target[b : b + 1], index=INDEX[b : b + 1]) for b in range(4)]
    torch.testing.assert_close(batched, torch.cat(single), rtol=1e-3, atol=1e-5)


@about_a_score
def test_several_scores_equal_each_alone(model, x, target, name):
    targets = torch.stack([target, (target + 1) % 5], 1)
    together = explain(name, model, x, targets)
    assert together.shape[:2] == (4, 2)
    assert (together[:, 0] - together[:, 1]).abs().max() > min(1e-3, 1e-2 * together.abs().max())
    for s in range(2):
        torch.testing.assert_close(together[:, s], explain(name, model, x, targets[:, s]), rtol=1e-4, atol=1e-5)
    assert explain(name, model, x, target[:, None]).shape[:2] == (4, 1)


@asked
@pytest.mark.parametrize("fails", [False, True])
def test_the_network_and_the_images_are_left_as_they_were(model, x, target, name, fails):
    expected = explain(name, model, x, target)
    model.train()
    model.middle.eval()
    model.head.requires_grad_(False)
    model.stem[0].weight.grad = torch.ones_like(model.stem[0].weight)
    parameters, state = list(model.parameters()), {n: value.clone() for n, value in model.state_dict().items()}
    before, modes, kept = hooks(model), [module.training for module in model.modules()], x.clone()
    calls = []

    def failing_at_the_end(logits):
        calls.append(1)
        if len(calls) == fails * number:
            raise RuntimeError("score failed")
        return of_class(target, ABOUT[name].explains)(logits)

    number = 0
    assert torch.equal(explain(name, model, x, failing_at_the_end), expected)
    number = len(calls)
    calls.clear()
    if fails and ABOUT[name].class_specific:
        with pytest.raises(RuntimeError, match="score failed"):
            explain(name, model, x, failing_at_the_end)
    assert hooks(model) == before
    assert [module.training for module in model.modules()] == modes
    assert [p.requires_grad for p in model.head.parameters()] == [False, False] and model.stem[0].weight.requires_grad
    assert all(new is old for new, old in zip(model.parameters(), parameters, strict=True))
    assert (model.stem[0].weight.grad == 1).all()
    assert all(p.grad is None for n, p in model.named_parameters() if n != "stem.0.weight")
    assert all(torch.equal(value, state[n]) for n, value in model.state_dict().items())
    assert torch.equal(x, kept) and not x.requires_grad


@every
def test_nothing_is_kept_after_a_call(model, x, target, name):
    """Neither tensors nor a copy of the network, which fill the memory where weights are drawn again and again."""

    def kept():
        gc.collect()
        return sum(issubclass(type(one), torch.Tensor | torch.nn.Module) for one in gc.get_objects())

    explain(name, model, x, target)
    before = kept()
    for _ in range(3):
        explain(name, model, x, target)
    assert kept() <= before


@every
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_works_where_the_caller_does_not_record(model, x, target, name, mode):
    expected = explain(name, model, x, target)
    with mode():
        torch.testing.assert_close(explain(name, model, x * 1, target), expected)


@pytest.mark.parametrize("name", [name for name in ABOUT if ABOUT[name].family != "relevance"])
def test_it_works_under_autocast(model, x, target, name):
    expected = explain(name, model, x, target)
    with torch.autocast("cpu", torch.bfloat16):
        maps = explain(name, model, x, target)
    assert maps.dtype == torch.float32 and maps.isfinite().all()
    if ABOUT[name].family in ("occlusion", "learning") or name == "ablation-cam":  # float32 all the same
        torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in ABOUT if ABOUT[name].random])
def test_the_index_and_the_seed_choose_what_is_drawn(model, x, target, name):
    same, index = x[:1].expand(4, -1, -1, -1), torch.tensor([1, 1, 2, 3])
    maps = explain(name, model, same, target[:1].expand(4), index=index)
    torch.testing.assert_close(maps[0], maps[1])
    least = min(3e-4, 1e-2 * maps.abs().max())
    assert (maps[2] - maps[3]).abs().max() > least
    other = explain(name, model, same, target[:1].expand(4), index=index, seed=1)
    assert (maps - other).abs().flatten(1).amax(1).min() > least


@asked
@pytest.mark.parametrize(
    ("network", "layer", "narrow"),
    [
        ("resnet8", None, "backbone.stem"),
        ("resnet50", "layer4", "conv1"),
        ("googlenet", "inception5b", "conv1"),
        ("googlenet", "inception5b.branch1", "conv1"),  # beside branches, with which it is concatenated
    ],
)
def test_it_works_on_residual_and_inception_networks(network, layer, narrow, name):
    perturbing = name in ("score-cam", "ablation-cam")  # for them, a layer with few channels, to be fast
    if layer and "." in layer and not ABOUT[name].on_layer:
        pytest.skip("as without a branch")
    maps = explain(name, fresh(network), images(1, 64), torch.tensor([2]), layer=narrow if perturbing else layer)
    assert maps.shape[-2:] == (64, 64) and maps.isfinite().all() and maps.std() > 0


@asked
def test_images_and_scores_that_cannot_be_explained_are_refused(model, x, target, name):
    with pytest.raises(ValueError, match=r"Expected x as images \[B,c,H,W\]. Got shape \[4, 3, 16\]"):
        explain(name, model, x[..., 0], target)
    with pytest.raises(TypeError, match=r"Expected x as normalised images.*Got torch.uint8"):
        explain(name, model, x.byte(), target)
    if ABOUT[name].class_specific:
        with pytest.raises(ValueError, match=r"Expected score to return one number per image, \[4\]"):
            explain(name, model, x, lambda logits: logits.sum())
        with pytest.raises(ValueError, match=r"Expected one target per image, 4 in all. Got 3"):
            explain(name, model, x, class_score(target[:3]))


@pytest.mark.parametrize("name", [name for name in ABOUT if ABOUT[name].random])
def test_too_few_indices_are_refused(model, x, target, name):
    with pytest.raises(ValueError, match=r"Expected one index per image, 4 in all. Got 3"):
        explain(name, model, x, target, index=INDEX[:3])


@pytest.mark.parametrize("name", [name for name in ABOUT if "chunk" in ABOUT[name].function.__code__.co_varnames])
def test_a_chunk_below_one_is_refused(model, x, target, name):
    with pytest.raises(ValueError, match=r"Expected chunk of at least 1 image. Got 0"):
        explain(name, model, x, target, chunk=0)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("integrated-gradients", {"steps": 0}, r"Expected steps as a whole number of at least 1. Got 0"),
        ("integrated-gradients", {"steps": 2.0}, r"Expected steps as a whole number of at least 1. Got 2.0"),
        ("integrated-gradients", {"baseline": "black"}, r"as 'zero', 'minimum' or a tensor. Got 'black'"),
        ("integrated-gradients", {"baseline": torch.zeros(5)}, r"images \[4, 3, 16, 16\]. Got shape \[5\]"),
        ("smoothgrad", {"draws": 0}, r"Expected draws as a whole number of at least 1. Got 0"),
        ("smoothgrad", {"sigma": -0.1}, r"Expected sigma as a share of at least 0. Got -0.1"),
        ("rise", {"n_masks": 0}, r"Expected n_masks as a whole number of at least 1. Got 0"),
        ("rise", {"grid": 0}, r"Expected grid"),
        ("rise", {"p": 0.0}, r"Expected p .* \(0,1\]. Got 0.0"),
        ("rise", {"p": 1.5}, r"Expected p"),
        ("lime", {"n_samples": 0}, r"Expected n_samples as a whole number of at least 1. Got 0"),
        ("lime", {"kernel_width": 0.0}, r"Expected kernel_width above 0. Got 0.0"),
        ("iba", {"steps": 0}, r"Expected steps as a whole number of at least 1. Got 0"),
        ("iba", {"copies": 1.5}, r"Expected copies"),
        ("iba", {"beta": -1.0}, r"Expected beta of at least 0. Got -1.0"),
        ("iba", {"lr": 0.0}, r"Expected lr above 0. Got 0.0"),
        ("lrp", {"epsilon": 0}, r"Expected epsilon above 0. Got 0"),
        ("lrp", {"epsilon": float("nan")}, r"Expected epsilon above 0. Got nan"),
    ],
)
def test_wrong_settings_are_refused(model, x, target, name, settings, message):
    with pytest.raises(ValueError, match=message):
        explain(name, model, x, target, **settings)


@pytest.mark.parametrize(
    ("name", "chunk", "largest", "total"),
    [
        ("integrated-gradients", 1, 4, 4 * 10),  # one point of every image at least
        ("integrated-gradients", 11, 8, 4 * 10),
        ("integrated-gradients", 1000, 40, 4 * 10),
        ("smoothgrad", 11, 8, 4 * 10),
        ("rise", 1, 1, 4 * 66),
        ("rise", 5, 4, 4 * 66),
        ("rise", 64, 64, 4 * 66),
        ("lime", 9, 8, 4 * 70),
        ("iba", 1, 1, None),
        ("iba", 25, 20, None),
        ("score-cam", 1, 1, 4 + 12 * 4),
        ("score-cam", 9, 8, 4 + 12 * 4),
        ("score-cam", 1000, 48, 4 + 12 * 4),
        ("ablation-cam", 1, 1, None),
        ("ablation-cam", 5, 5, None),
        ("ablation-cam", 1000, 13, None),
    ],
)
def test_passes_hold_no_more_than_the_chunk_and_scores_share_them(model, x, target, name, chunk, largest, total):
    counts = {"integrated-gradients": {"steps": 10}, "smoothgrad": {"draws": 10}, "rise": {"n_masks": 66},
              "lime": {"n_samples": 70}, "iba": {"copies": 10}}  # fmt: skip
    both, settings = torch.stack([target, target], 1), counts.get(name, {})
    expected, sizes = explain(name, model, x, both, layer="last", **settings), []
    statistics = feature_statistics(model, [images(30, 16, seed=2)], at_depth(model, "last", ABOUT[name].depth))
    model.head.register_forward_hook(lambda _module, _inputs, output: sizes.append(len(output)))
    settings = SETTINGS.get(name, {}) | settings | {"chunk": chunk}
    maps = raw_maps(model, name, x, both, INDEX, layer="last", settings=settings, statistics=lambda: statistics,
                    upsample=True)  # fmt: skip
    assert max(sizes) == largest and total in (None, sum(sizes))
    torch.testing.assert_close(maps, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every
def test_maps_on_the_gpu_equal_those_on_the_cpu(model, x, target, name):
    expected = explain(name, model, x, target)
    maps = explain(name, model.cuda(), x.cuda(), target.cuda(), index=INDEX.cuda())
    assert maps.device.type == "cuda"
    error = (maps.cpu() - expected).flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1)
    assert error.max() < 0.05  # TF32 in the convolutions; a unit near 0 may switch
