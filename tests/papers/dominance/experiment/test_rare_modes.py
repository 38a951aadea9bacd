import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from xai_lib import models, training
from xai_lib.data import planted
from xai_lib.files import read_frame
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.analysis import rarity
from xai_lib.papers.dominance.experiment import parts, rarity_cell
from xai_lib.papers.dominance.method import clusters, dominance, energy_share, single_images
from xai_lib.papers.dominance.method.rare_modes import rarities_of, suspects
from xai_lib.papers.dominance.method.relative_dominance import hierarchy
from xai_lib.run import settings, stage
from xai_lib.run.stage import computed
from xai_lib.run.store import Store
from xai_lib.training import loop

FEW = (
    "size=16, n_train=200, n_test=100, width=4, epochs_ce=2, epochs_tuned=1, n_clusters=3, n_mosaics=2,"
    "rarity_trainings=2"
)
COLUMNS = [
    *("cluster", "dominance", "training", "evaluation", "representation", "logit", "probability", "training_distance"),
    *("rare_share", "accuracy", "label", "clustering", "network", "evaluated_on", "rarity", "seed"),
]


def run_with(overrides="recipe=paper/cifar10"):
    return settings.settings(scale="smoke", device="cpu", overrides=f"{FEW}, {overrides}")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept") / "store"


@pytest.fixture
def run(kept, monkeypatch):
    monkeypatch.setenv("XAI_STORE", str(kept))
    return run_with()


@pytest.fixture(scope="module")
def fitted(kept):
    """What the trainings of number 1 were given and made, by cross-entropy and fine-tuned."""
    found, real = [], training.fit

    def remember(recipe, split, **options):
        found.append({"recipe": recipe, "split": split, **options, "made": real(recipe, split, **options)})
        return found[-1]["made"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XAI_STORE", str(kept))
        patch.setattr(training, "fit", remember)
        computed(rarity_cell(run_with(), 1))
    return found


def scored(run, number):
    return read_frame(computed(rarity_cell(run, number)) / "clusters.csv")


def test_the_network_is_trained_on_images_with_the_rare_modes_of_its_number(run, fitted):
    parameters = planted.Parameters(rarities=rarities_of(1))
    drawn = planted.generate(200, "train", size=16, seed=1, variant="own-modes", parameters=parameters)
    for given in fitted:
        split, recipe = given["split"], given["recipe"]
        assert (given["seed"], given["device"], split.digest) == (1, run.device, drawn.digest)
        assert (recipe.architecture, recipe.loss, recipe.batch_size) == ("resnet8", "ce", 64)  # not the run's recipe
        assert recipe.width == 4
    assert [given["recipe"].epochs for given in fitted] == [2, 1] and fitted[0]["network"] is None
    assert fitted[1]["network"] is fitted[0]["made"].network and fitted[1]["recipe"].label_smoothing > 0


@pytest.mark.parametrize(
    ("name", "number", "evaluated_on"),
    [("rabbit", 0, "balanced"), ("tree", 1, "balanced"), ("mug", 1, "as in training")],
)
def test_clusters_of_a_class_are_those_of_the_plain_functions(run, fitted, name, number, evaluated_on):
    label = planted.CLASSES.index(name)
    network, train = fitted[number]["made"].network, fitted[number]["split"]
    how = {"size": 16, "variant": "own-modes", "parameters": planted.Parameters(rarities=rarities_of(1))}
    other = ("test", 1) if evaluated_on == "balanced" else ("train", 1001)
    test = planted.generate(100, other[0], seed=other[1], **how)
    with torch.no_grad():
        found = []
        for split in (test, train):
            rows = (split.labels == label).nonzero()[:, 0]
            x = split.normalise(split.images[rows])
            features = network.backbone(x).mean((2, 3))
            found.append((x, features, torch.tensor(split.factors["mode"].to_numpy())[rows]))
        (x, here, modes), (_, there, seen_modes) = found
        logits = network(x)
    found = clusters.kmeans(here, 3, seed=0)
    rare = modes == planted.rare_mode(name)
    assert len(rare) == 10
    explain = energy_share.by_grad_cam(models.fold_batchnorm(network))
    said = single_images.outputs(label, logits, here, there).assign(rare_share=rare.float().numpy())
    said["accuracy"] = (logits.argmax(1) == label).float().numpy()
    frame = scored(run, 1)
    frame = frame[(frame["network"] == ("ce", "tuned")[number]) & (frame["evaluated_on"] == evaluated_on)]
    by_k_means = (found.assigned, clusters.assign(there, found.centres)[0])
    for kind, (assigned, trained) in {"k-means": by_k_means, "modes": (modes, seen_modes)}.items():
        rows = frame[(frame["label"] == name) & (frame["clustering"] == kind)].set_index("cluster")
        values = dominance.pairwise(x, label, assigned, explain, n=2, seed=0, purpose=f"rarity/{label}")
        order = hierarchy(values).set_index("cluster")["dominance"]
        expected = said.groupby(assigned.numpy()).mean().assign(dominance=order)
        known = trained[torch.isin(trained, assigned)]
        for cluster in expected.index:  # those that have evaluation images
            n_seen, n_here = (int((part == cluster).sum()) for part in (known, assigned))
            expected.loc[cluster, ["training", "evaluation"]] = n_seen, n_here
            expected.loc[cluster, "representation"] = n_seen / len(known) / (n_here / len(assigned))
        np.testing.assert_allclose(rows[expected.columns], expected, rtol=1e-2, atol=1e-3)
        assert rows.index.tolist() == assigned.unique().tolist() and set(rows["rarity"]) == {rarities_of(1)[name]}


def test_every_class_of_every_training_is_listed(run, fitted):
    frame = experiment.rare_clusters(run)
    assert frame.columns.tolist() == COLUMNS and frame.groupby(["seed", "label"]).ngroups == 20
    design = ["network", "evaluated_on", "clustering"]
    assert {tuple(key) for key in frame[design].drop_duplicates().to_numpy()} == set(rarity.DESIGNS)
    for (seed, label, *_), rows in frame.groupby(["seed", "label", *design]):
        assert rows["evaluation"].sum() == 10 and set(rows["rarity"]) == {rarities_of(seed)[label]}
    modes = frame[frame["clustering"] == "modes"]
    assert (modes["rare_share"] == (modes["cluster"] == modes["label"].map(planted.rare_mode))).all()
    rarest = modes[(modes["rarity"] == 0.01) & (modes["rare_share"] == 1)].groupby("evaluated_on")
    assert (rarest["training"].max() <= 1).all() and rarest["evaluation"].max()["balanced"] >= 2
    assert rarest["evaluation"].max().get("as in training", 0) <= 1
    told = suspects(
        modes[(modes["network"] == "ce") & (modes["evaluated_on"] == "balanced") & (modes["rarity"] < 0.1)].rename(
            columns={"training_distance": "training distance"}
        )
    )
    assert told.groupby("score")["auc"].mean()["representation"] > 0.9  # counts of training images tell


@pytest.mark.parametrize(
    ("overrides", "same"),
    [
        *(
            (name, False)
            for name in ("n_train=210", "n_test=110", "size=20", "epochs_ce=3", "epochs_tuned=2", "width=5")
        ),
        *((name, False) for name in ("n_clusters=4", "n_mosaics=3")),
        *((name, True) for name in ("rarity_trainings=5", "seeds=5", "recipe=small", "epochs_scl=3, n_paired=7")),
    ],
)
def test_what_decides_a_training_and_its_scores_is_in_its_key(run, overrides, same):
    assert (rarity_cell(run, 0).key == rarity_cell(run_with(overrides), 0).key) == same
    every, named = (run_with(f"n_train={n}, n_test={m}") for n, m in (("null", "null"), (10_000, 2000)))
    assert rarity_cell(every, 0).key == rarity_cell(named, 0).key


def test_keys_know_the_number_and_the_generator_but_no_device_and_no_data_set(run, monkeypatch):
    monkeypatch.setattr(stage, "numerics", lambda device: training.Numerics("float32", False, "no"))
    elsewhere = replace(run, device=torch.device("cuda"), dataset="cifar10", label="Another", data_root=Path("/else"))
    assert rarity_cell(elsewhere, 0).key == rarity_cell(run, 0).key
    found = [rarity_cell(run, number).key for number in (0, 1, 5)]
    for where, name, value in (
        (planted, "VERSION", 99),
        (experiment.rare_modes, "rarities_of", lambda number: {"cat": 0.03}),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(where, name, value)
            found.append(rarity_cell(run, 0).key)
    assert len(set(found)) == 5


def test_a_training_whose_scores_were_killed_goes_on(run, fitted, empty_store, monkeypatch):
    def killed(*_given):
        raise KeyboardInterrupt

    scores, n = parts._scores, itertools.count()
    (cell,) = experiment.rarity_cells(run, 1)
    assert cell.parents == ()
    with monkeypatch.context() as patch:
        # both networks are trained before the third
        patch.setattr(parts, "_scores", lambda *given: scores(*given) if next(n) < 2 else killed())
        with pytest.raises(KeyboardInterrupt):
            computed(cell)
    assert not Store().is_done(cell)
    monkeypatch.setattr(loop, "_train_epoch", killed)  # nothing is trained anew
    found = scored(run, 1)
    assert {path.name for path in computed(cell).iterdir()} == {"clusters.csv", "provenance.json", "done.json"}
    monkeypatch.setenv("XAI_STORE", str(fitted[0]["directory"].parents[2]))
    pd.testing.assert_frame_equal(found, scored(run, 1))
