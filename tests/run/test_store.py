import errno
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from xai_lib.files import read_json
from xai_lib.run import provenance
from xai_lib.run import store as store_module
from xai_lib.run.cell import Cell
from xai_lib.run.store import CorruptArtefactError, Store

CELL = Cell("train", {"version": 1, "loss": "ce"})
fork = multiprocessing.get_context("fork")


def write_result(folder):
    (folder / "inner").mkdir(exist_ok=True)
    (folder / "inner" / "result.txt").write_text("result")


def fail(folder):
    (folder / "checkpoint").write_text("epoch 3")
    raise ValueError("loss is NaN")


def refuse(folder):
    raise AssertionError("computed again")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def work_folder(store, cell=CELL):
    return store.path(cell).with_name(cell.key + ".work")


def test_root_is_the_argument_else_the_environment_else_the_default(monkeypatch, tmp_path):
    monkeypatch.setenv("XAI_STORE", str(tmp_path / "elsewhere"))
    assert Store(tmp_path).root == tmp_path
    assert Store().root == tmp_path / "elsewhere"
    monkeypatch.delenv("XAI_STORE")
    assert Store().root == Path(".store")


def test_computed_once_and_published_whole(store):
    assert not store.is_done(CELL)
    folder = store.compute(CELL, write_result)
    assert folder == store.path(CELL) == store.root / "train" / CELL.key
    assert (folder / "inner" / "result.txt").read_text() == "result"
    assert store.is_done(CELL)
    assert store.compute(CELL, refuse) == folder
    assert not work_folder(store).exists()
    files = read_json(folder / "done.json")["files"]
    assert files.keys() == {"inner/result.txt", "provenance.json"}
    assert files["inner/result.txt"] == {"bytes": 6, "sha256": hashlib.sha256(b"result").hexdigest()}


def test_provenance_names_what_made_it_and_nothing_of_the_machine(store):
    parent = Cell("train", {"version": 3})
    store.compute(parent, write_result)
    child = Cell("score", {"version": 1, "weights": parent.key})
    folder = store.compute(child, write_result, parents=[parent])
    record = read_json(folder / "provenance.json")
    assert record["stage"] == "score" and record["key"] == child.key and record["config"] == child.config
    assert record["parents"] == {parent.key: "train"}
    [attempt] = record["attempts"]
    assert set(attempt) == {"started", "ended", "outcome", "commit", "dirty", "libraries", "device", "threads"}
    assert attempt["outcome"] == "finished"
    text = json.dumps(record)
    assert str(store.root) not in text and os.uname().nodename not in text and str(Path.cwd()) not in text


def test_parents_are_in_the_key_and_done(store):
    parent = Cell("train", {"version": 3})
    with pytest.raises(ValueError, match="Expected the key of each parent in the config of 'score'"):
        store.compute(Cell("score", {"version": 1}), refuse, parents=[parent])
    child = Cell("score", {"version": 1, "weights": [parent.key]})
    with pytest.raises(FileNotFoundError, match="compute 'train' first"):
        store.compute(child, refuse, parents=[parent])


def test_after_an_error_the_same_call_goes_on_in_the_same_folder(store):
    with pytest.raises(ValueError, match="loss is NaN"):
        store.compute(CELL, fail)
    assert not store.is_done(CELL) and not store.path(CELL).exists()
    assert (work_folder(store) / "checkpoint").exists()

    def resume(folder):
        assert (folder / "checkpoint").read_text() == "epoch 3"
        write_result(folder)

    folder = store.compute(CELL, resume)
    record = read_json(folder / "provenance.json")
    assert [attempt["outcome"] for attempt in record["attempts"]] == ["failed: ValueError", "finished"]


def test_work_that_writes_nothing_is_an_error(store):
    with pytest.raises(FileNotFoundError, match=r"Expected the work of 'train' .* to write files"):
        store.compute(CELL, lambda folder: None)
    assert not store.is_done(CELL)


def test_after_kill_9_the_same_call_goes_on_and_the_time_is_the_sum(store):
    def slow(folder):
        time.sleep(0.3)
        (folder / "checkpoint").write_text("epoch 3")
        (folder / "half.part").write_text("half")
        time.sleep(60)

    process = fork.Process(target=store.compute, args=(CELL, slow))
    process.start()
    wait_for((work_folder(store) / "half.part").exists)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not store.is_done(CELL)

    def resume(folder):
        assert (folder / "checkpoint").read_text() == "epoch 3"
        time.sleep(0.2)
        write_result(folder)

    folder = store.compute(CELL, resume)
    record = read_json(folder / "provenance.json")
    assert [attempt["outcome"] for attempt in record["attempts"]] == ["killed", "finished"]
    assert 0.5 <= record["seconds"] < 10
    assert not (folder / "half.part").exists()


@pytest.mark.parametrize("step", ["_seal", "_earlier_attempts", "sync", "write_json"])
def test_killed_at_any_step_the_same_call_finishes(store, step, monkeypatch):
    """Kill at the n-th call of a step, for every n, until a run gets through."""

    def killed_at(call):
        calls = 0
        original = getattr(store_module, step)

        def step_or_die(*arguments):
            nonlocal calls
            calls += 1
            if calls == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments)

        setattr(store_module, step, step_or_die)
        store.compute(cell, write_result)

    for call in range(1, 20):
        cell = Cell("train", {"version": 1, "call": call})
        process = fork.Process(target=killed_at, args=(call,))
        process.start()
        process.join()
        store.compute(cell, write_result)
        assert store.is_done(cell)
        assert (store.path(cell) / "inner" / "result.txt").read_text() == "result"
        if process.exitcode == 0:
            break
    assert process.exitcode == 0 and call > 1


def test_killed_between_the_last_file_and_the_rename_nothing_is_computed_again(store):
    store.compute(CELL, write_result)
    store.path(CELL).rename(work_folder(store))
    store.compute(CELL, refuse)
    assert store.is_done(CELL)


def test_of_two_processes_one_computes_and_both_find_it(store, tmp_path):
    def slow(folder):
        with (tmp_path / "count").open("a") as file:
            file.write("x")
        time.sleep(0.3)
        write_result(folder)

    def compute(barrier):
        barrier.wait()
        assert (store.compute(CELL, slow) / "inner" / "result.txt").read_text() == "result"

    barrier = fork.Barrier(3)
    processes = [fork.Process(target=compute, args=(barrier,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "x"


@pytest.mark.parametrize("where", ["work", "record"])
def test_a_full_disk_says_so_and_loses_nothing(store, where, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    def work(folder):
        (folder / "checkpoint").write_text("epoch 3")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            if where == "work":
                store_module.write_json(folder / "more", {})
        if where == "record":
            monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match=r"The disk is full.*Free some space and run the same command again") as caught:
        store.compute(CELL, work)
    assert caught.value.errno == errno.ENOSPC and CELL.key[:12] in str(caught.value)
    monkeypatch.undo()
    assert not store.is_done(CELL)
    assert (work_folder(store) / "checkpoint").exists()
    store.compute(CELL, write_result)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("free", [0, 1 << 40])
def test_a_full_disk_reported_by_torch_is_recognised(store, free, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free))

    def work(folder):
        if free:  # through a file object, an OSError lies behind torch's RuntimeError
            with Path("/dev/full").open("wb") as file:
                torch.save(torch.zeros(100_000), file)
        torch.save(torch.zeros(100_000), "/dev/full")

    with pytest.raises(OSError, match="The disk is full"):
        store.compute(CELL, work)


def test_other_errors_pass_unchanged(store):
    def work(folder):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        store.compute(CELL, work)


OTHER_SHAPES = ["", "[]", "null", "{", "{}", '{"files": []}', '{"files": {}}', '{"files": {"a": 3}}', "\udcff"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("done.json", content) for content in [None, *OTHER_SHAPES, '{"files": {"provenance.json": {"bytes": 6}}}']),
        *(("inner/result.txt", content) for content in (None, "res", "resulT", "result longer")),
        *(("provenance.json", content) for content in (None, *OTHER_SHAPES)),
    ],
)
def test_a_damaged_cell_is_named_and_deleting_it_helps(store, name, content):
    folder = store.compute(CELL, write_result)
    file = folder / name
    file.unlink() if content is None else file.write_bytes(content.encode(errors="surrogateescape"))
    for look in (store.is_done, partial(store.compute, work=refuse)):
        with pytest.raises(
            CorruptArtefactError, match=f"'train' under key {CELL.key} .*Delete .* run the same command"
        ):
            look(CELL)
    shutil.rmtree(folder)
    store.compute(CELL, write_result)


def test_a_changed_bit_is_noticed_where_name_size_and_time_are_those_of_before(store):
    file = store.compute(CELL, write_result) / "inner" / "result.txt"
    before = file.stat()
    file.write_bytes(b"resulu")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(CorruptArtefactError, match=r"result\.txt is not as it was written"):
        store.is_done(CELL)


def test_a_file_is_hashed_once_a_process_and_state(store, monkeypatch):
    hashed, digest = [], hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, how: hashed.append(file.name) or digest(file, how))
    folder = store.compute(CELL, write_result)
    hashed.clear()
    assert all(store.is_done(CELL) for _ in range(3)) and len(hashed) == 2
    (folder / "inner" / "result.txt").touch()
    assert store.is_done(CELL) and len(hashed) == 3


@pytest.mark.parametrize("content", [*OTHER_SHAPES, '{"attempts": []}', '{"attempts": [{"started": 1, "ended": "x"}]}'])
def test_a_damaged_record_of_unfinished_work_is_named_and_the_work_is_kept(store, content):
    with pytest.raises(ValueError, match="loss is NaN"):
        store.compute(CELL, fail)
    record = work_folder(store) / "provenance.json"
    record.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(CorruptArtefactError, match=f"Delete {record} and run the same command"):
        store.compute(CELL, write_result)
    record.unlink()
    assert (store.compute(CELL, write_result) / "checkpoint").read_text() == "epoch 3"


def test_a_clock_that_was_wrong_adds_no_time(store):
    """A file of the future in work that was killed; and an attempt that ended before it began."""
    with pytest.raises(ValueError, match="loss is NaN"):
        store.compute(CELL, fail)
    record = work_folder(store) / "provenance.json"
    made = read_json(record)
    made["attempts"][0].update(ended="2020-01-01T00:00:00.000+00:00")
    made["attempts"].append({**made["attempts"][0], "started": provenance.now(), "ended": None})
    record.write_text(json.dumps(made))
    os.utime(work_folder(store) / "checkpoint", (4e9, 4e9))
    made = read_json(store.compute(CELL, write_result) / "provenance.json")
    assert [attempt["outcome"] for attempt in made["attempts"]] == ["failed: ValueError", "killed", "finished"]
    assert 0 <= made["seconds"] < 10
