"""The matching task of §5.2 as a game in the page: which heat map is for which label?"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from zlib import crc32

from IPython.display import HTML

_PNG = b"\x89PNG\r\n\x1a\n"
_CONFIDENCES = range(1, 6)  # from "not sure" to "completely sure"


@dataclass(frozen=True)
class Round:
    """One image, and two heat maps of it for two labels that a network confuses, as in Figure 7.

    Attributes:
        image: the image, a PNG.
        image_alt: what the image shows, in words, for readers who do not see it.
        maps: each label's map drawn over the image, PNGs: ``maps[0]`` is of ``labels[0]``.
        map_alts: where each map is strongest, in words that do not name its label: the game can be played by them.
        labels: two different names.
        method: the name of the method that drew both maps, shown after the answer.

    Raises:
        ValueError: when a picture is no PNG, a description is empty, or the labels are alike.
    """

    image: bytes
    image_alt: str
    maps: tuple[bytes, bytes]
    map_alts: tuple[str, str]
    labels: tuple[str, str]
    method: str

    def __post_init__(self) -> None:
        for picture in (self.image, *self.maps):
            if not picture.startswith(_PNG):
                raise ValueError(f"Expected the bytes of PNGs. Got a picture that begins with {picture[:8]!r}.")
        if not all((self.image_alt, *self.map_alts)):
            raise ValueError("Expected a description of the image and of both maps. Got an empty one.")
        if self.labels[0] == self.labels[1]:
            raise ValueError(f"Expected two different labels. Got {self.labels[0]!r} twice.")


def matching_game(rounds: Sequence[Round], *, title: str) -> HTML:
    """A reader matches pairs of maps to pairs of labels, says how sure that is, and gets a score for each method.

    The task and the scale of confidence are those of the paper's user study. Different from there: one reader sees
    all methods, in an order drawn anew for each game, and there is no training phase, but the solution after each
    answer. Give each image to one method only, or else a reader solves it the second time from memory. The page needs
    no server and keeps no answers. Without JavaScript it shows all rounds, each with a solution to unfold.

    Args:
        rounds: one or more, in any order; the table at the end lists methods in the order given here.
        title: one line above the game.

    Returns:
        One piece of HTML that holds its pictures, style and script. Several fit on one page.

    Raises:
        ValueError: when there are no rounds.
    """
    if not rounds:
        raise ValueError("Expected one round or more. Got none.")
    beside = Path(__file__)
    pictures = "".join(_round(each, number, len(rounds)) for number, each in enumerate(rounds, start=1))
    return HTML(
        f'<section class="matching-game" aria-label="{escape(title)}">'
        f"<style>{beside.with_suffix('.css').read_text(encoding='utf-8')}</style>"
        f'<p class="game-title">{escape(title)}</p>'
        "<p>Each round shows an image and two heat maps by one method. Each map marks the pixels that speak for one of "
        "two labels that a network confuses. The method is named after the answer. No answer leaves this page.</p>"
        f"{pictures}{_form()}{_result()}"
        f"<script>{beside.with_suffix('.js').read_text(encoding='utf-8')}</script>"
        "</section>"
    )


def _round(given: Round, number: int, n_rounds: int) -> str:
    """The pictures and the solution: all there is without JavaScript, so the maps stand in no telling order."""
    drawn, solution = [], []
    pairs = sorted(zip(given.maps, given.map_alts, given.labels), key=lambda pair: crc32(pair[0]))
    for letter, (png, alt, label) in zip("AB", pairs):
        drawn.append(_picture(png, alt, f"Map {letter}", f' data-label="{escape(label)}"'))
        solution.append(f"map {letter} is for <b>{escape(label)}</b>")
    return (
        f'<div class="game-round" data-method="{escape(given.method)}">'
        f'<p class="game-number" tabindex="-1">Round {number} of {n_rounds}</p>'
        f'<div class="game-pictures">{_picture(given.image, given.image_alt, "Image")}'
        f'<div class="game-maps">{"".join(drawn)}</div></div>'
        f"<details><summary>Solution: which map is for {' and which for '.join(map(escape, given.labels))}?</summary>"
        f"<p>By {escape(given.method)}: {', '.join(solution)}.</p></details></div>"
    )


def _picture(png: bytes, alt: str, caption: str, data: str = "") -> str:
    source = f"data:image/png;base64,{b64encode(png).decode()}"
    return f'<div class="game-picture"{data}><p>{caption}</p><img src="{source}" alt="{escape(alt)}"></div>'


def _form() -> str:
    """The questions, which the script fills in for each round."""
    match = '<label><input type="radio" name="match" required> <span>Map A: <b></b>; map B: <b></b></span></label>'
    sure = "".join(
        f'<label><input type="radio" name="sure" value="{number}" required> {number}</label>' for number in _CONFIDENCES
    )
    return (
        '<form autocomplete="off" hidden>'
        f"<fieldset><legend>Which map is for which label?</legend>{match * 2}</fieldset>"
        "<fieldset><legend>How sure are you, from 1 (not sure) to 5 (completely sure)?</legend>"
        f'<div class="game-sure">{sure}</div></fieldset>'
        '<button type="submit">Check the answer</button><p class="game-feedback" role="status"></p>'
        '<button type="button" hidden></button></form>'
    )


def _result() -> str:
    """The table of scores, which the script fills in."""
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("Method", "Right", "Mean confidence (1–5)"))
    return (
        '<div class="game-result" hidden><p class="game-number" tabindex="-1"></p>'
        "<table><caption>Your own answers. Guessing gets half of them right, and a few rounds prove little.</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody></tbody></table>"
        '<button type="button">Play again</button></div>'
    )
