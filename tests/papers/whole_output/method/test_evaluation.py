import copy
from functools import partial
from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from xai_lib.papers.whole_output.method import evaluation, observer
from xai_lib.papers.whole_output.method.base_maps import BASES, base
from xai_lib.papers.whole_output.method.clusters import confusion_clusters
from xai_lib.papers.whole_output.method.contrastive_maps import FINE, METHODS, explain
from xai_lib.papers.whole_output.method.evaluation import CONTROL, SCORED, compare_clusterings, compare_epsilons
from xai_lib.papers.whole_output.method.faithfulness import scores
from xai_lib.papers.whole_output.method.outputs import Outputs

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

    def build(clusters=CLUSTERS, differing=None, look_alike=()):
        top = [[label for cluster in of_image for label in cluster] for of_image in clusters]
        return Outputs(network, images, INDEX, torch.zeros(3, N_CLASSES), top, clusters, differing, look_alike)

    return build


@pytest.fixture
def shown(outputs):
    return outputs()


def score(shown, *bases, variant="paper", observed_by=None):
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
    options |= {"base": chosen, "methods": (*METHODS, FINE), "index": INDEX}
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
    frame = score(shown, *bases(), observed_by=another)
    assert set(frame.columns) == set(evaluation.COLUMNS)
    pairs = {(number, label, " ".join(map(str, others))) for number, label, others in PAIRS}
    listed = {
        (pair, name, method, metric)
        for pair, name, method in product(pairs, BASES, (*METHODS, FINE, CONTROL))
        for metric in ("cauc", "cdrop", "salient-pixels", "degenerate")
    }
    listed |= {(pair, name, "cwox-2s", "cauc-bases") for pair, name in product(pairs, BASES)}
    matched = [(4, 0, "1"), (4, 2, "3"), (9, 6, "2"), (2, 1, "4")]  # the first two of each cluster, as ranked
    listed |= {
        (pair, name, method, f"matching-{what}")
        for pair, name, method in product(matched, BASES, (*METHODS, FINE))
        for what in ("accuracy", "margin")
    }
    identity = frame[["index", "class", "rivals", "base", "method", "metric"]].itertuples(index=False)
    found = [((number, label, rivals), *rest) for number, label, rivals, *rest in identity]
    assert len(found) == len(listed) and set(found) == listed
    alone = outputs([[[0], [1], [2]], [[3]], [[4], [5]]])
    frame = score(alone, *bases())
    assert frame.empty and tuple(frame.columns) == evaluation.COLUMNS
    frame = compare_epsilons(alone, GRAD_CAM, (0.0,), steps=STEPS)
    assert frame.empty and "epsilon" in frame
    assert set(score(shown, GRAD_CAM)["metric"]) == {"cauc", "cauc-bases", "cdrop", "salient-pixels", "degenerate"}


@pytest.mark.parametrize(
    ("name", "variant"), [("grad-cam", "paper"), ("excitation-backprop", "paper"), ("grad-cam", "released")]
)
def test_areas_are_up_to_the_common_number_of_the_papers_four_methods(shown, name, variant):
    """The finer 1sA is followed as far, and does not make it shorter."""
    chosen, methods = settings(name, variant=variant), [*METHODS, FINE]
    frame = score(shown, chosen, variant=variant)
    expected = plain_scores(shown, all_maps(shown, chosen, variant=variant), methods, variant)
    np.testing.assert_allclose(values(frame, "cauc")[methods], expected.cauc, **CLOSE)
    np.testing.assert_allclose(values(frame, "cdrop")[methods], expected.cdrop, **CLOSE)
    np.testing.assert_array_equal(values(frame, "salient-pixels")[methods], expected.n_salient)
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


def test_the_control_is_drawn_for_each_image_and_class_the_same_for_every_base_and_shortens_no_area(
    outputs, shown, monkeypatch
):
    seen, plain = [], evaluation.faithfulness.scores

    def kept(model, x, image, maps, *arguments, **options):
        seen.append(maps)
        return plain(model, x, image, maps, *arguments, **options)

    monkeypatch.setattr(evaluation.faithfulness, "scores", kept)
    frame = score(shown, GRAD_CAM, settings("rise"))
    noise = [maps[:, SCORED.index(CONTROL)] for maps in seen[:2]]
    assert torch.equal(*noise)
    assert len({tuple(one.flatten().tolist()) for one in noise[0]}) == len(PAIRS)
    assert 0 <= noise[0].min() < 0.01 and 0.99 < noise[0].max() <= 1 and abs(float(noise[0].mean()) - 0.5) < 0.02
    score(outputs([[[1]], [[0, 6]], [[2]]]).part([1]), GRAD_CAM)
    drawn = {pair[:2]: map for pair, map in zip(PAIRS, noise[0])}
    for map, label in zip(seen[-2][:, SCORED.index(CONTROL)], (0, 6)):  # the last call is that of the bases
        assert torch.equal(map, drawn[9, label])
    counts = frame.loc[(frame["metric"] == "salient-pixels") & (frame["method"] == CONTROL), "value"]
    assert counts.between(90, 166).all()  # half of 256
    peak = torch.zeros(len(PAIRS), 16, 16)
    peak[:, 3, 4] = 1
    monkeypatch.setattr(evaluation, "randomness", SimpleNamespace(uniform=lambda *_: peak))
    narrow = score(shown, GRAD_CAM, settings("rise"))
    assert set(values(narrow[narrow["base"] == "rise"], "salient-pixels")[CONTROL]) == {1}
    own = frame["method"] != CONTROL  # none of their areas is shorter
    pd.testing.assert_frame_equal(narrow[own], frame[own])


def test_part_energy_is_of_look_alikes_in_one_cluster_alone(outputs):
    """Two images have a part that tells look-alikes apart; classes 3 and 1 are in two clusters."""
    differing = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(2)) > 0.7
    with_parts = outputs(differing=differing, look_alike=[(4, 2), (), (3, 1)])
    found, maps = values(score(with_parts, GRAD_CAM), "part-energy"), all_maps(with_parts, GRAD_CAM)
    told_apart = [(4, 2), (4, 4)]
    assert set(found) == set(SCORED) and found.drop(told_apart).isna().all(axis=None)
    for (number, label), method in product(told_apart, (*METHODS, FINE)):
        own = maps[number, method, label].double()
        expected = float((own * differing[0]).sum() / own.sum())
        assert found.loc[(number, label), method] == pytest.approx(expected, rel=1e-4, nan_ok=True)
    assert found.notna().sum().sum() > 7
    assert found.loc[told_apart, CONTROL].between(0.2, 0.4).all()  # noise has the part's share of the image, 0.3


def test_matching_is_of_the_two_most_probable_classes_of_a_cluster_by_the_observer(shown, another, monkeypatch):
    asked, plain = [], observer.matched
    monkeypatch.setattr(observer, "matched", lambda model, *rest: asked.append(model) or plain(model, *rest))
    frame, maps = score(shown, GRAD_CAM, observed_by=another), all_maps(shown, GRAD_CAM)
    assert set(map(id, asked)) == {id(another)}  # not the explained network
    found = frame.set_index(["metric", "index", "class", "method"])["value"]
    accuracy, margin = found["matching-accuracy"], found["matching-margin"]
    assert len(accuracy) == len(margin) == 4 * 5
    for (number, a, b), method in product([(4, 0, 1), (4, 2, 3), (9, 6, 2), (2, 1, 4)], (*METHODS, FINE)):
        both = torch.stack([maps[number, method, label] for label in (a, b)])[None]
        image = torch.tensor([INDEX.tolist().index(number)])
        expected = plain(another, shown.x, image, both, torch.tensor([[a, b]]))
        both = [accuracy[number, a, method], margin[number, a, method]]
        assert both == pytest.approx(list(map(float, expected)), rel=1e-3, abs=1e-5, nan_ok=True)


PARTITIONS = {
    "own": [[0, 1], [5], [2, 3, 4], [6]],
    "same": [[0, 1], [5], [2, 3, 4], [6]],
    "all": [[0, 1, 5, 2, 3, 4, 6]],
    "none": [[label] for label in range(7)],
}


def test_clusterings_are_held_against_the_first_and_drop_for_classes_with_rivals_there(shown, outputs):
    frame = compare_clusterings(shown, PARTITIONS, GRAD_CAM, steps=STEPS)
    assert set(frame.columns) == set(evaluation.CLUSTERING_COLUMNS)
    found = frame.set_index(["metric", "clustering", "index", "class"])["value"].sort_index()
    alike, drops = found["same-map"], found["cdrop"]
    under = {name: outputs([confusion_clusters(p, top) for top in shown.top]) for name, p in PARTITIONS.items()}
    maps = {name: all_maps(own, GRAD_CAM) for name, own in under.items()}
    for name, own in maps.items():
        own = {(number, label): heat for (number, method, label), heat in own.items() if method == "cwox-2s"}
        assert sorted(own) == alike[name].index.tolist()
        for (number, label), heat in own.items():
            both = np.stack([heat.numpy().ravel(), maps["own"][number, "cwox-2s", label].numpy().ravel()]).astype(float)
            expected = np.nan if (both.std(1) == 0).any() else np.corrcoef(both)[0, 1]
            assert alike[name][number, label] == pytest.approx(expected, abs=1e-4, nan_ok=True)
    assert alike["own"].dropna().tolist() == pytest.approx([1.0] * alike["own"].notna().sum(), abs=1e-9)
    assert alike["own"].notna().any() and alike["none"].dropna().min() < 0.99
    pd.testing.assert_series_equal(alike["same"], alike["own"])
    assert set(drops.index.get_level_values("clustering")) == {"own", "same", "all"}  # none has no pair
    assert len(drops["own"]) == 2 + 3 + 2 and len(drops["all"]) == 6 + 3 + 3
    for name in ("own", "all"):
        usual = score(under[name], GRAD_CAM)
        usual = usual[(usual["metric"] == "cdrop") & (usual["method"] == "cwox-2s")].set_index(["index", "class"])
        np.testing.assert_allclose(drops[name].reindex(usual.index), usual["value"], rtol=1e-4, atol=1e-6)


def test_each_epsilon_scores_the_maps_that_it_leaves_and_zero_is_the_papers_variant(shown):
    found, usual = compare_epsilons(shown, GRAD_CAM, (0.0, 0.5), steps=STEPS), score(shown, GRAD_CAM)
    assert set(found["metric"]) == {"cdrop", "degenerate"} and set(found["method"]) == {"cwox-2s"}
    for metric in ("cdrop", "degenerate"):
        zero = values(found[found["epsilon"] == 0], metric)
        pd.testing.assert_frame_equal(zero, values(usual, metric)[["cwox-2s"]])
    drops = values(found[found["epsilon"] == 0.5], "cdrop")
    expected = plain_scores(shown, all_maps(shown, GRAD_CAM, epsilon=0.5), ["cwox-2s"]).cdrop
    np.testing.assert_allclose(drops, expected, atol=1e-5)
