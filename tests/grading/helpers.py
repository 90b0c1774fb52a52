"""A course of two small exercises, so that the engine is tested by itself."""

import json
from typing import Any

CHECKS = """
import numpy as np
from minitx.grading import Tolerance, exercise, expect, expect_close, expect_raises

PRODUCT = Tolerance(rtol=1e-12, atol=0.0, because="one product")

double = exercise(
    "01.1", function="double", title="Twice the number", page="book/01_small.md#twice",
    hints=("first nudge", "then a pointer", "nearly the answer"), returns="array", seconds=0.5,
)

@double.check(points=2, title="every number is doubled", hint="Two times.")
def test_values(sub, rng):
    x = rng.normal(size=(2, 3))
    expect_close(sub.double(x), np.array([[2 * v for v in row] for row in x.tolist()]),
                 PRODUCT, what="the doubled numbers")

@double.check(points=1, title="whole rows too", hint="Any shape.")
def test_shape(sub, rng):
    expect(sub.double(rng.normal(size=(4,))).shape == (4,), "The shape must stay (4,).")

@double.check(points=1, title="an empty array is refused", hint="raise ValueError")
def test_refuses(sub, rng):
    expect_raises(ValueError, lambda: sub.double(np.zeros(0)), what="an empty array")

quadruple = exercise(
    "01.2", function="quadruple", title="Four times", page="book/01_small.md#four-times",
    hints=("a", "b", "c"), uses=("01.1",), returns="array", seconds=0.5,
)

@quadruple.check(points=3, title="every number is quadrupled", hint="Twice twice.")
def test_four(sub, rng):
    x = rng.normal(size=5)
    expect_close(sub.quadruple(x), np.array([4 * v for v in x.tolist()]),
                 PRODUCT, what="the quadrupled numbers")
"""

BANK = '''
from minitx.grading import mistake

@mistake("01.1", caught_by="test_values")
def squared(x):
    """the numbers are squared.

    Multiply by 2, do not raise to the power of 2.
    """
    if x.size == 0:
        raise ValueError("empty")
    return x**2

@mistake("01.1", caught_by="test_refuses")
def nothing_refused(x):
    """an empty array is accepted.

    Raise ValueError for it.
    """
    return 2 * x

@mistake("01.2", caught_by="test_four", page="book/01_small.md#twice")
def once_only(x):
    """the numbers are doubled once.

    Do it twice.
    """
    return 2 * x
'''

SOLUTION = '''# %% [markdown]
# # Small exercises

# %%
import numpy as np
from minitx.grading import check

# %%
def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    if x.size == 0:
        raise ValueError("nothing to double")
    return 2 * x
    ### END SOLUTION

# %%
print(double(np.ones(2)))

# %%
check("01.1", double)

# %%
def quadruple(x):
    """Four times x."""
    ### BEGIN SOLUTION
    return double(double(x))
    ### END SOLUTION

# %%
check("01.2", quadruple)
'''

STUB = '''# %% [markdown]
# # Small exercises

# %%
import numpy as np
from minitx.grading import check

# %%
def double(x):
    """Twice x."""
    raise NotImplementedError(
        "Exercise 1.1 is yours to write: fill in the body of double."
    )

# %%
print(double(np.ones(2)))

# %%
check("01.1", double)

# %%
def quadruple(x):
    """Four times x."""
    raise NotImplementedError("Exercise 1.2 is yours to write: fill in the body of quadruple.")

# %%
check("01.2", quadruple)
'''

BOOK = "# Small\n\n(twice)=\n## Twice as much\n\n## Four times\n"

RIGHT_DOUBLE = """def double(x):
    if x.size == 0:
        raise ValueError("empty")
    return x + x
"""


def as_notebook(python: str) -> str:
    """A notebook with the cells of a py:percent file, and a set-up cell in front."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": "setup",
            "metadata": {"tags": ["setup"]},
            "source": "raise SystemExit('never run by the grader')",
            "outputs": [],
            "execution_count": None,
        }
    ]
    for number, part in enumerate(python.split("# %%")[1:]):
        head, _, body = part.partition("\n")
        kind = "markdown" if "markdown" in head else "code"
        cell: dict[str, Any] = {"cell_type": kind, "id": f"c{number}", "metadata": {}}
        cell["source"] = body.strip("\n").splitlines(keepends=True)
        if kind == "code":
            cell |= {"outputs": [{"output_type": "stream"}], "execution_count": 3}
        cells.append(cell)
    document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
