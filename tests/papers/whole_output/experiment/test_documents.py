import gzip
import json
import random
from dataclasses import replace

import pytest
import torch
from torch import nn

from xai_lib import data as datasets
from xai_lib.files import read_json
from xai_lib.papers.whole_output import experiment, latent_tree
from xai_lib.papers.whole_output.experiment import documents
from xai_lib.papers.whole_output.experiment.documents import (
    Corpus,
    corpus_of_file,
    corpus_of_network,
    stability_cell,
    tree_cell,
)
from xai_lib.papers.whole_output.method import clusterings
from xai_lib.run import stages
from xai_lib.run.store import Store

PAIRS = [[0, 4], [1, 2], [3, 5]]
NAMES = ("ant", "bee", "cat", "dog", "eel", "fox")


def confused(n=300, labels=6, pairs=PAIRS, seed=0):
    """Documents of a network that mixes up each pair and is sure of every fourth image."""
    draw = random.Random(seed)
    found = []
    for number in range(n):
        first, second = draw.sample(draw.choice(pairs), 2)
        others = [label for label in range(labels) if label not in (first, second) and draw.random() < 0.08]
        found.append([first] if number % 4 == 0 else [first, second, *others])
    return found


def corpus(found, classes=NAMES, key="a key"):
    return Corpus("made up", tuple(classes), key, (), lambda: found)


def written(path, found):
    content = json.dumps({f"image {number}.JPEG": document for number, document in enumerate(found)}).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.fixture(scope="module")
def images():
    return datasets.load("planted", "train", n=30)


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 6, 3, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 10)]
        model = nn.Sequential(*layers).eval()
        model[-1].weight.data *= 60
    return model


def of_network(network, images, *, key="weights", label="a label"):
    return corpus_of_network(lambda: network, key, (), lambda: images, label)


def test_documents_of_a_network_are_all_classes_of_95_percent_in_the_order_of_the_images(empty_store, network, images):
    found = of_network(network, images)
    assert not empty_store.exists()  # not before they are asked for
    with torch.no_grad():
        probabilities = network(images.normalise(images.images)).double().softmax(1)
    expected = []
    for row in probabilities:
        ranked, document = row.argsort(descending=True).tolist(), []
        while sum(row[label] for label in document) <= 0.95:
            document.append(ranked[len(document)])
        expected.append(document)
    assert found.documents == expected
    lengths = {len(document) for document in expected}
    assert min(lengths) == 1 and max(lengths) > 5  # those that are explained are capped, not these
    assert found.informative == [document for document in expected if len(document) > 1]
    assert found.classes == images.classes and found.label == "a label"
    [cell] = found.made_by
    assert found.key == cell.key and cell.stage == "documents"
    assert read_json(Store().path(cell) / "documents.json") == {
        str(number): document for number, document in zip(images.index.tolist(), expected)
    }


def test_documents_do_not_depend_on_batches_and_are_named_by_the_index_of_images(
    empty_store, network, images, monkeypatch
):
    whole = of_network(network, images).documents
    monkeypatch.setattr(documents, "_BATCH", 4)
    part = images.subset([7, 3, 20, 11, 2, 29])
    found = of_network(network, part)
    assert found.documents == [whole[position] for position in (7, 3, 20, 11, 2, 29)]
    assert list(read_json(Store().path(found.made_by[0]) / "documents.json")) == ["7", "3", "20", "11", "2", "29"]


def test_stored_documents_ask_for_no_network(empty_store, network, images):
    asked = []
    found = corpus_of_network(lambda: asked.append(1) or network, "weights", (), lambda: images, "a label")
    assert asked == []
    first = found.documents
    loads = len(asked)
    assert loads > 0 and found.documents is first and len(asked) == loads
    again = corpus_of_network(lambda: asked.append(1) or network, "weights", (), lambda: images, "a label")
    assert again.documents == first and len(asked) == loads


def test_the_key_of_documents_knows_network_images_and_version_but_no_label(network, images, monkeypatch):
    found = of_network(network, images)
    assert of_network(network, images, label="Another").key == found.key
    others = [of_network(network, images, key="other weights"), of_network(network, images.subset(list(range(29))))]
    others.append(of_network(network, images.subset([1, 0, *range(2, 30)])))
    monkeypatch.setitem(stages.STAGES, "documents", replace(stages.STAGES["documents"], version=99))
    others.append(of_network(network, images))
    assert len({found.key, *(other.key for other in others)}) == 5


@pytest.mark.parametrize("name", ["top.json", "top.json.gz"])
def test_a_file_in_the_authors_format_is_read(tmp_path, name):
    found = confused(8)
    path = written(tmp_path / name, found)
    read = corpus_of_file(path, NAMES, "a label")
    assert (read.label, read.classes, read.made_by) == ("a label", NAMES, ())
    path.unlink()  # it was read when its key was taken
    assert read.documents == found
    assert read.informative == [document for document in found if len(document) > 1] != found


def test_the_key_of_a_file_is_that_of_its_content(tmp_path):
    path, other = written(tmp_path / "a.json", confused(8)), written(tmp_path / "b.json", confused(9))
    key = corpus_of_file(path, NAMES, "a label").key
    assert corpus_of_file(path.rename(tmp_path / "c.json"), NAMES, "Another").key == key
    assert corpus_of_file(other, NAMES, "a label").key != key
    assert tree_cell(corpus_of_file(other, NAMES, "")).key != tree_cell(corpus_of_file(other, (*NAMES, "gnu"), "")).key


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b'{"a": [1', r"Expected .*a\.json to hold a JSON object"),
        ("a.json", b"[[1, 2]]", "Got a list"),
        ("a.json", b'{"a": [1, 1]}', "different class indices"),
        ("a.json", b'{"a": ["cat"]}', "class indices"),
        ("a.json.gz", b'{"a": [1]}', "to be a gzip file"),
        ("a.json", b'{"a": [1], "b": [5, 6, 0]}', r"Expected classes from 0 to 5, .* in .*a\.json\. Got 6"),
    ],
)
def test_a_bad_file_is_refused_at_once(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        corpus_of_file(tmp_path / name, NAMES, "a label")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Expected documents in .*none\.json"):
        corpus_of_file(tmp_path / "none.json", NAMES, "a label")


def test_names_of_classes_are_those_of_imagenets_index(tmp_path):
    index = {"1": ["n01443537", "goldfish"], "0": ["n01440764", "tench"], "2": ["n01484850", "great_white_shark"]}
    (tmp_path / "index.json").write_text(json.dumps(index | {"3": ["n0", "piñata"]}, ensure_ascii=False), "utf-8")
    assert experiment.class_names(tmp_path / "index.json") == ("tench", "goldfish", "great white shark", "piñata")


@pytest.mark.parametrize(
    "content", ['{"1": ["n01443537", "goldfish"]}', '{"0": ["n01443537"]}', '{"0": 3}', '["tench"]', '{"0": [', "3"]
)
def test_another_file_of_names_is_refused(tmp_path, content):
    (tmp_path / "index.json").write_text(content)
    with pytest.raises(ValueError, match=r"Expected .*index\.json to hold .*tench.* every class number from 0 on"):
        experiment.class_names(tmp_path / "index.json")


def test_the_tree_is_of_the_documents_of_two_labels_or_more_and_is_kept(empty_store):
    found = corpus(confused())
    expected = latent_tree.fit_tree(found.informative, 6, seed=0)
    tree = experiment.tree(found)
    assert tree.clusters(1) == experiment.partition(found) == expected.clusters(1) == PAIRS
    assert tree.levels == expected.levels
    again = Corpus("from the store", NAMES, "a key", (), lambda: pytest.fail("documents were asked for"))
    assert experiment.tree(again) == tree


def test_clusters_are_those_of_the_trees_first_level(empty_store, monkeypatch):
    tall = latent_tree.Tree(6, (((0, 4), (1, 2), (3, 5)), ((0, 1), (2,)), ((0, 1),)))
    monkeypatch.setattr(latent_tree, "fit_tree", lambda *_, **__: tall)
    assert experiment.partition(corpus(confused(8))) == PAIRS


def test_the_keys_of_trees_and_stability_know_documents_labels_version_and_repeats(monkeypatch):
    found = corpus([])
    trees, checks = [tree_cell(found).key], [stability_cell(found, 3).key, stability_cell(found, 4).key]
    assert tree_cell(replace(found, label="Another")).key == trees[0]
    assert stability_cell(replace(found, label="Another"), 3).key == checks[0]
    for other in (corpus([], key="another"), corpus([], classes=(*NAMES, "gnu"))):
        trees.append(tree_cell(other).key)
        checks.append(stability_cell(other, 3).key)
    with monkeypatch.context() as patch:
        patch.setitem(stages.STAGES, "latent-tree", replace(stages.STAGES["latent-tree"], version=99))
        trees.append(tree_cell(found).key)
        checks.append(stability_cell(found, 3).key)
    monkeypatch.setitem(stages.STAGES, "stability", replace(stages.STAGES["stability"], version=99))
    assert tree_cell(found).key == trees[0]
    checks.append(stability_cell(found, 3).key)
    assert (len(set(trees)), len(set(checks))) == (4, 6)


@pytest.mark.parametrize(("found", "got"), [([[0], [1], [2]], "0 of 3"), ([[0], [1, 2]], "1 of 2")])
def test_a_network_that_is_sure_of_its_images_has_no_tree(empty_store, found, got):
    with pytest.raises(ValueError, match=rf"two or more classes \(made up\). Got {got}: .*take more or harder ones"):
        experiment.tree(corpus(found))


def test_other_clusterings_are_of_the_same_labels_and_the_trees_comes_first(empty_store):
    found = corpus(confused())
    partitions = experiment.clusterings_of(found, 2)
    assert list(partitions) == ["latent tree", "average linkage", "spectral", "Louvain", "random, same sizes"]
    for partition in partitions.values():
        assert sorted(label for cluster in partition for label in cluster) == list(range(6))
    for name in ("latent tree", "average linkage", "spectral", "Louvain"):
        assert partitions[name] == PAIRS
    assert sorted(map(len, partitions[documents.RANDOM])) == [2, 2, 2] and partitions[documents.RANDOM] != PAIRS
    assert partitions[documents.RANDOM] == clusterings.random_partition([2, 2, 2], seed=0)
    asked = Corpus("from the store", NAMES, "a key", (), lambda: pytest.fail("documents were asked for"))
    assert experiment.clusterings_of(asked, 2) == partitions


def test_clusters_are_of_the_documents_of_two_labels_or_more(empty_store, monkeypatch):
    seen, plain = [], clusterings.spectral
    monkeypatch.setattr(clusterings, "spectral", lambda *given, **seed: seen.append(given[0]) or plain(*given, **seed))
    found = corpus(confused(60))
    experiment.clusterings_of(found, 1)
    assert seen[0] == found.informative
    assert all(len(document) > 1 for fitted in seen for document in fitted)


def test_stability_is_of_every_clustering_on_halves_and_resampled_documents_and_of_the_trees_seeds(empty_store):
    frame = experiment.stability_of(corpus(confused(60)), 2)
    counted = frame.groupby(["clustering", "what"]).size().to_dict()
    names = ("latent tree", "average linkage", "spectral", "Louvain")
    expected = {(name, what): 2 for name in names for what in ("halves", "bootstrap")}
    assert counted == expected | {("latent tree", "seeds"): 2}
    assert frame["ari"].between(-1, 1).all()


def test_a_half_that_lacks_classes_has_more_clusters_rather_than_an_error(empty_store):
    """Ten classes, two of them in most documents: of a half there may be fewer than the whole has clusters."""
    found = corpus([[0, 1]] * 6 + [[2, 3, 4, 5, 6, 7, 8, 9]], classes=range(10))
    frame = experiment.stability_of(found, 2)
    counts = frame.groupby(["clustering", "what"]).size()
    assert len(counts) == 9 and (counts == 2).all()
    methods = documents._methods(2, 10)
    for name in ("average linkage", "spectral"):
        assert methods[name]([[0, 1], [2, 3], [0, 1]], 10, 0) == [[0, 1, 2, 3], [4], [5], [6], [7], [8], [9]]
        assert len(documents._methods(8, 10)[name]([[0, 1], [2, 3], [0, 1]], 10, 0)) == 8


def test_louvain_has_a_finer_resolution_too_where_labels_are_many():
    few, many = documents._methods(3, 100), documents._methods(3, 101)
    assert list(many) == [*few, "Louvain, resolution 30"]
    rings = [[label, (label + 1) % 101] for label in range(101)] * 2
    coarse, fine = (many[name](rings, 101, 0) for name in ("Louvain", "Louvain, resolution 30"))
    assert len(fine) > len(coarse)
    assert fine == clusterings.louvain(rings, 101, resolution=30, seed=0)
