import pandas as pd
import pytest
from bs4 import BeautifulSoup

from xai_lib.files import read_frame
from xai_lib.page import table
from xai_lib.page.table import Column, show, text

MINUS = "\N{MINUS SIGN}"
NAN = float("nan")
FRAME = pd.DataFrame({"a": ["<script>x</script>", None], "n": [1.5, NAN], "long": ["R&D", '"quoted"']})
COLUMNS = [text("a <b>", "a"), Column("n", "n"), Column("long", "long", kind="long")]


def test_text_is_escaped_and_comes_back_as_it_was(read):
    rows = read(show(FRAME, COLUMNS, 'Rows "a" & <b>'))
    assert list(rows) == ["a <b>", "n", "long"] and rows.attrs["caption"] == 'Rows "a" & <b>'
    assert rows.to_numpy().tolist() == [["<script>x</script>", "1.5", "R&D"], ["–", "–", '"quoted"']]


def test_the_table_can_be_named_scrolled_and_read_aloud():
    page = BeautifulSoup(show(FRAME, COLUMNS, 'Rows "a"').data, "html.parser")
    assert page.div.attrs == {
        "class": ["companion-table"], "tabindex": "0", "role": "region", "aria-label": 'Rows "a"'
    }  # fmt: skip
    assert len(page.select("caption")) == 1 and [head["scope"] for head in page.select("th")] == ["col"] * 3
    for row in page.select("tr"):
        assert [" ".join(cell["class"]) for cell in row.select("th, td")] == ["text", "", "text long"]


def test_a_format_is_a_function_of_its_sources_or_looks_a_value_up(read):
    frame = pd.DataFrame({"low": [1, 2], "high": [3, 4], "name": ["x", "y"]})
    columns = [
        Column("range", ("low", "high"), lambda low, high: f"{low}-{high}"),
        text("is", "name", {"x": "X", "y": "Y"}),
    ]
    assert read(show(frame, columns, "c")).to_numpy().tolist() == [["1-3", "X"], ["2-4", "Y"]]


def test_an_entry_is_printed_where_it_or_one_before_it_in_the_group_changes(read):
    frame = pd.DataFrame({"a": list("xxxyy"), "b": list("ppqqq"), "c": range(5)})
    columns = [text(name, name) for name in frame]
    rows = read(show(frame, columns, "c", group=["a", "b"]))
    assert rows["a"].tolist() == ["x", "", "", "y", ""] and rows["b"].tolist() == ["p", "", "q", "q", ""]
    assert rows["c"].tolist() == list("01234")
    assert read(show(frame[:0], columns, "c", group=["a"])).empty


def test_only_a_table_with_a_name_is_recorded_numbers_and_view(tmp_path, monkeypatch):
    show(FRAME, COLUMNS, "before", name="rows")
    monkeypatch.setenv("XAI_RECORD", str(tmp_path))
    show(FRAME, COLUMNS, "without")
    shown = show(FRAME, COLUMNS, "with", name="rows")
    assert {file.name for file in tmp_path.iterdir()} == {"rows.csv", "rows.html"}
    pd.testing.assert_frame_equal(read_frame(tmp_path / "rows.csv"), FRAME, check_dtype=False)
    assert (tmp_path / "rows.html").read_text() == shown.data + "\n"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (table.number()(0.12345), "0.123"),
        (table.number(1)(-0.5), f"{MINUS}0.5"),
        (table.number()(NAN), "–"),
        (table.number()(None), "–"),
        (table.plus_minus(2)(0.5, 0.25), "0.50 ± 0.25"),
        (table.plus_minus()(0.5, NAN), "0.500"),
        (table.plus_minus()(NAN, NAN), "–"),
        (table.interval(1)(-0.1, 0.2), f"[{MINUS}0.1, 0.2]"),
        (table.interval()(NAN, NAN), "–"),
        (table.signed(2)(0.25), "+0.25"),
        (table.signed(2)(-0.25), f"{MINUS}0.25"),
        (table.signed(1)(0.0), "+0.0"),
        (table.signed()(NAN), "–"),
        (table.p_value(0.0004), "< 0.001"),
        (table.p_value(0.001), "0.001"),
        (table.p_value(0.0416), "0.042"),
        (table.p_value(1.0), "1.000"),
        (table.p_value(NAN), "–"),
        (table.number(1, times=100)(0.125), "12.5"),
        (table.interval(0, times=100)(0.1, 0.2), "[10, 20]"),
        (table.part_of(3, 4), "3 of 4"),
        (table.part_of(NAN, 4), "–"),
        (table.printed(""), "–"),
    ],
)
def test_numbers_are_printed_for_readers(shown, expected):
    assert shown == expected
