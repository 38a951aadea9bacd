import numpy as np
import pytest
import torch

from xai_lib.papers.dominance.method.outputs import outputs


@pytest.fixture
def draws():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator) for shape in ((6, 4), (6, 3), (20, 3))]


def test_what_is_said_of_each_image_is_about_the_class(draws):
    logits, features, training = (part.numpy() for part in draws)
    frame = outputs(2, *draws)
    assert frame.columns.tolist() == ["logit", "probability", "training_distance"]
    powers = np.exp(logits)
    for row, one in enumerate(frame.itertuples()):
        assert one.logit == logits[row, 2]
        assert one.probability == pytest.approx(powers[row, 2] / powers[row].sum(), rel=1e-5)
        distances = sorted(np.linalg.norm(features[row] - training, axis=1))
        assert one.training_distance == pytest.approx(np.mean(distances[:5]), rel=1e-5)


@pytest.mark.parametrize("n", [1, 3, 5])
def test_with_few_training_images_all_of_them_are_the_nearest(draws, n):
    logits, features, training = draws
    found = outputs(0, logits, features, training[:n])["training_distance"]
    expected = torch.linalg.vector_norm(features[:, None] - training[:n], dim=2).mean(1)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5)


def test_without_training_images_there_is_no_distance(draws):
    logits, features, training = draws
    with pytest.raises(ValueError, match="0, the number of reference images"):
        outputs(0, logits, features, training[:0])
