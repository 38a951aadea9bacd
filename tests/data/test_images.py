import resource
import time

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps, TiffImagePlugin
from torchvision.transforms import functional

from xai_lib.data import images
from xai_lib.data.images import Files, FolderError, decoded, decoded_mask, remarks
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


def test_masks_keep_their_values(photograph, tmp_path):
    photograph.save(tmp_path / "image.png")
    mask = photograph.convert("L").point(lambda value: 255 * (value > 127))
    mask.save(tmp_path / "mask.png")
    found = decoded_mask(tmp_path / "mask.png", tmp_path / "image.png", 20)
    assert found.shape == (3, 20, 20)
    assert found.unique().tolist() == [0, 255]


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
        source="ab",
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

    def slowly(file, **sizes):
        opened.append(file)
        time.sleep(0.02)
        return decoded(file, **sizes)

    monkeypatch.setattr(images, "decoded", slowly)
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
def test_files_that_are_no_whole_images_are_named_all_at_once(split, content):
    message = r"Expected an image in .*4\.png\. Got: "
    for number in (4, 6):
        file = split.images.paths[number]
        file.write_bytes(file.read_bytes()[:200] if content == "cut" else content)
        with pytest.raises(FolderError, match=message):
            list(split.batches(3))
        message = r"(?s)Got 2 problems.*4\.png: cannot be .*6\.png: cannot be "
    assert len(split.subset([0, 1]).materialised()) == 2


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_a_photograph_and_its_mask_stand_as_the_exif_data_say(photograph, tmp_path, suffix):
    photograph.save(tmp_path / "mask.png")
    for number in range(10):  # 0 and 9 say nothing
        exif, file, own = Image.Exif(), tmp_path / f"{number}.{suffix}", tmp_path / "own.png"
        exif[0x0112] = number
        photograph.save(file, exif=exif)
        photograph.save(own, exif=exif)
        with Image.open(file) as image, Image.open(own) as mask:
            assert torch.equal(decoded(file, 20), decoded(ImageOps.exif_transpose(image), 20))
            cut = ImageOps.fit(ImageOps.exif_transpose(mask), (20, 20), Image.Resampling.NEAREST)
        for name in ("mask.png", "own.png"):  # one that is turned with its image, and one that says the same itself
            assert torch.equal(decoded_mask(tmp_path / name, file, 20), functional.pil_to_tensor(cut))


@pytest.mark.parametrize(("kind", "odd"), [(2, "7"), (2, ""), (3, 9), (7, b"ab"), (12, 1.5)])
@pytest.mark.parametrize("tag", [0x011A, 0x8769, 0x0100, 0x9003, 0x0112])
def test_odd_exif_data_are_passed_over(photograph, tmp_path, tag, kind, odd):
    """A resolution, a further directory, … of another type; an orientation that can be read is heeded all the same."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype |= {0x0112: 3, tag: kind}
    tags.update({0x0112: 3} | {tag: odd})  # turned by half
    photograph.save(tmp_path / "odd.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0" + tags.tobytes(8))
    photograph.save(tmp_path / "plain.jpg")
    with Image.open(tmp_path / "plain.jpg") as plain:
        expected = plain.convert("RGB") if tag == 0x0112 else plain.transpose(Image.Transpose.ROTATE_180)
    assert torch.equal(decoded(tmp_path / "odd.jpg", 20), decoded(expected, 20))


def saved(path, image, **options):
    image.save(path, **options)
    return path


def test_sixteen_bits_are_scaled_by_257(tmp_path):
    wide = np.arange(1024).reshape(32, 32) % 256 * 257
    (tmp_path / "1.pgm").write_bytes(b"P5 32 32 65535\n" + wide.astype(">u2").tobytes())
    files = [saved(tmp_path / f"1.{kind}", Image.fromarray(wide.astype(np.uint16))) for kind in ("png", "tif")]
    for file in (*files, tmp_path / "1.pgm"):
        assert torch.equal(decoded(file, 32), torch.from_numpy(wide // 257).expand(3, 32, 32))
        assert remarks([file]) == "Images of 16 bits, which were scaled to 8: 1."
    inverse = {TiffImagePlugin.PHOTOMETRIC_INTERPRETATION: 0}  # white is 0
    file = saved(tmp_path / "inverse.tif", Image.fromarray(wide.astype(np.uint16)), tiffinfo=inverse)
    assert Image.open(file).tag_v2[262] == 0
    assert torch.equal(decoded(file, 32), torch.from_numpy(255 - wide // 257).expand(3, 32, 32))
    with pytest.raises(FolderError, match=r"float.tif. Got: pixels of 32 bits: save it with 8 or 16"):
        decoded(saved(tmp_path / "float.tif", Image.fromarray(wide.astype(np.float32))), 32)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB", "1"])
def test_what_is_transparent_lies_on_white_and_is_said(tmp_path, mode):
    has_alpha = mode in ("RGBA", "LA")
    image = Image.new("RGBA" if has_alpha else "RGB", (30, 30), (9, 9, 9, 0)[: 4 if has_alpha else 3])
    image = image.convert(mode, palette=Image.Palette.ADAPTIVE)
    clear = {} if has_alpha else {"transparency": {"RGB": (9, 9, 9), "L": 9}.get(mode, image.getpixel((0, 0)))}
    file = saved(tmp_path / "clear.png", image, **clear)
    assert (decoded(file, 10) == 255).all()
    assert remarks([file]) == "Images with transparency, which lie on white: 1."
    assert decoded_mask(file, file, 10).sum() == 0  # a mask is black there


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_of_several_pictures_the_first_is_taken_and_that_is_said(tmp_path, suffix):
    first, second = (Image.new("RGB", (30, 30), colour) for colour in ("red", "blue"))
    file = saved(tmp_path / f"many.{suffix}", first, save_all=True, append_images=[second])
    assert (decoded(file, 10).float() - torch.tensor([255.0, 0, 0])[:, None, None]).abs().max() <= 2
    assert remarks([file]) == "Images that are animated or have several pages, of which the first was taken: 1."


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGB"])
def test_grey_palette_and_print_colours_become_rgb_without_a_remark(tmp_path, mode):
    image = Image.new("RGB", (30, 30), (9, 9, 9)).convert(mode, palette=Image.Palette.ADAPTIVE)
    file = saved(tmp_path / f"1.{'jpg' if mode == 'CMYK' else 'png'}", image)
    assert (decoded(file, 10).int() - 9).abs().max() <= (mode == "CMYK") and remarks([file]) == ""


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("huge.pgm", b"P5 9000 5000 255 ", "more than 40 megapixels: make it smaller"),
        ("bomb.pgm", b"P5 20000 10000 255 ", "more than 40 megapixels: make it smaller"),
        ("phone.heic", b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", "a HEIC or AVIF image: save it as JPEG or PNG"),
        ("renamed.jpg", b"\0\0\0\x1cftypavif\0\0\0\0mif1avif", "a HEIC or AVIF image: save it as JPEG or PNG"),
        ("texture.png", "DDS", "none in a format that is read here .JPEG, PNG"),
    ],
)
def test_what_is_not_decoded_is_refused_by_name(photograph, tmp_path, name, content, message):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        photograph.save(tmp_path / name, content)
    with pytest.raises(FolderError, match=rf"{name}\. Got: {message}"):
        decoded(tmp_path / name, 32)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as the module does; pytest sets it back
def test_large_and_long_images_take_little_memory(tmp_path):
    """A phone's 108 megapixels are read at a half; of a long strip the middle is taken before it is made larger."""
    file = saved(tmp_path / "large.jpg", Image.new("L", (12000, 9000), 200))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (decoded(file, 32, shorter=40) == 200).all()
    for size in ((60000, 1), (1, 60000)):
        file = saved(tmp_path / "long.png", Image.new("L", size, 7))
        assert (decoded(file, 224, shorter=256) == 7).all()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # kilobytes
    saved(file := tmp_path / "progressive.jpg", Image.new("L", (9000, 5000)), progressive=True)  # takes it all
    with pytest.raises(FolderError, match="more than 40 megapixels"):
        decoded(file, 32)


@pytest.mark.parametrize("size", [0, -4, 16.0, True, "16", None])
def test_sizes_are_whole_numbers_from_1(photograph, size):
    for sizes in ({"size": size}, {"size": 16, "shorter": size}):
        if sizes != {"size": 16, "shorter": None}:
            with pytest.raises(ValueError, match=f"as a whole number of at least 1. Got {size!r}"):
                decoded(photograph, **sizes)
