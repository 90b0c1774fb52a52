"""Checks for the exercises of chapter 1.

The oracles below are loops over Python floats, with `math.fsum` for the sums, and closed forms.
Sizes differ from one another wherever they can, so that a swapped axis cannot hide. One shape comes
twice in most checks of values, so that a result kept from an earlier call cannot hide either.
"""

import math

import numpy as np

from minitx.grading import Tolerance, exercise, expect, expect_close, expect_raises

PAGE = "book/01_attention_intuition.md"
FLOAT64 = Tolerance(
    rtol=1e-12, atol=1e-14, because="float64 carries 16 digits, and the rest is left for rounding"
)
SUMS = Tolerance(
    rtol=1e-10, atol=1e-12, because="float64 carries 16 digits, and a sum may cancel to nearly 0"
)
_LARGE = "scores near 1000 are rounded at the 13th digit, and exp passes that on"
# e^-1000 and e^-2000 are below the smallest float64: an absolute 1e-300 lets them be 0.
LARGE = Tolerance(rtol=1e-10, atol=1e-300, because=_LARGE)
LARGE_SUMS = Tolerance(rtol=1e-9, atol=1e-11, because=_LARGE)
FLOAT32 = Tolerance(rtol=1e-5, atol=1e-30, because="float32 keeps 7 digits")

# Every softmax that exists already; what nobody has imported needs no door.
TORCH_ATTENTION = (
    "torch.nn.functional.scaled_dot_product_attention",
    "torch.nn.functional.multi_head_attention_forward",
)
SOFTMAXES = (
    "minitx.numpy_core.softmax",
    "torch.softmax",
    "torch.log_softmax",
    "torch.nn.functional.softmin",
    "scipy.special.softmax",
    "scipy.special.log_softmax",
)


def require_life(result, what):
    """Reject a result that holds one number everywhere: no property of it is worth a point."""
    expect(
        np.ptp(result) > 0,
        f"{what} holds the same number everywhere ({np.ravel(result)[0]:.4g}): nothing is computed "
        "from the inputs yet.",
    )


def softmax_row(row):
    """Softmax of a sequence of numbers, with Python floats only."""
    largest = max(float(s) for s in row)
    exponentials = [math.exp(float(s) - largest) for s in row]
    total = math.fsum(exponentials)
    return [e / total for e in exponentials]


def softmax_rows(scores):
    """Softmax of every row along the last axis."""
    scores = np.asarray(scores)
    rows = scores.reshape(-1, scores.shape[-1])
    return np.array([softmax_row(row) for row in rows]).reshape(scores.shape)


def dot(a, b):
    """Dot product of two vectors."""
    return math.fsum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def mix(weights, values):
    """Sum of the rows of `values`, each times its weight."""
    return np.array([dot(weights, column) for column in np.asarray(values).T])


def lookup(query, keys, values, temperature=1.0):
    """Soft lookup of one query at a temperature above 0."""
    return mix(softmax_row([dot(query, key) / temperature for key in keys]), values)


def attention(q, k, v):
    """One lookup per query."""
    return np.array([lookup(query, k, v) for query in q])


# --------------------------------------------------------------------------------------------
softmax = exercise(
    "01.1",
    function="softmax",
    title="A softmax that does not overflow",
    page=f"{PAGE}#stable-softmax",
    hints=(
        "Start with one row of small scores: exponentiate, add up, divide. Then try it on "
        "np.array([1000.0, 1001.0]) and look at each intermediate array.",
        "'A softmax that does not overflow' in chapter 1: adding one constant to a whole row of "
        "scores leaves its weights as they are. Choose the constant so that the largest exponent "
        "is 0, and choose it for every row anew.",
        "exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True)), and then divide by "
        "their sum along the same axis, again with keepdims=True.",
    ),
    returns="array",
    closed=SOFTMAXES,
)


@softmax.check(
    points=1,
    title="the example by hand: (ln 2, 0, ln 5) gives (1/4, 1/8, 5/8)",
    hint="Exponentiate each score, then divide by the sum of the three.",
)
def test_by_hand(sub, rng):
    got = sub.softmax(np.log([2.0, 1.0, 5.0]))
    want = np.array([2.0, 1.0, 5.0]) / 8
    expect_close(got, want, FLOAT64, what="softmax of (ln 2, 0, ln 5)")


@softmax.check(
    points=2,
    title="each row of a table gets weights of its own",
    hint="Which axis do the maximum and the sum run over? It is the last one, axis=-1.",
)
def test_each_row_alone(sub, rng):
    for what in ("the weights", "the weights of other scores in the same shape"):
        scores = rng.normal(size=(3, 5))
        got = sub.softmax(scores)
        sums = got.sum(axis=-1)
        lost = 1 - sums
        expect(
            got.dtype != scores.dtype or not np.all((lost > 1e-13) & (lost < 1e-4)),
            f"Each row sums to a little less than 1: {lost.max():.1e} is missing. Is a small "
            "number added to the sum before you divide? Nothing has to be made safe there: with "
            "the row's maximum subtracted the sum is at least 1.",
        )
        expect_close(sums, np.ones(3), FLOAT64, what="the sum of each row")
        expect_close(got, softmax_rows(scores), FLOAT64, what=what)
    got = sub.softmax(scores[:, ::-1])
    expect_close(got, softmax_rows(scores)[:, ::-1], FLOAT64, what="the weights of reversed rows")
    square = rng.normal(size=(4, 4))
    got = sub.softmax(square)
    expect_close(got, softmax_rows(square), FLOAT64, what="the weights of a square table")
    turned = rng.normal(size=(6, 4)).T
    got = sub.softmax(turned)
    expect_close(got, softmax_rows(turned), FLOAT64, what="the weights of a transposed table")


@softmax.check(
    points=2,
    title="one row, a table, or a stack of tables, also with a single row or score",
    hint="Name the axis from the end (axis=-1), and keep it (keepdims=True) so that shapes fit.",
)
def test_any_number_of_axes(sub, rng):
    for shape in [(2, 4, 3), (7,), (2, 3, 5, 4), (1, 5), (4, 1), (1,), (2, 1, 2, 3, 2)]:
        scores = rng.normal(size=shape)
        got = sub.softmax(scores)
        expect_close(
            got, softmax_rows(scores), FLOAT64, what=f"the weights for scores of shape {shape}"
        )


@softmax.check(
    points=2,
    title="scores near +1000 and -1000 are no problem",
    hint="exp(1000) is inf. Make every exponent 0 or less, without changing the weights.",
)
def test_large_scores(sub, rng):
    small = rng.normal(size=4)
    scores = np.stack([1000 + small, np.array([-1000.0, 0.0, 1.0, 1000.0]), small - 1000])
    got = sub.softmax(scores)
    expect_close(got, softmax_rows(scores), LARGE, what="the weights of scores near 1000")
    single = np.array([[120.0, 118.5, 119.25], [-200.0, 100.0, 99.0]], dtype=np.float32)
    got = sub.softmax(single)
    expect_close(got, softmax_rows(single), FLOAT32, what="the weights of float32 scores near 100")


@softmax.check(
    points=2,
    title="a row far below the others still gets its weights",
    hint="Subtract the largest score of each row, not the largest of the whole array.",
)
def test_one_cold_row(sub, rng):
    scores = rng.normal(size=(2, 5)) + np.array([[3000.0], [1000.0]])
    got = sub.softmax(scores)
    expect_close(
        got, softmax_rows(scores), LARGE, what="the weights of two rows, one 2000 below the other"
    )


@softmax.check(
    points=1,
    title="a row whose scores are all far below zero",
    hint="The largest score of a row can be negative. Where does your search for it start?",
)
def test_far_below_zero(sub, rng):
    scores = rng.normal(size=6) - 1000
    got = sub.softmax(scores)
    expect_close(got, softmax_rows(scores), LARGE, what="the weights of scores near -1000")


@softmax.check(
    points=1,
    title="whole numbers in, fractions out",
    hint="An array made to look like the input (np.empty_like) holds whole numbers here.",
)
def test_whole_numbers(sub, rng):
    scores = rng.permuted(np.array([[0, 1, 2, 4], [3, 3, 0, -2]]), axis=1)
    got = sub.softmax(scores)
    expect_close(got, softmax_rows(scores), FLOAT64, what="the weights of whole numbers")


@softmax.check(
    points=1,
    title="nearly equal scores get nearly equal weights, not equal ones",
    hint="np.isclose and np.allclose see no difference between 1000 and 1000.006; exp does.",
)
def test_nearly_equal_scores(sub, rng):
    steps = rng.permuted(np.tile(np.arange(4.0), (3, 1)), axis=1)
    for level, step in [(1000.0, 2e-3), (1.0, 1e-6), (0.0, 1e-9)]:
        scores = level + step * steps
        got = sub.softmax(scores)
        what = f"the weights of scores near {level:g} that lie {step:g} apart"
        expect_close(got, softmax_rows(scores), FLOAT64, what=what)


# --------------------------------------------------------------------------------------------
soft_lookup = exercise(
    "01.2",
    function="soft_lookup",
    title="A soft lookup",
    page=f"{PAGE}#soft-lookup",
    hints=(
        "Three steps: a score for every key, weights from the scores, a mixture of the values. "
        "Write down the shape after each step.",
        "'From exact match to weighted match' in chapter 1 does it with numbers: the score is the "
        "dot product of query and key, the weights are the softmax of the scores, and the values "
        "are what is mixed. The keys are used for the scores only.",
        "scores = keys @ query has shape (T,). With weights = numpy_core.softmax(scores), the "
        "result is weights @ values.",
    ),
    uses=("01.1",),
    returns="array",
    closed=("minitx.numpy_core.soft_lookup", "minitx.numpy_core.attention", *TORCH_ATTENTION),
)


@soft_lookup.check(
    points=1,
    title="the example by hand gives (7, 6)",
    hint="The weights there are (1/4, 1/8, 5/8). What do they weigh?",
)
def test_lookup_by_hand(sub, rng):
    keys = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    values = np.array([[8.0, 0.0], [0.0, 8.0], [8.0, 8.0]])
    got = sub.soft_lookup(np.log([2.0, 5.0]), keys, values)
    expect_close(got, np.array([7.0, 6.0]), FLOAT64, what="the example")


@soft_lookup.check(
    points=3,
    title="values weighted by softmax of the dot products",
    hint="Scores are plain dot products, nothing divided; weights sum to 1; values are mixed.",
)
def test_lookup_values(sub, rng):
    for T, D, D_v in [(5, 3, 2), (3, 4, 6), (5, 3, 2), (4, 2, 1)]:
        query, keys = rng.normal(size=D), rng.normal(size=(T, D))
        values = rng.normal(size=(T, D_v))
        got = sub.soft_lookup(query, keys, values)
        expect_close(
            got,
            lookup(query, keys, values),
            SUMS,
            what=f"the result for {T} keys of width {D} and values of width {D_v}",
        )


@soft_lookup.check(
    points=1,
    title="a long key scores more than a short one in the same direction",
    hint="A dot product grows with the length of the key. Did you normalise the keys?",
)
def test_long_and_short_keys(sub, rng):
    direction = rng.normal(size=3)
    direction /= math.sqrt(dot(direction, direction))
    lengths = np.array([1.0, 2.0, 4.0, -1.0])
    got = sub.soft_lookup(direction, lengths[:, None] * direction, np.eye(4)[:, ::-1])
    # With the unit matrix for values, what comes back are the weights themselves (in reverse).
    expect_close(
        got,
        np.array(softmax_row(lengths))[::-1],
        FLOAT64,
        what="the weights of four keys with lengths 1, 2, 4, 1 along one line",
    )


@soft_lookup.check(
    points=1,
    title="equal keys return the average of the values",
    hint="Weights sum to 1, so a weighted sum of the values already is an average.",
)
def test_equal_keys(sub, rng):
    query, key = rng.normal(size=3), rng.normal(size=3)
    values = rng.integers(1, 9, size=(7, 2)).astype(float)
    got = sub.soft_lookup(query, np.tile(key, (7, 1)), values)
    want = np.array([math.fsum(column) / 7 for column in values.T])
    expect_close(got, want, FLOAT64, what="the result for seven equal keys")


@soft_lookup.check(
    points=2,
    title="one towering key returns its value, others in proportion",
    hint="Scores of 1000 overflow in a plain exp. Use a softmax that subtracts the maximum.",
)
def test_lookup_large_scores(sub, rng):
    keys = np.array([[0.0, -1.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.5, 0.5]])
    values = rng.normal(size=(5, 3))
    for query, winner in [([1000.0, 0.0], 1), ([0.0, -1000.0], 0), ([-900.0, -2.0], 3)]:
        got = sub.soft_lookup(np.array(query), keys, values)
        expect_close(got, values[winner], FLOAT64, what=f"the result for the query {tuple(query)}")
    below = np.array([[1.0, 0.25], [1.0, 0.5], [1.0, 1.0]])
    query = np.array([-1000.0, 1.0])
    got = sub.soft_lookup(query, below, values[:3])
    expect_close(
        got,
        lookup(query, below, values[:3]),
        LARGE_SUMS,
        what="the result when every score is near -1000",
    )


@soft_lookup.check(
    points=1,
    title="a table with a single entry returns it",
    hint="With one key there is one weight, and it is 1, whatever the score.",
)
def test_one_entry(sub, rng):
    query, keys, values = rng.normal(size=3), rng.normal(size=(1, 3)), rng.normal(size=(1, 4))
    got = sub.soft_lookup(query, keys, values)
    expect_close(got, values[0], FLOAT64, what="the only value")


@soft_lookup.check(
    points=1,
    title="whole-number values can be averaged too",
    hint="An array that takes its dtype from the values cuts averages down to whole numbers.",
)
def test_lookup_whole_numbers(sub, rng):
    query, keys = np.array([1, -1, 2]), rng.integers(-1, 2, size=(4, 3))
    values = rng.integers(1, 100, size=(4, 2))
    got = sub.soft_lookup(query, keys, values)
    expect_close(
        got,
        lookup(query, keys, values),
        FLOAT64,
        what="the result for whole-number queries, keys and values",
    )


@soft_lookup.check(
    points=1,
    title="as many keys as a key is wide: nothing is transposed",
    hint="With T == D_k a transposed table of keys fits. A key is a row, whatever the sizes are.",
)
def test_square_keys(sub, rng):
    for T, D_v in [(4, 4), (3, 5), (1, 1)]:
        query, keys = rng.normal(size=T), rng.normal(size=(T, T))
        values = rng.normal(size=(T, D_v))
        got = sub.soft_lookup(query, keys, values)
        what = f"the result for {T} keys of width {T} and values of width {D_v}"
        expect_close(got, lookup(query, keys, values), SUMS, what=what)


# --------------------------------------------------------------------------------------------
lookup_at_temperature = exercise(
    "01.3",
    function="lookup_at_temperature",
    title="Lookup at a temperature",
    page=f"{PAGE}#temperature",
    hints=(
        "Take the function of Exercise 1.2 and divide the scores. Then treat the special cases one "
        "by one: which of them does the formula cover already?",
        "'Temperature: from the average to the hard lookup' in chapter 1 shows both ends. "
        "At 0 the weights are equal among the keys with the largest score, and 0 for the others.",
        "if not temperature >= 0: raise ValueError(...), NaN included. If temperature == 0: "
        "best = scores == scores.max(), and the result is values[best].mean(axis=0). Else: "
        "numpy_core.softmax(scores / temperature) @ values.",
    ),
    uses=("01.1", "01.2"),
    returns="array",
    closed=("minitx.numpy_core.soft_lookup", *TORCH_ATTENTION),
)


@lookup_at_temperature.check(
    points=1,
    title="the example by hand at temperature 1/2",
    hint="Dividing by 1/2 doubles the scores, which squares their exponentials: 4, 1 and 25.",
)
def test_temperature_by_hand(sub, rng):
    got = sub.lookup_at_temperature(np.log([2.0, 5.0]), KEYS, VALUES, 0.5)
    expect_close(got, np.array([232, 208]) / 30, FLOAT64, what="the example")


@lookup_at_temperature.check(
    points=2,
    title="ordinary temperatures: the scores are divided, before the softmax",
    hint="softmax(scores / temperature), then mix the values. At 1 it is the plain soft lookup.",
)
def test_ordinary_temperatures(sub, rng):
    for temperature in [1.0, 0.3, 4.0, 1.0]:
        query, keys, values = rng.normal(size=3), rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
        got = sub.lookup_at_temperature(query, keys, values, temperature)
        expect_close(
            got,
            lookup(query, keys, values, temperature),
            SUMS,
            what=f"the result at temperature {temperature}",
        )


@lookup_at_temperature.check(
    points=2,
    title="temperature 0 returns the value of the best key",
    hint="Nothing can be divided by 0: find the largest score instead.",
)
def test_zero_is_hard(sub, rng):
    for _ in range(2):
        lengths = rng.permutation([3.0, 1.0, -5.0, 0.5, 2.0])
        keys, values = np.column_stack([lengths, rng.normal(size=(5, 2))]), rng.normal(size=(5, 4))
        best = int(np.flatnonzero(lengths == 3.0)[0])
        got = sub.lookup_at_temperature(np.array([1.5, 0.0, 0.0]), keys, values, 0.0)
        expect_close(
            got,
            values[best],
            FLOAT64,
            what=f"the result at temperature 0, where key {best} is the best",
        )


@lookup_at_temperature.check(
    points=1,
    title="temperature 0 when every score is negative",
    hint="The best score can be below 0. Where does your search for it start?",
)
def test_zero_below_zero(sub, rng):
    lengths = rng.permutation([-3.0, -1.0, -5.0, -1.5])
    keys, values = np.column_stack([lengths, rng.normal(size=(4, 3))]), rng.normal(size=(4, 4))
    best = int(np.flatnonzero(lengths == -1.0)[0])
    for temperature in [0, 0.0]:
        got = sub.lookup_at_temperature(np.array([2.0, 0, 0, 0]), keys, values, temperature)
        what = f"the result at temperature 0, where key {best} is the best, with the score -2"
        expect_close(got, values[best], FLOAT64, what=what)


@lookup_at_temperature.check(
    points=2,
    title="at temperature 0, keys that tie for the best share equally",
    hint="argmax picks the first of several largest. Which keys have a score equal to the maximum?",
)
def test_ties_share(sub, rng):
    keys = np.array([[1.0, 0.0], [2.0, 1.0], [0.0, 3.0], [2.0, -1.0], [2.0, 0.5]])
    values = rng.normal(size=(5, 4))
    got = sub.lookup_at_temperature(np.array([0.5, 0.0]), keys, values, 0)
    expect_close(
        got,
        mix([0, 1 / 3, 0, 1 / 3, 1 / 3], values),
        FLOAT64,
        what="the result at temperature 0, where keys 1, 3 and 4 tie",
    )


@lookup_at_temperature.check(
    points=1,
    title="at temperature 0, keys that only nearly tie do not share",
    hint="A tie is equality, to the last digit: np.isclose and np.round see ties that are none.",
)
def test_near_ties_do_not_share(sub, rng):
    values = rng.normal(size=(4, 3))
    for gap in [1e-4, 3e-6, 1e-7, 1e-10]:
        keys = np.array([[2.0, 1.0], [2.0 + gap, -1.0], [-1.0, 3.0], [2.0 - gap, 0.5]])
        got = sub.lookup_at_temperature(np.array([0.5, 0.0]), keys, values, 0.0)
        what = f"the result at temperature 0, where key 1 scores {gap / 2:g} more than key 0"
        expect_close(got, values[1], FLOAT64, what=what)


@lookup_at_temperature.check(
    points=1,
    title="temperature inf returns the average of all values",
    hint="A finite score divided by np.inf is 0. Does your function let infinity through?",
)
def test_infinity_is_average(sub, rng):
    query, keys, values = rng.normal(size=3), rng.normal(size=(7, 3)), rng.normal(size=(7, 2))
    got = sub.lookup_at_temperature(query, keys, values, math.inf)
    expect_close(got, mix([1 / 7] * 7, values), FLOAT64, what="the result at temperature inf")


@lookup_at_temperature.check(
    points=1,
    title="a temperature below 0, or not a number, is refused with a ValueError that says so",
    hint="raise ValueError(f'temperature must be at least 0, got {temperature}')",
)
def test_bad_temperature(sub, rng):
    query, keys, values = rng.normal(size=3), rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    for temperature in [-1.0, -1e-9, -math.inf, math.nan]:
        expect_raises(
            ValueError,
            lambda t=temperature: sub.lookup_at_temperature(query, keys, values, t),
            what=f"a call with temperature {temperature}",
        )


@lookup_at_temperature.check(
    points=1,
    title="a query and a temperature 1e-30 times as large give the same result",
    hint="Only scores / temperature counts. Did you add a small number, or set a smallest value?",
)
def test_only_the_ratio_counts(sub, rng):
    query, keys, values = rng.normal(size=3), rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    for factor in [1e-30, 1e30]:
        got = sub.lookup_at_temperature(factor * query, keys, values, factor * 0.7)
        expect_close(
            got,
            lookup(query, keys, values, 0.7),
            SUMS,
            what=f"the result when query and temperature are both multiplied by {factor:g}",
        )


@lookup_at_temperature.check(
    points=2,
    title="scores far apart, at low and at high temperatures",
    hint="Divide first, then take a softmax that subtracts the maximum.",
)
def test_far_apart(sub, rng):
    keys = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5]])
    values = rng.normal(size=(3, 4))
    query = np.array([1000.0, 200.0])
    for temperature in [1e-3, 400.0]:
        got = sub.lookup_at_temperature(query, keys, values, temperature)
        expect_close(
            got,
            lookup(query, keys, values, temperature),
            SUMS,
            what=f"the result for scores 1000, 200, -900 at temperature {temperature}",
        )


@lookup_at_temperature.check(
    points=1,
    title="whole numbers in, fractions out",
    hint="np.zeros_like(values) and keys.dtype hold no fractions here.",
)
def test_temperature_whole_numbers(sub, rng):
    keys = np.array([[1, 0, 2], [0, 1, 0], [2, 1, 0], [1, 2, 0]])
    query, values = np.array([2, 2, -1]), rng.integers(1, 100, size=(4, 2))
    for temperature in [2, 3.5]:
        got = sub.lookup_at_temperature(query, keys, values, temperature)
        what = f"the result for whole numbers at temperature {temperature}"
        expect_close(got, lookup(query, keys, values, temperature), FLOAT64, what=what)
    got = sub.lookup_at_temperature(query, keys, values, 0)
    want = mix([0, 0, 1 / 2, 1 / 2], values)
    expect_close(got, want, FLOAT64, what="the result for whole numbers at temperature 0")


# --------------------------------------------------------------------------------------------
attention_loops = exercise(
    "01.4",
    function="attention_loops",
    title="Dot-product attention, with loops",
    page=f"{PAGE}#dot-product-attention",
    hints=(
        "Every row of the result is one soft lookup, exactly that of Exercise 1.2. Which of the "
        "three inputs does the outer loop walk over?",
        "'The dot product' in chapter 1: the lookup is repeated for each query. For query i come "
        "the scores of all keys j, their softmax, and the weighted sum of all values; nothing of "
        "it is left over when query i + 1 begins.",
        "for i in range(len(q)): scores = np.array([q[i] @ k[j] for j in range(len(k))]); "
        "weights = numpy_core.softmax(scores); then out[i] is the sum of weights[j] * v[j], with "
        "out = np.zeros((len(q), v.shape[1])) made before the loop.",
    ),
    uses=("01.1", "01.2"),
    returns="array",
    closed=("minitx.numpy_core.attention", *TORCH_ATTENTION),
)

attention_matrix = exercise(
    "01.5",
    function="attention_matrix",
    title="The same with matrices",
    page=f"{PAGE}#attention-as-matrices",
    hints=(
        "Two matrix products with a softmax between them. Write the shapes on paper before you "
        "write the code.",
        "'The same with matrices' in chapter 1 shows the table of scores: row i belongs to query "
        "i, column j to key j. Each row is a distribution over the keys.",
        "scores = q @ k.T, then numpy_core.softmax(scores), which works along the last axis, then "
        "the product of these weights with v.",
    ),
    uses=("01.1",),
    returns="array",
    closed=("minitx.numpy_core.attention", "minitx.numpy_core.soft_lookup", *TORCH_ATTENTION),
)

KEYS = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
VALUES = np.array([[8.0, 0.0], [0.0, 8.0], [8.0, 8.0]])


def compare(call, q, k, v, what, tolerance=SUMS):
    """Compare a submission's attention with the loops over Python floats."""
    expect_close(call(q, k, v), attention(q, k, v), tolerance, what=what)


@attention_loops.check(
    points=1,
    title="the example by hand gives (7, 6) and (16/3, 16/3)",
    hint="The second query is zero, so all three keys score 0 and the values are averaged.",
)
def test_loops_by_hand(sub, rng):
    q = np.array([np.log([2.0, 5.0]), [0.0, 0.0]])
    got = sub.attention_loops(q, KEYS, VALUES)
    want = np.array([[7.0, 6.0], [16 / 3, 16 / 3]])
    expect_close(got, want, FLOAT64, what="the example")


@attention_loops.check(
    points=3,
    title="one row per query, mixed from all values",
    hint="Check it with one query first, then with two: is the second row right as well?",
)
def test_loops_values(sub, rng):
    for T_q, T_k, D, D_v in [(3, 7, 5, 2), (2, 5, 3, 4), (3, 7, 5, 2)]:
        q, k = rng.normal(size=(T_q, D)), rng.normal(size=(T_k, D))
        v = rng.normal(size=(T_k, D_v))
        what = f"the result for T_q={T_q}, T_k={T_k}, D_k={D}, D_v={D_v}"
        compare(sub.attention_loops, q, k, v, what)


@attention_loops.check(
    points=1,
    title="more queries than keys, and a single key",
    hint="The inner loops walk over the keys: range(len(k)), whatever the number of queries is.",
)
def test_loops_more_queries(sub, rng):
    for T_q, T_k, D_v in [(6, 4, 3), (3, 1, 3), (1, 4, 1)]:
        q, k = rng.normal(size=(T_q, 2)), rng.normal(size=(T_k, 2))
        v = rng.normal(size=(T_k, D_v))
        what = f"the result for T_q={T_q}, T_k={T_k}, D_v={D_v}"
        compare(sub.attention_loops, q, k, v, what)


@attention_loops.check(
    points=1,
    title="as many queries as keys: rows are still queries",
    hint="With T_q == T_k == D_k every index fits everywhere. i counts queries, j counts keys.",
)
def test_loops_square(sub, rng):
    for T, D, D_v in [(5, 3, 2), (4, 4, 4)]:
        q, k, v = rng.normal(size=(T, D)), rng.normal(size=(T, D)), rng.normal(size=(T, D_v))
        what = f"the result for T_q=T_k={T}, D_k={D}, D_v={D_v}"
        compare(sub.attention_loops, q, k, v, what)


@attention_loops.check(
    points=2,
    title="a query gets the same answer alone and in company",
    hint="Something is carried over from one query to the next. What must start afresh?",
)
def test_loops_query_alone(sub, rng):
    q, k, v = rng.normal(size=(4, 3)), rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    # What a memory of earlier queries might take for the same query: the same sum, the same start.
    q[2], q[3, 0] = q[0, ::-1], q[1, 0]
    together = sub.attention_loops(q, k, v)
    require_life(together, "the result")
    for i in range(4):
        alone = sub.attention_loops(q[i : i + 1], k, v)
        expect_close(
            together[i : i + 1],
            alone,
            SUMS,
            what=f"row {i} of the result, compared with a call that has this query only",
        )


@attention_loops.check(
    points=2,
    title="scores near ±1000, at different levels for different queries",
    hint="Each query's scores need their own maximum, and that maximum may be negative.",
)
def test_loops_large_scores(sub, rng):
    q, k = level_rows(rng), level_keys(rng)
    v = rng.normal(size=(5, 2))
    what = "the result when the queries' scores lie near -1000, 1000 and 0"
    compare(sub.attention_loops, q, k, v, what, LARGE_SUMS)
    v = rng.normal(size=(5, 4))
    what = "the result when all scores lie near -1000"
    compare(sub.attention_loops, q[:1], k, v, what, LARGE_SUMS)


@attention_loops.check(
    points=1,
    title="whole numbers in, fractions out",
    hint="np.zeros_like takes the dtype of its argument; np.zeros((rows, columns)) holds floats.",
)
def test_loops_whole_numbers(sub, rng):
    q, k, v = whole_numbers(rng)
    compare(sub.attention_loops, q, k, v, "the result for whole-number inputs")


attention_loops.waive(
    "attention_loops:L4:np.zeros(T_k)->np.ones(T_k)",
    reason="equivalent: every entry is overwritten",
)
attention_loops.waive(
    "attention_loops:L6:q[i] @ k[j]->k[j] @ q[i]",
    reason="equivalent: the dot product of two vectors does not depend on their order",
)


def level_rows(rng):
    """Three queries (3, 4) whose first entry sets the level of all their scores."""
    return np.column_stack([[-1000.0, 1000.0, 0.0], rng.normal(size=(3, 3))])


def level_keys(rng):
    """Five keys (5, 4) that all start with 1."""
    return np.column_stack([np.ones(5), rng.normal(size=(5, 3))])


def whole_numbers(rng):
    """Whole-number q (2, 3), k (5, 3), v (5, 4)."""
    q = rng.permuted(np.array([[0, 1, -1], [1, 2, -1]]), axis=1)
    return q, rng.integers(-1, 2, size=(5, 3)), rng.integers(1, 100, size=(5, 4))


@attention_matrix.check(
    points=1,
    title="the example by hand gives (7, 6) and (16/3, 16/3)",
    hint="The weights there are (1/4, 1/8, 5/8) in the first row and 1/3 each in the second.",
)
def test_matrix_by_hand(sub, rng):
    q = np.array([np.log([2.0, 5.0]), [0.0, 0.0]])
    got = sub.attention_matrix(q, KEYS, VALUES)
    want = np.array([[7.0, 6.0], [16 / 3, 16 / 3]])
    expect_close(got, want, FLOAT64, what="the example")


@attention_matrix.check(
    points=3,
    title="the same numbers as with loops",
    hint="Print the shape after each step: (T_q, T_k), (T_q, T_k), (T_q, D_v).",
)
def test_matrix_values(sub, rng):
    for T_q, T_k, D, D_v in [(3, 7, 5, 2), (6, 4, 2, 3), (2, 5, 3, 4), (3, 7, 5, 2)]:
        q, k = rng.normal(size=(T_q, D)), rng.normal(size=(T_k, D))
        v = rng.normal(size=(T_k, D_v))
        what = f"the result for T_q={T_q}, T_k={T_k}, D_k={D}, D_v={D_v}"
        compare(sub.attention_matrix, q, k, v, what)


@attention_matrix.check(
    points=1,
    title="equal values come back unchanged",
    hint="Every row of weights must sum to 1. Which axis do the keys lie along?",
)
def test_matrix_constant_values(sub, rng):
    q, k = rng.normal(size=(3, 2)), rng.normal(size=(5, 2))
    got = sub.attention_matrix(q, k, np.tile([1.0, 2.0, 3.0, 4.0], (5, 1)))
    expect_close(
        got,
        np.tile([1.0, 2.0, 3.0, 4.0], (3, 1)),
        FLOAT64,
        what="the result when all values are (1, 2, 3, 4), which every average leaves alone",
    )


@attention_matrix.check(
    points=2,
    title="scores near ±1000, at different levels for different queries",
    hint="Each row of the scores needs its own maximum: axis=-1, keepdims=True.",
)
def test_matrix_large_scores(sub, rng):
    q, k = level_rows(rng), level_keys(rng)
    v = rng.normal(size=(5, 2))
    what = "the result when the queries' scores lie near -1000, 1000 and 0"
    compare(sub.attention_matrix, q, k, v, what, LARGE_SUMS)


@attention_matrix.check(
    points=1,
    title="one query, one key",
    hint="A dropped axis shows here: shapes are (1, D_k), (1, D_k), (1, D_v) and (1, D_v).",
)
def test_matrix_single(sub, rng):
    for T_q, T_k, D_v in [(1, 4, 5), (3, 1, 5), (1, 4, 1)]:
        q, k = rng.normal(size=(T_q, 2)), rng.normal(size=(T_k, 2))
        v = rng.normal(size=(T_k, D_v))
        what = f"the result for T_q={T_q}, T_k={T_k}, D_v={D_v}"
        compare(sub.attention_matrix, q, k, v, what)


@attention_matrix.check(
    points=1,
    title="as many queries as keys: each row is divided by its own sum",
    hint="Without keepdims=True the sums line up with the columns, and with T_q == T_k they fit.",
)
def test_matrix_square(sub, rng):
    for T, D, D_v in [(5, 3, 2), (4, 4, 4)]:
        q, k, v = rng.normal(size=(T, D)), rng.normal(size=(T, D)), rng.normal(size=(T, D_v))
        what = f"the result for T_q=T_k={T}, D_k={D}, D_v={D_v}"
        compare(sub.attention_matrix, q, k, v, what)


@attention_matrix.check(
    points=1,
    title="no Python loop over the positions",
    hint="A for, a comprehension, np.vectorize and np.apply_along_axis are all loops in Python.",
)
def test_matrix_no_loop(sub, rng):
    counts = []
    for T_q, T_k in [(5, 7), (65, 107)]:
        q, k, v = rng.normal(size=(T_q, 3)), rng.normal(size=(T_k, 3)), rng.normal(size=(T_k, 2))
        require_life(sub.attention_matrix(q, k, v), "the result")
        counts.append(sub.attention_matrix.steps(q, k, v))
    few, many = counts
    expect(
        many - few < 50,
        f"For 5 queries and 7 keys Python runs {few} lines, for 65 and 107 it runs "
        f"{many}. With matrix products the number does not depend on the lengths: somewhere a "
        "Python loop runs over the queries or the keys.",
    )


@attention_matrix.check(
    points=1,
    title="whole numbers in, fractions out",
    hint="Do not cast the result to the dtype of the inputs.",
)
def test_matrix_whole_numbers(sub, rng):
    q, k, v = whole_numbers(rng)
    compare(sub.attention_matrix, q, k, v, "the result for whole-number inputs")


# --------------------------------------------------------------------------------------------
additive_score = exercise(
    "01.6",
    function="additive_score",
    title="The additive score",
    page=f"{PAGE}#additive-score",
    hints=(
        "Do one key first. What is the shape of query @ W_q, and of keys[0] @ W_k? They are added, "
        "so they had better agree.",
        "'The additive score' in chapter 1 gives the formula: both terms are added *inside* the "
        "tanh, and w turns the A hidden numbers into one score. No softmax yet.",
        "For one key: np.tanh(query @ W_q + key @ W_k) @ w. For all of them: "
        "np.tanh(query @ W_q + keys @ W_k) @ w.",
    ),
    returns="array",
    closed=("minitx.numpy_core.additive_score",),
)


def additive(query, keys, W_q, W_k, w):
    """Additive scores, one number at a time."""
    scores = []
    for key in keys:
        columns = zip(W_q.T, W_k.T, strict=True)
        hidden = [math.tanh(dot(query, a) + dot(key, b)) for a, b in columns]
        scores.append(dot(hidden, w))
    return np.array(scores)


@additive_score.check(
    points=1,
    title="the example by hand gives the scores 9 and 12",
    hint="tanh(ln 2) = 0.6 and tanh(ln 3) = 0.8; then 10 and 5 of each.",
)
def test_additive_by_hand(sub, rng):
    keys = np.log([[1.0, 2.0], [1.5, 3.0]])
    got = sub.additive_score(np.log([2.0, 1.0]), keys, np.eye(2), np.eye(2), np.array([10.0, 5.0]))
    expect_close(got, np.array([9.0, 12.0]), FLOAT64, what="the example")


@additive_score.check(
    points=3,
    title="query and keys of different widths, one score per key",
    hint="Go through the formula from the inside: two products, one sum, tanh, dot product with w.",
)
def test_additive_values(sub, rng):
    for T, D_q, D_k, A in [(5, 3, 4, 2), (3, 5, 2, 7), (5, 3, 4, 2)]:
        query, keys = rng.normal(size=D_q), rng.normal(size=(T, D_k))
        W_q, W_k, w = rng.normal(size=(D_q, A)), rng.normal(size=(D_k, A)), rng.normal(size=A)
        got = sub.additive_score(query, keys, W_q, W_k, w)
        expect_close(
            got,
            additive(query, keys, W_q, W_k, w),
            SUMS,
            what=f"the scores for T={T}, D_q={D_q}, D_k={D_k}, A={A}",
        )


@additive_score.check(
    points=2,
    title="another query changes the order of preference, not only the level",
    hint="Without a curve around the sum, the query adds the same number to every score.",
)
def test_query_matters(sub, rng):
    keys, W_q, W_k = rng.normal(size=(6, 4)), rng.normal(size=(3, 5)), rng.normal(size=(4, 5))
    w = rng.normal(size=5)
    queries = rng.normal(size=(2, 3))
    first = sub.additive_score(queries[0], keys, W_q, W_k, w)
    second = sub.additive_score(queries[1], keys, W_q, W_k, w)
    expect(
        np.ptp(first - second) > 1e-6,
        "For two different queries the six scores differ by the same constant. Softmax ignores "
        "such a constant, so the attention weights would not depend on the query at all.",
    )
    for query, got in zip(queries, [first, second], strict=True):
        expect_close(got, additive(query, keys, W_q, W_k, w), SUMS, what="the scores")


@additive_score.check(
    points=1,
    title="each matrix meets its own vector, the right way round",
    hint="W_q belongs to the query, W_k to the keys; the matrix stands right of the vector.",
)
def test_equal_widths(sub, rng):
    for T, what in [(5, "all widths are 4"), (4, "all widths and the number of keys are 4")]:
        query, keys = rng.normal(size=4), rng.normal(size=(T, 4))
        W_q, W_k, w = rng.normal(size=(4, 4)), rng.normal(size=(4, 4)), rng.normal(size=4)
        got = sub.additive_score(query, keys, W_q, W_k, w)
        expect_close(
            got,
            additive(query, keys, W_q, W_k, w),
            SUMS,
            what=f"the scores when {what}, so that no shape error can warn you",
        )


@additive_score.check(
    points=1,
    title="large inputs saturate the tanh and stay finite",
    hint="np.tanh is safe for any number; a fraction of exponentials is inf/inf for large ones.",
)
def test_saturated(sub, rng):
    signs = np.array([[1.0, 1.0, -1.0], [1.0, -1.0, -1.0], [-1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]])
    w = rng.normal(size=3)
    query, keys = np.array([30.0, -20.0]), 1000 * signs
    got = sub.additive_score(query, keys, np.ones((2, 3)), np.eye(3), w)
    want = np.array([dot(w, row) for row in signs])
    expect_close(
        got, want, FLOAT64, what="the scores for hidden sums near ±1000, which are sums of ±w"
    )


@additive_score.check(
    points=1,
    title="one key gives an array with one score",
    hint="The result has shape (T,), also when T is 1. Did np.squeeze remove an axis too many?",
)
def test_additive_one_key(sub, rng):
    query, keys = rng.normal(size=2), rng.normal(size=(1, 3))
    W_q, W_k, w = rng.normal(size=(2, 4)), rng.normal(size=(3, 4)), rng.normal(size=4)
    got = sub.additive_score(query, keys, W_q, W_k, w)
    expect_close(got, additive(query, keys, W_q, W_k, w), SUMS, what="the only score")


@additive_score.check(
    points=1,
    title="whole numbers in, fractions out",
    hint="np.zeros(T) holds floats; with the dtype of the keys, the query or w it may hold none.",
)
def test_additive_whole_numbers(sub, rng):
    for whole in [(0, 1, 2, 3, 4), (0,), (1,), (2, 3), (4,)]:
        inputs = [rng.normal(size=shape) for shape in [(2,), (5, 3), (2, 4), (3, 4), (4,)]]
        for i in whole:
            inputs[i] = rng.integers(-2, 3, size=inputs[i].shape)
        names = ", ".join(("query", "keys", "W_q", "W_k", "w")[i] for i in whole)
        got = sub.additive_score(*inputs)
        expect_close(got, additive(*inputs), SUMS, what=f"the scores for whole numbers in {names}")
