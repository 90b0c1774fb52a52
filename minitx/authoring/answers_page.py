"""What a page of worked answers shows otherwise than the exercises it answers.

The exercise's text is folded, and below each exercise stand its typical mistakes, each with the
smallest call that shows it.
"""

import re
from pathlib import Path

from minitx.authoring.notebooks import Insertion
from minitx.authoring.proof import kept_cases
from minitx.grading.course import Chapter
from minitx.grading.registry import Exercise, display_id
from minitx.grading.report import Case

STUB = "stub"
"""Tag of a Markdown cell that is for the exercises only."""

# A page of answers is not called what the page of questions is called: search shows titles only.
_TITLE = ("\n# # Exercises for", "\n# # Solutions for")
_STUB_CELL = re.compile(rf'^# %% \[markdown\] tags=\["{STUB}"\]\n(?:#.*\n|\n)*?(?=# %%)', re.M)
_STATEMENT = re.compile(r"^(# ## Exercise (\d+)\.(\d+): .*\n)#\n((?:#.*\n)+)", re.M)


def with_questions_folded(text: str, topic: str) -> str:
    """The source of a solutions page, from that of the exercises with their answers.

    Args:
        text: of `solutions/NN_topic.py`.
        topic: the chapter's files, "01_attention_intuition".
    """

    def fold(found: re.Match[str]) -> str:
        heading, chapter, number, statement = found.groups()
        link = f"../exercises/{topic}.ipynb#exercise-{chapter}-{number}"
        return (
            f"{heading}#\n# <details><summary>What it asks</summary>\n#\n{statement}#\n"
            f"# [The exercise]({link})\n#\n# </details>\n"
        )

    return _STATEMENT.sub(fold, _STUB_CELL.sub("", text.replace(*_TITLE, 1)))


def typical_mistakes(root: Path, topic: str) -> list[Insertion]:
    """One cell for each exercise of a chapter that has typical mistakes.

    Args:
        root: the checkout.
        topic: the chapter's files, "01_attention_intuition".
    """
    chapter = Chapter(root, topic)
    if not chapter.check_file.exists():
        return []
    cases = kept_cases(root)
    return [
        Insertion(f"## Exercise {display_id(exercise.id)}:", _cell(exercise, cases))
        for exercise in chapter.exercises.values()
        if exercise.mistakes
    ]


def _cell(exercise: Exercise, cases: dict[str, Case]) -> str:
    """The mistake bank of one exercise, as the learner is told of it, folded."""
    items = []
    for mistake in exercise.mistakes.values():
        items.append(f"- {mistake.sentence}\n\n  {mistake.advice}")
        if mistake.id in cases:
            code = f"```python\n{cases[mistake.id].text}\n```"
            items[-1] += "\n\n" + "\n".join(f"  {line}" for line in code.splitlines())
    return "\n\n".join(
        [
            f"<details><summary>Typical mistakes in {exercise.label}, and what they give</summary>",
            "The grader recognises an output that equals what you get when",
            *items,
            "</details>",
        ]
    )
