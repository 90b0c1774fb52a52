"""Which of the package's code a notebook runs, as one hash.

Outputs depend on the package too: when its code changes, or a result that is kept beside it, then
`build(execute=True)` runs the notebooks that import it again. Comments and docstrings do not count.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from threading import Lock

PACKAGE = "minitx"

_ONE_AT_A_TIME = Lock()  # Python up to 3.12.1 may fail where two threads parse (its issue 106905)


def package_fingerprint(root: Path, code: str) -> str:
    """Hash of all modules of `minitx` that this code reaches by its imports.

    Code that asks the grader also runs checks, mistake banks and answers: those of the chapters
    whose exercises it checks, or of all of them where it takes more than `check` from the grader;
    and what these import.
    """
    with _ONE_AT_A_TIME:
        return _fingerprint(root, code)


def _fingerprint(root: Path, code: str) -> str:
    files: set[Path] = set()
    tree = ast.parse(code)
    _reach(root, tree, files)
    for pattern in _course_files(tree):
        for path in root.glob(pattern):
            files.add(path)
            _reach(root, ast.parse(path.read_text(encoding="utf-8")), files)
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        text = path.read_text(encoding="utf-8")
        digest.update(_code_alone(text).encode() + b"\0")
        for kept in _kept(root, path, text):
            digest.update(kept.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _course_files(tree: ast.AST) -> Iterator[str]:
    """Patterns of the files of the course that code which asks the grader runs."""
    asked = {name for name in _imported(tree) if f"{name}.".startswith(f"{PACKAGE}.grading.")}
    if not asked:
        return
    chapters = {"*"}
    if asked == {f"{PACKAGE}.grading.check"}:
        chapters = set(_chapters_checked(tree))
    else:
        yield "tests/right_answers/*.py"
    for chapter in chapters:
        yield f"exercises/checks/*_{chapter}_*.py"
        yield f"solutions/{chapter}_*.py"


def _chapters_checked(tree: ast.AST) -> Iterator[str]:
    """ "01" for `check("01.1", softmax)`; "*" where the exercise is not written down."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Name("check"), [ast.Constant(str(exercise)), *_]):
                yield exercise.split(".")[0].zfill(2)
            case ast.Call(ast.Name("check")):
                yield "*"


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


def _kept(root: Path, module: Path, source: str) -> list[Path]:
    """Results that a module reads: of its own name, or named in it from the checkout's top."""
    named = {module.with_suffix(".json"), *(root / name for name in _json_names(source))}
    return [path for path in sorted(named) if path.is_file()]


@cache
def _json_names(source: str) -> frozenset[str]:
    texts = filter(None, map(_text, ast.walk(ast.parse(source))))
    return frozenset(text for text in texts if text.endswith(".json"))


@cache
def _code_alone(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            body[0] = ast.Pass()
    return ast.unparse(tree)


def _text(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(str(text)):
            return text
    return None


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and _text(node.value) is not None
