import numpy as np
import pytest
import torch
from PIL import Image

from xai_lib import data as datasets
from xai_lib.data import folder
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
        assert torch.equal(image, decoded(turned, size, upright=True))
        assert not torch.equal(image, decoded(turned, size))


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


def test_a_missing_or_broken_mask_is_named(masked):
    (masked / "masks" / "train" / "dog" / "01.png").unlink()
    (masked / "masks" / "test" / "cat" / "00.png").write_bytes(b"no image")
    message = problems(masked)
    assert "masks/train/dog/01.png" in message
    assert "masks/test/cat/00.png" in message
    assert "2 problems" in message


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
        "train/horse: a class that test/ lacks",
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


def test_files_of_operating_systems_are_passed_over(root):
    digest = folder.load(root, "train").digest
    for name in (".DS_Store", "train/.DS_Store", "train/cat/Thumbs.db", "test/dog/.hidden.png", "test/desktop.ini"):
        (root / name).write_bytes(b"whatever")
    assert folder.load(root, "train").digest == digest


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
    assert len(folder.load(root, "train")) == 7


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
