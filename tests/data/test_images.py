import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional

from xai_lib.data.images import UNREADABLE, decoded


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
    assert decoded(mask, 20, mode="L").shape == (1, 20, 20)
    assert decoded(mask, 20, mode="L").unique().tolist() == [0, 255]


def test_photographs_are_turned_only_if_that_is_asked_for(photograph, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by half
    photograph.save(tmp_path / "turned.png", exif=exif)
    as_stored = decoded(photograph, 20)
    assert torch.equal(decoded(tmp_path / "turned.png", 20), as_stored)
    turned = decoded(tmp_path / "turned.png", 20, upright=True)
    assert (turned.int() - as_stored.flip(1, 2).int()).abs().max() <= 1


@pytest.mark.parametrize("content", [b"", b"not an image", "cut"])
def test_what_is_no_whole_image_raises_what_callers_catch(photograph, tmp_path, content):
    photograph.save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:200] if content == "cut" else content)
    with pytest.raises(UNREADABLE):
        decoded(tmp_path / "a.png", 20)
