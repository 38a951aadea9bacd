from pathlib import Path

import torch

from xai_lib import your_images, your_model
from xai_lib.papers.saliency import example, experiment
from xai_lib.papers.saliency.method import lineup
from xai_lib.run import train


def opened(found):
    """The example as the notebook on one's own model reads it."""
    network = your_model.load_model(found.model, found.checkpoint, arguments=found.arguments)
    images = your_images.load_images(
        found.images,
        size=found.size,
        mean=your_images.parse_statistics(found.mean),
        std=your_images.parse_statistics(found.std),
        classes=your_images.class_names(found.classes),
    )
    return network, images


def test_the_files_give_the_runs_network_and_scored_images_again(smoke_run):
    found = example.example(smoke_run)
    network, images = opened(found)
    split = smoke_run.scored_split()
    assert images.classes == split.classes and len(images) == len(split) == 10
    by_label = torch.argsort(split.labels)
    mine = torch.argsort(images.labels)
    assert torch.equal(images.labels[mine], split.labels[by_label])
    assert torch.equal(images.images[mine], split.images[by_label])
    x = images.normalise(images.images)[mine]
    assert torch.equal(x, split.normalise(split.images)[by_label])
    with torch.no_grad():
        assert torch.equal(network(x), train.trained(smoke_run, "ce", 0).classifier.eval()(x))


def test_the_example_fits_the_studymark_and_says_what_it_is(smoke_run):
    found = example.example(smoke_run)
    network, images = opened(found)
    methods = tuple(name.strip() for name in found.methods.split(","))
    assert set(methods) < set(lineup.ALL)
    study = experiment.study_with(smoke_run, network, images, name=found.model, methods=methods)
    assert len(study.subjects[0].images) == smoke_run.scale.n_saliency
    assert smoke_run.label in found.label
    assert found.size == 32


def test_the_files_go_when_the_example_does(smoke_run):
    found = example.example(smoke_run)
    folder = Path(found.checkpoint).parent
    assert Path(found.images).parent == folder and folder.exists()
    found.folder.cleanup()
    assert not folder.exists()
    again = example.example(smoke_run)
    folder = Path(again.checkpoint).parent
    del again
    assert not folder.exists()
