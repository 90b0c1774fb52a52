"""What a check file says about its exercises, read without what its checks need to run.

Titles, points and hints are shown in an instant this way: `import torch` alone takes seconds.
"""

import ast
import sys
from pathlib import Path
from typing import Any

from minitx.grading.registry import Exercise, Registry, filling


def outline(check_file: Path) -> dict[str, Exercise]:
    """The exercises of a chapter with their checks, none of which can be run.

    Imports from elsewhere than Python's library and `minitx.grading` are left out, and so are the
    statements that miss a name because of it.
    """
    name = str(check_file)
    names: dict[str, Any] = {"__name__": "outline", "__file__": name}
    with filling(Registry()) as registry:
        for statement in ast.parse(check_file.read_text(encoding="utf-8"), name).body:
            if isinstance(statement, ast.Import | ast.ImportFrom) and not _light(statement):
                continue
            try:
                module = ast.Module([statement], type_ignores=[])
                exec(compile(module, name, "exec"), names)
            except NameError:
                continue
    return registry.exercises


def _light(statement: ast.Import | ast.ImportFrom) -> bool:
    modules = (
        [statement.module or ""]
        if isinstance(statement, ast.ImportFrom)
        else [alias.name for alias in statement.names]
    )
    return all(
        module.startswith("minitx.grading") or module.split(".")[0] in sys.stdlib_module_names
        for module in modules
    )
