"""The page on one's own model, of architectures that not every method applies to."""

import os
import re
from pathlib import Path

import nbformat
import pytest
import skimage.data
from IPython.display import HTML
from PIL import Image
from torch import nn

from xai_lib.run.notebook import execute

ROOT = Path(__file__).parents[1]


class PreActivation(nn.Module):
    """A residual block in which batch normalisation comes before each convolution."""

    def __init__(self):
        super().__init__()
        self.stem, self.norms = nn.Conv2d(3, 4, 3, stride=2), nn.ModuleList([nn.BatchNorm2d(4), nn.BatchNorm2d(4)])
        self.convolutions = nn.ModuleList([nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)])
        self.relu, self.head = nn.ReLU(), nn.Linear(4, 2)

    def forward(self, x):
        inner = x = self.stem(x)
        for norm, convolution in zip(self.norms, self.convolutions):
            inner = convolution(norm(inner).relu())
        return self.head(self.relu(x + inner).mean((2, 3)))


def leaderboards(folder, read, spec, arguments, methods):
    """The tables of the page that have a row a method: the leaderboard, and what methods cost."""
    for number, name in enumerate(("astronaut", "chelsea", "coffee", "rocket")):
        (folder / "photos" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(getattr(skimage.data, name)()).save(folder / "photos" / "ab"[number % 2] / f"{name}.png")
    given = {"model": spec, "arguments": arguments, "images": str(folder / "photos"), "classes": "a, b", "size": 64}
    given |= {"scale": "smoke", "device": "cpu", "methods": methods, "overrides": "lime_samples=2, rise_masks=2"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XAI_STORE", str(folder / "store"))
        patch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'tests'}")
        execute(ROOT / "notebooks/saliency/your-model.ipynb", folder / "out.ipynb", given)
    cells = nbformat.read(folder / "out.ipynb", 4).cells
    shown = [o.data["text/html"] for c in cells for o in c.get("outputs", ()) if "text/html" in o.get("data", {})]
    return [read(HTML(text)) for text in shown if "method" in text and ("AD ↓" in text or "peak memory" in text)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "arguments", "dashes"),
    [
        ("timm:mobilenetv3_small_050", "pretrained=False, num_classes=2", {"LRP": "Hardswish", "MWP": "Hardswish"}),
        (
            "timm:vit_tiny_patch16_224",
            "pretrained=False, num_classes=2, img_size=64",
            {"GuidedBP": "GELU", "LRP": "LayerNorm", "MWP": "attn"},
        ),
        ("test_your_model_page:PreActivation", "", {}),
    ],
)
def test_the_page_is_whole_with_dashes_for_what_does_not_apply(tmp_path, read, spec, arguments, dashes):
    methods = "gradient, guided-backprop, grad-cam, lrp, excitation-backprop, uniform"
    boards = leaderboards(tmp_path, read, spec, arguments, methods)
    assert len(boards) == 2
    for rows in boards:
        assert spec in rows.attrs["caption"] and "planted" not in rows.attrs["caption"]
        rows = rows.set_index("method")
        assert len(rows) == 6
        for name in rows.index:
            assert (set(rows.loc[name]) == {"–"}) == (name in dashes), name
        for name, why in dashes.items():
            assert name in rows.attrs["caption"] and re.search(why, rows.attrs["caption"])


@pytest.mark.slow
def test_one_method_alone_makes_a_page(tmp_path, read):
    boards = leaderboards(tmp_path, read, "torchvision:resnet18", "weights=None, num_classes=2", "grad-cam")
    assert [rows["method"].tolist() for rows in boards] == [["Grad-CAM"]] * 2
    assert all(set(rows.iloc[0]) != {"–"} for rows in boards)
