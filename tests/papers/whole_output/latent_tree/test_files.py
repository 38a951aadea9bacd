import json

import pytest

from xai_lib.papers.whole_output.latent_tree import load, save
from xai_lib.papers.whole_output.latent_tree.tree import Tree


def test_a_tree_comes_back_equal_to_the_last_digit(tmp_path):
    rows = [[[1 / 3, 1e-12], [0.1, 1 - 1e-16]], [[2 / 3, 2 / 3]]]
    for tree in (Tree(2, [[[0, 1]]], (), rows), Tree(5, [[[0, 3], [1], [2, 4]], [[0, 2], [1]]], [(1, 0)])):
        save(tree, tmp_path / "tree.json")
        assert load(tmp_path / "tree.json") == load(str(tmp_path / "tree.json")) == tree


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        3,
        {"n_labels": 2, "levels": [[[0]]]},
        {"n_labels": 2, "levels": [[0, 1]]},
        {"n_labels": 2, "levels": [[[0, 1]]], "words": []},
    ],
)
def test_refuses_what_is_not_a_tree(tmp_path, value):
    (tmp_path / "tree.json").write_text(json.dumps(value))
    with pytest.raises(ValueError, match=r"tree.json to hold a latent tree"):
        load(tmp_path / "tree.json")


def test_missing_and_torn_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "tree.json")
    save(Tree(2, [[[0, 1]]]), tmp_path / "tree.json")
    (tmp_path / "tree.json").write_text((tmp_path / "tree.json").read_text()[:-9])
    with pytest.raises(ValueError, match="get the file again"):
        load(tmp_path / "tree.json")
