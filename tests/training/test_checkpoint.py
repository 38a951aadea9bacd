import os
import pickle

import pytest
import torch

from xai_lib.training import checkpoint

CPU = torch.device("cpu")
SETTINGS = {"recipe": {"learning_rate": 0.4, "epochs": 3}, "seed": 0, "data": {"digest": "a"}}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run" / "checkpoint.pt"
    checkpoint.save(path, {"settings": SETTINGS, "network": {"w": torch.arange(1000.0)}})
    return path


def test_what_is_saved_is_loaded(path):
    state = checkpoint.load(path, SETTINGS, CPU)
    assert torch.equal(state["network"]["w"], torch.arange(1000.0))
    assert [p.name for p in path.parent.iterdir()] == ["checkpoint.pt"]


def test_whoever_reads_while_another_is_saved_reads_the_old_one_whole(path):
    content = path.read_bytes()
    with path.open("rb") as reader:
        checkpoint.save(path, {"settings": SETTINGS})
        assert reader.read() == content
    assert path.read_bytes() != content


def test_a_refusal_names_every_differing_setting(path):
    other = {"recipe": {"learning_rate": 0.1, "epochs": 3}, "seed": 1, "data": {"digest": "b"}}
    with pytest.raises(checkpoint.CheckpointError) as error:
        checkpoint.load(path, other, CPU)
    message = str(error.value)
    assert str(path) in message
    for part in ("recipe.learning_rate is 0.4 there and 0.1 here", "seed is 0", "data.digest is 'a'"):
        assert part in message
    assert "epochs" not in message


def test_another_format_is_refused(path, monkeypatch):
    monkeypatch.setattr(checkpoint, "VERSION", checkpoint.VERSION + 1)
    with pytest.raises(checkpoint.CheckpointError, match=rf"format {checkpoint.VERSION}.*Got format"):
        checkpoint.load(path, SETTINGS, CPU)


def flipped(content):
    """One bit of the weights is another."""
    weights = torch.arange(500.0, 502.0).numpy().tobytes()
    assert weights in content
    return content.replace(weights, bytes([weights[0] ^ 1]) + weights[1:])


@pytest.mark.parametrize(
    "damage",
    [*(lambda content, share=share: content[: int(len(content) * share)] for share in (0.0, 0.3, 0.99)), flipped,
     lambda content: b"not a checkpoint"],
)  # fmt: skip
def test_a_damaged_or_other_file_is_named(path, damage):
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(checkpoint.CheckpointError, match=f"{path}.*damaged"):
        checkpoint.load(path, SETTINGS, CPU)


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-checkpoint",)


def test_code_in_a_checkpoint_is_not_run(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    torch.save({"version": checkpoint.VERSION, "settings": Malicious()}, path, pickle_module=pickle)
    with pytest.raises(checkpoint.CheckpointError):
        checkpoint.load(path, SETTINGS, CPU)
    assert not (path.parent / "made-by-a-checkpoint").exists()


def test_a_failed_save_keeps_the_last_checkpoint(path, monkeypatch):
    def full_disk(state, file):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(path, {"settings": SETTINGS})
    monkeypatch.undo()
    assert "network" in checkpoint.load(path, SETTINGS, CPU)
    assert [p.name for p in path.parent.iterdir()] == ["checkpoint.pt"]


def test_what_a_killed_process_left_is_overwritten(path):
    path.with_name("checkpoint.pt.part").write_bytes(b"half")
    checkpoint.save(path, {"settings": SETTINGS})
    assert [p.name for p in path.parent.iterdir()] == ["checkpoint.pt"]
