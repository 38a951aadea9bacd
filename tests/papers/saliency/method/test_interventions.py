"""What elements of drawn images are worth to a network, and whether maps say so."""

import pytest
import torch
from scipy.stats import kendalltau
from torch import nn

from xai_lib.data import planted
from xai_lib.explainers.subject import Subject
from xai_lib.papers.saliency.method import Explained, interventions, raw_maps

ELEMENTS = list(planted.ELEMENTS)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images():
    return planted.generate(60, "test", size=32)


class Mean(nn.Module):
    """Logits whose true class is the mean of a weight map times the grey image: each pixel is worth what it adds."""

    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, x):
        return (x.mean(1) * self.weights).mean((1, 2))[:, None].expand(-1, 10) * torch.arange(1, 11)


def test_regions_are_all_that_there_is_and_meet_nowhere(images):
    regions = interventions.regions(images)
    assert regions.shape == (60, 5, 32, 32) and (regions.sum(1) == 1).float().mean() > 0.999
    there = interventions.present(images)
    assert there[:, ELEMENTS.index("surroundings")].all()
    boats = images.labels == planted.CLASSES.index(planted.SHORTCUT_CLASS)
    assert there[~boats, ELEMENTS.index("shortcut")].sum() == 0 and there[boats, ELEMENTS.index("shortcut")].any()


def test_worth_is_what_the_logit_loses_when_an_element_is_not_drawn(images):
    network = Mean(torch.rand(32, 32)).eval()
    found = interventions.worth(network, images, CPU)
    for number, variant in enumerate(planted.ELEMENTS.values()):
        without = planted.generate(60, "test", size=32, variant=variant)
        with torch.no_grad():
            logits = network(images.normalise(images.images)) - network(images.normalise(without.images))
        there = found[:, number].isfinite()
        assert there.equal(interventions.present(images)[:, number])
        expected = logits[torch.arange(60), images.labels]
        torch.testing.assert_close(found[there, number], expected[there], rtol=1e-4, atol=1e-6)


def test_agreement_is_kendalls_tau_over_the_elements_that_are_there():
    generator = torch.Generator().manual_seed(0)
    worth, shares = torch.randn(20, 5, generator=generator), torch.rand(20, 5, generator=generator)
    worth[:, 3] = torch.nan
    found = interventions.agreement(worth, shares)
    kept = [0, 1, 2, 4]
    expected = [kendalltau(w[kept], s[kept]).statistic for w, s in zip(worth, shares)]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32))
    assert interventions.agreement(worth[:1, 2:4], shares[:1, 2:4]).isnan().all()  # one element has no rank
    assert interventions.agreement(worth[:1], shares[:1] * torch.nan).isnan().all()
    assert interventions.agreement(worth[:1], torch.ones(1, 5)).item() == 0


def test_a_map_of_what_each_element_is_worth_agrees_and_its_opposite_does_not(images):
    regions, worth = interventions.regions(images), torch.rand(60, 5)
    told = (regions * (worth / regions.sum((2, 3)).clamp(min=1))[:, :, None, None]).sum(1)
    there = interventions.present(images)
    worth = worth.where(there, torch.nan)
    assert interventions.agreement(worth, interventions.shares(told, regions)).mean() > 0.99
    assert interventions.agreement(-worth, interventions.shares(told, regions)).mean() < -0.99


def test_stored_maps_are_scored_under_both_measures(images):
    network = Mean(torch.rand(32, 32)).eval()
    subject = Subject(lambda: network, "key", (), None, images, lambda: images, CPU)
    explained = Explained(subject, "gradient")
    stored = raw_maps(explained, images)
    found = interventions.scored(explained, images, stored)
    assert set(found["metric"]) == set(interventions.METRICS) and found["index"].nunique() == 60
    own = found[(found["reading"] == "absolute") & (found["metric"] == interventions.METRICS[0])]["value"]
    maps = explained.scaled(stored["maps"][:, 0], images.images)
    shares = interventions.shares(maps, interventions.regions(images))
    expected = interventions.agreement(interventions.worth(network, images, CPU), shares)
    torch.testing.assert_close(torch.tensor(own.to_numpy()), expected.double())


def test_images_that_were_not_drawn_are_refused(images):
    from dataclasses import replace

    with pytest.raises(ValueError, match="Expected drawn images, which can be drawn again"):
        planted.redrawn(replace(images, name="folder"), "part-absent")
