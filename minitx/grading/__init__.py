"""Grading: what check files, mistake banks and notebooks use.

A check file registers exercises and their checks; `sub` in a check is the learner's work::

    softmax = exercise("01.1", function="softmax", title="...", page="book/...#...",
                       hints=("nudge", "pointer", "nearly the answer"), returns="array")

    FLOAT64 = Tolerance(rtol=1e-12, atol=0.0, because="sums of 7 float64 numbers")

    @softmax.check(points=2, title="every row sums to 1", hint="Which axis?")
    def test_rows(sub, rng):
        expect_close(sub.softmax(rng.normal(size=(3, 7))).sum(-1), np.ones(3),
                     FLOAT64, what="the sum of each row")

`sub.softmax.steps(scores)` counts the lines of Python that run in one call, the learner's and the
libraries': where it grows with the input, there is a loop.

`sub.softmax.vjp(scores, cotangent=c)` gives gradients with respect to the inputs that require
grad: results hold no graph, because the code may run in another process. Where an exercise
returns a "module", `module = sub.MultiHead(8, 2)` is a handle on it: `module(x)`,
`module.load(weights, names)`, `module.vjp(x)`, `module.state_dict()`, `.train()`, `.eval()`,
`.to(dtype)`, `.parameters`. `sub.kernel.launch(grid, x, out, n, BLOCK=16)` runs a Triton kernel in
the interpreter and gives what its arguments hold afterwards.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minitx.grading.errors import CourseError, GraderError, Rejected
    from minitx.grading.judge.expectations import (
        Tolerance,
        expect,
        expect_close,
        expect_equal,
        expect_raises,
    )
    from minitx.grading.learner.notebook import check
    from minitx.grading.registry import Exercise, exercise, mistake, right_answer
    from minitx.grading.texts import a_few

__all__ = [
    "CourseError",
    "Exercise",
    "GraderError",
    "Rejected",
    "Tolerance",
    "a_few",
    "check",
    "exercise",
    "expect",
    "expect_close",
    "expect_equal",
    "expect_raises",
    "mistake",
    "right_answer",
]
_HOLDERS = ("errors", "registry", "texts", "judge.expectations", "learner.notebook")


def __getattr__(name: str) -> Any:
    """Names are imported when they are asked for: `minitx --help` needs none of them."""
    if name in __all__:
        for holder in _HOLDERS:
            module = importlib.import_module(f"minitx.grading.{holder}")
            if hasattr(module, name):
                globals()[name] = getattr(module, name)
                return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
