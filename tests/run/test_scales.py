import math

import pytest

from xai_lib.run import scales


@pytest.mark.parametrize("name", scales.names())
def test_every_scale_loads_and_knows_its_name(name):
    scale = scales.load(name)
    assert scale.name == name
    assert scale.n_quantus <= scale.n_scored
    assert scale.saliency_seeds <= scale.seeds
    n_saliency = math.inf if scale.n_saliency is None else scale.n_saliency
    assert scale.n_sensitivity <= scale.n_transformed <= n_saliency


@pytest.mark.parametrize(
    "budget",
    ["n_scored", "n_transformed", "n_sensitivity", "sensitivity_draws", "causal_steps", "rise_masks", "lime_samples"],
)
def test_scales_grow(budget):
    values = [getattr(scales.load(name), budget) for name in scales.names()]
    assert sorted(values) == values and values[0] < values[-1]


def test_the_paper_scale_has_the_papers_epochs():
    scale = scales.load("paper")
    assert (scale.epochs("ce"), scale.epochs("scl"), scale.epochs("tl")) == (200, 500, 500)
    assert scale.seeds == 5
    assert (scale.rise_masks, scale.lime_samples, scale.n_saliency) == (4000, 1000, None)


def test_any_value_can_be_overridden():
    scale = scales.load("demo", "epochs_ce=1, n_train = 64,dataset=folder:/images, n_test=null")
    assert (scale.epochs_ce, scale.n_train, scale.dataset, scale.n_test) == (1, 64, "folder:/images", None)


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("huge", "", "smoke, demo, laptop, paper"),
        ("demo", "epoch=1", "Unknown setting epoch"),
        ("demo", "epochs_ce", "name=value"),
        ("demo", "epochs_ce=0", "at least 1 for epochs_ce. Got 0"),
        ("demo", "epochs_ce=1.5", "at least 1 for epochs_ce. Got 1.5"),
        ("demo", "seeds=null", "at least 1 for seeds. Got None"),
        ("demo", "recipe=3", "text for recipe"),
        ("demo", "n_train=true", "Got True"),
        ("demo", {"epochs_ce": 1}, "as text"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_choices(name, overrides, message):
    with pytest.raises(ValueError, match=message):
        scales.load(name, overrides)
