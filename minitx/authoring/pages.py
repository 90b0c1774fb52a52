"""A page of the book as its reader meets it: prose, code, figures, questions, in order.

`python -m minitx.authoring.pages` prints how long each page is, and what is wrong with it.
"""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import jupytext  # type: ignore[import-untyped]
from nbformat import NotebookNode

from minitx.authoring.notebooks import from_text, tags_of, written_code

# Prose that is not read in passing: a fold, or what a script puts a figure in place of.
_FOLD = re.compile(r"<details\b.*?</details>", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_OPENS = re.compile(r'<div\b[^>]*\bclass="(?P<kind>[\w-]+)[^>]*>')
_DIV = re.compile(r"<(?P<closes>/?)div\b[^>]*>")
_FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,}|:{3,})[ ]*(?P<name>\{[\w:-]+\}|\w*)(?P<title>[^\n]*)$")
_DISPLAY = re.compile(r"^\$\$.*?\$\$[ ]*(?:\([\w-]+\))?[ ]*$", re.DOTALL | re.MULTILINE)
_AMSMATH = re.compile(
    r"^\\begin\{(?P<name>\w+\*?)\}.*?\\end\{(?P=name)\}", re.DOTALL | re.MULTILINE
)
_TABLE = re.compile(r"^\|? *:?-+:? *\|[-| :]*$", re.MULTILINE)
_LABEL = re.compile(r"^\((?P<label>[\w.:-]+)\)=\s*$", re.MULTILINE)
_HEADING = re.compile(r"^(?P<level>#{1,6}) +(?P<title>.+)$", re.MULTILINE)
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<target>[^()\s]*)\)")
_ROLE = re.compile(r"\{[\w:-]+\}`[^`]*`")
_TAG = re.compile(r"</?\w[^>]*>")
_STYLE = re.compile(r"<(?P<tag>style|script)\b.*?</(?P=tag)>|<!--.*?-->", re.DOTALL)
_OPTION = re.compile(r"^:[\w-]+:.*$", re.MULTILINE)
_WORD = re.compile(r"\w")

INVISIBLE_CODE = {"remove-input", "hide-input", "remove-cell", "hide-cell"}
INVISIBLE_OUTPUT = {"remove-output", "hide-output", "remove-cell", "hide-cell"}
# Fences whose inside is prose; of all others only the fence itself is counted.
_READ = {"{admonition}", "{note}", "{tip}", "{important}", "{warning}", "{seealso}", "{glossary}"}


@dataclass(frozen=True)
class Piece:
    """Something on a page.

    Attributes:
        kind: "heading", "prose", "code", "figure", "drawing", "panel", "table", "equation",
            "fence" (code in the text) or "question".
        text: what was written.
        level: of a heading, 1 to 6.
        cell: of code and of figures that code draws, the cell.
    """

    kind: str
    text: str
    level: int = 0
    cell: NotebookNode | None = None

    @property
    def shows(self) -> bool:
        """Whether a reader can see here what came out."""
        if self.kind in {"figure", "drawing"} and self.cell is None:
            return True
        if self.cell is not None:
            return not INVISIBLE_OUTPUT & set(tags_of(self.cell))
        return self.kind in {"panel", "table"}


@dataclass(frozen=True)
class Size:
    """How much of everything a page has."""

    words: int
    code_lines: int
    longest_cell: int
    longest_line: int
    equations: int
    tables: int
    drawings: int
    figures: int
    panels: int
    questions: int


@dataclass(frozen=True)
class Page:
    """One page of the book, `book/NAME.md`."""

    name: str
    text: str
    # The stored outputs, cell by cell, where the notebook beside the page has some.
    outputs: dict[str, str]

    @cached_property
    def pieces(self) -> list[Piece]:
        """Everything on the page from top to bottom."""
        return [piece for cell in _cells(self.text) for piece in _pieces(cell)]

    @cached_property
    def size(self) -> Size:
        return size(self.pieces)

    @property
    def is_chapter(self) -> bool:
        """Whether it is a chapter's main page or its second one."""
        return re.match(r"\d\d_", self.name) is not None

    @property
    def is_main(self) -> bool:
        """Whether it is a chapter's main page, which has a budget."""
        return self.is_chapter and not self.name.endswith("_further")

    @property
    def anchors(self) -> set[str]:
        """What a link from elsewhere can end at."""
        return anchors(self.text)

    def links(self) -> Iterator[tuple[str, str]]:
        """Text and target of each link in the Markdown, folds included."""
        for cell in _cells(self.text):
            if cell.cell_type == "markdown":
                for link in _LINK.finditer(_COMMENT.sub("", cell.source)):
                    yield link["text"], link["target"]


def read_page(root: Path, name: str) -> Page:
    """A page by its name, "01_attention_intuition"."""
    text = (root / "book" / f"{name}.md").read_text(encoding="utf-8")
    stored = root / "book" / f"{name}.ipynb"
    outputs: dict[str, str] = {}
    if stored.exists():
        for cell in written_code(from_text(stored.read_text(encoding="utf-8"))):
            outputs.setdefault(cell.source, "\n".join(_printed(cell)))
    return Page(name, text, outputs)


def pages(root: Path) -> list[Page]:
    """Every page of the book, by name."""
    return [read_page(root, path.stem) for path in sorted((root / "book").glob("*.md"))]


def size(pieces: list[Piece]) -> Size:
    """Count what a page holds; the words are those outside folds, outputs, captions and code."""
    code = [_visible_lines(piece) for piece in pieces]
    lines = [line for cell in code for line in cell]

    def count(kind: str) -> int:
        return sum(piece.kind == kind for piece in pieces)

    return Size(
        words=sum(words(p.text) for p in pieces if p.kind in {"heading", "prose", "table"})
        + sum(words(_FOLD.sub("", p.text)) for p in pieces if p.kind == "question"),
        code_lines=sum(bool(line.strip()) for line in lines),
        longest_cell=max(map(len, code), default=0),
        longest_line=max(map(len, lines), default=0),
        equations=count("equation"),
        tables=count("table"),
        drawings=count("drawing"),
        figures=count("figure"),
        panels=count("panel"),
        questions=count("question"),
    )


def words(markdown: str) -> int:
    """The words of a piece of prose; of a formula in a line, what its blanks part.

    >>> words("The weight of $k_1$ is $1 / 4$, see [the table](#t) {cite}`somebody2017`.")
    10
    """
    text = _IMAGE.sub(" ", markdown)
    text = _LINK.sub(lambda link: link["text"], text)
    text = _ROLE.sub(" ", text)
    text = _TAG.sub(" ", text)
    return sum(_WORD.search(word) is not None for word in text.split())


def anchors(text: str) -> set[str]:
    """Labels and headings of a Markdown text, in every spelling that a built page answers to."""
    found = {label["label"] for label in _LABEL.finditer(text)}
    found |= set(re.findall(r'\bid="([^"]+)"', text))
    found |= set(re.findall(r"^ *:?name: *([\w-]+)", text, re.MULTILINE))
    for heading in _HEADING.finditer(text):
        title = re.sub(r"[*_`$]", "", heading["title"].strip().lower())
        found.add(re.sub(r"[^\w\- ]", "", title.replace(" ", "-")))  # as GitHub spells it
        found.add(re.sub(r"[^a-z0-9]+", "-", title).strip("-"))  # as docutils does
        if exercise := re.match(r"exercise (\d+)\.(\d+)\b", title):  # whatever it is called
            found.add("exercise-{}-{}".format(*exercise.groups()))
    return found


def _cells(text: str) -> list[NotebookNode]:
    notebook: NotebookNode = jupytext.reads(text, fmt="md:myst")
    cells: list[NotebookNode] = notebook.cells
    return cells


def _pieces(cell: NotebookNode) -> Iterator[Piece]:
    if cell.cell_type == "code":
        yield Piece(_kind(cell), cell.source, cell=cell)
    elif cell.cell_type == "markdown":
        yield from _of_markdown(_COMMENT.sub("", cell.source))


def _kind(cell: NotebookNode) -> str:
    """What a code cell is to the reader."""
    if "drawings." in cell.source:
        return "drawing"
    return "figure" if "figure" in cell.metadata.get("mystnb", {}) else "code"


def _of_markdown(text: str) -> Iterator[Piece]:
    """The pieces of a Markdown cell: first what stands in a box of its own, then the rest."""
    for kind, part in _split(text, _boxes):
        if kind == "playable":
            yield Piece("panel", part)
        elif kind in {"panel", "question"}:
            yield Piece(kind, part)
        else:
            for inner, rest in _split(_FOLD.sub("", part), _fences):
                if inner in _READ:
                    yield from _of_markdown(_inside(rest))
                elif inner in {"{figure}", "{image}"}:
                    yield Piece("figure", rest)
                elif inner == "{math}":
                    yield Piece("equation", rest)
                elif inner == "prose":
                    yield from _of_prose(rest)
                else:
                    yield Piece("fence", rest)


def _of_prose(text: str) -> Iterator[Piece]:
    for pattern in (_DISPLAY, _AMSMATH):
        text = pattern.sub(lambda found: f"\n\n\0{found[0]!r}\n\n", text)
    text = _LABEL.sub("", text)
    for block in re.split(r"\n\s*\n|\n(?=#{1,6} )|(?<=\n)(?=\0)", text):
        heading = _HEADING.match(block)
        if heading:
            first, _, rest = block.partition("\n")
            yield Piece("heading", first, level=len(heading["level"]))
            block = rest
        if block.startswith("\0"):
            yield Piece("equation", block[1:])
        elif _TABLE.search(block):
            yield Piece("table", _TABLE.sub("", block))
        elif block.strip():
            yield Piece("figure" if _IMAGE.fullmatch(block.strip()) else "prose", block)


_Found = Iterator[tuple[str, int, int]]


def _split(text: str, find: Callable[[str], _Found]) -> Iterator[tuple[str, str]]:
    """What `find` finds, with its kind, and what lies between as "prose"."""
    at = 0
    for kind, start, stop in find(text):
        yield "prose", text[at:start]
        yield kind, text[start:stop]
        at = stop
    yield "prose", text[at:]


def _boxes(text: str) -> _Found:
    """The outermost `<div class="…">` that a script or a question makes its own."""
    at = 0
    while opening := _OPENS.search(text, at):
        at = opening.end()
        if opening["kind"] in {"playable", "panel", "question"}:
            at = _end_of_div(text, opening.start())
            yield opening["kind"], opening.start(), at


def _end_of_div(text: str, start: int) -> int:
    depth = 0
    for tag in _DIV.finditer(text, start):
        depth += -1 if tag["closes"] else 1
        if depth == 0:
            return tag.end()
    return len(text)


def _fences(text: str) -> _Found:
    """Fenced blocks: the name of a directive, the language of code, or ""."""
    at, open_at, opened = 0, 0, ""
    name = ""
    for line in text.splitlines(keepends=True):
        fence = _FENCE.match(line.rstrip())
        if not opened and fence:
            opened, name, open_at = fence["fence"], fence["name"] or "text", at
        elif opened and line.strip() == opened:
            yield name, open_at, at + len(line)
            opened = ""
        at += len(line)
    if opened:
        yield name, open_at, at


def _inside(block: str) -> str:
    """Title and text of a directive."""
    first, *rest = block.strip().splitlines()
    fence = _FENCE.match(first)
    title = fence["title"] if fence else ""
    return _OPTION.sub("", "\n".join([title, "", *rest[:-1]]))


def _visible_lines(piece: Piece) -> list[str]:
    """The lines of code that a reader sees without unfolding anything."""
    if piece.cell is not None:
        hidden = INVISIBLE_CODE & set(tags_of(piece.cell))
        return [] if hidden else piece.text.splitlines()
    return piece.text.strip().splitlines()[1:-1] if piece.kind == "fence" else []


def _printed(cell: NotebookNode) -> Iterator[str]:
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.text
        for kind, data in output.get("data", {}).items():
            text = data if isinstance(data, str) else "".join(data)
            if kind in {"text/html", "image/svg+xml"}:
                yield _TAG.sub(" ", _STYLE.sub(" ", text))
            elif kind in {"text/plain", "text/markdown"}:
                yield text


def main() -> int:
    """Print the size of each page, then what is wrong with it."""
    from minitx.authoring.page_lints import faults
    from minitx.authoring.reading_time import time_of

    root = Path(__file__).resolve().parents[2]
    heads = [field.name.replace("_", " ") for field in fields(Size)]
    print(f"{'':24}", *heads, "skimmed", "worked through", sep="  ")
    for page in pages(root):
        time = time_of(page)
        counted = [*vars(page.size).values(), time.skimmed, time.worked]
        columns = [*heads, "skimmed", "worked through"]
        row = [f"{n:>{len(head)}}" for n, head in zip(counted, columns, strict=True)]
        print(f"{page.name:24}", *row, sep="  ")
    found = faults(root)
    for fault in found:
        print(fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
