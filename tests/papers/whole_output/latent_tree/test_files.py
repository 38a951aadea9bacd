import json

import pytest

from xai_lib.papers.whole_output.latent_tree import load, save
from xai_lib.papers.whole_output.latent_tree.tree import Tree


def node(name, text, level, *children):
    return {"id": name, "text": text, "data": {"name": name, "level": level}, "children": list(children)}


def released():
    """Two top nodes over three and one nodes; level 2 lists its labels cut short, as the released files do."""
    guitars = node("Z12", "c002-electric_guitar 0.01 c000-acoustic_guitar 0.0", 1)
    bowed = node("Z11", "c003-cello 0.0 c6-violin 1.2E-4", 1)
    cab = node("Z13", "c4-cab's-van 1.0", 1)
    return [node("Z22", "c003-cello 0.02", 2, guitars, bowed), node("Z21", "c4-cab's-van 0.5", 2, cab)]


def write(path, value):
    path.write_text(json.dumps(value))
    return path


def test_a_tree_comes_back_equal_to_the_last_digit(tmp_path):
    rows = [[[1 / 3, 1e-12], [0.1, 1 - 1e-16]], [[2 / 3, 2 / 3]]]
    for tree in (Tree(2, [[[0, 1]]], (), rows), Tree(5, [[[0, 3], [1], [2, 4]], [[0, 2], [1]]], [(1, 0)])):
        save(tree, tmp_path / "tree.json")
        assert load(tmp_path / "tree.json") == load(str(tmp_path / "tree.json")) == tree


def test_reads_a_released_tree(tmp_path):
    tree = load(write(tmp_path / "tree.json", released()))
    assert (tree.bridges, tree.probabilities) == ((), None)
    assert tree.clusters(1) == [[0, 2], [1], [3, 6], [4], [5]]
    assert tree.clusters(2) == [[0, 2, 3, 6], [1], [4], [5]]


def test_a_released_node_stands_in_for_levels_it_misses(tmp_path):
    deep = node("Z31", "c1-a 0.1 c2-b 0.1 c3-c 0.1", 3, node("Z22", "", 2, *released()[0]["children"]))
    shallow = node("Z14", "c001-oboe 0.1 c005-flute 0.1", 1)
    tree = load(write(tmp_path / "tree.json", [shallow, node("Z32", "", 3, released()[1]), deep]))
    assert tree.clusters(1) == [[0, 2], [1, 5], [3, 6], [4]]
    assert tree.clusters(2) == tree.clusters(3) == [[0, 2, 3, 6], [1, 5], [4]]


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        3,
        {"n_labels": 2, "levels": [[[0]]]},
        {"n_labels": 2, "levels": [[0, 1]]},
        {"n_labels": 2, "levels": [[[0, 1]]], "words": []},
        [{"id": "Z1", "children": []}],
        [{"id": "Z1", "text": None, "children": []}],
        [node("Z1", "banjo 0.2 cello 0.1", 1)],
        [node("Z1", "c1-banjo 0.2 cello 0.1", 1)],
        [node("Z1", "", 1)],
        [node("Z1", "c0-banjo 0.2", 1), node("Z2", "c0-banjo 0.2", 1)],
    ],
)
def test_refuses_what_is_not_a_tree(tmp_path, value):
    with pytest.raises(ValueError, match=r"tree.json to hold a latent tree"):
        load(write(tmp_path / "tree.json", value))


def test_missing_and_torn_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "tree.json")
    (tmp_path / "tree.json").write_text(json.dumps(released())[:-9])
    with pytest.raises(ValueError, match="get the file again"):
        load(tmp_path / "tree.json")
