"""The claims: complete, in the paper's direction, and honest about where print contradicts them."""

from pathlib import Path

import pytest

from xai_lib import published
from xai_lib.papers.contrastive import claims
from xai_lib.run.budgets import VARIANTS
from xai_lib.statistics import Claim

ALL = claims.contrastive("planted")


def find(metric, method, loss):
    return next(c for c in ALL if (c.metric, c.method, c.a) == (metric, method, loss))


def test_each_comparison_is_claimed_once():
    metrics = ["pixel-flipping-matched", "continuity", "complexity", "sparseness"]
    metrics += ["pointing-game", "attribution-localisation"]
    expected = {(m, cam, loss) for m in metrics for cam in ("grad-cam", "eigen-cam-tool") for loss in ("scl", "tl")}
    expected |= {("contrastivity", "grad-cam", loss) for loss in ("scl", "tl")}
    assert {(c.metric, c.method, c.a) for c in ALL} == expected
    assert len(ALL) == len(expected) == len({c.id for c in ALL})
    assert all(isinstance(c, Claim) and c.section and not c.ours for c in ALL)
    assert {(c.paper, c.b, c.between, c.dataset) for c in ALL} == {("contrastive", "ce", "loss", "planted")}


def test_a_sentence_of_the_paper_counts_once():
    """Faithful, continuous, complex, contrastive and coherent, of either loss; the abstract speaks of SCL alone."""
    found = {c.sentence: (c.a, c.section) for c in ALL}
    assert len(found) == 10 and {c.sentence.partition(" ")[0] for c in ALL if c.a == "scl"} == {"SCL"}
    said = [sentence for sentence, (_, section) in found.items() if section.startswith("abstract")]
    assert [words.split()[-5] for words in said] == ["faithful", "continuous", "complex"]
    assert {found[sentence][0] for sentence in said} == {"scl"}
    further = claims.further("planted")
    assert {name: len({c.sentence for c in family}) for name, family in further.items()} == dict.fromkeys(further, 1)


def test_the_parts_first_page_counts_what_is_not_covered():
    printed = published.table("contrastive", 4)["dataset"].value_counts()
    page = (Path(__file__).parents[3] / "book" / "contrastive" / "index.md").read_text(encoding="utf-8")
    assert f"{printed['imagenet-s50']} of the {printed.sum()} values of Table 4" in page


def test_directions():
    """The paper's one concession: maps of several classes are more alike, so contrastivity is higher."""
    lower = {(name, "lower") for name in ("pixel-flipping-matched", "complexity")}
    higher = {"continuity", "contrastivity", "sparseness", "pointing-game", "attribution-localisation"}
    assert {(c.metric, c.better) for c in ALL} == lower | {(name, "higher") for name in higher}
    further = claims.further("planted")
    assert {(c.a, c.b) for c in further["methods"]} == {("grad-cam", "eigen-cam-tool")}
    assert {(c.a, c.b, c.better) for c in further["accuracy"]} == {("ce", "scl", "higher"), ("ce", "tl", "higher")}
    assert {(c.a, c.b) for c in further["losses"]} == {("scl", "tl")}


def test_the_text_ends_with_print():
    text = find("contrastivity", "grad-cam", "tl").text
    assert text.endswith(
        "Printed: 0.001 against 0.003 on CIFAR10, which contradicts it; 0.28 against 0.20 on Imagenet-S50."
    )
    text = find("pixel-flipping-matched", "eigen-cam-tool", "scl").text
    assert text.endswith("Printed: 0.26 against 0.36 on CIFAR10; 0.13 against 0.18 on Imagenet-S50.")
    assert find("sparseness", "grad-cam", "tl").text.endswith("Printed: nothing.")
    assert find("pointing-game", "grad-cam", "scl").text.endswith("Printed: 0.85 against 0.84 on Imagenet-S50.")


def test_print_contradicts_these_and_no_others():
    contradicted = {(c.metric, c.method, c.a) for c in ALL if "contradicts" in c.text}
    coherence = {(m, cam, "tl") for m in ("pointing-game", "attribution-localisation")
                 for cam in ("grad-cam", "eigen-cam-tool")}  # fmt: skip
    coherence |= {(m, "eigen-cam-tool", "scl") for m in ("pointing-game", "attribution-localisation")}
    assert contradicted == coherence | {
        ("contrastivity", "grad-cam", "tl"),
        ("pixel-flipping-matched", "grad-cam", "tl"),
        ("pixel-flipping-matched", "eigen-cam-tool", "tl"),
        ("continuity", "eigen-cam-tool", "tl"),
        ("complexity", "eigen-cam-tool", "tl"),
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_changes_metric_or_method_and_never_direction(variant):
    other = claims.contrastive("planted", {variant})
    assert [(c.id, c.better) for c in other] == [(c.id, c.better) for c in ALL]
    changed = {(one.metric, two.metric) for one, two in zip(ALL, other) if one.metric != two.metric}
    methods = {(one.method, two.method) for one, two in zip(ALL, other) if one.method != two.method}
    by_metric = {"plain-flipping", "printed-flipping", "colour-values", "clamped-noise", "empty-maps-kept"}
    assert len(changed) == (variant in by_metric | {"printed-localisation"})
    assert methods == ({("eigen-cam-tool", "eigen-cam")} if variant == "text-eigen-cam" else set())
