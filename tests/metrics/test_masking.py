import pytest
import torch

from xai_lib import metrics
from xai_lib.metrics import masking
from xai_lib.metrics.masking import MaskedOutputs, masked_outputs

SIZE = 12
TARGET = torch.tensor([0, 1, 2, 3, 0, 1])
OF = {
    "average-drop": masking.average_drop_of,
    "average-increase": masking.average_increase_of,
    "average-gain": masking.average_gain_of,
    "local-accuracy": masking.local_accuracy_of,
    "local-accuracy-logit": masking.local_accuracy_logit_of,
}


def told(p, masked):
    p, masked = torch.tensor(p).double(), torch.tensor(masked).double()
    return MaskedOutputs(p, masked, 10 * p, 10 * masked)


def test_undefined_scores_are_nan():
    outputs = told([0.0, 1.0, 0.5], [0.5, 0.5, torch.nan])
    assert masking.average_drop_of(outputs).isnan().tolist() == [True, False, True]
    assert masking.average_gain_of(outputs).isnan().tolist() == [False, True, True]
    for name in ("average-increase", "local-accuracy", "local-accuracy-logit"):
        assert OF[name](outputs).isnan().tolist() == [False, False, True]


@pytest.mark.parametrize("name", OF)
def test_registered_scores_are_those_of_one_pass(network, images, blobs, name):
    maps, blue = blobs(6), torch.tensor([0.1, 0.2, 0.9])[:, None, None]
    scores = metrics.get(name)(network, images, maps, TARGET, baseline=blue, chunk=4)
    assert torch.equal(scores, OF[name](masked_outputs(network, images, maps, TARGET, baseline=blue, chunk=4)))
    other = OF[name](masked_outputs(network, images, maps, TARGET))
    assert not torch.equal(scores, other) or name == "average-increase"


def test_a_map_of_ones_changes_nothing(network, images):
    ones = torch.ones(6, SIZE, SIZE)
    for baseline in ("zero", "minimum"):
        for name in OF:
            scores = metrics.get(name)(network, images, ones, TARGET, baseline=baseline)
            assert torch.equal(scores, torch.zeros(6)), name


def test_an_empty_map_shows_the_baseline(network, images):
    outputs = masked_outputs(network, images, torch.zeros(6, SIZE, SIZE), TARGET)
    with torch.no_grad():
        blank = network(torch.zeros(1, 3, SIZE, SIZE))[0].double()
    torch.testing.assert_close(outputs.masked_logit, blank[TARGET], atol=1e-6, rtol=0)


def test_gain_is_told_where_float32_rounds_to_certainty():
    logits = torch.tensor([[0.0, 30.0]])
    model = lambda x: torch.where(x[:, :1, 0, 0] > 0.5, logits, logits / 2)  # noqa: E731
    gain = metrics.get("average-gain")(model, torch.ones(1, 1, 2, 2), torch.zeros(1, 2, 2), torch.tensor([1]))
    assert logits.softmax(1)[0, 1] == 1
    assert gain.item() == 0


def test_two_forward_passes_that_hold_at_most_a_chunk(images, blobs):
    sizes = []

    def model(x):
        sizes.append(len(x))
        return x.mean((2, 3))

    masked_outputs(model, images, blobs(6), TARGET.clamp(max=2), chunk=4)
    assert sizes == [4, 2, 4, 2]
