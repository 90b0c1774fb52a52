"""An exercise with a new number keeps its name and title: by these a copy is renumbered."""

import re
from pathlib import Path

from minitx.grading.course import Chapter
from minitx.grading.learner.workspace import backup
from minitx.grading.registry import Exercise, display_id

_NUMBER = r"\d?\d\.\d+"


def renumbered(text: str, chapter: Chapter) -> str:
    """The text of a working copy, .py or .ipynb, with today's numbers.

    Changed are the headings of exercises, the calls of `check`, and what a function says that is
    not written yet; nothing else that a learner wrote.
    """
    for exercise in chapter.outline.values():
        text = _with_number(text, exercise)
    return text


def _with_number(text: str, exercise: Exercise) -> str:
    shown, function = display_id(exercise.id), re.escape(exercise.function)
    text = re.sub(
        rf"(## Exercise ){_NUMBER}(?=: {re.escape(exercise.title)})", rf"\g<1>{shown}", text
    )
    text = re.sub(
        rf"""(\bcheck\(\\?["']){_NUMBER}(?=\\?["'], {function}\b)""", rf"\g<1>{exercise.id}", text
    )
    inside = rf"(\bdef {function}\((?:(?!\bdef ).)*?\bExercise ){_NUMBER}(?= is yours to write)"
    return re.sub(inside, rf"\g<1>{shown}", text, flags=re.DOTALL)


def has_old_numbers(path: Path, chapter: Chapter) -> bool:
    """Whether a working copy was made before exercises of its chapter changed places."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return False
    return renumbered(text, chapter) != text


def renumber(path: Path, chapter: Chapter) -> Path:
    """Gives a working copy today's numbers; returns the backup of what it was."""
    kept = backup(path)
    raw = path.read_bytes().decode()
    path.write_bytes(renumbered(raw, chapter).encode())
    return kept
