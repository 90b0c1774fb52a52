"""Small changes to a function, one at a time, each of which a good grader must notice.

A mutant is named by what changed and where: `softmax:L2:axis=-1->-2` is line 2 of the body of
`softmax` (lines count from the first statement below the docstring, so that words can be mended
without renaming mutants).
"""

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

AXIS_NAMES = frozenset({"axis", "dim", "diagonal"})
WIDTH = 48

_BINARY: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_ORDERED = (ast.Sub, ast.Div, ast.MatMult, ast.Pow)
_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_SYMMETRIC = frozenset(
    {"maximum", "minimum", "max", "min", "add", "allclose", "logaddexp", "transpose", "swapaxes"}
)
_PAIRS = (
    ("max", "min"),
    ("amax", "amin"),
    ("maximum", "minimum"),
    ("argmax", "argmin"),
    ("sum", "mean"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
    ("tril", "triu"),
    ("any", "all"),
    ("cos", "sin"),
    ("exp", "exp2"),
    ("log", "log2"),
    ("squeeze", "unsqueeze"),
)
_RENAMED = dict(_PAIRS) | {b: a for a, b in _PAIRS}


@dataclass(frozen=True)
class Mutant:
    """A function with one thing changed: its id, its whole source, and the line that differs."""

    id: str
    source: str
    before: str
    after: str


@dataclass(frozen=True)
class _Place:
    """Where a node hangs in the tree."""

    parent: ast.AST
    field: str
    index: int | None

    def get(self) -> ast.AST:
        value = getattr(self.parent, self.field)
        found: ast.AST = value if self.index is None else value[self.index]
        return found

    def put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


@dataclass(frozen=True)
class _Change:
    """One edit: the node that takes a place, and the words for it."""

    place: _Place
    new: ast.AST
    words: str


def mutants_of(function: ast.FunctionDef) -> list[Mutant]:
    """Every mutant of a function, in the order of its lines, no two with the same code.

    Signature, docstring, annotations and decorators stay as they are, and so do the texts of
    error messages.
    """
    function = copy.deepcopy(function)
    has_docstring = ast.get_docstring(function) is not None
    first = function.body[1 if has_docstring else 0].lineno
    original = ast.unparse(function)
    seen = {original}
    named: Counter[str] = Counter()
    made = []
    for place in list(_places(function, skip=1 if has_docstring else 0)):
        node = place.get()
        for change in _changes(place, function):
            old = change.place.get()
            change.place.put(change.new)
            source = ast.unparse(function)
            change.place.put(old)
            if source in seen:
                continue
            seen.add(source)
            line = getattr(node, "lineno", first) - first + 1
            name = f"{function.name}:L{line}:{change.words}"
            named[name] += 1
            made.append(
                Mutant(
                    name if named[name] == 1 else f"{name}#{named[name]}",
                    source,
                    *_difference(original, source),
                )
            )
    return made


def _difference(original: str, changed: str) -> tuple[str, str]:
    """The first line that differs, before and after."""
    before, after = original.splitlines(), changed.splitlines()
    for old, new in zip(before, after, strict=False):
        if old != new:
            return old.strip(), new.strip()
    return before[-1].strip(), after[-1].strip()


def _places(function: ast.FunctionDef, *, skip: int) -> Iterator[_Place]:
    """Every place in the body below the docstring, parents before children, in order of lines."""
    for index in range(skip, len(function.body)):
        place = _Place(function, "body", index)
        yield place
        yield from _places_below(place.get())


def _places_below(node: ast.AST) -> Iterator[_Place]:
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "args") and not isinstance(
            node, ast.Call
        ):
            continue
        if isinstance(value, ast.AST):
            yield _Place(node, field, None)
            yield from _places_below(value)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, ast.AST):
                    yield _Place(node, field, index)
                    yield from _places_below(item)


def _changes(place: _Place, function: ast.FunctionDef) -> Iterator[_Change]:
    node = place.get()
    if isinstance(node, ast.stmt):
        yield from _statement(place, node, function)
    if _is_axis(place):
        yield from _axis(place, node)
    elif (number := _number(node)) is not None and not _is_digit_of_negative(place):
        for other in _other_numbers(number, is_index=isinstance(place.parent, ast.Subscript)):
            yield _Change(place, _constant(other), f"{number!r}->{other!r}")
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield _replaced(place, ast.Constant(not node.value))
    elif isinstance(node, ast.BinOp):
        yield from _binary(place, node)
    elif isinstance(node, ast.UnaryOp):
        yield _replaced(place, node.operand)
    elif isinstance(node, ast.Compare):
        yield from _comparison(place, node)
    elif isinstance(node, ast.BoolOp):
        other_op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield _replaced(place, ast.BoolOp(other_op, node.values))
    elif isinstance(node, ast.Call):
        yield from _call(place, node)
    if place.field == "test" or (
        place.field == "ifs" and isinstance(place.parent, ast.comprehension)
    ):
        assert isinstance(node, ast.expr)
        yield _replaced(place, _negated(node))


def _statement(place: _Place, node: ast.stmt, function: ast.FunctionDef) -> Iterator[_Change]:
    if not isinstance(node, ast.Pass | ast.FunctionDef):
        yield _Change(place, ast.Pass(), f"drop {_short(ast.unparse(node).splitlines()[0])}")
    if isinstance(node, ast.AugAssign):
        other = _BINARY.get(type(node.op))
        if other:
            yield _replaced(place, ast.AugAssign(node.target, other(), node.value))
        yield _replaced(place, ast.Assign([node.target], node.value, lineno=node.lineno))
    if isinstance(node, ast.Return) and node.value is not None:
        arguments = function.args
        for argument in arguments.posonlyargs + arguments.args + arguments.kwonlyargs:
            yield _replaced(place, ast.Return(ast.Name(argument.arg, ast.Load())))
        if isinstance(node.value, ast.Tuple):
            for swapped in _swaps(node.value.elts):
                yield _replaced(place, ast.Return(ast.Tuple(swapped, ast.Load())))


def _is_axis(place: _Place) -> bool:
    return isinstance(place.parent, ast.keyword) and place.parent.arg in AXIS_NAMES


def _axis(place: _Place, node: ast.AST) -> Iterator[_Change]:
    number = _number(node)
    assert isinstance(place.parent, ast.keyword)
    if isinstance(number, int):
        for other in (number - 1, number + 1):
            yield _Change(place, _constant(other), f"{place.parent.arg}={number}->{other}")


def _number(node: ast.AST) -> int | float | None:
    """The value of a number as it is written, a sign in front included; else None."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _number(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        value: int | float = node.value  # type: ignore[assignment]
        return value
    return None


def _is_digit_of_negative(place: _Place) -> bool:
    return isinstance(place.parent, ast.UnaryOp) and isinstance(place.parent.op, ast.USub)


def _other_numbers(number: int | float, *, is_index: bool) -> list[int | float]:
    if is_index and isinstance(number, int):
        return [number - 1, number + 1]
    if isinstance(number, int):
        others: list[int | float] = [number + 1, number - 1, -number, 0]
    else:
        others = [-number, 0.0, number + 1.0, number * 2]
    return [other for other in dict.fromkeys(others) if other != number]


def _constant(value: int | float) -> ast.expr:
    if value < 0:
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


def _binary(place: _Place, node: ast.BinOp) -> Iterator[_Change]:
    other = _BINARY.get(type(node.op))
    if other:
        yield _replaced(place, ast.BinOp(node.left, other(), node.right))
    if isinstance(node.op, _ORDERED):
        yield _replaced(place, ast.BinOp(node.right, node.op, node.left))
    yield _replaced(place, node.left)
    yield _replaced(place, node.right)


def _comparison(place: _Place, node: ast.Compare) -> Iterator[_Change]:
    for index, operator in enumerate(node.ops):
        for other in _COMPARISONS[type(operator)]:
            operators = [*node.ops[:index], other(), *node.ops[index + 1 :]]
            yield _replaced(place, ast.Compare(node.left, operators, node.comparators))


def _call(place: _Place, node: ast.Call) -> Iterator[_Change]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if isinstance(node.func, ast.Name):
        name = node.func.id
    if name in _RENAMED:
        yield _replaced(
            place, ast.Call(_renamed(node.func, _RENAMED[name]), node.args, node.keywords)
        )
    if name not in _SYMMETRIC:
        for swapped in _swaps(node.args):
            yield _replaced(place, ast.Call(node.func, swapped, node.keywords))
    if name == "range":
        shorter = ast.BinOp(node.args[-1], ast.Sub(), ast.Constant(1))
        yield _replaced(place, ast.Call(node.func, [*node.args[:-1], shorter], node.keywords))
    for index, keyword in enumerate(node.keywords):
        if not (isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool)):
            fewer = node.keywords[:index] + node.keywords[index + 1 :]
            yield _Change(
                place,
                ast.Call(node.func, node.args, fewer),
                f"drop {_short(ast.unparse(keyword))} of {name or 'call'}",
            )
    if isinstance(place.parent, ast.Raise | ast.Expr):
        return
    if isinstance(node.func, ast.Attribute) and not _is_module(node.func.value):
        yield _replaced(place, node.func.value)
    elif node.args and not isinstance(node.args[0], ast.Starred | ast.GeneratorExp):
        yield _replaced(place, node.args[0])


def _is_module(node: ast.expr) -> bool:
    """Whether a function is taken from a module: `np.exp`, but not `scores.max`."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in {
        "np",
        "numpy",
        "torch",
        "math",
        "F",
        "functional",
        "numpy_core",
        "masks",
    }


def _renamed(function: ast.expr, name: str) -> ast.expr:
    if isinstance(function, ast.Attribute):
        return ast.Attribute(function.value, name, ast.Load())
    return ast.Name(name, ast.Load())


def _swaps(items: list[ast.expr]) -> Iterator[list[ast.expr]]:
    """Each way to swap two neighbours."""
    if any(isinstance(item, ast.Starred) for item in items):
        return
    for i in range(len(items) - 1):
        yield [*items[:i], items[i + 1], items[i], *items[i + 2 :]]


def _negated(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return node.operand
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        opposite = {
            ast.Lt: ast.GtE,
            ast.GtE: ast.Lt,
            ast.Gt: ast.LtE,
            ast.LtE: ast.Gt,
            ast.Eq: ast.NotEq,
            ast.NotEq: ast.Eq,
            ast.Is: ast.IsNot,
            ast.IsNot: ast.Is,
            ast.In: ast.NotIn,
            ast.NotIn: ast.In,
        }
        return ast.Compare(node.left, [opposite[type(node.ops[0])]()], node.comparators)
    return ast.UnaryOp(ast.Not(), node)


def _replaced(place: _Place, new: ast.AST) -> _Change:
    words = f"{_short(ast.unparse(place.get()))}->{_short(ast.unparse(new))}"
    return _Change(place, new, words)


def _short(text: str) -> str:
    """At most so many characters, the middle left out."""
    text = " ".join(text.split())
    if len(text) <= WIDTH:
        return text
    half = WIDTH // 2
    return f"{text[:half].rstrip()}…{text[-half:].lstrip()}"
