"""The page on other libraries: its numbers are those of the installed packages, its examples run and agree."""

import re
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import captum.metrics
import numpy as np
import pytest
import quantus
import torch
import torchvision
from quantus.helpers.constants import AVAILABLE_XAI_METHODS_CAPTUM

from xai_lib import data, explainers, metrics, your_maps
from xai_lib.explainers.registry import EXPLAINERS
from xai_lib.metrics.registry import METRICS
from xai_lib.papers.saliency.method import lineup

TEXT = (Path(__file__).parents[1] / "book/compare.md").read_text()
ROWS = {cells[0].split("]")[0].strip("["): cells for line in re.findall(r"^\| (.*) \|$", TEXT, re.MULTILINE)
        if len(cells := line.split(" | ")) == 6}  # fmt: skip
LICENCES = {cells[0]: cells[1] for line in re.findall(r"^\| (.*) \|$", TEXT, re.MULTILINE)
            if len(cells := line.split(" | ")) == 3}  # fmt: skip


def test_counts_are_those_of_the_installed_packages():
    informed = [name for name in explainers.names() if name not in lineup.UNINFORMED]
    assert f"{len(informed)}," in ROWS["this one"][1] and ROWS["this one"][2] == f"{len(metrics.names())}"
    assert ROWS["this one"][4].startswith("five") and len(lineup.UNINFORMED) == 5
    families = quantus.AVAILABLE_METRICS
    assert ROWS["Quantus"][2] == f"{sum(map(len, families.values()))} in six families" and len(families) == 6
    controls = [name for name in AVAILABLE_XAI_METHODS_CAPTUM if name.startswith("Control")]
    assert len(controls) == 3 and ROWS["Quantus"][4].startswith("three")
    assert {name for name in vars(captum.metrics) if not name.startswith("_")} >= {"infidelity", "sensitivity_max"}


@pytest.mark.parametrize(
    ("package", "library", "licence", "status"),
    [
        ("grad-cam", "pytorch-grad-cam", "MIT", ""),
        ("captum", "captum", "BSD", "stable"),
        ("quantus", "Quantus", "LGPL", "beta"),
        ("zennit", "zennit", "LGPL", "alpha"),
    ],
)
def test_versions_licences_and_what_packages_call_themselves(package, library, licence, status):
    assert f"{library} {metadata.version(package)}" in TEXT
    about = metadata.metadata(package)
    said = [about["License-Expression"] or "", *about.get_all("Classifier")]
    assert LICENCES[library].startswith(licence)
    assert any(licence.lstrip("L") in one for one in said)  # the metadata of Quantus say GPL, its licence file LGPL
    assert any(status in one.lower() for one in said if "Status" in one) or not status


def test_tables_fit_a_phone_and_every_library_has_both_rows():
    assert [name for name in ROWS if not set(name) <= set("-| ")][1:] == [
        name for name in LICENCES if not set(name) <= set("-| ")
    ][1:]
    assert max(line.count(" | ") for line in TEXT.splitlines()) <= 5


def test_the_examples_run_in_their_order_and_agree(monkeypatch, tmp_path):
    for registry in (EXPLAINERS, METRICS):
        monkeypatch.setattr(registry, "entries", dict(registry.entries))
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=10).eval()
    images = data.load("planted", "test", n=10).subset([0, 1, 2])
    images = replace(images, images=images.images.repeat_interleave(4, 2).repeat_interleave(4, 3), masks={})
    names = {"network": network, "images": images}
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    for block in blocks:
        exec(block, names)
    assert len(blocks) == 9
    x, target, index = names["x"], names["target"], images.index
    for theirs, ours in {"grad-cam-theirs": "grad-cam", "ig-theirs": "integrated-gradients"}.items():
        layer = {"layer": "layer4", "upsample": False} if ours == "grad-cam" else {}
        score = explainers.class_score(target)
        raw = [explainers.get(theirs)(network, x, score=score), explainers.get(ours)(network, x, score=score, **layer)]
        both = [explainers.normalise.unit_maps(one, name, (128, 128)) for one, name in zip(raw, (theirs, ours))]
        torch.testing.assert_close(*both, atol=2e-2, rtol=0)
    lrp = explainers.get("lrp-theirs")(network, x, seed=0, index=index)
    assert torch.equal(lrp, torch.from_numpy(np.load("maps.npy"))) and lrp.abs().sum() > 0
    assert names["painted"].shape == (128, 128, 3) and names["painted"].dtype == np.uint8
    np.testing.assert_allclose(names["theirs"], names["ours"], atol=1e-5)
    again = metrics.get("sparseness-theirs")(network, x, names["maps"].detach(), target)
    torch.testing.assert_close(again.float(), names["ours"], atol=1e-5, rtol=0)
    assert "sparseness-theirs" in lineup.added_metrics() and explainers.about("ig-theirs").family == your_maps.FAMILY
