import hashlib
import io
import pickle
import tarfile

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10, CIFAR100

from xai_lib import data as datasets
from xai_lib.data import cifar

CLASSES = ["airplane", "automobile", "bird"]


def batch(seed, label_key):
    numbers = np.random.default_rng(seed)
    return {"data": numbers.integers(0, 256, (6, 3072), dtype=np.uint8), label_key: [0, 1, 2, 2, 1, 0]}


def archive(path, folder, members):
    """Write a gzipped tar of pickles; file name -> md5."""
    sums = {}
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            data = pickle.dumps(content)
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
            sums[name] = hashlib.md5(data).hexdigest()
    return sums


@pytest.fixture
def server(served, monkeypatch):
    """A folder of tiny archives in the layout of the real ones, which are served on this machine."""
    folder, address = served
    layouts = {
        CIFAR10: ({f"data_batch_{i}": batch(i, "labels") for i in (1, 2)}, {"test_batch": batch(9, "labels")}),
        CIFAR100: ({"train": batch(1, "fine_labels")}, {"test": batch(9, "fine_labels")}),
    }
    for source, (train, test) in layouts.items():
        meta = {source.meta["key"]: CLASSES}
        file = folder / source.filename
        sums = archive(file, source.base_folder, train | test | {source.meta["filename"]: meta})
        monkeypatch.setattr(source, "url", f"{address}/{source.filename}")
        monkeypatch.setattr(source, "tgz_md5", hashlib.md5(file.read_bytes()).hexdigest())
        monkeypatch.setattr(source, "train_list", [[name, sums[name]] for name in train])
        monkeypatch.setattr(source, "test_list", [[name, sums[name]] for name in test])
        monkeypatch.setattr(source, "meta", source.meta | {"md5": sums[source.meta["filename"]]})
    return folder


@pytest.mark.parametrize(("name", "n_train"), [("cifar10", 12), ("cifar100", 6)])
def test_downloaded_once_and_then_read_from_its_folder(server, tmp_path, name, n_train):
    root = tmp_path / "data"
    train = datasets.load(name, "train", root=root, download=True)
    for file in server.iterdir():
        file.unlink()
    test = datasets.load(name, "test", root=root, download=True)
    assert (len(train), len(test)) == (n_train, 6)
    assert train.classes == tuple(CLASSES)
    assert test.labels.tolist() == [0, 1, 2, 2, 1, 0]
    expected = torch.from_numpy(batch(9, "")["data"]).view(6, 3, 32, 32)
    assert torch.equal(test.images, expected)
    assert train.mean == test.mean
    assert train.digest != test.digest
    assert datasets.load(name, "test", root=root).digest == test.digest


def test_missing_data_say_how_to_get_them(server, tmp_path):
    with pytest.raises(FileNotFoundError, match="cifar-10-batches-py") as error:
        cifar.load("cifar10", "train", root=tmp_path / "none")
    for hint in ("-p download True", "DOWNLOAD=True", "cifar-10-python.tar.gz"):
        assert hint in str(error.value)
    assert not (tmp_path / "none").exists()


def test_a_wrong_checksum_is_refused_and_nothing_of_it_is_used(server, tmp_path):
    file = server / CIFAR10.filename
    file.write_bytes(file.read_bytes()[:-7] + b"changed")
    with pytest.raises(RuntimeError, match="to match its checksum"):
        cifar.load("cifar10", "train", root=tmp_path / "data", download=True)
    assert not (tmp_path / "data" / CIFAR10.base_folder).exists()


def test_a_file_that_was_changed_after_the_download_is_refused(server, tmp_path):
    cifar.load("cifar10", "train", root=tmp_path, download=True)
    (tmp_path / CIFAR10.base_folder / "data_batch_2").write_bytes(b"changed")
    with pytest.raises(FileNotFoundError, match="Got nothing whole there"):
        cifar.load("cifar10", "train", root=tmp_path)


def test_no_connection_is_one_clear_error(server, tmp_path, monkeypatch):
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    with pytest.raises(RuntimeError, match=r"127\.0\.0\.1:9"):
        cifar.load("cifar10", "train", root=tmp_path, download=True)
