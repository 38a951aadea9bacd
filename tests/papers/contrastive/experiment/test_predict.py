import torch

from xai_lib.papers.contrastive import experiment
from xai_lib.run import train


def test_outputs_are_those_of_the_network_for_every_test_image(smoke_run):
    outputs, split = experiment.predicted(smoke_run, "scl", 0), smoke_run.test_split()
    classifier = train.trained(smoke_run, "scl", 0).classifier
    with torch.inference_mode():
        logits = classifier(split.normalise(split.images))
        features = classifier.features(split.normalise(split.images))
    torch.testing.assert_close(outputs.logits, logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(outputs.features, features, atol=1e-4, rtol=1e-4)
    assert torch.equal(outputs.index, split.index) and torch.equal(outputs.labels, split.labels)


def test_correct_confidence_and_confusion_by_hand():
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    outputs = experiment.Predicted(torch.arange(4), torch.tensor([0, 1, 2, 0]), logits, torch.zeros(4, 2), cell=None)
    assert outputs.correct.tolist() == [1, 1, 0, 1]
    sure = torch.tensor(2.0).exp() / (torch.tensor(2.0).exp() + 2)
    torch.testing.assert_close(outputs.confidence, torch.stack([sure, sure, sure, torch.tensor(1 / 3)]))
    assert outputs.confusion.tolist() == [[2, 0, 0], [0, 1, 0], [0, 1, 0]]
