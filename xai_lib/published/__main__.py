"""Write the tables and errata that the book shows: ``python -m xai_lib.published book/published``."""

import sys
from pathlib import Path

from xai_lib.published.layout import marked
from xai_lib.published.tables import errata, papers, tables


def book_files() -> dict[str, str]:
    """Name -> content of the files that ``book/published.md`` includes: a csv a table, a list of errata a paper."""
    files = {}
    for paper in papers():
        for number in tables(paper):
            files[f"{paper}_{number}.csv"] = marked(paper, number).to_csv(lineterminator="\n")
        files[f"{paper}_errata.md"] = "".join(
            f"- **[{note.mark}]** {_concerned(note.scope, note.tables)}: {note.text} *({note.source})*\n"
            for note in errata(paper).itertuples()
        )
    return files


def _concerned(scope: str, numbers: str) -> str:
    named = f"Table{'s' if ' ' in numbers else ''} {numbers.replace(' ', ', ')}"
    return {"text": "Text", "cells": named, "table": f"{named}, as a whole"}[scope]


def main(folder: Path) -> None:
    """Write :func:`book_files` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in book_files().items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "book/published"))
