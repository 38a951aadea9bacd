import itertools
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from xai_lib.papers.whole_output.method import evaluation, observer
from xai_lib.papers.whole_output.method.base_maps import BASES, base
from xai_lib.papers.whole_output.method.evaluation import CONTROL, SCORED, Images, compare_clusterings, curves, evaluate
from xai_lib.papers.whole_output.method.explanation import FINE, METHODS, explain
from xai_lib.papers.whole_output.method.faithfulness import salient_pixels, scores

N_CLASSES = 7
INDEX = torch.tensor([4, 9, 2])
CLUSTERS = [[[0, 1], [5], [2, 3, 4]], [[6, 2, 0]], [[3], [1, 4]]]
PAIRS = [(4, 0, [1]), (4, 1, [0]), (4, 2, [3, 4]), (4, 3, [2, 4]), (4, 4, [2, 3])]
PAIRS += [(9, 6, [2, 0]), (9, 2, [6, 0]), (9, 0, [6, 2]), (2, 1, [4]), (2, 4, [1])]
STEPS = 12
CLOSE = {"rel": 1e-2, "abs": 5e-4, "nan_ok": True}  # at a border, pixels of interpolated maps differ by rounding alone
KEYS = ["index", "class", "base", "method", "metric"]
settings = partial(base, layers=("coarse", "fine"), n_masks=12, n_samples=16)
every_variant = pytest.mark.parametrize("variant", ["paper", "released"])


def bases(variant="paper", names=BASES):
    return [settings(name, variant=variant) for name in names]


@pytest.fixture
def network(network):
    """The fixture's network, less sure of itself: every class has some probability."""
    network.head.weight.data *= 0.15
    return network


@pytest.fixture
def shown(images):
    return Images(images, INDEX, CLUSTERS)


@pytest.fixture
def score(network):
    """Function (images, bases, …) -> the frame of the fixture's network."""

    def scored(shown, bases, *, variant="paper", observed_by=None):
        options = {"n_classes": N_CLASSES, "steps": STEPS, "variant": variant, "observed_by": observed_by}
        return evaluate(network, shown, bases, **options)

    return scored


@pytest.fixture
def another(network):
    """An observer, which is not the network."""
    with torch.random.fork_rng():
        torch.manual_seed(8)
        other = type(network)()
        for parameter in other.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
    return other.eval()


def in_order(frame):
    return frame.sort_values([name for name in frame.columns if name != "value"], ignore_index=True)


def by_key(frame, metric):
    rows = frame[frame["metric"] == metric]
    return rows.set_index([name for name in KEYS if name != "metric" and name in rows])["value"]


def maps_of(network, x, clusters, chosen, number, variant="paper"):
    """All maps of one image, explained by itself: (method, class) -> map."""
    index = torch.tensor([number])
    [output] = explain(
        network, x[None], [clusters], base=chosen, variant=variant, methods=(*METHODS, FINE), index=index
    )
    return {
        (method, label): own
        for method, of_classes in output.class_maps.items()
        for label, own in zip(output.classes, of_classes)
    }


def scores_of_pair(network, x, maps, label, others, number, compared, variant="paper"):
    """What the scores of some maps of one pair are by themselves."""
    rivals = torch.zeros(1, N_CLASSES, dtype=torch.bool)
    rivals[0, others] = True
    zero = torch.zeros(1, dtype=torch.int64)
    arguments = (network, x[None], zero, torch.stack(maps)[None], torch.tensor([label]), rivals)
    return scores(*arguments, index=torch.tensor([number]), compared=compared, steps=STEPS, variant=variant)


def all_maps(network, images, chosen, variant="paper"):
    """(index, method, class) -> map."""
    return {
        (number, *key): own
        for x, clusters, number in zip(images, CLUSTERS, INDEX.tolist())
        for key, own in maps_of(network, x, clusters, chosen, number, variant).items()
    }


def image_of(images, number):
    return images[INDEX.tolist().index(number)]


def test_pairs_are_the_classes_of_clusters_of_two_or_more_and_rows_are_complete(score, shown, another):
    frame = score(shown, bases(), observed_by=another)
    assert tuple(frame.columns) == ("index", "class", "rivals", "value", "base", "method", "metric")
    assert set(frame.columns) == set(evaluation.COLUMNS)
    pairs = {(number, label, " ".join(map(str, others))) for number, label, others in PAIRS}
    listed = {
        (pair, name, method, metric)
        for pair, name, method in itertools.product(pairs, BASES, (*METHODS, FINE, CONTROL))
        for metric in ("cauc", "cdrop", "salient-pixels", "degenerate")
    }
    listed |= {(pair, name, "cwox-2s", "cauc-bases") for pair, name in itertools.product(pairs, BASES)}
    matched = [(4, 0, "1"), (4, 2, "3"), (9, 6, "2"), (2, 1, "4")]  # the first two of each cluster, as ranked
    listed |= {
        (pair, name, method, f"matching-{what}")
        for pair, name, method in itertools.product(matched, BASES, (*METHODS, FINE))
        for what in ("accuracy", "margin")
    }
    identity = frame[["index", "class", "rivals", "base", "method", "metric"]].itertuples(index=False)
    found = [((number, label, rivals), *rest) for number, label, rivals, *rest in identity]
    assert len(found) == len(listed) and set(found) == listed


def test_without_rivals_there_is_nothing_to_score(score, images):
    alone = Images(images, INDEX, [[[0], [1], [2]], [[3]], [[4], [5]]])
    frame = score(alone, bases())
    assert frame.empty and tuple(frame.columns) == evaluation.COLUMNS


def test_without_an_observer_or_parts_they_are_left_out(score, shown):
    metrics = set(score(shown, bases(names=["grad-cam"]))["metric"])
    assert metrics == {"cauc", "cauc-bases", "cdrop", "salient-pixels", "degenerate"}


@pytest.mark.parametrize(
    ("name", "variant"), [("grad-cam", "paper"), ("excitation-backprop", "paper"), ("grad-cam", "released")]
)
def test_areas_are_up_to_the_common_number_of_the_papers_four_methods(network, images, score, shown, name, variant):
    """The finer 1sA is followed as far, and does not make it shorter."""
    chosen = settings(name, variant=variant)
    frame = score(shown, [chosen], variant=variant)
    maps = all_maps(network, images, chosen, variant)
    found = {metric: by_key(frame, metric) for metric in ("cauc", "cdrop", "salient-pixels", "degenerate")}
    shorter = 0
    for number, label, others in PAIRS:
        own = [maps[number, method, label] for method in METHODS]
        for method in METHODS:
            expected = scores_of_pair(network, image_of(images, number), own, label, others, number, range(4), variant)
            place, key = METHODS.index(method), (number, label, name, method)
            assert found["cauc"][key] == pytest.approx(float(expected.cauc[0, place]), **CLOSE)
            assert found["cdrop"][key] == pytest.approx(float(expected.cdrop[0, place]), **CLOSE)
            assert found["salient-pixels"][key] == int(expected.n_salient[0, place])
            assert found["degenerate"][key] == float(expected.degenerate[0, place])
        fine = [*own, maps[number, FINE, label]]
        expected = scores_of_pair(network, image_of(images, number), fine, label, others, number, range(4), variant)
        key = (number, label, name, FINE)
        assert found["cauc"][key] == pytest.approx(float(expected.cauc[0, 4]), **CLOSE)
        assert found["salient-pixels"][key] == int(expected.n_salient[0, 4])
        shorter += 0 < int(expected.n_salient[0, 4]) < int(expected.common)
    assert shorter or variant == "released"  # else this would not tell whether the finer 1sA is among the compared


def test_a_narrow_control_makes_no_area_shorter(monkeypatch, score, shown):
    expected = score(shown, bases(names=["grad-cam"]))
    peak = torch.zeros(len(PAIRS), 16, 16)
    peak[:, 3, 4] = 1
    monkeypatch.setattr(evaluation, "randomness", SimpleNamespace(uniform=lambda *_: peak))
    frame = score(shown, bases(names=["grad-cam"]))
    assert set(by_key(frame, "salient-pixels").xs(CONTROL, level="method")) == {1}
    own = frame["method"] != CONTROL
    pd.testing.assert_frame_equal(frame[own], expected[own])


def test_areas_of_methods_by_hand_pixel_by_pixel(network, images, score, shown, monkeypatch):
    monkeypatch.setattr(f"{__name__}.STEPS", 256)
    frame = score(shown, bases(names=["rise"]))
    cauc, maps = by_key(frame, "cauc"), all_maps(network, images, settings("rise"))
    for number, label, others in PAIRS:
        own = {method: maps[number, method, label] for method in METHODS}
        counts = [int((heat >= heat.max() / 2).sum()) for heat in own.values() if heat.max() > 0]
        for method, heat in own.items():
            order, area = heat.flatten().argsort(descending=True, stable=True), 0.0
            x = image_of(images, number).clone().flatten(1)
            for pixel in order[: min(counts)].tolist():
                with torch.no_grad():
                    probabilities = network(x.reshape(1, 3, 16, 16)).softmax(1)[0]
                area += float(probabilities[label] * (1 - probabilities[others].sum())) / 256
                x[:, pixel] = 0
            if heat.max() > 0:
                assert cauc[number, label, "rise", method] == pytest.approx(area, rel=1e-3, abs=1e-6)


@every_variant
def test_areas_of_bases_are_up_to_the_common_number_of_the_bases(network, images, score, shown, variant):
    frame = score(shown, bases(variant), variant=variant)
    found, of_methods = by_key(frame, "cauc-bases"), by_key(frame, "cauc")
    maps = {name: all_maps(network, images, settings(name, variant=variant), variant) for name in BASES}
    for number, label, others in PAIRS:
        own = [maps[name][number, "cwox-2s", label] for name in BASES]
        expected = scores_of_pair(network, image_of(images, number), own, label, others, number, range(4), variant)
        values = [found[number, label, name, "cwox-2s"] for name in BASES]
        np.testing.assert_allclose(values, expected.cauc[0], rtol=1e-3, atol=1e-6)
    assert (found - of_methods.reindex(found.index)).abs().max() > 1e-4  # they are other areas


def test_scores_do_not_depend_on_the_other_images(network, images, score, another):
    parts = (torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(2)) > 0.7, [(0, 1), None, (1, 4)])
    everything = Images(images, INDEX, CLUSTERS, *parts)
    whole = score(everything, bases(), observed_by=another)
    single = [
        score(
            Images(images[[b]], INDEX[[b]], [CLUSTERS[b]], parts[0][[b]], [parts[1][b]]), bases(), observed_by=another
        )
        for b in (2, 0, 1)
    ]
    together = pd.concat(single, ignore_index=True)
    pd.testing.assert_frame_equal(in_order(together), in_order(whole), rtol=CLOSE["rel"], atol=CLOSE["abs"])


def test_the_control_is_drawn_for_each_image_and_class_and_is_the_same_for_every_base(
    network, images, monkeypatch, score, shown
):
    seen = []
    plain = evaluation.faithfulness.scores

    def kept(model, x, image, maps, *arguments, **options):
        seen.append(maps)
        return plain(model, x, image, maps, *arguments, **options)

    monkeypatch.setattr(evaluation.faithfulness, "scores", kept)
    frame = score(shown, bases(names=["grad-cam", "rise"]))
    noise = [maps[:, SCORED.index(CONTROL)] for maps in seen[:2]]
    assert torch.equal(*noise)
    assert len({tuple(one.flatten().tolist()) for one in noise[0]}) == len(PAIRS)
    assert 0 <= noise[0].min() < 0.01 and 0.99 < noise[0].max() <= 1 and abs(float(noise[0].mean()) - 0.5) < 0.02
    one = Images(images[[1]], INDEX[[1]], [[[0, 6]]])
    score(one, bases(names=["grad-cam"]))
    drawn = {pair[:2]: map for pair, map in zip(PAIRS, noise[0])}
    for map, label in zip(seen[-2][:, SCORED.index(CONTROL)], (0, 6)):  # the last call is that of the bases
        assert torch.equal(map, drawn[9, label])
    counts = by_key(frame, "salient-pixels").xs(CONTROL, level="method")
    assert counts.between(90, 166).all()  # half of 256


def test_part_energy_is_of_look_alikes_in_one_cluster_alone(network, images, score):
    differing = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(2)) > 0.7
    look_alike = [(4, 2), None, (3, 1)]  # 3 and 1 are in two clusters
    frame = score(Images(images, INDEX, CLUSTERS, differing, look_alike), bases(names=["grad-cam"]))
    found = by_key(frame, "part-energy")
    assert len(found) == len(PAIRS) * len(SCORED)
    maps = all_maps(network, images, settings("grad-cam"))
    for (number, label, _, method), value in found.items():
        if number != 4 or label not in (2, 4):
            assert np.isnan(value)
        elif method != CONTROL:
            own = maps[number, method, label].double()
            assert value == pytest.approx(float((own * differing[0]).sum() / own.sum()), rel=1e-4, nan_ok=True)
    assert found.notna().sum() > 7
    control = found.xs(CONTROL, level="method").dropna()
    assert len(control) == 2 and control.between(0.2, 0.4).all()  # noise has the part's share of the image, 0.3


def test_matching_is_of_the_two_most_probable_classes_of_a_cluster_by_the_observer(
    network, images, score, shown, another
):
    frame = score(shown, bases(names=["grad-cam"]), observed_by=another)
    maps = all_maps(network, images, settings("grad-cam"))
    accuracy, margin = by_key(frame, "matching-accuracy"), by_key(frame, "matching-margin")
    assert len(accuracy) == len(margin) == 4 * 5
    for (number, a, b), method in itertools.product([(4, 0, 1), (4, 2, 3), (9, 6, 2), (2, 1, 4)], (*METHODS, FINE)):
        logits = []
        for label in (a, b):
            heat = maps[number, method, label]
            kept = image_of(images, number) * (heat >= heat.max() / 2)
            with torch.no_grad():
                logits.append(another(kept[None])[0] if heat.max() > 0 else torch.full((N_CLASSES,), torch.nan))
        expected = float(logits[0][a] - logits[0][b] - (logits[1][a] - logits[1][b]))
        key = (number, a, "grad-cam", method)
        assert margin[key] == pytest.approx(expected, rel=1e-3, abs=1e-5, nan_ok=True)
        assert accuracy[key] == pytest.approx(float((np.sign(expected) + 1) / 2), nan_ok=True)


def test_the_observer_is_not_the_explained_network(network, monkeypatch, score, shown, another):
    asked = []
    plain = observer.matched
    monkeypatch.setattr(observer, "matched", lambda model, *rest: asked.append(model) or plain(model, *rest))
    score(shown, bases(names=["grad-cam"]), observed_by=another)
    assert set(map(id, asked)) == {id(another)}


def clusterings():
    return {
        "own": CLUSTERS,
        "same": CLUSTERS,
        "all": [[[0, 1, 5, 2, 3, 4]], [[6, 2, 0]], [[3, 1, 4]]],
        "none": [[[0], [1], [5], [2], [3], [4]], [[6], [2], [0]], [[3], [1], [4]]],
    }


def test_clusterings_are_held_against_the_first(network, images):
    options = {"n_classes": N_CLASSES, "steps": STEPS}
    frame = compare_clusterings(network, images, INDEX, clusterings(), settings("grad-cam"), **options)
    assert set(frame.columns) == set(evaluation.CLUSTERING_COLUMNS)
    assert not frame.duplicated(["index", "class", "clustering", "metric"]).any()
    alike = frame[frame["metric"] == "same-map"].set_index(["clustering", "index", "class"])["value"].sort_index()
    labels = {
        (number, label) for number, groups in zip(INDEX.tolist(), CLUSTERS) for group in groups for label in group
    }
    maps = {
        name: {
            (number, label): maps_of(network, x, groups, settings("grad-cam"), number)["cwox-2s", label]
            for x, groups, number in zip(images, of_images, INDEX.tolist())
            for group in groups
            for label in group
        }
        for name, of_images in clusterings().items()
    }
    for name, own in maps.items():
        assert set(alike[name].index) == labels == set(own)
        for key, map in own.items():
            both = np.stack([map.numpy().ravel(), maps["own"][key].numpy().ravel()]).astype(float)
            constant = (both.std(1) == 0).any()
            expected = np.nan if constant else np.corrcoef(both)[0, 1]
            assert alike[name][key] == pytest.approx(expected, abs=1e-4, nan_ok=True)
    assert alike["own"].dropna().tolist() == pytest.approx([1.0] * alike["own"].notna().sum(), abs=1e-9)
    assert alike["own"].notna().any() and alike["none"].dropna().min() < 0.99
    pd.testing.assert_series_equal(alike["same"], alike["own"])


def test_clusterings_drop_is_that_of_the_two_stages_for_classes_with_rivals_there(network, images, score, shown):
    options = {"n_classes": N_CLASSES, "steps": STEPS}
    frame = compare_clusterings(network, images, INDEX, clusterings(), settings("grad-cam"), **options)
    drops = frame[frame["metric"] == "cdrop"].set_index(["clustering", "index", "class"])["value"]
    assert set(drops.index.get_level_values("clustering")) == {"own", "same", "all"}  # none has no pair
    expected = by_key(score(shown, bases(names=["grad-cam"])), "cdrop").xs("cwox-2s", level="method").droplevel("base")
    np.testing.assert_allclose(drops["own"].reindex(expected.index), expected, rtol=1e-4, atol=1e-6)
    assert len(drops["own"]) == len(PAIRS) and len(drops["all"]) == 6 + 3 + 3
    whole = replace(shown, clusters=clusterings()["all"])
    expected = by_key(score(whole, bases(names=["grad-cam"])), "cdrop").xs("cwox-2s", level="method").droplevel("base")
    np.testing.assert_allclose(drops["all"].reindex(expected.index), expected, rtol=1e-4, atol=1e-6)


def test_a_constant_map_has_no_correlation():
    map = torch.arange(4.0).reshape(2, 2)
    assert evaluation._correlation(map, -2 * map + 3) == pytest.approx(-1)
    assert evaluation._correlation(map, 5 * map) == pytest.approx(1)
    assert np.isnan(evaluation._correlation(map, torch.ones(2, 2)))
    assert np.isnan(evaluation._correlation(torch.zeros(2, 2), map))


def test_curves_follow_a_class_and_its_rivals_up_to_the_maps_salient_pixels(network, images):
    generator = torch.Generator().manual_seed(5)
    maps = {"a": torch.rand(16, 16, generator=generator), "b": torch.rand(16, 16, generator=generator) ** 8}
    maps["empty"] = torch.zeros(16, 16)
    frame = curves(network, images[:1], maps, 2, [3, 6], n_classes=N_CLASSES)
    assert set(frame.columns) == {"method", "removed", "target", "rivals", "score"}
    assert list(frame["method"].unique()) == ["a", "b", "empty"]
    for method, map in maps.items():
        rows, last = frame[frame["method"] == method], int(salient_pixels(map[None])[0])
        assert len(rows) == min(last, 48) + 1
        assert rows["removed"].iloc[0] == 0 and rows["removed"].iloc[-1] == last / 256
        assert rows["removed"].is_monotonic_increasing
        order = map.flatten().argsort(descending=True)
        for row in rows.itertuples():
            x = images[0].clone().flatten(1)
            x[:, order[: round(row.removed * 256)]] = 0
            with torch.no_grad():
                probabilities = network(x.reshape(1, 3, 16, 16)).softmax(1)[0]
            assert row.target == pytest.approx(float(probabilities[2]), rel=1e-4)
            assert row.rivals == pytest.approx(float(probabilities[3] + probabilities[6]), rel=1e-4)
            assert row.score == pytest.approx(row.target * (1 - row.rivals), rel=1e-5)
    assert int(salient_pixels(maps["a"][None])[0]) > 48 > int(salient_pixels(maps["b"][None])[0])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_gives_the_same_scores(network, images, score, another):
    differing = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(2)) > 0.7
    parts = (differing, [(4, 2), None, (3, 1)])
    expected = in_order(score(Images(images, INDEX, CLUSTERS, *parts), bases(), observed_by=another))
    options = {"n_classes": N_CLASSES, "steps": STEPS}
    clusters = compare_clusterings(network, images, INDEX, clusterings(), settings("grad-cam"), **options)
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        moved = Images(images.cuda(), INDEX.cuda(), CLUSTERS, differing.cuda(), parts[1])
        network.cuda(), another.cuda()
        found = in_order(score(moved, bases(), observed_by=another))
        compared = compare_clusterings(network, moved.x, moved.index, clusterings(), settings("grad-cam"), **options)
        frame = curves(network, moved.x[:1], {"a": differing[0].float().cuda()}, 2, [3, 6], n_classes=N_CLASSES)
    finally:
        torch.backends.cudnn.allow_tf32 = allowed
    labels = [name for name in found.columns if name != "value"]
    pd.testing.assert_frame_equal(found[labels], expected[labels])
    smooth = (found["base"] == "grad-cam") & found["metric"].isin(("cauc", "cdrop", "part-energy"))
    np.testing.assert_allclose(found["value"][smooth], expected["value"][smooth], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(compared["value"], clusters["value"], rtol=1e-3, atol=1e-4)
    assert len(frame) == 49
