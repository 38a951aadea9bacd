import hashlib
import inspect
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from xai_lib import explainers, metrics
from xai_lib.explainers.registry import EXPLAINERS
from xai_lib.papers.saliency.method import Explained, fidelity, lineup, maps, raw_maps, repeated, scored, transformed
from xai_lib.run.stage import identity


@pytest.mark.parametrize(("method", "grid"), [("gradient", (3, 32, 32)), ("grad-cam", (8, 8)), ("random", (32, 32))])
def test_raw_maps_are_kept_for_three_classes_or_once_where_a_method_knows_none(subject, images, x, method, grid):
    found = raw_maps(Explained(subject, method), images)
    with torch.no_grad():
        logits = subject.network(x)
    assert torch.equal(found["target"], torch.stack([images.labels, logits.argmax(1), logits.argmin(1)], 1))
    expected = subject.raw_maps(method, {}, x, found["target"], images.index)
    kept = 1 if method == "random" else 3
    assert found["maps"].shape == (5, kept, *grid)
    torch.testing.assert_close(found["maps"], expected[:, :kept])


def test_stored_maps_come_back_with_their_own_images_and_masks(subject, images, x, monkeypatch):
    explained = Explained(subject, "eigen-cam")
    stored = raw_maps(explained, images)
    monkeypatch.setattr(maps, "_BATCH", 2)
    found = list(maps.batches(explained, images, stored))
    assert [len(batch.x) for batch in found] == [2, 2, 1]
    assert torch.equal(torch.cat([batch.x for batch in found]), x)
    assert torch.equal(torch.cat([batch.index for batch in found]), images.index)
    assert torch.equal(torch.cat([batch.masks["object"] for batch in found]), images.masks["object"])
    assert torch.equal(torch.cat([batch.raw for batch in found]), stored["maps"].expand(-1, 3, -1, -1))


def _fidelity(explained, images):
    return fidelity(explained, images, raw_maps(explained, images), causal_steps=4, n_readings=3)


def _repeated(explained, images):
    return repeated(explained, images, causal_steps=4, draws=2, samples=2)


def _transformed(explained, images):
    return transformed(explained, images, causal_steps=2)


@pytest.mark.parametrize(
    ("part", "method", "settings"),
    [
        (_fidelity, "grad-cam", {}),
        (_fidelity, "rise", {"n_masks": 5}),
        (_fidelity, "random", {}),
        (_repeated, "gradient", {}),
        (_repeated, "rise", {"n_masks": 3}),
        (_transformed, "grad-cam", {}),
    ],
)
def test_rows_do_not_depend_on_the_batches(subject, images, monkeypatch, part, method, settings):
    def rows():
        found = part(Explained(subject, method, settings), images if part is _fidelity else images.subset([0, 1, 2]))
        return found.sort_values([name for name in found if name != "value"], ignore_index=True)

    whole = rows()
    for function in (raw_maps, repeated, transformed):
        monkeypatch.setitem(function.__globals__, "_BATCH", 2)
    pd.testing.assert_frame_equal(rows(), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("metric", ["attribution-localisation", "sparseness", "insertion"])
def test_any_metric_gets_what_it_asks_for(subject, images, x, metric):
    explained = Explained(subject, "grad-cam")
    found = scored(explained, images, raw_maps(explained, images), metric)
    shown = explained.maps(x, images.labels, images.index)
    asked = {"model": subject.network, "x": x, "target": images.labels, "index": images.index}
    given = {"insertion": asked, "sparseness": {}, "attribution-localisation": {"mask": images.masks["object"]}}
    expected = metrics.get(metric)(attribution=shown, **given[metric])
    assert found["index"].tolist() == images.index.tolist() and set(found["metric"]) == {metric}
    assert found["value"].tolist() == pytest.approx(expected.tolist(), rel=1e-4, nan_ok=True)


@pytest.mark.parametrize("method", ["gradient", "grad-cam"])
def test_maps_of_two_classes_are_compared_by_their_ranks(subject, images, x, method):
    """With scipy, in either reading; a map that is constant, as Grad-CAM's for a class may be, is like no other."""
    explained = Explained(subject, method)
    stored = raw_maps(explained, images)
    found = maps.class_similarity(explained, images, stored)
    assert found["index"].tolist() == images.index.tolist() * len(explained.readings)
    assert set(found["metric"]) == {"class-similarity"}
    expected = []
    for reading in explained.readings:
        true, least = (explained.scaled(stored["maps"][:, place], x, reading).flatten(1) for place in (0, 2))
        constant = [np.ptp(a) == 0 or np.ptp(b) == 0 for a, b in zip(true, least)]
        pairs = zip(true, least, constant)
        expected += [0.0 if either else stats.spearmanr(a, b).statistic for a, b, either in pairs]
    assert found["value"].tolist() == pytest.approx(expected, abs=1e-5)
    stored["maps"][0, 2] = 0
    assert maps.class_similarity(explained, images, stored)["value"][0] == 0


def test_a_key_knows_the_code_of_a_method_that_is_no_part_of_the_library(subject, monkeypatch):
    assert "source" not in Explained(subject, "grad-cam").identity
    monkeypatch.setattr(EXPLAINERS, "entries", dict(EXPLAINERS.entries))
    explainers.register("mine", paper="-", family="gradient")(explainers.get("gradient"))
    assert lineup.methods() == (*lineup.ALL, "mine")
    text = Path(inspect.getsourcefile(explainers.get("gradient"))).read_bytes()
    assert Explained(subject, "mine").identity["source"] == hashlib.sha256(text).hexdigest()


def test_a_key_knows_settings_and_the_images_whose_statistics_a_method_needs(subject):
    plain, few, many = (identity(Explained(subject, "rise", given)) for given in ({}, {"n_masks": 2}, {"n_masks": 3}))
    assert len({str(one) for one in (plain, few, many)}) == 3
    assert "reference" in identity(Explained(subject, "iba")) and "reference" not in plain
    assert identity(Explained(subject, "iba"))["depth"] == pytest.approx(2 / 3) and "depth" not in plain
    assert plain["network"] == "key" and plain["layer"] == "3"
