"""The game as HTML, and, where there is a Chromium, played in it."""

import json
import os
import re
import shutil
import subprocess
import tomllib
import zlib
from base64 import b64decode
from html import escape
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from xai_lib.papers.whole_output.figures.matching_game import Round, matching_game

ROOT = Path(__file__).parents[4]
METHODS = ("SWOX", "CWOX-1sB", "CWOX-2s")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(autouse=True)
def pyplot():
    """A game is no figure of matplotlib's."""


def png(number):
    """A white picture ``number`` pixels wide."""

    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = number.to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    pixels = zlib.compress(bytes([0]) + b"\xff" * number)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def a_round(number=0, method="SWOX", **changed):
    given = {
        "image": png(10 * number + 1),
        "image_alt": f"image {number}",
        "maps": (png(10 * number + 2), png(10 * number + 3)),
        "map_alts": (f"map of the first, {number}", f"map of the second, {number}"),
        "labels": (f"first {number}", f"second {number}"),
        "method": method,
    }
    return Round(**(given | changed))


def rounds(n):
    return [a_round(number, METHODS[number % 3]) for number in range(n)]


def parsed(given, title="A game"):
    return BeautifulSoup(matching_game(given, title=title).data, "html.parser")


def decoded(image):
    return b64decode(image["src"].removeprefix("data:image/png;base64,"), validate=True)


def test_every_picture_is_there_once_with_its_description():
    given = rounds(4)
    found = {decoded(image): image["alt"] for image in parsed(given)("img")}
    expected = {}
    for each in given:
        expected |= {each.image: each.image_alt} | dict(zip(each.maps, each.map_alts))
    assert found == expected and len(parsed(given)("img")) == 12


def test_each_map_carries_its_label():
    [found] = parsed([a_round(7)])(class_="game-maps")
    labels = {box.img["alt"]: box["data-label"] for box in found(attrs={"data-label": True})}
    assert labels == {"map of the first, 7": "first 7", "map of the second, 7": "second 7"}


def test_without_javascript_everything_shows_and_solutions_unfold():
    given = rounds(12)
    page = parsed(given)
    for each, box in zip(given, page(class_="game-round"), strict=True):
        assert "hidden" not in box.attrs
        solution = box.details.p.get_text()
        order = [box_of_map["data-label"] for box_of_map in box(attrs={"data-label": True})]
        assert solution == f"By {each.method}: map A is for {order[0]}, map B is for {order[1]}."
        assert not re.search("|".join((*METHODS, "first", "second")), box.find(class_="game-pictures").get_text())
        assert all(label in box.summary.get_text() for label in each.labels)
        assert not re.search("|".join(METHODS), box.summary.get_text())
    assert "hidden" in page.form.attrs and "hidden" in page.find(class_="game-result").attrs


def test_without_javascript_the_order_of_the_maps_tells_nothing():
    orders = {box(attrs={"data-label": True})[0]["data-label"][:5] for box in parsed(rounds(12))(class_="game-round")}
    assert orders == {"first", "secon"}


def test_questions_are_native_grouped_and_named():
    page = parsed(rounds(2))
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


def test_games_share_a_page_because_nothing_has_an_id():
    assert not parsed(rounds(2))(attrs={"id": True})


def test_nothing_is_loaded_sent_or_kept():
    html = matching_game(rounds(3), title="A game").data
    words, n_pictures = re.subn(r'src="data:image/png;base64,[^"]*"', "", html)
    assert n_pictures == 9
    refused = r"src=|href=|action=|https?:|url\(|@import|import\(|\bfetch\b|XMLHttp|sendBeacon|Storage|indexedDB|cookie"
    assert not re.search(refused, words)


def test_words_are_escaped():
    nasty = '"><b>&'
    given = a_round(image_alt=nasty, map_alts=(nasty, "x"), labels=(nasty, "y"), method=nasty)
    html = matching_game([given], title=nasty).data
    assert nasty not in html and html.count(escape(nasty)) >= 6
    page = parsed([given], title=nasty)
    assert page.section["aria-label"] == nasty == page.find(class_="game-round")["data-method"]


def test_the_page_does_not_grow_beyond_its_pictures():
    one, two = (len(matching_game(rounds(n), title="A game").data) for n in (1, 2))
    assert one < 20_000
    assert two - one < 2_000


def test_same_rounds_same_page():
    assert matching_game(rounds(3), title="A game").data == matching_game(rounds(3), title="A game").data


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"image": b"GIF89a, no PNG"}, "PNG.*b'GIF89a, '"),
        ({"maps": (png(1), b"")}, "PNG"),
        ({"image_alt": ""}, "description"),
        ({"map_alts": ("somewhere", "")}, "description"),
        ({"labels": ("cello", "cello")}, "'cello' twice"),
    ],
)
def test_a_round_that_cannot_be_played_is_refused(changed, words):
    with pytest.raises(ValueError, match=f"Expected .*{words}"):
        a_round(**changed)


def test_a_game_without_rounds_is_refused():
    with pytest.raises(ValueError, match="Expected one round or more"):
        matching_game([], title="A game")


def test_an_installed_package_has_script_and_style():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["xai_lib"]
    packed = {path for pattern in patterns for path in (ROOT / "xai_lib").glob(pattern)}
    beside = Path(matching_game.__code__.co_filename).with_name("matching_game")
    assert {beside.with_suffix(".js"), beside.with_suffix(".css")} <= packed


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
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_two_games_on_a_page_are_played_twice(tmp_path):
    page = tmp_path / "page.html"
    html = [matching_game(rounds(n), title="A game").data for n in (20, 2)]
    page.write_text(f"<!doctype html><meta charset='utf-8'>{''.join(html)}{PLAY}", encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run(
        [CHROMIUM, *flags, page.as_uri()], capture_output=True, text=True, timeout=100, env=os.environ | {"LANG": "C"}
    )
    games = json.loads(BeautifulSoup(done.stdout, "html.parser").pre.get_text())
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
    assert orders[0] != orders[1]
    assert sides[0] != sides[1]
    assert verdicts_on_first_option == {"Right", "Wrong"}


def check_turns(turns, n):
    """Every round came once; each reply fits the maps as they stood and what was chosen."""
    assert sorted(turn["pictures"][0] for turn in turns) == sorted(f"image {number}" for number in range(n))
    for place, turn in enumerate(turns, start=1):
        assert turn["refused"] and turn["focus"] and turn["locked"]
        number = turn["pictures"][0].removeprefix("image ")
        label = {f"map of the {name}, {number}": f"{name} {number}" for name in ("first", "second")}
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
