import pytest
import torch
from torch import nn

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


def test_scores_by_hand():
    outputs = told([0.8, 0.5, 0.4], [0.2, 0.5, 0.7])
    expected = {
        "average-drop": [0.75, 0, 0],
        "average-increase": [0, 0, 1],
        "average-gain": [0, 0, 0.5],
        "local-accuracy": [0.6, 0, 0.3],
        "local-accuracy-logit": [6, 0, 3],
    }
    for name, of in OF.items():
        assert of(outputs).dtype == torch.float32
        torch.testing.assert_close(of(outputs), torch.tensor(expected[name], dtype=torch.float32))


def test_undefined_scores_are_nan():
    outputs = told([0.0, 1.0, 0.5], [0.5, 0.5, torch.nan])
    assert masking.average_drop_of(outputs).isnan().tolist() == [True, False, True]
    assert masking.average_gain_of(outputs).isnan().tolist() == [False, True, True]
    for name in ("average-increase", "local-accuracy", "local-accuracy-logit"):
        assert OF[name](outputs).isnan().tolist() == [False, False, True]


@pytest.mark.parametrize("baseline", ["zero", "minimum", torch.tensor([0.1, 0.2, 0.3])[:, None, None]])
def test_equal_to_a_plain_loop(network, images, blobs, baseline):
    maps = blobs(6)
    outputs = masked_outputs(network, images, maps, TARGET, baseline=baseline)
    for i, (x, m, t) in enumerate(zip(images, maps, TARGET, strict=True)):
        behind = {"zero": torch.zeros(()), "minimum": x.min()}[baseline] if isinstance(baseline, str) else baseline
        with torch.no_grad():
            whole, masked = network(torch.stack([x, m * x + (1 - m) * behind]))
        for found, expected in zip(
            (outputs.probability, outputs.masked_probability, outputs.logit, outputs.masked_logit),
            (whole.softmax(0)[t], masked.softmax(0)[t], whole[t], masked[t]),
            strict=True,
        ):
            assert found[i].item() == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("name", OF)
def test_registered_scores_are_those_of_one_pass(network, images, blobs, name):
    maps, blue = blobs(6), torch.tensor([0.1, 0.2, 0.9])[:, None, None]
    scores = metrics.get(name)(network, images, maps, TARGET, baseline=blue, chunk=4)
    assert torch.equal(scores, OF[name](masked_outputs(network, images, maps, TARGET, baseline=blue, chunk=4)))
    assert (
        not torch.equal(scores, OF[name](masked_outputs(network, images, maps, TARGET))) or name == "average-increase"
    )
    assert scores.dtype == torch.float32 and scores.shape == (6,)


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


def test_maps_that_are_not_finite_are_nan_and_leave_the_others_alone(network, images, blobs):
    maps = blobs(6)
    before = {name: metrics.get(name)(network, images, maps, TARGET) for name in OF}
    maps[0, 3, 3], maps[1, 3, 3] = torch.nan, torch.inf
    for name in OF:
        after = metrics.get(name)(network, images, maps, TARGET)
        assert after[:2].isnan().all()
        assert torch.equal(after[2:], before[name][2:])


@pytest.mark.parametrize("name", OF)
def test_each_image_stands_alone_whatever_the_chunk(network, images, blobs, name):
    maps = blobs(6)
    scores = metrics.get(name)(network, images, maps, TARGET)
    for part in ([4], [5, 0, 3]):
        alone = metrics.get(name)(network, images[part], maps[part], TARGET[part], chunk=2)
        torch.testing.assert_close(alone, scores[part], atol=1e-5, rtol=0)


def test_two_forward_passes_that_hold_at_most_a_chunk(images, blobs):
    sizes = []

    def model(x):
        sizes.append(len(x))
        return x.mean((2, 3))

    masked_outputs(model, images, blobs(6), TARGET.clamp(max=2), chunk=4)
    assert sizes == [4, 2, 4, 2]


def test_nothing_is_changed_and_autocast_is_left_out(network, images, blobs):
    maps = blobs(6)
    before = [tensor.clone() for tensor in (images, maps)]
    scores = metrics.get("average-drop")(network, images, maps, TARGET)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(
            metrics.get("average-drop")(network, images.requires_grad_(), maps.requires_grad_(), TARGET), scores
        )
    assert torch.equal(images, before[0]) and torch.equal(maps, before[1])
    assert not scores.requires_grad and images.grad is None


@pytest.mark.parametrize(
    "wrong, error, message",
    [
        ({"attribution": torch.full((6, SIZE, SIZE), 1.1)}, ValueError, "normalise them first"),
        ({"attribution": torch.full((6, SIZE, SIZE), -0.1)}, ValueError, r"in \[0,1\].*Got values from -0.1 to -0.1"),
        ({"attribution": torch.ones(6, 4, 4)}, ValueError, r"maps \[6, 4, 4\]"),
        ({"target": TARGET + 1}, ValueError, "targets in 0 to 3. Got 1 to 4"),
        ({"x": torch.zeros(6, 3, SIZE, SIZE, dtype=torch.uint8)}, TypeError, "uint8"),
        ({"baseline": "blur"}, ValueError, "Got 'blur'"),
        ({"baseline": torch.zeros(5)}, ValueError, "broadcasts to images"),
        ({"chunk": 0}, ValueError, "chunk of at least 1"),
        ({"model": nn.Dropout()}, ValueError, "evaluation mode"),
    ],
)
def test_refuses_what_has_no_meaning(network, images, blobs, wrong, error, message):
    arguments = {"model": network, "x": images, "attribution": blobs(6), "target": TARGET}
    with pytest.raises(error, match=message):
        masked_outputs(**arguments | wrong)
