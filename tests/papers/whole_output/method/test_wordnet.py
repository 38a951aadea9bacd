import itertools

import networkx
import numpy as np
import pytest

from xai_lib.papers.whole_output.method.wordnet import steps

ABOVE = {1: (), 2: (1,), 3: (1,), 4: (2,), 5: (2, 3), 6: (5,), 7: (4, 6), 8: (3,)}


def written(file, above=ABOVE, mark="@"):
    """A file as WordNet's: a licence, then a line a noun, with pointers that are no hypernyms among them."""
    lines = ["  1 This software and database is being provided to you, the LICENSEE, by ... "]
    for noun, higher in above.items():
        pointers = "".join(f" {mark} {one:08d} n 0000" for one in higher) + " ~ 00000009 n 0000 %p 00000001 n 0102"
        words = f"0{1 + noun % 2} {'a_noun 0 ' * (1 + noun % 2)}"
        lines.append(f"{noun:08d} 05 n {words}{len(higher) + 2:03d}{pointers} | a gloss @ 00000001 n 0000")
    file.write_text("\n".join(lines) + "\n")
    return file


def test_steps_go_up_and_down_again(tmp_path):
    """By networkx: over every common hypernym, the way up from either."""
    graph = networkx.DiGraph([(noun, one) for noun, higher in ABOVE.items() for one in higher])
    up = dict(networkx.all_pairs_shortest_path_length(graph))
    found = steps([f"n{noun:08d}" for noun in ABOVE], written(tmp_path / "data.noun"))
    expected = [
        [min(up[a][one] + up[b][one] for one in up[a].keys() & up[b].keys()) for b in ABOVE] for a in ABOVE
    ]  # fmt: skip
    np.testing.assert_array_equal(found, expected)
    siblings = {pair for pair in itertools.combinations(ABOVE, 2) if set(ABOVE[pair[0]]) & set(ABOVE[pair[1]])}
    assert all(found[a - 1, b - 1] == 2 for a, b in siblings - {(2, 3)}) and found[1, 2] == 2
    instances = steps(["n00000004", "n00000008"], written(tmp_path / "data.noun", mark="@i"))
    assert instances[0, 1] == found[3, 7]


def test_a_noun_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"WordNet 3\.0's data\.noun\. Got no n01440764 in it"):
        steps(["n00000001", "n01440764"], written(tmp_path / "data.noun"))
