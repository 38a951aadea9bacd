import pytest
import torch

from xai_lib import data as datasets
from xai_lib.run import budgets, settings
from xai_lib.training import recipes


@pytest.mark.parametrize(
    ("parameters", "named", "choices"),
    [
        ({"scale": "huge"}, "huge", budgets.SCALES),
        ({"dataset": "mnist"}, "mnist", datasets.names()),
        ({"dataset": "folder:"}, "folder:", datasets.names()),
        ({"device": "gpu"}, "gpu", ["auto", "cpu", "cuda"]),
        ({"overrides": "epoch=1"}, "epoch", ["epochs_ce", "n_scored", "flipping_step"]),
        ({"overrides": {"seeds": 1}}, "Got {'seeds': 1}", ["Expected text for overrides", "use -r overrides"]),
        ({"overrides": 1}, "Got 1", ["Expected text for overrides", "use -r overrides in place of -p overrides"]),
        ({"label": 7}, "Got 7", ["Expected text for label", "use -r label"]),
        ({"dataset": None}, "Got None", ["Expected text for dataset", "use -r dataset"]),
        ({"label": "caf\udce9"}, "caf", ["Expected text in UTF-8 for label"]),
        ({"overrides": "recipe=large"}, "large", recipes.names()),
        ({"overrides": "recipe=3"}, "3", recipes.names()),
        ({"download": "True"}, "'True'", ["true or false", "-p download True"]),
    ],
)
def test_what_does_not_exist_is_refused_with_the_choices(parameters, named, choices):
    with pytest.raises(ValueError) as refusal:
        settings.settings(**parameters)
    for text in [named, *choices]:
        assert text in str(refusal.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="use auto or cpu"):
        settings.settings(device="cuda")


def test_empty_parameters_mean_the_scales_own():
    run = settings.settings(scale="laptop")
    assert (run.dataset, run.label, run.data_root.name) == ("cifar10", "cifar10", "data")
    assert settings.settings(scale="laptop", dataset="planted").label == "planted"
    assert settings.settings(scale="laptop", dataset="planted", label="Drawn").label == "Drawn"


def test_a_recipe_takes_epochs_and_width_of_the_scale():
    run = settings.settings(scale="smoke", overrides="epochs_ce=3, epochs_scl=4, epochs_tl=5, width=6")
    assert [(recipe.loss, recipe.epochs, recipe.width) for recipe in map(run.recipe, settings.LOSSES)] == [
        ("ce", 3, 6),
        ("scl", 4, 6),
        ("tl", 5, 6),
    ]


def test_a_fine_tuning_takes_epochs_and_what_it_starts_from_the_width():
    run = settings.settings(scale="smoke", overrides="epochs_tuned=3, width=6, seeds=4, dominance_seeds=2")
    ((name, recipe),) = run.fine_tunings.items()
    assert (name, recipe.epochs, recipe.width, recipe.architecture) == ("tuned", 3, 6, run.recipe("ce").architecture)
    assert run.tuned_seeds == range(2)
    published = settings.settings(scale="smoke", overrides="recipe=paper/cifar10, epochs_tuned=3, width=6").fine_tunings
    assert [(recipe.epochs, recipe.width) for recipe in published.values()] == [(3, None)] * 2


def test_nothing_is_fine_tuned_where_networks_come_with_their_weights():
    assert settings.settings(scale="smoke", dataset="imagenet:/images").fine_tunings == {}


def test_splits_have_the_images_of_the_budget_and_no_test_image_is_trained_on(smoke_run):
    train, test, scored = smoke_run.train_split(), smoke_run.test_split(), smoke_run.scored_split()
    assert (len(train), len(test), len(scored)) == (100, 40, 10)
    assert (train.part, test.part, scored.part) == ("train", "test", "test")
    assert set(scored.index.tolist()) <= set(test.index.tolist())
    assert scored.labels.bincount().tolist() == [1] * 10
    pictures = {image.numpy().tobytes() for image in train.images}
    held_out = smoke_run.held_out_split()
    assert held_out.labels.bincount().tolist() == [7] * 4 + [6] * 6
    for other in (test, held_out):
        assert not any(image.numpy().tobytes() in pictures for image in other.images)


def test_imagenet_comes_with_its_network_and_has_224_pixels_unless_another_size_is_named():
    run = settings.settings(scale="smoke", dataset="imagenet:/images")
    assert run.pretrained and run.networks.size == 224
    named = settings.settings(scale="smoke", dataset="imagenet:/images", overrides="size=64, n_saliency=5")
    assert named.pretrained and named.networks.size == 64
    planted = settings.settings(scale="smoke")
    assert not planted.pretrained and planted.networks.size == 32
