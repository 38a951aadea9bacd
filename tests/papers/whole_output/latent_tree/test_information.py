import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from xai_lib.papers.whole_output.latent_tree.information import mutual_information
from xai_lib.papers.whole_output.latent_tree.patterns import corpus_of


@pytest.mark.parametrize("share", [0.02, 0.4, 0.9])
def test_equal_to_scikit_learn(share):
    draw = np.random.default_rng(0)
    present = draw.random((500, 7)) < share
    present[:, 3] = present[:, 2] ^ (draw.random(500) < 0.1)
    present[:, 4] = False
    present[:, 5] = True
    found = mutual_information(corpus_of([np.flatnonzero(row).tolist() for row in present], 7))
    expected = [[0 if a == b else mutual_info_score(present[:, a], present[:, b]) for b in range(7)] for a in range(7)]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found.min() >= 0 and np.array_equal(found, found.T)


def test_labels_that_avoid_each_other_have_information():
    information = mutual_information(corpus_of([[0], [1], [0, 2], [1, 2]], 3))
    np.testing.assert_allclose(information[0, 1], np.log(2))
    np.testing.assert_allclose(information[:2, 2], 0, atol=1e-15)
