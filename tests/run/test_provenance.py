import subprocess
from datetime import datetime, timedelta

import pytest

from xai_lib.run import provenance


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", "-C", folder, *identity, *arguments], check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("ignored\n")
    (tmp_path / "a.py").write_text("a = 1\n")
    (tmp_path / "book/recorded").mkdir(parents=True)
    (tmp_path / "book/recorded/table.csv").write_text("1\n")
    (tmp_path / "inner").mkdir()
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_commit_and_clean_tree(repository):
    assert provenance.commit(repository) == git(repository, "rev-parse", "HEAD").strip()
    (repository / "ignored").write_text("x")
    assert provenance.dirty_hash(repository) is None
    provenance.require_clean_tree(repository=repository)


def test_every_change_changes_the_dirty_hash(repository):
    seen = {provenance.dirty_hash(repository)}
    changes = [("a.py", "a = 2\n"), ("b.py", "x"), ("b.py", "y"), ("c.py", "y")]
    for name, text in changes:
        (repository / name).write_text(text)
        seen.add(provenance.dirty_hash(repository))
    git(repository, "add", "b.py")  # staged counts as well
    seen.add(provenance.dirty_hash(repository))
    assert len(seen) == len(changes) + 2


def test_dirty_hash_is_of_the_whole_tree_from_any_folder_of_it(repository):
    (repository / "a.py").write_text("a = 2\n")
    (repository / "new.py").write_text("x")
    assert provenance.dirty_hash(repository / "inner") == provenance.dirty_hash(repository) is not None


def test_recording_names_the_changed_files(repository):
    (repository / "a.py").write_text("a = 2\n")
    (repository / "inner" / "new.py").write_text("x")
    with pytest.raises(RuntimeError, match=r"Got 2 changed: a\.py, inner/new\.py\. Commit them first"):
        provenance.require_clean_tree(repository=repository / "inner")


def test_what_recording_writes_is_no_change(repository):
    (repository / "book/recorded/table.csv").write_text("2\n")
    (repository / "book/recorded/other.csv").write_text("3\n")
    provenance.require_clean_tree(repository=repository / "inner")
    assert provenance.dirty_hash(repository / "inner") is None
    (repository / "book/page.md").write_text("x")
    assert provenance.dirty_hash(repository) is not None


def test_without_git_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.commit(tmp_path) == provenance.dirty_hash(tmp_path) == "unknown"
    with pytest.raises(RuntimeError, match="Expected to record from a git checkout"):
        provenance.require_clean_tree(repository=tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.commit(tmp_path) == "unknown"


def test_what_is_recorded():
    software, hardware = provenance.software(), provenance.hardware()
    assert set(software) == {"commit", "dirty", "libraries"}
    import torch

    assert software["libraries"]["torch"] == torch.__version__
    assert None not in software["libraries"].values()
    assert hardware["threads"] == torch.get_num_threads()
    assert hardware["device"]


def test_times_are_utc_and_subtract():
    now = datetime.fromisoformat(provenance.now())
    assert now.utcoffset() == timedelta(0)
    assert provenance.seconds_between("2026-01-01T23:59:59.500+00:00", "2026-01-02T00:00:01.750+00:00") == 2.25
