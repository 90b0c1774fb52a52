"""A question is read from its Markdown, and what cannot be asked is said."""

import pytest

from minitx.authoring.questions import NotAQuestion, accepted, faults, number, parse

CHOICE = """\
<div class="question" id="q-1-weights">

**Predict.** Four keys score equally. What is the weight of each?

1. 1
2. $1 / 4$,
   that is a quarter
3. it depends on the values

<details><summary>Answer</summary>

**2.** Equal scores give equal weights.

- 1: that is the exponential of the score.
- 3: values are mixed with the weights.

</details>
</div>
"""

NUMBER = """\
<div class="question" id="q-1-mixture">

**Question.** What comes out?

<details><summary>Answer</summary>

**0.42** (± 0.01) It is computed below.

- 0.155: the weights were not divided by their sum.
- −3: the sign of the score is wrong.

</details>
</div>
"""


def test_a_choice_is_read_whole():
    question = parse(CHOICE)
    assert question.id == "q-1-weights"
    assert question.kind == "Predict"
    assert question.prompt == "**Predict.** Four keys score equally. What is the weight of each?"
    assert list(question.choices) == ["1", "2", "3"]
    assert question.choices["2"] == "$1 / 4$,\n   that is a quarter"
    assert (question.right, question.named) == ("2", ("1", "3"))
    assert list(faults(question)) == []


def test_a_number_is_read_whole():
    question = parse(NUMBER)
    assert (question.choices, question.right, question.accepted) == ({}, "0.42", "± 0.01")
    assert question.named == ("0.155", "−3")
    assert list(faults(question)) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<details>", "<details open>", "its Markdown must be"),
        ("</summary>\n\n", "</summary>\n", "its Markdown must be"),
        ("values\n\n<det", "values\n<det", "its Markdown must be"),
        ("**Predict.** Four", "Four", "**Predict.** or **Question.**"),
        ("**2.** Equal", "Equal", "what is right, in bold"),
        ("values\n\n<det", "values\n\nChoose.\n\n<det", "between its choices and the fold"),
    ],
)
def test_another_shape_is_no_question(old, new, said):
    assert old in CHOICE
    with pytest.raises(NotAQuestion, match=said.replace("*", r"\*")):
        parse(CHOICE.replace(old, new, 1))


@pytest.mark.parametrize(
    ("text", "old", "new", "said"),
    [
        (CHOICE, "**2.**", "**4.**", "the right choice is **4.**, and there is none"),
        (CHOICE, "3. it", "4. it", "its choices are numbered 1, 2, 4"),
        (CHOICE, "3. it depends on the values\n", "", "half the time"),
        (CHOICE, "- 3: ", "- ", "choice 3 is wrong and nothing says"),
        (CHOICE, "- 3: ", "- 2: ", "calls the right choice wrong"),
        (CHOICE, "- 3: ", "- 5: ", "`- 5: …` names no choice"),
        (CHOICE, "- 3: ", "- 1: ", "names a wrong answer twice"),
        (NUMBER, "**0.42**", "**about half**", "begins with no number"),
        (NUMBER, "(± 0.01)", "(roughly)", "must be (± …)"),
        (NUMBER, "(± 0.01)", "(0.5 to 0.6)", "leaves 0.42 out"),
        (NUMBER, "- 0.155: ", "- 0.43: ", "`- 0.43: …` is accepted as right"),
        (NUMBER, "- 0.155: ", "- one: ", "'one' begins with no number"),
        (NUMBER, "- ", "* ", "no wrong number is named"),
        (NUMBER, "What comes", "How many percent comes", "write its answer as **0.42 %**"),
        (NUMBER, "**0.42** (± 0.01)", "**15 %** (± 1)", "`- 15.5: …` is accepted as right"),
    ],
)
def test_what_cannot_be_judged_is_said(text, old, new, said):
    assert old in text
    text = text.replace("- 0.155: ", "- 15.5: ") if "15.5" in said else text
    assert any(said in fault for fault in faults(parse(text.replace(old, new))))


def test_verdicts_need_no_names():
    unnamed = parse(CHOICE.replace("- 3: ", "- 1: ", 1).replace("- 1: ", "* ", 2))
    assert len(list(faults(unnamed))) == 2
    assert list(faults(unnamed, must_name=False)) == []


@pytest.mark.parametrize(
    ("right", "bracket", "low", "high"),
    [
        ("0.42", "± 0.01", 0.41, 0.43),
        ("−3", "", -3, -3),
        ("30 %", "± 5", 0.25, 0.35),
        ("30 %", "± 5 %", 0.25, 0.35),
        ("1,000", "± 5 %", 950, 1050),
        ("1,000", "300 to 3,000", 300, 3000),
        ("30 %", "25 to 40 %", 0.25, 0.40),
        ("8 GiB", "", 8, 8),
    ],
)
def test_the_bracket_says_what_is_accepted(right, bracket, low, high):
    assert accepted(right, bracket) == pytest.approx((low, high), rel=1e-12)


def test_a_text_without_a_number_in_front_is_refused():
    with pytest.raises(ValueError, match="'some 3' begins with no number"):
        number("some 3")
