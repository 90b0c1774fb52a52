"""The names that whoever solves an exercise has read: in its text, its formulas, its first line."""

import ast
import re
from functools import cache

from minitx.grading.course import Chapter
from minitx.grading.judge.notation import notation
from minitx.grading.judge.wording import names_in
from minitx.grading.judge.worked import documentation
from minitx.grading.registry import Exercise

_CELL = re.compile(r"^# %%(.*)\n", re.MULTILINE)
_HEADING = re.compile(r"^# ## ", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$", re.DOTALL)
_HAT = re.compile(r"\\hat\s*\{?(\w)\}?")
_COMMAND = re.compile(r"\\[A-Za-z]+")


@cache
def known_names(chapter: Chapter, exercise_id: str) -> frozenset[str]:
    """What stands in code or in a formula; words of the prose are no names."""
    exercise = chapter.exercises[exercise_id]
    docstring, parameters = documentation(chapter, exercise)
    found = {*parameters, exercise.function, "__init__", "forward"}
    for name in notation(docstring).arguments:
        found |= names_in(name)
    for line in docstring.splitlines():
        if line.startswith(8 * " ") and "=" in line:
            found |= names_in(line)
    for text, is_prose in _cells(chapter, exercise):
        found |= _in_prose(text) if is_prose else _in_code(text)
    return frozenset(found)


def _cells(chapter: Chapter, exercise: Exercise) -> list[tuple[str, bool]]:
    """The stub's cells before the first exercise, and those of this one; True for prose."""
    stub = chapter.stub_file()
    if not stub.is_file():
        return []
    pieces = _CELL.split(stub.read_text(encoding="utf-8"))
    found, inside = [], True
    for kind, text in zip(pieces[1::2], pieces[2::2], strict=True):
        prose = "[markdown]" in kind
        if prose and _HEADING.search(text):
            inside = f"{exercise.label}:" in text
        if inside:
            found.append((text, prose))
    return found


def _in_prose(text: str) -> set[str]:
    text = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
    found: set[str] = set()
    for code in _CODE.findall(text):
        found |= names_in(code)
    for pair in _FORMULA.findall(_CODE.sub("", text)):
        formula = "".join(pair).replace("\\_", "_")
        found |= {f"{letter}_hat" for letter in _HAT.findall(formula)}
        for name in names_in(_COMMAND.sub(" ", formula)):
            found |= {name, name.split("_")[0]}
    return found


def _in_code(text: str) -> set[str]:
    """What a cell imports and defines."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return set()
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
    return found
