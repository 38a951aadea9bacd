"""Sentences about the recorded contrastive run are held against the numbers that were recorded with it."""

from pathlib import Path

import pandas as pd
import pytest

from xai_lib.page.verdicts import counted

BOOK = Path(__file__).parents[1] / "book"
RUN = BOOK / "recorded/contrastive/laptop-cifar10-jpeg"
CAMS = ("eigen-cam", "eigen-cam-tool")
FLIPPING = ("pixel-flipping", "pixel-flipping-matched")  # at its own confidence, and at one


@pytest.fixture(scope="module")
def text():
    return (BOOK / "contrastive/recorded.md").read_text()


@pytest.fixture(scope="module")
def means():
    return pd.read_csv(RUN / "results.csv").set_index(["metric", "method", "loss"])["mean"]


def span(values, digits=2):
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


def test_sentences_are_counted(text):
    found = pd.read_csv(RUN / "verdicts-sentences.csv")["verdict"]
    assert f"Of the paper's {len(found)} sentences {counted(found)}" in text
    assert pd.read_csv(RUN / "verdicts.csv")["text"].str.contains("Not tested here").sum() == 4


def test_only_the_sentence_on_accuracy_holds(text):
    sentences = pd.read_csv(RUN / "verdicts-sentences.csv")
    assert "less accurate" in sentences.loc[sentences["verdict"] == "holds", "text"].item()
    found = pd.read_csv(RUN / "accuracy.csv").query("metric == 'accuracy'").set_index("loss")["mean"]
    assert found.sort_values(ascending=False).index.tolist() == ["ce", "scl", "tl"]
    said = "({:.1f} %), before SCL ({:.1f} %) and TL ({:.1f} %)"
    assert said.format(*(100 * found[["ce", "scl", "tl"]])) in text


def test_confidence_accounts_for_a_part(text, means):
    own, one = (means[name, "grad-cam"]["ce"] - means[name, "grad-cam"]["scl"] for name in FLIPPING)
    claim = "contrastive-pixel-flipping-matched-grad-cam-scl"
    both = (pd.read_csv(RUN / f"{name}.csv").set_index("claim").loc[claim] for name in ("verdicts", "verdicts-matched"))
    here, at_one_accuracy = both
    assert here["difference"] == pytest.approx(one)
    assert f"is {own:.3f} lower with SCL than with CE; brought to one mean confidence, {one:.3f}," in text
    assert f"at one accuracy as well, {at_one_accuracy['difference']:.3f}." in text
    assert {here["verdict"], at_one_accuracy["verdict"]} == {"undecided"}


def test_a_random_order_removes_more(text):
    rows = pd.read_csv(RUN / "removal.csv")
    assert (rows["random"] < rows["most"]).all() and (rows["most"] < rows["least"]).all()
    assert f"ranks first: {span(rows['random'])}, against {span(rows['most'])}, for all" in text
    assert f"the least relevant first leaves {span(rows['least'])}." in text


def test_continuity_is_near_one_except_as_released(text, means):
    rows = pd.read_csv(RUN / "results.csv").query("metric == 'continuity'")
    assert f"Continuity is on average {span(rows['mean'])}, where print has {span(rows['published'].dropna())}." in text
    assert f"after it was normalised, has {span(means['continuity-released'])}." in text


def test_the_form_of_eigen_cam_matters_more_than_the_loss(text, means):
    text_form, tool = (means["complexity", method] for method in CAMS)
    assert f"{text_form.min():.1f}" == f"{text_form.max():.1f}"
    assert f"Complexity is {span(tool, 1)} with the tool's form and {text_form.max():.1f} with the formula" in text
    apart = max(form.max() - form.min() for form in (text_form, tool))
    assert f"losses differ by at most {apart:.2f} within a form" in text
    assert tool.max() + apart < text_form.min()


def test_the_tools_agree(text):
    rows = pd.read_csv(RUN / "quantus.csv")
    apart = (rows["ours"] - rows["quantus"]).abs().groupby(rows["metric"]).max()
    assert apart[["complexity", "sparseness"]].max() < 0.00001
    assert f"pixel flipping differs by up to {apart['pixel-flipping']:.3f}." in text
    tools = (rows["ours"] - rows["tools"]).abs().groupby(rows["metric"]).max()
    said = f"up to {tools['complexity']:.3f} in complexity, {tools['sparseness']:.3f} in sparseness and "
    assert f"{said}{tools['pixel-flipping']:.3f} in pixel flipping." in text
