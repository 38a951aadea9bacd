import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from xai_lib import explainers, files, models, training
from xai_lib.explainers import class_score
from xai_lib.metrics import complexity, localisation, similarity
from xai_lib.papers.contrastive import experiment, method
from xai_lib.papers.contrastive.experiment import explain_cell, predict_cell, score_cell
from xai_lib.papers.contrastive.method import METHODS
from xai_lib.run import networks, settings, stage
from xai_lib.run.budgets import RELEASED
from xai_lib.run.networks import train_cell, trained
from xai_lib.run.stage import computed

STAGES = ("train", "predict", "explain", "score")


def test_outputs_are_those_of_the_network_for_every_test_image(smoke_run):
    outputs, split = experiment.predicted(smoke_run, "scl", 0), smoke_run.test_split()
    classifier = trained(smoke_run, "scl", 0).classifier
    with torch.inference_mode():
        logits = classifier(split.normalise(split.images))
        features = classifier.features(split.normalise(split.images))
    torch.testing.assert_close(outputs.logits, logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(outputs.features, features, atol=1e-4, rtol=1e-4)
    assert torch.equal(outputs.index, split.index) and torch.equal(outputs.labels, split.labels)


def test_correct_confidence_and_confusion_by_hand():
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    outputs = experiment.Predicted(torch.arange(4), torch.tensor([0, 1, 2, 0]), logits, torch.zeros(4, 2))
    assert outputs.correct.tolist() == [1, 1, 0, 1]
    sure = torch.tensor(2.0).exp() / (torch.tensor(2.0).exp() + 2)
    torch.testing.assert_close(outputs.confidence, torch.stack([sure, sure, sure, torch.tensor(1 / 3)]))
    assert outputs.confusion.tolist() == [[2, 0, 0], [0, 1, 0], [0, 1, 0]]


@pytest.fixture
def network(smoke_run):
    return models.fold_batchnorm(trained(smoke_run, "ce", 0).classifier)


@pytest.mark.parametrize("name", METHODS)
def test_maps_are_raw_signed_and_on_the_layers_grid(smoke_run, network, name):
    found, split = experiment.explained(smoke_run, "ce", 0, name), smoke_run.scored_split()
    x = split.normalise(split.images)
    predicted = network(x).argmax(dim=1)
    explain = explainers.get(name)
    expected = explain(network, x, score=class_score(predicted), upsample=False)
    torch.testing.assert_close(found["maps"], expected, atol=1e-5, rtol=1e-4)
    assert found["maps"].dtype == torch.float32 and found["maps"].shape[-1] < split.images.shape[-1] / 2
    assert name != "grad-cam" or (found["maps"] < 0).any()  # after a ReLU, Eigen-CAM has no sign to lose
    assert torch.equal(found["predicted"], predicted)
    assert torch.equal(found["labels"], split.labels) and torch.equal(found["index"], split.index)


def test_noise_and_other_class_are_those_of_the_metrics(smoke_run, network):
    found, split = experiment.explained(smoke_run, "ce", 0, "grad-cam"), smoke_run.scored_split()
    x = split.normalise(split.images)
    explain = explainers.get("grad-cam")
    same = class_score(found["predicted"])
    other = similarity.other_class(found["predicted"], 10, seed=0, index=split.index)
    assert not (other == found["predicted"]).any()
    for maps, images, score in [
        (found["noisy"], similarity.noisy(x, seed=0, index=split.index), same),
        (found["noisy_released"], similarity.noisy(x, seed=0, index=split.index, clamp=True), same),
        (found["other"], x, class_score(other)),
    ]:
        expected = explain(network, images, score=score, upsample=False)
        torch.testing.assert_close(maps, expected, atol=1e-5, rtol=1e-4)
        assert not torch.allclose(maps, found["maps"], atol=1e-5)


def test_a_method_that_knows_no_class_has_no_map_of_another(smoke_run):
    assert "other" not in experiment.explained(smoke_run, "ce", 0, "eigen-cam")


def scored(run, loss, name):
    """Scores of one network and method, as they are kept."""
    return files.read_frame(computed(score_cell(run, loss, 0, name)) / "scores.csv")


def values(run, loss, name):
    """Scores as a table, a row an image in the order of the split, a column a metric."""
    scores = scored(run, loss, name)
    return scores.pivot(index="index", columns="metric", values="value").loc[run.scored_split().index.tolist()]


def same(column, expected):
    np.testing.assert_allclose(column.to_numpy(), expected.double().numpy(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("loss", "name"), [("ce", "grad-cam"), ("tl", "eigen-cam")])
def test_metrics_of_maps_follow_from_the_stored_maps_without_the_network(smoke_run, monkeypatch, loss, name):
    def refuse(*arguments, **options):
        raise AssertionError("a network was built")

    monkeypatch.setattr(models, "build", refuse)
    scores, maps = values(smoke_run, loss, name), experiment.explained(smoke_run, loss, 0, name)
    split = smoke_run.scored_split()
    scaled = {which: method.scaled(raw, (32, 32)) for which, raw in maps.items() if raw.ndim == 3}
    full, mask = scaled["maps"], split.masks["object"]
    same(scores["complexity"], complexity.complexity(full))
    same(scores["sparseness"], complexity.sparseness(full))
    same(scores["continuity"], similarity.continuity(full, scaled["noisy"]))
    same(scores["continuity-released"], similarity.continuity(full, scaled["noisy_released"], empty="keep"))
    same(scores["pointing-game"], localisation.pointing_game(full, mask))
    same(scores["attribution-localisation"], localisation.attribution_localisation(full, mask))
    same(scores["attribution-localisation-paper"], localisation.attribution_localisation_paper(full, mask))
    same(scores["empty-map"], (full.amax((1, 2)) == 0).float())
    if name == "grad-cam":
        other = scaled["other"]
        same(scores["contrastivity"], similarity.contrastivity(full, other))
        same(scores["contrastivity-empty-kept"], similarity.contrastivity(full, other, empty="keep"))
        same(scores["empty-map-of-other-class"], (other.amax((1, 2)) == 0).float())
    else:
        assert not {"contrastivity", "contrastivity-empty-kept", "empty-map-of-other-class"} & set(scores)


def test_maps_are_cut_enlarged_and_scaled():
    maps = method.scaled(torch.tensor([[[-4.0, 0.0], [1.0, 2.0]], [[-1.0, -2.0], [-3.0, -4.0]]]), (8, 8))
    assert maps.shape == (2, 8, 8)
    assert (maps[0].min(), maps[0].max()) == (0, 1)
    assert maps[0, 0, 0] == 0 and maps[0, -1, 0] == 0.5 and maps[0, -1, -1] == 1
    assert maps[0, 3, 0] == 0.375 / 2  # cut before it is enlarged: what was negative no longer pulls
    assert (maps[1] == 0).all()


@pytest.mark.parametrize("name", METHODS)
def test_curves_begin_with_the_true_classs_probability_and_their_area_is_the_score(smoke_run, name):
    kept = files.read_tensors(computed(score_cell(smoke_run, "scl", 0, name)) / "curves.pt")
    truth, fractions = smoke_run.scored_split().labels, kept["fractions"]
    curves = kept["logits"].softmax(2)[torch.arange(10), :, truth]
    outputs = experiment.predicted(smoke_run, "scl", 0)
    split = smoke_run.scored_split()
    place = {int(index): position for position, index in enumerate(outputs.index)}
    rows = [place[int(index)] for index in split.index]
    begin = outputs.logits.softmax(dim=1)[rows, split.labels]
    empty = experiment.explained(smoke_run, "scl", 0, name)["maps"].amax((1, 2)) <= 0
    assert not empty.all()
    assert torch.equal(curves.isnan().all(dim=1), empty) and torch.equal(curves.isnan().any(dim=1), empty)
    torch.testing.assert_close(curves[~empty, 0], begin[~empty], atol=1e-4, rtol=1e-3)
    assert fractions.tolist() == [0, 0.25, 0.5, 0.75, 1]
    scores = values(smoke_run, "scl", name)
    same(scores["pixel-flipping"], torch.trapezoid(curves, fractions, dim=1))
    degrees = experiment.temperatures(smoke_run).set_index(["loss", "seed"])
    one = experiment.scores(smoke_run).query("loss == 'scl' and method == @name and metric == 'pixel-flipping-matched'")
    cooled = (kept["logits"] / degrees.loc[("scl", 0), "temperature"]).softmax(2)[torch.arange(10), :, truth]
    same(one["value"], torch.trapezoid(cooled, fractions, dim=1))


def test_every_network_has_one_mean_confidence_at_its_temperature(smoke_run):
    rows = experiment.temperatures(smoke_run)
    assert rows["target"].nunique() == 1 and rows["target"].iloc[0] == pytest.approx(max(rows["accuracy"].mean(), 0.15))
    for row in rows.itertuples():
        outputs = experiment.predicted(smoke_run, row.loss, row.seed, smoke_run.held_out_split())
        assert (outputs.logits / row.temperature).softmax(1).amax(1).mean() == pytest.approx(row.target, abs=1e-4)
        assert row.accuracy == pytest.approx(float((outputs.logits.argmax(1) == outputs.labels).float().mean()))


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_multiplying_a_networks_logits_changes_no_score_at_one_confidence(smoke_run, monkeypatch, factor):
    """Neither for all metrics of the network's maps, nor for those of the other networks."""
    kept = files.read_tensors

    def multiplied(path):
        found = kept(path)
        mine = computed(predict_cell(smoke_run, "ce", 0, smoke_run.held_out_split())) == path.parent
        scored = path.parent in [computed(score_cell(smoke_run, "ce", 0, name)) for name in METHODS]
        names = ["logits"] * mine + ["logits", "random", "least"] * (scored and path.name == "curves.pt")
        return found | {name: factor * found[name] for name in names}

    before = experiment.scores(smoke_run)
    monkeypatch.setattr(files, "read_tensors", multiplied)
    after = experiment.scores(smoke_run)
    pd.testing.assert_frame_equal(before, after, atol=1e-5, rtol=1e-4)
    plain = experiment.temperatures(smoke_run).set_index("loss")["temperature"]
    monkeypatch.setattr(files, "read_tensors", kept)
    ratio = plain / experiment.temperatures(smoke_run).set_index("loss")["temperature"]
    assert ratio.tolist() == pytest.approx([factor, 1, 1], rel=1e-5)


def test_the_reverse_and_a_random_order_remove_the_same_pixels_otherwise(smoke_run):
    kept = files.read_tensors(computed(score_cell(smoke_run, "scl", 0, "grad-cam")) / "curves.pt")
    for name in ("random", "least"):
        assert kept[name].shape == (4, 5, 10)
        defined = ~kept[name].isnan().any(dim=2).any(dim=1)
        assert torch.equal(defined, ~kept["logits"][:4].isnan().any(dim=2).any(dim=1)) and defined.any()
        for end in (0, -1):  # the untouched and the black image
            expected = kept["logits"][:4, end][defined]
            torch.testing.assert_close(kept[name][defined, end], expected, atol=1e-4, rtol=1e-4)
        assert not torch.allclose(kept[name][defined], kept["logits"][:4][defined], atol=1e-3)


@pytest.mark.parametrize(
    ("variant", "changes"),
    {
        "released-triplet": {("tl", "train"), ("tl", "predict"), ("tl", "explain"), ("tl", "score")},
        "released-probe": {(loss, part) for loss in ("scl", "tl") for part in ("predict", "explain", "score")},
        "best-test-epoch": {("ce", part) for part in ("predict", "explain", "score")},
        "true-class": {(loss, part) for loss in settings.LOSSES for part in ("explain", "score")},
        "augmented": {(loss, part) for loss in settings.LOSSES for part in ("explain", "score")},
        "colour-values": {(loss, "score") for loss in settings.LOSSES},
        "clamped-noise": set(),
        "text-eigen-cam+empty-maps-kept": set(),
    }.items(),
)
def test_a_variant_changes_what_it_is_about(smoke_run, changed, variant, changes):
    other = changed(smoke_run, variant=variant)
    found = {(loss, part) for loss in settings.LOSSES for part in differing(keys(smoke_run, loss), keys(other, loss))}
    assert found == changes


def test_released_means_all_of_the_released_variants(smoke_run, changed):
    one, other = (changed(smoke_run, variant=name) for name in ("released", "+".join(RELEASED)))
    assert one.contrastive.variants == other.contrastive.variants == set(RELEASED)
    assert keys(one, "tl") == keys(other, "tl")
    assert smoke_run.contrastive.variants == set()
    with pytest.raises(ValueError, match=r"paper, released, or some of plain-flipping, .*Got \['releasd'\]"):
        changed(smoke_run, variant="releasd")


def test_maps_of_the_true_class_and_of_six_views(smoke_run, network):
    split = smoke_run.scored_split()
    x, index = split.normalise(split.images), split.index
    true, augmented = (
        method.raw_maps(network, split, "grad-cam", smoke_run.device, target=target) for target in ("true", "augmented")
    )
    of = explainers.get("grad-cam")
    expected = of(network, x, score=class_score(split.labels), upsample=False)
    torch.testing.assert_close(true["maps"], expected, atol=1e-5, rtol=1e-4)
    views = []
    for factor, mirrored in itertools.product((0.9, 1.0, 1.1), (False, True)):
        seen = factor * (x.flip(-1) if mirrored else x)
        raw = of(network, seen, score=class_score(split.labels), upsample=False).clamp(min=0)
        low, high = raw.amin((1, 2), keepdim=True), raw.amax((1, 2), keepdim=True)
        scaled = torch.where(high > low, (raw - low) / (high - low).clamp(min=1e-12), 0)
        views.append(scaled.flip(-1) if mirrored else scaled)
    torch.testing.assert_close(augmented["maps"], torch.stack(views).mean(0), atol=1e-4, rtol=1e-3)
    assert len(index) == len(views[0])


def test_scores_are_tidy_and_only_the_first_images_go_to_quantus(smoke_run):
    scores = scored(smoke_run, "ce", "grad-cam")
    assert list(scores.columns) == ["index", "metric", "value"]
    assert not scores.duplicated(["index", "metric"]).any()
    counts = scores.groupby("metric").size()
    theirs, further = counts.index.str.endswith((" (quantus)", " (both tools)")), counts.index.str.match("continuity 0")
    assert set(counts[~theirs & ~further]) == {10} and set(counts[theirs]) == {2} and set(counts[further]) == {4}
    first = scores.loc[scores["metric"] == "complexity (quantus)", "index"].tolist()
    assert first == smoke_run.scored_split().index[:2].tolist()


def test_scores_hold_every_network_and_method(smoke_run):
    scores = experiment.scores(smoke_run)
    assert list(scores.columns) == ["loss", "seed", "method", "index", "metric", "value"]
    found = set(scores[["loss", "seed", "method"]].itertuples(index=False, name=None))
    assert found == set(itertools.product(settings.LOSSES, [0], METHODS))
    one = scores[(scores["loss"] == "tl") & (scores["method"] == "eigen-cam")]
    expected = scored(smoke_run, "tl", "eigen-cam")
    pd.testing.assert_frame_equal(one[expected.columns].reset_index(drop=True)[: len(expected)], expected)
    assert set(one["metric"][len(expected) :]) == {
        f"pixel-flipping-{name}" for name in ("matched", "printed", "random-order", "least-first")
    }


def test_curves_are_means_over_images_without_the_undefined(smoke_run, monkeypatch):
    curves = torch.tensor([[0.8, 0.4], [0.4, 0.0], [float("nan")] * 2])
    logits = torch.stack([curves, 1 - curves], dim=2).log() * 3  # at a temperature of 3
    kept = {"logits": logits, "labels": torch.tensor([0, 0, 0]), "fractions": torch.tensor([0.0, 1.0])}
    degrees = pd.DataFrame({"loss": settings.LOSSES, "seed": 0, "temperature": 3.0})
    monkeypatch.setattr(files, "read_tensors", lambda path: kept)
    monkeypatch.setattr(experiment, "temperatures", lambda run: degrees)
    found = experiment.curves(smoke_run)
    assert len(found) == 3 * 3 * 2
    one = found[(found["loss"] == "scl") & (found["method"] == "grad-cam")]
    assert one["fraction"].tolist() == [0, 1]
    torch.testing.assert_close(torch.tensor(one["probability"].to_numpy()), torch.tensor([0.6, 0.2]))
    assert set(found["seed"]) == {0}


def test_predictions_hold_every_test_image_of_every_network(smoke_run):
    found = experiment.predictions(smoke_run)
    assert len(found) == 3 * 40 and found["correct"].dtype == bool
    for loss in settings.LOSSES:
        outputs = experiment.predicted(smoke_run, loss, 0)
        rows = found[found["loss"] == loss]
        assert rows["index"].tolist() == outputs.index.tolist()
        assert rows["correct"].sum() == int((outputs.logits.argmax(dim=1) == outputs.labels).sum())
        assert torch.equal(torch.tensor(rows["confidence"].to_numpy()), outputs.logits.softmax(dim=1).amax(dim=1))


def keys(run, loss="ce", seed=0, name="grad-cam"):
    made = (
        train_cell(run, loss, seed),
        predict_cell(run, loss, seed),
        explain_cell(run, loss, seed, name),
        score_cell(run, loss, seed, name),
    )
    return dict(zip(STAGES, (cell.key for cell in made)))


def differing(one, other):
    return tuple(name for name in STAGES if one[name] != other[name])


@pytest.mark.parametrize(
    ("values", "stages"),
    [
        ({"n_train": 110}, STAGES),
        ({"epochs_ce": 2}, STAGES),
        ({"width": 5}, STAGES),
        ({"recipe": "paper/cifar10"}, STAGES),
        ({"size": 24}, STAGES),
        ({"n_scored": 20}, ("explain", "score")),
        ({"n_further": 3}, ("explain", "score")),
        ({"matched_seeds": 3}, ()),
        ({"n_held_out": 30}, ()),
        ({"flipping_step": 512}, ("score",)),
        ({"n_quantus": 3}, ("score",)),
        ({"epochs_scl": 2}, ()),
        ({"seeds": 5}, ()),
    ],
)
def test_a_setting_changes_the_keys_of_the_stages_that_use_it(smoke_run, values, stages, changed):
    assert differing(keys(smoke_run), keys(changed(smoke_run, **values))) == stages


def test_another_number_of_test_images_trains_no_network_anew(smoke_run, changed):
    different = differing(keys(smoke_run), keys(changed(smoke_run, n_test=50)))
    assert "predict" in different and "train" not in different


def test_loss_and_seed_are_in_every_key_and_the_method_where_there_is_one(smoke_run):
    base = keys(smoke_run)
    assert differing(base, keys(smoke_run, loss="tl")) == STAGES
    assert differing(base, keys(smoke_run, seed=1)) == STAGES
    assert differing(base, keys(smoke_run, name="eigen-cam")) == ("explain", "score")


def test_device_label_and_folders_are_in_no_key(smoke_run, monkeypatch):
    monkeypatch.setattr(stage, "numerics", lambda device: training.Numerics("float32", False, "no"))
    elsewhere = replace(
        smoke_run, device=torch.device("cuda"), label="Another", data_root=Path("/elsewhere"), download=True
    )
    assert keys(elsewhere) == keys(smoke_run)


def test_the_arithmetic_of_training_is_in_every_key(smoke_run, monkeypatch):
    base = keys(smoke_run)
    monkeypatch.setattr(stage, "numerics", lambda device: training.Numerics("float64", False, "no"))
    assert differing(base, keys(smoke_run)) == STAGES


@pytest.mark.parametrize("name", STAGES)
def test_the_version_of_its_code_is_in_the_key(smoke_run, monkeypatch, name):
    base = keys(smoke_run)
    module = networks if name == "train" else experiment
    monkeypatch.setattr(module, name, replace(getattr(module, name), version=99))
    below = {"train": STAGES, "predict": ("predict",), "explain": ("explain", "score"), "score": ("score",)}
    assert differing(base, keys(smoke_run)) == below[name]
