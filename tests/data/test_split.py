from dataclasses import replace

import pandas as pd
import pytest
import torch

from xai_lib.data.split import Split, first_of_each_class


def a_split(n=7, side=4):
    generator = torch.Generator().manual_seed(0)
    return Split(
        images=torch.randint(0, 256, (n, 3, side, side), dtype=torch.uint8, generator=generator),
        labels=torch.arange(n) % 2,
        classes=("a", "b"),
        index=torch.arange(n) + 100,
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.25, 0.5),
        name="made up",
        part="test",
        source="0" * 64,
        masks={"object": torch.rand(n, side, side, generator=generator) < 0.5},
        factors=pd.DataFrame({"number": range(n)}),
    )


def test_normalise_is_the_formula_for_bytes_and_for_floats():
    split = a_split()
    x = split.normalise(split.images)
    assert x.dtype == torch.float32
    assert x[2, 1, 3, 0].item() == pytest.approx((split.images[2, 1, 3, 0].item() / 255 - 0.4) / 0.25, abs=1e-6)
    floats = split.images / 255
    kept = floats.clone()
    torch.testing.assert_close(split.normalise(floats), x)
    assert torch.equal(floats, kept)


def test_a_subset_keeps_its_pieces_together_and_has_its_own_digest():
    split = a_split()
    subset = split.subset([5, 0, 3])
    for name in ("images", "labels", "index"):
        assert torch.equal(getattr(subset, name), getattr(split, name)[[5, 0, 3]])
    assert torch.equal(subset.masks["object"], split.masks["object"][[5, 0, 3]])
    assert list(subset.factors["number"]) == [5, 0, 3]
    assert list(subset.factors.index) == [0, 1, 2]
    assert len({split.digest, subset.digest, split.subset([0, 5, 3]).digest, split.subset([5, 0]).digest}) == 4
    assert subset.digest == split.subset(torch.tensor([5, 0, 3])).digest


def test_images_are_the_same_however_they_were_chosen():
    """What a run of few images computed, one of more need not compute again."""
    split = a_split()
    assert split.subset([0, 1, 2, 3]).subset([2, 0]).identity == split.subset([2, 0]).identity
    assert split.subset(list(range(len(split)))).identity == split.identity


def test_batches_go_through_all_images_in_order():
    split = a_split()
    batches = list(split.batches(3))
    assert [len(batch.images) for batch in batches] == [3, 3, 1]
    for name in ("images", "labels", "index"):
        assert torch.equal(torch.cat([getattr(batch, name) for batch in batches]), getattr(split, name))
    with pytest.raises(ValueError, match="batch size of at least 1"):
        next(split.batches(0))


def test_the_first_of_each_class_is_found_in_any_order_and_where_classes_lack_images():
    labels = torch.tensor([4, 1, 1, 0, 4, 3])
    assert first_of_each_class(labels) == [3, 1, 5, 0]
    assert first_of_each_class(labels, 2) == [3, 1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_to_moves_every_tensor():
    moved = a_split().to("cuda")
    assert {t.device.type for t in (moved.images, moved.labels, moved.index, moved.masks["object"])} == {"cuda"}
    assert moved.subset([1, 2]).normalise(moved.images[:2]).device.type == "cuda"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.zeros(7, 3, 4, 4)}, "images as uint8"),
        ({"images": torch.zeros(7, 1, 4, 4, dtype=torch.uint8)}, "images as uint8"),
        ({"labels": torch.zeros(6, dtype=torch.int64)}, r"labels as int64 \[7\]"),
        ({"labels": torch.full((7,), 2)}, r"labels in \[0, 2\). Got 2 to 2"),
        ({"labels": torch.full((7,), -1)}, r"labels in \[0, 2\). Got -1 to -1"),
        ({"index": torch.zeros(7)}, r"index as int64 \[7\]"),
        ({"masks": {"objekt": torch.zeros(7, 4, 4, dtype=torch.bool)}}, "mask named object, part, second, shortcut"),
        ({"masks": {"object": torch.zeros(7, 4, 4)}}, r"mask 'object' as bool \[7,4,4\]"),
        ({"factors": pd.DataFrame({"number": range(3)})}, "factors with 7 rows. Got 3"),
    ],
)
def test_pieces_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(a_split(), **change)
