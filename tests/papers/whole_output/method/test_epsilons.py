"""What ε in Equation 2 does, image by image."""

import pandas as pd
import torch

from xai_lib.papers.whole_output.method.base_maps import base
from xai_lib.papers.whole_output.method.evaluation import Images, compare_epsilons, evaluate
from xai_lib.papers.whole_output.method.explanation import explain
from xai_lib.papers.whole_output.method.faithfulness import scores

CLUSTERS = [[[0, 1], [5]], [[6, 2, 0]], [[3], [1, 4]]]
INDEX = torch.tensor([4, 9, 2])
OPTIONS = {"n_classes": 7, "steps": 8}
GRAD_CAM = base("grad-cam", ("coarse", "fine"), n_masks=1, n_samples=1)


def test_zero_is_the_papers_variant(network, images):
    shown = Images(images, INDEX, CLUSTERS)
    found = compare_epsilons(network, shown, GRAD_CAM, (0.0, 0.5), **OPTIONS)
    usual = evaluate(network, shown, [GRAD_CAM], variant="paper", observed_by=None, **OPTIONS)
    for metric in ("cdrop", "degenerate"):
        ours = found[(found["epsilon"] == 0) & (found["metric"] == metric)]
        theirs = usual[(usual["metric"] == metric) & (usual["method"] == "cwox-2s")]
        columns = ["index", "class", "rivals", "value"]
        pd.testing.assert_frame_equal(ours[columns].reset_index(drop=True), theirs[columns].reset_index(drop=True))


def test_each_epsilon_scores_the_maps_that_it_leaves(network, images):
    found = compare_epsilons(network, Images(images, INDEX, CLUSTERS), GRAD_CAM, (0.0, 0.5), **OPTIONS)
    rows = found[(found["epsilon"] == 0.5) & (found["metric"] == "cdrop") & (found["index"] == 9)]
    [output] = explain(
        network, images[1:2], CLUSTERS[1:2], base=GRAD_CAM, methods=("cwox-2s",), epsilon=0.5, index=INDEX[1:2]
    )
    for label, value in zip(rows["class"], rows["value"]):
        heat = output.class_maps["cwox-2s"][output.classes.index(label)]
        rivals = torch.zeros(1, 7, dtype=torch.bool)
        rivals[0, [other for other in (6, 2, 0) if other != label]] = True
        one = scores(
            network,
            images[1:2],
            torch.zeros(1, dtype=torch.int64),
            heat[None, None],
            torch.tensor([label]),
            rivals,
            index=INDEX[1:2],
            compared=(0,),
            steps=8,
        )
        assert abs(float(one.cdrop) - value) < 1e-5 or (torch.isnan(one.cdrop).all() and value != value)


def test_images_without_rivals_give_no_rows(network, images):
    found = compare_epsilons(network, Images(images, INDEX, [[[0]], [[1], [2]], [[3]]]), GRAD_CAM, (0.0,), **OPTIONS)
    assert found.empty and "epsilon" in found
