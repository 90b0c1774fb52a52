"""The "Typical mistakes" cell that a solutions notebook shows after each exercise."""

from pathlib import Path

from minitx.authoring.notebooks import Insertion


def typical_mistakes(root: Path, stem: str) -> list[Insertion]:
    return []
