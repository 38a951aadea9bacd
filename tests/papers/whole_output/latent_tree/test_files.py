import json

import pytest

from xai_lib.papers.whole_output.latent_tree import load, save
from xai_lib.papers.whole_output.latent_tree.tree import Tree


def test_a_tree_comes_back_equal_to_the_last_digit(tmp_path):
    rows = [[[1 / 3, 1e-12], [0.1, 1 - 1e-16]], [[2 / 3, 2 / 3]]]
    for tree in (Tree(2, [[[0, 1]]], (), rows), Tree(5, [[[0, 3], [1], [2, 4]], [[0, 2], [1]]], [(1, 0)])):
        save(tree, tmp_path / "tree.json")
        assert load(tmp_path / "tree.json") == load(str(tmp_path / "tree.json")) == tree


def test_missing_and_torn_files_and_what_is_not_a_tree_are_refused(tmp_path):
    file = tmp_path / "tree.json"
    with pytest.raises(FileNotFoundError):
        load(file)
    save(Tree(2, [[[0, 1]]]), file)
    torn, of_two = file.read_text()[:-9], {"n_labels": 2, "levels": [[[0, 1]]]}
    wrong = [[], {}, 3, of_two | {"levels": [[[0]]]}, of_two | {"levels": [[0, 1]]}, of_two | {"words": []}]
    for text in (torn, *map(json.dumps, wrong)):
        file.write_text(text)
        with pytest.raises(ValueError, match=r"tree.json to hold a latent tree, .* get the file again"):
            load(file)
