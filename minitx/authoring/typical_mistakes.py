"""The "Typical mistakes" cell that a solutions notebook shows below each exercise."""

from pathlib import Path

from minitx.authoring.notebooks import Insertion
from minitx.grading.course import Chapter
from minitx.grading.registry import Exercise, display_id


def typical_mistakes(root: Path, topic: str) -> list[Insertion]:
    """One cell for each exercise of a chapter that has typical mistakes.

    Args:
        root: the checkout.
        topic: the chapter's files, "01_attention_intuition".
    """
    chapter = Chapter(root, topic)
    if not chapter.check_file.exists():
        return []
    return [
        Insertion(f"## Exercise {display_id(exercise.id)}:", _cell(exercise))
        for exercise in chapter.exercises.values()
        if exercise.mistakes
    ]


def _cell(exercise: Exercise) -> str:
    """The mistake bank of one exercise, as the learner is told of it, folded."""
    items = [
        f"- {mistake.sentence}\n\n  {mistake.advice}" for mistake in exercise.mistakes.values()
    ]
    return "\n\n".join(
        [
            f"<details><summary>Typical mistakes in {exercise.label}</summary>",
            "The grader recognises an output that equals what you get when",
            *items,
            "</details>",
        ]
    )
