"""A stored result must not outlive the code that made it: changed code needs a new version of its stage."""

import json
import runpy
from pathlib import Path

import pytest

from xai_lib.run.stages import STAGES

SCRIPT = Path(__file__).with_name("stage_sources.py")
stage_sources = runpy.run_path(str(SCRIPT))
normalised, unannounced = stage_sources["normalised"], stage_sources["unannounced"]

HELP = (
    "If what a stage computes can differ, raise its version in xai_lib/run/stages.py. Then, or if it cannot differ: "
    "python tests/stage_sources.py, and commit tests/stage_sources.json."
)


@pytest.mark.parametrize(
    "other",
    [
        '"""Other."""\ndef f(x):\n    """Doc."""\n    return x + 1\n',
        "def f(x):  # comment\n    return (\n        x + 1\n    )\n",
    ],
)
def test_words_and_layout_are_not_code(other):
    assert normalised('"""Doc."""\n\n\ndef f(x):\n    return x + 1') == normalised(other)


@pytest.mark.parametrize(
    "other",
    ["def f(x):\n    return x + 2", "def f(x):\n    return x + 1.0", 'def f(x):\n    x = """x"""\n    return x + 1'],
)
def test_code_is_code(other):
    assert normalised("def f(x):\n    return x + 1") != normalised(other)


def test_only_changes_without_a_new_version_are_reported():
    recorded = {"train": {"version": 1, "sources": {"a": "0", "b": "0"}}, "gone": {"version": 1, "sources": {}}}
    for sources, expected in [
        ({"a": "0", "b": "0"}, {}),
        ({"a": "1", "b": "0"}, {"train": ["a"]}),
        ({"a": "0"}, {"train": ["b"]}),
        ({"a": "0", "b": "0", "c": "0"}, {"train": ["c"]}),
    ]:
        assert unannounced(recorded, {"train": {"version": 1, "sources": sources}}) == expected
        assert unannounced(recorded, {"train": {"version": 2, "sources": sources}, "new": {}}) == {}


@pytest.mark.parametrize(
    ("stage", "sources"),
    {
        "score": ("data.split", "metrics.pixel_flipping", "explainers.cams"),
        "saliency": ("data.split", "metrics.pixel_flipping", "metrics.causal", "explainers.lime"),
        "stability": ("papers.whole_output.latent_tree.global_em", "papers.whole_output.latent_tree.patterns"),
        "tune": ("data.split", "training.loop", "pretrained"),
    }.items(),
)
def test_what_a_stage_reaches_through_others_is_a_source(stage, sources):
    reached = stage_sources["closure"](f"xai_lib.{STAGES[stage].module}")
    assert {f"xai_lib.{source}" for source in sources} <= reached


def test_the_code_of_every_stage_is_that_of_its_version():
    recorded, now = json.loads(stage_sources["REGISTRY"].read_text()), stage_sources["current"]()
    assert unannounced(recorded, now) == {}, f"Code of a stage has changed. {HELP}"
    assert recorded == now, f"tests/stage_sources.json is not up to date. {HELP}"
