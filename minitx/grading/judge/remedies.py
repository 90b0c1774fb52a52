"""What to do about an exception, by its kind and its text.

The text of an exception says what broke, seldom what to do. Each pattern below recognises one and
says it in the exercise's letters: which operand has which axes, what is not imported, which name
NumPy has for a method of torch's.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from minitx.grading.calling import Outcome

_IMPORTS = {
    "np": "import numpy as np",
    "numpy": "import numpy",
    "torch": "import torch",
    "math": "import math",
    "F": "from torch.nn import functional as F",
    "nn": "from torch import nn",
    "functional": "from minitx import functional",
    "numpy_core": "from minitx import numpy_core",
    "Mask": "from minitx.masks import Mask",
    "masks": "from minitx import masks",
    "einsum": "from torch import einsum",
    "sqrt": "from math import sqrt",
    "exp": "from math import exp",
    "inf": "from math import inf",
    "softmax": "from minitx.numpy_core import softmax",
}
_TORCH_FOR_NUMPY = {
    "astype": ".to(dtype)",
    "copy": ".clone()",
    "keepdims": "keepdim",
    "axis": "dim",
    "expand_dims": ".unsqueeze(dim)",
    "concatenate": "torch.cat",
    "matmul": "@",
}
_NUMPY_FOR_TORCH = {
    "masked_fill": "np.where(mask, x, value)",
    "softmax": "an exponential and a division (or numpy_core.softmax)",
    "unsqueeze": "x[:, None] or np.expand_dims",
    "squeeze_": "x.squeeze()",
    "permute": "x.transpose(…)",
    "mT": "np.swapaxes(x, -1, -2)",
    "float": "x.astype(float)",
    "double": "x.astype(np.float64)",
    "exp": "np.exp(x)",
    "view": "x.reshape(…)",
    "size": "x.shape[i]",
    "dim": "x.ndim",
    "clone": "x.copy()",
    "to": "x.astype(dtype)",
    "amax": "x.max(axis=…)",
    "tanh": "np.tanh(x)",
    "sqrt": "np.sqrt(x)",
    "t": "x.T",
}


@dataclass(frozen=True)
class Remedy:
    """What an exception means here, and what to do."""

    key: str
    sentence: str
    advice: str


@dataclass(frozen=True)
class Scene:
    """The call in which it was raised."""

    outcome: Outcome
    sizes: Mapping[str, int]
    arguments: Mapping[str, Any]
    function: str = ""

    def letters(self, size: int) -> str:
        """ "7 (T_k)"; only the number where no letter, or several, have that length."""
        fits = [letter for letter, n in self.sizes.items() if n == size]
        return f"{size} ({fits[0]})" if len(fits) == 1 and size != 1 else str(size)

    def shape(self, lengths: tuple[int, ...]) -> str:
        """ "(5, 7) = (T_q, T_k)" where every length has one letter."""
        plain = "(" + ", ".join(map(str, lengths)) + ("," if len(lengths) == 1 else "") + ")"
        names = []
        for size in lengths:
            fits = [letter for letter, n in self.sizes.items() if n == size]
            if len(fits) != 1 or size == 1:
                return plain
            names.append(fits[0])
        return f"{plain} = ({', '.join(names)}{',' if len(names) == 1 else ''})"

    @property
    def nothing(self) -> list[str]:
        """Arguments that are None in this call."""
        return [name for name, value in self.arguments.items() if value is None]


def remedy(scene: Scene) -> Remedy | None:
    """The remedy for the exception of a call, if its text is known."""
    kinds = scene.outcome.error_kinds
    for kind, pattern, make in _KNOWN:
        if kind and kind not in kinds:
            continue
        match = re.search(pattern, scene.outcome.text)
        if match:
            made = make(scene, match)
            if made:
                return Remedy(make.__name__.strip("_"), *made)
    return None


Said = tuple[str, str] | None


def _name(scene: Scene, m: re.Match[str]) -> Said:
    name, reason = m.groups()
    if reason:  # the line that gives it a value is there, and went wrong
        return f"`{name}` got no value: {reason.rstrip('.')}.", "Mend that first."
    if name in _IMPORTS:
        return f"`{name}` is not imported.", f"Add `{_IMPORTS[name]}` to the imports."
    near = difflib.get_close_matches(name, list(scene.arguments), 1, 0.6)
    if near:
        return f"There is no `{name}` here.", f"Did you mean the argument `{near[0]}`?"
    return (
        f"No line before gives `{name}` a value.",
        "Look for a spelling that differs, or for the line that should make it.",
    )


def _unbound(scene: Scene, m: re.Match[str]) -> Said:
    return (
        f"`{m.group(1)}` has no value yet when it is used.",
        "It gets one further down, or only in a branch or loop that was not run in this call.",
    )


def _none(scene: Scene, m: re.Match[str]) -> Said:
    for name in scene.nothing:
        if re.search(rf"\b{re.escape(name)}\b", scene.outcome.where):
            return (
                f"`{name}` is None in this call, which the exercise allows.",
                f"Ask `if {name} is None` first and leave that step out.",
            )
    asked = re.search(r"(\w+)\.get\([\"']([\w.]+)[\"']\)", scene.outcome.where)
    held = scene.arguments.get(asked.group(1)) if asked else None
    if asked and isinstance(held, Mapping) and asked.group(2) not in held:
        return (
            f"`{asked.group(0)}` is None: `{asked.group(1)}` has no `{asked.group(2)}` in this "
            "call, which the exercise allows.",
            f'Ask `if "{asked.group(2)}" in {asked.group(1)}` first and leave that step out.',
        )
    also = "".join(
        f" And `{name}` is None in this call: was it made of that?" for name in scene.nothing
    )
    return (
        "Something is None where a value is needed.",
        "A function without `return` gives None, and so do methods that only change their "
        f"object (x.sort(), list.append).{also}",
    )


def _no_mask(scene: Scene, m: re.Match[str]) -> Said:
    if m.group(1) == "NoneType":
        return (
            "None is given as the mask, and what takes a Mask wants to be told so otherwise.",
            "Leave `mask` out where nothing is forbidden, or give it NO_MASK (minitx.masks).",
        )
    return (
        f"A {m.group(1)} is given as the mask, where a Mask is wanted.",
        "A table of True and False is for functional.masked_softmax. A Mask says what the table "
        "would: Mask(causal=True), masks.padding(lengths, T_k).",
    )


def _axes_lost(scene: Scene, m: re.Match[str]) -> Said:
    wanted, got = ([p for p in shape.split(",") if p.strip()] for shape in m.group(2, 3))
    if len(got) == len(wanted) and m.group(1) == "key_padding":
        columns, keys = got[-1].strip(), wanted[-1].rpartition("=")[2].strip()
        if columns == keys or not keys.isdigit():
            return None
        return (
            f"key_padding has {columns} columns, and there are {keys} keys.",
            "Is it that of the other sequence? It says which of the *keys* are words.",
        )
    if len(got) >= len(wanted):
        return None
    return (
        f"{m.group(1)} has lost axes: ({m.group(3)}) where ({m.group(2)}) is wanted.",
        "An index, x[:, h], takes its axis away; a slice, x[:, h : h + 1], keeps it with length 1. "
        "And repeat_interleave, cat or flatten without their `dim` may make one row of all.",
    )


def _attribute(scene: Scene, m: re.Match[str]) -> Said:
    owner, name = m.group(1), m.group(2)
    if owner in ("numpy.ndarray", "numpy") and name in _NUMPY_FOR_TORCH:
        return f"NumPy has no `{name}`, torch has.", f"Here it is {_NUMPY_FOR_TORCH[name]}."
    if owner in ("Tensor", "torch") and name in _TORCH_FOR_NUMPY:
        return f"torch has no `{name}`, NumPy has.", f"Here it is {_TORCH_FOR_NUMPY[name]}."
    if owner in ("tuple", "list"):
        return (
            f"A {owner} stands where one array is needed: a {owner} has no `{name}`.",
            "Several values were returned or collected: take one of them, or make one array of "
            "them (np.array(…), torch.stack(…)).",
        )
    if owner in ("int", "float"):
        return f"A number stands where an array is needed: a number has no `{name}`.", (
            "An index or .item() left one entry only."
        )
    return f"`{owner}` has no `{name}`.", "Look the name up: a spelling, or another library's name."


def _keyword(scene: Scene, m: re.Match[str]) -> Said:
    name = m.group(1)
    other = {"axis": "dim", "dim": "axis", "keepdims": "keepdim", "keepdim": "keepdims"}.get(name)
    if other:
        return f"`{name}=` is the other library's word.", f"Here it is `{other}=`."
    return f"The function called has no argument `{name}`.", "Look its argument names up."


def _matrix_sizes(scene: Scene, m: re.Match[str]) -> Said:
    a, b, c, d = map(int, m.groups())
    return _product(scene, (a, b), (c, d))


PRODUCTS = ("matrix_sizes", "core")
WHERE_AXES_MEET = (
    "In `a @ b` the last axis of a meets the second-to-last of b: write the shape of both operands "
    "beside the line. Which two are meant to meet?"
)


def _batched_sizes(scene: Scene, m: re.Match[str]) -> Said:
    a, b = int(m.group(1)), int(m.group(2))
    if a == b:  # torch.bmm, whose stacks are of different lengths
        return None
    return (
        f"The matrix product does not fit: one operand has {scene.letters(a)} and the "
        f"other {scene.letters(b)} where the sizes must be equal.",
        "In `a @ b` the last axis of a meets the second-to-last of b: turn the operand whose last "
        "axis should be summed, with transpose(-2, -1).",
    )


def _product(scene: Scene, left: tuple[int, int], right: tuple[int, int]) -> Said:
    text = (
        f"The matrix product does not fit: {scene.shape(left)} @ {scene.shape(right)}; the inner "
        f"sizes are {scene.letters(left[1])} and {scene.letters(right[0])}."
    )
    if left[1] == right[1] > 1:
        advice = "Turn the second operand: its last axis is the one to sum over."
    elif left[0] == right[0] > 1:
        advice = "Turn the first operand: its first axis is the one to sum over."
    elif left[0] == right[1] > 1:
        advice = "The other way round they would fit: do the operands stand in the wrong order?"
    else:
        advice = WHERE_AXES_MEET
    return text, advice


def _core(scene: Scene, m: re.Match[str]) -> Said:
    a, b = int(m.group(1)), int(m.group(2))
    return (
        f"The matrix product does not fit: the inner sizes are {scene.letters(b)} and "
        f"{scene.letters(a)}.",
        "In `a @ b` the last axis of a meets the second-to-last of b (the only one of a vector). "
        "Write both shapes beside the line: turn one operand, or exchange the two.",
    )


def _broadcast(scene: Scene, m: re.Match[str]) -> Said:
    shapes = [
        tuple(int(n) for n in re.findall(r"\d+", part))
        for part in re.findall(r"\(([\d,]*)\)", m.group(0))
    ]
    if len(shapes) < 2:
        return None
    return (
        f"{scene.shape(shapes[0])} and {scene.shape(shapes[1])} do not fit together.",
        "Shapes are compared from the right; lengths must be equal or 1. keepdims=True (keepdim in "
        "torch) or x[:, None] keeps the axis that is missing.",
    )


def _tensor_sizes(scene: Scene, m: re.Match[str]) -> Said:
    a, b, axis = m.groups()
    return (
        f"Two shapes do not fit together: along axis {axis} one has {scene.letters(int(a))}, the "
        f"other {scene.letters(int(b))}.",
        "Shapes are compared from the right; lengths must be equal or 1. keepdim=True or "
        "x[..., None] keeps the axis that is missing; or an operand is turned.",
    )


def _expanded(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "A shape cannot be spread to the other: " + scene.outcome.text.split(".")[0] + ".",
        "Only axes of length 1, and new ones in front, can be spread: put in an axis with "
        "unsqueeze first.",
    )


def _axis_range(scene: Scene, m: re.Match[str]) -> Said:
    return (
        f"There is no axis {m.group(1)}: the array has fewer axes in this call.",
        "Count axes from the end (-1, -2): inputs with fewer or more axes then work as well.",
    )


def _bounds(scene: Scene, m: re.Match[str]) -> Said:
    index, size = int(m.group(1)), int(m.group(m.lastindex or 2))
    return (
        f"Index {index} is out of bounds: that axis has {scene.letters(size)} entries, 0 to "
        f"{size - 1}.",
        "A loop or an index counts further than that axis reaches: the length of which axis "
        "belongs there, and is it the number of a row or a position?",
    )


def _indices(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "There are more indices than axes in this call.",
        "The array has fewer axes than the line expects: x[..., i] counts from the end.",
    )


def _mask_shape(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "A boolean index must have the shape of what it indexes; it is not spread over missing "
        "axes.",
        "masked_fill and torch.where (np.where) broadcast; x[mask] does not.",
    )


def _view(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "`view` cannot read axes that were moved.",
        "Use reshape, or .contiguous() before view: transpose and permute only change how memory "
        "is read.",
    )


def _stacked(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "Arrays of different shapes cannot be stacked into one.",
        "Several results are returned one after the other, `return a, b, c`; parts of one result "
        "must have one shape before they are stacked.",
    )


def _reshape(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "The new shape holds another number of entries than there are: " + scene.outcome.text + ".",
        "Write the shape down before and after: which axis is missing or counted twice?",
    )


def _unpack(scene: Scene, m: re.Match[str]) -> Said:
    cut = re.search(r"(?<!\bself)\.(split|unbind)\(", scene.outcome.where)
    if cut:
        return (
            f"`{cut.group(1)}` gives another number of pieces than is unpacked.",
            "split takes the *width* of a piece, chunk takes the *number* of pieces: chunk(3, …)."
            if cut.group(1) == "split"
            else "unbind gives as many pieces as its axis is long: is it given the right axis?",
        )
    if "shape" in scene.outcome.where or "size" in scene.outcome.where:
        return (
            "The line names another number of axes than the array has in this call.",
            "Take the axes from the end, `T, D = x.shape[-2:]`, so that any leading axes will do.",
        )
    return (
        "Another number of values comes back than is unpacked.",
        "Count the names on the left, and what the right side returns.",
    )


def _dtypes(scene: Scene, m: re.Match[str]) -> Said:
    first, second = (each for each in m.groups() if each)
    return (
        f"Two dtypes meet: {first} and {second}.",
        "Give what you make yourself the dtype of the input: dtype=x.dtype, or x.new_zeros(…).",
    )


def _not_for(scene: Scene, m: re.Match[str]) -> Said:
    return (
        f"This operation is not made for {m.group(1)} numbers.",
        "Make it floating point first: .float() or .to(x.dtype).",
    )


def _bool_arithmetic(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "Arithmetic with a boolean tensor: `-` is not defined there.",
        "`~mask` is the opposite; mask.to(x.dtype) makes numbers 0 and 1 of it.",
    )


def _bool_needed(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "A mask must be boolean here.",
        "A comparison makes one (`x == 0`), or .bool(); `~` turns a boolean one round.",
    )


def _ambiguous(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "An array with many entries stands where one truth value is needed.",
        "`if`, `and`, `or` and `not` want one: use `&`, `|`, `~`, np.where, or .any() and .all().",
    )


def _in_place(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "A tensor that needs a gradient is changed in place.",
        "Make a new one: `x = x + 1`, masked_fill without the underscore, torch.where.",
    )


def _detach(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "A tensor that needs a gradient is turned into a NumPy array.",
        "Stay with tensor operations: NumPy knows no gradients.",
    )


def _too_big(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "A number is beyond the dtype: float16 ends at 65504.",
        "Ask torch.finfo(x.dtype).min in place of a number such as -1e9, or use -inf.",
    )


def _scalar(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "Several numbers stand where one is needed.",
        "A sum or a dot product was left out, or math.exp stands where np.exp / torch.exp belongs "
        "(math knows single numbers only).",
    )


def _integer(scene: Scene, m: re.Match[str]) -> Said:
    return "A fraction stands where a whole number is needed.", (
        "`/` gives a fraction even of whole numbers, 8 / 2 is 4.0: use `//` for sizes and indices."
    )


def _no_gpu(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "A tensor is moved to a GPU, and there is none here.",
        "Take the device from what comes in, `device=x.device`, so that it is right anywhere.",
    )


def _cast(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "Fractions are written into an array of whole numbers.",
        "Do not change the input in place; make a new array of floats.",
    )


def _callable(scene: Scene, m: re.Match[str]) -> Said:
    return (
        f"A {m.group(1)} is called as if it were a function.",
        "Is a name used twice, for a function and for a value? Or round brackets where square "
        "ones belong?",
    )


def _zero(scene: Scene, m: re.Match[str]) -> Said:
    return "A plain number is divided by 0.", (
        "Which call has the 0? Treat it as a case of its own, before the division."
    )


def _einsum(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "The letters of einsum do not fit the operands: " + scene.outcome.text.rstrip(".") + ".",
        "One letter for each axis, the same letter for the same length; `...` stands for any "
        "leading axes.",
    )


def _arguments_missing(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "A function is called with too few or too many arguments: " + scene.outcome.text + ".",
        "Compare the call with the function's first line.",
    )


def _no_transpose(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "`.T` is for two axes only; this tensor has another number of them.",
        "transpose(-2, -1), or `.mT`, turns the last two axes and leaves the others alone.",
    )


def _invalid(scene: Scene, m: re.Match[str]) -> Said:
    return (
        f"`{m.group(1)}` is given arguments of kinds that it does not take.",
        "Is a Python number or list where a tensor belongs, a tensor where a number belongs, or "
        "`axis=`/`keepdims=` where `dim=`/`keepdim=` belongs?",
    )


def _super_init(scene: Scene, m: re.Match[str]) -> Said:
    return (
        "`super().__init__()` is missing: torch has not set the module up yet.",
        "It must be the first line of __init__, before anything is put on self.",
    )


def _not_on_self(scene: Scene, m: re.Match[str]) -> Said:
    owner, name = m.groups()
    if owner != scene.function:
        return None
    return (
        f"The module has no `{name}`: nothing of that name was put on self.",
        f"In __init__, write `self.{name} = …`; a plain `{name} = …` is gone when __init__ ends.",
    )


def _weight_missing(scene: Scene, m: re.Match[str]) -> Said:
    name, own = m.groups()
    module, _, kind = name.rpartition(".")
    named = re.sub(r" and \d+ more$", "", own).split(", ")
    if kind == "bias" and f"{module}.weight" in named:
        return (
            f"`{module}` has a weight and no bias, and `{name}` is to be loaded.",
            "Was it made with bias=False? Leave that out: nn.Linear has a bias unless told "
            "otherwise.",
        )
    if module in named:
        return (
            f"`{module}` is a tensor itself, where a module is wanted that holds `{name}`.",
            f"A parameter made by hand (nn.Parameter) has no weight and bias of its own: "
            f"self.{module} = nn.Linear(…) has both, and is called, self.{module}(x).",
        )
    return (
        f"The weight `{name}` is to be loaded, and your module has none of that name; it has "
        f"{own}.",
        "In __init__, put what holds it on self under the exercise's name: "
        f"self.{name.split('.')[0]} = …",
    )


def _weight_unknown(scene: Scene, m: re.Match[str]) -> Said:
    name = m.group(1)
    sentence = f"Your module has a weight `{name}` that the exercise does not know."
    tables = [n for n in scene.arguments if n.endswith("embedding.weight")]
    if tables and re.match(r"(\w*_)?(out|output|head|logits|generator|proj|linear)\w*\.", name):
        advice = (
            "An output layer has no weights of its own here: it uses the target's table once more, "
            f"`y @ self.{tables[-1]}.T`."
        )
        return sentence, advice
    if tables and re.match(r"\w*pos\w*\.", name):
        return sentence, "The positions are computed here, not learned: `Sinusoidal(d_model)`."
    return sentence, "Leave it out, or give it the name that the exercise gives it."


def _weight_shape(scene: Scene, m: re.Match[str]) -> Said:
    name, own, wanted = m.groups()
    return (
        f"`{name}` has shape {own} in your module, wanted is {wanted}.",
        "nn.Linear(in, out) keeps its weight as (out, in): compare the two widths you gave it.",
    )


def _key(scene: Scene, m: re.Match[str]) -> Said:
    key = m.group(1)
    for name, value in scene.arguments.items():
        asked = re.search(rf"\b{name}(\[|\.pop\()", scene.outcome.where)
        if asked and isinstance(value, Mapping) and key not in value:
            held = ", ".join(map(str, value)) or "nothing"
            return (
                f"`{name}` has no `{key}` in this call, which the exercise allows; it has {held}.",
                f'Ask `if "{key}" in {name}` before you take it.',
            )
    return (
        f"A dictionary is asked for `{key}`, which is not in it.",
        "Ask `in` first, or look for the line that should have put it there.",
    )


def _own_refusal(scene: Scene, m: re.Match[str]) -> Said:
    asserted = "AssertionError" in scene.outcome.error_kinds
    if not re.search(r"\(`assert\b" if asserted else r"\(`raise\b", scene.outcome.where):
        return None
    return (
        "Your own line refuses a call that the exercise allows.",
        "Look at the condition in front of it: for which inputs does it hold?",
    )


def _operands(scene: Scene, m: re.Match[str]) -> Said:
    if "NoneType" in m.group(0):
        return _none(scene, m)
    a, b = m.group(2), m.group(3)
    return (
        f"`{m.group(1)}` is not defined between {a} and {b}.",
        "Make both arrays (or both tensors) first: np.array(…), torch.tensor(…).",
    )


Maker = Callable[[Scene, "re.Match[str]"], Said]
_KNOWN: tuple[tuple[str, str, Maker], ...] = (
    ("", r"", _own_refusal),
    ("KeyError", r"^'([\w.]+)'$", _key),
    ("UnboundLocalError", r"variable '(\w+)'", _unbound),
    ("NameError", r"name '(\w+)' is not defined(?: \((.+)\))?", _name),
    ("AttributeError", r"'NoneType' object", _none),
    ("TypeError", r"'NoneType' object|for unary ~: 'NoneType'|must be Tensor, not NoneType", _none),
    ("RuntimeError", r"infer dtype of NoneType", _none),
    ("TypeError", r"mask must be a Mask.* got (\w+)", _no_mask),
    ("ValueError", r"^(\w+) must have shape \(([^)]*)\), got \(([\d, ]*)\)", _axes_lost),
    ("AttributeError", r"before Module.__init__\(\) call", _super_init),
    ("AttributeError", r"^'(\w+)' object has no attribute '(\w+)'$", _not_on_self),
    ("AttributeError", r"'([\w.]+)' object has no attribute '(\w+)'", _attribute),
    ("ValueError", r" has no `([\w.]+)`; its weights: (.*)", _weight_missing),
    ("ValueError", r" has `([\w.]+)`, for which there is no weight", _weight_unknown),
    ("ValueError", r" has `([\w.]+)` of shape (\(.*?\)); wanted (\(.*?\))", _weight_shape),
    ("AttributeError", r"module '([\w.]+)' has no attribute '(\w+)'", _attribute),
    ("TypeError", r"unexpected keyword argument '(\w+)'", _keyword),
    ("", r"unsupported operand type\(s\) for (\S+): '([\w.]+)' and '([\w.]+)'", _operands),
    ("", r"mat1 and mat2 shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)",
     _matrix_sizes),
    ("", r"batch2 tensor to be: \[\d+, (\d+)\] but got: \[\d+, (\d+)\]", _batched_sizes),
    ("", r"size mismatch, got input .*, mat \(\d+x(\d+)\), vec \((\d+)\)", _batched_sizes),
    ("", r"inconsistent tensor size, expected tensor \[(\d+)\] and src \[(\d+)\]",
     _batched_sizes),
    ("", r"\(size (\d+) is different from (\d+)\)", _core),
    ("", r"shapes .* not aligned: (\d+) \(dim \d\) != (\d+)", _core),
    ("", r"could not (?:be )?broadcast.*", _broadcast),
    ("", r"The size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\) at "
     r"non-singleton dimension (\d+)", _tensor_sizes),
    ("", r"The expanded size of the tensor", _expanded),
    ("", r"(?:Dimension out of range .* but got |axis (?=-?\d+ is out))(-?\d+)", _axis_range),
    ("IndexError", r"index (-?\d+) is out of bounds for (?:axis|dimension) \d+ with size (\d+)",
     _bounds),
    ("IndexError", r"too many indices", _indices),
    ("IndexError", r"shape of the mask|boolean index did not match", _mask_shape),
    ("", r"stack expects each tensor to be equal size|all input arrays must have the same shape|"
     r"inhomogeneous shape", _stacked),
    ("", r"view size is not compatible", _view),
    ("", r"is invalid for input of size|cannot reshape array", _reshape),
    ("ValueError", r"values to unpack", _unpack),
    ("", r"same dtype, but got: (\w+) != (\w+)|expected scalar type (\w+) but found (\w+)",
     _dtypes),
    ("", r"not implemented for '(\w+)'", _not_for),
    ("", r"with a bool tensor is not supported|numpy boolean subtract", _bool_arithmetic),
    ("", r"only supports boolean masks|only implemented on integer and Bool|"
     r"expected mask dtype to be Bool|bitwise_not|"
     r"expected condition to be a boolean", _bool_needed),
    ("", r"truth value of an array|Boolean value of Tensor", _ambiguous),
    ("", r"leaf [Vv]ariable that requires grad|modified by an inplace", _in_place),
    ("", r"call numpy\(\) on Tensor that requires grad", _detach),
    ("", r"cannot be converted to type .* without overflow", _too_big),
    ("", r"only (?:0-dimensional|length-1|size-1|one element|integer scalar)|"
     r"a Tensor with \d+ elements cannot be converted|must be real number, not", _scalar),
    ("TypeError", r"cannot be interpreted as an integer|indices must be integers|"
     r"only integers, slices|but got float|must be (?:tuple of ints|int), not float", _integer),
    ("", r"not compiled with CUDA|NVIDIA driver|No CUDA GPUs", _no_gpu),
    ("", r"Cannot cast ufunc|can't be cast to", _cast),
    ("TypeError", r"'([\w.]+)' object is not callable", _callable),
    ("ZeroDivisionError", r"", _zero),
    ("", r"einsum|subscripts", _einsum),
    ("TypeError", r"required positional argument|positional arguments? but", _arguments_missing),
    ("", r"\.T on a tensor|`tensor\.T`|t\(\) expects a tensor with <= 2", _no_transpose),
    ("TypeError", r"^(\w+)\(\)(?::| received an invalid)", _invalid),
)  # fmt: skip
