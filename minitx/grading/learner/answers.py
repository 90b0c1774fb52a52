"""Showing a worked answer, with the library function it hands over to."""

import ast
import importlib
import inspect
import re

from minitx.grading.course import Chapter
from minitx.grading.errors import CourseError
from minitx.grading.learner.workspace import function_span
from minitx.grading.registry import Exercise

_MARKER = re.compile(r"^\s*### (BEGIN|END) SOLUTION\s*\n", re.MULTILINE)


def worked_answer(chapter: Chapter, exercise: Exercise) -> str:
    """Source of the function in the solutions, without the generator's marks.

    Raises:
        CourseError: if the solutions are not there.
    """
    path = chapter.solution_file
    if not path.is_file():
        raise CourseError(f"The worked answers are not here: {path} is missing.")
    text = path.read_text(encoding="utf-8")
    span = function_span(text, exercise.function)
    if span is None:
        raise CourseError(f"{path} holds no function {exercise.function}.")
    return _MARKER.sub("", "\n".join(text.split("\n")[span[0] : span[1]]) + "\n")


def library_functions(chapter: Chapter, answer: str) -> list[tuple[str, str]]:
    """(dotted name, source) of the minitx functions that an answer calls."""
    modules = _library_modules(chapter.solution_file.read_text(encoding="utf-8"))
    called: dict[str, str] = {}
    for node in ast.walk(ast.parse(answer)):
        if not isinstance(node, ast.Call):
            continue
        target = node.func
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            module = modules.get(target.value.id)
            if module:
                called[f"{module}.{target.attr}"] = ""
        elif isinstance(target, ast.Name) and target.id in modules:
            called[modules[target.id]] = ""
    return [(name, source) for name in called if (source := _source(name))]


def _library_modules(text: str) -> dict[str, str]:
    """Local name -> dotted name, for everything a file imports from minitx."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "minitx":
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _source(dotted: str) -> str:
    module, _, name = dotted.rpartition(".")
    try:
        thing = getattr(importlib.import_module(module), name)
        return inspect.getsource(inspect.unwrap(thing)) if inspect.isfunction(thing) else ""
    except (ImportError, AttributeError, OSError, TypeError):
        return ""
