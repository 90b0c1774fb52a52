"""Which of the package's code a notebook runs, as one hash.

Outputs depend on the package too: when its code changes, `build(execute=True)` runs the notebooks
that import it again. Comments and docstrings do not count.
"""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "minitx"


def package_fingerprint(root: Path, code: str) -> str:
    """Hash of all modules of `minitx` that this code reaches by its imports.

    Code that imports the grader also runs the checks and the mistake banks, so they count then.
    """
    files: set[Path] = set()
    _reach(root, ast.parse(code), files)
    if any("grading" in path.relative_to(root).parts for path in files):
        files.update((root / "exercises" / "checks").glob("*.py"))
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(_code_alone(path.read_text(encoding="utf-8")).encode() + b"\0")
    return digest.hexdigest()[:16]


def _reach(root: Path, tree: ast.AST, found: set[Path]) -> None:
    for module in _imported(tree):
        for path in _files(root, module):
            if path not in found:
                found.add(path)
                _reach(root, ast.parse(path.read_text(encoding="utf-8")), found)


def _imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names that may be modules of the package (relative imports are not used in it)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == PACKAGE)


def _files(root: Path, module: str) -> Iterator[Path]:
    """The files that importing a dotted name runs: each package on the way, then the module."""
    path = root
    for part in module.split("."):
        path = path / part
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.exists():
                yield file


def _code_alone(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            body[0] = ast.Pass()
    return ast.unparse(tree)


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
