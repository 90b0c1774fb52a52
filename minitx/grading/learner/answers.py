"""A worked answer, other ways to it, and the learner's own, as source text."""

import ast
import re
from pathlib import Path

from minitx.grading.cells import read_cells
from minitx.grading.course import Chapter
from minitx.grading.errors import CourseError
from minitx.grading.learner.workspace import function_span
from minitx.grading.registry import Exercise

_MARKER = re.compile(r"^\s*### (BEGIN|END) SOLUTION\s*\n", re.MULTILINE)


def worked_answer(chapter: Chapter, exercise: Exercise) -> str:
    """The function in the solutions, without the generator's marks and the docstring.

    Raises:
        CourseError: if the solutions are not there.
    """
    path = chapter.solution_file
    if not path.is_file():
        raise CourseError(f"The worked answers are not here: {path} is missing.")
    code = _function(path.read_text(encoding="utf-8"), exercise.function)
    if not code:
        raise CourseError(f"{path} holds no function {exercise.function}.")
    return _MARKER.sub("", code)


def other_ways(chapter: Chapter, exercise: Exercise) -> list[str]:
    """The other functions that the solutions write between this answer and the next exercise."""
    text = chapter.solution_file.read_text(encoding="utf-8")
    behind = text.partition(f'check("{exercise.id}"')[2].partition("\n# ## Exercise ")[0]
    cells = [cell for cell in behind.split("\n# %%")[1:] if cell.startswith(' tags=["solution"]')]
    found = []
    for cell in cells:
        for node in ast.parse(cell.partition("\n")[2]).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                lines = cell.partition("\n")[2].split("\n")
                found.append("\n".join(lines[node.lineno - 1 : node.end_lineno]) + "\n")
    return found


def own_answer(path: Path, exercise: Exercise) -> str:
    """The learner's function, without its docstring; nothing where there is none.

    Raises:
        CourseError: if the file cannot be read.
    """
    sources = [_function(cell.text, exercise.function) for cell in read_cells(path)]
    return next((source for source in reversed(sources) if source), "")


def _function(text: str, name: str) -> str:
    span = function_span(text, name)
    if span is None:
        return ""
    lines = text.split("\n")[span[0] : span[1]]
    try:
        (function,) = ast.parse("\n".join(lines)).body
    except (SyntaxError, ValueError):
        return "\n".join(lines) + "\n"
    inside = function.body if isinstance(function, ast.ClassDef) else []
    for each in reversed([function, *inside]):
        if isinstance(each, ast.FunctionDef | ast.ClassDef) and len(each.body) > 1:
            first = each.body[0]
            if ast.get_docstring(each) is not None and first.end_lineno is not None:
                del lines[first.lineno - 1 : first.end_lineno]
    return "\n".join(lines) + "\n"
