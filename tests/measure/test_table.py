"""A table says the same in HTML, in Markdown and in plain text."""

import re
from html.parser import HTMLParser

import pytest
import torch

from minitx.measure import Table

TABLE = Table(
    ["layer", "n", "share"],
    [["a|b", 1024, 0.25], ["<c>", 64, None], ["d", 7, "all"]],
    ["", ",d", ".0%"],
    caption="What & where",
)
CELLS = [["layer", "n", "share"], ["a|b", "1,024", "25%"], ["<c>", "64", "–"], ["d", "7", "all"]]


class Cells(HTMLParser):
    """The texts of a table's cells, and the attributes they carry."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.attributes: list[list[dict[str, str | None]]] = []
        self.caption = ""
        self.where = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.where = tag
        if tag == "tr":
            self.rows.append([])
            self.attributes.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.attributes[-1].append({"tag": tag, **dict(attrs)})

    def handle_endtag(self, tag: str) -> None:
        self.where = ""

    def handle_data(self, data: str) -> None:
        if self.where in ("td", "th"):
            self.rows[-1][-1] += data
        if self.where == "caption":
            self.caption += data


def test_html_says_it_with_headings_and_escapes() -> None:
    parsed = Cells(TABLE._repr_html_())
    assert parsed.rows == CELLS
    assert parsed.caption == "What & where"
    heading, first, *_ = parsed.attributes
    assert [cell["scope"] for cell in heading] == ["col"] * 3
    assert first == [
        {"tag": "th", "scope": "row"},
        {"tag": "td", "class": "number"},
        {"tag": "td", "class": "number"},
    ]


def test_markdown_says_it_and_a_bar_in_a_cell_does_not_end_it() -> None:
    caption, empty, heading, rule, *body = TABLE._repr_markdown_().splitlines()
    assert (caption, empty, rule) == ("*What & where*", "", "|---|---:|---:|")
    read = [
        [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in (heading, *body)
    ]
    assert read == CELLS


def test_plain_text_is_aligned() -> None:
    assert str(TABLE).splitlines() == [
        "What & where",
        "layer      n  share",
        "a|b    1,024    25%",
        "<c>       64      –",
        "d          7    all",
    ]


def test_a_tensor_of_one_number_is_a_number() -> None:
    assert str(Table(["x"], [[torch.tensor(0.5)]], [".2f"])) == "   x\n0.50"


def test_without_formats_values_are_written_as_they_are() -> None:
    assert str(Table(["word", "n"], [["rain", 3]])) == "word  n\nrain  3"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "a table needs at least one column, got none"),
        ((["a", "b"], [[1, 2], [3]]), "row 1 must have one value per column: 2, got 1"),
        ((["a", "b"], [], [".2f"]), "there must be one format per column: 2, got 1"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Table(*arguments)
