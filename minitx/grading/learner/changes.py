"""What a change of the learner's file concerns: which exercises, and what cannot be read."""

import ast
from collections.abc import Iterable
from pathlib import Path

from minitx.grading.registry import Exercise
from minitx.grading.source import Source
from minitx.grading.worker.loading import defined_names, read_cells, statements_of
from minitx.grading.worker.submission import Submission


def fingerprints(path: Path, exercises: Iterable[Exercise]) -> dict[str, str]:
    """For every exercise the code its function consists of: itself and all it leans on.

    Comments, spacing and try-it cells make no difference.

    Raises:
        CourseError: if the file cannot be read at all.
    """
    code, uses = _definitions(path)
    return {
        exercise.id: "\n".join(code[name] for name in _reachable(exercise.function, uses))
        for exercise in exercises
    }


def unreadable(path: Path) -> list[str]:
    """What of the file is no Python, in words.

    Raises:
        CourseError: if the file cannot be read at all.
    """
    cells, places = read_cells(path)
    broken = Submission({}, source=Source(places))
    for cell in cells:
        for _ in statements_of(cell, broken):
            pass
    return [problem.text for problem in broken.problems]


def _definitions(path: Path) -> tuple[dict[str, str], dict[str, set[str]]]:
    """For every name at the file's top level its code, and the names that code mentions."""
    cells, places = read_cells(path)
    broken = Submission({}, source=Source(places))
    code: dict[str, str] = {}
    uses: dict[str, set[str]] = {}
    for cell in cells:
        for statement in statements_of(cell, broken):
            mentioned = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
            for name in defined_names(statement):
                code[name] = code.get(name, "") + ast.dump(statement)
                uses.setdefault(name, set()).update(mentioned)
    for problem in broken.problems:
        for name in problem.names:
            code[name] = code.get(name, "") + problem.text
            uses.setdefault(name, set())
    return code, uses


def _reachable(name: str, uses: dict[str, set[str]]) -> list[str]:
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in uses and current not in seen:
            seen.add(current)
            waiting.extend(uses[current])
    return sorted(seen)
