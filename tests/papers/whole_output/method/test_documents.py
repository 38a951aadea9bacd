import gzip
import json

import pytest
import torch
from torch import nn

from xai_lib.papers.whole_output.method.documents import of_network, read, top_classes, write

DOCUMENTS = {"b.JPEG": [3, 0, 7], "ä.JPEG": [2], "a.JPEG": [9, 1]}


@pytest.mark.parametrize("at_most", [None, 1, 3, 99])
@pytest.mark.parametrize("cumulative", [0.0, 0.5, 0.95, 0.999999])
def test_equal_to_the_plain_loop(top_of, cumulative, at_most):
    logits = 4 * torch.randn(60, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits[30:] = logits[30:].round()  # with ties
    probabilities = logits.softmax(1)
    expected = [top_of(row, cumulative, at_most or 12) for row in probabilities.tolist()]
    assert top_classes(probabilities, cumulative=cumulative, at_most=at_most) == expected


def test_ties_go_by_number_the_default_is_the_papers_and_sums_are_exact_for_half_precision():
    probabilities = torch.tensor([[0.25, 0.5, 0.25], [0.25, 0.25, 0.5]])
    for cumulative, n in ((0.75, 3), (0.74, 2), (0.5, 2), (0.49, 1)):
        assert top_classes(probabilities, cumulative=cumulative) == [[1, 0, 2][:n], [2, 0, 1][:n]]
    probabilities = torch.full((1, 200), 0.5 / 200)
    probabilities[0, 7] += 0.5
    assert top_classes(probabilities) == [[7, *(label for label in range(181) if label != 7)]]
    assert top_classes(torch.tensor([[0.5, 0.4995]]), cumulative=0.9999) == [[0, 1]]  # rounded to too little: all
    assert top_classes(torch.zeros(0, 4)) == []
    assert top_classes(torch.full((1, 1024), 1 / 1024).bfloat16(), cumulative=0.9) == [list(range(922))]


@pytest.mark.parametrize(
    "wrong, error, message",
    [
        ({"probabilities": [[0.5, 0.5]]}, TypeError, r"float tensor \[B,C\]. Got list"),
        ({"probabilities": torch.tensor([[1, 0]])}, TypeError, "Got torch.int64"),
        ({"probabilities": torch.tensor([0.5, 0.5])}, ValueError, r"shape \[2\]"),
        ({"probabilities": torch.zeros(2, 0)}, ValueError, r"shape \[2, 0\]"),
        *(
            ({"probabilities": torch.tensor([row])}, ValueError, "apply softmax")
            for row in ([3.0, 1.0], [0.3, 0.3], [1.5, -0.5], [torch.nan, 1.0])
        ),
        ({"cumulative": 1.0}, ValueError, r"cumulative in \[0, 1\). Got 1.0"),
        ({"cumulative": -0.1}, ValueError, "Got -0.1"),
        ({"at_most": 0}, ValueError, "at_most as a whole number .* Got 0"),
        ({"at_most": 2.0}, ValueError, "Got 2.0"),
    ],
)
def test_top_classes_refuses(wrong, error, message):
    with pytest.raises(error, match=message):
        top_classes(**{"probabilities": torch.tensor([[0.5, 0.5]])} | wrong)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 9))
    model[-1].weight.data *= 4
    return model


IMAGES = torch.randn(99, 3, 6, 6, generator=torch.Generator().manual_seed(1))


def test_documents_of_a_network_whatever_the_batches_by_probabilities_in_float32(model):
    probabilities = model.eval()(IMAGES).softmax(1).detach()
    expected = top_classes(probabilities, cumulative=0.9)
    assert {len(document) for document in expected} >= {2, 3, 4}
    assert of_network(model, [IMAGES]) == top_classes(probabilities, cumulative=0.95)  # as printed
    model.train()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for size in (99, 40):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert of_network(model, iter(IMAGES.split(size)), cumulative=0.9) == expected
    assert model.training and model[2].training and not model[1].training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert of_network(model, []) == []
    model, images = model.eval().bfloat16(), IMAGES.bfloat16()
    expected = top_classes(model(images).detach().float().softmax(1), cumulative=0.99)
    assert of_network(model, [images], cumulative=0.99) == expected


def test_logits_that_are_not_finite_are_refused_and_the_mode_comes_back(model):
    images = IMAGES[:10].index_fill(0, torch.tensor([7]), torch.nan)
    with pytest.raises(ValueError, match=r"finite logits.*begins with image 5"):
        of_network(model.train(), images.split(5))
    assert model.training


def test_files_come_back_equal_in_the_authors_format_and_a_write_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "documents.json"
    write(path, {image: tuple(document) for image, document in DOCUMENTS.items()})
    assert read(path) == read(str(path)) == json.loads(path.read_bytes()) == DOCUMENTS
    assert list(read(path)) == list(DOCUMENTS) and list(tmp_path.iterdir()) == [path]
    (tmp_path / "a.json").write_bytes(json.dumps(DOCUMENTS, ensure_ascii=False, indent=1).encode())
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert read(tmp_path / "a.json") == read(tmp_path / "a.json.gz") == DOCUMENTS
    with pytest.raises(ValueError, match=r"Got \[1, 1\] for 'c'"):
        write(path, DOCUMENTS | {"c": [1, 1]})
    (tmp_path / "documents.json.part").symlink_to("/dev/full")
    with pytest.raises(OSError):
        write(path, {"a": list(range(9999))})
    assert read(path) == DOCUMENTS
    with pytest.raises(FileNotFoundError, match=r"Expected documents in .*b\.json\. Got no such file"):
        read(tmp_path / "b.json")


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.json.gz", b'{"a": [1]}', "to be a gzip file"),
        ("a.json.gz", gzip.compress(json.dumps({"a": list(range(99))}).encode(), mtime=0)[:-20], "to be a gzip file"),
        ("a.json.gz", gzip.compress(b"{}", mtime=0)[:10] + b"\xff" * 20, "to be a gzip file"),
        ("a.json", gzip.compress(b"{}", mtime=0), "JSON object. Got: .*codec"),
        ("a.json", b'{"a": [1', "JSON object. Got: .*column"),
        ("a.json", b"", "JSON object. Got: "),
        ("a.json", b"[[1, 2]]", "image to ranked classes. Got a list"),
        ("a.json", b'{"a": [1], "b": 3}', "Got 3 for 'b'"),
        ("a.json", b'{"a": [1], "b": []}', r"Got \[\] for 'b'"),
        ("a.json", b'{"a": [1, 2, 1]}', r"different class indices. Got \[1, 2, 1\] for 'a'"),
        *(
            ("a.json", b'{"a": %s}' % wrong, "for 'a'")
            for wrong in (b'[1, "cat"]', b"[true]", b"[1.0]", b"[-1]", b'"12"')
        ),
    ],
)
def test_damaged_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / name)
