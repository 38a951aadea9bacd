import gzip
import json
import random
from dataclasses import replace

import pytest
import torch
from torch import nn

from xai_lib import data as datasets
from xai_lib.explainers.subject import Subject
from xai_lib.files import read_json
from xai_lib.papers.whole_output import experiment, latent_tree
from xai_lib.papers.whole_output.experiment import documents, stability_cell, tree_cell
from xai_lib.papers.whole_output.experiment.documents import Corpus, corpus_of_file, corpus_of_network
from xai_lib.papers.whole_output.method import clusters
from xai_lib.run.settings import settings
from xai_lib.run.store import Store

PAIRS = [[0, 4], [1, 2], [3, 5]]
ALL = ("latent tree", documents.UNTESTED, "average linkage", "spectral", "Louvain")
NAMES = ("ant", "bee", "cat", "dog", "eel", "fox")


def confused(n=300):
    """Documents of a network that mixes up each pair and is sure of every fourth image."""
    draw, found = random.Random(0), []
    for number in range(n):
        first, second = draw.sample(draw.choice(PAIRS), 2)
        others = [label for label in range(6) if label not in (first, second) and draw.random() < 0.08]
        found.append([first] if number % 4 == 0 else [first, second, *others])
    return found


def corpus(found, classes=NAMES, key="a key"):
    return Corpus("made up", tuple(classes), key, (), lambda: found)


STORED = Corpus("from the store", NAMES, "a key", (), lambda: pytest.fail("documents were asked for"))


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
        layers[-1].weight.data *= 60
    return nn.Sequential(*layers).eval()


@pytest.fixture
def of_network(network):
    """Function (images, …) -> the network's documents; ``asked`` counts how often it was loaded."""
    run, asked = settings(scale="smoke", device="cpu"), []

    def build(images, key="weights", label="a label"):
        given = (lambda: asked.append(1) or network), key, (), None, images, lambda: images, run.device
        return corpus_of_network(run, Subject(*given), images, label)

    build.asked = asked
    return build


def test_documents_of_a_network_are_all_classes_of_95_percent_in_the_order_of_the_images_whatever_the_batches(
    empty_store, network, images, of_network, top_of, monkeypatch
):
    found = of_network(images)
    assert not empty_store.exists() and of_network.asked == []  # not before they are asked for
    with torch.no_grad():
        probabilities = network(images.normalise(images.images)).double().softmax(1)
    expected = [top_of(row, at_most=10) for row in probabilities.tolist()]
    assert found.documents is found.documents and found.documents == expected
    lengths = {len(document) for document in expected}
    assert min(lengths) == 1 and max(lengths) > 5  # those that are explained are capped, not these
    assert found.informative == [document for document in expected if len(document) > 1]
    assert found.classes == images.classes and found.label == "a label"
    [cell] = found.parents
    assert found.key == cell.key and cell.stage == "documents"
    names = [str(number) for number in images.index.tolist()]
    assert read_json(Store().path(cell) / "documents.json") == dict(zip(names, expected))
    assert of_network(images).documents == expected and of_network.asked == [1]  # stored ones ask for no network
    places = [7, 3, 20, 11, 2, 29]
    monkeypatch.setattr(documents, "_BATCH", 4)
    found = of_network(images.subset(places))
    assert found.documents == [expected[place] for place in places]
    assert list(read_json(Store().path(found.parents[0]) / "documents.json")) == [str(place) for place in places]


def test_keys_know_network_images_documents_labels_and_repeats_but_no_label_of_a_page(images, of_network):
    found = of_network(images)
    assert of_network(images, label="Another").key == found.key
    parts = [list(range(29)), [1, 0, *range(2, 30)]]
    others = [of_network(images, key="other weights"), *(of_network(images.subset(part)) for part in parts)]
    assert len({found.key, *(other.key for other in others)}) == 4
    one = corpus([])
    relabelled, others = replace(one, label="Another"), (corpus([], key="another"), corpus([], (*NAMES, "gnu")))
    assert tree_cell(relabelled).key == tree_cell(one).key
    assert stability_cell(relabelled, 3).key == stability_cell(one, 3).key != stability_cell(one, 4).key
    for cell in (tree_cell, lambda corpus: stability_cell(corpus, 3)):
        assert len({cell(each).key for each in (one, *others)}) == 3


@pytest.mark.parametrize("name", ["top.json", "top.json.gz"])
def test_a_file_in_the_authors_format_is_read_when_its_key_is_taken_from_its_content(tmp_path, name):
    found = confused(8)
    path = written(tmp_path / name, found)
    read = corpus_of_file(path, NAMES, "a label")
    assert (read.label, read.classes, read.parents) == ("a label", NAMES, ())
    moved = path.rename(tmp_path / f"moved-{name}")
    assert read.documents == found
    assert read.informative == [document for document in found if len(document) > 1] != found
    assert corpus_of_file(moved, NAMES, "Another").key == read.key
    assert corpus_of_file(written(tmp_path / name, confused(9)), NAMES, "a label").key != read.key
    with pytest.raises(ValueError, match=r"Expected classes from 0 to 5, .* in .*top\.json.*\. Got 6"):
        corpus_of_file(written(tmp_path / name, [[1], [5, 6, 0]]), NAMES, "a label")


def test_names_of_classes_are_those_of_imagenets_index_and_another_file_is_refused(tmp_path):
    file = tmp_path / "index.json"
    index = {"1": ["n01443537", "goldfish"], "0": ["n01440764", "tench"], "2": ["n01484850", "great_white_shark"]}
    file.write_text(json.dumps(index | {"3": ["n0", "piñata"]}, ensure_ascii=False), "utf-8")
    assert experiment.class_names(file) == ("tench", "goldfish", "great white shark", "piñata")
    nouns = tmp_path / "data.noun"
    numbers = ("01443537", "01440764", "01484850", "0")
    nouns.write_text("".join(f"{number} 05 n 01 fish 0 001 @ 0 n 0000 | \n" for number in numbers))
    apart = experiment.wordnet_steps(file, nouns)
    assert apart[:3, :3].tolist() == [[0, 2, 2], [2, 0, 2], [2, 2, 0]] and apart[3].tolist() == [1, 1, 1, 0]
    for wrong in ('{"1": ["n01443537", "goldfish"]}', '{"0": ["n01443537"]}', '{"0": 3}', '["tench"]', '{"0": [', "3"):
        file.write_text(wrong)
        with pytest.raises(ValueError, match=r"Expected .*index\.json to hold .*tench.* every class number from 0 on"):
            experiment.class_names(file)


def test_the_tree_is_of_the_documents_of_two_labels_or_more_and_is_kept(empty_store):
    found = corpus(confused())
    expected = latent_tree.fit_tree(found.informative, 6, seed=0)
    assert experiment.tree(found) == expected
    assert experiment.partition(found) == expected.clusters(1) == PAIRS
    assert experiment.tree(STORED) == expected
    for key, found, got in (("sure", [[0], [1], [2]], "0 of 3"), ("nearly", [[0], [1, 2]], "1 of 2")):
        with pytest.raises(ValueError, match=rf"two or more classes \(made up\). Got {got}: .*more or harder ones"):
            experiment.tree(corpus(found, key=key))


def test_other_clusterings_are_of_the_same_labels_and_documents_and_the_trees_comes_first(empty_store, monkeypatch):
    seen, plain = [], clusters.spectral
    monkeypatch.setattr(clusters, "spectral", lambda *given, **seed: seen.append(given[0]) or plain(*given, **seed))
    found = corpus(confused())
    partitions = experiment.clusterings_of(found, 2)
    assert tuple(partitions) == (*ALL, "random, same sizes")
    assert [partitions.pop(name) for name in list(partitions)[:5]] == [PAIRS] * 5
    assert partitions == {documents.RANDOM: clusters.random_partition([2, 2, 2], seed=0)} != {documents.RANDOM: PAIRS}
    assert seen[0] == found.informative and all(len(document) > 1 for fitted in seen for document in fitted)
    assert list(experiment.clusterings_of(STORED, 2))[-1] == documents.RANDOM


def test_stability_is_of_every_clustering_and_a_half_that_lacks_classes_has_more_clusters(empty_store):
    """Ten classes, two of them in most documents: of a half there may be fewer than the whole has clusters."""
    frame = experiment.stability_of(corpus([[0, 1]] * 6 + [[2, 3, 4, 5, 6, 7, 8, 9]], classes=range(10)), 2)
    kinds = {"halves": ALL, "bootstrap": ALL, "seeds": ALL[:1]}
    expected = {(name, what): 2 for what, names in kinds.items() for name in names}
    assert (
        frame.groupby(["clustering", "what"]).size().to_dict() == expected
        and frame["ari"].dropna().between(-1, 1).all()
    )
    for name in ("average linkage", "spectral"):
        found = [documents._methods(n, 10)[name]([[0, 1], [2, 3], [0, 1]], 10, seed=0) for n in (2, 8)]
        assert found[0] == [[0, 1, 2, 3], [4], [5], [6], [7], [8], [9]] and len(found[1]) == 8


def test_louvain_has_a_finer_resolution_too_where_labels_are_many():
    few, many = documents._methods(3, 100), documents._methods(3, 101)
    assert list(many) == [*few, "Louvain, resolution 30"]
    rings = [[label, (label + 1) % 101] for label in range(101)] * 2
    coarse, fine = (many[name](rings, 101, seed=0) for name in ("Louvain", "Louvain, resolution 30"))
    assert len(fine) > len(coarse) and fine == clusters.louvain(rings, 101, resolution=30, seed=0)
