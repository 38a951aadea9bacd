import os
import unicodedata

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional

from xai_lib import data as datasets
from xai_lib import your_images
from xai_lib.data.images import FolderError

MEAN, STD = (0.1, 0.2, 0.3), (0.5, 0.25, 0.2)


def draw(path, red):
    path.parent.mkdir(parents=True, exist_ok=True)
    wide = np.zeros((30, 60, 3), np.uint8)
    wide[:, 20:40] = (red, 255, 0)
    Image.fromarray(wide).save(path)


@pytest.fixture
def plain(tmp_path):
    """Two images of dogs and three of cats, wide, with a green stripe in the middle."""
    for number in range(5):
        draw(tmp_path / "plain" / ("cat" if number < 3 else "dog") / f"{number}.png", 10 * number)
    return tmp_path / "plain"


@pytest.fixture
def parts(tmp_path):
    for part, red in (("train", 0), ("test", 50)):
        for number, name in enumerate(("cat", "dog")):
            draw(tmp_path / "parts" / part / name / "1.png", red + 10 * number)
    return tmp_path / "parts"


def load(root, **arguments):
    return your_images.load_images(root, **({"size": 20, "mean": MEAN, "std": STD} | arguments))


def test_a_plain_folder_is_one_test_part_in_memory_at_any_size(plain):
    split = load(plain)
    assert isinstance(split, datasets.Split)
    assert split.images.shape == (5, 3, 20, 20)
    assert split.images[:, 0, 10, 10].tolist() == [0, 10, 20, 30, 40]
    # the shorter side becomes 20 and the central 20 of 40 columns stay: the stripe is a third of 40, in their middle
    assert (split.images[:, 1] > 127).sum(2).unique().tolist() == [14]
    assert (split.classes, split.labels.tolist()) == (("cat", "dog"), [0, 0, 0, 1, 1])
    assert (split.part, split.mean, split.std) == ("test", MEAN, STD)


def test_a_photograph_stands_upright_wherever_it_is_read(tmp_path):
    pixels, exif = np.zeros((40, 40, 3), np.uint8), Image.Exif()
    pixels[:20], exif[0x0112] = 255, 3  # white above, turned by half
    for name in ("plain/cat", "parts/test/cat", "parts/test/dog", "parts/train/cat", "parts/train/dog"):
        (tmp_path / name).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / name / "1.jpg", exif=exif)
    found = [load(tmp_path / name, size=40).images[0] for name in ("plain", "parts")]
    found.append((your_images.picture(tmp_path / "plain/cat/1.jpg", 35) * 255).to(torch.uint8))
    for image in found:
        assert image[:, :15].max() < 20 and image[:, -15:].min() > 235


def test_of_train_and_test_the_test_part_is_taken(parts):
    split = load(parts)
    assert split.images[:, 0, 10, 10].tolist() == [50, 60]
    assert (split.part, split.mean, split.std) == ("test", MEAN, STD)


@pytest.mark.parametrize("held", [("train", "val"), ("train", "validation"), ("val",), ("test",)])
def test_the_test_part_may_have_another_name_or_stand_alone(parts, held):
    expected = load(parts)
    (parts / "test").rename(parts / held[-1])
    if len(held) == 1:
        (parts / "train").rename(parts.parent / "elsewhere")
    found = load(parts)
    assert found.classes == expected.classes
    assert (found.images.int() - expected.images).abs().max() <= 1


def test_a_class_may_be_called_like_a_part(plain):
    (plain / "cat").rename(plain / "test")
    assert load(plain).classes == ("dog", "test")
    (plain / "dog").rename(plain / "train")
    with pytest.raises(FolderError, match=r"train/3.png: an image where only folders of classes"):
        load(plain)


@pytest.mark.parametrize("size", [0, -4, 16.0, "16"])
def test_sizes_are_whole_numbers_from_1(plain, parts, size):
    for read in (load, lambda root, **sizes: your_images.pictures(root / "cat", **sizes)):
        with pytest.raises(ValueError, match=f"size as a whole number of at least 1. Got {size!r}"):
            read(plain, size=size)
    for read in (lambda: load(parts, size=size), lambda: datasets.load(f"folder:{parts}", "test", size=size)):
        with pytest.raises(ValueError, match=f"size as a whole number of at least 1. Got {size!r}"):
            read()


@pytest.mark.parametrize(("root", "got"), [("", "an empty one"), ("  ", "an empty"), (202405, "int"), (None, "None")])
def test_a_path_is_a_text_that_is_not_empty(root, got):
    for read in (load, lambda root: your_images.pictures([root], 16)):
        with pytest.raises((ValueError, TypeError), match=rf"Expected (a folder|the path).* Got {got}"):
            read(root)
    with pytest.raises(ValueError, match="Got an empty one"):
        your_images.pictures("", 16)  # else the current folder


def test_what_was_done_to_images_is_said(plain):
    assert load(plain).remarks == ""
    Image.new("RGBA", (30, 30)).save(plain / "cat" / "clear.png")
    Image.new("RGB", (30, 30)).save(plain / "loose.png")
    assert load(plain).remarks == (
        "Images beside the folders of classes, which were left out: 1. Images with transparency, which lie on white: 1."
    )


@pytest.mark.parametrize("layout", ["plain", "parts"])
def test_labels_are_positions_among_the_networks_classes(layout, request):
    root = request.getfixturevalue(layout)
    split = load(root, classes=("dog", "bird", "cat"))
    assert split.classes == ("dog", "bird", "cat")
    assert split.labels.tolist() == [2, 2, 2, 0, 0][: len(split)] if layout == "plain" else [2, 0]
    assert split.digest != load(root).digest
    for classes in (("dog", "bird"), ("dog", "cat", "cat")):
        with pytest.raises(ValueError, match=r"exactly one of the network's .* Got cat\."):
            load(root, classes=classes)


def test_classes_are_found_by_numbers_and_however_an_accent_is_written(plain):
    for old, new in (("cat", "7"), ("dog", unicodedata.normalize("NFD", "café"))):
        (plain / old).rename(plain / new)
    split = load(plain, classes=(10, 7, unicodedata.normalize("NFC", "café")))
    assert split.classes == ("10", "7", "café") and sorted(set(split.labels.tolist())) == [1, 2]


def test_an_unusable_folder_is_explained(plain, tmp_path):
    (plain / "cat" / "notes.txt").write_text("x")
    with pytest.raises(FolderError, match=r"notes.txt"):
        load(plain)
    with pytest.raises(FolderError, match="no such folder"):
        load(tmp_path / "nowhere")


def test_another_normalisation_is_another_digest(plain):
    split = load(plain)
    pixels = (plain / "cat" / "0.png").read_bytes()
    draw(plain / "cat" / "0.png", 1)
    if len((plain / "cat" / "0.png").read_bytes()) == len(pixels):
        assert load(plain).digest != split.digest  # of another image of the same name and size
    (plain / "cat" / "0.png").write_bytes(pixels)
    assert your_images.with_normalisation(split, split.mean, split.std) is split
    other = your_images.with_normalisation(split, (0.4, 0.4, 0.4), STD)
    assert other.digest != split.digest
    assert other.mean == (0.4, 0.4, 0.4)
    assert torch.equal(other.images, split.images)
    assert load(plain).digest == split.digest != load(plain, std=(0.5, 0.5, 0.5)).digest
    for mean, std in ((MEAN, (0.1, 0.0, 0.1)), (MEAN, (0.1, 0.1)), ((124, 117, 104), STD), (0.5, STD), (MEAN, None)):
        with pytest.raises(ValueError, match=r"Expected (deviations above 0|three numbers in \[0, 1\])"):
            your_images.with_normalisation(split, mean, std)
        with pytest.raises(ValueError, match=r"Expected (deviations above 0|three numbers in \[0, 1\])"):
            your_images.normalised(torch.zeros(1, 3, 8, 8), mean, std)


def test_statistics_are_three_numbers_between_0_and_1():
    assert your_images.parse_statistics("0.485,0.456, 0.406") == (0.485, 0.456, 0.406)
    assert (
        your_images.parse_statistics("0, 1, .5") == your_images.parse_statistics(np.array([0, 1, 0.5])) == (0, 1, 0.5)
    )
    x = torch.rand(1, 3, 8, 8)
    expected = your_images.normalised(x, (0.5, 0.25, 0), (0.5, 1, 1))
    assert torch.equal(your_images.normalised(x, "0.5, 0.25, 0", "0.5,1,1"), expected)
    for text in (
        "",
        "0.5",
        "0.1,0.2",
        "0.1,0.2,0.3,0.4",
        "124,117,104",
        "a,b,c",
        "0.1,nan,0.2",
        "-0.1,0,0",
        0.5,
        None,
        [0.5],
    ):
        with pytest.raises(ValueError, match="Expected three numbers"):
            your_images.parse_statistics(text)


def test_class_names_come_from_a_file_or_a_text(tmp_path):
    file = tmp_path / "names.txt"
    file.write_text("tench, a fish\nWelsh corgi \n\n", encoding="utf-8")
    assert your_images.class_names(file) == your_images.class_names(str(file)) == ("tench, a fish", "Welsh corgi")
    assert your_images.class_names("cat, dog,bird") == ("cat", "dog", "bird")
    file.rename(tmp_path / "my, names.txt")
    assert your_images.class_names(str(tmp_path / "my, names.txt")) == ("tench, a fish", "Welsh corgi")
    assert len(your_images.class_names(", ".join(f"class {number}" for number in range(1000)))) == 1000
    for nowhere in (str(tmp_path / "nowhere.txt"), str(tmp_path / "my, classes.txt"), 3):
        with pytest.raises(FileNotFoundError, match=r"Got '.*(nowhere.txt|classes.txt|3)', which is neither"):
            your_images.class_names(nowhere)
    for content, names in ((b"\xef\xbb\xbfcat\r\ndog", ("cat", "dog")), ("café\ncat".encode(), ("café", "cat"))):
        file.write_bytes(content)
        assert your_images.class_names(file) == names
    for encoding in ("cp1252", "utf-16", "utf-16-le"):
        file.write_bytes("café\ncat".encode(encoding))
        with pytest.raises(ValueError, match=r"UTF-8 in .*names.txt|none of them empty"):
            your_images.class_names(file)
    file.write_text("cat\n\ndog")
    for bad in (file, "cat,", "cat,,dog"):
        with pytest.raises(ValueError, match="none of them empty"):
            your_images.class_names(bad)
    file.write_text("cat\n")
    with pytest.raises(ValueError, match="at least two"):
        your_images.class_names(file)


def test_pictures_of_a_folder_of_files_and_of_a_tensor_are_the_same(tmp_path):
    for number in range(3):
        draw(tmp_path / "photos" / f"{number}.{'png' if number % 2 else 'bmp'}", 10 * number)
    (tmp_path / "photos" / ".hidden").write_text("x")
    files = sorted((tmp_path / "photos").glob("[0-9]*"))
    cut = [functional.center_crop(Image.open(file).resize((46, 23), 2), [20]) for file in files]  # 8/7 of 20
    expected = torch.stack([functional.pil_to_tensor(image) for image in cut])
    for source in (tmp_path / "photos", str(tmp_path / "photos"), files, list(map(str, files))):
        found, names = your_images.pictures(source, 20)
        assert torch.equal(found, expected / 255) and names == files
    for source in (expected, expected / 255):
        found, names = your_images.pictures(source, 20)
        assert torch.equal(found, expected / 255) and names is None


@pytest.fixture
def strange(tmp_path):
    """A file that is an image, one that is cut short, an empty folder."""
    draw(tmp_path / "whole.png", 0)
    (tmp_path / "short.png").write_bytes((tmp_path / "whole.png").read_bytes()[:60])
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        ("nowhere", FolderError, r"Expected a folder of images at .*nowhere. Got no such folder"),
        ("whole.png", FolderError, "Got a file: put it in a list"),
        ("", FolderError, r"only images .* Got empty: a folder where"),
        ("empty", FolderError, "Got an empty folder"),
        (["whole.png", "nowhere.png"], FileNotFoundError, r"Expected an image in .*nowhere.png"),
        (
            ["whole.png", "nowhere.png", "short.png"],
            FolderError,
            r"2 problems[^$]*nowhere.png[^$]*short.png: cannot be read",
        ),
        (["short.png"], ValueError, r"Expected an image in .*short.png. Got: "),
        ([np.zeros((8, 8, 3))], TypeError, r"Expected a folder, a list of files or a tensor.* Got ndarray"),
        (None, TypeError, "Expected a folder, a list of files or a tensor.* Got NoneType"),
        (3, TypeError, "Expected a folder, a list of files or a tensor.* Got int"),
        (torch.zeros(0, 3, 8, 8), ValueError, "Expected at least one image. Got none"),
        ([], ValueError, "Expected at least one image. Got none"),
        (torch.zeros(3, 8, 8), ValueError, r"Expected images \[N,3,H,W\]. Got shape \[3, 8, 8\]"),
        (torch.zeros(4, 1, 8, 8), ValueError, r"Expected an image \[3,H,W\]. Got shape \[1, 8, 8\]"),
        (torch.full((4, 3, 8, 8), -2.0), ValueError, "that are not normalised yet. Got torch.float32 from -2 to -2"),
    ],
)
def test_what_is_no_picture_is_named(strange, images, error, message):
    if isinstance(images, str):
        images = strange / images
    elif isinstance(images, list):
        images = [strange / image if isinstance(image, str) else image for image in images]
    with pytest.raises(error, match=message):
        your_images.pictures(images, 16)


@pytest.mark.parametrize("layout", ["plain", "parts"])
def test_images_replaced_by_others_of_the_same_name_size_and_time_are_another_digest(layout, request, tmp_path):
    root = request.getfixturevalue(layout)
    for path in root.rglob("*.png"):
        Image.open(path).save(path.with_suffix(".bmp"))
        path.unlink()
    before, file = load(root), next(root.glob("**/test/cat/1.bmp" if layout == "parts" else "cat/1.bmp"))
    state = file.stat()
    draw(file, 200)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert file.stat().st_size == state.st_size
    changed = load(root)
    assert not torch.equal(changed.images, before.images) and changed.digest != before.digest
