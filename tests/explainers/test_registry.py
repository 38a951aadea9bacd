import pytest
import torch

from xai_lib import explainers
from xai_lib.explainers import registry


@pytest.fixture
def own_registry(monkeypatch):
    monkeypatch.setattr(registry.EXPLAINERS, "entries", dict(registry.EXPLAINERS.entries))


def test_names_hold_the_cams_and_the_controls():
    assert {"grad-cam", "eigen-cam", "uniform", "random", "centred-gaussian", "edge-map"} <= set(explainers.names())
    assert list(explainers.names()) == sorted(explainers.names())


def test_get_returns_the_function():
    assert explainers.get("grad-cam") is explainers.cams.grad_cam


def test_every_explainer_answers_to_the_same_face(model, x, target):
    statistics = explainers.bottleneck.feature_statistics(model, [x], "last")
    for name in explainers.names():
        about = explainers.about(name)
        extra = {"seed": 0, "index": torch.arange(len(x))} if about.random else {}
        extra |= {"statistics": statistics} if about.needs else {}
        maps = about.function(model, x, score=explainers.of_class(target, about.explains), layer="last", **extra)
        assert maps.shape in ((4, 16, 16), (4, 3, 16, 16)), name
        assert maps.dtype == torch.float32
        assert not maps.requires_grad


def test_about_says_what_a_caller_must_know():
    assert explainers.about("grad-cam").class_specific
    assert explainers.about("grad-cam").on_layer
    assert not explainers.about("grad-cam").random
    assert not explainers.about("eigen-cam").class_specific
    assert explainers.about("random").random
    assert not explainers.about("edge-map").on_layer
    assert explainers.about("iba").needs == ("statistics",)
    assert not any(explainers.about(name).needs for name in explainers.names() if name != "iba")
    others = {name for name in explainers.names() if explainers.about(name).explains != "logit"}
    assert others == {"iba", "lime", "rise"}


@pytest.mark.parametrize("lookup", [explainers.get, explainers.about])
def test_unknown_name_lists_those_that_exist_nearest_first(lookup):
    with pytest.raises(ValueError, match=r"Expected the name of an explainer: grad-cam, .*uniform.*Got 'gradcam'"):
        lookup("gradcam")


def test_duplicate_name_is_refused(own_registry):
    with pytest.raises(ValueError, match=r"'grad-cam', which is taken: ablation-cam"):
        explainers.register("grad-cam", paper="-", family="cam")(lambda model, x, *, score, layer: x)


def test_registering_returns_the_function_and_makes_it_available(own_registry):
    def mine(model, x, *, score, layer=None):
        return x[:, 0]

    assert explainers.register("mine", paper="-", family="cam")(mine) is mine
    assert explainers.get("mine") is mine


@pytest.mark.parametrize(
    "function",
    [
        lambda images, score, layer: images,
        lambda model, x, *, score: x,
        lambda model, x, *, score, layer, seed: x,
        lambda model, x, *, score, layer, index: x,
    ],
)
def test_another_face_is_refused(own_registry, function):
    with pytest.raises(TypeError, match=r"Expected an explainer"):
        explainers.register("faceless", paper="-", family="cam")(function)
    assert "faceless" not in explainers.names()


@pytest.mark.parametrize("settings", [{"family": "cams"}, {"family": "cam", "explains": "softmax"}])
def test_a_family_or_reading_that_does_not_exist_is_refused(settings):
    with pytest.raises(ValueError, match=r"Expected .* out of"):
        explainers.register("unheard", paper="-", **settings)
    assert "unheard" not in explainers.names()
