"""Mutants: each kind of change is made, named by line and words, and never twice."""

import ast
import textwrap

import pytest

from minitx.grading.judge.operators import mutants_of, slips_of


def mutants(source: str) -> dict[str, str]:
    """Id to the line after the change, for a function given as text."""
    tree = ast.parse(textwrap.dedent(source)).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return {mutant.id: mutant.after for mutant in mutants_of(tree)}


@pytest.mark.parametrize(
    ("body", "id", "after"),
    [
        ("return a + b", "f:L1:a + b->a - b", "return a - b"),
        ("return a / b", "f:L1:a / b->a * b", "return a * b"),
        ("return a / b", "f:L1:a / b->b / a", "return b / a"),
        ("return a @ b", "f:L1:a @ b->b @ a", "return b @ a"),
        ("return c + b", "f:L1:c + b->c", "return c"),
        ("return -c", "f:L1:-c->c", "return c"),
        ("return ~c", "f:L1:~c->c", "return c"),
        ("return a < b", "f:L1:a < b->a <= b", "return a <= b"),
        ("return a < b", "f:L1:a < b->a >= b", "return a >= b"),
        ("return a and b", "f:L1:a and b->a or b", "return a or b"),
        ("return a + 3", "f:L1:3->4", "return a + 4"),
        ("return a + 3", "f:L1:3->2", "return a + 2"),
        ("return a + 3", "f:L1:3->-3", "return a + -3"),
        ("return a + 3", "f:L1:3->0", "return a + 0"),
        ("return a + 0.5", "f:L1:0.5->-0.5", "return a + -0.5"),
        ("return a[0]", "f:L1:0->1", "return a[1]"),
        ("return a.sum(axis=-1)", "f:L1:axis=-1->-2", "return a.sum(axis=-2)"),
        ("return a.softmax(dim=1)", "f:L1:dim=1->0", "return a.softmax(dim=0)"),
        ("return a.sum(axis=-1)", "f:L1:drop axis=-1 of sum", "return a.sum()"),
        ("return a.sum(keepdims=True)", "f:L1:True->False", "return a.sum(keepdims=False)"),
        ("return g(a, b)", "f:L1:g(a, b)->g(b, a)", "return g(b, a)"),
        ("return np.exp(c)", "f:L1:np.exp(c)->c", "return c"),
        ("return np.exp(a)", "f:L1:np.exp(a)->np.exp2(a)", "return np.exp2(a)"),
        ("return a.max()", "f:L1:a.max()->a.min()", "return a.min()"),
        ("return c.max()", "f:L1:c.max()->c", "return c"),
        ("return np.sum(a)", "f:L1:np.sum(a)->np.mean(a)", "return np.mean(a)"),
        ("return g()", "f:L1:return g()->return b", "return b"),
        ("return a, b", "f:L1:return (a, b)->return (b, a)", "return (b, a)"),
        ("a = 1\nreturn a", "f:L1:drop a = 1", "pass"),
        ("a += b\nreturn a", "f:L1:a += b->a -= b", "a -= b"),
        ("a += b\nreturn a", "f:L1:a += b->a = b", "a = b"),
        ("for i in range(a):\n    b = i\nreturn b", "f:L1:range(a)->range(a - 1)", None),
        ("if a == b:\n    a = 2\nreturn a", "f:L1:a == b->a != b", "if a != b:"),
        ("if a:\n    b = 2\nreturn b", "f:L1:a->not a", "if not a:"),
        ("if not a:\n    b = 2\nreturn b", "f:L1:not a->a", "if a:"),
        ("return [i for i in a if i > b]", "f:L1:i > b->i <= b", None),
    ],
)
def test_each_kind_of_change(body, id, after):
    found = mutants('def f(a, b):\n    """Doc."""\n' + textwrap.indent(body, "    "))
    assert id in found, list(found)
    if after is not None:
        assert found[id] == after


def test_mutants_differ_from_the_original_and_from_each_other():
    source = """
        def f(scores):
            top = scores.max(axis=-1, keepdims=True)
            powers = np.exp(scores - top)
            return powers / powers.sum(axis=-1, keepdims=True)
    """
    tree = ast.parse(textwrap.dedent(source)).body[0]
    before = ast.unparse(tree)
    made = mutants_of(tree)
    sources = [mutant.source for mutant in made]
    assert len(set(sources)) == len(sources) > 25
    assert before not in sources
    assert len({mutant.id for mutant in made}) == len(made)
    assert all(ast.parse(text) for text in sources)
    assert ast.unparse(tree) == before


def test_lines_count_from_the_first_statement_so_that_docstrings_can_change():
    short = 'def f(a):\n    """One."""\n    b = a\n    return b + 1\n'
    long = short.replace('"""One."""', '"""One.\n\n    Two.\n    """')
    assert list(mutants(short)) == list(mutants(long))
    assert "f:L2:1->2" in mutants(short)


def test_signature_docstring_annotations_and_texts_of_errors_stay():
    source = '''
        def f(a: int = 3, *, b: "x 4" = 5) -> "y 6":
            """Doc 7."""
            if a < b:
                raise ValueError("a below 8")
            c: "z 9" = a
            return c
    '''
    for mutant in mutants_of(ast.parse(textwrap.dedent(source)).body[0]):
        assert "def f(a: int=3, *, b: 'x 4'=5) -> 'y 6':" in mutant.source
        assert "Doc 7." in mutant.source
        assert "a below 8" in mutant.source or "drop" in mutant.id
        assert "z 9" in mutant.source or "drop" in mutant.id


def test_equal_words_on_one_line_are_told_apart():
    found = mutants("def f(a):\n    return a[0] + a[0]\n")
    assert found["f:L1:0->1"] == "return a[1] + a[0]"
    assert found["f:L1:0->1#2"] == "return a[0] + a[1]"


def test_arguments_that_may_be_swapped_are_not():
    found = mutants("def f(a, b):\n    return np.maximum(a, b).transpose(0, 1)\n")
    assert not any(
        "maximum(b, a)" in after or "transpose(1, 0)" in after for after in found.values()
    )


def test_long_code_is_shortened_in_the_middle():
    found = mutants(f"def f(a):\n    return {' * '.join(['a' * 20] * 5)}\n")
    assert all(len(id) < 130 for id in found)
    assert any("…" in id for id in found)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("return x / n + 1", "the division by `n` is missing."),
        ("return x / n", "`x` is multiplied by `n`, not divided by it."),
        ("return x @ n", "the operands of a matrix product are exchanged: `n @ x`."),
        ("return x.sum(axis=-1)", "`sum` runs along axis=-2 in place of axis=-1."),
        ("return x <= n", "`x < n` is asked where `x <= n` belongs (off by one)."),
        ("return np.exp(x)", "`exp2` stands where `exp` belongs."),
        ("return x.sum(keepdims=True)", "False stands where True belongs for `keepdims` of `sum`."),
        ("return ~x & n", "the opposite `~` is missing in front of `x`."),
    ],
)
def test_a_mutant_says_what_it_changed(source: str, sentence: str) -> None:
    tree = ast.parse(f"def f(x, n):\n    {source}").body[0]
    assert isinstance(tree, ast.FunctionDef)
    assert sentence in [mutant.sentence for mutant in mutants_of(tree)]


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("return x @ n", "`n` stands where `x` belongs in `x @ n`."),
        ("return x @ n", "`n` is transposed in the product `x @ n`."),
        ("return x / x.shape[-1]", "`x.shape[-2]` stands where `x.shape[-1]` belongs."),
        ("return tanh(x + n)", "`tanh` is applied to each part of `x + n` on its own."),
        ("return tanh(x / n)", "the step with `n` comes after `tanh`, not before."),
        ("return tanh(x) @ n", "`tanh` is applied after the step with `n`, not before."),
        ("y = x + n\n    return y / 2", "`y` is returned already; the steps after it are missing."),
        ("return x - x.max()", "the mean stands where the largest belongs."),
        ("return f(x + n)", "`n` is one too large in `x + n`."),
        ("return x.clamp(n)", "`n` is one too small in `clamp`."),
        ("return (x / n).long()", "`x / n` is rounded up, not down."),
        ("return int(x / n)", "`x / n` is rounded to the nearest whole number, not down."),
        ("return x.to(torch.float64)", "`torch.float32` stands where `torch.float64` belongs."),
    ],
)
def test_slips_are_those_of_people(source: str, sentence: str) -> None:
    tree = ast.parse(f"def f(x, n):\n    {source}").body[0]
    assert isinstance(tree, ast.FunctionDef)
    assert sentence in [slip.sentence for slip in slips_of(tree)]
    assert {mutant.source for mutant in mutants_of(tree)} <= {s.source for s in slips_of(tree)}


def test_no_slip_puts_a_list_into_itself() -> None:
    source = "def f(x):\n    found = []\n    found.append(x)\n    return found"
    tree = ast.parse(source).body[0]
    assert isinstance(tree, ast.FunctionDef)
    lines = {line.strip() for slip in slips_of(tree) for line in slip.source.splitlines()}
    assert "found.append(~x)" in lines
    assert "found.append(found)" not in lines
