"""Maps computed elsewhere: read, aligned, checked, kept under their contents, and scored beside the library's own."""

import sys
from dataclasses import replace

import captum.attr
import numpy as np
import pandas as pd
import pytest
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn
from zennit.attribution import Gradient

from xai_lib import data, explainers, models, your_maps
from xai_lib.explainers import class_score, normalise
from xai_lib.explainers.registry import EXPLAINERS
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency.method import lineup, raw_maps
from xai_lib.run.settings import settings

SIZE = 32
FILES = ["cat/1.jpg", "cat/2.png", "dog/1.b.jpeg"]
MAPS = np.random.default_rng(0).normal(size=(3, SIZE, SIZE)).astype("float32")


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    monkeypatch.setattr(EXPLAINERS, "entries", dict(EXPLAINERS.entries))


@pytest.fixture(scope="module")
def images():
    found = data.load("planted", "test", n=10).subset([0, 1, 2])
    return replace(found, factors=pd.DataFrame({"file": FILES}))


@pytest.fixture(scope="module")
def network():
    return models.build("resnet8", 10, width=4, seed=0).eval()


def asked(name, images, network, positions=(0, 1, 2), **changed):
    some = images.subset(list(positions))
    given = {"model": network, "x": some.normalise(some.images), "score": class_score(some.labels)} | changed
    given |= {"seed": 0, "index": some.index} if explainers.about(name).random else {}
    return explainers.get(name)(given.pop("model"), given.pop("x"), **given)


def by_names(folder, names, maps=MAPS):
    for name, one in zip(names, maps):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{name}.npy", one)
    return folder


WRITERS = {
    "array": lambda folder: MAPS,
    "tensor": lambda folder: torch.from_numpy(MAPS).requires_grad_(),
    "one channel, doubles": lambda folder: MAPS[:, None].astype("float64"),
    "npy": lambda folder: np.save(folder / "a.npy", MAPS) or folder / "a.npy",
    "npy, by column": lambda folder: np.save(folder / "a.npy", np.asfortranarray(MAPS)) or str(folder / "a.npy"),
    "npz": lambda folder: np.savez(folder / "a.npz", maps=MAPS) or folder / "a.npz",
    "npz by name": lambda folder: np.savez_compressed(folder / "a.npz", **dict(zip(FILES, MAPS))) or folder / "a.npz",
    "folder, as the images": lambda folder: by_names(folder, ["cat/1", "cat/2", "dog/1.b"]),
    "folder, with endings": lambda folder: by_names(folder, FILES),
    "folder, flat": lambda folder: by_names(folder, ["2", "1.b", "1", "of another image"], MAPS[[1, 2, 0, 0]]),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_maps_find_their_images(write, tmp_path, images, network):
    assert your_maps.enter("mine", write(tmp_path), images, network) == "mine"
    np.testing.assert_array_equal(asked("mine", images, network), MAPS)
    np.testing.assert_array_equal(asked("mine", images, network, (2, 0)), MAPS[[2, 0]])
    about = explainers.about("mine")
    assert (about.family, about.class_specific, about.colours, about.fixed) == ("elsewhere", False, False, True)


@pytest.mark.parametrize(
    ("maps", "colours"), [(MAPS[:, ::4, ::4], False), (np.repeat(MAPS[:, None], 3, 1), True), (MAPS > 0, False)]
)
def test_coarser_grids_colours_and_whole_numbers_are_maps(maps, colours, images, network):
    your_maps.enter("mine", maps, images, network)
    raw = asked("mine", images, network)
    assert explainers.about("mine").colours is colours and raw.dtype == torch.float32
    np.testing.assert_array_equal(raw, maps)
    assert normalise.unit_maps(raw, "mine", (SIZE, SIZE)).shape == (3, SIZE, SIZE)


def write_bytes(folder, content):
    (folder / "a.npy").write_bytes(content)
    return folder / "a.npy"


def pickled(folder):
    np.save(folder / "a.npy", np.array([{}, None]), allow_pickle=True)
    return folder / "a.npy"


NAN = MAPS.copy()
NAN[1, 3, 4] = np.nan
REFUSED = {
    "one too few": (lambda folder: MAPS[:2], r"\[3,32,32\].* Got shape \[2, 32, 32\]"),
    "other size": (lambda folder: np.zeros((3, 64, 64)), r"Got shape \[3, 64, 64\]"),
    "other shape": (lambda folder: np.zeros((3, 16, 8)), r"Got shape \[3, 16, 8\]"),
    "coarse colours": (lambda folder: np.zeros((3, 3, 8, 8)), r"Got shape \[3, 3, 8, 8\]"),
    "no places": (lambda folder: np.zeros((3, 0, 0)), r"Got shape \[3, 0, 0\]"),
    "one map": (lambda folder: MAPS[0, 0], r"Got shape \[32\]"),
    "a number": (lambda folder: np.array(1.0), r"Got shape \[\]"),
    "words": (lambda folder: np.array(["a", "b", "c"]), "as numbers. Got <U1"),
    "complex": (lambda folder: MAPS * 1j, "as numbers. Got complex64"),
    "no array": (lambda folder: [[1]], "Expected maps in .*Got no such file"),
    "NaN": (lambda folder: NAN, r"finite maps 'mine'. Got NaN or infinity at the positions \[1\]"),
    "nowhere": (lambda folder: folder / "b.npy", "Expected maps in .*b.npy.* Got no such file"),
    "rubbish": (lambda folder: write_bytes(folder, b"rubbish"), "Expected .*a.npy as NumPy writes arrays"),
    "nothing": (lambda folder: write_bytes(folder, b""), "Expected .*a.npy as NumPy writes arrays"),
    "cut short": (lambda folder: write_bytes(folder, b"\x93NUMPY\x01\x00v\x00{"), "Expected .*a.npy as NumPy writes"),
    "objects": (pickled, "Expected .*a.npy as NumPy writes arrays of numbers"),
    "no files": (lambda folder: folder, "Got none for 3, as 1, 1.b, 2"),
    "one missing": (
        lambda folder: by_names(folder, FILES[:2]),
        r"one map for each of the 3.* Got none for 1, as dog/1.b",
    ),
    "two sizes": (lambda folder: by_names(folder, FILES, [*MAPS[:2], MAPS[2, :9]]), r"Got dog/1.b of \(9, 32\)"),
    "two of one name": (lambda folder: by_names(folder, [*FILES, "cat/1"], MAPS[[0, 1, 2, 0]]), "Got two of one name"),
    "no module": (lambda folder: "nowhere_at_all:maps", "Expected to import nowhere_at_all"),
    "a function of less": (lambda folder: lambda model, x, target: np.zeros((1, 2)), r"Got shape \[1, 2\]"),
    "a function of words": (lambda folder: lambda model, x, target: "map", "an array or a tensor. Got str"),
}


@pytest.mark.parametrize(("write", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_map_is_refused_in_a_line(write, message, tmp_path, images, network):
    with pytest.raises((TypeError, ValueError, FileNotFoundError), match=message) as error:
        your_maps.enter("mine", write(tmp_path), images, network)
    assert "\n" not in str(error.value) and "mine" not in explainers.names()


@pytest.mark.parametrize("name", ["rise", "", "a b", "a,b", "../a"])
def test_names_of_others_and_names_that_lists_cannot_hold_are_refused(name, images, network):
    with pytest.raises(ValueError, match="Expected a new name for maps"):
        your_maps.enter(name, MAPS, images, network)


def test_maps_in_files_explain_no_other_images_and_no_other_network(images, network):
    your_maps.enter("mine", MAPS, images, network)
    x = images.normalise(images.images)
    other = models.build("resnet8", 10, width=4, seed=1).eval()
    others = data.load("planted", "test", n=20).subset([11])
    for changed in ({"x": x + 0.01}, {"x": x.flip(3)}, {"x": x[:, :, :16]}, {"model": other}):
        with pytest.raises(ValueError, match="that 'mine' was computed of"):
            asked("mine", images, network, **changed)
    with pytest.raises(ValueError, match="Got changed ones"):
        asked("mine", others, network, (0,))
    np.testing.assert_array_equal(asked("mine", images, nn.Sequential(network)), MAPS)


def by_captum(model, x, target):
    return captum.attr.Saliency(model).attribute(x, target, abs=False)


def by_grad_cam(model, x, target):
    with GradCAM(model, [model.default_layer()]) as cam:
        return cam(x, [ClassifierOutputTarget(int(label)) for label in target])


def by_zennit(model, x, target):
    with Gradient(model) as attributor:
        return attributor(x, torch.eye(10)[target])[1]


@pytest.mark.parametrize(
    ("make", "ours"), [(by_captum, "gradient"), (by_zennit, "gradient"), (by_grad_cam, "grad-cam")]
)
def test_a_function_of_another_library_explains_whatever_is_asked(make, ours, images, network):
    your_maps.enter("theirs", make, images, network)
    before = [parameter.grad for parameter in network.parameters()]
    classes = torch.tensor([[0, 3], [9, 1], [4, 4]])
    given = {"score": class_score(classes), "x": images.normalise(images.images) + 0.1}
    theirs = asked("theirs", images, network, **given)
    grid = {"upsample": False} if explainers.about(ours).on_layer else {}
    mine = asked(ours, images, network, **given, **grid)
    both = [normalise.unit_maps(raw, name, (SIZE, SIZE)) for raw, name in ((theirs, "theirs"), (mine, ours))]
    torch.testing.assert_close(*both, atol=1e-4, rtol=1e-3)
    assert [parameter.grad for parameter in network.parameters()] == before
    with pytest.raises(ValueError, match="the logit of one class"):
        asked("theirs", images, network, score=lambda logits: logits.logsumexp(1))


def test_the_key_follows_the_contents(images, network):
    keys = {}
    for name, maps in {
        "array": MAPS, "same": MAPS.copy(), "turned": MAPS[::-1], "other": MAPS + 1, "coarse": MAPS[:, ::2, ::2],
        "captum": by_captum, "zennit": by_zennit, "times 1": lambda *given: by_captum(*given),
        "times 2": lambda *given: 2 * by_captum(*given),
    }.items():  # fmt: skip
        your_maps.enter("mine", maps, images, network)  # again and again: a cell of a notebook is run twice
        keys[name] = explainers.about("mine").source
    assert keys.pop("array") == keys["same"]
    assert keys.pop("captum") == keys.pop("zennit") == keys["times 1"]
    assert len(set(keys.values())) == len(keys)


def test_maps_are_scored_as_a_method_of_the_leaderboard(images, network, empty_store):
    run = settings(scale="smoke", device="cpu")
    x = images.normalise(images.images)
    ours = explainers.get("gradient")(network, x, score=class_score(images.labels)).detach()
    your_maps.enter("file", ours.numpy(), images, network)
    your_maps.enter("function", by_captum, images, network)
    study = experiment.study_of(run, network, images, name="-", methods=("gradient", "file", "function"))
    scores = experiment.scores(study, "fidelity")
    scores = scores[(scores["target"] == "ground-truth") & (scores["reading"] == "absolute")]
    wide = scores.pivot(index=["index", "metric"], columns="method", values="value").drop(
        "completeness", level="metric"
    )
    for name in ("file", "function"):
        np.testing.assert_allclose(wide[name], wide["gradient"], atol=1e-4)
    assert set(experiment.scores(study, "cost")["method"]) == {"gradient", "function"}
    once = {"monotonicity", "monotonicity-quantus", "monotonicity-arya", "effective-complexity-minimum"}
    again = {"max-sensitivity", "average-sensitivity", *lineup.SANITY}
    repeated = experiment.scores(study, "repeated").dropna(subset="value").groupby("method")["metric"].agg(set)
    reasons = experiment.left_out(study, "repeated")
    assert set(reasons) == {("file", metric) for metric in lineup.SANITY}
    assert all("computed elsewhere" in why for why in reasons.values())
    assert repeated["file"] == once and repeated["function"] == repeated["gradient"] == once | again
    cell = experiment.part_cells(study, study.networks[0], "file", "fidelity")[0].arguments["raw"]
    kept = raw_maps(cell.arguments["explained"], images)["maps"]
    torch.testing.assert_close(kept[:, 0], ours)
    your_maps.enter("file", -ours.numpy(), images, network)
    again = experiment.part_cells(study, study.networks[0], "file", "fidelity")[0].arguments["raw"]
    assert again.key != cell.key


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("a=b.npy", {"a": "b.npy"}),
        ("", {}),
        (" a = b.npy , c =x:y", {"a": "b.npy", "c": "x:y"}),
        ("a=my maps, new.npy,b=x:y", {"a": "my maps, new.npy", "b": "x:y"}),
        ("maps.npy", None),
        ("a=", None),
        ("a=1, a=2", None),
    ],
)
def test_the_text_of_a_notebooks_parameter(given, found):
    if found is not None:
        assert your_maps.parse_maps(given) == found
        return
    with pytest.raises(ValueError, match="Expected maps as 'name=file"):
        your_maps.parse_maps(given)


def test_a_function_is_named_as_a_network_is(tmp_path, monkeypatch, images, network):
    (tmp_path / "outside_maps.py").write_text("def ones(model, x, target):\n    return x[:, 0] * 0 + 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    your_maps.enter("mine", "outside_maps:ones", images, network)
    assert asked("mine", images, network).eq(1).all()
    sys.modules.pop("outside_maps")
