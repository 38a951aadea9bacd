import time

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional

from xai_lib.data import images
from xai_lib.data.images import Files, FolderError, decoded
from xai_lib.data.split import Split


@pytest.fixture
def photograph():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))


def test_the_central_square_is_resized_or_cut_from_the_resized_image(photograph):
    square = functional.pil_to_tensor(photograph.resize((20, 20), Image.Resampling.BILINEAR, (10, 0, 50, 40)))
    assert torch.equal(decoded(photograph, 20), square)
    smaller = functional.pil_to_tensor(photograph.resize((36, 24), Image.Resampling.BILINEAR))
    assert torch.equal(decoded(photograph, 20, shorter=24), smaller[:, 2:22, 8:28])
    whole = photograph.crop((0, 0, 40, 40))
    assert torch.equal(decoded(whole, 40), functional.pil_to_tensor(whole))


def test_masks_keep_their_values(photograph):
    mask = photograph.convert("L").point(lambda value: 255 * (value > 127))
    assert decoded(mask, 20, nearest=True).shape == (3, 20, 20)
    assert decoded(mask, 20, nearest=True).unique().tolist() == [0, 255]


def test_photographs_are_turned_only_if_that_is_asked_for(photograph, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by half
    photograph.save(tmp_path / "turned.png", exif=exif)
    as_stored = decoded(photograph, 20)
    assert torch.equal(decoded(tmp_path / "turned.png", 20), as_stored)
    turned = decoded(tmp_path / "turned.png", 20, upright=True)
    assert (turned.int() - as_stored.flip(1, 2).int()).abs().max() <= 1


def numbered(path, number, size=(40, 32)):
    """A file of noise whose red is its number."""
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    pixels[:, :, 0] = number
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def split(tmp_path):
    """Seven images of 20 pixels, whose red is their number."""
    paths = tuple(numbered(tmp_path / f"{number}.png", number) for number in range(7))
    return Split(
        images=Files(paths, size=20, shorter=24),
        labels=torch.tensor([0, 0, 1, 1, 2, 2, 2]),
        classes=("a", "b", "c"),
        index=torch.arange(7),
        mean=(0.5, 0.25, 0.0),
        std=(0.5, 0.5, 0.25),
        name="images",
        part="test",
        digest="ab",
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
    assert held.digest == split.digest
    assert len(held) == len(split) == 7


def test_a_subset_keeps_index_and_has_the_digest_of_a_split_in_memory(split):
    part = split.subset([5, 0, 2])
    held = split.materialised().subset([5, 0, 2])
    assert part.index.tolist() == [5, 0, 2]
    assert part.labels.tolist() == [2, 0, 1]
    assert part.digest == held.digest != split.digest
    assert torch.equal(part.materialised().images, held.images)


def test_pixels_come_on_the_device_of_the_files(split):
    moved = split.images.to("meta")
    assert next(moved.split(2)).device.type == "meta"
    assert split.images.device == "cpu"


def test_few_batches_are_decoded_ahead_and_none_after_the_reader_stops(split, monkeypatch):
    opened = []
    decode = Files._decoded

    def slowly(self, file):
        opened.append(file)
        time.sleep(0.02)
        return decode(self, file)

    monkeypatch.setattr(Files, "_decoded", slowly)
    batches = split.batches(1)
    next(batches)
    time.sleep(0.05)
    assert len(opened) == 1 + images._AHEAD
    monkeypatch.setattr(images, "THREADS", 1)
    monkeypatch.setattr(images, "_AHEAD", 5)
    batches = split.batches(1)
    next(batches)
    opened.clear()
    batches.close()
    assert len(opened) <= 1  # the one that was being decoded may have got on the list


@pytest.mark.parametrize("content", [b"", b"not an image", "cut"])
def test_a_file_that_is_no_whole_image_is_named(split, content):
    file = split.images.paths[4]
    file.write_bytes(file.read_bytes()[:200] if content == "cut" else content)
    with pytest.raises(FolderError, match=rf"Expected an image in .*{file.name}. Got: "):
        list(split.batches(3))
    assert len(split.subset([0, 1]).materialised()) == 2


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_grey_transparent_and_palette_images_become_rgb(split, mode):
    image = Image.new("RGB", (30, 30), (9, 9, 9)).convert(mode, palette=Image.Palette.ADAPTIVE)
    image.save(split.images.paths[0])
    assert (split.subset([0]).materialised().images == 9).all()
