"""What is written in place of a softmax or of scores, by mistake, with the sentence that names it.

A softmax, with a mask or without, stands in nearly every exercise of the course. Each function
here takes what the right one takes, scores and perhaps a mask, in NumPy or torch, and does one
thing wrong. `banks` puts them into the worked answers in the softmax's place.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minitx.grading import values

Function = Callable[..., Any]
SOFTMAXES = ("softmax", "masked_softmax")


@dataclass(frozen=True)
class StandIn:
    """`sentence` completes "Your output equals what you get when"."""

    name: str
    sentence: str
    advice: str
    function: Function


def stand_ins(name: str) -> Iterator[StandIn]:
    """Whatever may stand in the place of a function of that name."""
    if name in SOFTMAXES:
        yield from _WEIGHTS
    if name == "masked_softmax":
        yield from _MASKS
    if name == "tanh":
        yield from _CURVES
    if name == "attention_scores":
        yield from _SCORES


def _max(x: Any, axis: int) -> Any:
    return x.amax(axis, keepdim=True) if values.is_tensor(x) else x.max(axis, keepdims=True)


def _sum(x: Any, axis: int = -1) -> Any:
    return x.sum(axis, keepdim=True) if values.is_tensor(x) else x.sum(axis, keepdims=True)


def _exp(x: Any) -> Any:
    return x.exp() if values.is_tensor(x) else np.exp(x)


def _where(mask: Any, x: Any, other: float) -> Any:
    return x.masked_fill(~mask, other) if values.is_tensor(x) else np.where(mask, x, other)


def _softmax(x: Any, axis: int = -1) -> Any:
    exponentials = _exp(x - _max(x, axis))
    return exponentials / _sum(exponentials, axis)


def _masked(x: Any, allowed: Any, softmax: Callable[[Any], Any]) -> Any:
    """Another softmax over the allowed keys only, zeros elsewhere."""
    if allowed is None:
        return softmax(x)
    weights = softmax(_where(allowed, x, -1e30 if _is_wide(x) else -3e4))
    return _where(allowed, weights, 0.0)


def _is_wide(x: Any) -> bool:
    return values.dtype_name(x) not in ("float16",)


def _on_softmax(change: Callable[[Any], Any]) -> Function:
    """A stand-in with the mask handled rightly."""

    def stand_in(scores: Any, allowed: Any = None) -> Any:
        return _masked(scores, allowed, change)

    return stand_in


def _without(scores: Any, allowed: Any, change: Callable[[Any], Any]) -> Any:
    made = change(scores)
    return made if allowed is None else _where(allowed, made, 0.0)


def _on_scores(change: Callable[[Any], Any]) -> Function:
    """Weights made without exponentials: the forbidden ones are 0."""
    return lambda scores, allowed=None: _without(scores, allowed, change)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + _exp(-x))


def _one_hot(x: Any) -> Any:
    best = x == _max(x, -1)
    return best.to(x.dtype) / _sum(best) if values.is_tensor(x) else best / _sum(best)


def _everything(x: Any) -> Any:
    exponentials = _exp(x - x.max())
    return exponentials / exponentials.sum()


def _standardised(x: Any) -> Any:
    centred = x - _sum(x) / x.shape[-1]
    return _softmax(centred / (_sum(centred * centred) / x.shape[-1]) ** 0.5)


def _share_above_least(x: Any) -> Any:
    above = x - (x.amin(-1, keepdim=True) if values.is_tensor(x) else x.min(-1, keepdims=True))
    return above / _sum(above)


def _averaged(x: Any) -> Any:
    """One table of weights for all that stands along the axis in front of queries and keys."""
    weights = _softmax(x)
    return weights if x.ndim < 3 else weights * 0 + _sum(weights, -3) / x.shape[-3]


def _global_max(x: Any) -> Any:
    exponentials = _exp(x - x.max())
    return exponentials / _sum(exponentials)


def _largest_size(x: Any) -> Any:
    exponentials = _exp(x - _max(abs(x), -1))
    return exponentials / _sum(exponentials)


def _no_max(x: Any) -> Any:
    exponentials = _exp(x)
    return exponentials / _sum(exponentials)


def _causal(x: Any, shift: int, aligned: bool) -> Any:
    rows, columns = x.shape[-2:]
    ahead = columns - rows if aligned else 0
    table = np.arange(columns) <= np.arange(rows)[:, None] + ahead + shift
    mask = x.new_tensor(table.tolist()).bool() if values.is_tensor(x) else table
    return _where(mask, _softmax(_where(mask, x, -1e30)), 0.0)


def _axis(axis: int) -> Callable[[Any], Any]:
    return lambda x: _softmax(x, axis)


_LAST = "The keys lie along the last axis: softmax over dim=-1 (axis=-1 in NumPy)."
_PLAIN = "Exponentiate, then divide by the sum of the exponentials."
_WEIGHTS = (
    StandIn(
        "over_queries",
        "the softmax runs over the queries: the columns of the weights sum to 1, not the rows.",
        _LAST,
        _on_softmax(_axis(-2)),
    ),
    StandIn(
        "over_heads", "the softmax runs over the heads.", _LAST, _on_softmax(_axis(-3))
    ),
    StandIn("over_first", "the softmax runs over the first axis.", _LAST, _on_softmax(_axis(0))),
    StandIn(
        "over_axis_one", "the softmax runs over axis 1, whatever the number of axes.", _LAST,
        _on_softmax(_axis(1)),
    ),
    StandIn(
        "over_everything",
        "all weights together sum to 1: the softmax runs over the whole array.",
        _LAST,
        _on_softmax(_everything),
    ),
    StandIn(
        "scores",
        "the scores themselves are the weights: there is no softmax.",
        _PLAIN,
        _on_scores(lambda x: x),
    ),
    StandIn(
        "divided_scores",
        "the scores are divided by their sum, without an exponential.",
        _PLAIN,
        _on_scores(lambda x: x / _sum(x)),
    ),
    StandIn(
        "share_above_least",
        "each weight is the score less the smallest one, divided by the sum of these, without an "
        "exponential.",
        _PLAIN,
        _on_scores(_share_above_least),
    ),
    StandIn(
        "averaged",
        "the weights are averaged over the axis in front of queries and keys (the heads, or the "
        "sentences of the batch).",
        "Each of them weighs for itself: leave the mean out.",
        _on_softmax(_averaged),
    ),
    StandIn(
        "exponentials",
        "the exponentials are not divided by their sum.",
        _PLAIN,
        _on_scores(_exp),
    ),
    StandIn(
        "safe_exponentials",
        "exp of score minus largest is not divided by its sum.",
        _PLAIN,
        _on_softmax(lambda x: _exp(x - _max(x, -1))),
    ),
    StandIn(
        "sigmoids",
        "each weight is a sigmoid of its score, on its own.",
        "Weights must share: " + _PLAIN,
        _on_scores(_sigmoid),
    ),
    StandIn(
        "largest",
        "only the largest score gets a weight (argmax).",
        "A softmax is soft: every key gets its share.",
        _on_softmax(_one_hot),
    ),
    StandIn(
        "ones",
        "every key gets the weight 1: values are added up.",
        _PLAIN,
        _on_scores(lambda x: x * 0 + 1),
    ),
    StandIn(
        "equal",
        "every key gets the same weight.",
        "The scores have no effect: are they all equal, or is the softmax taken over an axis of "
        "length 1?",
        _on_softmax(lambda x: _softmax(x * 0)),
    ),
    StandIn(
        "twice", "softmax is applied twice.", "Once is enough: take one of the two out.",
        _on_softmax(lambda x: _softmax(_softmax(x))),
    ),
    StandIn(
        "log", "the logarithms of the weights are used.", "softmax, not log_softmax.",
        _on_scores(lambda x: x - _max(x, -1) - _log(_sum(_exp(x - _max(x, -1))))),
    ),
    StandIn(
        "base_two", "powers of 2 stand where powers of e belong.", "exp, not exp2.",
        _on_softmax(lambda x: _softmax(x * 0.6931471805599453)),
    ),
    StandIn(
        "negative",
        "the sign of the scores is turned, so that the lowest score gets the largest weight.",
        "Look for the minus sign in the exponent.",
        _on_softmax(lambda x: _softmax(-x)),
    ),
    StandIn(
        "absolute", "the absolute values of the scores are used.", "Take abs out.",
        _on_softmax(lambda x: _softmax(abs(x))),
    ),
    StandIn(
        "positive", "negative scores are cut off (ReLU or clamp).", "Take it out.",
        _on_softmax(lambda x: _softmax(x * (x > 0))),
    ),
    StandIn(
        "squared", "the scores are squared first.", "Use them as they are.",
        _on_softmax(lambda x: _softmax(x * x)),
    ),
    StandIn(
        "standardised",
        "the scores are standardised (mean 0, deviation 1) before the softmax.",
        "Use them as they are.",
        _on_softmax(_standardised),
    ),
    StandIn(
        "transposed", "the table of weights is transposed.", "Rows are queries, columns are keys.",
        lambda x, allowed=None: _turn(_masked(x, allowed, _softmax)),
    ),
    StandIn(
        "global_maximum",
        "one maximum, that of the whole table, is subtracted from every row.",
        "Each row has a maximum of its own: otherwise a low row becomes 0/0.",
        _on_softmax(_global_max),
    ),
    StandIn(
        "no_maximum",
        "no maximum is subtracted before the exponential.",
        "exp of a large score is infinite: subtract each row's own largest score first.",
        _on_softmax(_no_max),
    ),
    StandIn(
        "largest_size",
        "the largest absolute value is subtracted in place of the largest score.",
        "Take abs out: in a row far below zero every exponential is then 0, and 0/0 follows.",
        _on_softmax(_largest_size),
    ),
    StandIn(
        "small_number",
        "a small number is added to the sum, so that the weights do not sum to 1.",
        "Nothing has to be made safe there: with the row's largest score subtracted the sum is at "
        "least 1.",
        _on_softmax(lambda x: _exp(x - _max(x, -1)) / (_sum(_exp(x - _max(x, -1))) + 1e-6)),
    ),
    StandIn(
        "causal",
        "query i sees the keys up to i only.",
        "Every query sees every key that no given mask forbids.",
        _on_softmax(lambda x: _causal(x, 0, False)),
    ),
    StandIn(
        "causal_bottom_right",
        "no query sees later keys.",
        "Every query sees every key that no given mask forbids.",
        _on_softmax(lambda x: _causal(x, 0, True)),
    ),
    StandIn(
        "float32",
        "the softmax is taken in float32, whatever the dtype of the scores.",
        "Take .float() out, or return to the dtype of the input: a float64 has 16 digits.",
        lambda x, allowed=None: _masked(_single(x), allowed, _softmax),
    ),
)  # fmt: skip


def _log(x: Any) -> Any:
    return x.log() if values.is_tensor(x) else np.log(x)


def _single(x: Any) -> Any:
    return x.float() if values.is_tensor(x) else x.astype(np.float32)


def _turn(x: Any) -> Any:
    return x.swapaxes(-1, -2)


def _numbers(mask: Any, x: Any) -> Any:
    return mask.to(x.dtype) if values.is_tensor(x) else mask.astype(x.dtype)


def _filled(number: float) -> Function:
    def stand_in(x: Any, allowed: Any = None) -> Any:
        return _softmax(x if allowed is None else _where(allowed, x, number))

    return stand_in


def _filled_then_zero(number: float) -> Function:
    def stand_in(x: Any, allowed: Any = None) -> Any:
        weights = _filled(number)(x, allowed)
        return weights if allowed is None else _where(allowed, weights, 0.0)

    return stand_in


def _masking(change: Callable[[Any, Any], Any]) -> Function:
    return lambda x, allowed=None: _softmax(x) if allowed is None else change(x, allowed)


_BEFORE = "Forbidden scores must become -∞ (or finfo(dtype).min) before the softmax."
_MASKS = (
    StandIn("mask_ignored", "the mask is not used.", _BEFORE, _masking(lambda x, m: _softmax(x))),
    StandIn(
        "mask_inverted",
        "the mask is read the wrong way round: the allowed keys are left out.",
        "True means may attend: masked_fill fills where its mask is True, so it wants `~allowed`.",
        _masking(lambda x, m: _where(~m, _softmax(_where(~m, x, -1e4)), 0.0)),
    ),
    StandIn(
        "mask_inverted_inf",
        "the mask is read the wrong way round: the allowed keys are left out.",
        "True means may attend: masked_fill fills where its mask is True, so it wants `~allowed`.",
        _masking(lambda x, m: _softmax(_where(~m, x, -float("inf")))),
    ),
    StandIn(
        "scores_times_mask",
        "the scores are multiplied by the mask: a forbidden score becomes 0, and its weight is "
        "e⁰, not nothing.",
        _BEFORE,
        _masking(lambda x, m: _softmax(x * _numbers(m, x))),
    ),
    StandIn(
        "mask_added",
        "the mask is added to the scores as the numbers 0 and 1.",
        _BEFORE,
        _masking(lambda x, m: _softmax(x + _numbers(m, x))),
    ),
    StandIn(
        "mask_after",
        "the softmax runs over all keys and the forbidden weights are set to 0 afterwards, so that "
        "rows sum to less than 1.",
        _BEFORE,
        _masking(lambda x, m: _softmax(x) * _numbers(m, x)),
    ),
    StandIn(
        "mask_after_divided",
        "the softmax runs over all keys, forbidden weights are set to 0 and each row is divided by "
        "its new sum: 0/0 where a loud forbidden key took all.",
        _BEFORE,
        _masking(lambda x, m: _divided(_softmax(x) * _numbers(m, x))),
    ),
    StandIn(
        "maximum_of_all",
        "the largest score is searched among the forbidden keys too, so that a loud one leaves "
        "nothing of the others.",
        "Mask first, then the maximum, the exponential and the sum.",
        _masking(lambda x, m: _divided(_exp(x - _max(x, -1)) * _numbers(m, x))),
    ),
    StandIn(
        "no_maximum_masked",
        "no maximum is subtracted, and e^score is infinite for large scores.",
        "Subtract each row's largest allowed score first.",
        _masking(lambda x, m: _divided(_exp(x) * _numbers(m, x))),
    ),
    StandIn(
        "global_maximum_masked",
        "one maximum, that of the whole table, is subtracted from every row.",
        "Each row has a maximum of its own: otherwise a low row becomes 0/0.",
        _masking(lambda x, m: _divided(_exp(x - x.max()) * _numbers(m, x))),
    ),
    *(
        StandIn(
            f"filled_{number:g}",
            f"forbidden scores become a number such as {number:g}, which is not -∞: a forbidden "
            "key keeps a weight as soon as real scores are that low.",
            _BEFORE,
            make(number),
        )
        for number in (-1.0, -10.0, -100.0, -1000.0, -1e4, -1e9, 1e-9)
        for make in (_filled, _filled_then_zero)
    ),
    StandIn(
        "infinity",
        "forbidden scores become -∞, and a row with nothing allowed becomes 0/0.",
        "Use the lowest finite number of the dtype and set forbidden weights to 0 at the end.",
        _filled(-float("inf")),
    ),
    StandIn(
        "average_for_nothing",
        "a query that may attend to nothing gets the plain average of what it may not see.",
        "Set forbidden weights to 0 after the softmax.",
        _masking(lambda x, m: _softmax(_where(m, x, -1e30 if _is_wide(x) else -6e4))),
    ),
    StandIn(
        "over_queries_masked",
        "the softmax runs over the queries: the columns of the weights sum to 1, not the rows.",
        _LAST,
        _masking(lambda x, m: _softmax(_where(m, x, -float("inf")), -2)),
    ),
    StandIn(
        "mask_of_rows",
        "the mask is transposed: it forbids queries where it should forbid keys.",
        "Rows of the mask are queries, columns are keys.",
        _masking(lambda x, m: _masked(x, _turn(m) if m.ndim > 1 else m, _softmax)),
    ),
)


def _divided(x: Any) -> Any:
    return x / _sum(x)


_CURVES = (
    StandIn("sigmoid", "the curve is a sigmoid, not tanh.", "tanh is wanted.", _sigmoid),
    StandIn(
        "relu", "the curve is a ReLU, not tanh.", "tanh is wanted.", lambda x: x * (x > 0)
    ),
    StandIn("straight", "the tanh is missing.", "tanh is wanted.", lambda x: x),
    StandIn("exponential", "exp stands where tanh belongs.", "tanh is wanted.", _exp),
    StandIn("sine", "sin stands where tanh belongs.", "tanh is wanted.",
            lambda x: x.sin() if values.is_tensor(x) else np.sin(x)),
)  # fmt: skip


# --- scores ----------------------------------------------------------------------------------


def _over(divisor: Callable[[Any, Any], float]) -> Function:
    """Dot products of queries and keys over another number than √D; options are not asked for."""

    def scores(q: Any, k: Any, **_: Any) -> Any:
        return q @ k.swapaxes(-1, -2) / divisor(q, k)

    return scores


def _heads(q: Any) -> int:
    return int(q.shape[-3]) if q.ndim > 3 else 1


_ROOT = "A dot product is a sum of D terms, the width of one query: divide by √D, q.shape[-1]."
_SCORES = (
    StandIn(
        "unscaled",
        "the scores are not divided by √D, the root of the width of a query.",
        _ROOT,
        _over(lambda q, k: 1.0),
    ),
    StandIn(
        "scaled_twice",
        "the scores are divided by √D twice, that is by D.",
        "Where attention_scores or a ready attention is called, it scales by itself.",
        _over(lambda q, k: q.shape[-1]),
    ),
    StandIn(
        "scaled_upwards",
        "the scores are multiplied by √D, not divided by it.",
        _ROOT,
        _over(lambda q, k: q.shape[-1] ** -0.5),
    ),
    StandIn(
        "scaled_by_all_heads",
        "the scores are divided by the root of the width of all heads together.",
        _ROOT,
        _over(lambda q, k: (_heads(q) * q.shape[-1]) ** 0.5),
    ),
    StandIn(
        "scaled_by_heads",
        "the scores are divided by the root of the number of heads.",
        _ROOT,
        _over(lambda q, k: _heads(q) ** 0.5),
    ),
    StandIn(
        "scaled_by_length",
        "the scores are divided by the root of the number of keys.",
        _ROOT,
        _over(lambda q, k: k.shape[-2] ** 0.5),
    ),
)
