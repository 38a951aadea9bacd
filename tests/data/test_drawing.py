import math

import pytest
import torch
from torch.nn import functional

from xai_lib.data import drawing, objects, planted
from xai_lib.data.drawing import Layer, Pose

ROLES = ("main", "light", "shade", "dark", "wood", "cream", "white", "teal", "glass")
N = 40


def poses(n=N):
    u = torch.rand(6, n, generator=torch.Generator().manual_seed(0))
    mirror = torch.where(u[5] < 0.5, 1.0, -1.0)
    return Pose(0.3 + 0.4 * u[0], 0.3 + 0.4 * u[1], 0.2 + 0.1 * u[2], 0.6 * u[3] - 0.3, 0.8 + 0.4 * u[4], mirror)


def silhouette(name, size, pose):
    """The object in white on black: what it covers as painted [B,H,W], and its mask."""
    canvas = torch.zeros(len(pose.x), 3, size * size)
    where = drawing.patch(pose, size, 1.4)
    white = dict.fromkeys(ROLES, torch.ones(len(pose.x), 3))
    covered, part = drawing.paint(canvas, where, getattr(objects, name)(where.u, where.v), white)
    return canvas.view(-1, 3, size, size), drawing.to_mask(covered, where, size), drawing.to_mask(part, where, size)


@pytest.mark.parametrize("name", planted.CLASSES + planted.UNSEEN_CLASSES)
def test_a_mask_is_where_the_object_covers_half_a_pixel_and_agrees_with_a_finer_drawing(name):
    painted, mask, part = silhouette(name, 32, poses())
    assert torch.equal(mask, painted[:, 0] >= 0.5)
    assert torch.equal(painted[:, 0], painted[:, 2])
    assert not (part & ~mask).any()
    fine, _, _ = silhouette(name, 256, poses())
    coverage = functional.avg_pool2d(fine[:, 0], 8)
    assert abs(float(mask.sum() / coverage.sum()) - 1) < 0.05
    assert (mask != (coverage >= 0.5)).sum() / mask.sum() < 0.06
    assert (painted[:, 0] - coverage).abs().mean() < 0.01


@pytest.mark.parametrize("pair", planted.LOOK_ALIKE_PAIRS)
def test_look_alikes_share_every_layer_but_the_part(pair):
    where = drawing.patch(poses(), 32, 1.4)
    shared = [[x for x in getattr(objects, name)(where.u, where.v) if not x.part] for name in pair]
    for first, second in zip(*shared, strict=True):
        assert first.role == second.role
        assert torch.equal(first.distance, second.distance)


def test_a_pose_turns_stretches_mirrors_and_places():
    """The tip of an arrow that points to the right, by hand."""
    half = math.tan(math.radians(30) / 2)
    for pose, tip in (
        ((0.5, 0.5, 0.2, 0.0, 1.0, 1.0), (0.7, 0.5)),
        ((0.4, 0.6, 0.1, 0.0, 1.0, 1.0), (0.5, 0.6)),
        ((0.5, 0.5, 0.2, 0.0, 1.0, -1.0), (0.3, 0.5)),
        ((0.5, 0.5, 0.2, 0.0, 1.2, 1.0), (0.74, 0.5)),
        ((0.5, 0.5, 0.2, half, 1.0, 1.0), (0.5 + 0.2 * math.cos(math.radians(30)), 0.5 + 0.2 * 0.5)),
    ):
        where = drawing.patch(Pose(*torch.tensor(pose)[:, None]), 100, 1.4)
        canvas = torch.zeros(1, 3, 100 * 100)
        dot = Layer(drawing.disc(where.u, where.v, 1.0, 0.0, 0.1), "main")
        drawing.paint(canvas, where, [dot], {"main": torch.ones(1, 3)})
        y, x = ((canvas.view(3, 100, 100)[0] > 0.5).nonzero().float().mean(0) + 0.5) / 100
        assert (float(x), float(y)) == pytest.approx(tip, abs=0.006)


def test_distances_are_distances():
    u, v = torch.meshgrid(torch.linspace(-1, 1, 41), torch.linspace(-1, 1, 41), indexing="xy")
    outline = torch.tensor([[0.5 * math.cos(t / 100), 0.5 * math.sin(t / 100)] for t in range(629)])
    to_circle = torch.cdist(torch.stack([u, v], 2).view(-1, 2), outline).amin(1).view(41, 41)
    torch.testing.assert_close(drawing.disc(u, v, 0.0, 0.0, 0.5).abs(), to_circle, atol=4e-3, rtol=0)
    torch.testing.assert_close(drawing.ring(u, v, 0.0, 0.0, 0.5, 0.1), to_circle - 0.1, atol=4e-3, rtol=0)
    corners = ((-0.4, -0.3), (0.4, -0.3), (0.4, 0.3), (-0.4, 0.3))
    torch.testing.assert_close(drawing.polygon(u, v, *corners), drawing.box(u, v, 0.0, 0.0, 0.4, 0.3))
    assert drawing.bar(u, v, (-0.5, 0.0), (0.5, 0.0), 0.1)[20, 40].item() == pytest.approx(0.4)
    assert drawing.box(u, v, 0.0, 0.0, 0.5, 0.5, 0.2)[40, 40].item() == pytest.approx(0.7 * math.sqrt(2) - 0.2)
