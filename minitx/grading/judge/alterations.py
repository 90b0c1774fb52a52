"""The worked answer, asked about changed inputs: whose result is the submission's?

If yours equals the right result for `allowed` turned round, or for `q` made √D times as large,
then that is what your code does to it.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minitx.grading import values
from minitx.grading.judge.notation import Notation
from minitx.grading.judge.probes import like

Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Alteration:
    """A change of a call's arguments, with the sentence for who makes it without meaning to."""

    key: tuple[Any, ...]
    sentence: str
    advice: str
    change: Callable[[Arguments], dict[str, Any] | None]
    back: Callable[[Any], Any] = lambda result: result  # what is done to the result's numbers


def alterations(
    arguments: Arguments, notation: Notation, defaults: Arguments | None = None
) -> Iterator[Alteration]:
    """Every alteration that fits arguments of these kinds, the simplest first.

    Args:
        arguments: one call's, by name, with the defaults of those that it left out.
        notation: the letters of their axes.
        defaults: of the parameters that have one.
    """
    tensors = [name for name, x in arguments.items() if _ndim(x)]
    for one, other in itertools.combinations(arguments, 2):
        if _exchangeable(one, other, arguments):
            yield Alteration(
                ("exchanged", one, other),
                f"It equals the right result with `{one}` and `{other}` exchanged.",
                "Look where each of the two is used, and at the order in which they are passed on.",
                partial(_taken_from, {one: other, other: one}),
            )
    for name, other in itertools.permutations(arguments, 2):
        if _exchangeable(name, other, arguments):
            yield Alteration(
                ("in place of", name, other),
                f"It equals the right result with `{other}` used in place of `{name}`.",
                f"`{name}` has no effect: find the place where it belongs.",
                partial(_taken_from, {name: other}),
            )
    for name in tensors:
        kind = _kind(arguments[name])
        if "b" in kind:
            yield from _of_a_mask(name)
        elif "f" in kind:
            yield from _of_numbers(name, notation)
        elif "i" in kind:
            yield from _of_whole_numbers(name)
        yield from _of_places(name, notation)
    for name, x in arguments.items():
        if isinstance(x, bool):
            yield from _of_a_switch(name)
        elif isinstance(x, int | float):
            yield from _of_one_number(name)
    for name, default in (defaults or {}).items():
        if isinstance(default, bool):  # one of the two to which a switch is set
            continue
        yield Alteration(
            ("default", name),
            f"It equals the right result for {name}={default!r}, whatever is given.",
            f"`{name}` has no effect: use the argument, not its usual value.",
            partial(_set, name, default),
        )
    for letter in sorted(notation_letters(notation)):
        yield from _of_length(letter, notation)
    yield from _of_groups(arguments, notation)
    yield from _of_axes(notation)


def _exchangeable(one: str, other: str, arguments: Arguments) -> bool:
    """Whether one may stand for the other; a module's weight fits in the place of its own shape."""
    x, y = arguments[one], arguments[other]
    if "." in one + other and getattr(x, "shape", ()) != getattr(y, "shape", ()):
        return False
    return _kind(x) == _kind(y)


def notation_letters(notation: Notation) -> set[str]:
    return {letter for axes in notation.arguments.values() for letter in axes}


def _ndim(value: Any) -> int:
    return len(getattr(value, "shape", ()))


def _kind(value: Any) -> str:
    if _ndim(value):
        return f"{values.dtype_kind(value)} array"
    return type(value).__name__ if isinstance(value, int | float) else "other"


def _numpy(change: Callable[[Any], Any], name: str) -> Callable[[Arguments], dict[str, Any] | None]:
    """A change of one argument's numbers."""

    def apply(arguments: Arguments) -> dict[str, Any] | None:
        value = arguments.get(name)
        if not _ndim(value):
            return None
        with np.errstate(all="ignore"):
            made = change(values.to_numpy(value))
        return None if made is None else {**arguments, name: like(value, made)}

    return apply


def _taken_from(sources: Mapping[str, str], arguments: Arguments) -> dict[str, Any] | None:
    """Each of these arguments with another one's value; None in a call that lacks one of them."""
    if not arguments.keys() >= {*sources, *sources.values()}:
        return None  # a module with fewer layers has fewer weights
    return {**arguments, **{name: arguments[other] for name, other in sources.items()}}


def _flipped(axis: int, x: Any) -> Any:
    return np.flip(x, axis) if x.ndim >= -axis else None


def _rolled(axis: int, step: int, x: Any) -> Any:
    return np.roll(x, step, axis) if x.ndim >= -axis else None


def _of_a_mask(name: str) -> Iterator[Alteration]:
    yield Alteration(
        ("turned round", name),
        f"It equals the right result for `{name}` turned round: what is forbidden is used and what "
        "is allowed is not.",
        "True means may attend: put `~` in, or take it off.",
        _numpy(lambda x: ~x, name),
    )
    yield Alteration(
        ("ignored", name),
        f"It equals the right result with everything allowed: `{name}` has no effect.",
        "masked_fill and the like return a new tensor: is the result used? Does the mask come in "
        "before the softmax?",
        _numpy(lambda x: np.ones_like(x), name),
    )


def _of_numbers(name: str, notation: Notation) -> Iterator[Alteration]:
    for letter in sorted(notation_letters(notation)):
        for word, factor, advice in [
            (f"√{letter} times as large", math.sqrt, f"A division by √{letter} is missing."),
            (
                f"{letter} times as large",
                float,
                f"√{letter} is multiplied in where it should divide, or a division by {letter} is "
                "missing.",
            ),
            (
                f"divided by √{letter}",
                lambda n: 1 / math.sqrt(n),
                f"√{letter} is divided by once too often, or in place of another length.",
            ),
            (
                f"divided by {letter}",
                lambda n: 1 / n,
                f"{letter} is divided by once too often, or in place of its root.",
            ),
        ]:
            yield Alteration(
                ("scaled", word),
                f"It equals the right result for `{name}` {word}.",
                advice,
                _scaled(name, notation, {letter: factor}),
            )
    for one, other in itertools.permutations(sorted(notation_letters(notation)), 2):
        yield Alteration(
            ("scaled by another", one, other),
            f"It equals the right result with √{other} for the scale in place of √{one}.",
            f"The scale takes the length of an axis: the one of {one}.",
            _scaled(name, notation, {one: math.sqrt, other: lambda n: 1 / math.sqrt(n)}),
        )
    changes: list[tuple[str, str, str, Callable[[Any], Any]]] = [
        ("negated", "with its sign turned", "A minus sign too many, or a sum that should be a "
         "difference.", lambda x: -x),
        ("doubled", "doubled", "Something is counted, or scaled, twice.", lambda x: 2 * x),
        ("halved", "halved", "A factor 1/2 is too many.", lambda x: x / 2),
        ("base 2", "times ln 2", "Powers of 2 stand where powers of e are wanted.",
         lambda x: x * math.log(2)),
        ("base e", "times log₂ e", "Powers of e stand where powers of 2 are wanted.",
         lambda x: x / math.log(2)),
        ("absolute", "without its signs", "Take abs out.", np.abs),
        ("positive", "with negative numbers cut off", "Take ReLU, clamp or maximum out.",
         lambda x: np.maximum(x, 0)),
        ("squared", "squared", "It is multiplied in twice.", np.square),
        ("unit rows", "with rows of length 1", "Do not normalise: the dot product itself is "
         "wanted, long vectors count more.", _unit_rows),
        ("zero", "set to 0", f"`{name}` has no effect: find the place where it belongs.",
         np.zeros_like),
        ("softmaxed", "after a softmax", "A softmax too many at the beginning.", _softmax_rows),
        ("centred", "less the mean of each row", "Do not centre.",
         lambda x: x - x.mean(-1, keepdims=True)),
    ]  # fmt: skip
    for key, words, advice, change in changes:
        yield Alteration(
            (key, name),
            f"It equals the right result for `{name}` {words}.",
            advice,
            _numpy(change, name),
        )


def _of_whole_numbers(name: str) -> Iterator[Alteration]:
    changes: list[tuple[str, str, str, Callable[[Any], Any]]] = [
        ("one more", f"{name} + 1", "Counting begins at 0.", lambda x: x + 1),
        ("one less", f"{name} − 1", "Off by one: counting begins at 0.", lambda x: x - 1),
        ("negated", f"−{name}", "A minus sign too many, or a difference the wrong way round.",
         lambda x: -x),
        ("absolute", f"|{name}|", "Take abs out.", np.abs),
        ("doubled", f"2·{name}", "Something is counted twice.", lambda x: 2 * x),
        ("from the first", f"{name} less its first entry", f"Use `{name}` as it is given: it need "
         "not begin at 0.", lambda x: x - x[..., :1]),
        ("row numbers", f"0, 1, 2 … in place of `{name}`", f"Use `{name}` as it is given.",
         lambda x: np.broadcast_to(np.arange(x.shape[-1]), x.shape)),
    ]  # fmt: skip
    for key, words, advice, change in changes:
        yield Alteration(
            ("whole", key, name),
            f"It equals the right result for {words}.",
            advice,
            _numpy(change, name),
        )


def _of_a_switch(name: str) -> Iterator[Alteration]:
    def turned(arguments: Arguments) -> dict[str, Any]:
        return {**arguments, name: not arguments[name]}

    yield Alteration(
        ("switch", "turned round", name),
        f"It equals the right result for the opposite of `{name}`.",
        f"The two cases of `{name}` stand in each other's place.",
        turned,
    )
    for value in (True, False):
        yield Alteration(
            ("switch", value, name),
            f"It equals the right result for {name}={value}, whatever is given.",
            f"`{name}` has no effect: ask for it.",
            partial(_set, name, value),
        )


def _set(name: str, value: Any, arguments: Arguments) -> dict[str, Any] | None:
    """The arguments with one at this value, if it is at another."""
    return None if arguments.get(name) == value else {**arguments, name: value}


def _scaled(
    name: str, notation: Notation, factors: Mapping[str, Callable[[int], float]]
) -> Callable[[Arguments], dict[str, Any] | None]:
    def apply(arguments: Arguments) -> dict[str, Any] | None:
        value, sizes = arguments.get(name), notation.sizes(arguments)
        if not _ndim(value) or any(sizes.get(letter, 0) < 1 for letter in factors):
            return None
        factor = math.prod(make(sizes[letter]) for letter, make in factors.items())
        return {**arguments, name: like(value, values.to_numpy(value) * factor)}

    return apply


def _unit_rows(x: Any) -> Any:
    return x / np.sqrt((x * x).sum(-1, keepdims=True))


def _softmax_rows(x: Any) -> Any:
    exponentials = np.exp(x - x.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def _of_places(name: str, notation: Notation) -> Iterator[Alteration]:
    yield Alteration(
        ("transposed", name),
        f"It equals the right result for `{name}` transposed.",
        "Take a transpose out, or put one in: which axis is to be summed over?",
        _numpy(lambda x: np.swapaxes(x, -1, -2) if x.ndim > 1 else None, name),
    )
    yield Alteration(
        ("first for all", name),
        f"It equals the right result with the first slice of `{name}` used for all.",
        "An index such as [0], or a loop variable that is not used.",
        _numpy(lambda x: np.broadcast_to(x[:1], x.shape) if x.ndim > 1 else None, name),
    )
    for axis in (-1, -2, -3):
        letters = notation.arguments.get(name, ())
        word = letters[axis] if len(letters) >= -axis else f"axis {axis}"
        yield Alteration(
            ("reversed", name, axis),
            f"It equals the right result for `{name}` back to front along {word}.",
            "Something counts from the end.",
            _numpy(partial(_flipped, axis), name),
        )
        for step in (1, -1):
            yield Alteration(
                ("rolled", name, axis, step),
                f"It equals the right result for `{name}` shifted by one along {word}.",
                "Off by one: does the first entry stand at place 0?",
                _numpy(partial(_rolled, axis, step), name),
            )
    letters = notation.arguments.get(name, ())
    if letters and notation.results and notation.results[0] == letters:
        for words, back in [
            ("taken as two halves, and two numbers side by side belong together", lambda x: x),
            ("paired half with half, not neighbour with neighbour", _halves_of_neighbours),
        ]:
            yield Alteration(
                ("halves", name, back is _halves_of_neighbours),
                f"It equals the right result for the last axis of `{name}` {words}.",
                "0::2 and 1::2 take neighbours; chunk, or [: n // 2], takes halves: which two "
                "numbers are a pair here, and where do they go back?",
                _numpy(_neighbours_of_halves, name),
                back,
            )
    for axes in ((-1, -2, -3), (-3, -1, -2)):
        yield Alteration(
            ("read anew", name, axes),
            f"It equals the right result for `{name}` read off in another order: a view or reshape "
            "stands where axes must be moved.",
            "`view` and `reshape` move no axis: use transpose or permute first.",
            _numpy(_read_anew(axes), name),
        )


def _neighbours_of_halves(x: Any) -> Any:
    """0, n/2, 1, n/2 + 1 …: entry i of the first half beside entry i of the second."""
    n = x.shape[-1]
    return None if n % 2 else x[..., np.arange(n).reshape(2, -1).T.ravel()]


def _halves_of_neighbours(x: Any) -> Any:
    """The way back."""
    n = x.shape[-1]
    return x if n % 2 else x[..., np.arange(n).reshape(-1, 2).T.ravel()]


def _read_anew(axes: tuple[int, ...]) -> Callable[[Any], Any]:
    def apply(x: Any) -> Any:
        if x.ndim < 3:
            return None
        order = [*range(x.ndim - 3), *(x.ndim + axis for axis in axes)]
        return np.transpose(x, order).reshape(x.shape)

    return apply


def _of_one_number(name: str) -> Iterator[Alteration]:
    changes: list[tuple[str, str, Callable[[Any], Any]]] = [
        ("one more", f"{name} + 1", lambda x: x + 1),
        ("one less", f"{name} − 1", lambda x: x - 1),
        ("upside down", f"1/{name}", lambda x: 1 / x if x and isinstance(x, float) else None),
        ("its square", f"{name}²", lambda x: x * x if isinstance(x, float) else None),
        (
            "its root",
            f"√{name}",
            lambda x: math.sqrt(x) if isinstance(x, float) and x > 0 else None,
        ),
        ("its size", f"|{name}|", abs),
        ("a tenth", f"{name}/10", lambda x: x / 10 if isinstance(x, float) else None),
        ("tenfold", f"10·{name}", lambda x: x * 10 if isinstance(x, float) else None),
        # 0 and what is negative are cases of their own, and may be treated rightly.
        ("left out", f"{name} = 1", lambda x: type(x)(1) if x > 0 else None),
        ("at least 1", f"max({name}, 1)", lambda x: max(x, type(x)(1)) if x > 0 else None),
        ("at most 1", f"min({name}, 1)", lambda x: min(x, type(x)(1)) if x > 0 else None),
        ("nothing", f"{name} = 0", lambda x: type(x)(0)),
    ]
    for digits in (6, 7, 8, 9, 10, 12):
        words = f"{name} + 1e-{digits}"
        changes.append((f"+ 1e-{digits}", words, partial(_plus_a_little, 10.0**-digits)))
    for key, words, change in changes:
        yield Alteration(
            ("number", key, name),
            f"It equals the right result for {words} in place of `{name}`.",
            f"Look where `{name}` enters.",
            partial(_numbered, name, change),
        )


def _plus_a_little(little: float, x: Any) -> Any:
    return x + little if isinstance(x, float) else None


def _numbered(name: str, change: Callable[[Any], Any], a: Arguments) -> dict[str, Any] | None:
    if not isinstance(a.get(name), int | float):
        return None
    made = change(a[name])
    return None if made is None else {**a, name: made}


def _of_length(letter: str, notation: Notation) -> Iterator[Alteration]:
    for word, cut in [("last", slice(None, -1)), ("first", slice(1, None))]:
        yield Alteration(
            ("without", word, letter),
            f"It equals the right result without the {word} entry along {letter}.",
            "A loop or a slice ends, or begins, one too early or too late.",
            partial(cut_axis, letter, notation, cut),
        )


def cut_axis(
    letter: str, notation: Notation, part: slice, arguments: Arguments
) -> dict[str, Any] | None:
    """All arguments with that part of the axis only; None where nothing can be cut."""
    size = notation.sizes(arguments).get(letter, 0)
    if size < 2:
        return None
    made = dict(arguments)
    for name, value in arguments.items():
        if _ndim(value):
            letters = notation.arguments.get(name, ())
            index: list[slice] = [slice(None)] * _ndim(value)
            for place, each in enumerate(reversed(letters), start=1):
                if each == letter and place <= len(index) and value.shape[-place] == size:
                    index[-place] = part
            if any(each != slice(None) for each in index):
                made[name] = like(value, values.to_numpy(value)[tuple(index)])
        elif name == letter:
            made[name] = len(range(size)[part])
    return made


def _of_groups(arguments: Arguments, notation: Notation) -> Iterator[Alteration]:
    """The same change made to two arguments that are multiplied with one another."""
    floats = [name for name, x in arguments.items() if _kind(x) == "f array"]
    for one, other in itertools.combinations(floats, 2):
        last = [notation.arguments.get(name, ("",))[-1:] for name in (one, other)]
        if last[0] != last[1]:
            continue
        changes: list[tuple[str, str, str, Callable[[Any], Any]]] = [
            ("unit rows", "with rows of length 1 (their product is a cosine)", "Do not normalise: "
             "the dot product itself is wanted, long vectors count more.", _unit_rows),
            ("softmaxed", "after a softmax of their own", "Softmax belongs to the scores only.",
             _softmax_rows),
            ("exponentials", "exponentiated", "The exponential belongs to the scores only.",
             np.exp),
            ("absolute", "without their signs", "Take abs out.", np.abs),
            ("positive", "with negative numbers cut off", "Take ReLU or clamp out.",
             lambda x: np.maximum(x, 0)),
        ]  # fmt: skip
        for key, words, advice, change in changes:
            yield Alteration(
                (key, one, other),
                f"It equals the right result for `{one}` and `{other}` {words}.",
                advice,
                _both(one, other, change),
            )


def _both(
    one: str, other: str, change: Callable[[Any], Any]
) -> Callable[[Arguments], dict[str, Any] | None]:
    def apply(arguments: Arguments) -> dict[str, Any] | None:
        first = _numpy(change, one)(arguments)
        return None if first is None else _numpy(change, other)(first)

    return apply


def _of_axes(notation: Notation) -> Iterator[Alteration]:
    """Two axes in each other's place, in all inputs: heads that attend to heads."""
    result = notation.results[0] if notation.results else ()
    for one, other in itertools.combinations(sorted(notation_letters(notation)), 2):
        if not any(one in axes and other in axes for axes in notation.arguments.values()):
            continue
        for moved, words, advice in [
            (
                True,
                f"It equals the result with the axes {one} and {other} exchanged in all inputs: "
                f"what should happen along {one} happens along {other}.",
                "A product, or a softmax, works on the axes that stand last: move the right ones "
                "there (transpose) first.",
            ),
            (
                False,
                f"It equals the result when {one} and {other} are brought into each other's place "
                "by view or reshape, which moves no number.",
                "`view` and `reshape` only rename the places in memory: use transpose.",
            ),
        ]:
            change = _exchanged(one, other, notation, moved)
            backs: list[tuple[str, Callable[[Any], Any]]] = [("as it is", lambda x: x)]
            if one in result and other in result:
                at = [result.index(letter) - len(result) for letter in (one, other)]
                backs += [
                    ("moved", partial(_axes_swapped, one=at[0], other=at[1])),
                    ("renamed", partial(_swapped_and_renamed, one=at[0], other=at[1])),
                ]
            for word, back in backs:
                yield Alteration(
                    ("axes exchanged", one, other, moved, word), words, advice, change, back
                )
    for letter in sorted(notation_letters(notation)):
        yield Alteration(
            ("joined", letter),
            f"It equals the result with {letter} joined to the axis behind it: one long axis in "
            f"place of {letter} separate ones.",
            f"Keep the axis {letter}: what belongs to one of its places must not meet another's.",
            _joined(letter, notation),
            lambda x: x,
        )


def _axes_swapped(x: Any, one: int, other: int) -> Any:
    return x if max(-one, -other) > x.ndim else np.swapaxes(x, one, other)


def _swapped_and_renamed(x: Any, one: int, other: int) -> Any:
    return _axes_swapped(x, one, other).reshape(x.shape)


def _axes_renamed(x: Any, one: int, other: int) -> Any:
    """Reshaped as if the axes were swapped, and then swapped back: the shape stays."""
    return np.swapaxes(x.reshape(np.swapaxes(x, one, other).shape), one, other)


def _exchanged(
    one: str, other: str, notation: Notation, moved: bool
) -> Callable[[Arguments], dict[str, Any] | None]:
    def apply(arguments: Arguments) -> dict[str, Any] | None:
        made = dict(arguments)
        touched = False
        for name, value in arguments.items():
            letters = notation.arguments.get(name, ())
            if one in letters and other in letters and _ndim(value) >= len(letters):
                places = [letters.index(x) - len(letters) for x in (one, other)]
                numbers = values.to_numpy(value)
                change = _axes_swapped if moved else _axes_renamed
                made[name] = like(value, change(numbers, *places))
                touched = True
        return made if touched else None

    return apply


def _joined(letter: str, notation: Notation) -> Callable[[Arguments], dict[str, Any] | None]:
    def apply(arguments: Arguments) -> dict[str, Any] | None:
        made = dict(arguments)
        touched = False
        for name, value in arguments.items():
            letters = notation.arguments.get(name, ())
            if letter not in letters[:-1] or _ndim(value) < len(letters):
                continue
            if values.dtype_kind(value) == "b":
                return None
            place = letters.index(letter) - len(letters)
            shape = list(value.shape)
            shape[place + 1] *= shape[place]
            shape[place] = 1
            made[name] = like(value, values.to_numpy(value).reshape(shape))
            touched = True
        return made if touched else None

    return apply
