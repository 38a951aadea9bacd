import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import GoogLeNet_Weights, ResNet50_Weights

from xai_lib import data as datasets
from xai_lib.data import imagenet
from xai_lib.data.images import FolderError

WNIDS = [f"n{number:08}" for number in range(1000, 3000, 2)]


def picture(path, number=0, size=(50, 40), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (size[1] // 5, size[0] // 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(path, **options)
    return path


@pytest.fixture
def root(tmp_path):
    """Three of the thousand classes, two images each."""
    for position, wnid in enumerate([WNIDS[7], WNIDS[900], WNIDS[2]]):
        for number in range(2):
            picture(tmp_path / wnid / f"ILSVRC2012_val_{number:08}.JPEG", 2 * position + number)
    return tmp_path


def write_list(root, lines):
    (root / "classes.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("weights", [ResNet50_Weights.IMAGENET1K_V1, GoogLeNet_Weights.IMAGENET1K_V1])
@pytest.mark.parametrize("size", [(500, 375), (333, 500), (180, 170), (224, 224)])
def test_images_are_what_the_weights_own_preparation_makes_of_them(tmp_path, weights, size):
    file = picture(tmp_path / WNIDS[0] / "1.JPEG", 3, size)
    split = imagenet.load(tmp_path)
    expected = weights.transforms()(Image.open(file).convert("RGB"))
    batch = next(split.batches(1))
    assert batch.images.shape == (1, 3, 224, 224)
    assert torch.allclose(split.normalise(batch.images)[0], expected, atol=1e-6)


def test_colour_statistics_and_names_are_those_of_the_weights():
    weights = ResNet50_Weights.IMAGENET1K_V1
    assert list(imagenet.MEAN) == weights.transforms().mean
    assert list(imagenet.STD) == weights.transforms().std
    assert imagenet.CLASSES[:2] == ("tench", "goldfish")
    assert tuple(GoogLeNet_Weights.IMAGENET1K_V1.meta["categories"]) == imagenet.CLASSES


def test_a_thousand_folders_are_the_classes_in_their_order(tmp_path):
    blank = picture(tmp_path / "blank.png", size=(5, 5)).read_bytes()
    for wnid in WNIDS[::-1]:
        (tmp_path / wnid).mkdir()
        (tmp_path / wnid / "1.png").write_bytes(blank)
    split = datasets.load(f"imagenet:{tmp_path}", "test", size=8)
    assert len(split.classes) == 1000
    assert split.classes[0] == "tench"
    assert [file.parent.name for file in split.images.paths] == WNIDS
    assert split.labels.tolist() == list(range(1000))
    (tmp_path / "n99999999").mkdir()
    (tmp_path / "n99999999" / "1.png").write_bytes(blank)
    with pytest.raises(FolderError, match=r"at most 1000 class folders .* Got 1001"):
        imagenet.load(tmp_path)


def test_fewer_folders_count_as_all_classes(root):
    split = imagenet.load(root, size=16)
    assert split.classes == (WNIDS[2], WNIDS[7], WNIDS[900])
    assert split.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert (split.name, split.part, split.masks) == ("imagenet", "test", {})


def test_a_list_of_classes_gives_the_networks_numbers(root):
    write_list(root, [f"{wnid} some, names" for wnid in WNIDS])
    split = imagenet.load(root, size=16)
    assert split.labels.tolist() == [2, 2, 7, 7, 900, 900]
    assert split.classes == imagenet.CLASSES


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (WNIDS[:-1], "Got 999 lines"),
        (["tench", *WNIDS[1:]], "begins with 'tench'"),
        ([WNIDS[1], WNIDS[0], *WNIDS[2:]], "another order"),
        ([*WNIDS[:-1], WNIDS[0]], "names twice"),
        ([wnid for wnid in WNIDS if wnid != WNIDS[7]] + ["n99999999"], f"1 that are not, the first '{WNIDS[7]}'"),
    ],
)
def test_a_wrong_list_of_classes_is_refused(root, lines, message):
    write_list(root, lines)
    with pytest.raises(FolderError, match=message):
        imagenet.load(root)


def test_folders_may_be_below_val(root, tmp_path):
    (root / "val").mkdir()
    for wnid in (WNIDS[2], WNIDS[7], WNIDS[900]):
        (root / wnid).rename(root / "val" / wnid)
    write_list(root / "val", WNIDS)
    assert imagenet.load(root, size=16).labels.tolist() == [2, 2, 7, 7, 900, 900]


def test_the_digest_knows_files_labels_and_size(root):
    digest = imagenet.load(root, size=16).digest
    assert imagenet.load(root, size=16).digest == digest
    assert imagenet.load(root, size=17).digest != digest
    write_list(root, WNIDS)
    assert imagenet.load(root, size=16).digest != digest


def test_other_folders_parts_and_layouts_are_refused(root, tmp_path):
    with pytest.raises(FolderError, match=r"train\. Got no such folder"):
        datasets.load(f"imagenet:{root}", "train")
    with pytest.raises(ValueError, match="Expected no variant"):
        datasets.load(f"imagenet:{root}", "test", variant="corrupted")
    with pytest.raises(FolderError, match="no such folder"):
        datasets.load(f"imagenet:{root}/nowhere", "test")
    picture(root / "cats" / "1.png")
    with pytest.raises(FolderError, match="1 others, the first 'cats'"):
        imagenet.load(root)


def test_a_number_of_images_is_balanced_and_224_pixels_is_the_size_unless_named(root):
    split = datasets.load(f"imagenet:{root}", "test", n=3)
    assert split.labels.tolist() == [0, 1, 2]
    assert split.images.shape == (3, 3, 224, 224)
    assert datasets.load(f"imagenet:{root}", "test", n=1, size=16).materialised().images.shape == (1, 3, 16, 16)


def test_training_images_and_masks_stand_beside_validation_images(root):
    for part, wnid, number in (("train", WNIDS[2], 5), ("val", WNIDS[2], 6), ("val", WNIDS[7], 7)):
        picture(root / "all" / part / wnid / f"{number}.png", number, (40, 30))
    write_list(root / "all", WNIDS)
    training, images = (imagenet.load(root / "all", part, size=14) for part in ("train", "test"))
    assert (training.part, training.labels.tolist(), images.part, images.labels.tolist()) == (
        "train",
        [2],
        "test",
        [2, 7],
    )
    assert training.classes == images.classes == imagenet.CLASSES and training.digest != images.digest
    assert images.masks == {}
    object_mask = Image.new("L", (40, 30))
    object_mask.paste(255, (0, 0, 20, 30))  # the left half, which stays the left half of what is cut
    (root / "all" / "masks" / "val" / WNIDS[7]).mkdir(parents=True)
    object_mask.save(root / "all" / "masks" / "val" / WNIDS[7] / "7.png")
    masked = imagenet.load(root / "all", size=14)
    assert masked.digest != images.digest
    assert not masked.masks["object"][0].any()  # without a file
    assert masked.masks["object"][1].int().sum(1).tolist() == [6] * 14 and masked.masks["object"][1, :, :6].all()
    object_mask.crop((0, 0, 20, 20)).save(root / "all" / "masks" / "val" / WNIDS[7] / "7.png")
    with pytest.raises(FolderError, match=r"7\.png.* 20 x 20 pixels where its image, upright, has 40 x 30"):
        imagenet.load(root / "all", size=14)
    for number in (6, 7):  # every fault is named, and none of two images of one name gets the other's mask
        mask = root / "all" / "masks" / "val" / WNIDS[2 if number == 6 else 7] / f"{number}.png"
        mask.parent.mkdir(exist_ok=True)
        mask.write_bytes(b"no image")
    with pytest.raises(FolderError, match=r"(?s)6\.png.*7\.png"):
        imagenet.load(root / "all", size=14)
    picture(root / "all" / "val" / WNIDS[7] / "7.jpg", 8, (40, 30))
    with pytest.raises(FolderError, match=rf"{WNIDS[7]}/7: 2 images for one mask"):
        imagenet.load(root / "all", size=14)
