import errno
import math

import pandas as pd
import pytest
import torch

from xai_lib.files import atomically, read_frame, read_json, read_tensors, write_frame, write_json, write_tensors


def test_an_error_leaves_the_old_file_and_no_part(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"old")
    with pytest.raises(RuntimeError), atomically(file) as opened:
        opened.write(b"half")
        raise RuntimeError
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_nothing_appears_before_the_end(tmp_path):
    file = tmp_path / "a"
    with atomically(file) as opened:
        opened.write(b"whole")
        opened.flush()
        assert not file.exists()
    assert file.read_bytes() == b"whole"


def test_json_refuses_nan_and_keeps_the_rest(tmp_path):
    value = {"a": [1, 0.1, None, "é"]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", math.nan)
    assert read_json(tmp_path / "a.json") == value


def test_frames_come_back_equal(tmp_path):
    digits = torch.rand(1000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).numpy()
    frame = pd.DataFrame(
        {
            "method": ["grad-cam", "NA", "None", 'a,"b"'],
            "index": [0, 1, 2, 2**53 + 1],
            "value": [0.1 + 0.2, math.nan, -math.inf, 5e-324],
            "hit": [True, False, True, True],
        }
    )
    frame = pd.concat([frame, pd.DataFrame({"method": "m", "index": 0, "value": digits, "hit": True})])
    frame = frame.reset_index(drop=True)
    write_frame(tmp_path / "a.csv", frame)
    pd.testing.assert_frame_equal(read_frame(tmp_path / "a.csv"), frame, check_exact=True)


def test_columns_of_text_stay_text_whatever_they_look_like(tmp_path):
    frame = pd.DataFrame({"label": ["007", "1e3", "True", "NA"], "number": ["1", "2", "3", "4"]})
    write_frame(tmp_path / "a.csv", frame)
    found = read_frame(tmp_path / "a.csv", ("label", "predicted"))
    pd.testing.assert_frame_equal(found, frame.astype({"number": int}))


def test_tensors_come_back_equal(tmp_path):
    tensors = {"maps": torch.randn(3, 4), "index": torch.arange(3), "half": torch.ones(2, dtype=torch.bfloat16)}
    tensors["grown"] = torch.ones(2, requires_grad=True) * 2
    write_tensors(tmp_path / "a.pt", tensors)
    loaded = read_tensors(tmp_path / "a.pt")
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(loaded[name], tensor) and loaded[name].dtype == tensor.dtype
        assert not loaded[name].requires_grad


def test_reading_tensors_runs_no_code(tmp_path):
    torch.save({"a": print}, tmp_path / "a.pt")
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        read_tensors(tmp_path / "a.pt")


def test_a_full_disk_is_an_os_error(tmp_path):
    (tmp_path / "a.pt.part").symlink_to("/dev/full")
    with pytest.raises(OSError) as caught:
        write_tensors(tmp_path / "a.pt", {"a": torch.zeros(100_000)})
    assert caught.value.errno == errno.ENOSPC
    assert not (tmp_path / "a.pt").exists()
