"""The worked answers as source: one of them with one thing changed, and what their texts say."""

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from minitx.grading.course import Chapter
from minitx.grading.errors import GraderError
from minitx.grading.judge.operators import Mutant
from minitx.grading.registry import Exercise

Function = Callable[..., Any]
Changes = Callable[[ast.FunctionDef], list[Mutant]]


def variants(
    chapter: Chapter, exercise: Exercise, changes: Changes, *, rungs: bool = False
) -> Iterator[tuple[Mutant, Function]]:
    """Every change of the worked answer, and of its rungs if asked, with the function it is."""
    tree, namespace = _definitions(chapter.solution_file)
    for name in _names(chapter, exercise) if rungs else [exercise.function]:
        answer = _function_named(name, tree, chapter.solution_file)
        for mutant in changes(answer):
            around = dict(namespace)
            exec(compile(mutant.source, str(chapter.solution_file), "exec"), around)
            yield mutant, around[name]


def worked_answers(chapter: Chapter, exercise: Exercise) -> list[Function]:
    """The worked answer and its rungs: the functions beside it whose names begin with its name."""
    _, namespace = _definitions(chapter.solution_file)
    return [namespace[name] for name in _names(chapter, exercise)]


def documentation(chapter: Chapter, exercise: Exercise) -> tuple[str, tuple[str, ...]]:
    """The docstring that comes with the exercise, and the names of its parameters."""
    tree, _ = _definitions(chapter.solution_file)
    answer = _function_named(exercise.function, tree, chapter.solution_file)
    arguments = answer.args
    names = [a.arg for a in arguments.posonlyargs + arguments.args + arguments.kwonlyargs]
    return ast.get_docstring(answer, clean=False) or "", tuple(names)


_RUNGS = ("_loop", "_vectors", "_from_parts")


def _names(chapter: Chapter, exercise: Exercise) -> list[str]:
    tree, _ = _definitions(chapter.solution_file)
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    wanted = [exercise.function, *(exercise.function + rung for rung in _RUNGS)]
    return [name for name in wanted if name in defined]


@cache
def _definitions(path: Path) -> tuple[ast.Module, dict[str, Any]]:
    """A solutions file, and the names it defines without running its cells."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kept = [node for node in tree.body if isinstance(node, _KEPT) or _is_literal(node)]
    namespace: dict[str, Any] = {"__name__": f"minitx_worked_{path.stem}"}
    exec(compile(ast.Module(kept, []), str(path), "exec"), namespace)
    return tree, namespace


_KEPT = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


def _is_literal(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)


def _function_named(name: str, tree: ast.Module, path: Path) -> ast.FunctionDef:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    raise GraderError(f"{path.name} of the course defines no function {name}")
