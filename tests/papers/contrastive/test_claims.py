"""The claims: complete, in the paper's direction, and honest about where print contradicts them."""

from xai_lib.papers.contrastive import claims
from xai_lib.statistics import Claim

ALL = claims.contrastive("planted")


def find(metric, method, loss):
    return next(c for c in ALL if (c.metric, c.method, c.a) == (metric, method, loss))


def test_each_comparison_is_claimed_once():
    metrics = ["pixel-flipping", "pixel-flipping-normalised", "continuity", "complexity"]
    expected = {(m, cam, loss) for m in metrics for cam in ("grad-cam", "eigen-cam") for loss in ("scl", "tl")}
    expected |= {("contrastivity", "grad-cam", loss) for loss in ("scl", "tl")}
    assert {(c.metric, c.method, c.a) for c in ALL} == expected
    assert len(ALL) == len(expected) == len({c.id for c in ALL})
    assert all(isinstance(c, Claim) for c in ALL)
    assert {(c.paper, c.b, c.between, c.dataset) for c in ALL} == {("contrastive", "ce", "loss", "planted")}
    assert all(c.section for c in ALL)


def test_directions():
    """The paper's one concession: maps of several classes are more alike, so contrastivity is higher."""
    lower = {(name, "lower") for name in ("pixel-flipping", "pixel-flipping-normalised", "complexity")}
    assert {(c.metric, c.better) for c in ALL} == lower | {("continuity", "higher"), ("contrastivity", "higher")}


def test_the_text_ends_with_print():
    text = find("contrastivity", "grad-cam", "tl").text
    assert text.endswith(
        "Printed: 0.001 against 0.003 on CIFAR10, which contradicts it; 0.28 against 0.20 on Imagenet-S50."
    )
    assert find("pixel-flipping-normalised", "grad-cam", "tl").text.endswith("A reading of ours, not in print.")


def test_print_contradicts_these_and_no_others():
    contradicted = {(c.metric, c.method, c.a) for c in ALL if "contradicts" in c.text}
    assert contradicted == {
        ("contrastivity", "grad-cam", "tl"),
        ("pixel-flipping", "grad-cam", "tl"),
        ("pixel-flipping", "eigen-cam", "tl"),
        ("continuity", "eigen-cam", "tl"),
        ("complexity", "eigen-cam", "tl"),
    }
