import pytest
import torch

from xai_lib import your_images, your_model
from xai_lib.papers.saliency import example, experiment
from xai_lib.papers.saliency.method import lineup
from xai_lib.run.networks import trained


@pytest.fixture
def found(smoke_run, tmp_path):
    return example.example(smoke_run, tmp_path)


@pytest.fixture
def opened(found):
    """The example as the notebook on one's own model reads it."""
    network = your_model.load_model(found["model"], found["checkpoint"], arguments=found["arguments"])
    statistics = {name: your_images.parse_statistics(found[name]) for name in ("mean", "std")}
    classes = your_images.class_names(found["classes"])
    return network, your_images.load_images(found["images"], size=found["size"], classes=classes, **statistics)


def test_the_files_give_the_runs_network_and_scored_images_again(smoke_run, opened):
    network, images = opened
    split = smoke_run.scored_split()
    assert images.classes == split.classes and len(images) == len(split) == 10
    by_label, mine = torch.argsort(split.labels), torch.argsort(images.labels)
    assert torch.equal(images.labels[mine], split.labels[by_label])
    x = images.normalise(images.images)[mine]
    assert torch.equal(x, split.normalise(split.images)[by_label])
    with torch.no_grad():
        assert torch.equal(network(x), trained(smoke_run, "ce", 0).classifier.eval()(x))


def test_the_example_fits_the_benchmark(smoke_run, found, opened, tmp_path):
    network, images = opened
    methods = tuple(name.strip() for name in found["methods"].split(","))
    assert set(methods) < set(lineup.ALL)
    study = experiment.study_of(smoke_run, network, images, name=found["model"], methods=methods)
    assert len(study.networks[0].images) == smoke_run.saliency.n_saliency
    assert found["size"] == 32 and found["checkpoint"].startswith(str(tmp_path))
