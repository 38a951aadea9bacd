import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from xai_lib import statistics
from xai_lib.papers.dominance.analysis import networks
from xai_lib.papers.dominance.method import clusters

NAN = float("nan")


def pairs(frame, *columns):
    return [*frame[list(columns)].itertuples(index=False, name=None)]


def test_accuracy_and_probability_are_means_over_images_then_trainings(study_of, made_up, select):
    frames = made_up.frames()
    rows = networks.accuracy(study_of(frames))
    expected = [(kind, metric) for kind in ("tuned", "ce") for metric in ("accuracy", "probability")]
    assert pairs(rows, "kind", "metric") == expected
    for row in rows.to_dict("records"):
        images = select(frames["images"], kind=row["kind"])
        images = images.assign(accuracy=[a == b for a, b in zip(images["label"], images["predicted"])])
        by_training = [*images.groupby("seed")[row["metric"]].mean()]
        assert row["mean"] == pytest.approx(np.mean(by_training))
        assert (row["n_seeds"], row["n_images"]) == (len(by_training), sum(made_up.SIZES) * len(made_up.LABELS))
        spread = np.std(by_training, ddof=1) if len(by_training) == 2 else NAN
        assert row["spread"] == pytest.approx(spread, nan_ok=True)


def test_sizes_are_of_k_means(study_of, made_up, select):
    frames = made_up.frames()
    frames["shares"].loc[frames["shares"]["clustering"] == "modes", ["evaluation", "training"]] = 0
    rows = networks.sizes(study_of(frames))
    assert pairs(rows, "kind", "seed") == list(made_up.NETWORKS)
    assert (rows[["smallest", "median", "largest"]] == [3, 6, 9]).all(axis=None)
    for row in rows.to_dict("records"):
        here = select(frames["shares"], clustering="k-means", kind=row["kind"], seed=row["seed"])
        assert row["fewest"] == min(here["training"]) > 0


def test_two_rules_choose_the_number_of_clusters(study_of, made_up, select):
    frames = made_up.frames()
    choice, here = frames["choice"], {"kind": "tuned", "seed": 0, "label": "bird"}
    chosen = made_up.rows(choice, **here)
    choice.loc[chosen, "silhouette"] = [0.1, 0.5, 0.3, 0.2, 0.4]  # of 2 to 6
    choice.loc[chosen, "gap"] = [0.1, 0.2, 0.4, 0.42, 0.6]
    made_up.put(choice, "gap", np.arange(5.0), **here | {"label": "cat"})  # keeps growing
    rows = networks.chosen(study_of(frames))
    assert len(rows) == 2 * len(made_up.LABELS)
    row = select(rows, **here).squeeze()
    assert (row["silhouette"], row["best_silhouette"], row["by_silhouette"]) == (0.3, 0.5, 3)  # a run of 4 clusters
    assert row["by_gap"] == 4  # the first whose gap is at least the next one less 0.05
    assert np.isnan(select(rows, **here | {"label": "cat"})["by_gap"].item())
    frames["choice"] = choice.query("n_clusters != 4")  # no candidate
    assert networks.chosen(study_of(frames))["silhouette"].isna().all()
    first = networks.first(choice, "tuned")
    assert set(first["seed"]) == {0} and len(first) == 5 * len(made_up.LABELS)


def test_modes_are_compared_with_clusters_in_each_class(study_of, made_up, select):
    frames = made_up.frames()
    images = frames["images"]
    made_up.put(images, "mode", 3 - images["cluster"], kind="tuned", seed=0, label="cat")
    rows = networks.modes(study_of(frames))
    for row in rows.to_dict("records"):
        of_classes = (select(images, kind=row["kind"], seed=row["seed"], label=label) for label in made_up.LABELS)
        found = [adjusted_rand_score(part["mode"], part["cluster"]) for part in of_classes]
        assert (row["ari"], row["lowest"], row["highest"]) == pytest.approx((np.mean(found), min(found), max(found)))
    assert select(rows, kind="tuned", seed=0)["highest"].item() == 1


def test_focus_is_over_mosaics_then_trainings_and_counts_empty_maps(study_of, made_up, select):
    frames = made_up.frames()
    made_up.put(frames["focus"], "value", NAN, kind="tuned", seed=0, explainer="grad-cam", mosaic=(1, 2))
    rows = networks.focus(study_of(frames))
    expected = [(kind, explainer) for kind in ("tuned", "ce") for explainer in made_up.EXPLAINERS]
    assert pairs(rows, "kind", "explainer") == expected
    for row in rows.to_dict("records"):
        here = select(frames["focus"], kind=row["kind"], explainer=row["explainer"])
        table = here.pivot(index="seed", columns="mosaic", values="value").to_numpy()
        interval, mean = (
            statistics.mean_interval(table, range=(0.0, 1.0)),
            np.mean([np.nanmean(line) for line in table]),
        )
        found = row["mean"], row["low"], row["high"], row["n_undefined"]
        assert found == pytest.approx((mean, interval.low, interval.high, np.isnan(table).sum()))


def test_agreement_with_modes_is_beside_that_of_dealt_clusters(study, made_up, select):
    found = networks.agreement_with_modes(study, "tuned")
    assert found.shape == (2, len(made_up.LABELS), 1 + made_up.DEALS)
    rows = select(networks.experiment.table(study, "images"), kind="tuned", seed=1, label=made_up.LABELS[2])
    assert found[1, 2, 0] == adjusted_rand_score(rows["mode"], rows["cluster"])
    dealt = clusters.shuffled(torch.tensor(rows["cluster"].to_numpy()), seed=1)
    assert found[1, 2, 2] == adjusted_rand_score(rows["mode"], dealt) != found[1, 2, 0]
