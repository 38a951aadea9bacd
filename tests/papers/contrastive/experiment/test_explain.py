import pytest
import torch

from xai_lib import explainers, models, training
from xai_lib.explainers import class_score
from xai_lib.metrics import similarity
from xai_lib.papers.contrastive import experiment
from xai_lib.run import settings, train


@pytest.fixture
def network(smoke_run):
    return models.fold_batchnorm(train.trained(smoke_run, "ce", 0).classifier)


@pytest.mark.parametrize("method", settings.METHODS)
def test_maps_are_raw_signed_and_on_the_layers_grid(smoke_run, network, method):
    found, split = experiment.explained(smoke_run, "ce", 0, method), smoke_run.scored_split()
    x = split.normalise(split.images)
    predicted = network(x).argmax(dim=1)
    explain = explainers.get(method)
    expected = explain(network, x, score=class_score(predicted), upsample=False)
    torch.testing.assert_close(found.maps, expected, atol=1e-5, rtol=1e-4)
    assert found.maps.dtype == torch.float32 and found.maps.shape[-1] < split.images.shape[-1] / 2
    assert method != "grad-cam" or (found.maps < 0).any()  # after a ReLU, Eigen-CAM has no sign to lose
    assert torch.equal(found.predicted, predicted)
    assert torch.equal(found.labels, split.labels) and torch.equal(found.index, split.index)


def test_noise_and_other_class_are_those_of_the_metrics(smoke_run, network):
    found, split = experiment.explained(smoke_run, "ce", 0, "grad-cam"), smoke_run.scored_split()
    x = split.normalise(split.images)
    explain = explainers.get("grad-cam")
    same = class_score(found.predicted)
    other = similarity.other_class(found.predicted, 10, seed=0, index=split.index)
    assert not (other == found.predicted).any()
    for maps, images, score in [
        (found.noisy, similarity.noisy(x, seed=0, index=split.index), same),
        (found.noisy_released, similarity.noisy(x, seed=0, index=split.index, clamp=True), same),
        (found.other, x, class_score(other)),
    ]:
        expected = explain(network, images, score=score, upsample=False)
        torch.testing.assert_close(maps, expected, atol=1e-5, rtol=1e-4)
        assert not torch.allclose(maps, found.maps, atol=1e-5)


def test_a_method_that_knows_no_class_has_no_map_of_another(smoke_run):
    assert experiment.explained(smoke_run, "ce", 0, "eigen-cam").other is None


def test_maps_are_computed_once(smoke_run, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("computed again")

    monkeypatch.setattr(models, "fold_batchnorm", refuse)
    monkeypatch.setattr(training, "fit", refuse)
    experiment.explained(smoke_run, "tl", 0, "grad-cam")
