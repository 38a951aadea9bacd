"""Is anything silently wrong, executed or lost? Kills, writers, damage and strange texts, by the thousand, in minutes.

python scripts/reliability.py [--seed 0] [--share 1.0]

Each try does one thing to the store, the settings, the command line or an image, at random but the same for a seed, and
survives if the result is right or an error says in one line what is wrong. The table at the end has the tries of each
kind; the exit status is 1 if one failed. ``--share`` takes a part of the tries; all take about four minutes.
"""

import argparse
import contextlib
import io
import json
import logging
import multiprocessing
import os
import random
import runpy
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from papermill.translators import PythonTranslator

from xai_lib import files, your_images
from xai_lib.__main__ import _given, _parsed, main
from xai_lib.run import budgets
from xai_lib.run.cell import Cell
from xai_lib.run.settings import settings
from xai_lib.run.store import CorruptArtefactError, Store

DAMAGED = (
    Path(__file__).parents[1] / "tests" / "data" / "test_damaged.py"
)  # `originals()` and `damaged(content, draws)`
CELL, STEPS = Cell("train", {"version": 1}), 6
TEMPLATE = Path(tempfile.mkdtemp(prefix="reliability-")) / "store"
fork = multiprocessing.get_context("fork")
Fault = str | None  # what is wrong after a try; None if nothing


def work(folder: Path) -> None:
    """A training in small: it goes on from its last step, and its result does not depend on where it was stopped."""
    kept = folder / "checkpoint.pt"
    state = files.read_tensors(kept) if kept.exists() else {"step": torch.tensor(0), "sum": torch.zeros(999)}
    with (folder.parent / "steps").open("a") as log:
        for step in range(int(state["step"]), STEPS):
            log.write(f"{step}\n")
            log.flush()
            time.sleep(0.002)
            state = {"step": torch.tensor(step + 1), "sum": state["sum"] + torch.arange(999.0).sin() * step}
            files.write_tensors(kept, state)
    files.write_tensors(folder / "classifier.pt", {"sum": state["sum"]})
    files.write_frame(folder / "scores.csv", pd.DataFrame({"image": range(99), "value": state["sum"][:99].tolist()}))
    files.write_json(folder / "tree.json", {"parents": list(range(99))})


def contents(folder: Path) -> dict[str, bytes]:
    """What the work wrote, by name."""
    return {name: (folder / name).read_bytes() for name in ("classifier.pt", "scores.csv", "tree.json")}


def finished(root: Path) -> tuple[Store, Path]:
    """A copy, in an empty folder, of a store with one finished cell, and where that lies."""
    if not TEMPLATE.exists():
        Store(TEMPLATE).compute(CELL, work)
    shutil.copytree(TEMPLATE, root, dirs_exist_ok=True)
    return Store(root), Store(root).path(CELL)


def refuse(folder: Path) -> None:
    """In place of work that must not be done again."""
    raise AssertionError("computed again")


def kills(draws: random.Random, folder: Path) -> Fault:
    """Kill a writer at random moments, up to four times, then let one finish."""
    store = Store(folder)
    killed = draws.randrange(1, 5)
    for _ in range(killed):
        writer = fork.Process(target=store.compute, args=(CELL, work))
        writer.start()
        time.sleep(draws.random() * 0.12)
        writer.kill()
        writer.join()
    found = contents(store.compute(CELL, work))
    steps = (folder / "train" / "steps").read_text().split()
    if found != contents(finished(folder / "whole")[1]):
        return "another result than without kills"
    return None if len(steps) <= STEPS + killed else f"{len(steps)} steps: finished ones were done again"


def writers(draws: random.Random, folder: Path) -> Fault:
    """Two to eight processes ask for the same cell, some of which are killed."""
    store = Store(folder)
    processes = [fork.Process(target=store.compute, args=(CELL, work)) for _ in range(draws.randrange(2, 9))]
    for process in processes:
        process.start()
    hit = draws.sample(processes, draws.randrange(2))
    for process in hit:
        time.sleep(draws.random() * 0.03)
        process.kill()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes if process not in hit):
        return "a writer failed"
    store.compute(CELL, refuse)
    steps = (folder / "train" / "steps").read_text().split()
    return None if len(steps) <= STEPS + len(hit) else "computed twice"


def flips(draws: random.Random, folder: Path) -> Fault:
    """Change bits or cut a file of a finished cell, at times under its old date."""
    store, done = finished(folder)
    before, file = contents(done), draws.choice(sorted(path for path in done.iterdir()))
    data, state = bytearray(file.read_bytes()), file.stat()
    for _ in range(draws.choice([1, 1, 1, 2, 9])):
        data[draws.randrange(len(data))] ^= 1 << draws.randrange(8)
    file.write_bytes(data[: draws.choice([len(data), len(data), draws.randrange(len(data))])])
    if draws.random() < 0.5:
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    return _read(store, before)


def bookkeeping(draws: random.Random, folder: Path) -> Fault:
    """Put JSON of another shape in place of a record, of finished or of unfinished work."""
    store, done = finished(folder)
    before, where = contents(done), done / draws.choice(["done.json", "provenance.json"])
    if draws.random() < 0.4:  # unfinished
        where = done.rename(done.with_name(f"{CELL.key}.work")) / "provenance.json"
        (where.parent / "done.json").unlink()
    found = json.loads(where.read_text())
    inside = draws.choice([found, *(value for value in found.values() if isinstance(value, dict | list) and value)])
    key = draws.choice([*inside] if isinstance(inside, dict) else range(len(inside)))
    inside[key] = draws.choice([None, 7, "x", [], {}, [None], {"a": 3}, "1999-01-01", True, 1e99])
    text = json.dumps(found)
    where.write_text(draws.choice([text, text, text[: draws.randrange(len(text))], "[]", "null", '{"files": {}}']))
    return _read(store, before, work if where.parent != done else refuse)


def _read(store: Store, before: dict[str, bytes], do: Callable[[Path], None] = refuse) -> Fault:
    try:
        found = contents(store.compute(CELL, do))
    except CorruptArtefactError as error:
        return None if str(store.path(CELL).parent) in str(error) and "\n" not in str(error) else f"unclear: {error}"
    return None if found == before else "silently wrong"


def pickles(draws: random.Random, folder: Path) -> Fault:
    """Put a pickle that runs a command in place of an artefact, or of a tensor file that is read directly."""
    import pickle

    class Command:
        def __reduce__(self) -> tuple:
            return os.system, (f"touch '{folder}/executed'",)

    store, done = finished(folder)
    file = done / "classifier.pt"
    file.write_bytes(pickle.dumps(Command(), protocol=draws.randrange(6)))
    for read in (lambda: store.compute(CELL, refuse), lambda: files.read_tensors(file)):
        with contextlib.suppress(CorruptArtefactError, pickle.UnpicklingError, RuntimeError, ValueError, EOFError):
            read()
            return "read without a word"
    return "executed" if (folder / "executed").exists() else None


PIECES = [*"aZ09 #:=-,;'\"`$(){}[]<>|&*!?%@~\\/._\n\té写\u2028📷", "folder:", "007", "1e3", "null", "true",
          "$(touch x)", "folder:", "smoke", "planted", "!!python/object:os.system", "{0}", "%(a)s", "--"]  # fmt: skip


def text(draws: random.Random) -> str:
    """A text of a few strange pieces."""
    return "".join(draws.choice(PIECES) for _ in range(draws.randrange(1, 9)))


def texts(draws: random.Random, folder: Path) -> Fault:
    """A text through the command line and papermill."""
    given = {name: text(draws) for name in ("label", "dataset", "overrides")}
    words = [f"--{name}={value}" for name, value in given.items()]
    found = _given(_parsed(["cells", *words]))
    if {name: found[name] for name in given} != given:
        return f"{given} became {found}"
    read: dict[str, str] = {}
    exec(PythonTranslator.codify(given), read)
    return None if {name: read[name] for name in given} == given else f"{given} became {read}"


def parameters(draws: random.Random, folder: Path) -> Fault:
    """Settings with strange values, of any type: refused by a ValueError in one line, or taken as they are."""
    odd = [text(draws), 7, 0.5, None, True, [], {"a": 1}, b"x", "", float("nan")]
    names = [name for room in budgets.BUDGETS.values() for name in room.__dataclass_fields__]
    value = draws.choice(["0", "-1", "1", "null", "1e9", "2", "1.5", "[", "{a", "&a", text(draws)])
    odd += [f"{draws.choice(names)}={value}"] * 5
    name = draws.choice(["scale", "dataset", "label", "device", "overrides", "overrides", "data_root", "download"])
    value = draws.choice(odd)
    try:
        run = settings(**{"scale": "smoke", name: value})
    except ValueError as error:
        return None if "\n" not in str(error).replace(str(value), "") else f"{name}={value!r}: several lines"
    return None if run.parameters[name] == value else f"{name}={value!r} became {run.parameters[name]!r}"


def plans(draws: random.Random, folder: Path) -> Fault:
    """List the jobs of a run with strange budgets: a listing, or one line."""
    names = [name for room in budgets.BUDGETS.values() for name in room.__dataclass_fields__ if name != "size"]
    values = ["1", "2", "3", "7", "0", "-4", "null", "16.0", "ce", "", "1e3"]
    chosen = ", ".join(f"{draws.choice(names)}={draws.choice(values)}" for _ in range(draws.randrange(1, 4)))
    said, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
        status = main(["cells", "--scale", "smoke", "--device", "cpu", "--overrides", chosen])
    if status == 0:
        return None if json.loads(said.getvalue()) else f"{chosen}: no jobs"
    return None if len(complained.getvalue().splitlines()) == 1 else f"{chosen}: {complained.getvalue()}"


def images(draws: random.Random, folder: Path) -> Fault:
    """A damaged image file: decoded, or refused with its name."""
    made = _damage()
    suffix, content = draws.choice(made["originals"])
    file = folder / f"a.{suffix}"
    file.write_bytes(made["damaged"](content, np.random.default_rng(draws.randrange(2**31))))
    try:
        found = your_images.picture(file, 16)
    except (ValueError, OSError) as error:
        return None if file.name in str(error) and "\n" not in str(error) else f"unclear: {error!r}"
    return None if found.shape[0] == 3 and found.isfinite().all() else f"not an image: {found.shape}"


_made: dict[str, object] = {}


def _damage() -> dict:
    if not _made:
        found = runpy.run_path(str(DAMAGED))
        _made.update(originals=list(found["originals"]()), damaged=found["damaged"])
    return _made


KINDS = {  # what is done, and how often
    kills: 100, writers: 40, flips: 2000, bookkeeping: 2000, pickles: 200, texts: 4000, parameters: 4000, plans: 20,
    images: 4000,
}  # fmt: skip


def tried(kind: Callable, n: int, seed: int) -> Iterator[Fault]:
    """The outcomes of ``n`` tries of a kind, each in an empty folder."""
    for number in range(n):
        with tempfile.TemporaryDirectory(prefix="reliability-") as folder, contextlib.chdir(folder):
            try:
                fault = kind(random.Random(f"{seed} {kind.__name__} {number}"), Path(folder))
            except Exception as error:  # an error that says nothing to a user
                fault = f"{type(error).__name__}: {error}"
            executed = list(Path(folder).rglob("executed")) + list(Path(folder).glob("x"))
            yield f"try {number}: {'executed' if executed else fault}" if executed or fault else None


def run(seed: int, share: float) -> int:
    """Every kind; the table of tries, survived and failed."""
    logging.disable(logging.WARNING)
    failed_at_all = 0
    print(f"{'':14}{'tries':>8}{'survived':>10}{'failed':>8}{'seconds':>9}")
    for kind, n in KINDS.items():
        if kind is images and not DAMAGED.exists():
            continue
        began, n = time.monotonic(), max(1, round(n * share))
        faults = [fault for fault in tried(kind, n, seed) if fault]
        seconds = time.monotonic() - began
        print(f"{kind.__name__:14}{n:8}{n - len(faults):10}{len(faults):8}{seconds:9.0f}", flush=True)
        for fault in faults[:5]:
            print(f"    {fault[:300]!r}")
        failed_at_all += len(faults)
    shutil.rmtree(TEMPLATE.parent)
    return 1 if failed_at_all else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0, help="part of the tries")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    sys.exit(run(options.seed, options.share))
