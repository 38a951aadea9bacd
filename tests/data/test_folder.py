import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from xai_lib import data as datasets
from xai_lib import your_images
from xai_lib.data import folder, imagenet
from xai_lib.data.images import FolderError, decoded


def draw(path, colour=(200, 40, 90), size=(32, 32)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


@pytest.fixture
def root(tmp_path):
    """Two classes, three training and two test images of each; every image has a colour of its own."""
    for part, n in (("train", 3), ("test", 2)):
        for label, name in enumerate(("cat", "dog")):
            for number in range(n):
                draw(tmp_path / part / name / f"{number:02}.png", (40 * number + 1, 100 * label, 7))
    return tmp_path


def problems(root, **arguments):
    with pytest.raises(FolderError) as error:
        folder.load(root, "train", **arguments)
    return str(error.value)


def test_images_labels_and_classes_come_in_the_order_of_their_names(root):
    split = folder.load(root, "train")
    assert split.classes == ("cat", "dog")
    assert split.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert split.images[:, 0, 0, 0].tolist() == [1, 41, 81, 1, 41, 81]
    assert split.images[:, 1, 5, 9].tolist() == [0, 0, 0, 100, 100, 100]
    assert split.masks == {}
    assert datasets.load(f"folder:{root}", "test").labels.tolist() == [0, 0, 1, 1]


def test_colour_statistics_are_those_of_the_training_part_for_both(root):
    train, test = folder.load(root, "train"), folder.load(root, "test")
    x = train.images.double() / 255
    assert train.mean == test.mean == pytest.approx(x.mean((0, 2, 3)).tolist())
    assert train.std[:2] == test.std[:2] == pytest.approx(x.std((0, 2, 3), correction=0).tolist()[:2])


def test_images_are_decoded_upright(root):
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by half
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    turned = root / "train" / "cat" / "00.png"
    Image.fromarray(pixels).save(turned, exif=exif)
    for size in (32, 16):
        image = folder.load(root, "train", size=size).images[0]
        assert torch.equal(image, decoded(turned, size))
        assert not torch.equal(image, decoded(Image.fromarray(pixels), size))


@pytest.fixture
def masked(root):
    """The same folder, each image with a mask of one pixel whose row is the image's number."""
    for image in [*root.glob("*/*/*.png")]:
        mask = np.zeros((32, 32), np.uint8)
        mask[int(image.stem), 3] = 255
        path = root / "masks" / image.relative_to(root)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path)
    return root


def test_masks_belong_to_their_images(masked):
    found = folder.load(masked, "train").masks["object"]
    assert found.nonzero().tolist() == [[i, i % 3, 3] for i in range(6)]


def test_masks_by_the_colours_of_imagenet_s(masked):
    """A class's number is red + 256 · green: 1 is an object, 0 is none, and 1000 marks what is neither."""
    for image in (masked / "masks" / "train").rglob("*.png"):
        mask = np.zeros((32, 32, 3), np.uint8)
        mask[0, :4] = (1, 0, 0), (232, 3, 0), (0, 1, 0), (231, 3, 0)
        Image.fromarray(mask).save(image)
    found = folder.load(masked, "train").masks["object"]
    assert found[:, 0, :5].tolist() == [[True, False, True, True, False]] * len(found)
    assert found.sum() == 3 * len(found)


def test_images_that_would_share_a_mask_are_named(masked):
    for name in ("00.PNG", "00.jpg"):
        draw(masked / "train" / "cat" / name)
    assert "Got train/cat/00: 3 images for one mask." in problems(masked)


def test_a_missing_or_broken_mask_is_named(masked):
    (masked / "masks" / "train" / "dog" / "01.png").unlink()
    (masked / "masks" / "test" / "cat" / "00.png").write_bytes(b"no image")
    message = problems(masked)
    assert "masks/train/dog/01.png" in message
    assert "masks/test/cat/00.png" in message
    assert "2 problems" in message


def test_masks_have_their_images_size_and_stand_as_these(masked):
    """A photograph that is turned by half or a quarter: its mask is turned with it, in any depth."""
    for number, turned in ((0, 3), (1, 6)):
        exif, wide, name = Image.Exif(), np.zeros((32, 48), np.uint16), f"train/cat/{number:02}.png"
        exif[0x0112], wide[:8, 8:16] = turned, 1  # above, left of the middle
        Image.fromarray(255 * wide.astype(np.uint8)).save(masked / name, exif=exif)
        Image.fromarray(wide).save(masked / "masks" / name)
    split = folder.load(masked, "train")
    for image, mask in zip(split.images[:2], split.masks["object"]):
        assert torch.equal(image[0] > 127, mask) and mask.sum() == 64
    assert split.masks["object"][0, 24:, 24:].any() and split.masks["object"][1, :8, 24:].any()
    for size, turned in (((16, 16), "16 x 16"), ((32, 48), "48 x 32")):
        Image.new("L", size).save(masked / name.replace("train", "masks/train"))
        assert f"masks/{name}: cannot be read ({turned} pixels where its image, upr" in problems(masked)


def test_every_fault_is_named_in_one_error(root):
    (root / "train" / "cat" / "notes.txt").write_text("no image")
    (root / "train" / "cat" / "broken.jpg").write_bytes(b"no image")
    whole = draw(root / "train" / "dog" / "cut.jpg", size=(64, 64)).read_bytes()
    (root / "train" / "dog" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "train" / "empty").mkdir()
    draw(root / "train" / "horse" / "00.png")
    draw(root / "test" / "bird" / "00.png")
    (root / "test" / "stray.png").write_bytes(b"")
    message = problems(root)
    for fault in (
        "train/cat/notes.txt: not an image",
        "train/cat/broken.jpg: cannot be read",
        "train/dog/cut.jpg: cannot be read",
        "train/empty: a class without images",
        "test/bird: a class that train/ lacks",
        "test/stray.png",
    ):
        assert fault in message


def test_more_faults_than_can_be_read_are_counted(root):
    for number in range(50):
        (root / "train" / "cat" / f"x{number:02}.jpg").write_bytes(b"no image")
    message = problems(root)
    assert "50 problems" in message
    assert message.count("\n") < 30
    assert "30 more" in message


def test_a_missing_part_is_named(root):
    (root / "test").rename(root / "elsewhere")
    assert "test/: there is no such folder" in problems(root)


READERS = {
    "load": lambda root: folder.load(root, "train").images,
    "in_files": lambda root: listed(root / "train").materialised().images,
    "imagenet": lambda root: imagenet.load(root / "train", size=32).materialised().images,
    "load_images": lambda root: your_images.load_images(root / "train", size=32, mean=(0, 0, 0), std=(1, 1, 1)).images,
    "load_images of parts": lambda root: your_images.load_images(root, size=32, mean=(0, 0, 0), std=(1, 1, 1)).images,
    "pictures": lambda root: your_images.pictures(next((root / "train").glob("[cn]*")), 28)[0],
}


@pytest.fixture(params=READERS)
def reader(request, root):
    """A reader and a folder that it reads."""
    if request.param == "imagenet":
        for path in root.glob("*/*"):
            path.rename(path.with_name({"cat": "n00000001", "dog": "n00000002"}[path.name]))
    return lambda: READERS[request.param](root)


def strays(root):
    for folder_ in (root, *root.glob("*"), *root.glob("*/*")):
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", ".hidden.png", "ehthumbs.db", "._00.png"):
            (folder_ / name).write_bytes(b"whatever")
        (folder_ / "@eaDir").mkdir()


def test_strays_are_passed_over_and_links_followed_by_every_reader(reader, root):
    images = reader()
    strays(root)
    assert torch.equal(reader(), images)
    for path in [*root.glob("*/[cdn]*")]:
        path.rename(root.parent / f"{root.name}-{path.parent.name}-{path.name}")
        path.symlink_to(root.parent / f"{root.name}-{path.parent.name}-{path.name}")
    assert torch.equal(reader(), images)
    for file in root.glob("*/*/[0-9]*"):
        draw(file, (7, 7, 7))
    assert not torch.equal(reader(), images)  # the files behind the links are others


def loop(path):
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("x.png", lambda path: path.symlink_to("nowhere"), r"x\.png: cannot be reached: the link leads nowhere"),
        ("x.png", loop, r"x\.png: cannot be reached: the link leads nowhere"),
        ("x", lambda path: path.symlink_to(".."), "x: a folder where only images"),
        ("x.png", lambda path: os.mkfifo(path), r"x\.png: not an image"),
        ("x.heic", lambda path: path.touch(), r"x\.heic: a HEIC or AVIF image: save it as"),
        ("a\x1b[31m\n.txt", lambda path: path.touch(), r"a\\x1b\[31m\\n\.txt: not an image"),
        (os.fsdecode(b"caf\xe9.txt"), lambda path: path.touch(), r"caf\\udce9\.txt: not an image"),
    ],
)
def test_every_reader_names_what_is_no_image(reader, root, name, make, message):
    for path in root.glob("*/[cn]*"):
        make(path / name)
    with pytest.raises(FolderError, match=message) as error:
        reader()
    assert all(line.isprintable() for line in str(error.value).split("\n"))


def test_names_that_are_no_utf_8_are_read(reader, root):
    for file in [*root.glob("*/*/00.png")]:
        file.rename(file.with_name(os.fsdecode(b"caf\xe9.png")))
    assert len(reader()) in (2, 3, 4, 6)
    (root / "train/dog").exists() and (root / "train/dog").rename(root / "train" / os.fsdecode(b"\xe9\x1b"))
    (root / "test/dog").exists() and (root / "test/dog").rename(root / "test" / os.fsdecode(b"\xe9\x1b"))
    if (root / "train/cat").exists():
        assert listed(root / "train").classes == ("cat", "\\udce9\\x1b")
        reader()


def test_folders_without_permission_are_named(reader, root, monkeypatch):
    iterdir = Path.iterdir

    def refused(path):
        if path.name in ("cat", "n00000001"):
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(FolderError, match=r"(cat|n00000001): Permission denied"):
        reader()


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_without_a_test_folder_the_validation_images_are_the_test_part(masked, name):
    expected = folder.load(masked, "test")
    for path in (masked, masked / "masks"):
        (path / "test").rename(path / name)
    found = folder.load(masked, "test")
    assert torch.equal(found.images, expected.images)
    assert torch.equal(found.masks["object"], expected.masks["object"]) and found.masks["object"].any()
    (masked / name / "dog").rename(masked / name / "cow")
    assert f"{name}/cow: a class that train/ lacks" in problems(masked)


def test_the_digest_tells_contents_and_names_apart(root):
    digests = [folder.load(root, "train").digest, folder.load(root, "test").digest]
    draw(root / "train" / "cat" / "00.png", (1, 2, 3))
    digests.append(folder.load(root, "train").digest)
    (root / "train" / "cat" / "00.png").rename(root / "train" / "cat" / "000.png")
    digests.append(folder.load(root, "train").digest)
    assert len(set(digests)) == 4
    assert folder.load(root, "train").digest == digests[-1]


def test_a_folder_that_changed_is_read_again(root):
    assert len(folder.load(root, "train")) == 6
    draw(root / "train" / "cat" / "99.png")
    digest = folder.load(root, "train").digest
    assert len(folder.load(root, "train")) == 7
    state = (root / "train/cat/99.png").stat()
    content = (root / "train/cat/99.png").read_bytes()
    draw(root / "train/cat/99.png", (200, 40, 91))  # as large, and as old
    assert len((root / "train/cat/99.png").read_bytes()) == len(content)
    os.utime(root / "train/cat/99.png", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert folder.load(root, "train").digest != digest


def test_an_unknown_part_is_refused(root):
    with pytest.raises(ValueError, match="Got 'validation'"):
        folder.load(root, "validation")


def listed(root, size=32):
    return folder.in_files(root, size=size, shorter=40)


def test_a_listing_is_sorted_and_its_digest_sees_names_sizes_and_resolution(tmp_path):
    for name in ("b/2.png", "b/1.JPEG", "a/9.jpg", ".hidden/1.png", "b/.DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"four")
    (tmp_path / "classes.txt").write_text("a")
    found = listed(tmp_path)
    assert [file.relative_to(tmp_path).as_posix() for file in found.images.paths] == ["a/9.jpg", "b/1.JPEG", "b/2.png"]
    assert (found.classes, found.labels.tolist()) == (("a", "b"), [0, 1, 1])
    digests = [found.digest, listed(tmp_path, 33).digest]
    assert listed(tmp_path).digest == found.digest
    (tmp_path / "b" / "2.png").write_bytes(b"fives")
    digests.append(listed(tmp_path).digest)
    (tmp_path / "b" / "2.png").write_bytes(b"fourth"[1:])  # as large
    digests.append(listed(tmp_path).digest)
    (tmp_path / "b" / "2.png").rename(tmp_path / "b" / "3.png")
    digests.append(listed(tmp_path).digest)
    assert len(set(digests)) == 5


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "Got no folders."),
        (["1.jpg", "2.jpg"], "but 2 loose images: sort them into folders"),
        (["a/1.png", "b/"], "Got b: a class without images"),
        (["a/1.png", "a/notes.txt"], "Got a/notes.txt: not an image"),
        (["a/x/1.png"], "Got a/x: a folder where only images are expected"),
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
        with pytest.raises(ValueError, match=f"size as a whole number of at least 1. Got {size}"):
            listed(tmp_path, size)
