"""A few hundred damaged images, the same at every run: each is decoded or named, and nothing else happens."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from xai_lib import your_images
from xai_lib.data.images import FileError, _attempt, decoded
from xai_lib.data.listing import FolderError

_TAGS = {0x0112: 6, 0x010F: "maker", 0x011A: (72, 1)}


def originals():
    """Suffix and bytes of small images in every format and depth that is read."""
    draws, exif = np.random.default_rng(0), Image.Exif()
    exif.update(_TAGS)
    exif.get_ifd(0x8769).update({0x9003: "2024:05:01 10:00:00", 0x829A: (1, 60)})
    picture = Image.fromarray(draws.integers(0, 256, (24, 30, 3), dtype=np.uint8))
    grey = Image.fromarray(draws.integers(0, 65536, (24, 30), dtype=np.uint16))
    for image, suffix, options in (
        (picture, "jpg", {"exif": exif}), (picture.convert("CMYK"), "jpg", {"progressive": True}),
        (picture, "png", {"exif": exif}), (grey, "png", {}), (picture.quantize(8), "png", {"transparency": 3}),
        (picture, "webp", {"exif": exif}), (picture.convert("LA"), "png", {}), (picture, "bmp", {}),
        (picture, "gif", {"save_all": True, "append_images": [picture.rotate(90)]}), (picture, "ppm", {}),
        (picture, "tif", {"exif": exif}), (grey, "tif", {"compression": "tiff_lzw"}),
    ):  # fmt: skip
        stream = io.BytesIO()
        image.save(stream, Image.registered_extensions()[f".{suffix}"], **options)
        yield suffix, stream.getvalue()


def damaged(content, draws):
    """The bytes with some changed, cut off, left out, repeated, or set to an extreme; more often near the start."""
    data, place = bytearray(content), int(len(content) * draws.random() ** 2)
    length, how = int(draws.integers(1, 24)), draws.integers(6)
    if how == 0:
        data[place] ^= 1 << int(draws.integers(8))
    elif how == 1:
        del data[place:]
    elif how == 2:
        del data[place : place + length]
    elif how == 3:
        data[place:place] = data[place : place + length]
    else:
        data[place : place + length] = (
            draws.bytes(length) if how == 4 else bytes([int(draws.choice([0, 255]))]) * length
        )
    return bytes(data)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, draws = tmp_path_factory.mktemp("damaged") / "class", np.random.default_rng(1)
    folder.mkdir()
    found = []
    for number, (suffix, content) in enumerate(originals()):
        for turn in range(35):
            found.append(folder / f"{number:02}-{turn:02}.{suffix}")
            found[-1].write_bytes(damaged(content, draws) if turn else content)
    return found


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_image_is_decoded_or_named(files):
    results = {file: _attempt(lambda file=file: decoded(file, 16, shorter=18)) for file in files}
    named = {file: error for file, error in results.items() if isinstance(error, FileError)}
    for file, result in results.items():
        if file in named:
            assert file.name in str(result) and str(result).isprintable()
        else:
            assert result.shape == (3, 16, 16) and result.dtype == torch.uint8
    assert len(files) / 4 < len(named) < len(files) and not any(file.stem.endswith("-00") for file in named)
    with pytest.raises(FolderError, match=f"Got {len(named)} problems") as error:
        your_images.load_images(files[0].parents[1], size=16, mean=(0.5,) * 3, std=(0.5,) * 3)
    assert all(file.name in str(error.value) for file in list(named)[:20])
