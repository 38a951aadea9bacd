import random
from itertools import combinations

import numpy as np
import pytest

from xai_lib.papers.whole_output.figures import tree_layout
from xai_lib.papers.whole_output.figures.tree_layout import FONT, GUTTER, arrange
from xai_lib.papers.whole_output.latent_tree import Tree

ROW, PICTURE = 14.5, 60


@pytest.fixture(autouse=True)
def pyplot():
    """Nothing is drawn."""


def grown(n_labels, sizes, *, seed=0, bridges=()):
    """A tree whose groups have sizes drawn from ``sizes``, one range a level."""
    rng = random.Random(seed)
    levels, n = [], n_labels
    for low, high in sizes:
        places, level = list(range(n)), []
        while places:
            level.append([places.pop(0) for _ in range(min(len(places), rng.randint(low, high)))])
        levels.append(level)
        n = len(level)
    return Tree(n_labels, tuple(levels), bridges)


TREES = {
    "one label": Tree(1, (((0,),),)),
    "ten labels": Tree(10, (((0,), (1, 2), (3, 4, 5), (6, 7, 8, 9)), ((0, 1), (2, 3))), ((0, 1),)),
    "no levels above": grown(60, [(1, 4)]),
    "chains of one": grown(30, [(1, 1), (1, 1), (1, 2)]),
    "a large cluster": Tree(200, ((tuple(range(150)), tuple(range(150, 200))),)),
    "1000 labels": grown(1000, [(1, 7), (2, 4), (2, 4), (2, 3)]),
    "1000 labels, most below one node": grown(1000, [(1, 6), (1, 4), (100, 140), (1, 2)], seed=1),
}


def names_of(tree):
    return ["n" * (3 + 7 * label % 23) for label in range(tree.n_labels)]


@pytest.fixture(scope="module", params=TREES.values(), ids=TREES)
def drawn(request):
    """A tree, all nodes of its drawing, and the size."""
    tops, size = arrange(request.param, names_of(request.param), row=ROW, picture=PICTURE)
    return request.param, [node for top in tops for node in top.walk()], size


def test_the_drawing_holds_every_label_and_node_once(drawn):
    tree, nodes, _ = drawn
    sizes = enumerate([tree.n_labels, *map(len, tree.levels)])
    expected = sorted((level, position) for level, size in sizes for position in range(size))
    assert sorted((node.level, node.position) for node in nodes) == expected
    for node in nodes:
        if node.level:
            assert tuple(child.position for child in node.children) == tree.levels[node.level - 1][node.position]
            assert [child for column in node.columns for child in column] == node.children
            assert sorted(node.labels()) == tree.clusters(node.level)[node.position]


def test_labels_are_apart_and_inside_and_none_of_a_top_node_stands_among_those_of_another(drawn):
    tree, nodes, (width, height) = drawn
    names = names_of(tree)
    boxes = sorted(
        (node.x, node.y - ROW / 2, node.x + PICTURE + 0.5 * FONT * len(names[node.position]))
        for node in nodes
        if node.level == 0
    )
    for number, (left, top, right) in enumerate(boxes):
        assert left >= GUTTER and right <= width and top >= 0 and top + ROW <= height + 0.01
        for other_left, other_top, _ in boxes[number + 1 :]:
            if other_left >= right:
                break
            assert abs(other_top - top) >= ROW - 0.01
    parts = [np.array([(one.x, one.y) for one in node.walk()]) for node in nodes if node.level == len(tree.levels)]
    boxes = [(places.min(axis=0), places.max(axis=0)) for places in parts]
    for (low, high), (other_low, other_high) in combinations(boxes, 2):
        assert (high < other_low).any() or (other_high < low).any()


def test_children_stand_to_the_right_of_one_line_a_column(drawn):
    for node in drawn[1]:
        for column in node.columns:
            assert len({child.x for child in column}) == 1
            assert [child.y for child in column] == sorted(child.y for child in column)
        if node.columns:
            assert node.columns[0][0].x == pytest.approx(node.x + node.inset)
            if len(node.columns) > 1:
                assert all(node.y <= child.y - ROW / 2 for child in node.children if child.level == 0)
                assert all(node.y <= min(below.y for below in child.walk()) for child in node.children)


def test_a_large_tree_fills_a_page():
    for name in ("1000 labels", "1000 labels, most below one node", "a large cluster", "no levels above"):
        tree = TREES[name]
        _, (width, height) = arrange(tree, names_of(tree), row=ROW, picture=0)
        assert 0.6 < width / height < 2.4, name
        _, (wider, taller) = arrange(tree, names_of(tree), row=3 * ROW, picture=50)
        assert wider * taller > 2 * width * height


def test_top_nodes_follow_their_bridges():
    tree = Tree(6, (tuple((place,) for place in range(6)),), ((4, 1), (4, 2), (1, 5), (0, 3)))
    assert [top.position for top in tree_layout.nested(tree)] == [0, 3, 4, 1, 5, 2]
