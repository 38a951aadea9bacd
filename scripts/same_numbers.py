"""Are the numbers of two commits the same to the last bit? Runs the whole book at smoke on both and compares.

python scripts/same_numbers.py <before> [<after>]

Each commit is checked out below .store/same-numbers and run there with this environment (minutes each, once a commit).
Compared are the rows of every table and the bits of every tensor in the store, and the cells of every table that a
notebook shows: it may have got columns or other titles, but each row has the words and numbers that it had. What tells
the time is left out. More numbers in the second commit are no difference; fewer are.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import torch

RUNS = Path(".store/same-numbers")
TIMED = {
    "seconds",
    "images_per_second",
    "megabytes",
    "forwards",
    "milliseconds",
    "peak memory (MB)",
    "computing time",
    "finished",
}
OF_THE_STORE = {"done.json", "provenance.json"}


def main() -> int:
    """Run both commits, compare them, and say which numbers the second one lacks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before")
    parser.add_argument("after", nargs="?", default="HEAD")
    options = parser.parse_args()
    before, after = (numbers(run(commit)) for commit in (options.before, options.after))
    lacking = missing(before, after)
    for kind, items in lacking.items():
        print(f"{kind}: {before[kind].total()} before, {after[kind].total()} after, {len(items)} missing")
        for item in items[:20]:
            print(f"  {str(item)[:300]}")
    return int(any(lacking.values()))


def missing(before: dict[str, Counter], after: dict[str, Counter]) -> dict[str, list]:
    """What the second run lacks; a shown table is there if one of the same notebook has all of its rows' cells."""
    absent = {kind: list((found - after[kind]).elements()) for kind, found in before.items()}
    shown = list(after["shown tables"])
    absent["shown tables"] = [
        (notebook, table)
        for notebook, table in absent["shown tables"]
        if not any(notebook == name and _holds(other, table) for name, other in shown)
    ]
    return absent


def _holds(table: tuple, other: tuple) -> bool:
    """Whether a shown table has, row by row, every word and number of another."""
    rows = [(Counter(" ".join(mine).split()), Counter(" ".join(theirs).split())) for mine, theirs in zip(table, other)]
    return len(table) == len(other) and all(not theirs - mine for mine, theirs in rows[1:])


def run(commit: str) -> Path:
    """A checkout of the commit in which the smoke book has been computed."""
    name = subprocess.run(["git", "rev-parse", commit], check=True, capture_output=True, text=True).stdout.strip()
    folder = RUNS / name
    if not folder.exists():
        subprocess.run(["git", "worktree", "add", "--detach", str(folder), name], check=True)
    (folder / ".store").mkdir(exist_ok=True)
    command = "snakemake notebooks --profile profiles/local --nolock --rerun-incomplete --config scale=smoke"
    environment = {name: value for name, value in os.environ.items() if name != "XAI_STORE"}
    subprocess.run([sys.executable, "-m", *command.split()], cwd=folder, env=environment, check=True)
    return folder


def numbers(folder: Path) -> dict[str, Counter]:
    """Every number of a run, by where it stands: rows of the store's tables, tensors, other files, shown tables."""
    found = {"rows": Counter(), "tensors": Counter(), "files": Counter(), "shown tables": Counter()}
    for file in sorted((folder / ".store").glob("*/*/*")):
        if not file.is_file() or file.name in OF_THE_STORE or file.parent.suffix == ".work":
            continue
        if file.suffix == ".csv":
            found["rows"].update(rows(file))
        elif file.suffix == ".pt":
            found["tensors"].update(tensors(file))
        elif file.suffix == ".json" and (file.parent / "done.json").exists():
            found["files"][file.name, hashlib.sha256(file.read_bytes()).hexdigest()] += 1
    for notebook in sorted((folder / "book" / "executed").glob("*/*.ipynb")):
        found["shown tables"].update((f"{notebook.parent.name}/{notebook.stem}", table) for table in shown(notebook))
    return found


def rows(file: Path) -> list[tuple]:
    """The rows of a table of the store, with the names of their columns, values as text to the last digit."""
    frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    frame = frame[sorted(set(frame) - TIMED)]
    return [tuple(zip(frame, row)) for row in frame.itertuples(index=False, name=None)]


def tensors(file: Path) -> list[tuple]:
    """The tensors of a file of the store: name, shape, type and bits."""
    stage = file.parent.parent.name
    return [
        (
            stage,
            name,
            tuple(tensor.shape),
            str(tensor.dtype),
            hashlib.sha256(bytes(tensor.untyped_storage())).hexdigest(),
        )
        for name, tensor in torch.load(file, weights_only=True).items()
    ]


def shown(notebook: Path) -> list[tuple]:
    """The tables that a notebook shows: their columns' names and cells; provenance and what tells the time left out."""
    found = []
    for cell in json.loads(notebook.read_text())["cells"]:
        for output in cell.get("outputs", []):
            reader = Tables()
            reader.feed("".join(output.get("data", {}).get("text/html", "")))
            for head, *body in reader.tables:
                kept = [place for place, name in enumerate(head) if name not in TIMED]
                if "commit" not in head:
                    found += [tuple(tuple(row[place] for place in kept) for row in (head, *body))]
    return found


class Tables(HTMLParser):
    """Reads the text of every cell of every table."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.inside = False

    def handle_starttag(self, tag: str, attributes: list) -> None:
        """A table, a row or a cell begins."""
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        """A cell ends."""
        self.inside = self.inside and tag not in ("th", "td")

    def handle_data(self, data: str) -> None:
        """Text, kept where it stands in a cell."""
        if self.inside:
            self.tables[-1][-1][-1] += data


if __name__ == "__main__":
    sys.exit(main())
