"""The stub a learner starts from: what goes, what stays, and what is refused with its line."""

import ast
import textwrap
from pathlib import Path

import pytest

from minitx.authoring.errors import SourceError
from minitx.authoring.stubs import answers, cells, strip_solutions

SOURCE = '''\
# ---
# jupyter:
#   kernelspec:
#     name: python3
# ---

# %% [markdown]
# # Exercises for chapter 1: Attention

# %%
import numpy as np

# %% [markdown]
# ## Exercise 1.1: A softmax that does not overflow
# Write it.

# %%
def softmax(scores):
    """Scores to weights.

    ### BEGIN SOLUTION is only text here, and so is
    # %% this
    """
    note = "### BEGIN SOLUTION"
    ### BEGIN SOLUTION
    shifted = scores - scores.max(axis=-1, keepdims=True)
    weights = np.exp(shifted)
    return weights / weights.sum(axis=-1, keepdims=True)
    ### END SOLUTION

# %%
softmax(np.array([1000.0, 1000.0]))

# %% [markdown] tags=["solution"]
# The maximum goes first.

# %% [markdown]
# ## Exercise 1.2: Why "softmax"?

# %%
class Lookup:
    def __call__(self, query):
        """Look up."""
        ### BEGIN SOLUTION
        def helper(x):
            return x

        return helper(query)
        ### END SOLUTION

# %% tags=["solution", "other"]
print("gone")
'''

STUB = '''\
# ---
# jupyter:
#   kernelspec:
#     name: python3
# ---

# %% [markdown]
# # Exercises for chapter 1: Attention

# %%
import numpy as np

# %% [markdown]
# ## Exercise 1.1: A softmax that does not overflow
# Write it.

# %%
def softmax(scores):
    """Scores to weights.

    ### BEGIN SOLUTION is only text here, and so is
    # %% this
    """
    note = "### BEGIN SOLUTION"
    raise NotImplementedError(
        "Exercise 1.1 is yours to write: A softmax that does not overflow. "
        "Put your code in place of this line; `minitx hint 01.1` gives a "
        "first nudge."
    )

# %%
softmax(np.array([1000.0, 1000.0]))

# %% [markdown]
# ## Exercise 1.2: Why "softmax"?

# %%
class Lookup:
    def __call__(self, query):
        """Look up."""
        raise NotImplementedError(
            'Exercise 1.2 is yours to write: Why "softmax"? Put your code '
            "in place of this line; `minitx hint 01.2` gives a first nudge."
        )
'''


def test_the_stub_is_exactly_this():
    assert strip_solutions(SOURCE, name="s.py") == STUB


def test_stripping_twice_gives_the_same_bytes():
    once = strip_solutions(SOURCE, name="s.py")
    assert strip_solutions(once, name="s.py") == once


def test_signature_and_docstring_stay_and_no_line_grows_beyond_the_limit():
    before, after = ast.parse(SOURCE), ast.parse(strip_solutions(SOURCE, name="s.py"))
    for was, now in zip(
        [n for n in ast.walk(before) if isinstance(n, ast.FunctionDef) and n.name == "softmax"],
        [n for n in ast.walk(after) if isinstance(n, ast.FunctionDef) and n.name == "softmax"],
        strict=True,
    ):
        assert ast.unparse(was.args) == ast.unparse(now.args)
        assert ast.get_docstring(was) == ast.get_docstring(now)
    assert max(map(len, strip_solutions(SOURCE, name="s.py").splitlines())) <= 78


def test_each_answer_belongs_to_the_heading_above_it():
    found = answers(SOURCE, name="s.py")
    assert [(a.number, a.id, a.title) for a in found] == [
        ("1.1", "01.1", "A softmax that does not overflow"),
        ("1.2", "01.2", 'Why "softmax"?'),
    ]


def test_cells_know_their_kind_and_tags():
    found = cells(SOURCE, name="s.py")
    assert [(c.markdown, c.tags) for c in found] == [
        (True, ()),
        (False, ()),
        (True, ()),
        (False, ()),
        (False, ()),
        (True, ("solution",)),
        (True, ()),
        (False, ()),
        (False, ("solution", "other")),
    ]


def with_body(body: str) -> str:
    """A source of one exercise with this body, indented by four; its first line is line 5."""
    head = '# %% [markdown]\n# ## Exercise 1.1: T\n# %%\ndef f(x):\n    """Doc."""\n'
    return head + textwrap.indent(textwrap.dedent(body), "    ")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            with_body("### BEGIN SOLUTION\nreturn x\n"),
            "s.py:6: ### BEGIN SOLUTION without ### END SOLUTION below it",
        ),
        (
            with_body("return x\n### END SOLUTION\n"),
            "s.py:7: ### END SOLUTION without ### BEGIN SOLUTION above it",
        ),
        (
            with_body("### BEGIN SOLUTION\n### BEGIN SOLUTION\nreturn x\n### END SOLUTION\n"),
            "s.py:7: ### BEGIN SOLUTION again; line 6 is still open",
        ),
        (
            with_body("# Begin Solution\nreturn x\n### END SOLUTION\n"),
            "s.py:6: write ### BEGIN SOLUTION or ### END SOLUTION, exactly; got: # Begin Solution",
        ),
        (
            with_body("y = x  ### BEGIN SOLUTION\nreturn x\n### END SOLUTION\n"),
            "s.py:6: ### BEGIN SOLUTION must have the line to itself",
        ),
        (
            with_body("### BEGIN SOLUTION\n# nothing\n### END SOLUTION\nreturn x\n"),
            "s.py:6: nothing stands between ### BEGIN SOLUTION and ### END SOLUTION",
        ),
        (
            "# %% [markdown]\n# ## Exercise 1.1: T\n# %%\n"
            "### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n",
            "s.py:4: ### BEGIN SOLUTION must stand inside a function",
        ),
        (
            '# %% [markdown]\n# ## Exercise 1.1: T\n# %%\ndef f(x):\n    """Doc."""\n\n'
            "### BEGIN SOLUTION\ny = 1\n### END SOLUTION\n",
            "s.py:7: ### BEGIN SOLUTION must stand inside a function",
        ),
        (
            "# %% [markdown]\n# ## Exercise 1.1: T\n# %%\ndef f(x):\n"
            '    ### BEGIN SOLUTION\n    """Doc."""\n    return x\n    ### END SOLUTION\n',
            "s.py:5: ### BEGIN SOLUTION must stand below the docstring",
        ),
        (
            "# %%\ndef f(x):\n    ### BEGIN SOLUTION\n    return x\n    ### END SOLUTION\n",
            "s.py:3: no heading such as `# ## Exercise 1.1: A title` stands above this answer",
        ),
        ("# %%\nx = = 1\n", "s.py:2: not Python: invalid syntax"),
        ("# %%\nx = (1\n", "s.py:2: not Python: '(' was never closed"),
        ("# %% tags=[solution]\nx = 1\n", "s.py:1: the tags are not a list such as"),
    ],
)
def test_what_cannot_be_derived_is_refused_with_its_line(source, text):
    with pytest.raises(SourceError) as caught:
        strip_solutions(source, name="s.py")
    assert str(caught.value).startswith(text)


def test_a_marker_that_cuts_a_statement_in_two_is_refused():
    source = with_body(
        """\
        try:
            ### BEGIN SOLUTION
            y = 1
        except ValueError:
            y = 2
            ### END SOLUTION
        """
    )
    with pytest.raises(SourceError, match=r"the stub of s\.py:\d+: not Python: expected 'except'"):
        strip_solutions(source, name="s.py")


def test_what_learners_edit_is_as_narrow_as_a_page():
    """78 characters of code fit beside the margins of the book, and two files side by side."""
    root = Path(__file__).resolve().parents[2]
    wide = [
        f"{path.name}:{number}: {line}"
        for path in sorted((root / "solutions").glob("[0-9]*.py"))
        for number, line in enumerate(
            strip_solutions(path.read_text(encoding="utf-8"), name=path.name).splitlines(), 1
        )
        if len(line) > 78
    ]
    assert wide == []
