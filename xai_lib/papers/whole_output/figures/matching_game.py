"""The matching task of §5.2 as a game in the page: which heat map is for which label?"""

import re
from collections.abc import Sequence
from html import escape
from string import Template
from typing import TYPE_CHECKING
from zlib import crc32

import torch
from IPython.display import HTML
from torch import Tensor

from xai_lib.page.names import WHOLE_OUTPUT_NAMES
from xai_lib.papers.whole_output.figures.inline import beside, inline, overlaid, png
from xai_lib.papers.whole_output.method.faithfulness import salient

if TYPE_CHECKING:  # drawing needs no experiment
    from xai_lib.papers.whole_output.analysis.pictures import Round

_SIDE = 168  # pixels of a picture


def matching_game(rounds: Sequence["Round"], *, title: str) -> HTML:
    """A reader matches pairs of maps to pairs of labels, says how sure that is, and gets a score for each method.

    Unlike in the paper's user study, one reader sees all methods, in an order drawn anew for each game, and is told the
    solution after each answer. Without JavaScript the page shows all rounds, each with a solution to unfold.
    """
    if not rounds:
        raise ValueError("Expected one round or more. Got none.")
    pictures = [_round(each, number, len(rounds)) for number, each in enumerate(rounds, start=1)]
    page = re.sub(r"\n(?=[<$])", "", beside("matching_game.html").strip()).replace("\n", " ")
    parts = {kind: beside(f"matching_game.{kind}") for kind in ("css", "js")}
    return HTML(Template(page).substitute(parts, title=escape(title), rounds="".join(pictures)))


def _round(given: "Round", number: int, n_rounds: int) -> str:
    """The pictures and the solution: all there is without JavaScript, so the maps stand in no telling order."""
    drawn, solution = [], []
    files = [png(overlaid(given.picture, heat), _SIDE) for heat in given.maps]
    pairs = sorted(zip(files, given.maps, given.labels), key=lambda pair: crc32(pair[0]))
    for letter, (file, heat, label) in zip("AB", pairs):
        drawn.append(_picture(file, _where(heat), f"Map {letter}", f' data-label="{escape(label)}"'))
        solution.append(f"map {letter} is for <b>{escape(label)}</b>")
    image = _picture(png(given.picture, _SIDE), f"An image of the class {given.label}.", "Image")
    method = escape(WHOLE_OUTPUT_NAMES[given.method])
    return (
        f'<div class="game-round" data-method="{method}">'
        f'<p class="game-number" tabindex="-1">Round {number} of {n_rounds}</p>'
        f'<div class="game-pictures">{image}<div class="game-maps">{"".join(drawn)}</div></div>'
        f"<details><summary>Solution: which map is for {' and which for '.join(map(escape, given.labels))}?</summary>"
        f"<p>By {method}: {', '.join(solution)}.</p></details></div>"
    )


def _where(heat: Tensor) -> str:
    """In words that do not name its label, where a map is strongest, and how much of the image is salient."""
    kept = salient(heat[None])[0]
    rows, columns = kept.nonzero().float().mean(0) / torch.tensor(heat.shape)
    down = ("top", "middle", "bottom")[min(int(rows * 3), 2)]
    across = ("left", "centre", "right")[min(int(columns * 3), 2)]
    place = "centre" if (down, across) == ("middle", "centre") else f"{down} {across}"
    return f"Heat map: strongest around the {place}, over {100 * kept.float().mean():.0f} % of the image."


def _picture(file: bytes, alt: str, caption: str, data: str = "") -> str:
    return f'<div class="game-picture"{data}><p>{caption}</p><img src="{inline(file)}" alt="{escape(alt)}"></div>'
