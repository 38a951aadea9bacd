"""The game as HTML, and, where there is a Chromium, played in it."""

import io
import re
import tomllib
from base64 import b64decode
from html import escape
from pathlib import Path

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from PIL import Image

from xai_lib.page.names import WHOLE_OUTPUT_NAMES
from xai_lib.papers.whole_output.analysis.pictures import Round
from xai_lib.papers.whole_output.figures.inline import overlaid, png
from xai_lib.papers.whole_output.figures.matching_game import _where, matching_game

ROOT = Path(__file__).parents[4]
KINDS = ("swox", "cwox-1sb", "cwox-2s")
METHODS = tuple(WHOLE_OUTPUT_NAMES[kind] for kind in KINDS)
WHERE = "Heat map: strongest around the {}, over 25 % of the image."


@pytest.fixture(autouse=True)
def pyplot():
    """A game is no figure of matplotlib's."""


def corner(row, column):
    heat = torch.zeros(8, 8)
    heat[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 1
    return heat


def a_round(number=0, labels=None, label=None):
    """The map of the first label is at the top left, that of the second at the bottom right."""
    picture = torch.full((3, 8, 8), number / 100)
    labels = labels or (f"first {number}", f"second {number}")
    return Round(picture, label or f"{number}", (corner(0, 0), corner(1, 1)), labels, KINDS[number % 3])


def game(n):
    """The page of a game of so many rounds."""
    return matching_game(list(map(a_round, range(n))), title="A game").data


def parsed(page):
    return BeautifulSoup(page, "html.parser")


def decoded(image):
    return b64decode(image["src"].removeprefix("data:image/png;base64,"), validate=True)


def test_every_picture_is_there_with_its_description_and_each_map_with_its_label():
    for each, box in zip(map(a_round, range(4)), parsed(game(4))(class_="game-round"), strict=True):
        image, *maps = box("img")
        assert decoded(image) == png(each.picture, 168) and image["alt"] == f"An image of the class {each.label}."
        found = {map["alt"]: (decoded(map), map.parent["data-label"]) for map in maps}
        expected = [(png(overlaid(each.picture, heat), 168), label) for heat, label in zip(each.maps, each.labels)]
        assert found == dict(zip((WHERE.format("top left"), WHERE.format("bottom right")), expected))


@pytest.mark.parametrize(
    ("rows", "columns", "words"),
    [(0, 0, "top left"), (4, 8, "middle right"), (8, 4, "bottom centre"), (4, 4, "centre")],
)
def test_words_say_where_a_map_is_strongest(rows, columns, words):
    heat = torch.full((9, 9), 0.2)
    heat[rows, columns] = 1
    assert _where(heat) == f"Heat map: strongest around the {words}, over 1 % of the image."


def test_an_overlay_is_bright_where_the_map_is_and_a_picture_keeps_its_pixels_and_its_shape():
    mixed = overlaid(torch.full((3, 8, 8), 0.5), corner(0, 0) + corner(0, 1))
    assert mixed[:, :4].mean() > mixed[:, 4:].mean() + 0.2
    wide = torch.zeros(3, 4, 8)
    wide[0, :, 4:] = 1
    pixels = np.array(Image.open(io.BytesIO(png(wide, 16))))
    assert pixels.shape == (16, 32, 3)
    assert (pixels[:, 16:, 0] == 255).all() and (pixels[:, :16] == 0).all() and (pixels[..., 1:] == 0).all()


def test_without_javascript_everything_shows_and_solutions_unfold_and_the_order_of_the_maps_tells_nothing():
    page, orders = parsed(game(12)), set()
    for each, box in zip(map(a_round, range(12)), page(class_="game-round"), strict=True):
        assert "hidden" not in box.attrs
        order = [map["data-label"] for map in box(attrs={"data-label": True})]
        orders.add(order[0].split()[0])
        said = f"By {WHOLE_OUTPUT_NAMES[each.method]}: map A is for {order[0]}, map B is for {order[1]}."
        assert box.details.p.get_text() == said
        assert not re.search("|".join((*METHODS, "first", "second")), box.find(class_="game-pictures").get_text())
        assert all(label in box.summary.get_text() for label in each.labels)
        assert not re.search("|".join(METHODS), box.summary.get_text())
    assert "hidden" in page.form.attrs and "hidden" in page.find(class_="game-result").attrs
    assert orders == {"first", "second"} and game(3) == game(3)


def test_questions_are_native_grouped_and_named():
    page = parsed(game(2))
    match, sure = page.form("fieldset")
    for question, n in ((match, 2), (sure, 5)):
        assert question.legend.get_text()
        choices = question("input", type="radio", required=True)
        assert len(choices) == n and len({choice["name"] for choice in choices}) == 1
        assert all(choice.find_parent("label") for choice in choices)
    assert [choice["value"] for choice in sure("input")] == list("12345")
    assert "1 (not sure)" in sure.legend.get_text() and "5 (completely sure)" in sure.legend.get_text()
    assert [button["type"] for button in page.form("button")] == ["submit", "button"]
    [live] = page.form(attrs={"role": "status"})
    assert live.get_text() == "" and "hidden" not in live.attrs
    assert page.section["aria-label"] == "A game"
    assert [head["scope"] for head in page.table("th")] == ["col"] * 3 and page.caption.get_text()


def test_games_share_a_page_because_nothing_has_an_id_or_is_loaded_sent_or_kept_and_words_are_escaped():
    words, n_pictures = re.subn(r'src="data:image/png;base64,[^"]*"', "", game(3))
    assert n_pictures == 9 and not parsed(words)(attrs={"id": True})
    refused = r"src=|href=|action=|https?:|url\(|@import|import\(|\bfetch\b|XMLHttp|sendBeacon|Storage|indexedDB|cookie"
    assert not re.search(refused, words)
    assert len(game(1)) < 25_000 and len(game(2)) - len(game(1)) < 5_000
    nasty = '"><b>&'
    html = matching_game([a_round(label=nasty, labels=(nasty, "y"))], title=nasty).data
    assert nasty not in html and html.count(escape(nasty)) >= 5
    assert parsed(html).section["aria-label"] == nasty


def test_a_round_that_cannot_be_played_and_a_game_without_rounds_are_refused():
    with pytest.raises(ValueError, match=r"Expected two different labels\. Got 'cello' twice"):
        a_round(labels=("cello", "cello"))
    with pytest.raises(ValueError, match="Expected one round or more"):
        matching_game([], title="A game")


def test_an_installed_package_has_template_script_and_style():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["xai_lib"]
    packed = {path for pattern in patterns for path in (ROOT / "xai_lib").glob(pattern)}
    beside = Path(matching_game.__code__.co_filename)
    assert {beside.with_suffix(kind) for kind in (".html", ".js", ".css")} <= packed


PLAY = """<pre></pre><script>
const shown = (all) => [...all].filter((each) => each.checkVisibility());
const games = [...document.querySelectorAll(".matching-game")].map((game) => {
  const form = game.querySelector("form"), [check, next] = form.querySelectorAll("button");
  const played = [1, 2].map((time) => {
    const turns = [];
    while (shown([form]).length) {
      check.click();
      const refused = form.querySelector("[role=status]").textContent === "" && shown([check]).length === 1;
      const [round] = shown(game.querySelectorAll(".game-round"));
      const wanted = turns.length % 2;
      form.querySelectorAll("[name=match]")[wanted].click();
      form.querySelectorAll("[name=sure]")[turns.length % 5].click();
      const chosen = form.querySelector("[name=match]:checked").parentNode.textContent.trim();
      const before = round.textContent;
      check.click();
      turns.push({
        refused, chosen, before, method: round.dataset.method,
        pictures: shown(game.querySelectorAll("img")).map((image) => image.alt), after: round.textContent,
        said: form.querySelector("[role=status]").textContent, focus: document.activeElement === next,
        locked: [...form.querySelectorAll("input")].every((input) => input.matches(":disabled")),
      });
      next.click();
      turns.at(-1).reader = document.activeElement.textContent;
    }
    const table = [...game.querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent));
    game.querySelector(".game-result button").click();
    return { turns, table, reader: document.activeElement.textContent };
  });
  return played;
});
document.querySelector("pre").textContent = JSON.stringify(games);
</script>"""


@pytest.mark.slow
def test_two_games_on_a_page_are_played_twice(browsed):
    games = browsed(game(20) + game(2) + PLAY)
    assert [len(times) for times in games] == [2, 2]
    for times, n in zip(games, (20, 2)):
        for played in times:
            check_turns(played["turns"], n)
            check_table(played["table"], played["turns"])
            assert played["turns"][-1]["reader"].startswith("Your score: ") and played["reader"] == f"Round 1 of {n}"
    check_chance(*(played["turns"] for played in games[0]))


def check_chance(first, second):
    """Rounds, sides of maps and the right option are drawn: each of these fails by chance once in 2^19 runs or less."""
    orders = [[turn["pictures"][0] for turn in turns] for turns in (first, second)]
    sides = [{tuple(turn["pictures"]) for turn in turns} for turns in (first, second)]
    verdicts_on_first_option = {verdict(turn) for turns in (first, second) for turn in turns[::2]}
    assert orders[0] != orders[1] and sides[0] != sides[1]
    assert verdicts_on_first_option == {"Right", "Wrong"}


def check_turns(turns, n):
    """Every round came once; each reply fits the maps as they stood and what was chosen."""
    shown = [turn["pictures"][0] for turn in turns]
    assert sorted(shown) == sorted(f"An image of the class {number}." for number in range(n))
    for place, turn in enumerate(turns, start=1):
        assert turn["refused"] and turn["focus"] and turn["locked"]
        number = re.search(r"\d+", turn["pictures"][0])[0]
        label = {WHERE.format("top left"): f"first {number}", WHERE.format("bottom right"): f"second {number}"}
        a, b = (label[alt] for alt in turn["pictures"][1:])
        truth = f"Map A: {a}; map B: {b}"
        assert turn["chosen"] in (truth, f"Map A: {b}; map B: {a}")
        assert turn["said"] == f"{verdict(turn)}. {truth}. Drawn by {turn['method']}."
        assert verdict(turn) == ("Right" if turn["chosen"] == truth else "Wrong")
        assert turn["before"] == f"Round {place} of {n}ImageMap AMap B"
        assert turn["after"] == f"Round {place} of {n}ImageMap A: {a}Map B: {b}"
        assert place == n or turn["reader"] == f"Round {place + 1} of {n}"


def check_table(table, turns):
    """A line a method in the order of the rounds given, and one of all."""
    methods = [method for method in METHODS if any(turn["method"] == method for turn in turns)]
    expected = []
    for name in (*methods, "All"):
        own = [place for place, turn in enumerate(turns) if name in (turn["method"], "All")]
        right = sum(verdict(turns[place]) == "Right" for place in own)
        expected.append((name, f"{right} of {len(own)}", sum(place % 5 + 1 for place in own) / len(own)))
    assert [tuple(line[:2]) for line in table] == [line[:2] for line in expected]
    assert [float(line[2]) for line in table] == pytest.approx([line[2] for line in expected], abs=0.051)


def verdict(turn):
    return turn["said"].partition(".")[0]
