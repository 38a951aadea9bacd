"""How far two nouns are apart in WordNet 3.0, read from its own file ``data.noun``."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np


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
    above, found = _hypernyms(Path(file)), []
    if strange := [one for one in ids if one[1:] not in above]:
        raise ValueError(
            f"Expected {file} to be WordNet 3.0's data.noun. Got no {', '.join(strange[:5])} in it: other versions "
            "have other numbers."
        )
    for one in ids:
        reached, here, far = {}, {one[1:]}, 0
        while here:
            reached |= dict.fromkeys(here, far)
            here = {higher for noun in here for higher in above[noun]} - reached.keys()
            far += 1
        found.append(reached)
    places = {noun: place for place, noun in enumerate(sorted(set().union(*found)))}
    up = np.full((len(ids), len(places)), np.iinfo(np.int32).max, dtype=np.int64)  # steps to every noun above
    above_each = [[places[noun] for noun in reached] for reached in found]
    for row, mine, reached in zip(up, above_each, found):
        row[mine] = list(reached.values())
    return np.stack([(row[mine] + up[:, mine]).min(axis=1) for row, mine in zip(up, above_each)])


def _hypernyms(file: Path) -> dict[str, list[str]]:
    """Every noun's number with those of its hypernyms, instances among them."""
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if line[:1].isdigit():  # the licence at the top is indented
            fields = line.partition(" | ")[0].split()
            pointers = fields[5 + 2 * int(fields[3], 16) :]  # after a count: symbol, number, part of speech, which word
            found[fields[0]] = [number for mark, number in zip(pointers[::4], pointers[1::4]) if mark[0] == "@"]
    return found
