"""The way from an exercise to its worked answer: folded, so that nobody sees it by accident."""

from minitx.authoring.notebooks import Insertion
from minitx.authoring.stubs import answers


def worked_answers(source: str, *, topic: str) -> list[Insertion]:
    """One cell at the end of each exercise of `exercises/NN_topic.ipynb`.

    Args:
        source: text of `solutions/NN_topic.py`.
        topic: the chapter's files, "01_attention_intuition".
    """
    exercises = {answer.number: answer.id for answer in answers(source, name=topic)}
    return [
        Insertion(f"## Exercise {number}:", _cell(number, id, topic))
        for number, id in exercises.items()
    ]


def _cell(number: str, id: str, topic: str) -> str:
    anchor = f"exercise-{number.replace('.', '-')}"
    return "\n\n".join(
        [
            f"<details><summary>Spoiler: the worked answer to Exercise {number}</summary>",
            f"Stuck? `minitx hint {id}` gives a nudge, and two more. After that, or when yours "
            f"passes: [Exercise {number}, worked out](../solutions/{topic}.ipynb#{anchor}).",
            "</details>",
        ]
    )
