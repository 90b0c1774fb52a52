"""A question on a page: plain Markdown that Colab shows with a fold, and question.js asks.

    <div class="question" id="q-1-weights">

    **Predict.** Four keys score equally. What is the weight of each?

    1. 1
    2. 0.25
    3. it depends on the values

    <details><summary>Answer</summary>

    **2.** Equal scores give equal weights, and they sum to 1.

    - 1: that is the score's exponential, not divided by the sum.
    - 3: values are mixed with the weights; they do not make them.

    </details>
    </div>

Without a list it asks for a number, and its answer begins with that number in bold and what is
accepted in brackets: `**0.42** (± 0.01)`, `**30 %** (± 5)`, `**1,000** (300 to 3,000)`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isclose

_SHAPE = re.compile(
    r'<div class="question" id="(?P<id>[^"]*)">\n'
    r"\n(?P<prompt>.*?)\n\n"
    r"<details><summary>Answer</summary>\n"
    r"\n(?P<answer>.*?)\n\n"
    r"</details>\n+</div>",
    re.DOTALL,
)
_OPENING = re.compile(r"\*\*(?P<kind>Predict|Question)\.\*\* \S")
_CHOICE = re.compile(r"^(?P<number>\d+)\. +(?P<text>.*(?:\n(?: {2}.*|(?=\n)))*)", re.MULTILINE)
_RIGHT = re.compile(r"\*\*(?P<right>[^*]+)\*\*(?: +\((?P<accepted>[^)]*)\))?")
_WRONG = re.compile(r"^- (?P<wrong>[^:\n]+): +\S", re.MULTILINE)
_NUMBER = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?(?:e[-−]?\d+)?")
_BLANKS_ROUND_THE_TAGS = (
    'its Markdown must be <div class="question" id="q-…">, a blank line, the question, a blank '
    "line, <details><summary>Answer</summary>, a blank line, the answer, a blank line, </details>, "
    "</div>"
)


@dataclass(frozen=True)
class Question:
    """What is asked, what is right, and which wrong answers have a name."""

    id: str
    kind: str  # "Predict" or "Question"
    prompt: str
    choices: dict[str, str]  # number and text; none where a number is asked for
    right: str
    accepted: str  # what stands in brackets after a number
    named: tuple[str, ...]
    answer: str


class NotAQuestion(ValueError):
    """The text says what is wrong."""


def parse(text: str) -> Question:
    """Read `<div class="question" …> … </div>`.

    Raises:
        NotAQuestion: if its shape is not the one above.
    """
    shape = _SHAPE.fullmatch(text.strip())
    if shape is None:
        raise NotAQuestion(_BLANKS_ROUND_THE_TAGS)
    opening = _OPENING.match(shape["prompt"])
    if opening is None:
        raise NotAQuestion("it must begin with **Predict.** or **Question.**")
    right = _RIGHT.match(shape["answer"])
    if right is None:
        raise NotAQuestion("its answer must begin with what is right, in bold")
    choices = list(_CHOICE.finditer(shape["prompt"]))
    if choices and choices[-1].end() != len(shape["prompt"]):
        raise NotAQuestion("nothing may stand between its choices and the fold")
    return Question(
        id=shape["id"],
        kind=opening["kind"],
        prompt=shape["prompt"][: choices[0].start()].strip() if choices else shape["prompt"],
        choices={choice["number"]: choice["text"].strip() for choice in choices},
        right=right["right"].rstrip(".").strip(),
        accepted=right["accepted"] or "",
        named=tuple(wrong["wrong"].strip() for wrong in _WRONG.finditer(shape["answer"])),
        answer=shape["answer"],
    )


def faults(question: Question, *, must_name: bool = True) -> Iterator[str]:
    """What keeps a question from being asked and judged.

    Args:
        question: what `parse` gave.
        must_name: whether its wrong answers need a line each that says what one gets them by. Where
            the choices are verdicts (true, not quite, false) the explanation is enough.
    """
    if question.choices:
        yield from _faults_of_choices(question)
    else:
        yield from _faults_of_number(question)
    if must_name:
        yield from _unnamed(question)
    if len(question.named) != len(set(question.named)):
        yield "it names a wrong answer twice"


def number(text: str) -> float:
    """The number that a text begins with, a per cent sign taken at its word.

    Raises:
        ValueError: if it begins with none.

    >>> number("25 %"), number("−1,024 steps"), number("1e-3")
    (0.25, -1024.0, 0.001)
    """
    found = _NUMBER.match(text.strip())
    if found is None:
        raise ValueError(f"{text!r} begins with no number")
    value = float(found[0].replace("−", "-").replace(",", ""))
    return value / 100 if text.strip()[found.end() :].lstrip().startswith("%") else value


def accepted(right: str, bracket: str) -> tuple[float, float]:
    """The least and the greatest number that counts as right.

    Args:
        right: the number in bold, "0.42" or "30 %".
        bracket: "± 0.01", "± 5 %" (of the number; of a number in per cent, points), "300 to 3,000",
            or nothing.

    Raises:
        ValueError: if it is none of these, or leaves the number itself out.

    >>> accepted("1,000", "± 5 %"), accepted("8", "")
    ((950.0, 1050.0), (8.0, 8.0))
    """
    value = number(right)
    in_percent = "%" in right
    if bracket.startswith("±"):
        by = bracket.removeprefix("±").strip()
        margin = number(by)
        if in_percent and "%" not in by:
            margin /= 100
        elif not in_percent and "%" in by:
            margin *= abs(value)
        return value - margin, value + margin
    if " to " in bracket:
        low, high = (_in_percent(part, in_percent) for part in bracket.split(" to ", 1))
        if not low <= value <= high:
            raise ValueError(f"({bracket}) leaves {right} out")
        return low, high
    if bracket:
        raise ValueError(f"({bracket}) must be (± …) or (… to …)")
    return value, value


def _in_percent(text: str, in_percent: bool) -> float:
    return number(text) / (100 if in_percent and "%" not in text else 1)


def _faults_of_choices(question: Question) -> Iterator[str]:
    numbers = list(question.choices)
    if numbers != [str(i) for i in range(1, len(numbers) + 1)]:
        yield f"its choices are numbered {', '.join(numbers)}"
    if len(numbers) < 3:
        yield f"it has {len(numbers)} choices; a guess should not be right half the time"
    if question.right not in question.choices:
        yield f"the right choice is **{question.right}.**, and there is none of that number"
    for named in question.named:
        if named not in question.choices:
            yield f"`- {named}: …` names no choice"
        elif named == question.right:
            yield f"`- {named}: …` calls the right choice wrong"


def _faults_of_number(question: Question) -> Iterator[str]:
    in_percent = "%" in question.right
    if not in_percent and re.search(r"per ?cent\b|\bpercentage\b", question.prompt):
        yield f"it asks for per cent: write its answer as **{question.right} %**"
    try:
        low, high = accepted(question.right, question.accepted)
    except ValueError as error:
        yield str(error)
        return
    for named in question.named:
        try:
            wrong = _in_percent(named, in_percent)
        except ValueError as error:
            yield str(error)
            continue
        if low <= wrong <= high or isclose(wrong, low) or isclose(wrong, high):
            yield f"`- {named}: …` is accepted as right"


def _unnamed(question: Question) -> Iterator[str]:
    if not question.choices and not question.named:
        yield "no wrong number is named (`- 0.155: …`)"
    for choice in question.choices:
        if choice != question.right and choice not in question.named:
            yield f"choice {choice} is wrong and nothing says what one gets it by (`- {choice}: …`)"
