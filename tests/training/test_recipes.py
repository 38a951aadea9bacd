from dataclasses import asdict, replace

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


def test_unknown_names_list_the_choices():
    with pytest.raises(ValueError, match=r"paper/cifar10.*small.*Got 'large'"):
        recipes.get("large", "ce")
    with pytest.raises(ValueError, match=r"ce, scl, tl.*Got 'hinge'"):
        recipes.get("small", "hinge")


def test_settings_of_trainings_are_those_that_stored_keys_hold():
    assert list(asdict(recipes.get("small", "ce"))) == [
        "loss", "architecture", "epochs", "batch_size", "learning_rate", "weight_decay", "augmentation", "width",
        "optimizer", "momentum", "nesterov", "decay_norms_and_biases", "schedule", "warmup_epochs", "warmup_share",
        "views", "temperature", "margin", "triplets", "projection_hidden", "projection_out",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["small", "small/few-images"])
def test_small_fine_tunings_go_on_from_cross_entropy(name):
    """What they do not set is the recipe's: batches, augmentation, architecture."""
    ((tuning, recipe),) = recipes.fine_tunings(name).items()
    base = asdict(recipes.get(name, "ce"))
    found = {setting: ours for setting, ours in asdict(recipe).items() if base.get(setting, ours) != ours}
    assert (tuning, recipe.start, recipe.label_smoothing) == ("tuned", "ce", 0.1)
    assert found == {
        "learning_rate": 1e-3,
        "weight_decay": 0.05,
        "optimizer": "adamw",
        "momentum": None,
        "nesterov": False,
        "warmup_share": 0.1,
    }
    assert (recipe.schedule, recipe.decay_norms_and_biases) == ("one-cycle", False)


def test_the_papers_fine_tunings_start_from_imagenet():
    found = recipes.fine_tunings("paper/cifar10")
    assert {name: recipe.architecture for name, recipe in found.items()} == {
        "tuned-resnet18": "resnet18-224",
        "tuned-resnet50": "resnet50-224",
    }
    for r in found.values():
        assert (r.loss, r.start, r.optimizer, r.schedule, r.label_smoothing) == (
            "ce", "imagenet", "adamw", "one-cycle", 0.1,
        )  # fmt: skip
        assert (r.epochs, r.batch_size, r.learning_rate, r.weight_decay, r.warmup_share) == (20, 128, 1e-4, 0.05, 0.1)


def test_a_recipe_may_have_no_fine_tuning_and_an_unknown_one_lists_the_choices():
    assert recipes.fine_tunings("paper/imagenet-s50") == {}
    with pytest.raises(ValueError, match=r"paper/cifar10.*small.*Got 'large'"):
        recipes.fine_tunings("large")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"start": "scl"}, "start out of ce, imagenet. Got 'scl'"),
        ({"label_smoothing": 1.0}, "label_smoothing of at least 0 and below 1. Got 1.0"),
        ({"label_smoothing": -0.1}, "label_smoothing of at least 0 and below 1. Got -0.1"),
        ({"loss": "scl", "temperature": 0.1, "projection_out": 8}, "only cross entropy is fine-tuned. Got 'scl'"),
        ({"epochs": 0}, "at least 1"),
    ],
)
def test_impossible_fine_tunings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(recipes.fine_tunings("small")["tuned"], **changes)


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
