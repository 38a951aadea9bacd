import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from xai_lib.training import distributed

# One step of each loss as the loop takes it; alone or as one of torchrun's processes. A network without batch
# normalisation: on processors each process has statistics of its own.
STEP = """
import sys
import torch
from torch import nn
from xai_lib.training import distributed, objective, recipes

distributed.join(torch.device("cpu"))
results = {}
for loss_name in recipes.LOSSES:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 5)).double()
    forward = distributed.wrap(net)
    views, labels = torch.randn(16, 2, 3, 2, 2).double(), torch.arange(16) % 4
    mine = distributed.share(torch.arange(16))
    outputs = forward(views[mine].flatten(0, 1)).unflatten(0, (-1, 2))
    if loss_name != "ce":
        outputs = nn.functional.normalize(outputs, dim=2)
    recipe = recipes.get("small", loss_name)
    loss = objective.objective(recipe, distributed.gather(outputs), distributed.gather(labels[mine]))
    (loss * distributed.size()).backward()
    results[loss_name] = {"loss": loss.detach(), "gradients": [p.grad for p in net.parameters()], "images": len(mine)}
torch.save(results, f"{sys.argv[1]}-{distributed.rank()}.pt")
distributed.wait()
"""


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one_with_the_whole_batch(tmp_path):
    script = tmp_path / "step.py"
    script.write_text(STEP)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, launcher in (("alone", []), ("shared", torchrun)):
        command = [sys.executable, *launcher, str(script), str(tmp_path / name)]
        subprocess.run(command, check=True, capture_output=True, env=environment)
    alone = torch.load(tmp_path / "alone-0.pt")
    for rank in range(2):
        shared = torch.load(tmp_path / f"shared-{rank}.pt")
        for loss, whole in alone.items():
            assert whole["images"] == 2 * shared[loss]["images"] == 16
            assert torch.allclose(shared[loss]["loss"], whole["loss"], atol=1e-6)
            for ours, theirs in zip(shared[loss]["gradients"], whole["gradients"]):
                assert theirs.abs().max() > 1e-4
                assert torch.allclose(ours, theirs, atol=1e-6)


def test_a_batch_that_cannot_be_divided_is_refused(monkeypatch):
    monkeypatch.setattr(distributed, "size", lambda: 3)
    with pytest.raises(ValueError, match=r"3 processes divide evenly. Got 16"):
        distributed.share(torch.arange(16))


def test_alone_nothing_changes():
    part = torch.randn(4, 2)
    assert distributed.gather(part) is part
    assert torch.equal(distributed.share(torch.arange(4)), torch.arange(4))
    net = nn.Linear(2, 2)
    assert distributed.wrap(net) is net
    assert distributed.synchronise_norms(net) is net
    assert distributed.join(torch.device("cpu")) == torch.device("cpu")
