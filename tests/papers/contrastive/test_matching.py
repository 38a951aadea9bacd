import pandas as pd
import pytest
import torch

from xai_lib import files, training
from xai_lib.papers.contrastive import checks, experiment, matching
from xai_lib.run import networks, settings
from xai_lib.run.stage import computed


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({1: 0.5, 2: 0.9}, {1: 0.7, 3: 0.905}, (2, 3)),  # as trained
        ({1: 0.5, 2: 0.7, 3: 0.9}, {1: 0.4, 2: 0.695}, (2, 2)),
        ({1: 0.3, 2: 0.6, 3: 0.9}, {1: 0.31, 2: 0.5, 3: 0.8}, (1, 1)),  # both go back
        ({1: 0.3, 2: 0.9}, {1: 0.1, 2: 0.5}, None),
    ],
)
def test_the_latest_epochs_that_match_are_found(first, second, expected):
    accuracies = {"a": first, "b": second}
    looked = []

    def accuracy(loss, epoch):
        looked.append((loss, epoch))
        return accuracies[loss][epoch]

    found = matching.latest_match(accuracy, accuracies)
    assert found == (expected and dict(zip("ab", expected)))
    assert set(looked) <= {(loss, epoch) for loss, kept in accuracies.items() for epoch in kept}


def test_matched_networks_are_kept_epochs_within_a_point_on_held_out_images(smoke_run):
    found = matching.of_pairs(smoke_run, "pair")
    assert set(found["loss"]) <= set(settings.LOSSES)
    held_out = smoke_run.held_out_split()
    for (_, _, seed), pair in found.groupby(["a", "b", "seed"]):
        assert len(pair) == 2 and pair["accuracy"].max() - pair["accuracy"].min() <= 0.01 + 1e-9
        for row in pair.itertuples():
            cell = networks.kept(networks.train_cell(smoke_run, row.loss, seed))[row.epoch]
            assert training.accuracy(networks.load(cell).classifier, held_out) == pytest.approx(row.accuracy)


def test_scores_of_a_match_are_those_of_its_networks(smoke_run, monkeypatch):
    """With a tolerance that any pair meets, the matched networks are the trainings' own."""
    monkeypatch.setattr(matching, "latest_match", lambda accuracy, epochs: {
        loss: (kept[-1], accuracy(loss, kept[-1]))[0] for loss, kept in epochs.items()
    })  # fmt: skip
    cell = matching.match_cell(smoke_run, "scl", "ce", 0)
    folder = computed(cell).with_name("again")
    folder.mkdir()
    cell.work(folder)
    scores, pair = (files.read_frame(folder / f"{name}.csv") for name in ("scores", "pair"))
    assert pair["loss"].tolist() == ["scl", "ce"]
    own = experiment.scores(smoke_run)
    keys = ["loss", "method", "metric", "index"]
    both = scores.merge(own, on=keys, suffixes=("", "_own")).dropna()
    for metric in ("complexity", "pixel-flipping", "continuity", "contrastivity"):
        rows = both[both["metric"] == metric]
        assert len(rows) and (rows["value"] - rows["value_own"]).abs().max() < 1e-5
    degrees = []
    for loss in ("scl", "ce"):
        outputs = experiment.predicted(smoke_run, loss, 0, smoke_run.held_out_split())
        target = experiment.aimed_at(pair["accuracy"].mean(), 10)
        degrees.append(training.temperature(outputs.logits, target))
    assert torch.tensor(degrees).isfinite().all()


def test_a_pair_that_does_not_match_has_no_scores_and_a_dash(smoke_run, monkeypatch, read):
    monkeypatch.setattr(matching, "latest_match", lambda *_: None)
    cell = matching.match_cell(smoke_run, "tl", "ce", 0)
    folder = computed(cell).with_name("none")
    folder.mkdir()
    cell.work(folder)
    assert files.read_frame(folder / "scores.csv").empty and files.read_frame(folder / "pair.csv").empty
    none = pd.DataFrame(columns=["loss", "epoch", "accuracy", *"ab", "seed"])
    monkeypatch.setattr(matching, "of_pairs", lambda run, name: none)
    rows = read(checks.matched(smoke_run))
    assert rows["pair"].tolist() == ["SCL and CE", "TL and CE"] and rows["epochs"].tolist() == ["– and –"] * 2
