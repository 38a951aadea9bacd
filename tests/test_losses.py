import math

import pytest
import torch
from derivations.losses import batch as given
from derivations.losses import hardest, mean, semi_hard, without_semi_hard

from xai_lib.losses import semi_hard_share, supervised_contrastive, triplet_semi_hard

VARIANTS = ("paper", "released")


def batch(**settings):
    """Embeddings and their classes."""
    found = given(**settings)
    return found["z"], found["labels"]


def value_and_gradient(loss, z):
    z = z.clone().requires_grad_()
    value = loss(z)
    (gradient,) = torch.autograd.grad(value, z)
    return value.detach(), gradient


def assert_zero(loss, z):
    value, gradient = value_and_gradient(loss, z)
    assert value == 0 and torch.equal(gradient, torch.zeros_like(z))


@pytest.mark.parametrize("labels", [[0], [0, 1, 2, 3]])
def test_supervised_contrastive_without_a_positive_is_zero(labels):
    z, labels = batch(size=len(labels))[0], torch.tensor(labels)
    assert_zero(lambda z: supervised_contrastive(z, labels, temperature=0.1), z)


def test_a_negative_at_the_margin_is_not_semi_hard():
    z = torch.tensor([[0.0], [1.0], [-1.5], [2.5]])  # plain distances: all numbers are exact
    labels = torch.tensor([0, 0, 1, 2])
    terms = semi_hard(z, labels, 0.5, "released")
    assert not terms, "0 to 1 is 1; the negatives are exactly 0.5 farther from their nearer anchor"
    expected = mean(hardest(z, labels, 0.5, "released"))
    torch.testing.assert_close(triplet_semi_hard(z, labels, margin=0.5, variant="released"), expected)


@pytest.mark.parametrize("variant", VARIANTS)
def test_easy_triplets_alone_have_loss_and_gradient_zero(variant):
    z, labels, margin, variant = without_semi_hard(variant, apart=True).values()
    assert not semi_hard(z, labels, margin, variant)
    assert_zero(lambda z: triplet_semi_hard(z, labels, margin=margin, variant=variant), z)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("labels", [[0], [0, 0, 0, 0], [0, 1, 2, 3]], ids=["one image", "one class", "no pair"])
def test_a_batch_without_a_triplet_has_loss_and_gradient_zero(variant, labels):
    z, labels = batch(size=len(labels))[0], torch.tensor(labels)
    assert_zero(lambda z: triplet_semi_hard(z, labels, margin=0.3, variant=variant), z)


@pytest.mark.parametrize("variant", VARIANTS)
def test_identical_embeddings_have_a_finite_gradient(variant):
    z, labels = torch.ones(8, 4), torch.arange(8) % 2
    value, gradient = value_and_gradient(lambda z: triplet_semi_hard(z, labels, margin=0.3, variant=variant), z)
    assert value.item() == pytest.approx(0.3)
    assert gradient.isfinite().all()


@pytest.mark.parametrize(
    "loss",
    [
        lambda z, labels: supervised_contrastive(z, labels, temperature=0.07),
        lambda z, labels: triplet_semi_hard(z, labels, margin=0.3),
        lambda z, labels: triplet_semi_hard(z, labels, margin=0.3, variant="released"),
    ],
    ids=["scl", "triplet paper", "triplet released"],
)
class TestAnyLoss:
    def test_float32_is_close_to_float64(self, loss):
        z, labels = batch(size=256, dim=128)
        value = loss(z.float(), labels)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value.double(), loss(z, labels), rtol=2e-6, atol=0)

    def test_autocast_changes_nothing(self, loss):
        z, labels = batch(dtype=torch.float32)

        def under_autocast(z):
            with torch.autocast("cpu", torch.bfloat16):
                return loss(z, labels)

        expected = value_and_gradient(lambda z: loss(z, labels), z)
        torch.testing.assert_close(value_and_gradient(under_autocast, z), expected, rtol=0, atol=0)

    def test_half_precision_embeddings_are_computed_in_float32(self, loss):
        z, labels = batch(dtype=torch.bfloat16)
        assert torch.equal(loss(z, labels), loss(z.float(), labels))

    def test_nan_is_not_hidden(self, loss):
        z, labels = batch()
        z[7, 3] = math.nan
        assert loss(z, labels).isnan()

    @pytest.mark.parametrize("shapes", [((4, 2, 2), (4,)), ((4, 2), (5,)), ((4, 2), (4, 1))])
    def test_shapes_that_do_not_fit_are_refused(self, loss, shapes):
        with pytest.raises(ValueError, match=r"Expected z \[M,k\] and labels \[M\]\. Got"):
            loss(torch.zeros(shapes[0]), torch.zeros(shapes[1], dtype=torch.int64))

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    def test_gpu_gives_the_same(self, loss):
        z, labels = batch(size=256)
        ours = value_and_gradient(lambda z: loss(z, labels.cuda()), z.cuda())
        expected = value_and_gradient(lambda z: loss(z, labels), z)
        torch.testing.assert_close([tensor.cpu() for tensor in ours], list(expected))


def test_settings_out_of_range_are_refused():
    z, labels = batch()
    for bad in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="Expected a temperature above 0"):
            supervised_contrastive(z, labels, temperature=bad)
        with pytest.raises(ValueError, match="Expected a margin above 0"):
            triplet_semi_hard(z, labels, margin=bad)
    with pytest.raises(ValueError, match=r"out of paper, released\. Got 'squared'"):
        triplet_semi_hard(z, labels, margin=0.3, variant="squared")


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_share_of_semi_hard_triplets_is_their_number_among_all_that_can_be_listed(variant):
    z, labels = batch(size=24)
    same = labels[:, None] == labels
    every = sum(int(row.sum() - 1) * int((~row).sum()) for row in same)
    listed = len(semi_hard(z, labels, 0.3, variant))
    assert 0 < listed < every
    assert semi_hard_share(z, labels, margin=0.3, variant=variant).item() == pytest.approx(listed / every)
    assert semi_hard_share(z[:1], labels[:1], margin=0.3, variant=variant) == 0


def test_a_batch_of_1024_lists_no_triplets():
    """What one call allocates stays a small multiple of the distances; a list of triples would be thousands of it."""
    z, labels = batch(size=1024, classes=10, dim=32, dtype=torch.float32)
    with torch.profiler.profile(profile_memory=True) as profile:
        loss = triplet_semi_hard(z, labels, margin=0.3)
    largest = max(event.self_cpu_memory_usage for event in profile.events())
    assert loss.isfinite()
    assert largest <= 1025 * 1024 * 16
