from html.parser import HTMLParser

import pandas as pd
import pytest

from xai_lib.page import table as html

MINUS = "\N{MINUS SIGN}"
NAN = float("nan")


class Reader(HTMLParser):
    """Collects tags with their attributes, and the text of each cell."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag in ("th", "td", "caption"):
            self.cells.append("")

    def handle_data(self, data):
        self.cells[-1] += data

    def named(self, wanted):
        return [attributes for tag, attributes in self.tags if tag == wanted]


FRAME = pd.DataFrame({"a <b>": ["<script>x</script>", None], "n": [1.5, NAN], "long": ["R&D", '"quoted"']})


def test_text_is_escaped_and_comes_back_as_it_was():
    read = Reader(html.show(FRAME, 'Rows "a" & <b>').data)
    assert [tag for tag, _ in read.tags] == ["div", "table", "caption", "thead", "tr", *["th"] * 3, "tbody", *(
        ["tr", "td", "td", "td"] * 2
    )]  # fmt: skip
    assert read.cells == ['Rows "a" & <b>', *FRAME, "<script>x</script>", "1.5", "R&D", "–", "–", '"quoted"']


def test_the_table_can_be_named_scrolled_and_read_aloud():
    read = Reader(html.show(FRAME, 'Rows "a"', text=["a <b>"], long=["long"]).data)
    [box] = read.named("div")
    assert box == {"class": "companion-table", "tabindex": "0", "role": "region", "aria-label": 'Rows "a"'}
    assert len(read.named("caption")) == 1
    assert [head["scope"] for head in read.named("th")] == ["col"] * 3
    assert [head["class"] for head in read.named("th")] == ["text", "", "text long"]
    assert [cell["class"] for cell in read.named("td")] == ["text", "", "text long"] * 2


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (html.number(0.12345), "0.123"),
        (html.number(-0.5, 1), f"{MINUS}0.5"),
        (html.number(NAN), "–"),
        (html.number(None), "–"),
        (html.plus_minus(0.5, 0.25, 2), "0.50 ± 0.25"),
        (html.plus_minus(0.5, NAN), "0.500"),
        (html.plus_minus(NAN, NAN), "–"),
        (html.interval(-0.1, 0.2, 1), f"[{MINUS}0.1, 0.2]"),
        (html.interval(NAN, NAN), "–"),
        (html.signed(0.25, 2), "+0.25"),
        (html.signed(-0.25, 2), f"{MINUS}0.25"),
        (html.signed(0.0, 1), "+0.0"),
        (html.signed(NAN), "–"),
        (html.p_value(0.0004), "< 0.001"),
        (html.p_value(0.001), "0.001"),
        (html.p_value(0.0416), "0.042"),
        (html.p_value(1.0), "1.000"),
        (html.p_value(NAN), "–"),
    ],
)
def test_numbers_are_printed_for_readers(shown, expected):
    assert shown == expected
