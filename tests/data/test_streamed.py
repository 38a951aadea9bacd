import time

import numpy as np
import pytest
import torch
from PIL import Image

from xai_lib.data import streamed
from xai_lib.data.images import FolderError
from xai_lib.data.streamed import StreamedSplit


def picture(path, number, size=(40, 32)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    pixels[:, :, 0] = number
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def split(tmp_path):
    """Seven images of 20 pixels, whose red is their number."""
    files = tuple(picture(tmp_path / f"{number}.png", number) for number in range(7))
    return StreamedSplit(
        files=files,
        labels=torch.tensor([0, 0, 1, 1, 2, 2, 2]),
        classes=("a", "b", "c"),
        index=torch.arange(7),
        mean=(0.5, 0.25, 0.0),
        std=(0.5, 0.5, 0.25),
        name="images",
        part="test",
        digest="ab",
        size=20,
        shorter=24,
    )


def test_batches_come_in_order_and_the_last_may_be_smaller(split):
    batches = list(split.batches(3))
    assert [len(batch.images) for batch in batches] == [3, 3, 1]
    together = torch.cat([batch.images for batch in batches])
    assert together.dtype == torch.uint8
    assert together.shape == (7, 3, 20, 20)
    assert together[:, 0].float().mean((1, 2)).tolist() == list(range(7))
    assert torch.cat([batch.labels for batch in batches]).tolist() == split.labels.tolist()
    assert torch.cat([batch.index for batch in batches]).tolist() == list(range(7))
    with pytest.raises(ValueError, match="batch size of at least 1"):
        next(split.batches(0))


def test_what_is_materialised_is_what_is_streamed(split):
    held = split.materialised()
    assert torch.equal(held.images, torch.cat([batch.images for batch in split.batches(2)]))
    for what in ("name", "part", "digest", "classes", "mean", "std", "factors", "masks"):
        assert getattr(held, what) == getattr(split, what), what
    x = split.normalise(held.images)
    assert torch.equal(x, held.normalise(held.images))
    assert torch.equal(split.denormalise(x), held.denormalise(x))
    assert len(held) == len(split) == 7


def test_a_subset_keeps_index_and_has_the_digest_of_a_split_in_memory(split):
    part = split.subset([5, 0, 2])
    held = split.materialised().subset([5, 0, 2])
    assert part.index.tolist() == [5, 0, 2]
    assert part.labels.tolist() == [2, 0, 1]
    assert part.digest == held.digest != split.digest
    assert torch.equal(part.materialised().images, held.images)


def test_batches_come_on_the_device_of_the_split(split):
    moved = split.to("meta")
    batch = next(moved.batches(2))
    assert {batch.images.device.type, batch.labels.device.type, batch.index.device.type} == {"meta"}
    assert split.labels.device.type == "cpu"


def test_few_batches_are_decoded_ahead_and_none_after_the_reader_stops(split, monkeypatch):
    opened = []
    decoded = StreamedSplit._decoded

    def slowly(self, file):
        opened.append(file)
        time.sleep(0.02)
        return decoded(self, file)

    monkeypatch.setattr(StreamedSplit, "_decoded", slowly)
    batches = split.batches(1)
    next(batches)
    time.sleep(0.05)
    assert len(opened) == 1 + streamed._AHEAD
    monkeypatch.setattr(streamed, "THREADS", 1)
    monkeypatch.setattr(streamed, "_AHEAD", 5)
    batches = split.batches(1)
    next(batches)
    opened.clear()
    batches.close()
    assert len(opened) <= 1  # the one that was being decoded may have got on the list


@pytest.mark.parametrize("content", [b"", b"not an image", "cut"])
def test_a_file_that_is_no_whole_image_is_named(split, content):
    file = split.files[4]
    file.write_bytes(file.read_bytes()[:200] if content == "cut" else content)
    with pytest.raises(FolderError, match=rf"Expected an image in .*{file.name}. Got: "):
        list(split.batches(3))
    assert len(split.subset([0, 1]).materialised()) == 2


def test_grey_images_become_rgb(split):
    Image.new("L", (30, 30), 9).save(split.files[0])
    assert (split.subset([0]).materialised().images == 9).all()


def listed(folder, size=32):
    return streamed.load(folder, size=size, shorter=40)


def test_a_listing_is_sorted_and_its_digest_sees_names_sizes_and_resolution(tmp_path):
    for name in ("b/2.png", "b/1.JPEG", "a/9.jpg", ".hidden/1.png", "b/.DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"four")
    (tmp_path / "classes.txt").write_text("a")
    found = listed(tmp_path)
    assert [file.relative_to(tmp_path).as_posix() for file in found.files] == ["a/9.jpg", "b/1.JPEG", "b/2.png"]
    assert (found.classes, found.labels.tolist()) == (("a", "b"), [0, 1, 1])
    digests = [found.digest, listed(tmp_path, 33).digest]
    assert listed(tmp_path).digest == found.digest
    (tmp_path / "b" / "2.png").write_bytes(b"fives")
    digests.append(listed(tmp_path).digest)
    (tmp_path / "b" / "2.png").rename(tmp_path / "b" / "3.png")
    digests.append(listed(tmp_path).digest)
    assert len(set(digests)) == 4


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "Got no folders."),
        (["1.jpg", "2.jpg"], "but 2 loose images: sort them into folders"),
        (["a/1.png", "b/"], "at least one, in .*b. Got an empty folder"),
        (["a/1.png", "a/notes.txt"], "1 other things, the first 'notes.txt'"),
        (["a/x/1.png"], "1 other things, the first 'x'"),
    ],
)
def test_a_folder_laid_out_otherwise_is_explained(tmp_path, names, message):
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if name.endswith("/") else path.write_bytes(b"x")
    with pytest.raises(FolderError, match=message):
        listed(tmp_path)


def test_a_missing_folder_and_a_wrong_size_are_refused(tmp_path):
    with pytest.raises(FolderError, match="Got no such folder"):
        listed(tmp_path / "nowhere")
    for size in (0, 2.5, None):
        with pytest.raises(ValueError, match=f"whole number of pixels. Got {size}"):
            listed(tmp_path, size)
