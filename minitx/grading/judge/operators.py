"""Small changes to a function, one at a time, each with a sentence that names it.

A good grader must notice every one (`minitx.authoring.mutants` measures it), and the same changes,
made to the worked answer, are a bank of typical mistakes for exercises for which nobody wrote one:
`slips_of` adds to them those that people make and machines do not (another name, another axis of
a shape, a mask turned round, an intermediate result returned).

A mutant is named by what changed and where: `softmax:L2:axis=-1->-2` is line 2 of the body of
`softmax` (lines count from the first statement below the docstring, so that words can be mended
without renaming mutants).
"""

import ast
import copy
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from minitx.grading.judge.wording import in_known_names, short, shortened

AXIS_NAMES = frozenset({"axis", "dim", "diagonal"})

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
    sentence: str  # completes "Your output equals what you get when ..."; "" if it cannot be said


@dataclass(frozen=True)
class _Place:
    """Where a node hangs in the tree."""

    parent: ast.AST
    field: str
    index: int | None
    inside: str = ""  # the name of the innermost call around it

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
    sentence: str


def mutants_of(function: ast.FunctionDef) -> list[Mutant]:
    """Every mutant of a function, in the order of its lines, no two with the same code.

    Signature, docstring, annotations and decorators stay as they are, and so do the texts of
    error messages.
    """
    return _made(function, _changes)


def slips_of(function: ast.FunctionDef, known: Collection[str] | None = None) -> list[Mutant]:
    """The mutants, and the slips that are typical of people; for naming mistakes.

    Args:
        function: the worked answer.
        known: the names that a sentence may say, see `wording`; None if all.
    """

    def changes(place: _Place, whole: ast.FunctionDef) -> Iterator[_Change]:
        yield from _changes(place, whole)
        yield from _slips(place, whole)

    return _made(function, changes, known)


def _made(
    function: ast.FunctionDef,
    changes: Callable[[_Place, ast.FunctionDef], Iterator[_Change]],
    known: Collection[str] | None = None,
) -> list[Mutant]:
    original_tree, function = function, copy.deepcopy(function)
    has_docstring = ast.get_docstring(function) is not None
    first = function.body[1 if has_docstring else 0].lineno
    original = ast.unparse(function)
    seen = {original}
    named: Counter[str] = Counter()
    made = []
    for place in list(_places(function, skip=1 if has_docstring else 0)):
        node = place.get()
        for change in list(changes(place, function)):
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
                    shortened(change.sentence)
                    if known is None
                    else in_known_names(change.sentence, known, original_tree),
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
        yield from _places_below(place.get(), "")


def _places_below(node: ast.AST, inside: str) -> Iterator[_Place]:
    if isinstance(node, ast.Call):
        inside = _called(node)
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "args") and not isinstance(
            node, ast.Call
        ):
            continue
        if isinstance(value, ast.AST):
            yield _Place(node, field, None, inside)
            yield from _places_below(value, inside)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, ast.AST):
                    yield _Place(node, field, index, inside)
                    yield from _places_below(item, inside)


def _changes(place: _Place, function: ast.FunctionDef) -> Iterator[_Change]:
    node = place.get()
    if isinstance(node, ast.stmt):
        yield from _statement(place, node, function)
    if _is_axis(place):
        yield from _axis(place, node)
    elif (number := _number(node)) is not None and not _is_digit_of_negative(place):
        for other in _other_numbers(number, is_index=isinstance(place.parent, ast.Subscript)):
            sentence = f"{other!r} stands where {number!r} belongs{_in(place)}."
            yield _Change(place, _constant(other), f"{number!r}->{other!r}", sentence)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        sentence = f"{not node.value} stands where {node.value} belongs{_in(place)}."
        yield _replaced(place, ast.Constant(not node.value), sentence)
    elif isinstance(node, ast.BinOp):
        yield from _binary(place, node)
    elif isinstance(node, ast.UnaryOp):
        word = {"-": "the minus sign is", "~": "the opposite `~` is", "not": "`not` is"}
        sign = (
            ast.unparse(node)[:3].strip() if isinstance(node.op, ast.Not) else ast.unparse(node)[0]
        )
        sentence = f"{word.get(sign, 'the sign is')} missing in front of `{_code(node.operand)}`."
        yield _replaced(place, node.operand, sentence)
    elif isinstance(node, ast.Compare):
        yield from _comparison(place, node)
    elif isinstance(node, ast.BoolOp):
        other_op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield _replaced(
            place, ast.BoolOp(other_op, node.values), "`and` and `or` stand in each other's place."
        )
    elif isinstance(node, ast.Call):
        yield from _call(place, node)
    if place.field == "test" or (
        place.field == "ifs" and isinstance(place.parent, ast.comprehension)
    ):
        assert isinstance(node, ast.expr)
        sentence = f"the condition `{_code(node)}` is turned round."
        yield _replaced(place, _negated(node), sentence)


def _statement(place: _Place, node: ast.stmt, function: ast.FunctionDef) -> Iterator[_Change]:
    if not isinstance(node, ast.Pass | ast.FunctionDef):
        first = ast.unparse(node).splitlines()[0]
        yield _Change(place, ast.Pass(), f"drop {short(first)}", f"the step `{first}` is missing.")
    if isinstance(node, ast.AugAssign):
        other = _BINARY.get(type(node.op))
        target = _code(node.target)
        if other:
            new = ast.AugAssign(node.target, other(), node.value)
            yield _replaced(place, new, f"`{_code(new)}` stands where `{_code(node)}` belongs.")
        sentence = f"`{target}` is written anew each time, so that only the last one is kept."
        yield _replaced(place, ast.Assign([node.target], node.value, lineno=node.lineno), sentence)
    if isinstance(node, ast.Return) and node.value is not None:
        arguments = function.args
        for argument in arguments.posonlyargs + arguments.args + arguments.kwonlyargs:
            if argument.arg == "self":
                continue
            sentence = f"`{argument.arg}` is returned as it came."
            yield _replaced(place, ast.Return(ast.Name(argument.arg, ast.Load())), sentence)
        if isinstance(node.value, ast.Tuple):
            for swapped in _swaps(node.value.elts):
                sentence = "two of the results are returned in each other's place."
                yield _replaced(place, ast.Return(ast.Tuple(swapped, ast.Load())), sentence)


def _is_axis(place: _Place) -> bool:
    return isinstance(place.parent, ast.keyword) and place.parent.arg in AXIS_NAMES


def _axis(place: _Place, node: ast.AST) -> Iterator[_Change]:
    number = _number(node)
    assert isinstance(place.parent, ast.keyword)
    if isinstance(number, int):
        for other in (number - 1, number + 1):
            word = place.parent.arg
            runs = "counts from" if word == "diagonal" else "runs along"
            sentence = f"`{place.inside}` {runs} {word}={other} in place of {word}={number}."
            yield _Change(place, _constant(other), f"{word}={number}->{other}", sentence)


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
    left, right = _code(node.left), _code(node.right)
    other = _BINARY.get(type(node.op))
    if other:
        new = ast.BinOp(node.left, other(), node.right)
        yield _replaced(place, new, _OTHER[type(node.op)].format(left=left, right=right))
    if isinstance(node.op, _ORDERED):
        new = ast.BinOp(node.right, node.op, node.left)
        yield _replaced(place, new, _TURNED[type(node.op)].format(left=left, right=right))
    missing = _MISSING.get(type(node.op), "the step with `{right}` is missing.")
    yield _replaced(place, node.left, missing.format(left=left, right=right))
    sentence = f"only `{right}` is left of `{_code(node)}`."
    yield _replaced(place, node.right, sentence)


_OTHER: dict[type[ast.operator], str] = {
    ast.Add: "`{right}` is subtracted from `{left}`, not added.",
    ast.Sub: "`{right}` is added to `{left}`, not subtracted.",
    ast.Mult: "`{left}` is divided by `{right}`, not multiplied.",
    ast.Div: "`{left}` is multiplied by `{right}`, not divided by it.",
    ast.MatMult: "`{left}` and `{right}` are multiplied entry by entry (`*`), not as matrices "
    "(`@`).",
    ast.Pow: "`{left}` is multiplied by `{right}`, not raised to that power.",
    ast.FloorDiv: "`{left}` is multiplied by `{right}`, not divided by it.",
    ast.Mod: "`{left}` is multiplied by `{right}`; the remainder is wanted.",
    ast.BitAnd: "`|` (either) stands where `&` (both) belongs.",
    ast.BitOr: "`&` (both) stands where `|` (either) belongs.",
}
_TURNED: dict[type[ast.operator], str] = {
    ast.Sub: "the difference is turned round: `{right}` minus `{left}`.",
    ast.Div: "the fraction is upside down: `{right}` divided by `{left}`.",
    ast.MatMult: "the operands of a matrix product are exchanged: `{right} @ {left}`.",
    ast.Pow: "base and exponent are exchanged.",
}
_MISSING: dict[type[ast.operator], str] = {
    ast.Add: "`{right}` is not added to `{left}`.",
    ast.Sub: "`{right}` is not subtracted from `{left}`.",
    ast.Mult: "the factor `{right}` is missing.",
    ast.Div: "the division by `{right}` is missing.",
    ast.MatMult: "the matrix product with `{right}` is missing.",
    ast.Pow: "the power is missing: `{left}` is used as it is.",
}


def _comparison(place: _Place, node: ast.Compare) -> Iterator[_Change]:
    for index, operator in enumerate(node.ops):
        for other in _COMPARISONS[type(operator)]:
            operators = [*node.ops[:index], other(), *node.ops[index + 1 :]]
            new = ast.Compare(node.left, operators, node.comparators)
            off = " (off by one)" if {type(operator), other} in _OFF_BY_ONE else ""
            sentence = f"`{_code(new)}` is asked where `{_code(node)}` belongs{off}."
            yield _replaced(place, new, sentence)


_OFF_BY_ONE = ({ast.Lt, ast.LtE}, {ast.Gt, ast.GtE})


def _called(node: ast.Call) -> str:
    """The last name of what is called."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _call(place: _Place, node: ast.Call) -> Iterator[_Change]:
    name = _called(node)
    if name in _RENAMED:
        other = _RENAMED[name]
        new = ast.Call(_renamed(node.func, other), node.args, node.keywords)
        yield _replaced(place, new, f"`{other}` stands where `{name}` belongs.")
    if name not in _SYMMETRIC:
        for swapped in _swaps(node.args):
            sentence = f"two arguments of `{name}` are exchanged."
            yield _replaced(place, ast.Call(node.func, swapped, node.keywords), sentence)
    if name == "range":
        shorter = ast.BinOp(node.args[-1], ast.Sub(), ast.Constant(1))
        new = ast.Call(node.func, [*node.args[:-1], shorter], node.keywords)
        yield _replaced(place, new, f"the loop over `{_code(node)}` ends one too early.")
    for index, keyword in enumerate(node.keywords):
        if not (isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool)):
            fewer = node.keywords[:index] + node.keywords[index + 1 :]
            yield _Change(
                place,
                ast.Call(node.func, node.args, fewer),
                f"drop {short(ast.unparse(keyword))} of {name or 'call'}",
                f"`{_code(keyword)}` is left out of `{name}`.",
            )
    if isinstance(place.parent, ast.Raise | ast.Expr):
        return
    if isinstance(node.func, ast.Attribute) and not _is_module(node.func.value):
        yield _replaced(place, node.func.value, _left_out(name, node.func.value))
    elif node.args and not isinstance(node.args[0], ast.Starred | ast.GeneratorExp):
        yield _replaced(place, node.args[0], _left_out(name, node.args[0]))


def _left_out(name: str, operand: ast.expr) -> str:
    return f"`{name}` is left out: `{_code(operand)}` is used as it is."


def _is_module(node: ast.expr) -> bool:
    """Whether a function is taken from somewhere: `np.exp`, `self.q_proj`, but not `scores.max`."""
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
        "self",
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


def _replaced(place: _Place, new: ast.AST, sentence: str) -> _Change:
    words = f"{short(ast.unparse(place.get()))}->{short(ast.unparse(new))}"
    return _Change(place, new, words, sentence)


def _instead(place: _Place, new: ast.AST) -> _Change:
    return _replaced(place, new, f"`{_code(new)}` stands where `{_code(place.get())}` belongs.")


def _code(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


def _in(place: _Place) -> str:
    if isinstance(place.parent, ast.Subscript | ast.BinOp | ast.Compare):
        return f" in `{_code(place.parent)}`"
    if isinstance(place.parent, ast.keyword):
        return f" for `{place.parent.arg}` of `{place.inside}`"
    return f" in `{place.inside}`" if place.inside else ""


def _slips(place: _Place, function: ast.FunctionDef) -> Iterator[_Change]:
    """What people write by mistake and no blind change makes."""
    node = place.get()
    if isinstance(node, ast.Name | ast.Call):
        yield from _one_off(place, node)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        if place.field != "func" and node.id in (names := _variables(function)):
            for other in names:
                if _appended_to(place) == other:
                    continue  # a list within itself: torch, given one, ends the process
                sentence = f"`{other}` stands where `{node.id}` belongs{_in(place)}."
                yield _replaced(place, ast.Name(other, ast.Load()), sentence)
            sentence = f"`{node.id}` is turned round (True and False exchanged){_in(place)}."
            yield _replaced(place, ast.UnaryOp(ast.Invert(), node), sentence)
    elif isinstance(node, ast.Subscript) and _code(node.value).endswith("shape"):
        shape = node.value
        for index in (-1, -2, -3, 0, 1, 2):
            yield _instead(place, ast.Subscript(shape, _constant(index), ast.Load()))
        if isinstance(shape, ast.Attribute) and isinstance(shape.value, ast.Name):
            for name in _variables(function):
                whose = ast.Attribute(ast.Name(name, ast.Load()), "shape", ast.Load())
                yield _instead(place, ast.Subscript(whose, node.slice, ast.Load()))
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        for turned in (
            ast.BinOp(_turned(node.left), node.op, node.right),
            ast.BinOp(node.left, node.op, _turned(node.right)),
        ):
            which = node.left if turned.right is node.right else node.right
            sentence = f"`{_code(which)}` is transposed in the product `{_code(node)}`."
            yield _replaced(place, turned, sentence)
        yield from _curve_moved(place, node)
    elif isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Add):
            product = ast.BinOp(node.left, ast.Mult(), node.right)
            sentence = f"`{_code(node.left)}` and `{_code(node.right)}` are multiplied, not added."
            yield _replaced(place, product, sentence)
        yield from _curve_moved(place, node)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for sign in (ast.Lt(), ast.LtE(), ast.Gt(), ast.GtE(), ast.Eq()):
            yield _instead(place, ast.Compare(node.left, [sign], node.comparators))
    elif isinstance(node, ast.Call):
        yield from _slips_in_call(place, node)
    elif isinstance(node, ast.Attribute) and node.attr == "float64":
        yield _instead(place, ast.Attribute(node.value, "float32", ast.Load()))
    elif isinstance(node, ast.Attribute) and node.attr == "min" and "finfo" in _code(node):
        for number in (0.0, 1e-9, -10.0, -100.0, -1e4, -1e9):
            sentence = f"forbidden scores become a number such as {number:g}, which is not -∞."
            yield _replaced(place, _constant(number), sentence)
    elif isinstance(node, ast.Assign) and isinstance(place.parent, ast.FunctionDef):
        for target in node.targets:
            if isinstance(target, ast.Name):
                sentence = f"`{target.id}` is returned already; the steps after it are missing."
                yield _replaced(place, ast.Return(node.value), sentence)


def _appended_to(place: _Place) -> str:
    """The name of the list to which a place is appended, or empty."""
    call = place.parent
    if isinstance(call, ast.Call) and _called(call) == "append":
        return ast.unparse(call.func).removesuffix(".append")
    return ""


def _curve_moved(place: _Place, node: ast.BinOp) -> Iterator[_Change]:
    """f(x) op y written as f(x op y)."""
    for side, other in ((node.left, node.right), (node.right, node.left)):
        if not _is_curve(side):
            continue
        assert isinstance(side, ast.Call)
        inner = (
            ast.BinOp(side.args[0], node.op, other)
            if side is node.left
            else ast.BinOp(other, node.op, side.args[0])
        )
        new = ast.Call(side.func, [inner, *side.args[1:]], side.keywords)
        sentence = f"`{_called(side)}` is applied after the step with `{_code(other)}`, not before."
        yield _replaced(place, new, sentence)


def _is_curve(node: ast.expr) -> bool:
    """A call of one array: tanh(x), np.exp(x), softmax(x)."""
    if not isinstance(node, ast.Call) or not node.args:
        return False
    is_method = isinstance(node.func, ast.Attribute) and not _is_module(node.func.value)
    return not is_method and _called(node) in ("exp", "tanh", "softmax", "masked_softmax", "sqrt")


def _slips_in_call(place: _Place, node: ast.Call) -> Iterator[_Change]:
    name = _called(node)
    method = isinstance(node.func, ast.Attribute) and not _is_module(node.func.value)
    if _is_curve(node) and isinstance(node.args[0], ast.BinOp):
        inner, rest = node.args[0], node.args[1:]
        left, right = (ast.Call(node.func, [x, *rest], []) for x in (inner.left, inner.right))
        sentence = f"`{name}` is applied to each part of `{_code(inner)}` on its own."
        yield _replaced(place, ast.BinOp(left, inner.op, right), sentence)
        sentence = f"the step with `{_code(inner.right)}` comes after `{name}`, not before."
        yield _replaced(place, ast.BinOp(left, inner.op, inner.right), sentence)
    if name in ("max", "amax", "sum") and node.keywords:
        whole = ast.Call(node.func, [] if method else node.args[:1], [])
        sentence = f"`{name}` is taken over the whole array, not for each row."
        yield _replaced(place, whole, sentence)
    if name == "sum":
        for small in (1e-12, 1e-9, 1e-8, 1e-6, 1.0):
            sentence = f"{small:g} is added to the sum, so that the weights do not sum to 1."
            yield _replaced(place, ast.BinOp(node, ast.Add(), ast.Constant(small)), sentence)
    if name in ("max", "amax") and method:
        assert isinstance(node.func, ast.Attribute)
        size = ast.Call(ast.Name("abs", ast.Load()), [node.func.value], [])
        new = ast.Call(ast.Attribute(size, node.func.attr, ast.Load()), node.args, node.keywords)
        yield _replaced(place, new, "the largest *size* is subtracted, without its sign.")
        new = ast.Call(ast.Attribute(node.func.value, "mean", ast.Load()), node.args, node.keywords)
        yield _replaced(place, new, "the mean stands where the largest belongs.")
    if name in ("long", "int"):
        yield from _rounded_otherwise(place, node)
    if name == "range" and len(node.args) == 1:
        new = ast.Call(node.func, [ast.Constant(1), *node.args], [])
        yield _replaced(place, new, f"the loop over `{_code(node)}` begins one too late.")


def _rounded_otherwise(place: _Place, node: ast.Call) -> Iterator[_Change]:
    """To the nearest whole number or to the next, where what is behind the point is cut off."""
    if isinstance(node.func, ast.Attribute):
        number = node.func.value
        others: dict[str, ast.expr] = {
            how: ast.Call(ast.Attribute(number, how, ast.Load()), [], [])
            for how in ("round", "ceil")
        }
    else:
        number = node.args[0]
        up = ast.BinOp(number, ast.FloorDiv(), _constant(-1))
        others = {
            "round": ast.Call(ast.Name("round", ast.Load()), [number], []),
            "ceil": ast.UnaryOp(ast.USub(), up),
        }
    for how, word in (("round", "to the nearest whole number"), ("ceil", "up")):
        new = copy.deepcopy(node)
        if isinstance(new.func, ast.Attribute):
            new.func.value = others[how]
        else:
            new.args[0] = others[how]
        yield _replaced(place, new, f"`{_code(number)}` is rounded {word}, not down.")


def _one_off(place: _Place, node: ast.expr) -> Iterator[_Change]:
    """A term of a sum or a bound that is one too large or too small."""
    bound = isinstance(place.parent, ast.Call) and place.inside in ("clamp", "min", "max", "range")
    term = isinstance(place.parent, ast.BinOp) and isinstance(place.parent.op, ast.Add | ast.Sub)
    if not ((bound and place.field == "args") or term):
        return
    for operator, word in ((ast.Add(), "large"), (ast.Sub(), "small")):
        new = ast.BinOp(node, operator, ast.Constant(1))
        sentence = f"`{_code(node)}` is one too {word}{_in(place)}."
        yield _replaced(place, new, sentence)


def _turned(node: ast.expr) -> ast.Call:
    axes: list[ast.expr] = [_constant(-1), _constant(-2)]
    return ast.Call(ast.Attribute(node, "swapaxes", ast.Load()), axes, [])


def _variables(function: ast.FunctionDef) -> list[str]:
    """Arguments and names that get a value, in order."""
    arguments = function.args
    names = [a.arg for a in arguments.posonlyargs + arguments.args + arguments.kwonlyargs]
    names = [name for name in names if name != "self"]
    names += [
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    return list(dict.fromkeys(names))
