import numpy as np
import pytest
import torch

from xai_lib import models
from xai_lib.metrics import complexity, localisation, similarity
from xai_lib.papers.contrastive import experiment
from xai_lib.run import settings


def values(run, loss, method):
    """Scores as a table, a row an image in the order of the split, a column a metric."""
    scores = experiment.scored(run, loss, 0, method)
    return scores.pivot(index="index", columns="metric", values="value").loc[run.scored_split().index.tolist()]


def same(column, expected):
    np.testing.assert_allclose(column.to_numpy(), expected.double().numpy(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("loss", "method"), [("ce", "grad-cam"), ("tl", "eigen-cam")])
def test_metrics_of_maps_follow_from_the_stored_maps_without_the_network(smoke_run, monkeypatch, loss, method):
    def refuse(*arguments, **options):
        raise AssertionError("a network was built")

    monkeypatch.setattr(models, "build", refuse)
    scores, maps = values(smoke_run, loss, method), experiment.explained(smoke_run, loss, 0, method)
    split = smoke_run.scored_split()
    full, noisy = experiment.scaled(maps.maps, (32, 32)), experiment.scaled(maps.noisy, (32, 32))
    mask = split.masks["object"]
    same(scores["complexity"], complexity.complexity(full))
    same(scores["sparseness"], complexity.sparseness(full))
    same(scores["continuity"], similarity.continuity(full, noisy))
    same(
        scores["continuity-released"],
        similarity.continuity(full, experiment.scaled(maps.noisy_released, (32, 32)), empty="keep"),
    )
    same(scores["pointing-game"], localisation.pointing_game(full, mask))
    same(scores["attribution-localisation"], localisation.attribution_localisation(full, mask))
    same(scores["attribution-localisation-paper"], localisation.attribution_localisation_paper(full, mask))
    same(scores["empty-map"], (full.amax((1, 2)) == 0).float())
    if method == "grad-cam":
        other = experiment.scaled(maps.other, (32, 32))
        same(scores["contrastivity"], similarity.contrastivity(full, other))
        same(scores["contrastivity-empty-kept"], similarity.contrastivity(full, other, empty="keep"))
        same(scores["empty-map-of-other-class"], (other.amax((1, 2)) == 0).float())
    else:
        assert not {"contrastivity", "contrastivity-empty-kept", "empty-map-of-other-class"} & set(scores)


def test_maps_are_cut_enlarged_and_scaled():
    maps = experiment.scaled(torch.tensor([[[-4.0, 0.0], [1.0, 2.0]], [[-1.0, -2.0], [-3.0, -4.0]]]), (8, 8))
    assert maps.shape == (2, 8, 8)
    assert (maps[0].min(), maps[0].max()) == (0, 1)
    assert maps[0, 0, 0] == 0 and maps[0, -1, 0] == 0.5 and maps[0, -1, -1] == 1
    assert maps[0, 3, 0] == 0.375 / 2  # cut before it is enlarged: what was negative no longer pulls
    assert (maps[1] == 0).all()


@pytest.mark.parametrize("method", settings.METHODS)
def test_curves_begin_with_the_true_classs_probability_and_their_area_is_the_score(smoke_run, method):
    curves, fractions = experiment.curve(smoke_run, "scl", 0, method)
    outputs = experiment.predicted(smoke_run, "scl", 0)
    split = smoke_run.scored_split()
    place = {int(index): position for position, index in enumerate(outputs.index)}
    rows = [place[int(index)] for index in split.index]
    begin = outputs.logits.softmax(dim=1)[rows, split.labels]
    empty = experiment.explained(smoke_run, "scl", 0, method).maps.amax((1, 2)) <= 0
    assert not empty.all()
    assert torch.equal(curves.isnan().all(dim=1), empty) and torch.equal(curves.isnan().any(dim=1), empty)
    torch.testing.assert_close(curves[~empty, 0], begin[~empty], atol=1e-4, rtol=1e-3)
    assert fractions.tolist() == [0, 0.25, 0.5, 0.75, 1]
    scores = values(smoke_run, "scl", method)
    same(scores["pixel-flipping"], torch.trapezoid(curves, fractions, dim=1))
    areas = torch.trapezoid(curves / curves[:, :1], fractions, dim=1)
    maps = experiment.explained(smoke_run, "scl", 0, method)
    wrong = maps.predicted != maps.labels
    assert wrong.any() and not wrong.all()
    same(scores["pixel-flipping-normalised"], areas.masked_fill(wrong, torch.nan))


def test_scores_are_tidy_and_only_the_first_images_go_to_quantus(smoke_run):
    scores = experiment.scored(smoke_run, "ce", 0, "grad-cam")
    assert list(scores.columns) == ["index", "metric", "value"]
    assert not scores.duplicated(["index", "metric"]).any()
    counts = scores.groupby("metric").size()
    theirs = counts.index.str.endswith(" (quantus)")
    assert set(counts[~theirs]) == {10} and set(counts[theirs]) == {2}
    first = scores.loc[scores["metric"] == "complexity (quantus)", "index"].tolist()
    assert first == smoke_run.scored_split().index[:2].tolist()
