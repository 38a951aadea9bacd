import pytest
import torch

from xai_lib.metrics.localisation import attribution_localisation
from xai_lib.metrics.mosaics import focus, quadrant_energy

HEIGHT, WIDTH = 6, 10
TOP = torch.tensor([[True, True, False, False]])


def maps(n, seed=0):
    return torch.randn(n, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))


def quadrants(n, seed=1):
    return torch.rand(n, 4, generator=torch.Generator().manual_seed(seed)) < 0.5


def test_is_the_share_inside_a_mask_of_the_quadrants():
    attribution, chosen = maps(20), quadrants(20)
    chosen[:, 0] = ~chosen[:, 1:].any(1)  # a mask without a pixel is another matter
    mask = chosen.reshape(-1, 2, 2).repeat_interleave(HEIGHT // 2, 1).repeat_interleave(WIDTH // 2, 2)
    torch.testing.assert_close(focus(attribution, chosen), attribution_localisation(attribution, mask))


def test_without_energy_there_is_no_share_and_the_others_are_left_alone():
    attribution = maps(4)
    alone = focus(attribution[3:], TOP)
    attribution[0] = 0
    attribution[1] = -1
    attribution[2, 0, 0] = -torch.inf
    before = attribution.clone()
    found = focus(attribution, TOP.expand(4, -1))
    assert found.dtype == torch.float32 and found[:3].isnan().all()
    assert torch.equal(found[3:], alone)
    assert torch.equal(attribution, before)


def test_small_values_keep_their_share():
    """Grad-CAM of a confident network may be as small as this; float32 sums of it are exact enough, squares not."""
    attribution = maps(5)
    torch.testing.assert_close(focus(attribution * 1e-30, quadrants(5)), focus(attribution, quadrants(5)))


@pytest.mark.parametrize("shape", [(1, 5, 4), (1, 4, 5)], ids=["odd height", "odd width"])
def test_refuses_a_map_that_has_no_quadrants(shape):
    with pytest.raises(ValueError, match="even height and width"):
        quadrant_energy(torch.ones(shape))


def test_refuses_quadrants_of_another_type_or_shape():
    with pytest.raises(TypeError, match="bool tensor"):
        focus(torch.ones(1, 2, 2), TOP.float())
    with pytest.raises(ValueError, match=r"\[2, 4\].*Got \[1, 4\]"):
        focus(torch.ones(2, 2, 2), TOP)
