"""How far two nouns are apart in WordNet 3.0, read from its own file ``data.noun``."""

from collections.abc import Sequence
from pathlib import Path

import networkx
import numpy as np
import pandas as pd


def steps(ids: Sequence[str], file: Path | str) -> np.ndarray:
    """The fewest steps from one noun up to a common hypernym and down to the other, int64 [N,N]; siblings have 2.

    ``ids`` are WordNet ids as in ImageNet's class index ("n01440764"), ``file`` is WordNet 3.0's ``data.noun`` (in
    Debian's package wordnet-base). ValueError where an id is not in the file, as in another version of WordNet.

    Example:
        >>> import tempfile
        >>> line = "0000000{} 03 n 01 word 0 001 {} 0000000{} n 0000 | a noun"
        >>> nouns = "\\n".join(line.format(*noun) for noun in ("1~2", "2@1", "3@1", "4@3"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "data.noun").write_text(nouns)
        ...     steps(["n00000002", "n00000004"], Path(folder) / "data.noun").tolist()
        [[0, 3], [3, 0]]
    """
    above = _hypernyms(Path(file))
    if strange := [one for one in ids if one[1:] not in above]:
        got = f"no {', '.join(strange[:5])} in it: other versions have other numbers"
        raise ValueError(f"Expected {file} to be WordNet 3.0's data.noun. Got {got}.")
    reached = pd.DataFrame([networkx.single_source_shortest_path_length(above, one[1:]) for one in ids])
    up = reached.fillna(np.inf).to_numpy()  # steps from each to every noun above
    return np.stack([(row[mine] + up[:, mine]).min(axis=1) for row, mine in zip(up, np.isfinite(up))]).astype(np.int64)


def _hypernyms(file: Path) -> networkx.DiGraph:
    """From every noun's number to those of its hypernyms, instances among them."""
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if line[:1].isdigit():  # the licence at the top is indented
            fields = line.partition(" | ")[0].split()
            pointers = fields[5 + 2 * int(fields[3], 16) :]  # after a count: symbol, number, part of speech, which word
            found[fields[0]] = [number for mark, number in zip(pointers[::4], pointers[1::4]) if mark[0] == "@"]
    return networkx.DiGraph(found)
