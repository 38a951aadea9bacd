import warnings

import numpy as np
import pytest
import torch

from xai_lib import explainers, models
from xai_lib.data.split import Split
from xai_lib.explainers import cams, normalise
from xai_lib.metrics import complexity, localisation, quantus_column
from xai_lib.metrics import pixel_flipping as flipping

ALL = {"pixel-flipping", "complexity", "sparseness", "pointing-game", "attribution-localisation"}


def split_of(images, masks):
    n = len(images)
    numbers = {"labels": torch.arange(n) % 4, "index": torch.arange(n), "mean": (0.5,) * 3, "std": (0.25,) * 3}
    words = {"classes": ("a", "b", "c", "d"), "name": "made-up", "part": "test", "source": "0"}
    return Split(images=images, masks=masks, **numbers, **words)


@pytest.fixture
def split():
    generator = torch.Generator().manual_seed(3)
    mask = torch.zeros(6, 16, 16, dtype=torch.bool)
    mask[:, 4:9, 3:8] = True
    images = torch.randint(0, 256, (6, 3, 16, 16), dtype=torch.uint8, generator=generator)
    return split_of(images, {"object": mask})


@pytest.fixture
def maps(blobs):
    return blobs(6, size=16, seed=2)


def without_suffix(scores):
    assert all(name.endswith(" (quantus)") for name in scores)
    return {name.removesuffix(" (quantus)"): values for name, values in scores.items()}


def test_the_tool_agrees_with_ours(network, split, maps):
    found = without_suffix(quantus_column.scores(network, split, maps, 6))
    x, mask = split.normalise(split.images), split.masks["object"]
    assert set(found) == ALL
    for name, expected in {
        "pixel-flipping": flipping.pixel_flipping_released(network, x, maps, split.labels),
        "complexity": complexity.complexity(maps),
        "sparseness": complexity.sparseness(maps),
        "pointing-game": localisation.pointing_game(maps, mask),
        "attribution-localisation": localisation.attribution_localisation(maps, mask),
    }.items():
        torch.testing.assert_close(found[name], expected.double(), atol=1e-4, rtol=0)


def test_maps_by_the_tool_are_ours_cut_and_scaled(split):
    classifier = models.build("resnet8", 4, width=4, seed=0).eval()
    x, target = split.normalise(split.images), torch.tensor([0, 1, 2, 3, 0, 1])
    before = [parameter.clone() for parameter in classifier.parameters()]
    for tool, name in {"GradCAM": "grad-cam", "EigenCAM": "eigen-cam-tool"}.items():
        theirs = quantus_column.tool_maps(tool, classifier, classifier.default_layer(), x, target)
        raw = explainers.get(name)(classifier, x, score=explainers.class_score(target), upsample=False)
        ours, turned = (  # the tool leaves the sign of a component to chance
            normalise.min_max(cams.upsample(normalise.relu(sign * raw), (16, 16))) for sign in (1, -1)
        )
        same = [min(float((one - other).abs().max()) for other in pair) for one, *pair in zip(theirs, ours, turned)]
        assert max(same) < 1e-3
        assert name != "grad-cam" or (theirs - ours).abs().max() < 1e-3
    assert all(p.grad is None and torch.equal(p, kept) for p, kept in zip(classifier.parameters(), before))


def test_a_map_is_scored_as_if_it_were_alone(network, split, maps):
    together = quantus_column.scores(network, split, maps * torch.linspace(0.2, 1, 6)[:, None, None], 6)
    alone = quantus_column.scores(network, split, maps, 1)
    for name, values in alone.items():
        torch.testing.assert_close(together[name][:1], values, atol=1e-5, rtol=0)


def test_only_the_first_images_are_scored(network, split, maps):
    found = quantus_column.scores(network, split, maps, 2)
    assert {values.shape for values in found.values()} == {(2,)}
    assert {values.dtype for values in found.values()} == {torch.float64}


def test_empty_maps_and_masks_have_no_score(network, split, maps):
    maps[1] = 0
    split.masks["object"][2] = False
    found = without_suffix(quantus_column.scores(network, split, maps, 3))
    for name in ALL:
        masked = name in ("pointing-game", "attribution-localisation")
        assert found[name].isnan().tolist() == [False, True, masked], name


def test_without_masks_there_is_no_localisation(network, split, maps):
    found = without_suffix(quantus_column.scores(network, split_of(split.images, {}), maps, 2))
    assert set(found) == ALL - {"pointing-game", "attribution-localisation"}


def test_maps_warnings_and_numpy_are_left_as_they_were(network, split, maps):
    before, filters, names = maps.clone(), list(warnings.filters), set(dir(np))
    quantus_column.scores(network, split, maps, 2)
    assert torch.equal(maps, before)
    assert warnings.filters == filters and set(dir(np)) == names
