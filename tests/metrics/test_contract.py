"""What all metrics have in common, tested on every one that is registered."""

import inspect

import pytest
import torch
from derivations.metrics import SIZE, smooth_maps, walked
from torch import nn

from xai_lib import metrics
from xai_lib.explainers import normalise

NAMES = metrics.names()
ABOUT = {name: metrics.about(name) for name in NAMES}
SETTINGS = {
    "monotonicity-quantus": {"samples": 3},
    "effective-complexity-minimum": {"step": 4, "tolerance": 1e-4},
    "max-sensitivity": {"draws": 3},
    "average-sensitivity": {"draws": 3},
}
MASKED = ("average-drop", "average-increase", "average-gain", "local-accuracy", "local-accuracy-logit")
every = pytest.mark.parametrize("name", NAMES)


def named(*arguments):
    """The metrics that take all of these arguments."""
    return pytest.mark.parametrize("name", [n for n in NAMES if set(arguments) <= set(taken(n))])


def taken(name):
    return inspect.signature(ABOUT[name].function).parameters


def explain(x, target, index):
    """A map that depends on the class and moves with the image."""
    return normalise.min_max(x[torch.arange(len(x)), target % 3])


def make_maps(model, x, target, index):
    x = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(model(x).gather(1, target[:, None]).sum(), x)
    return found.sum(1)


def given(name, **changes):
    """Arguments of a metric: six images, maps with ties, and what else it needs."""
    generator = torch.Generator().manual_seed(4)
    found = walked(smooth_maps(6).round(decimals=1)) | {
        "mask": torch.rand(6, SIZE, SIZE, generator=generator) < 0.4,
        "quadrants": torch.tensor([[True, False, False, True]] * 6),
        "explain": explain,
        "make_maps": make_maps,
        "maps": smooth_maps(6),
        "others": (smooth_maps(6) + 0.1 * smooth_maps(6, seed=1)).clamp(0, 1),
    }
    found |= changes | {key: value for key, value in SETTINGS.get(name, {}).items() if key not in changes}
    return {key: value for key, value in found.items() if key in taken(name)}


def score(name, **changes):
    return metrics.get(name)(**given(name, **changes))


def rows(arguments, part):
    batched = ("x", "attribution", "target", "index", "mask", "quadrants", "maps", "others")
    return {key: value[part] if key in batched else value for key, value in arguments.items()}


@every
def test_scores_are_float32_within_their_range(name):
    scores = score(name)
    assert scores.shape == (6,) and scores.dtype == torch.float32
    assert scores.isfinite().all()
    low, high = ABOUT[name].range
    assert (scores >= low).all() and (scores <= high).all()
    assert len(scores.unique()) > 1 or name in ("completeness-quantus", "average-increase")


@every
def test_each_image_stands_alone_whatever_the_chunk(name):
    scores = score(name)
    for part in ([4], [5, 0, 3]):
        chunk = {"chunk": 7} if "chunk" in taken(name) else {}
        alone = metrics.get(name)(**rows(given(name), part), **chunk)
        torch.testing.assert_close(alone, scores[part], atol=2e-3 if "random" in name else 1e-4, rtol=1e-4)


@every
def test_nothing_is_changed_and_autocast_is_left_out(name):
    arguments = given(name)
    before = {key: value.clone() for key, value in arguments.items() if isinstance(value, torch.Tensor)}
    scores = metrics.get(name)(**arguments)
    for key in {"x", "attribution"} & arguments.keys():
        arguments[key].requires_grad_((key == "x" and "explain" not in arguments) or key == "attribution")
    if "make_maps" not in arguments:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(metrics.get(name)(**arguments), scores)
    assert not scores.requires_grad and not scores.is_inference()
    assert all(torch.equal(arguments[key], value) for key, value in before.items())
    assert all(arguments[key].grad is None for key in {"x", "attribution"} & arguments.keys())
    if "model" in arguments:
        assert all(parameter.grad is None for parameter in arguments["model"].parameters())


@named("attribution")
def test_maps_without_a_meaning_are_nan_and_leave_the_others_alone(name):
    before, arguments = score(name), given(name)
    maps = arguments["attribution"]
    maps[0], maps[1, 3, 3], maps[2, 3, 3] = 0, torch.nan, torch.inf
    after = metrics.get(name)(**arguments)
    empty_is_defined = name.startswith(("average-", "local-", "completeness"))
    assert after[0].isnan() != empty_is_defined
    assert after[1:3].isnan().all() and torch.equal(after[3:], before[3:])


@named("seed", "index")
def test_draws_come_from_seed_and_index_alone(name):
    if "attribution" in taken(name):  # where the only draws are those of ties
        maps = torch.ones(6, SIZE, SIZE)
        maps[:, 3:] = 0.5
        changes = {"attribution": maps}
    else:
        changes = {}
    scores = score(name, **changes)
    assert torch.equal(score(name, **changes), scores)
    assert not torch.equal(score(name, seed=1, **changes), scores)
    if "make_maps" not in taken(name):
        other = score(name, index=torch.arange(60, 66), **changes)
        assert not torch.equal(other, scores)


@named("model", "attribution", "chunk")
@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"attribution": torch.zeros(6, 4, 4)}, ValueError, r"one map .*maps \[6, 4, 4\]"),
        ({"attribution": torch.zeros(5, SIZE, SIZE)}, ValueError, "one map"),
        ({"attribution": torch.zeros(6, 2, SIZE, SIZE)}, ValueError, r"maps \[B,H,W\]"),
        ({"attribution": [0.5]}, TypeError, "float tensor"),
        ({"x": torch.zeros(6, 3, SIZE, SIZE, dtype=torch.uint8)}, TypeError, "uint8"),
        ({"target": torch.zeros(5, dtype=torch.int64)}, ValueError, r"one class per image, int64 \[6\]"),
        ({"target": torch.zeros(6)}, ValueError, "float32"),
        ({"target": [0, 1, 2, 0, 1, 2]}, ValueError, r"one class per image, int64 \[6\]. Got list"),
        ({"target": torch.tensor([1, 2, 3, 4, 1, 2])}, ValueError, "targets in 0 to 3. Got 1 to 4"),
        ({"target": torch.tensor([-1, 2, 2, 1, 1, 2])}, ValueError, "targets in 0 to 3. Got -1 to 2"),
        ({"chunk": 0}, ValueError, "chunk of at least 1"),
        ({"model": nn.Dropout()}, ValueError, "evaluation mode"),
        ({"model": lambda x: torch.full((len(x), 4), torch.nan)}, ValueError, "finite logits"),
    ],
)
def test_refuses_what_has_no_meaning(name, wrong, error, message):
    if name.startswith("completeness") and "maps" in message and "4" in message:
        pytest.skip("a sum is taken on the map's own grid, whatever its size")
    with pytest.raises(error, match=message):
        score(name, **wrong)


@named("model", "baseline")
def test_refuses_another_baseline(name):
    with pytest.raises(ValueError, match=r"Expected baseline as 'zero', .* or a tensor. Got 'black'"):
        score(name, baseline="black")
    with pytest.raises(ValueError, match="broadcasts to images"):
        score(name, baseline=torch.zeros(5))


@named("ties")
def test_refuses_another_order_of_ties_and_too_few_indices(name):
    with pytest.raises(ValueError, match=r"ties as 'reversed', 'random' or 'stable'. Got 'first'"):
        score(name, ties="first")
    with pytest.raises(ValueError, match=r"one index per image, 6 in all. Got 2"):
        score(name, index=torch.arange(2))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (n, {count: wrong})
        for n in NAMES
        for count in ("step", "samples", "draws")
        if count in taken(n)
        for wrong in (0, 2.5)
    ],
)
def test_refuses_what_is_no_count(name, change):
    [(count, wrong)] = change.items()
    with pytest.raises(ValueError, match=f"Expected {count} as a whole number of at least 1. Got {wrong}"):
        score(name, **change)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        *((n, {"sets": sets}, rf"sets as a whole number from 2 .*Got {sets}") for n in NAMES
          if n.startswith("monotonicity") for sets in (1, 3 * SIZE**2 + 1, 2.0)),
        *((n, {"attribution": torch.full((6, SIZE, SIZE), 1.1)}, "normalise them first") for n in MASKED),
        *((n, {"attribution": torch.full((6, SIZE, SIZE), -0.1)}, "values from -0.1 to -0.1") for n in MASKED),
        ("effective-complexity", {"threshold": 1.0}, r"share in \[0, 1\)"),
        ("effective-complexity", {"threshold": float("nan")}, r"share in \[0, 1\)"),
        ("effective-complexity-minimum", {"tolerance": -0.1}, "squared error of a probability"),
        ("effective-complexity-minimum", {"tolerance": 1.0}, "squared error of a probability"),
        ("max-sensitivity", {"variant": "new"}, "'paper' or 'released'. Got 'new'"),
        ("max-sensitivity", {"radius": -0.1}, "radius of at least 0. Got -0.1"),
        ("max-sensitivity", {"chunk": 0}, "chunk of at least 1 image. Got 0"),
        ("max-sensitivity", {"index": torch.arange(3)}, r"one index per image, int64 \[6\]"),
        ("max-sensitivity", {"target": torch.arange(3)}, r"one class per image, int64 \[6\]"),
        ("max-sensitivity", {"reference": torch.ones(3, SIZE, SIZE)}, "one map per image, 6 in all. Got 3"),
        ("max-sensitivity", {"reference": torch.ones(6, 4, 4)}, "maps of noisy images in the shape of the others"),
        ("max-sensitivity", {"x": torch.ones(6, 3, SIZE)}, r"images \[B,c,H,W\]"),
        ("continuity", {"empty": "drop"}, "'nan' or 'keep'. Got 'drop'"),
        ("parameter-randomisation", {"model": nn.Linear(1, 1)}, "evaluation mode"),
    ],
)  # fmt: skip
def test_refuses_settings_without_meaning(name, change, message):
    with pytest.raises(ValueError, match=message):
        score(name, **change)


@named("model", "attribution", "chunk")
def test_no_forward_pass_holds_more_than_the_chunk(name):
    sizes = []

    def model(x):
        sizes.append(len(x))
        return x.mean((2, 3))

    score(name, model=model, target=torch.tensor([0, 1, 2, 0, 1, 2]), chunk=4)
    assert max(sizes) == 4


@named("model", "attribution", "chunk")
def test_takes_a_frozen_scripted_model_and_double_precision(name):
    arguments, scores = given(name), score(name)
    frozen = torch.jit.freeze(torch.jit.trace(arguments["model"], arguments["x"]))
    torch.testing.assert_close(metrics.get(name)(**arguments | {"model": frozen}), scores, atol=1e-4, rtol=1e-4)
    double = {key: arguments[key].double() for key in ("x", "attribution")} | {"model": arguments["model"].double()}
    found = metrics.get(name)(**arguments | double)
    assert found.dtype == torch.float32
    if name not in ("completeness-quantus", "monotonicity-arya"):  # these ask for equality, which rounding decides
        torch.testing.assert_close(found, scores, atol=1e-3, rtol=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every
def test_gpu_gives_the_same_scores(name, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    moved = {k: v.cuda() if isinstance(v, torch.Tensor | nn.Module) else v for k, v in given(name).items()}
    scores = score(name)
    if name != "completeness-quantus":
        torch.testing.assert_close(metrics.get(name)(**moved).cpu(), scores, atol=1e-4, rtol=1e-3)
