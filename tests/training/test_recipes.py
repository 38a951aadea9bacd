from dataclasses import replace

import pytest

from xai_lib.training import recipes

# Contrastive paper, Table 2: epochs, batch, optimizer, rate, momentum, decay, τ, α, warm-up.
TABLE_2 = {
    ("paper/cifar10", "ce"): ("resnet18", 200, 128, "sgd", 0.1, 0.9, 5e-4, None, None, 0),
    ("paper/cifar10", "scl"): ("resnet18", 500, 256, "sgd", 0.5, 0.9, 1e-4, 0.07, None, 10),
    ("paper/cifar10", "tl"): ("resnet18", 500, 256, "sgd", 0.1, 0.9, 1e-4, None, 0.3, 10),
    ("paper/imagenet-s50", "ce"): ("resnet50", 160, 512, "adamw", 1e-3, None, 1e-4, None, None, 5),
    ("paper/imagenet-s50", "scl"): ("resnet50", 160, 512, "radam", 1e-3, None, 1e-4, 0.07, None, 5),
    ("paper/imagenet-s50", "tl"): ("resnet50", 160, 512, "radam", 1e-3, None, 1e-4, None, 0.3, 5),
}


@pytest.mark.parametrize("name, loss", TABLE_2)
def test_paper_recipes_are_table_2(name, loss):
    r = recipes.get(name, loss)
    row = (r.architecture, r.epochs, r.batch_size, r.optimizer, r.learning_rate, r.momentum, r.weight_decay)
    assert (*row, r.temperature, r.margin, r.warmup_epochs) == TABLE_2[name, loss]
    assert r.loss == loss
    assert r.schedule == "cosine"
    assert r.projection_out == (None if loss == "ce" else 128)
    assert r.views == (2 if loss == "scl" else 1)


@pytest.mark.parametrize("name", recipes.names())
@pytest.mark.parametrize("loss", recipes.LOSSES)
def test_every_recipe_names_an_augmentation(name, loss):
    assert isinstance(recipes.get(name, loss).augment, recipes.Augmentation)


def test_deviations_name_what_differs():
    paper = recipes.get("paper/cifar10", "tl")
    assert recipes.deviations(paper, paper) == []
    ours = replace(paper, epochs=8, margin=0.1)
    assert recipes.deviations(ours, paper) == [("epochs", 500, 8), ("margin", 0.3, 0.1)]


def test_unknown_names_list_the_choices():
    with pytest.raises(ValueError, match=r"paper/cifar10.*small.*Got 'large'"):
        recipes.get("large", "ce")
    with pytest.raises(ValueError, match=r"ce, scl, tl.*Got 'hinge'"):
        recipes.get("small", "hinge")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"optimizer": "adam"}, "optimizer out of sgd, adamw, radam"),
        ({"epochs": 0}, "at least 1"),
        ({"margin": None}, "needs margin"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(recipes.get("small", "tl"), **changes)
