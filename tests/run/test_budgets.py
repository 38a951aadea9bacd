import math
from dataclasses import fields

import pytest

from xai_lib.run import budgets, settings


@pytest.mark.parametrize("name", budgets.SCALES)
def test_every_scale_loads_and_knows_its_name(name):
    run = settings.settings(name)
    assert run.scale == name
    assert run.contrastive.n_quantus <= run.contrastive.n_scored
    assert run.networks.saliency_seeds <= run.networks.seeds
    n_saliency = math.inf if run.saliency.n_saliency is None else run.saliency.n_saliency
    assert run.saliency.n_sensitivity <= run.saliency.n_transformed <= n_saliency


@pytest.mark.parametrize(
    ("room", "budget"),
    [
        ("contrastive", "n_scored"),
        ("saliency", "n_transformed"),
        ("saliency", "n_sensitivity"),
        ("saliency", "sensitivity_draws"),
        ("saliency", "monotonicity_samples"),
        ("saliency", "n_tools"),
        ("saliency", "causal_steps"),
        ("explainers", "rise_masks"),
        ("explainers", "lime_samples"),
    ],
)
def test_scales_grow(room, budget):
    values = [getattr(budgets.load(name)[1][room], budget) for name in budgets.SCALES]
    assert sorted(values) == values and values[0] < values[-1]


def test_every_budget_has_a_name_of_its_own():
    names = [field.name for kind in budgets.BUDGETS.values() for field in fields(kind)]
    assert len(set(names)) == len(names)


def test_the_paper_scale_has_the_papers_epochs():
    run = settings.settings("paper")
    assert [run.recipe(loss).epochs for loss in settings.LOSSES] == [200, 500, 500]
    assert run.networks.seeds == 5
    assert (run.explainers.rise_masks, run.explainers.lime_samples, run.saliency.n_saliency) == (4000, 1000, None)


def test_published_networks_are_those_that_exist():
    names = "package:efficientnet-lite1 torchvision:resnet50"
    run = settings.settings("smoke", "imagenet:/nowhere", overrides=f"published={names}")
    assert run.published == names.split() and run.networks.size == 240
    for wrong in ("", "package:efficientnet-lite9"):
        with pytest.raises(ValueError, match=r"Expected published networks out of torchvision:resnet18, .*Got"):
            settings.settings("smoke", "imagenet:/nowhere", overrides=f"published={wrong}")


def test_any_value_can_be_overridden():
    dataset, found = budgets.load("demo", "epochs_ce=1, n_train = 64,dataset=folder:/images, n_test=null")
    assert (found["networks"].epochs_ce, found["networks"].n_train, found["networks"].n_test) == (1, 64, None)
    assert dataset == "folder:/images"


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("huge", "", "smoke, demo, laptop, paper"),
        ("demo", "epoch=1", "Unknown setting epoch"),
        ("demo", "epochs_ce", "name=value"),
        ("demo", "epochs_ce=0", "from 1 to 1,000,000,000 or null for epochs_ce. Got '0'"),
        ("demo", "epochs_ce=1.5", "from 1 to 1,000,000,000 or null for epochs_ce. Got '1.5'"),
        ("demo", "seeds=null", "from 1 to 1,000,000,000 for seeds. Got 'null'"),
        *(
            ("demo", f"n_train={value}", "for n_train. Got")
            for value in ("true", "[1", "{a: b: c", "&a *a", "\t", '"1')
        ),
        *(
            ("demo", f"n_train={value}", "for n_train. Got")
            for value in ("-4", "1e3", "0x10", "1_0", "²", "9" * 20, "")
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_the_choices(name, overrides, message):
    with pytest.raises(ValueError, match=message):
        budgets.load(name, overrides)
