import pytest
import torch

from xai_lib.explainers import class_score, get, of_class
from xai_lib.explainers.adapter import raw_maps
from xai_lib.explainers.bottleneck import feature_statistics

INDEX = torch.tensor([5, 0, 17, 3])


@pytest.mark.parametrize(
    ("method", "settings", "reading", "further"),
    [
        ("gradient", {}, "logit", {}),
        ("grad-cam", {}, "logit", {"upsample": False}),
        ("eigen-cam-tool", {}, "logit", {"upsample": False}),
        ("rise", {"n_masks": 5}, "probability", {"seed": 3, "index": INDEX}),
    ],
)
def test_the_method_gets_what_it_takes_and_explains_what_its_paper_does(
    model, x, target, method, settings, reading, further
):
    found = raw_maps(model, method, x, target, INDEX, layer="last", settings=settings, seed=3)
    expected = get(method)(model, x, score=of_class(target, reading), layer="last", **settings, **further)
    assert torch.equal(found, expected)


def test_a_score_is_explained_as_it_is(model, x, target):
    found = raw_maps(model, "rise", x, class_score(target), INDEX, settings={"n_masks": 5})
    assert torch.equal(found, get("rise")(model, x, score=class_score(target), seed=0, index=INDEX, n_masks=5))


def test_maps_on_a_layer_are_resized_if_that_is_wanted(model, x, target):
    found = raw_maps(model, "grad-cam", x, target, INDEX, layer="last", upsample=True)
    assert torch.equal(found, get("grad-cam")(model, x, score=class_score(target), layer="last"))


def test_statistics_are_asked_for_only_by_a_method_that_needs_them(model, x, target):
    asked = []

    def statistics():
        asked.append(1)
        return feature_statistics(model, [x], "middle")

    for method in ("grad-cam", "random"):
        raw_maps(model, method, x, target, INDEX, layer="last", statistics=statistics)
    assert not asked
    settings = {"steps": 1, "copies": 1}
    raw_maps(model, "iba", x, target, INDEX, layer="last", settings=settings, statistics=statistics)
    assert asked == [1]
    with pytest.raises(TypeError, match="statistics"):
        raw_maps(model, "iba", x, target, INDEX, layer="last", settings=settings)


def test_maps_that_know_no_class_are_repeated(model, x, target):
    both = torch.stack([target, target], 1)
    maps = raw_maps(model, "edge-map", x, both, INDEX)
    assert maps.shape == (4, 2, 16, 16)
    assert torch.equal(maps[:, 1], raw_maps(model, "edge-map", x, target, INDEX))
