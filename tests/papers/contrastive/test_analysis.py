import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from xai_lib.papers.contrastive import analysis as results
from xai_lib.papers.contrastive import claims, experiment, matching, method
from xai_lib.papers.contrastive.method import METHODS
from xai_lib.run import settings
from xai_lib.run.networks import trained

COMPLEXITY = "contrastive-complexity-grad-cam-scl"
CLAIMS = [COMPLEXITY, "contrastive-complexity-grad-cam-tl", "contrastive-pixel-flipping-matched-grad-cam-scl"]


def synthetic(n_seeds, n_images=30, *, accuracy=None, confidence=None):
    """Scores and predictions of made-up networks: SCL's complexity is lower by 1, its other scores like CE's."""
    rng = np.random.default_rng(0)
    shift = {("complexity", "scl"): -1.0}
    scores, outputs = [], []
    for loss, seed in itertools.product(settings.LOSSES, range(n_seeds)):
        for name, metric in itertools.product(METHODS, results.METRICS):
            values = 5 + shift.get((metric, loss), 0) + 0.1 * rng.standard_normal(n_images)
            columns = {"index": range(n_images), "metric": metric, "value": values}
            scores.append(pd.DataFrame(columns).assign(loss=loss, seed=seed, method=name))
        correct = np.arange(n_images) < (accuracy or {}).get(loss, n_images)
        sure = 0.8 + (confidence or {}).get(loss, 0.0) + 0.001 * seed
        columns = {"index": range(n_images), "correct": correct, "confidence": sure}
        outputs.append(pd.DataFrame(columns).assign(loss=loss, seed=seed))
    return pd.concat(scores, ignore_index=True), pd.concat(outputs, ignore_index=True)


@pytest.fixture
def made_up(monkeypatch, smoke_run):
    """Function that puts made-up scores and predictions in the place of a run's."""

    def put(*arguments, **options):
        scores, outputs = synthetic(*arguments, **options)
        monkeypatch.setattr(experiment, "scores", lambda run, methods=(): scores)
        monkeypatch.setattr(experiment, "predictions", lambda run: outputs)
        return smoke_run

    real = claims.contrastive

    def asked(*about):
        return [claim for claim in real(*about) if claim.id in CLAIMS]

    monkeypatch.setattr(claims, "contrastive", asked)
    return put


def test_accuracy_and_confidence_are_those_of_the_networks(smoke_run):
    rows = results.accuracy(smoke_run).set_index(["metric", "loss"])
    assert rows.index.tolist() == list(itertools.product(["accuracy", "confidence"], settings.LOSSES))
    for loss in settings.LOSSES:
        outputs = experiment.predicted(smoke_run, loss, 0)
        right = sum(int(a) == int(b) for a, b in zip(outputs.logits.argmax(dim=1), outputs.labels))
        assert rows.loc[("accuracy", loss), "mean"] == pytest.approx(right / 40)
        sure = outputs.logits.double().softmax(dim=1).amax(dim=1).mean()
        assert rows.loc[("confidence", loss), "mean"] == pytest.approx(float(sure), abs=1e-6)


def test_results_stand_beside_cifar10s_published_values(smoke_run):
    rows = results.results(smoke_run)
    assert not rows["metric"].str.contains("quantus|empty-map").any()
    assert rows["metric"].drop_duplicates().tolist() == list(results.METRICS)
    for _, group in rows.groupby(["metric", "method"]):
        assert group["loss"].tolist() == list(settings.LOSSES)
    found = rows.set_index(["metric", "method", "loss"]).sort_index()
    assert found.loc[("complexity", "eigen-cam", "tl")]["published"] != 6.05  # the text's formula made no print
    row = found.loc[("complexity", "eigen-cam-tool", "tl")]
    assert (row["published"], row["published_spread"]) == pytest.approx((6.05, 0.01))
    assert found.loc["sparseness", "published"].isna().all()
    assert found.loc["pixel-flipping-matched", "published"].isna().all()
    assert "difference" not in rows  # print is of other images and networks


def test_a_result_is_the_mean_of_the_defined_scores(smoke_run):
    found = results.results(smoke_run).set_index(["metric", "method", "loss"])
    scores = experiment.scores(smoke_run).set_index(["metric", "method", "loss"])["value"]
    for loss, name, metric in [("ce", "grad-cam", "contrastivity"), ("tl", "eigen-cam", "pixel-flipping")]:
        values = scores[metric, name, loss]
        row = found.loc[(metric, name, loss)]
        assert row["mean"] == pytest.approx(values.dropna().mean())
        assert (row["n_seeds"], row["n_images"]) == (1, values.notna().sum())
        assert row["n_undefined"] == values.isna().sum()
        assert row["low"] < row["mean"] < row["high"]


def test_losses_are_ordered_best_first_here_and_in_print(smoke_run, monkeypatch):
    """Print: PF (lower is better) 0.37, 0.27, 0.32; continuity (higher) 0.54, 0.57, 0.57; for CE, SCL, TL."""
    scores, _ = synthetic(2)
    mean = {"ce": 1.0, "scl": 2.0, "tl": 3.0}
    scores["value"] = scores["loss"].map(mean) + 0.01 * (scores["index"] % 2)
    monkeypatch.setattr(experiment, "scores", lambda run: scores)
    rows = results.orders(smoke_run).set_index(["metric", "method"])
    assert len(rows) == 3 * (2 + 2 + 1) + 2  # readings of print's metrics, contrastivity's for Grad-CAM alone
    flipping, continuity = rows.loc[("pixel-flipping", "grad-cam")], rows.loc[("continuity", "grad-cam")]
    assert rows.loc[("continuity-released", "eigen-cam-tool"), "paper"] == "TL, SCL, CE"
    assert rows.loc[("pixel-flipping-matched", "eigen-cam"), "paper"] == "SCL, TL, CE"
    assert (flipping["here"], flipping["paper"]) == ("CE, SCL, TL", "SCL, TL, CE")
    assert (flipping["pairs"], flipping["agree"]) == (3, 1)
    assert continuity["here"] == "TL, SCL, CE"
    assert (continuity["pairs"], continuity["agree"]) == (2, 2)


def test_quantus_agrees_where_it_measures_the_same(smoke_run):
    rows = results.quantus(smoke_run)
    same = rows[rows["metric"].isin(["complexity", "sparseness"])]
    assert len(same) == 2 * 3 * 3
    defined = same["quantus"].notna()
    assert defined.sum() >= 12
    np.testing.assert_allclose(same.loc[defined, "ours"], same.loc[defined, "quantus"], atol=1e-4)
    assert (rows["n_images"] == 2).all()
    grad_cam = same[(same["method"] == "grad-cam") & defined]  # whose maps have no sign to choose
    np.testing.assert_allclose(grad_cam["tools"], grad_cam["ours"], atol=1e-3)
    assert rows.loc[rows["method"] == "eigen-cam", "tools"].isna().all()


def test_quantus_and_ours_are_paired_image_by_image(smoke_run, monkeypatch):
    ours, _ = synthetic(1, 4)
    ours = ours[ours["metric"] == "complexity"].assign(value=lambda rows: rows["index"].astype(float))
    theirs = ours[ours["index"] < 3].assign(metric="complexity (quantus)", value=lambda rows: -2 * rows["value"])
    tools = theirs.assign(metric="complexity (both tools)", value=7.0)
    monkeypatch.setattr(experiment, "scores", lambda run: pd.concat([ours, theirs.iloc[::-1], tools]))
    rows = results.quantus(smoke_run)
    assert len(rows) == 9
    assert rows[["ours", "quantus", "tools", "n_images"]].to_numpy().tolist() == [[1, -2, 7, 3]] * 9
    assert rows["correlation"].tolist() == pytest.approx([-1] * 9)


@pytest.mark.filterwarnings("error")
def test_a_constant_column_has_no_rank_correlation_and_warns_nobody(smoke_run, monkeypatch):
    ours, _ = synthetic(1, 4)
    ours = ours[ours["metric"] == "complexity"]
    theirs = ours.assign(metric="complexity (quantus)", value=1.0)
    tools = theirs.assign(metric="complexity (both tools)")
    monkeypatch.setattr(experiment, "scores", lambda run: pd.concat([ours, theirs, tools]))
    assert results.quantus(smoke_run)["correlation"].isna().all()


def test_empty_maps_are_counted(smoke_run):
    rows = results.empty_maps(smoke_run).set_index(["method", "loss"])
    for loss in settings.LOSSES:
        maps = experiment.explained(smoke_run, loss, 0, "grad-cam")
        assert rows.loc[("grad-cam", loss), "predicted"] == (maps["maps"].amax((1, 2)) <= 0).double().mean()
        assert rows.loc[("grad-cam", loss), "other"] == (maps["other"].amax((1, 2)) <= 0).double().mean()
    assert rows.loc["eigen-cam", "other"].isna().all()


def test_without_a_difference_every_verdict_is_undecided(smoke_run):
    rows = claims.verdicts(smoke_run)
    asked = [*claims.contrastive("planted"), *(one for family in claims.further("planted").values() for one in family)]
    assert rows["claim"].tolist()[:-3] == [claim.id for claim in asked]
    assert rows["verdict"].tolist()[-3:] == ["not tested"] * 3 and rows["text"][-3:].str.contains("Not tested").all()
    assert set(rows["verdict"][:-3]) == {"undecided"}
    assert set(rows["dataset"]) == {"planted"}


def test_two_trainings_can_decide_what_is_clear(made_up):
    for n_seeds, reason in [(1, "undecided (one training)"), (5, "holds")]:
        rows = claims.verdicts(made_up(n_seeds)).set_index("claim")
        assert rows.loc[COMPLEXITY, "reason"] == reason
    assert rows.loc[COMPLEXITY, "difference"] == pytest.approx(1, abs=0.05)
    assert rows.loc["contrastive-complexity-grad-cam-tl", "reason"].startswith("undecided")
    assert rows.loc[COMPLEXITY, "n_seeds"] == 5


def test_unlike_confidence_leaves_pixel_flipping_undecided_only_at_each_networks_own(made_up, changed):
    run = made_up(5, confidence={"scl": -0.2})
    rows = claims.verdicts(run).set_index("claim")
    assert rows.loc[COMPLEXITY, "reason"] == "holds"
    assert "matched" not in rows.loc["contrastive-pixel-flipping-matched-grad-cam-scl", "reason"]
    assert rows.loc[COMPLEXITY, "confidence_difference"] == pytest.approx(-0.2)
    plain = claims.against_ce(changed(run, variant="plain-flipping"), ["grad-cam"]).set_index("claim")
    row = plain.loc["contrastive-pixel-flipping-matched-grad-cam-scl"]
    assert (row["metric"], row["reason"]) == ("pixel-flipping", "undecided (confidence not matched)")


def test_unlike_accuracy_leaves_a_claim_undecided_until_networks_are_matched(made_up, monkeypatch):
    run = made_up(5, accuracy={"scl": 10, "ce": 20})
    rows = claims.verdicts(run).set_index("claim")
    assert rows.loc[COMPLEXITY, "reason"] == "undecided (accuracy not matched)"
    assert rows.loc[COMPLEXITY, "accuracy_difference"] == pytest.approx(-1 / 3)
    assert rows.loc["contrastive-accuracy-scl", "difference"] == pytest.approx(1 / 3)
    pairs = experiment.scores(run).assign(a="scl", b="ce").query("loss != 'tl'")
    monkeypatch.setattr(matching, "of_pairs", lambda run, name: pairs)
    rows = claims.of_matched(run).set_index("claim")
    assert rows.loc[COMPLEXITY, "reason"] == "holds"
    assert rows.loc["contrastive-complexity-grad-cam-tl", "reason"] == "undecided (accuracy not matched)"


def test_methods_are_compared_on_the_same_networks(made_up, monkeypatch):
    run = made_up(5)
    scores = experiment.scores(run)
    better = (scores["method"] == "grad-cam") & (scores["metric"] == "complexity") & (scores["loss"] == "tl")
    scores.loc[better, "value"] -= 2
    rows = claims.verdicts(run).set_index("claim")
    assert rows.loc["contrastive-cams-complexity-tl", "reason"] == "holds"
    assert rows.loc["contrastive-cams-complexity-tl", "difference"] == pytest.approx(2, abs=0.1)
    assert rows.loc["contrastive-cams-complexity-ce", "verdict"] == "undecided"


def test_histories_hold_every_epoch(smoke_run):
    rows = results.histories(smoke_run)
    assert rows[["loss_name", "seed", "epoch"]].to_numpy().tolist() == [["ce", 0, 1], ["scl", 0, 1], ["tl", 0, 1]]
    assert rows.loc[1, "loss"] == trained(smoke_run, "scl", 0).history.loc[0, "loss"]


def test_an_embedding_shows_the_same_images_of_every_loss(smoke_run):
    points = results.embedding(smoke_run, seed=0)
    for loss in settings.LOSSES:
        rows = points[points["loss"] == loss]
        assert rows["label"].tolist() == smoke_run.test_split().labels.tolist()  # fewer than it shows at most
        assert rows[["x", "y"]].std().min() > 0 and np.isfinite(rows[["x", "y"]].to_numpy()).all()


def test_an_embedding_of_a_data_set_sorted_by_class_shows_every_class(smoke_run, monkeypatch):
    order = smoke_run.test_split().labels.argsort(stable=True)
    split, real = smoke_run.test_split().subset(order), experiment.predicted(smoke_run, "ce", 0)
    outputs = experiment.Predicted(*(getattr(real, name)[order] for name in ("index", "labels", "logits", "features")))
    monkeypatch.setattr(type(smoke_run), "test_split", lambda run: split)
    monkeypatch.setattr(experiment, "predicted", lambda run, loss, seed: outputs)
    monkeypatch.setattr(results, "_T_SNE_IMAGES", 20)
    points = results.embedding(smoke_run, seed=0)
    assert points.groupby(["loss", "label"]).size().tolist() == [2] * 30


def test_orders_of_removal_are_compared_on_the_same_images(smoke_run):
    rows = results.removal(smoke_run).set_index(["method", "loss"])
    scores = experiment.scores(smoke_run)
    one = scores[(scores["method"] == "grad-cam") & (scores["loss"] == "tl")]
    one = one.pivot(index="index", columns="metric", values="value")
    names = {"most": "pixel-flipping-matched", "random": "pixel-flipping-random-order"}
    first = one.dropna(subset="pixel-flipping-least-first")
    assert 0 < len(first) <= 4 < len(one)
    for column, metric in names.items():
        assert rows.loc[("grad-cam", "tl"), column] == pytest.approx(first[metric].mean())


def test_noise_moves_maps_the_more_the_stronger_it_is(smoke_run):
    rows = results.noise(smoke_run)
    assert sorted(rows["sigma"].unique()) == [0.005, 0.01, 0.02, 0.05, 0.1]
    for _, group in rows.groupby(["method", "loss"]):
        values = group.sort_values("sigma")["value"].to_numpy()
        assert values[0] > values[-1] and (np.diff(values) < 0.02).all()


def test_negative_similarities_are_counted(smoke_run, monkeypatch):
    columns = {"loss": ["ce", "ce", "ce", "scl", "tl"], "value": [-0.2, 0.2, np.nan, 0.5, -0.5]}
    scores = pd.DataFrame(columns).assign(metric="contrastivity")
    monkeypatch.setattr(experiment, "scores", lambda run: scores)
    rows = results.contrastivity(smoke_run).set_index("loss")
    assert rows.loc["ce"].tolist() == pytest.approx([0, 0.5, 0.2])
    assert rows.loc["tl"].tolist() == [-0.5, 1, 0.5]


def test_maps_without_information_score_what_can_be_calculated(smoke_run):
    rows = results.controls(smoke_run).set_index("metric")
    covered = smoke_run.scored_split().masks["object"].float().mean()
    assert rows.loc["complexity", "uniform"] == pytest.approx(np.log(1024))
    assert rows.loc["complexity", "random"] == pytest.approx(np.log(1024) - np.log(2) + 0.5, abs=0.01)
    assert rows.loc["sparseness"].tolist() == pytest.approx([1 / 3, 0], abs=0.01)
    assert rows.loc["pointing-game", "uniform"] == pytest.approx(float(covered))


def test_overlays_show_the_first_image_of_the_first_classes(smoke_run):
    images, maps, names = results.overlays(smoke_run, n=3, seed=0)
    split = smoke_run.scored_split()
    assert names == list(split.classes[:3])
    for label in range(3):
        first = split.labels.tolist().index(label)
        assert torch.equal(images[label] * 255, split.images[first].float())
        for (loss, name), shown in maps.items():
            raw = experiment.explained(smoke_run, loss, 0, name)["maps"][first : first + 1]
            assert torch.equal(shown[label], method.scaled(raw, (32, 32))[0])
    assert list(maps) == list(itertools.product(settings.LOSSES, METHODS))
