"""The worked answers as source: one of them with one thing changed, and what their texts say."""

import ast
import copy
import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from minitx.grading.course import Chapter
from minitx.grading.errors import GraderError
from minitx.grading.judge.as_function import ModuleForm
from minitx.grading.judge.operators import Mutant
from minitx.grading.registry import Exercise

Function = Callable[..., Any]
Changes = Callable[[ast.FunctionDef], list[Mutant]]
Answer = ast.FunctionDef | ast.ClassDef


def variants(
    chapter: Chapter, exercise: Exercise, changes: Changes, *, rungs: bool = False
) -> Iterator[tuple[Mutant, Function]]:
    """Every change of the worked answer, and of its rungs if asked, with the function it is."""
    tree, namespace = _definitions(chapter.solution_file)
    for name in _names(chapter, exercise) if rungs else [exercise.function]:
        answer = _answer_named(name, tree, chapter.solution_file)
        for mutant in _changed(answer, changes):
            around = dict(namespace)
            exec(compile(mutant.source, str(chapter.solution_file), "exec"), around)
            yield mutant, around[name]


def _changed(answer: Answer, changes: Changes) -> Iterator[Mutant]:
    """Every change of a function; of a class, every change of a method, as the whole class."""
    if isinstance(answer, ast.FunctionDef):
        yield from changes(answer)
        return
    answer = copy.deepcopy(answer)
    for place, method in enumerate(answer.body):
        if not isinstance(method, ast.FunctionDef):
            continue
        for mutant in changes(method):
            answer.body[place] = ast.parse(mutant.source).body[0]
            name = f"{answer.name}.{mutant.id}"
            yield replace(mutant, id=name, source=ast.unparse(answer))
        answer.body[place] = method


def worked_answers(chapter: Chapter, exercise: Exercise) -> list[Function]:
    """The worked answer and its rungs: the functions beside it whose names begin with its name."""
    _, namespace = _definitions(chapter.solution_file)
    return [namespace[name] for name in _names(chapter, exercise)]


def documentation(chapter: Chapter, exercise: Exercise) -> tuple[str, tuple[str, ...]]:
    """The docstring that comes with the exercise, and the names of its parameters."""
    tree, _ = _definitions(chapter.solution_file)
    answer = _answer_named(exercise.function, tree, chapter.solution_file)
    if isinstance(answer, ast.FunctionDef):
        return ast.get_docstring(answer, clean=False) or "", _parameters(answer)
    documented: list[Answer] = [
        answer,
        *(_method(answer, name) for name in ("__init__", "forward")),
    ]
    texts = [ast.get_docstring(each, clean=False) or "" for each in documented]
    form = module_form(chapter, exercise)
    return "\n".join(texts), (*form.made_of, *form.called_with)


def defaults(chapter: Chapter, exercise: Exercise) -> dict[str, Any]:
    """The parameters that may be left out, and what they are then."""
    _, namespace = _definitions(chapter.solution_file)
    answer = namespace[exercise.function]
    functions = [answer]
    if isinstance(answer, type):
        functions = [getattr(answer, name) for name in ("__init__", "forward")]
    parameters = [p for f in functions for p in inspect.signature(f).parameters.values()]
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def module_form(chapter: Chapter, exercise: Exercise) -> ModuleForm:
    """How the module that an exercise asks for is made and called."""
    tree, _ = _definitions(chapter.solution_file)
    answer = _answer_named(exercise.function, tree, chapter.solution_file)
    assert isinstance(answer, ast.ClassDef)
    made_of, called_with = (_parameters(_method(answer, n)) for n in ("__init__", "forward"))
    return ModuleForm(answer.name, made_of[1:], called_with[1:])


def around(answer: Function) -> dict[str, Any]:
    """The names that a function, or the methods of a class, may use."""
    return functions_of(answer)[0].__globals__


def functions_of(answer: Any) -> list[Any]:
    """The function itself, or the methods of a class, of every class of ours it derives from."""
    if not isinstance(answer, type):
        return [inspect.unwrap(answer)]
    ours = [each for each in answer.__mro__ if each.__module__ == answer.__module__]
    return [f for each in ours for f in vars(each).values() if inspect.isfunction(f)]


def _method(answer: ast.ClassDef, name: str) -> ast.FunctionDef:
    return next(m for m in answer.body if isinstance(m, ast.FunctionDef) and m.name == name)


def _parameters(function: ast.FunctionDef) -> tuple[str, ...]:
    arguments = function.args
    return tuple(a.arg for a in arguments.posonlyargs + arguments.args + arguments.kwonlyargs)


_RUNGS = ("_loop", "_vectors", "_from_parts")


def _names(chapter: Chapter, exercise: Exercise) -> list[str]:
    tree, _ = _definitions(chapter.solution_file)
    defined = {node.name for node in tree.body if isinstance(node, _ANSWERS)}
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


_ANSWERS = (ast.FunctionDef, ast.ClassDef)
_KEPT = (ast.Import, ast.ImportFrom, *_ANSWERS)


def _is_literal(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)


def _answer_named(name: str, tree: ast.Module, path: Path) -> Answer:
    for node in tree.body:
        if isinstance(node, _ANSWERS) and node.name == name:
            return node
    raise GraderError(f"{path.name} of the course defines no function {name}")
