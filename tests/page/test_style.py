import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.text import Text

from xai_lib.page import style
from xai_lib.page.images import image_grid
from xai_lib.papers.contrastive import figures as contrastive
from xai_lib.papers.dominance import figures as dominance
from xai_lib.papers.dominance.analysis.pictures import Shown
from xai_lib.papers.saliency.figures import benchmark
from xai_lib.papers.whole_output import figures as whole_output
from xai_lib.papers.whole_output.method.contrastive_maps import WholeOutput


def test_the_style_is_set_for_every_figure():
    style.use_style()
    assert plt.rcParams["figure.constrained_layout.use"] and plt.rcParams["savefig.bbox"] == "tight"
    plt.figure()


NAMES = [r"$\oops$", "5$ note_^{ 6$"]  # no formula, and one that cannot be set
IMAGES, MAPS, MATRIX = torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8), np.full((2, 2), 0.5)
OUTPUT = WholeOutput([[0], [1]], [0, 1], torch.tensor([0.6, 0.4]), MAPS, {"cwox-2s": MAPS})
CURVES = pd.DataFrame({"method": ["swox"] * 2, "removed": [0, 1], "target": 1, "rivals": 0, "score": 1})


@pytest.mark.parametrize(
    "draw",
    [
        lambda: image_grid(IMAGES, titles=NAMES),
        lambda: image_grid(IMAGES, rows=NAMES, columns=NAMES[:1]),
        lambda: contrastive.overlays(IMAGES, {("ce", "grad-cam"): MAPS}, NAMES),
        lambda: contrastive.confusion(torch.eye(2), NAMES),
        lambda: contrastive.embedding(pd.DataFrame({"loss": "ce", "x": [0, 1], "y": 0, "label": [0, 1]}), NAMES),
        lambda: benchmark.maps(IMAGES, {"grad-cam": MAPS}, NAMES),
        lambda: dominance.mosaics([Shown(IMAGES[0], MAPS[0], torch.zeros(4, dtype=torch.bool), NAMES[1])]),
        lambda: dominance.representatives(dict(zip(NAMES, IMAGES[:, None]))),
        lambda: dominance.dominance_matrices({NAMES[0]: (MATRIX, MATRIX)}, "AB"),
        lambda: dominance.all_matrices({NAMES[1]: (MATRIX, MATRIX)}),
        lambda: whole_output.co_occurrence(pd.DataFrame(MATRIX, NAMES, NAMES), [[0], [1]]),
        lambda: whole_output.whole_output(IMAGES[0], OUTPUT, NAMES),
        lambda: whole_output.compared_methods(IMAGES[0], OUTPUT, NAMES, ["cwox-2s"]),
        lambda: whole_output.contrastive_curves(CURVES.assign(target_name=NAMES[0], rival_names=NAMES[1])),
    ],
)
def test_dollars_in_the_names_of_classes_are_dollars(draw):
    figure = draw()
    figure.canvas.draw()
    texts = [text for text in figure.findobj(Text) if "$" in text.get_text()]
    assert texts and not any(text._preprocess_math(text.get_text())[1] for text in texts)
