"""From a worked answer to the file a learner starts from: `solutions/NN.py` -> `exercises/NN.py`.

What stands between `### BEGIN SOLUTION` and `### END SOLUTION` inside a function becomes one
`raise NotImplementedError(...)`, and cells tagged `solution` go. Signature, docstring and prose
stay. Stripping a stub again changes nothing.
"""

import ast
import io
import json
import re
import textwrap
import tokenize
from dataclasses import dataclass

from minitx.authoring.errors import SourceError

BEGIN = "### BEGIN SOLUTION"
END = "### END SOLUTION"
WIDTH = 78

_ALMOST = re.compile(r"#+\s*(begin|end)\s+solutions?\b", re.IGNORECASE)
_HEADER = re.compile(r"# %%(?!%)(?P<rest>.*)")
_TAGS = re.compile(r"tags=(\[[^\]]*\])")
_HEADING = re.compile(r"(?:# )?#{1,6} Exercise (?P<number>\d+\.\d+): (?P<title>.*\S)\s*$")


@dataclass(frozen=True)
class Cell:
    """Lines `start` to `stop` (counted from 1, `stop` excluded) of a py:percent file."""

    start: int
    stop: int
    markdown: bool
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """One answer in a source: the lines of its two markers, its indentation and its exercise."""

    begin: int
    end: int
    indent: int
    number: str
    title: str

    @property
    def id(self) -> str:
        """The exercise as code and command line write it: 01.1 for the heading's 1.1."""
        chapter, place = self.number.split(".")
        return f"{int(chapter):02d}.{place}"


def strip_solutions(source: str, *, name: str) -> str:
    """The stub of a source in py:percent form.

    Args:
        source: text of `solutions/NN_topic.py`.
        name: how errors call the file.

    Returns:
        The same text with every answer replaced and every cell tagged `solution` left out.

    Raises:
        SourceError: if markers are unbalanced, nested, misspelt, outside a function or without an
            exercise heading above them, or if either text is not Python.
    """
    lines = source.splitlines()
    dropped = {
        line
        for cell in cells(source, name=name)
        if "solution" in cell.tags
        for line in range(cell.start, cell.stop)
    }
    replaced: dict[int, list[str]] = {}
    for answer in answers(source, name=name):
        replaced[answer.begin] = _not_implemented(answer)
        dropped.update(range(answer.begin + 1, answer.end + 1))
    kept = [
        text
        for number, line in enumerate(lines, start=1)
        if number not in dropped
        for text in replaced.get(number, [line])
    ]
    while kept and not kept[-1].strip():
        kept.pop()
    stub = "\n".join(kept) + "\n"
    _parse(stub, name=f"the stub of {name}")
    return stub


def unwritten(stub: str) -> set[str]:
    """The functions and classes of a stub that a learner has yet to write."""
    return {
        function.name
        for function in ast.walk(ast.parse(stub))
        if isinstance(function, ast.FunctionDef | ast.ClassDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and ast.unparse(node.exc.func) == "NotImplementedError"
    }


def cells(source: str, *, name: str) -> list[Cell]:
    """The cells of a py:percent file, in order; text before the first `# %%` is none of them."""
    starts = [
        (token.start[0], token.string)
        for token in _comments(source, name=name)
        if token.start[1] == 0 and _HEADER.match(token.string)
    ]
    stops = [line for line, _ in starts[1:]] + [len(source.splitlines()) + 1]
    found = []
    for (start, header), stop in zip(starts, stops, strict=True):
        tags = _TAGS.search(header)
        try:
            names = json.loads(tags[1]) if tags else []
        except json.JSONDecodeError:
            raise SourceError(
                name, start, f'the tags are not a list such as tags=["solution"]: {header}'
            ) from None
        found.append(
            Cell(start, stop, "[markdown]" in header or "[md]" in header, tuple(names)),
        )
    return found


def answers(source: str, *, name: str) -> list[Answer]:
    """Every answer of a source, each with the exercise whose heading stands above it."""
    tree = _parse(source, name=name)
    functions = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    headings = _headings(source, name=name)
    lines = source.splitlines()
    found = []
    for begin, end, indent in _marked(source, name=name):
        code = [n for n in range(begin + 1, end) if lines[n - 1].split("#")[0].strip()]
        if not code:
            raise SourceError(name, begin, f"nothing stands between {BEGIN} and {END}")
        around = [f for f in functions if f.lineno < begin and code[-1] <= (f.end_lineno or 0)]
        if not any(f.col_offset < indent for f in around):
            raise SourceError(name, begin, f"{BEGIN} must stand inside a function")
        if any(_docstring_below(f, begin) for f in around):
            raise SourceError(name, begin, f"{BEGIN} must stand below the docstring")
        above = [heading for heading in headings if heading[0] < begin]
        if not above:
            raise SourceError(
                name,
                begin,
                "no heading such as `# ## Exercise 1.1: A title` stands above this answer",
            )
        found.append(Answer(begin, end, indent, *above[-1][1:]))
    return found


def _docstring_below(function: ast.FunctionDef | ast.AsyncFunctionDef, line: int) -> bool:
    return ast.get_docstring(function) is not None and function.body[0].lineno > line


def _marked(source: str, *, name: str) -> list[tuple[int, int, int]]:
    """(line of BEGIN, line of END, indentation) of every pair of markers."""
    lines = source.splitlines()
    pairs: list[tuple[int, int, int]] = []
    opened: tuple[int, int] | None = None
    for token in _comments(source, name=name):
        line, column = token.start
        text = token.string.strip()
        if text not in (BEGIN, END):
            if _ALMOST.match(text):
                raise SourceError(name, line, f"write {BEGIN} or {END}, exactly; got: {text}")
            continue
        if lines[line - 1][:column].strip():
            raise SourceError(name, line, f"{text} must have the line to itself")
        if text == BEGIN:
            if opened:
                raise SourceError(name, line, f"{BEGIN} again; line {opened[0]} is still open")
            opened = line, column
        else:
            if not opened:
                raise SourceError(name, line, f"{END} without {BEGIN} above it")
            pairs.append((opened[0], line, opened[1]))
            opened = None
    if opened:
        raise SourceError(name, opened[0], f"{BEGIN} without {END} below it")
    return pairs


def _headings(source: str, *, name: str) -> list[tuple[int, str, str]]:
    """(line, number, title) of every exercise heading in a Markdown cell."""
    lines = source.splitlines()
    found = []
    for cell in cells(source, name=name):
        if cell.markdown:
            for number in range(cell.start, cell.stop):
                if match := _HEADING.match(lines[number - 1]):
                    found.append((number, match["number"], match["title"]))
    return found


def _not_implemented(answer: Answer) -> list[str]:
    """The lines that stand in a stub in place of an answer."""
    stop = "" if answer.title[-1] in ".?!" else "."
    message = (
        f"Exercise {answer.number} is yours to write: {answer.title}{stop} "
        f"Put your code in place of this line; `minitx hint {answer.id}` gives a first nudge."
    )
    pad = " " * answer.indent
    pieces = textwrap.wrap(message, WIDTH - answer.indent - 8, break_on_hyphens=False)
    texts = [piece + " " for piece in pieces[:-1]] + pieces[-1:]
    return [
        f"{pad}raise NotImplementedError(",
        *(f"{pad}    {_quoted(text)}" for text in texts),
        f"{pad})",
    ]


def _quoted(text: str) -> str:
    """The text as a Python string, in double quotes where they need no escape."""
    plain = text.replace("\\", "\\\\")
    if '"' not in plain:
        return f'"{plain}"'
    return repr(text)


def _comments(source: str, *, name: str) -> list[tokenize.TokenInfo]:
    """The comment tokens of a source: what only looks like one inside a string is none."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        _parse(source, name=name)
        raise
    return [token for token in tokens if token.type == tokenize.COMMENT]


def _parse(source: str, *, name: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise SourceError(name, error.lineno, f"not Python: {error.msg}") from None
