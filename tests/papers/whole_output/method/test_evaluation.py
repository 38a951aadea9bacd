import copy
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch

from xai_lib.papers.whole_output.method import evaluation, observer
from xai_lib.papers.whole_output.method.base_maps import BASES, base
from xai_lib.papers.whole_output.method.clusters import confusion_clusters
from xai_lib.papers.whole_output.method.contrastive_maps import explain
from xai_lib.papers.whole_output.method.evaluation import CONTROL, DRAWN, SCORED, Outputs
from xai_lib.papers.whole_output.method.faithfulness import scores

N_CLASSES = 7
INDEX = torch.tensor([4, 9, 2])
CLUSTERS = [[[0, 1], [5], [2, 3, 4]], [[6, 2, 0]], [[3], [1, 4]]]
PAIRS = [(4, 0, [1]), (4, 1, [0]), (4, 2, [3, 4]), (4, 3, [2, 4]), (4, 4, [2, 3])]
PAIRS += [(9, 6, [2, 0]), (9, 2, [6, 0]), (9, 0, [6, 2]), (2, 1, [4]), (2, 4, [1])]
STEPS = 12
CLOSE = {"rtol": 1e-2, "atol": 5e-4}  # at a border, pixels of interpolated maps differ by rounding alone
settings = partial(base, layers=("coarse", "fine"), n_masks=12, n_samples=16)
GRAD_CAM = settings("grad-cam")


def bases(variant="paper"):
    return [settings(name, variant=variant) for name in BASES]


@pytest.fixture
def network(network):
    """The fixture's network, less sure of itself: every class has some probability."""
    network.head.weight.data *= 0.15
    return network


@pytest.fixture
def outputs(network, images):
    """Function (clusters, …) -> outputs of the fixture's network with these clusters."""

    def build(clusters=CLUSTERS, **truth):
        top = [[label for cluster in of_image for label in cluster] for of_image in clusters]
        return Outputs(network, images, INDEX, torch.zeros(3, N_CLASSES), top, clusters, **truth)

    return build


@pytest.fixture
def shown(outputs):
    return outputs()


def score(shown, *bases, variant="paper", observed_by=()):
    return evaluation.evaluate(shown, bases, steps=STEPS, variant=variant, observed_by=observed_by)


@pytest.fixture
def another(network):
    """An observer, which is not the network."""
    generator, other = torch.Generator().manual_seed(8), copy.deepcopy(network)
    for parameter in other.parameters():
        parameter.data.normal_(std=0.4, generator=generator)
    return other


def values(frame, metric, of="method"):
    """Values of a metric, a row a pair in their order, a column a method (or base)."""
    rows = frame[frame["metric"] == metric]
    return rows.pivot(index=["index", "class"], columns=of, values="value").loc[[pair[:2] for pair in PAIRS]]


def all_maps(shown, chosen, **options):
    """Maps of all classes: (index, method, class) -> map."""
    options |= {"base": chosen, "methods": DRAWN, "index": INDEX}
    outputs = zip(INDEX.tolist(), explain(shown.network, shown.x, shown.clusters, **options))
    every = [(number, output, *key) for number, output in outputs for key in product(output.class_maps, output.classes)]
    return {(number, method, label): output.class_map(method, label) for number, output, method, label in every}


def plain_scores(shown, maps, columns, variant="paper"):
    """Scores of maps (index, column, class) of all pairs, the first four columns compared."""
    rivals = torch.tensor([[label in others for label in range(N_CLASSES)] for *_, others in PAIRS])
    image, target = torch.tensor([(INDEX.tolist().index(number), label) for number, label, _ in PAIRS]).T
    stacked = torch.stack([torch.stack([maps[number, one, label] for one in columns]) for number, label, _ in PAIRS])
    how = {"index": INDEX, "compared": range(min(4, len(columns))), "steps": STEPS, "variant": variant}
    return scores(shown.network, shown.x, image, stacked, target, rivals, **how)


def test_rows_are_complete_for_classes_with_rivals_an_observer_or_parts_if_there_are_any(outputs, shown, another):
    frame = score(shown, *bases(), observed_by=[another])
    assert set(frame.columns) == set(evaluation.COLUMNS)
    pairs = {(number, label, " ".join(map(str, others))) for number, label, others in PAIRS}
    listed = {
        (pair, name, method, metric)
        for pair, name, method in product(pairs, BASES, SCORED)
        for metric in ("cauc", "cdrop", "salient-share", "degenerate")
    }
    listed |= {(pair, name, "cwox-2s", "cauc-bases") for pair, name in product(pairs, BASES)}
    matched = [(4, 0, "1"), (4, 2, "3"), (9, 6, "2"), (2, 1, "4")]  # the first two of each cluster, as ranked
    listed |= {
        (pair, name, method, metric)
        for pair, name, method in product(matched, BASES, DRAWN)
        for metric in ("matching-accuracy", "matching-margin", "overlap")
    }
    identity = frame[["index", "class", "rivals", "base", "method", "metric"]].itertuples(index=False)
    found = [((number, label, rivals), *rest) for number, label, rivals, *rest in identity]
    assert len(found) == len(listed) and set(found) == listed
    alone = outputs([[[0], [1], [2]], [[3]], [[4], [5]]])
    frame = score(alone, *bases())
    assert frame.empty and tuple(frame.columns) == evaluation.COLUMNS
    unobserved = {"cauc", "cauc-bases", "cdrop", "salient-share", "degenerate", "overlap"}
    assert set(score(shown, GRAD_CAM)["metric"]) == unobserved


@pytest.mark.parametrize(
    ("name", "variant"), [("grad-cam", "paper"), ("excitation-backprop", "paper"), ("grad-cam", "released")]
)
def test_areas_are_up_to_the_common_number_of_the_papers_four_methods(shown, name, variant):
    """The finer 1sA is followed as far, and does not make it shorter."""
    chosen, methods = settings(name, variant=variant), [*DRAWN]
    frame = score(shown, chosen, variant=variant)
    expected = plain_scores(shown, all_maps(shown, chosen, variant=variant), methods, variant)
    np.testing.assert_allclose(values(frame, "cauc")[methods], expected.cauc, **CLOSE)
    np.testing.assert_allclose(values(frame, "cdrop")[methods], expected.cdrop, **CLOSE)
    np.testing.assert_array_equal(values(frame, "salient-share")[methods] * 256, expected.n_salient)
    np.testing.assert_array_equal(values(frame, "degenerate")[methods], expected.degenerate)
    fine = expected.n_salient[:, 4]  # else this would not tell whether the finer 1sA is among the compared
    assert ((fine > 0) & (fine < expected.common)).any() or variant == "released"


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_areas_of_bases_are_up_to_the_common_number_of_the_bases(shown, variant):
    frame = score(shown, *bases(variant), variant=variant)
    found = values(frame, "cauc-bases", of="base")[[*BASES]]
    maps = {base.name: all_maps(shown, base, variant=variant) for base in bases(variant)}
    maps = {(number, name, label): maps[name][number, "cwox-2s", label] for number, label, _ in PAIRS for name in BASES}
    np.testing.assert_allclose(found, plain_scores(shown, maps, BASES, variant).cauc, rtol=1e-3, atol=1e-6)
    of_methods = values(frame[frame["method"] == "cwox-2s"], "cauc", of="base")[[*BASES]]
    assert (found - of_methods).abs().max(axis=None) > 1e-4  # they are other areas


def test_the_control_is_the_map_of_two_stages_in_another_place_the_same_for_every_base(outputs, shown, monkeypatch):
    """As many salient pixels and the same values in the same neighbourhood, so neither can it win by."""
    seen, plain = [], evaluation.faithfulness.scores

    def kept(model, x, image, maps, *arguments, **options):
        seen.append(maps)
        return plain(model, x, image, maps, *arguments, **options)

    monkeypatch.setattr(evaluation.faithfulness, "scores", kept)
    frame = score(shown, GRAD_CAM, settings("rise"))
    places = []
    for maps in seen[:2]:
        own, control = (maps[:, SCORED.index(name)] for name in ("cwox-2s", CONTROL))
        found = [
            [shift for shift in product(range(16), repeat=2) if torch.equal(one.roll(shift, (0, 1)), other)]
            for one, other in zip(own, control)
        ]
        places.append([shifts[0] if len(shifts) == 1 else None for shifts in found])  # None of an empty map
        assert all(found)
    assert all(one == other for one, other in zip(*places) if None not in (one, other))
    assert len({place for place in places[0] if place}) > 5
    shares = values(frame[frame["base"] == "rise"], "salient-share")
    np.testing.assert_array_equal(shares["cwox-2s"], shares[CONTROL])
    score(outputs([[[1]], [[0, 6]], [[2]]]).part([1]), GRAD_CAM)  # the shift is of image and class alone
    own, control = (seen[-2][:, SCORED.index(name)] for name in ("cwox-2s", CONTROL))
    drawn = {pair[:2]: place for pair, place in zip(PAIRS, places[1])}
    for one, other, label in zip(own, control, (0, 6)):
        assert torch.equal(one.roll(drawn[9, label], (0, 1)), other)


def test_part_energy_is_of_look_alikes_in_one_cluster_alone(outputs):
    """Two images have a part that tells look-alikes apart; classes 3 and 1 are in two clusters."""
    differing = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(2)) > 0.7
    with_parts = outputs(differing=differing, look_alike=[(4, 2), (), (3, 1)])
    found, maps = values(score(with_parts, GRAD_CAM), "part-energy"), all_maps(with_parts, GRAD_CAM)
    told_apart = [(4, 2), (4, 4)]
    assert set(found) == set(SCORED) and found.drop(told_apart).isna().all(axis=None)
    for (number, label), method in product(told_apart, DRAWN):
        own = maps[number, method, label].double()
        expected = float((own * differing[0]).sum() / own.sum())
        assert found.loc[(number, label), method] == pytest.approx(expected, rel=1e-4, nan_ok=True)
    assert found.notna().sum().sum() > 5


def test_own_object_is_of_two_pictured_classes_in_one_cluster_alone(outputs):
    """One image pictures 4 and 2, which are rivals, another 3 and 1, which are in two clusters."""
    objects = torch.rand(3, 2, 16, 16, generator=torch.Generator().manual_seed(2)) > 0.7
    pictured = outputs(objects=objects, pictured=[(4, 2), (), (3, 1)])
    found, maps = values(score(pictured, GRAD_CAM), "own-object"), all_maps(pictured, GRAD_CAM)
    both = [(4, 2), (4, 4)]
    assert set(found) == set(SCORED) and found.drop(both).isna().all(axis=None)
    for (number, label), method in product(both, DRAWN):
        heat, own = maps[number, method, label].double(), objects[0, (4, 2).index(label)]
        expected = float((heat * own).sum() / (heat * objects[0].any(0)).sum())
        assert found.loc[(number, label), method] == pytest.approx(expected, rel=1e-4, nan_ok=True)
    assert found.notna().sum().sum() > 5


def test_matching_is_of_the_two_most_probable_classes_of_a_cluster_by_the_observer(shown, another, monkeypatch):
    asked, plain = [], observer.matched
    monkeypatch.setattr(observer, "matched", lambda model, *rest: asked.append(model) or plain(model, *rest))
    frame, maps = score(shown, GRAD_CAM, observed_by=[another]), all_maps(shown, GRAD_CAM)
    assert set(map(id, asked)) == {id(another)}  # not the explained network
    found = frame.set_index(["metric", "index", "class", "method"])["value"]
    accuracy, margin = found["matching-accuracy"], found["matching-margin"]
    assert len(accuracy) == len(margin) == 4 * len(DRAWN)
    for (number, a, b), method in product([(4, 0, 1), (4, 2, 3), (9, 6, 2), (2, 1, 4)], DRAWN):
        both = torch.stack([maps[number, method, label] for label in (a, b)])[None]
        one, two = (heat >= 0.5 * heat.max() for heat in both[0])
        shared = float((one & two).sum() / (one | two).sum()) if (both.amax((2, 3)) > 0).all() else np.nan
        assert found["overlap"][number, a, method] == pytest.approx(shared, abs=0.02, nan_ok=True)
        image = torch.tensor([INDEX.tolist().index(number)])
        expected = plain(another, shown.x, image, both, torch.tensor([[a, b]]))
        both = [accuracy[number, a, method], margin[number, a, method]]
        assert both == pytest.approx(list(map(float, expected)), rel=1e-3, abs=1e-5, nan_ok=True)


def test_several_observers_are_averaged(shown, another, network):
    ways = ([another], [network], [another, network])
    frames = (score(shown, GRAD_CAM, observed_by=networks) for networks in ways)
    one, other, both = (rows.loc[rows["metric"].str.startswith("matching"), "value"].to_numpy() for rows in frames)
    assert np.nanmax(np.abs(one - other)) > 0.01
    np.testing.assert_allclose(both, (one + other) / 2, rtol=1e-5, atol=1e-6)


PARTITIONS = {
    "own": [[0, 1], [5], [2, 3, 4], [6]],
    "same": [[0, 1], [5], [2, 3, 4], [6]],
    "all": [[0, 1, 5, 2, 3, 4, 6]],
    "none": [[label] for label in range(7)],
}


def test_clusterings_are_held_against_the_first_on_the_same_pairs(shown, outputs):
    frame = evaluation.compare_clusterings(shown, PARTITIONS, [GRAD_CAM, settings("rise")])
    assert tuple(frame.columns) == evaluation.CLUSTERING_COLUMNS and set(frame["base"]) == {"grad-cam", "rise"}
    found = frame[frame["base"] == "grad-cam"].set_index(["metric", "clustering", "index", "class"])["value"]
    under = {name: outputs([confusion_clusters(p, top) for top in shown.top]) for name, p in PARTITIONS.items()}
    maps = {
        (number, name, label): heat
        for name, own in under.items()
        for (number, method, label), heat in all_maps(own, GRAD_CAM).items()
        if method == "cwox-2s"
    }
    expected = plain_scores(shown, maps, list(PARTITIONS)).cdrop  # class and rivals are always those of `shown`
    for column, name in enumerate(PARTITIONS):
        drops, alike = found["cdrop", name], found["same-map", name]
        assert drops.index.tolist() == alike.index.tolist() == [pair[:2] for pair in PAIRS]
        np.testing.assert_allclose(drops, expected[:, column], **CLOSE)
        for (number, label), value in alike.items():
            both = np.stack([maps[number, one, label].numpy().ravel() for one in (name, "own")]).astype(float)
            correlation = np.nan if (both.std(1) == 0).any() else np.corrcoef(both)[0, 1]
            assert value == pytest.approx(correlation, abs=1e-4, nan_ok=True)
    assert found["same-map", "none"].dropna().min() < 0.99
    pd.testing.assert_series_equal(found["same-map", "same"], found["same-map", "own"])


def test_each_epsilon_is_of_classes_alone_in_one_of_several_clusters(shown):
    found = evaluation.compare_epsilons(shown, GRAD_CAM, (0.0, 0.6))
    assert found[["index", "class", "epsilon"]].values.tolist() == [[4, 5, 0.0], [2, 3, 0.0], [4, 5, 0.6], [2, 3, 0.6]]
    for number, label, epsilon, salient, degenerate in found.values.tolist():
        heat = all_maps(shown, GRAD_CAM, epsilon=epsilon)[number, "cwox-2s", label]
        share = float((heat >= 0.5 * heat.max()).double().mean()) if heat.any() else 0
        assert salient == pytest.approx(share) and degenerate == (share == 0)
    assert evaluation.compare_epsilons(shown.part([1]), GRAD_CAM, (0.0,)).empty
