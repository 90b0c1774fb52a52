"""Which part of minitx may import which, and a checker that reads the imports.

The main parts stand on a ladder and import only from lower steps. The side rooms lie beside it;
each names what it may use, and nothing on the ladder uses them.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LADDER = (  # from the bottom; parts on one step do not import each other
    {"numpy_core", "masks", "seeds", "user_cache"},
    {"functional"},
    {"kernels"},
    {"positions", "cores", "cache"},
    {"multihead", "layers", "experts"},
    {"blocks"},
    {"models"},
)
EVERY_STEP = frozenset().union(*LADDER)
NO_MODEL = frozenset().union(*LADDER[:-1])
ROOMS = {
    "": frozenset(),  # minitx/__init__.py
    "viz": frozenset().union(*LADDER[:4]) | {"training"},
    "data": NO_MODEL,
    "measure": EVERY_STEP | {"viz", "data", "training", "generate"},
    "training": NO_MODEL,
    "generate": EVERY_STEP,
    "terminal": frozenset(),
    "bench": EVERY_STEP
    | {"viz", "data", "training", "generate", "terminal", "projects", "measure"},
    "projects": EVERY_STEP | {"viz", "data", "training", "generate", "terminal", "measure"},
    "grading": NO_MODEL | {"terminal"},
    "tensor_checks": frozenset({"grading"}),
    "own_parts": frozenset({"projects", "grading", "terminal"}),
    "assemble": frozenset({"own_parts", "projects", "grading", "terminal"}),
    "authoring": NO_MODEL | {"grading", "terminal", "viz"},
    "cli": EVERY_STEP
    | {"viz", "data", "training", "generate", "bench", "projects", "grading", "authoring"}
    | {"terminal", "measure"},
    "__main__": frozenset({"cli"}),
}
GRADING = {  # rooms within grading; what lies directly in it is below them all
    "judge": frozenset(),
    "worker": frozenset(),
    "learner": frozenset({"judge", "worker"}),
}
LAZY = {"cli"}  # imports other parts only inside functions
NEVER = {  # what must not be loaded by importing the part, not even through others
    "": {"torch", "numpy", "matplotlib"},
    "__main__": {"torch", "numpy", "matplotlib"},
    "cli": {"torch", "numpy", "matplotlib"},
    "numpy_core": {"torch"},
    "viz": {"torch"},
    "grading": {"torch"},
}


@dataclass(frozen=True)
class Import:
    by: str
    of: str
    line: int
    at_load: bool  # runs when the module is imported, not in a function called later


def part_of(module: str) -> str:
    """`minitx.cores.full` belongs to `cores`, `minitx` itself to ``."""
    return [*module.split("."), ""][1]


def sources(package: Path) -> dict[str, str]:
    """Dotted name to source text of every module of the package."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return found


def imports(module: str, source: str, modules: set[str]) -> Iterator[Import]:
    is_package = any(other.startswith(f"{module}.") for other in modules)

    def visit(node: ast.AST, at_load: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node.lineno, at_load)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                above = module.split(".")[: -node.level + is_package or None]
                origin = ".".join([*above, *origin.split(".")]).rstrip(".")
            for alias in node.names:
                whole = f"{origin}.{alias.name}"
                yield Import(module, whole if whole in modules else origin, node.lineno, at_load)
        elif isinstance(node, ast.If):
            at_load = at_load and "TYPE_CHECKING" not in ast.unparse(node.test)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            at_load = False
        for child in ast.iter_child_nodes(node):
            yield from visit(child, at_load)

    yield from visit(ast.parse(source), True)


def may_use(part: str) -> frozenset[str] | None:
    """The parts below, or those a side room names; None for a part that has no place yet."""
    for step, parts in enumerate(LADDER):
        if part in parts:
            return frozenset().union(*LADDER[:step])
    return ROOMS.get(part)


def grading_room(module: str) -> str | None:
    """ "judge" for what lies in that room, "" for plain files of grading, None elsewhere.

    grading/__init__.py shows the names that check files and notebooks use: it is no room.
    """
    parts = module.split(".")
    if parts[:2] != ["minitx", "grading"] or len(parts) < 3:
        return None
    return parts[2] if parts[2] in GRADING else ""


def loaded_by(module: str, at_load: dict[str, set[str]]) -> set[str]:
    """Everything that importing `module` imports, directly or through others in the package."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += at_load.get(name, ())
            waiting += [name.rpartition(".")[0]] if "." in name else []
    return seen


def violations(modules: dict[str, str]) -> list[str]:
    """One sentence per import that points upwards or loads what must not be loaded."""
    every = [i for name, text in modules.items() for i in imports(name, text, set(modules))]
    at_load: dict[str, set[str]] = {}
    for i in every:
        if i.at_load:
            at_load.setdefault(i.by, set()).add(i.of)

    found = []
    for part in sorted({part_of(name) for name in modules}):
        if may_use(part) is None:
            found.append(f"minitx.{part} has no place in tests/core/architecture.py")
    for i in every:
        if i.of.split(".")[0] != "minitx":
            continue
        user, used = part_of(i.by), part_of(i.of)
        if used not in {user, ""} and used not in (may_use(user) or ()):
            found.append(f"{i.by}, line {i.line}: {user or 'minitx'} may not import {used}")
        elif user in LAZY and i.at_load and used not in {user, "", "terminal"}:
            found.append(f"{i.by}, line {i.line}: {used} must be imported inside a function")
    for i in every:
        by, of = grading_room(i.by), grading_room(i.of)
        if by is not None and of and of != by and of not in GRADING.get(by, ()):
            found.append(f"{i.by}, line {i.line}: {by or 'grading'} may not import {of}")
    for name in modules:
        heavy = NEVER.get(part_of(name), set())
        for package in sorted({m.split(".")[0] for m in loaded_by(name, at_load)} & heavy):
            found.append(f"importing {name} loads {package}")
    return found
