import itertools
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from xai_lib import models
from xai_lib.training import accuracy, fit, loop, recipes
from xai_lib.training.checkpoint import CheckpointError
from xai_lib.training.loop import TrainingDivergedError, train

CPU = torch.device("cpu")


def tiny(loss, **changes):
    return replace(recipes.get("small", loss), **{"epochs": 2, "width": 4, "batch_size": 16} | changes)


def run(recipe, split, directory, **changes):
    return train(recipe, split, directory=directory, **{"seed": 0, "device": CPU, "progress": False} | changes)


@pytest.fixture(autouse=True)
def multiplies(monkeypatch):
    """Let this processor multiply bfloat16, or float32 alone as it does until then, whatever it can."""

    def set_to(precision):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"bf16": precision == "bfloat16"})

    set_to("float32")
    return set_to


def same_weights(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("loss", recipes.LOSSES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_same_seed_gives_the_same_numbers_to_the_last_digit(split, tmp_path, loss, precision, multiplies):
    multiplies(precision)
    first = run(tiny(loss), split, tmp_path / "a")
    second = run(tiny(loss), split, tmp_path / "b")
    other = run(tiny(loss), split, tmp_path / "c", seed=1)
    assert same_weights(first.network, second.network)
    assert not same_weights(first.network, other.network)
    assert first.history[["loss", "accuracy"]].equals(second.history[["loss", "accuracy"]])
    assert not first.network.training


def test_precisions_differ(split, tmp_path, multiplies):
    exact = run(tiny("ce"), split, tmp_path / "float32").network
    multiplies("bfloat16")
    assert not same_weights(exact, run(tiny("ce"), split, tmp_path / "bfloat16").network)


@pytest.mark.parametrize("loss", recipes.LOSSES)
def test_training_learns_and_history_says_how(split, tmp_path, loss):
    recipe = tiny(loss, epochs=12, learning_rate=0.1)
    result = run(recipe, split, tmp_path)
    history = result.history
    assert history.epoch.tolist() == list(range(1, 13))
    if loss != "tl":  # its mean is over those triplets only that are semi-hard at the moment
        assert history.loss.iloc[-1] < history.loss.iloc[0]
    assert history.accuracy.iloc[-1] > 0.5
    assert (history.images_per_second * history.seconds).round().unique() == [48]  # three whole batches of sixteen
    assert (history.threads == torch.get_num_threads()).all()
    assert history.learning_rate.iloc[-1] < history.learning_rate.max() == pytest.approx(0.1, rel=0.05)


def test_the_share_of_semi_hard_triplets_falls_while_the_triplet_loss_learns(split, tmp_path):
    shares = run(tiny("tl", epochs=12, learning_rate=0.1), split, tmp_path / "tl").history["semi_hard"]
    assert 0 < shares.iloc[-1] < 0.5 * shares.iloc[0] < 1
    assert run(tiny("ce"), split, tmp_path / "ce").history["semi_hard"].isna().all()


class StopAfterEpochError(Exception):
    pass


@pytest.fixture
def at_steps(monkeypatch):
    """A function that has the loss of some steps (counted from 1) go through another function before it is used."""

    def arrange(change, *steps):
        real, calls = loop.objective, itertools.count(1)
        monkeypatch.setattr(
            loop, "objective", lambda *given: change(real(*given)) if next(calls) in steps else real(*given)
        )

    return arrange


def stop(loss):
    raise StopAfterEpochError


@pytest.mark.parametrize("loss", recipes.LOSSES)
def test_an_interrupted_training_ends_as_an_uninterrupted_one(split, tmp_path, loss, at_steps):
    recipe = tiny(loss, epochs=3)
    whole = run(recipe, split, tmp_path / "whole")
    at_steps(stop, 5, 6)  # in the middle of the second epoch, twice
    for _ in range(2):
        with pytest.raises(StopAfterEpochError):
            run(recipe, split, tmp_path / "parts")
    parts = run(recipe, split, tmp_path / "parts")
    assert same_weights(whole.network, parts.network)
    assert whole.history[["epoch", "loss", "accuracy"]].equals(parts.history[["epoch", "loss", "accuracy"]])


def test_kept_epochs_are_those_of_a_shorter_look_and_survive_a_stop(split, tmp_path, at_steps):
    recipe = tiny("scl", epochs=4)
    whole = run(recipe, split, tmp_path / "whole", keep=2)
    assert same_weights(whole.network, run(recipe, split, tmp_path / "none").network)
    assert not (tmp_path / "none" / "checkpoints").exists()
    at_steps(stop, 8)  # in the third epoch
    with pytest.raises(StopAfterEpochError):
        run(recipe, split, tmp_path / "parts", keep=2)
    run(recipe, split, tmp_path / "parts", keep=2)
    for epoch in (2, 4):
        states = [loop.kept_state(tmp_path / name, epoch) for name in ("whole", "parts")]
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    last = whole.network.state_dict()
    assert all(torch.equal(last[name], tensor) for name, tensor in states[0].items())
    assert not torch.equal(*(loop.kept_state(tmp_path / "whole", n)["backbone.stem.0.weight"] for n in (2, 4)))
    with pytest.raises(FileNotFoundError, match="epoch-3"):
        loop.kept_state(tmp_path / "whole", 3)


def test_a_finished_training_is_read_and_not_repeated(split, tmp_path, monkeypatch):
    first = run(tiny("ce"), split, tmp_path)
    monkeypatch.setattr(loop, "objective", lambda *_: pytest.fail("trained again"))
    again = run(tiny("ce"), split, tmp_path)
    assert same_weights(first.network, again.network)
    assert first.history.equals(again.history)


def test_a_removed_checkpoint_is_not_resumed_from(split, tmp_path):
    run(tiny("ce", epochs=1), split, tmp_path)
    loop.remove_checkpoint(tmp_path)
    assert list(tmp_path.iterdir()) == []
    loop.remove_checkpoint(tmp_path)
    run(tiny("ce", epochs=1), split, tmp_path, seed=1)


def test_a_checkpoint_of_another_training_is_refused(split, tmp_path, multiplies):
    run(tiny("ce", epochs=1), split, tmp_path)
    with pytest.raises(CheckpointError, match=r"recipe.learning_rate is 0.4 there and 0.3 here; seed is 0 there"):
        run(tiny("ce", epochs=1, learning_rate=0.3), split, tmp_path, seed=5)
    with pytest.raises(CheckpointError, match=r"data.digest"):
        run(tiny("ce", epochs=1), split.subset(range(59)), tmp_path)
    multiplies("bfloat16")
    with pytest.raises(CheckpointError, match=r"numerics.precision is 'float32' there and 'bfloat16' here"):
        run(tiny("ce", epochs=1), split, tmp_path)


def tuning(**changes):
    return replace(recipes.fine_tunings("small")["tuned"], **{"epochs": 2, "width": 4, "batch_size": 16} | changes)


def start(seed=7):
    return models.build("resnet8", 3, width=4, seed=seed)


def test_training_goes_on_from_a_given_network_which_stays_as_it_was(split, tmp_path):
    """Started from the weights that the seed would give, it is the training without a given network."""
    given = start(seed=0)
    result = run(tiny("ce"), split, tmp_path / "given", network=given)
    assert same_weights(given, start(seed=0))
    assert same_weights(result.network, run(tiny("ce"), split, tmp_path / "none").network)
    assert not same_weights(result.network, run(tiny("ce"), split, tmp_path / "other", network=start()).network)


def test_a_fine_tuning_of_no_length_is_the_network_it_started_from(split, tmp_path):
    recipe = tuning(epochs=1, learning_rate=1e-30)
    fitted = fit(recipe, split, seed=0, directory=tmp_path, device=CPU, progress=False, network=start())
    for (name, before), after in zip(start().named_parameters(), fitted.network.parameters(), strict=True):
        torch.testing.assert_close(after, before, rtol=0, atol=1e-20, msg=name)


def test_a_fine_tuning_that_was_stopped_goes_on_and_one_from_elsewhere_is_refused(split, tmp_path, at_steps):
    whole = run(tuning(), split, tmp_path / "whole", network=start())
    at_steps(stop, 5)
    with pytest.raises(StopAfterEpochError):
        run(tuning(), split, tmp_path / "parts", network=start())
    for other in (start(seed=8), None):
        with pytest.raises(CheckpointError, match="belongs to another training: start is "):
            run(tuning(), split, tmp_path / "parts", network=other)
    assert same_weights(whole.network, run(tuning(), split, tmp_path / "parts", network=start()).network)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_loss_that_is_not_finite_stops_and_the_last_epoch_stays(split, tmp_path, at_steps, value):
    recipe = tiny("ce", epochs=3)
    at_steps(lambda loss: loss * float(value), 5)
    with pytest.raises(
        TrainingDivergedError, match=rf"{value} in epoch 2, step 2.*learning_rate.*0\.4.*last good epoch"
    ):
        run(recipe, split, tmp_path)
    resumed = run(recipe, split, tmp_path)
    assert same_weights(resumed.network, run(recipe, split, tmp_path / "whole").network)


def test_weights_that_are_not_finite_are_never_saved(split, tmp_path):
    recipe = tiny("ce", epochs=1, batch_size=60, learning_rate=float("inf"), schedule="cosine", warmup_share=0.0)
    with pytest.raises(TrainingDivergedError, match=r"The (weights|loss).*epoch 1.*learning_rate"):
        run(recipe, split, tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_order_follows_seed_and_epoch(split):
    orders = [loop.shuffled(split, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert all(order.sort().values.tolist() == list(range(60)) for order in orders)
    assert len({tuple(order.tolist()) for order in orders}) == 3
    assert torch.equal(orders[0], loop.shuffled(split, 0, 0))


def test_augmentation_follows_seed_epoch_and_view(split):
    recipe = tiny("scl")
    positions = torch.tensor([3, 1])
    x = loop.augmented_views(split, positions, recipe, seed=0, epoch=0)
    assert x.shape == (4, 3, 12, 12)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert not torch.equal(x[0], x[1])
    assert torch.equal(x[2:], loop.augmented_views(split, positions[1:], recipe, seed=0, epoch=0))
    for seed, epoch in ((1, 0), (0, 1)):
        assert not torch.equal(x, loop.augmented_views(split, positions, recipe, seed=seed, epoch=epoch))


@pytest.mark.parametrize("loss", recipes.LOSSES)
def test_fit_gives_a_classifier_of_any_loss(split, tmp_path, loss):
    recipe = tiny(loss, epochs=10, learning_rate=0.1)
    fitted = fit(recipe, split, seed=0, directory=tmp_path, device=CPU, progress=False)
    assert isinstance(fitted.network.head, torch.nn.Linear)
    assert not fitted.network.training
    assert accuracy(fitted.network, split) > 0.6
    assert len(fitted.history) == 10


def test_progress_shows_loss_accuracy_speed_and_time_left(split, tmp_path, capsys):
    run(tiny("ce"), split, tmp_path, progress=True)
    shown = capsys.readouterr().err
    for part in ("training ce", "epoch=2/2", "loss=", "accuracy=", "images/s", "96.0/96.0"):
        assert part in shown


# Trains, and kills itself with -9 before a step of this process (from 1), or while it writes its n-th checkpoint.
KILLED = """
import os, pickle, signal, sys
from pathlib import Path
import torch
from xai_lib.training import loop

folder, recipe, split = pickle.loads(Path(sys.argv[1]).read_bytes())
where, when = sys.argv[2], int(sys.argv[3])
calls = 0

def deadly(real):
    def call(*arguments):
        global calls
        calls += 1
        if calls == when:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)
    return call

if where == "step":
    loop.objective = deadly(loop.objective)
else:
    os.fsync = deadly(os.fsync)
torch.cpu.get_capabilities = dict  # float32
result = loop.train(recipe, split, seed=0, directory=folder, device=torch.device("cpu"))
torch.save(result.network.state_dict(), Path(folder) / "weights.pt")
"""


@pytest.mark.slow
def test_killed_anywhere_it_resumes_and_ends_with_identical_weights(split, tmp_path):
    recipe = tiny("scl", epochs=4)  # three steps an epoch
    whole = run(recipe, split, tmp_path / "whole")
    folder, arguments = tmp_path / "killed", tmp_path / "arguments"
    arguments.write_bytes(pickle.dumps((folder, recipe, split)))
    # the same number of threads on both sides: the order of sums depends on it
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}

    def start(where, when):
        command = [sys.executable, "-c", KILLED, str(arguments), where, str(when)]
        return subprocess.run(command, capture_output=True, env=environment).returncode

    epochs_done = []
    for where, when in (("step", 5), ("write", 1)):
        assert start(where, when) == -signal.SIGKILL
        checkpoint = folder / "checkpoint.pt"
        state = torch.load(checkpoint, weights_only=True) if checkpoint.exists() else {"history": []}
        epochs_done.append(len(state["history"]))
    assert epochs_done == [1, 1]
    assert start("step", -1) == 0
    weights = torch.load(folder / "weights.pt", weights_only=True)
    assert all(torch.equal(weights[name], tensor) for name, tensor in whole.network.state_dict().items())
