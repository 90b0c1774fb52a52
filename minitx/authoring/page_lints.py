"""What a page of the book must hold to: its budget, its questions, its links."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import jupytext  # type: ignore[import-untyped]

from minitx.authoring import questions
from minitx.authoring.pages import Page, Piece, anchors, pages
from minitx.authoring.reading_time import states_own_time

# Of a chapter's main page.
WORDS = 4000
CODE_LINES = 150
CELL_LINES = 12
LINE = 78
QUESTIONS = 8
PICTURES = 8

_NOT_A_NUMBER = r"(?<![\w.,])"
_NOTEBOOKS = {"exercises": "solutions", "solutions": "solutions"}  # and where they come from


def faults(root: Path) -> list[str]:
    """Everything that is wrong with the pages of the book, one line each."""
    book = pages(root)
    found = [f"book/{page.name}.md: {fault}" for page in book for fault in page_faults(root, page)]
    seen: dict[str, str] = {}
    for page in book:
        for question in _parsed(page):
            if question.id in seen:
                place = seen[question.id]
                found.append(f"book/{page.name}.md: the question {question.id} is in {place} too")
            seen[question.id] = f"book/{page.name}.md"
    start = next((page.text for page in book if page.name == "intro"), None)
    for page in book:
        if page.is_main and start is not None and f"<!-- time {page.name} -->" not in start:
            found.append(f"book/intro.md: no `<!-- time {page.name} --><!-- end -->`")
    return found


def page_faults(root: Path, page: Page) -> Iterator[str]:
    """What is wrong with one page."""
    if page.is_chapter:
        yield from beyond_budget(page)
        if not states_own_time(page.text):
            yield "no line `**Time.** About … worked through`; the build fills it in"
    yield from question_faults(page)
    yield from link_faults(root, page)


def beyond_budget(page: Page) -> Iterator[str]:
    """How a chapter's page is longer, or has less to see and to answer, than it may."""
    size = page.size
    limits = [("characters in the longest line of code", size.longest_line, LINE)]
    if page.is_main:
        limits += [
            ("words", size.words, WORDS),
            ("visible lines of code", size.code_lines, CODE_LINES),
            ("lines in the longest cell", size.longest_cell, CELL_LINES),
        ]
        pictures = size.drawings + size.figures
        if pictures < PICTURES:
            yield f"{pictures} drawings and figures; at least {PICTURES}"
        if size.questions < QUESTIONS:
            yield f"{size.questions} questions; at least {QUESTIONS}"
    for what, counted, limit in limits:
        if counted > limit:
            yield f"{counted:,} {what}; at most {limit:,}"


def question_faults(page: Page) -> Iterator[str]:
    """Questions that cannot be asked, or that stand where their answer can be read already."""
    chapter = page.name[:2].lstrip("0") if page.is_chapter else ""
    for at, piece in enumerate(page.pieces):
        if piece.kind != "question":
            continue
        try:
            question = questions.parse(piece.text)
        except questions.NotAQuestion as error:
            yield f"question `{' '.join(piece.text.split())[:70]} …`: {error}"
            continue
        if not re.fullmatch(rf"q-{chapter or '[a-z0-9]+'}-[a-z0-9-]+", question.id):
            yield f"question {question.id}: its id must be q-{chapter or 'page'}-…"
        for fault in questions.faults(question, must_name=page.is_chapter):
            yield f"question {question.id}: {fault}"
        if question.kind == "Predict":
            for fault in _too_late(page, at, question):
                yield f"question {question.id}: {fault}"


def _too_late(page: Page, at: int, question: questions.Question) -> Iterator[str]:
    """Why a prediction is none: nothing to see follows, or what it asks for was shown above.

    What follows counts up to the next heading of the section's own level. What stands above counts
    from the section's heading; a number of one digit stands everywhere and is not looked for.
    """
    pieces = page.pieces
    start = max((i for i, p in enumerate(pieces[:at]) if p.kind == "heading"), default=0)
    level = pieces[start].level
    if not any(piece.shows for piece in _until_heading(pieces[at + 1 :], level)):
        yield "no output, figure or table follows it in its section"
    answer = question.choices.get(question.right, question.right)
    wanted = re.search(r"\d[\d,.]*\d", answer) if not question.choices else None
    if question.choices and (whole := re.fullmatch(r"[-−]?(\d[\d,.]*\d) ?%?\.?", answer)):
        wanted = re.search(r"\d[\d,.]*\d", whole[0])
    if wanted:
        shown = re.compile(_NOT_A_NUMBER + re.escape(wanted[0]) + r"(?![\w]|[.,]\d)")
        above = [_shown(page, piece) for piece in pieces[start:at]]
        if not question.choices:
            above.append(question.prompt)
        if any(shown.search(text) for text in above):
            yield f"its answer, {wanted[0]}, stands above it in its section"


def _until_heading(pieces: list[Piece], level: int) -> Iterator[Piece]:
    for piece in pieces:
        if piece.kind == "heading" and piece.level <= level:
            return
        yield piece


def _shown(page: Page, piece: Piece) -> str:
    """What a reader reads of a piece: of code that runs, what came out, too."""
    if piece.cell is None:
        return piece.text if piece.kind != "question" else ""
    return page.outputs.get(piece.text, "") if piece.shows else ""


def link_faults(root: Path, page: Page) -> Iterator[str]:
    """Links within the book that end nowhere, or at the top of a page of exercises."""
    for text, target in page.links():
        if ":" in target:
            continue
        path, _, anchor = target.partition("#")
        if exercise := re.match(r"exercise-\d+-\d+(?=-|$)", anchor):
            anchor = exercise[0]  # what follows the number is for whoever reads the source
        file = (root / "book" / path).resolve() if path else root / "book" / f"{page.name}.md"
        source = _source(root, file)
        if source is None:
            continue  # whether the page exists at all, the build says
        if re.search(r"\bExercise \d", text) and not anchor.startswith("exercise-"):
            yield f"[{text}]({target}) leads to no exercise: end it with #exercise-…"
        elif anchor and anchor not in _anchors(source, source.stat().st_mtime_ns):
            yield f"[{text}]({target}) leads to no such place in {source.relative_to(root)}"


def _source(root: Path, file: Path) -> Path | None:
    """The text that a page is made from, or None if it is no page of the book."""
    folder = file.parent.name
    if folder == "book":
        found = file.with_suffix(".md")
    elif folder in _NOTEBOOKS:
        found = root / _NOTEBOOKS[folder] / f"{file.stem}.py"
    else:
        return None
    return found if found.is_file() else None


@cache
def _anchors(source: Path, changed: int) -> frozenset[str]:
    """The anchors of a page as it was when it last changed."""
    text = source.read_text(encoding="utf-8")
    if source.suffix == ".py":
        cells = jupytext.reads(text, fmt="py:percent").cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return frozenset(anchors(text))


def _parsed(page: Page) -> Iterator[questions.Question]:
    for piece in page.pieces:
        if piece.kind == "question":
            try:
                yield questions.parse(piece.text)
            except questions.NotAQuestion:
                continue
