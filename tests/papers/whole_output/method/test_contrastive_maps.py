import itertools
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional

from xai_lib.papers.whole_output.method import contrastive_maps
from xai_lib.papers.whole_output.method.base_maps import BASES, Base, base, maps
from xai_lib.papers.whole_output.method.contrastive_maps import (
    COARSE,
    FINE,
    METHODS,
    PERCENTILES,
    explain,
    released_subtracted,
    scout,
    support,
)

ALL = (*METHODS, FINE, COARSE)
INDEX = torch.tensor([4, 9, 2])
CLUSTERS = [[[0, 1], [5], [2, 3, 4]], [[6, 2, 0]], [[3], [1, 4]]]
settings = partial(base, layers=("coarse", "fine"), n_masks=40, n_samples=40)
every_base = pytest.mark.parametrize("name", BASES)
OWN = torch.tensor([[3.0, -1.0], [0.5, 2.0]])
REST = torch.tensor([[1.0, -4.0], [2.0, -2.0]])


def test_maps_may_be_stacked_and_scout_takes_each_maps_own_maximum():
    both = scout(torch.stack([OWN, OWN]), torch.stack([REST, 10 * REST]))
    assert torch.equal(both, torch.stack([scout(OWN, REST), 10 * scout(OWN, REST)]))
    generator = torch.Generator().manual_seed(0)
    own, rivals = torch.randn(2, 3, 5, 4, generator=generator), torch.randn(2, 3, 6, 5, 4, generator=generator)
    both = released_subtracted(own, rivals)
    assert both.shape == own.shape and torch.equal(both[1, 2], released_subtracted(own[1, 2], rivals[1, 2]))


def test_support_is_what_is_positive_and_as_released_above_a_percentile_and_never_where_the_map_is_zero():
    cluster_map = torch.tensor([[0.0, 1e-6], [2.0, 4.0]])
    assert support(cluster_map, "paper", "rise").tolist() == [[False, True], [True, True]]
    assert support(cluster_map, "paper", "rise", epsilon=0.5).tolist() == [[False, False], [False, True]]
    for variant in ("paper", "released"):
        assert not support(torch.zeros(3, 4, 4), variant, "lime").any()

    assert PERCENTILES == {"grad-cam": 50, "excitation-backprop": 60, "rise": 70, "lime": 85}
    maps = torch.randn(3, 9, 11, generator=torch.Generator().manual_seed(0)).relu()
    maps[2, 1:] = 0  # fewer positive values than any percentile leaves
    for name, percent in PERCENTILES.items():
        for one, where in zip(maps.numpy(), support(maps, "released", name).numpy()):
            assert np.array_equal(where, one > np.percentile(one, percent)) and not where[one == 0].any()
    with pytest.raises(ValueError, match=r"Expected variant as 'paper' or 'released'. Got 'ours'"):
        support(OWN, "ours", "rise")
    with pytest.raises(ValueError, match=r"Expected base as one of grad-cam, .*Got 'shap'"):
        support(OWN, "paper", "shap")
    for epsilon in (-0.1, 1.0):
        with pytest.raises(ValueError, match="Expected epsilon as a share"):
            support(OWN, "paper", "rise", epsilon=epsilon)


def by_loop(network, image, clusters, variant, epsilon):
    """Grad-CAM, both variants of Equations 1 and 2, and the baselines, one group and one pixel at a time."""

    def saliency(labels, stage):
        fine = network.fine(image[None])
        coarse = network.coarse(fine) if stage == "coarse" else None
        activations = (fine if coarse is None else coarse).detach().requires_grad_()
        logits = network.head((activations if stage == "coarse" else network.coarse(activations)).mean((2, 3)))[0]
        (gradient,) = torch.autograd.grad(sum(logits[label].exp() for label in labels).log(), activations)
        n_channels, height, width = activations.shape[1:]
        cam = torch.zeros(height, width)
        for k in range(n_channels):
            cam += gradient[0, k].mean() * activations[0, k].detach() / n_channels
        return functional.interpolate(cam[None, None], size=image.shape[1:], mode="bilinear")[0, 0]

    def contrast(own, rivals, stage):
        if rivals and variant == "paper":
            return (saliency(own, stage) - saliency(itertools.chain(*rivals), stage)).relu()
        return (max(1, len(rivals)) * saliency(own, stage) - sum(saliency(rival, stage) for rival in rivals)).relu()

    everyone = [[label] for cluster in clusters for label in cluster]
    cluster_maps, found = [], {method: {} for method in ALL}
    for cluster in clusters:
        cluster_map = contrast(cluster, [other for other in clusters if other != cluster], "coarse")
        cluster_maps.append(cluster_map)
        for label in cluster:
            edge = (epsilon * cluster_map.max() if cluster == [label] else 0) if variant == "paper" else None
            edge = np.percentile(cluster_map, 50) if edge is None else edge
            edge = -1 if variant == "paper" and len(clusters) == 1 else edge  # one cluster is one stage
            others = [other for other in everyone if other != [label]]
            own = found["swox"][label] = saliency([label], "coarse").relu()
            if not others:
                found |= {method: {label: own} for method in ALL}
                continue
            rest = saliency(itertools.chain(*others), "coarse").relu()
            found["cwox-1sa"][label] = contrast([label], others, "coarse")
            found["cwox-1sb"][label] = own * (rest.max() - rest)
            found[FINE][label] = contrast([label], others, "fine")
            for method, stage in (("cwox-2s", "fine"), (COARSE, "coarse")):
                within = contrast([label], [other for other in others if other[0] in cluster], stage)
                for i, j in np.ndindex(*within.shape):
                    within[i, j] = within[i, j] if cluster_map[i, j] > edge else 0
                found[method][label] = cluster_map if cluster == [label] and variant == "released" else within
    return torch.stack(cluster_maps), found


@pytest.mark.parametrize(("variant", "epsilon"), [("paper", 0.0), ("paper", 0.6), ("released", 0.0)])
def test_all_methods_equal_a_plain_loop(network, images, variant, epsilon):
    """Several clusters, one of a single class; a single cluster; a single class."""
    every_cluster = [*CLUSTERS[:2], [[3]]]
    how = {"base": settings("grad-cam"), "variant": variant, "methods": ALL, "epsilon": epsilon, "index": INDEX}
    outputs = explain(network, images, every_cluster, **how)
    assert any(0 < (output.cluster_maps > 0).float().mean() < 1 for output in outputs)
    for image, clusters, output in zip(images, every_cluster, outputs, strict=True):
        cluster_maps, class_maps = by_loop(network, image, clusters, variant, epsilon)
        torch.testing.assert_close(output.cluster_maps, cluster_maps, rtol=1e-4, atol=1e-6)
        assert list(output.class_maps) == list(ALL)
        for method in ALL:
            expected = torch.stack([class_maps[method][label] for label in output.classes])
            torch.testing.assert_close(output.class_maps[method], expected, rtol=1e-4, atol=1e-6)
            assert expected.any()


@every_base
def test_one_cluster_is_one_stage_and_two_by_two_have_two_settings_and_two_numbers_of_stages(network, images, name):
    """§1: "CWOX-2s reduces to CWOX-1s when there is only one confusion cluster"."""
    one, several = [[[6, 2, 0]]] * 3, [[[0, 1], [5], [2, 3, 4]]] * 3
    for output in explain(network, images, one, base=settings(name), methods=ALL, index=INDEX):
        assert torch.equal(output.class_maps["cwox-2s"], output.class_maps[FINE])
        assert torch.equal(output.class_maps[COARSE], output.class_maps["cwox-1sa"])
    for output in explain(network, images, several, base=settings(name), methods=ALL, index=INDEX):
        for two, stage in (("cwox-2s", FINE), (COARSE, "cwox-1sa")):
            assert not torch.equal(output.class_maps[two], output.class_maps[stage])
        assert torch.equal(output.class_maps[COARSE], output.class_maps["cwox-2s"]) == (name == "lime")


def test_epsilon_is_of_classes_alone_in_their_cluster(network, images):
    found = [
        explain(network, images, CLUSTERS, base=settings("rise"), epsilon=epsilon, index=INDEX)
        for epsilon in (0.0, 0.6)
    ]
    same = {
        (b, label): torch.equal(plain.class_map("cwox-2s", label), output.class_map("cwox-2s", label))
        for b, (plain, output) in enumerate(zip(*found))
        for label in plain.classes
    }
    alone = [(0, 5), (2, 3)]
    assert all(equal for key, equal in same.items() if key not in alone) and not all(same[key] for key in alone)


def test_classes_are_ranked_by_probability_and_equally_probable_ones_by_number(network, images):
    probabilities = network(images).softmax(1).detach()
    outputs = explain(network, images, CLUSTERS, base=settings("grad-cam"), index=INDEX)
    for clusters, output, p in zip(CLUSTERS, outputs, probabilities):
        assert output.clusters == clusters
        assert output.classes == sorted(itertools.chain(*clusters), key=lambda label: -float(p[label]))
        torch.testing.assert_close(output.probabilities, p[output.classes])
        assert torch.equal(output.class_map("swox", output.classes[1]), output.class_maps["swox"][1])
    network.head.weight.data[:] = network.head.weight.data[0]
    network.head.bias.data[:] = 0
    (output,) = explain(network, images[:1], [[[5, 3], [4]]], base=settings("grad-cam"), index=INDEX[:1])
    assert output.classes == [3, 4, 5]


@pytest.mark.parametrize("variant", ["paper", "released"])
@every_base
def test_images_are_explained_as_if_alone(network, images, name, variant):
    explained = partial(explain, network, base=settings(name), variant=variant, methods=ALL)
    together = explained(images, CLUSTERS, index=INDEX)
    other = explained(images, [[[0, 4, 6], [1, 2], [3, 5]], *CLUSTERS[1:]], index=INDEX)  # of the first image
    for b, output in enumerate(together):
        (alone,) = explained(images[b : b + 1], CLUSTERS[b : b + 1], index=INDEX[b : b + 1])
        assert_same(output, alone)
        if b:
            assert_same(output, other[b])


@pytest.mark.parametrize(
    ("methods", "second", "stages"),
    [
        (("swox", "cwox-1sa", "cwox-1sb"), "fine", ["first"]),
        (("cwox-2s",), "fine", ["first", "second"]),
        ((FINE,), "fine", ["first", "second"]),
        ((COARSE,), "fine", ["first"]),
        (ALL, "coarse", ["first"]),
    ],
)
def test_a_stage_that_is_not_needed_is_not_computed(network, images, monkeypatch, methods, second, stages):
    called = []

    def spy(model, x, base, stage, groups, **keywords):
        called.append(stage)
        return maps(model, x, base, stage, groups, **keywords)

    monkeypatch.setattr(contrastive_maps, "maps", spy)
    chosen = Base("grad-cam", {"layer": "coarse"}, {"layer": second}, "none")
    outputs = explain(network, images, CLUSTERS, base=chosen, methods=methods, index=INDEX)
    assert called == stages and list(outputs[0].class_maps) == list(methods)


def test_stages_of_the_same_settings_share_their_maps_and_another_seed_draws_other_masks(network, images):
    for output in explain(network, images, CLUSTERS, base=settings("lime"), methods=ALL, index=INDEX):
        assert torch.equal(output.class_maps[FINE], output.class_maps["cwox-1sa"])
        assert torch.equal(output.class_maps[COARSE], output.class_maps["cwox-2s"])
    explained = partial(explain, network, images, CLUSTERS, base=settings("rise"), index=INDEX)
    first, same, other = explained(seed=1), explained(seed=1), explained(seed=2)
    assert torch.equal(first[0].class_maps["swox"], same[0].class_maps["swox"])
    assert not torch.allclose(first[0].class_maps["swox"], other[0].class_maps["swox"])


@every_base
def test_several_clusterings_of_an_image_share_its_passes(network, images, name, monkeypatch):
    called = []
    monkeypatch.setattr(contrastive_maps, "maps", lambda *given, **how: called.append(1) or maps(*given, **how))
    others = [[[0], [1, 5], [2, 3, 4]], [[6], [2, 0]], [[3, 1, 4]]]
    how = {"base": settings(name), "methods": ALL, "index": INDEX}
    apart = [*explain(network, images, CLUSTERS, **how), *explain(network, images, others, **how)]
    passes, called[:] = len(called), []
    together = explain(network, images, [*CLUSTERS, *others], image=[0, 1, 2, 0, 1, 2], **how)
    assert 2 * len(called) == passes
    for one, other in zip(apart, together, strict=True):
        assert_same(one, other)
    with pytest.raises(ValueError, match=r"Expected clusters for each of at least 1 image, 3 in all"):
        explain(network, images, CLUSTERS, image=[0, 1, 1], **how)


@every_base
def test_the_network_is_left_as_it_was(network, images, name):
    network.train()
    network.coarse.eval()
    given = images.clone()
    with torch.inference_mode():
        explain(network, images, CLUSTERS, base=settings(name), index=INDEX)
    assert network.training and not network.coarse.training and torch.equal(images, given)
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("clusters", "how", "said"),
    [
        ([[[0, 1]]], {}, r"Expected clusters for each of at least 1 image, 3 in all. Got 1"),
        ([[[0, 1]], [[0], []], [[2]]], {}, r"no cluster empty. Got \[\[0\], \[\]\] for image 1"),
        ([[[0, 1]], [], [[2]]], {}, r"no cluster empty. Got \[\] for image 1"),
        ([[[0, 1], [1]], [[0]], [[2]]], {}, r"Expected each top class in one cluster, .* for image 0"),
        ([[[0, 1]], [[0]], [[2, 7]]], {}, r"Expected classes in 0 to 6. Got \[2, 7\] for image 2"),
        ([[[0, 1]], [[-1]], [[2]]], {}, r"Expected classes in 0 to 6. Got \[-1\] for image 1"),
        (CLUSTERS, {"methods": ("swox", "shap")}, r"Expected methods out of swox, .*Got shap"),
        (CLUSTERS, {"variant": "ours"}, r"Expected variant as 'paper' or 'released'. Got 'ours'"),
    ],
)
def test_what_cannot_be_explained_is_refused(network, images, clusters, how, said):
    with pytest.raises(ValueError, match=said):
        explain(network, images, clusters, base=settings("grad-cam"), index=INDEX, **how)


def assert_same(one, other):
    assert one.classes == other.classes
    parts = [[found.probabilities, found.cluster_maps, *found.class_maps.values()] for found in (one, other)]
    torch.testing.assert_close(*parts, rtol=1e-3, atol=1e-5)
