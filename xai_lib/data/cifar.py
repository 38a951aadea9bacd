"""CIFAR-10 and CIFAR-100 through torchvision, downloaded only when asked for and checked against its checksums."""

import hashlib
from pathlib import Path

import torch
from torchvision.datasets import CIFAR10, CIFAR100

from xai_lib.data.split import Split

_STATISTICS = {  # mean and deviation: contrastive paper §4.2; CIFAR-100's are those of its training images
    "cifar10": ((0.491, 0.482, 0.447), (0.247, 0.244, 0.262)),
    "cifar100": ((0.507, 0.487, 0.441), (0.267, 0.256, 0.276)),
}
_SOURCES = {"cifar10": CIFAR10, "cifar100": CIFAR100}


def load(name: str, part: str, *, root: Path, download: bool = False) -> Split:
    """One part, "train" (50,000 images) or "test" (10,000), of "cifar10" or "cifar100", 32 × 32 pixels.

    ``root`` is the folder that holds, or will hold, the unpacked archive; ``download`` fetches what is missing there.
    FileNotFoundError if the data are not there, or not as published; the message says how to get them. RuntimeError if
    the download fails, or does not match its checksum.
    """
    source = _SOURCES[name]
    try:
        data = source(root, train=part == "train", download=download)
    except OSError as error:
        expected = f"Expected to download {source.url}. Got: {error}."
        by_hand = f"unpack {source.filename} in {Path(root)} by hand"
        raise RuntimeError(f"{expected} Check the connection, or {by_hand}.") from error
    except RuntimeError as error:
        if download:
            expected = f"Expected {source.filename} from {source.url} to match its checksum. Got: {error}."
            raise RuntimeError(f"{expected} Delete {Path(root) / source.filename} and try again.") from error
        expected = f"Expected {name} unpacked in {Path(root) / source.base_folder}. Got nothing whole there:"
        download = "set download (-p download True, --download True, or make book DOWNLOAD=True)"
        raise FileNotFoundError(f"{expected} {download}, or unpack {source.filename} there.") from error
    images = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous()
    labels, index = torch.tensor(data.targets), torch.arange(len(images))
    digest = hashlib.sha256(images.numpy().tobytes() + bytes(data.targets)).hexdigest()
    return Split(images, labels, tuple(data.classes), index, *_STATISTICS[name], name, part, digest)
