"""Sentences about what was run are held against the settings that were recorded with it."""

import json
from pathlib import Path

import pytest

BOOK = Path(__file__).parents[1] / "book"
SAID = {  # part -> sentences with the budgets that they name
    "contrastive": (
        "{networks[n_held_out]:,} training images are held out",
        "Scored are {contrastive[n_scored]} test images, controls and noise on {contrastive[n_further]}, the authors' "
        "tools on {contrastive[n_quantus]}.",
        "A ResNet-8 of {networks[width]} to {widest} channels, trained for {networks[epochs_scl]} to "
        "{networks[epochs_ce]} epochs",
    ),
    "saliency": (
        "The first {saliency[n_saliency]} test images",
        "Table 4 stands on {saliency[n_transformed]} of them at sixteen settings",
        "and the columns of the tools, stand on {saliency[n_tools]}.",
        "One ResNet-8 of {networks[width]} to {widest} channels, trained by cross-entropy for {networks[epochs_ce]} ep",
        "RISE has {explainers[rise_masks]:,} masks and LIME {explainers[lime_samples]} samples.",
        "on the same {saliency[n_sensitivity]} images",
        "With {saliency[n_saliency]} images AI",
    ),
    "whole_output": (
        "explained are the first {whole_output[n_outputs]} test images",
        "One ResNet-8 of {networks[width]} to {widest} channels, trained by cross-entropy for {networks[epochs_ce]} ep",
        "RISE has {explainers[rise_masks]:,} masks and LIME {explainers[lime_samples]} samples",
    ),
    "dominance": (
        "ResNet-8 of {networks[width]} to {widest} channels, two trainings each: by cross-entropy for "
        "{networks[epochs_ce]} epochs (CE), and these fine-tuned for {networks[epochs_tuned]} epochs",
        "Mosaics are scaled to {networks[size]} pixels",
    ),
}


@pytest.mark.parametrize("part", SAID)
def test_budgets_are_those_of_the_run(part):
    text = (BOOK / part / "recorded.md").read_text(encoding="utf-8").replace("\n", " ")
    run = json.loads((BOOK / "recorded" / part / "laptop-cifar10-jpeg" / "provenance.json").read_text())
    assert run["scale"]["saliency"]["n_sensitivity"] == run["scale"]["saliency"]["n_tools"] or part != "saliency"
    for sentence in SAID[part]:
        assert sentence.format(**run["scale"], widest=4 * run["scale"]["networks"]["width"]) in text
