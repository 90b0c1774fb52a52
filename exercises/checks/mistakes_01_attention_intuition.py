"""Typical wrong answers to the exercises of chapter 1.

The first line of each docstring completes "Your output equals what you get when ...". The names
of right steps (`weigh`, `total_of`, `plain`) are this file's own: the bank stands on its own feet.
"""

import math

import numpy as np

from minitx.grading import mistake


def weigh(scores, axis=-1):
    """A right softmax, for mistakes that lie elsewhere."""
    exponentials = np.exp(scores - np.max(scores, axis=axis, keepdims=True))
    return exponentials / exponentials.sum(axis=axis, keepdims=True)


def overflowing(scores):
    """A softmax without the maximum."""
    exponentials = np.exp(scores)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


# ---------------------------------------------------------------------------------------- 01.1
@mistake("01.1", caught_by="test_large_scores")
def no_maximum_subtracted(scores):
    """no maximum is subtracted before exponentiating.

    exp(1000) overflows to inf, and inf/inf is NaN; exp(-1000) is 0, and so is the sum of a row of
    such numbers. Subtract each row's own largest score first: the weights stay the same and every
    exponent is at most 0.
    """
    return overflowing(scores)


@mistake("01.1", caught_by="test_one_cold_row")
def maximum_of_everything(scores):
    """the largest score of the whole array is subtracted, not each row's own.

    In a row far below the others every exponential becomes 0, and 0/0 is NaN. Take the maximum
    along the last axis: scores.max(axis=-1, keepdims=True).
    """
    exponentials = np.exp(scores - scores.max())
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@mistake("01.1", caught_by="test_each_row_alone")
def maximum_of_each_column(scores):
    """the maximum is taken along the first axis and the sum along the last.

    What you subtract must be the same number for a whole row, or it does not cancel. Maximum and
    sum both go along axis=-1.
    """
    exponentials = np.exp(scores - scores.max(axis=0, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@mistake("01.1", caught_by="test_each_row_alone")
def normalised_down_the_columns(scores):
    """the columns are normalised (axis=0), not the rows.

    Print weights.sum(axis=-1): it has to be 1 everywhere. The last axis is axis=-1.
    """
    return weigh(scores, axis=0)


@mistake("01.1", caught_by="test_any_number_of_axes")
def second_axis_normalised(scores):
    """axis 1 is normalised, whatever the number of axes.

    For a table, axis 1 is the last axis; for a stack of tables it is the one in the middle, and a
    single row does not have it. Count from the end: axis=-1.
    """
    return weigh(scores, axis=1)


@mistake("01.1", caught_by="test_each_row_alone")
def whole_array_normalised(scores):
    """the exponentials are divided by the sum of the whole array.

    Then all weights together sum to 1, but each row has to. Give sum and max the arguments axis=-1
    and keepdims=True.
    """
    exponentials = np.exp(scores - scores.max())
    return exponentials / exponentials.sum()


@mistake("01.1", caught_by="test_far_below_zero")
def largest_score_at_least_zero(scores):
    """the search for the largest score starts at 0.

    In a row where all scores lie far below zero the "largest" is then 0, every exponential
    underflows to 0, and 0/0 is NaN. Start with the row's first score, or with -inf.
    """
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True, initial=0.0))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@mistake("01.1", caught_by="test_large_scores")
def smallest_score_subtracted(scores):
    """each row's smallest score is subtracted in place of its largest.

    Every exponent is then at least 0, and in a row that spans more than 709 the largest overflows.
    Subtract the maximum: the exponents are at most 0.
    """
    exponentials = np.exp(scores - scores.min(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@mistake("01.1", caught_by="test_large_scores")
def mean_subtracted(scores):
    """each row's mean is subtracted in place of its largest score.

    The weights stay right, but a row with one very large score still has exponents above 709, and
    they overflow. Subtract the maximum.
    """
    exponentials = np.exp(scores - scores.mean(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@mistake("01.1", caught_by="test_by_hand")
def never_divided(scores):
    """the exponentials are not divided by their sum.

    Weights have to sum to 1 in each row: divide by exponentials.sum(axis=-1, keepdims=True).
    """
    return np.exp(scores - scores.max(axis=-1, keepdims=True))


@mistake("01.1", caught_by="test_by_hand")
def exponential_of_one_number(scores):
    """math.exp is given a whole array.

    math.exp takes a single number. np.exp takes an array and exponentiates every entry.
    """
    return math.exp(scores) / sum(math.exp(scores))


@mistake("01.1", caught_by="test_by_hand")
def no_exponential(scores):
    """the scores themselves are divided by their sum.

    Scores may be negative, and their sum may be 0. Exponentiate first, which makes every number
    positive; then divide by the sum of the exponentials.
    """
    return scores / scores.sum(axis=-1, keepdims=True)


@mistake("01.1", caught_by="test_by_hand")
def sign_reversed(scores):
    """the exponents have the wrong sign, so that the lowest score gets the largest weight.

    It is exp(score - maximum), not exp(maximum - score).
    """
    return weigh(-scores)


@mistake("01.1", caught_by="test_by_hand")
def logarithm_returned(scores):
    """the logarithms of the weights are returned.

    That is log-softmax, useful for losses. Here the weights themselves are asked for: positive
    numbers that sum to 1.
    """
    return np.log(np.maximum(weigh(scores), 1e-300))


@mistake("01.1", caught_by="test_by_hand")
def small_number_in_the_denominator(scores):
    """a small number, such as 1e-5, is added to the sum "for safety".

    The sum cannot be 0 once the maximum is subtracted (it contains exp(0) = 1), so nothing needs to
    be made safe; the addition makes every weight a little too small.
    """
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / (exponentials.sum(axis=-1, keepdims=True) + 1e-5)


@mistake("01.1", caught_by="test_large_scores")
def scores_clipped(scores):
    """scores are clipped to a range in which exp does not overflow.

    Clipping makes different scores equal: 1000 and 1001 would get the same weight. Subtract the
    row's maximum: that moves all scores alike and keeps their differences.
    """
    return overflowing(np.clip(scores, -80.0, 80.0))


@mistake("01.1", caught_by="test_large_scores")
def nan_replaced(scores):
    """the overflow is hidden by replacing NaN with 0.

    The row has lost its largest weight then, and no longer sums to 1. Keep the overflow from
    happening: subtract the row's maximum before np.exp.
    """
    return np.nan_to_num(overflowing(scores))


@mistake("01.1", caught_by="test_whole_numbers")
def whole_numbers_kept(scores):
    """the result is written into an array of the input's dtype.

    np.empty_like and np.zeros_like of whole numbers hold whole numbers, and every weight below 1
    is cut to 0. Make the array with dtype=float, or return the quotient itself.
    """
    weights = np.empty_like(scores)
    weights[...] = weigh(scores)
    return weights


@mistake("01.1", caught_by="test_by_hand")
def single_precision(scores):
    """the computation is done in single precision (float32).

    That leaves 7 digits of the 16 that the input has. Leave the dtype as it is.
    """
    return weigh(np.asarray(scores, dtype=np.float32))


@mistake("01.1", caught_by="test_any_number_of_axes")
def axis_not_kept(scores):
    """the maximum or the sum loses its axis (keepdims=True is missing).

    scores.max(axis=-1) of a table is one number per row, but in a flat array; NumPy then lines it
    up with the columns. With keepdims=True it stays a column, and each row gets its own number.
    """
    exponentials = np.exp(scores - scores.max(axis=-1))
    return exponentials / exponentials.sum(axis=-1)


@mistake("01.1", caught_by="test_each_row_alone")
def whole_array_normalised_and_overflow(scores):
    """np.exp(scores) is divided by the sum of the whole array.

    Two things are left to do. Each row has to sum to 1: give the sum axis=-1 and keepdims=True. And
    exp(1000) overflows: subtract each row's largest score first.
    """
    return np.exp(scores) / np.exp(scores).sum()


@mistake("01.1", caught_by="test_each_row_alone")
def columns_normalised_and_overflow(scores):
    """np.exp(scores) is divided by the sums of the columns (axis=0).

    Two things are left to do. The rows have to sum to 1, not the columns: axis=-1. And exp(1000)
    overflows: subtract each row's largest score first.
    """
    return np.exp(scores) / np.exp(scores).sum(axis=0, keepdims=True)


@mistake("01.1", caught_by="test_any_number_of_axes")
def second_axis_normalised_and_overflow(scores):
    """np.exp(scores) is divided by its sums along axis 1.

    Two things are left to do. Only in a table is axis 1 the last one: count from the end, axis=-1.
    And exp(1000) overflows: subtract each row's largest score first.
    """
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


@mistake("01.1", caught_by="test_any_number_of_axes")
def axis_not_kept_and_overflow(scores):
    """np.exp(scores) is divided by a sum that has lost its axis.

    Two things are left to do. keepdims=True keeps the sums a column, so that each row is divided by
    its own. And exp(1000) overflows: subtract each row's largest score first.
    """
    return np.exp(scores) / np.exp(scores).sum(axis=-1)


@mistake("01.1", caught_by="test_any_number_of_axes")
def axes_of_length_one_squeezed_away(scores):
    """axes of length 1 are squeezed out of the weights.

    The weights have the shape of the scores, also where an axis has length 1: leave np.squeeze out.
    keepdims=True in the maximum and the sum is all that is needed.
    """
    return np.squeeze(weigh(scores))


KEPT_WEIGHTS = {}


@mistake("01.1", caught_by="test_each_row_alone")
def kept_by_shape(scores):
    """the weights of an earlier call are returned for every later one of the same shape.

    Whatever is kept between calls must be kept for these very scores, not for their shape. Compute
    the weights anew.
    """
    return KEPT_WEIGHTS.setdefault(scores.shape, weigh(scores))


@mistake("01.1", caught_by="test_nearly_equal_scores")
def close_scores_count_as_equal(scores):
    """a row whose scores are merely close to one another gets equal weights.

    np.allclose calls 1000 and 1000.006 equal, and softmax does not: their weights differ by 0.6 %.
    No special case is needed; the formula gives equal weights where scores are equal.
    """
    first = scores[..., :1]
    even = np.full(scores.shape, 1 / scores.shape[-1])
    return even if np.allclose(scores, first) else weigh(scores)


@mistake("01.1", caught_by="test_by_hand")
def divided_by_the_maximum(scores):
    """each row is divided by its largest score in place of being lowered by it.

    A quotient changes how far the scores lie apart, and with that the weights. Subtract the
    maximum: all scores of a row move alike, and what they differ by stays.
    """
    exponentials = np.exp(scores / np.max(scores, axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@mistake("01.1", caught_by="test_large_scores")
def shifted_scores_clipped(scores):
    """scores more than 10 below the largest count as exactly 10 below it.

    exp(-1000) is simply 0, which does no harm: only large positive exponents overflow. Leave
    np.clip and np.maximum out.
    """
    return weigh(np.maximum(scores - np.max(scores, axis=-1, keepdims=True), -10.0))


# ---------------------------------------------------------------------------------------- 01.2
@mistake("01.2", caught_by="test_lookup_by_hand")
def best_value_only(query, keys, values):
    """only the value of the best key is returned.

    That is a hard lookup. A soft one mixes all values, weighted by the softmax of the scores.
    """
    return values[np.argmax(keys @ query)]


@mistake("01.2", caught_by="test_lookup_values")
def scores_used_as_weights(query, keys, values):
    """the values are weighted with the scores themselves.

    Scores can be negative and do not sum to 1, so the result is no average. Pass them through
    softmax first.
    """
    return (keys @ query) @ values


@mistake("01.2", caught_by="test_lookup_values")
def divided_by_the_sum_of_scores(query, keys, values):
    """the scores are divided by their sum, without an exponential.

    The weights then sum to 1 but may be negative, and a sum near 0 blows them up. Softmax
    exponentiates before it divides.
    """
    scores = keys @ query
    return (scores / scores.sum()) @ values


@mistake("01.2", caught_by="test_lookup_values")
def exponentials_never_divided(query, keys, values):
    """the values are weighted with the exponentials of the scores, not divided by their sum.

    Such weights do not sum to 1, and the result is far too large. Softmax divides by the sum.
    """
    return np.exp(keys @ query) @ values


@mistake("01.2", caught_by="test_lookup_values")
def query_on_the_wrong_side(query, keys, values):
    """the query stands on the wrong side, query @ keys.

    Each key is a row of keys, shape (T, D_k). A matrix times a vector takes the dot product of each
    row with the vector: keys @ query has shape (T,).
    """
    return weigh(query @ keys) @ values


@mistake("01.2", caught_by="test_lookup_values")
def weights_on_the_wrong_side(query, keys, values):
    """the weights stand on the wrong side, values @ weights.

    Each value is a row of values, shape (T, D_v), and rows are added up by a vector on the left:
    weights @ values has shape (D_v,).
    """
    return values @ weigh(keys @ query)


@mistake("01.2", caught_by="test_lookup_values")
def divided_by_root_of_width(query, keys, values):
    """the scores are divided by the square root of the key width.

    Chapter 2 shows what that is good for. Here the plain dot product is asked for.
    """
    return weigh(keys @ query / np.sqrt(len(query))) @ values


@mistake("01.2", caught_by="test_lookup_values")
def divided_by_width(query, keys, values):
    """the scores are divided by the key width.

    That is the mean of the products in place of their sum. Use the plain dot product,
    keys @ query.
    """
    return weigh(keys @ query / len(query)) @ values


@mistake("01.2", caught_by="test_long_and_short_keys")
def cosine_scores(query, keys, values):
    """the score is the cosine of the angle, not the dot product.

    You divide by the lengths of query and key. In a dot product a long key counts more than a short
    one in the same direction.
    """
    lengths = np.linalg.norm(keys, axis=1) * np.linalg.norm(query)
    return weigh(keys @ query / lengths) @ values


@mistake("01.2", caught_by="test_lookup_values")
def squared_distance_scores(query, keys, values):
    """the score is minus the squared distance between query and key.

    Near keys score high that way too, but it also punishes long keys. The score asked for is the
    dot product, keys @ query.
    """
    return weigh(-((keys - query) ** 2).sum(axis=1)) @ values


@mistake("01.2", caught_by="test_lookup_values")
def squared_distance_without_minus(query, keys, values):
    """the score is the squared distance between query and key, so that far keys win.

    The score asked for is the dot product, keys @ query, which is large for a good match.
    """
    return weigh(((keys - query) ** 2).sum(axis=1)) @ values


@mistake("01.2", caught_by="test_lookup_values")
def distance_scores(query, keys, values):
    """the score is minus the distance between query and key.

    The score asked for is the dot product, keys @ query.
    """
    return weigh(-np.linalg.norm(keys - query, axis=1)) @ values


@mistake("01.2", caught_by="test_lookup_by_hand")
def plain_average(query, keys, values):
    """all values are averaged alike, whatever the query.

    Your weights do not depend on the scores. Is softmax given the array of all T scores, rather
    than zeros or a constant?
    """
    return values.mean(axis=0)


@mistake("01.2", caught_by="test_lookup_by_hand")
def values_summed(query, keys, values):
    """every value gets the weight 1.

    That happens when softmax runs along the wrong axis: over one score at a time, or over the D_k
    products of one key. First add the products up to one score per key, then give softmax the T
    scores in one row, shape (T,).
    """
    return values.sum(axis=0) * 1.0


@mistake("01.2", caught_by="test_lookup_values")
def keys_mixed(query, keys, values):
    """the keys are mixed in place of the values.

    Keys are for finding, values for returning: weights @ values.
    """
    return weigh(keys @ query) @ keys


@mistake("01.2", caught_by="test_lookup_by_hand")
def keys_and_values_swapped(query, keys, values):
    """keys and values have changed places.

    The query is compared with the keys, and the values are what is mixed: the scores are
    keys @ query and the result is weights @ values. When both have the same width, no shape error
    says so.
    """
    return weigh(values @ query) @ keys


@mistake("01.2", caught_by="test_lookup_by_hand")
def weights_returned(query, keys, values):
    """the weights are returned, and the values not used.

    One step is missing: the sum of the values, each times its weight, weights @ values.
    """
    return weigh(keys @ query)


@mistake("01.2", caught_by="test_lookup_by_hand")
def values_not_added(query, keys, values):
    """each value is multiplied by its weight, but they are not added up.

    The result has to be one value, of shape (D_v,). Sum over the T entries (axis=0), or write
    weights @ values.
    """
    return weigh(keys @ query)[:, None] * values


@mistake("01.2", caught_by="test_equal_keys")
def divided_by_number_of_keys(query, keys, values):
    """the weighted sum is divided by the number of keys as well.

    The weights already sum to 1, so the weighted sum is an average. Use sum, not mean.
    """
    return (weigh(keys @ query)[:, None] * values).mean(axis=0)


@mistake("01.2", caught_by="test_lookup_large_scores")
def exponentials_overflow(query, keys, values):
    """the softmax subtracts no maximum.

    Scores near 1000 overflow, scores near -1000 all become 0. Use the safe softmax of Exercise 1.1
    (numpy_core.softmax).
    """
    return overflowing(keys @ query) @ values


@mistake("01.2", caught_by="test_lookup_large_scores")
def maximum_at_least_zero(query, keys, values):
    """the largest score is searched for starting at 0.

    When all scores are far below zero, every exponential becomes 0, and 0/0 is NaN. The largest
    score may be negative: start with the first one, or with -inf.
    """
    scores = keys @ query
    exponentials = np.exp(scores - max(0.0, scores.max()))
    return exponentials / exponentials.sum() @ values


@mistake("01.2", caught_by="test_lookup_by_hand")
def worst_key_preferred(query, keys, values):
    """the sign of the scores is reversed, so that the worst key gets the largest weight.

    A large dot product means a good match: softmax(keys @ query), no minus.
    """
    return weigh(-(keys @ query)) @ values


@mistake("01.2", caught_by="test_lookup_values")
def absolute_scores(query, keys, values):
    """the absolute values of the dot products are used.

    A key that points away from the query has a negative score and should get a *small* weight, not
    a large one.
    """
    return weigh(np.abs(keys @ query)) @ values


@mistake("01.2", caught_by="test_lookup_values")
def sigmoid_weights(query, keys, values):
    """each weight is a sigmoid of its score, on its own.

    Such weights do not sum to 1. In a softmax all keys compete for one unit of weight.
    """
    return 0.5 * (1 + np.tanh((keys @ query) / 2)) @ values


@mistake("01.2", caught_by="test_lookup_by_hand")
def softmax_twice(query, keys, values):
    """softmax is applied twice.

    The second one takes the weights for scores, and since they lie between 0 and 1 it makes them
    nearly equal. Once is enough.
    """
    return weigh(weigh(keys @ query)) @ values


@mistake("01.2", caught_by="test_one_entry")
def scores_standardised(query, keys, values):
    """the scores are standardised (mean 0, deviation 1) before the softmax.

    That changes how decided the lookup is, and with one key it divides 0 by 0. Give the dot
    products to softmax as they are.
    """
    scores = keys @ query
    return weigh((scores - scores.mean()) / scores.std()) @ values


@mistake("01.2", caught_by="test_lookup_whole_numbers")
def result_in_the_dtype_of_the_values(query, keys, values):
    """the result is written into an array with the dtype of the values.

    For whole-number values np.zeros_like and dtype=values.dtype cut the average to a whole number.
    Use np.zeros(values.shape[1]), or return weights @ values directly.
    """
    return (weigh(keys @ query) @ values).astype(values.dtype)


@mistake("01.2", caught_by="test_lookup_values")
def a_single_column_squeezed_away(query, keys, values):
    """axes of length 1 are squeezed out of the result.

    Values of width 1 give a result of shape (1,), not a number: leave np.squeeze out.
    """
    return np.squeeze(weigh(keys @ query) @ values)


@mistake("01.2", caught_by="test_square_keys")
def keys_turned_when_square(query, keys, values):
    """the table of keys is transposed when it is square.

    A key is a row of keys, (T, D_k), also when T happens to equal D_k: the sizes do not say which
    axis is which. keys @ query is right for all of them.
    """
    square = len(keys) == len(query)
    return weigh((keys.T if square else keys) @ query) @ values


@mistake("01.2", caught_by="test_lookup_values")
def small_weights_dropped(query, keys, values):
    """weights below 0.01 are set to 0.

    The others then no longer sum to 1, and the result is no average. A small weight is part of the
    soft lookup: keep all of them.
    """
    weights = weigh(keys @ query)
    return np.where(weights < 0.01, 0.0, weights) @ values


@mistake("01.2", caught_by="test_lookup_by_hand")
def softmax_of_each_product(query, keys, values):
    """softmax is taken over the D_k products of each key, before they are summed to a score.

    A score is one number per key: sum query * key over the features first. Softmax then goes over
    the T scores.
    """
    parts = weigh(keys * query, axis=-1) * (keys * query)
    return weigh(parts.sum(axis=-1)) @ values


@mistake("01.2", caught_by="test_lookup_by_hand")
def scores_standardised_with_care(query, keys, values):
    """the scores are standardised before the softmax (equal scores aside).

    With mean 0 and deviation 1 the size of the scores is lost: a query ten times as long would give
    the same weights. Hand the dot products to softmax as they are.
    """
    scores = keys @ query
    deviation = scores.std()
    return weigh((scores - scores.mean()) / (deviation if deviation > 1e-9 else 1.0)) @ values


# ---------------------------------------------------------------------------------------- 01.3
def refused(temperature):
    """The right answer to a negative temperature."""
    if not temperature >= 0:
        raise ValueError(f"temperature must be at least 0, got {temperature}")


def hard(scores, values):
    """The right answer at temperature 0."""
    return values[scores == scores.max()].mean(axis=0)


def plain(query, keys, values, temperature):
    """The right answer, for mistakes that lie in one special case."""
    refused(temperature)
    scores = keys @ query
    if temperature == 0:
        return hard(scores, values)
    return weigh(scores / temperature) @ values


@mistake("01.3", caught_by="test_temperature_by_hand")
def multiplied_by_temperature(query, keys, values, temperature):
    """the scores are multiplied by the temperature.

    Then a high temperature sharpens and 0 gives the average: the wrong way round. Divide.
    """
    refused(temperature)
    scores = keys @ query
    if temperature == 0:
        return hard(scores, values)
    return weigh(scores * temperature) @ values


@mistake("01.3", caught_by="test_temperature_by_hand")
def temperature_ignored(query, keys, values, temperature):
    """the temperature is not used.

    Divide the scores by it before the softmax.
    """
    refused(temperature)
    scores = keys @ query
    return hard(scores, values) if temperature == 0 else weigh(scores) @ values


@mistake("01.3", caught_by="test_temperature_whole_numbers")
def temperature_whole_numbers_kept(query, keys, values, temperature):
    """the result is an array with the dtype of the values.

    np.zeros_like(values) and dtype=values.dtype hold whole numbers when the values are whole, and
    cut every average. Use np.zeros(values.shape[1]), which holds floats.
    """
    refused(temperature)
    scores = keys @ query
    mixed = hard(scores, values) if temperature == 0 else weigh(scores / temperature) @ values
    return mixed.astype(values.dtype)


@mistake("01.3", caught_by="test_zero_is_hard")
def divided_by_zero(query, keys, values, temperature):
    """the scores are divided by the temperature although it is 0.

    score/0 is inf or NaN, and softmax of that is NaN. Treat 0 before the formula: average the
    values whose key has the largest score.
    """
    refused(temperature)
    scores = keys @ query
    with np.errstate(all="ignore"):
        return weigh(scores / np.float64(temperature)) @ values


@mistake("01.3", caught_by="test_zero_is_hard")
def no_special_cases(query, keys, values, temperature):
    """the formula is used for every temperature, 0 and negative ones included.

    Two cases come before it. A negative temperature: raise a ValueError. Zero: average the values
    whose key has the largest score.
    """
    return weigh(keys @ query / np.float64(temperature)) @ values


@mistake("01.3", caught_by="test_zero_is_hard")
def one_divided_by_zero(query, keys, values, temperature):
    """1 is divided by the temperature although it is 0.

    Python raises a ZeroDivisionError for that. Treat 0 before the formula: average the values whose
    key has the largest score.
    """
    refused(temperature)
    return weigh(keys @ query * (1 / temperature)) @ values


@mistake("01.3", caught_by="test_ties_share")
def first_of_ties(query, keys, values, temperature):
    """at temperature 0 the first of several best keys takes all.

    argmax returns the first. Keys with equal scores have equal weights at every temperature, hence
    also in the limit: average the values of all keys whose score is the maximum.
    """
    if temperature == 0:
        return values[np.argmax(keys @ query)] * 1.0
    return plain(query, keys, values, temperature)


@mistake("01.3", caught_by="test_ties_share")
def first_of_ties_and_negative_accepted(query, keys, values, temperature):
    """at temperature 0 the first of several best keys takes all, and negative ones are let through.

    Two things are left to do. argmax picks the first of several: average the values of all keys
    whose score is the maximum. And a negative temperature should raise a ValueError.
    """
    scores = keys @ query
    if temperature == 0:
        return values[np.argmax(scores)] * 1.0
    return weigh(scores / temperature) @ values


@mistake("01.3", caught_by="test_zero_is_hard")
def ties_not_averaged(query, keys, values, temperature):
    """at temperature 0 the values of the best keys are returned as they are, one per row.

    One value is asked for, of shape (D_v,), also when several keys tie: take the mean over axis 0.
    """
    if temperature == 0:
        scores = keys @ query
        return values[scores == scores.max()]
    return plain(query, keys, values, temperature)


@mistake("01.3", caught_by="test_ties_share")
def last_of_ties(query, keys, values, temperature):
    """at temperature 0 the last of several best keys takes all.

    Average the values of all keys whose score is the maximum; sorting, or a loop with >=, keeps
    only one of them.
    """
    if temperature == 0:
        return values[np.flatnonzero(keys @ query == (keys @ query).max())[-1]] * 1.0
    return plain(query, keys, values, temperature)


@mistake("01.3", caught_by="test_ties_share")
def ties_added(query, keys, values, temperature):
    """at temperature 0 the values of all best keys are added, not averaged.

    Weights sum to 1 here too: three keys that tie get a third each. Use mean, or divide by the
    number of best keys.
    """
    if temperature == 0:
        scores = keys @ query
        return values[scores == scores.max()].sum(axis=0)
    return plain(query, keys, values, temperature)


@mistake("01.3", caught_by="test_zero_is_hard")
def zero_gives_the_average(query, keys, values, temperature):
    """temperature 0 returns the average of all values.

    It is the other end: 0 is the hard lookup, infinity is the average.
    """
    return values.mean(axis=0) if temperature == 0 else plain(query, keys, values, temperature)


@mistake("01.3", caught_by="test_zero_is_hard")
def zero_taken_for_one(query, keys, values, temperature):
    """temperature 0 is treated like temperature 1.

    `if temperature:` is false for 0, and so is `temperature or 1.0`. Ask `temperature == 0`.
    """
    return plain(query, keys, values, temperature or 1.0)


@mistake("01.3", caught_by="test_zero_is_hard")
def zero_picks_the_worst(query, keys, values, temperature):
    """temperature 0 returns the value of the key with the smallest score.

    The best match has the *largest* score: max, not min.
    """
    if temperature == 0:
        return hard(-(keys @ query), values)
    return plain(query, keys, values, temperature)


@mistake("01.3", caught_by="test_zero_is_hard")
def zero_picks_the_largest_size(query, keys, values, temperature):
    """temperature 0 returns the value of the key with the largest *absolute* score.

    A large negative score is the worst match, not the best. Leave np.abs out.
    """
    if temperature == 0:
        return hard(np.abs(keys @ query), values)
    return plain(query, keys, values, temperature)


@mistake("01.3", caught_by="test_only_the_ratio_counts")
def smallest_temperature_set(query, keys, values, temperature):
    """temperatures below some small number are raised to it, or the number is added.

    With small scores a small temperature is an ordinary one; only their ratio counts. Treat
    temperature == 0 on its own and divide by every other.
    """
    refused(temperature)
    return weigh(keys @ query / max(temperature, 1e-8)) @ values


@mistake("01.3", caught_by="test_only_the_ratio_counts")
def small_temperature_taken_for_zero(query, keys, values, temperature):
    """every small temperature is treated as 0.

    With small scores a small temperature is an ordinary one; only their ratio counts. Only
    temperature == 0 is the hard lookup (np.isclose is too generous).
    """
    refused(temperature)
    return plain(query, keys, values, 0.0 if temperature < 1e-8 else temperature)


@mistake("01.3", caught_by="test_infinity_is_average")
def infinity_refused(query, keys, values, temperature):
    """an infinite temperature raises an error.

    np.inf is allowed and means the plain average. The formula does it without a special case.
    """
    if not np.isfinite(temperature):
        raise ValueError(f"temperature must be finite, got {temperature}")
    return plain(query, keys, values, temperature)


@mistake("01.3", caught_by="test_infinity_is_average")
def infinity_adds_the_values(query, keys, values, temperature):
    """an infinite temperature adds the values up in place of averaging them.

    All weights are 1/T there, not 1.
    """
    return values.sum(axis=0) if temperature == np.inf else plain(query, keys, values, temperature)


@mistake("01.3", caught_by="test_infinity_is_average")
def infinity_gives_zeros(query, keys, values, temperature):
    """an infinite temperature returns zeros.

    The scores become 0 there, not the weights: equal scores give equal weights, 1/T each.
    """
    if temperature == np.inf:
        return np.zeros(values.shape[1])
    return plain(query, keys, values, temperature)


@mistake("01.3", caught_by="test_bad_temperature")
def negative_prefers_the_worst(query, keys, values, temperature):
    """a negative temperature is divided by like any other.

    It turns the lookup upside down, and nobody notices. Raise a ValueError before anything else.
    """
    if temperature < 0:
        return weigh(keys @ query / temperature) @ values
    return plain(query, keys, values, temperature)


@mistake("01.3", caught_by="test_bad_temperature")
def sign_of_temperature_dropped(query, keys, values, temperature):
    """the sign of a negative temperature is dropped.

    Repairing a wrong input hides somebody's mistake. Raise a ValueError that says what was wrong.
    """
    return plain(query, keys, values, abs(temperature))


@mistake("01.3", caught_by="test_bad_temperature")
def negative_taken_for_zero(query, keys, values, temperature):
    """a negative temperature is treated as 0.

    Repairing a wrong input hides somebody's mistake. Raise a ValueError that says what was wrong.
    """
    return plain(query, keys, values, max(temperature, 0.0))


@mistake("01.3", caught_by="test_bad_temperature")
def negative_returns_none(query, keys, values, temperature):
    """a negative temperature returns None.

    The caller would only notice later, somewhere else. `raise ValueError(...)` stops where the
    mistake is; `return ValueError(...)` and print do not.
    """
    return None if temperature < 0 else plain(query, keys, values, temperature)


@mistake("01.3", caught_by="test_bad_temperature")
def negative_asserted(query, keys, values, temperature):
    """a negative temperature raises an AssertionError.

    assert is for your own slips and disappears when Python runs with -O. For a wrong argument raise
    a ValueError.
    """
    if temperature < 0:
        raise AssertionError
    return plain(query, keys, values, temperature)


@mistake("01.3", caught_by="test_zero_is_hard")
def zero_refused(query, keys, values, temperature):
    """temperature 0 raises a ValueError.

    Only negative temperatures are wrong. 0 is the hard lookup: `if temperature < 0`, not `<= 0`.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    return plain(query, keys, values, temperature)


@mistake("01.3", caught_by="test_ordinary_temperatures")
def root_of_temperature(query, keys, values, temperature):
    """the scores are divided by the square root of the temperature.

    Divide by the temperature itself.
    """
    refused(temperature)
    return plain(query, keys, values, np.sqrt(temperature))


@mistake("01.3", caught_by="test_ordinary_temperatures")
def divided_by_width_as_well(query, keys, values, temperature):
    """the scores are divided by the square root of the key width as well.

    The temperature is the only thing to divide by here.
    """
    return plain(query / np.sqrt(len(query)), keys, values, temperature)


@mistake("01.3", caught_by="test_temperature_by_hand")
def divided_after_softmax(query, keys, values, temperature):
    """the weights are divided by the temperature, after the softmax.

    They no longer sum to 1 then. The scores are divided, before the softmax.
    """
    refused(temperature)
    scores = keys @ query
    if temperature == 0:
        return hard(scores, values)
    if temperature == np.inf:
        return values.mean(axis=0)
    return weigh(scores) / temperature @ values


@mistake("01.3", caught_by="test_temperature_by_hand")
def powers_not_normalised(query, keys, values, temperature):
    """the weights are raised to the power 1/temperature and no longer sum to 1.

    Divide the scores before the softmax: it normalises at the right moment.
    """
    refused(temperature)
    scores = keys @ query
    if temperature == 0:
        return hard(scores, values)
    return weigh(scores) ** (1 / temperature) @ values


@mistake("01.3", caught_by="test_far_apart")
def powers_of_weights(query, keys, values, temperature):
    """the finished weights are raised to the power 1/temperature and normalised again.

    On paper that is the same. But a weight that was rounded to 0 stays 0 at every temperature.
    Divide the scores, before the softmax.
    """
    refused(temperature)
    scores = keys @ query
    if temperature == 0:
        return hard(scores, values)
    powers = weigh(scores) ** (1 / temperature)
    return powers / powers.sum() @ values


@mistake("01.3", caught_by="test_far_apart")
def temperature_overflow(query, keys, values, temperature):
    """the softmax subtracts no maximum.

    A low temperature makes scores huge, and exp overflows. Use a softmax that subtracts the largest
    score (numpy_core.softmax).
    """
    refused(temperature)
    scores = keys @ query
    if temperature == 0:
        return hard(scores, values)
    return overflowing(scores / temperature) @ values


@mistake("01.3", caught_by="test_temperature_by_hand")
def brackets_missing(query, keys, values, temperature):
    """the exponent is score - maximum / temperature, for want of brackets.

    Only the maximum is divided there. Write (score - maximum) / temperature.
    """
    refused(temperature)
    scores = keys @ query
    if temperature == 0:
        return hard(scores, values)
    exponentials = np.exp(scores - scores.max() / temperature)
    return exponentials / exponentials.sum() @ values


@mistake("01.3", caught_by="test_near_ties_do_not_share")
def close_scores_tie(query, keys, values, temperature):
    """keys whose scores are close to the largest count as ties.

    np.isclose calls scores equal that differ in the sixth digit. At temperature 0 only equal scores
    share: `scores == scores.max()`.
    """
    if not temperature >= 0:
        raise ValueError("temperature must be at least 0")
    scores = keys @ query
    if temperature == 0:
        return values[np.isclose(scores, scores.max())].mean(axis=0)
    return weigh(scores / temperature) @ values


@mistake("01.3", caught_by="test_near_ties_do_not_share")
def rounded_scores_tie(query, keys, values, temperature):
    """scores are rounded before the best is looked for.

    Rounding makes ties that are none. Compare the scores as they are: `scores == scores.max()`.
    """
    if not temperature >= 0:
        raise ValueError("temperature must be at least 0")
    scores = keys @ query
    if temperature == 0:
        rounded = np.round(scores, 6)
        return values[rounded == rounded.max()].mean(axis=0)
    return weigh(scores / temperature) @ values


@mistake("01.3", caught_by="test_bad_temperature")
def nan_goes_through(query, keys, values, temperature):
    """a temperature that is not a number is computed with.

    `temperature < 0` is False for NaN, and so is every other comparison. Ask for what must hold:
    `if not temperature >= 0: raise ValueError(...)`.
    """
    if temperature < 0:
        raise ValueError("temperature must be at least 0")
    scores = keys @ query
    if temperature == 0:
        return values[scores == scores.max()].mean(axis=0)
    return weigh(scores / temperature) @ values


@mistake("01.3", caught_by="test_zero_below_zero")
def best_score_at_least_zero(query, keys, values, temperature):
    """at temperature 0 the search for the best score starts at 0.

    With negative scores alone no key is found then. Start with the first score, or with -inf;
    scores.max() does.
    """
    refused(temperature)
    scores = keys @ query
    if temperature == 0:
        best = scores == scores.max(initial=0.0)
        return best @ values / max(int(best.sum()), 1)
    return weigh(scores / temperature) @ values


# ---------------------------------------------------------------------------------------- 01.4
@mistake("01.4", caught_by="test_loops_values")
def loops_without_softmax(q, k, v):
    """the values are weighted with the scores, without a softmax.

    Scores may be negative and do not sum to 1. Turn each query's scores into weights first.
    """
    return (q @ k.T) @ v * 1.0


@mistake("01.4", caught_by="test_loops_values")
def loops_softmax_over_queries(q, k, v):
    """the weights sum to 1 over the queries, not over the keys.

    Each *query* has one unit of weight to give to the keys. Take the softmax of the scores of one
    query, over j.
    """
    return weigh(q @ k.T, axis=0) @ v


@mistake("01.4", caught_by="test_loops_values")
def loops_one_sum_for_all(q, k, v):
    """all queries share one sum of exponentials.

    Every query needs a sum of its own, over its own scores, so that its weights sum to 1.
    """
    scores = q @ k.T
    exponentials = np.exp(scores - scores.max())
    return exponentials / exponentials.sum() @ v


@mistake("01.4", caught_by="test_loops_values")
def loops_divided_by_root_of_width(q, k, v):
    """the scores are divided by the square root of the key width.

    Chapter 2 shows what that is good for. Here the plain dot product is asked for.
    """
    return weigh(q @ k.T / np.sqrt(q.shape[1])) @ v


@mistake("01.4", caught_by="test_loops_large_scores")
def loops_overflow(q, k, v):
    """the softmax subtracts no maximum.

    Scores near 1000 overflow, scores near -1000 all become 0. Subtract the largest score of the
    query first, or use numpy_core.softmax.
    """
    return overflowing(q @ k.T) @ v


@mistake("01.4", caught_by="test_loops_large_scores")
def loops_maximum_of_everything(q, k, v):
    """one maximum is subtracted for all queries.

    A query whose scores lie far below that has only zeros left, and 0/0 is NaN. Find the maximum
    anew for every query.
    """
    scores = q @ k.T
    exponentials = np.exp(scores - scores.max())
    return exponentials / exponentials.sum(axis=-1, keepdims=True) @ v


@mistake("01.4", caught_by="test_loops_large_scores")
def loops_maximum_at_least_zero(q, k, v):
    """the search for the largest score starts at 0.

    When all scores of a query lie far below zero, every exponential becomes 0, and 0/0 is NaN.
    Start with the first score, or with -inf.
    """
    scores = q @ k.T
    exponentials = np.exp(scores - np.maximum(scores.max(axis=-1, keepdims=True), 0.0))
    return exponentials / exponentials.sum(axis=-1, keepdims=True) @ v


@mistake("01.4", caught_by="test_loops_large_scores")
def loops_maximum_carried_over(q, k, v):
    """the largest score is carried over from one query to the next.

    A later query whose scores lie far below it has only zeros left, and 0/0 is NaN. Reset the
    maximum (to -inf) inside the loop over the queries.
    """
    scores = q @ k.T
    largest = np.maximum.accumulate(scores.max(axis=-1, keepdims=True))
    exponentials = np.exp(scores - largest)
    return exponentials / exponentials.sum(axis=-1, keepdims=True) @ v


@mistake("01.4", caught_by="test_loops_query_alone")
def loops_result_carried_over(q, k, v):
    """the weighted sum is not reset between queries, so each row contains all rows before it.

    Set the accumulator to zero *inside* the loop over the queries.
    """
    return np.cumsum(weigh(q @ k.T) @ v, axis=0)


@mistake("01.4", caught_by="test_loops_by_hand")
def loops_one_array_for_all_rows(q, k, v):
    """one and the same array is stored as every row, and keeps growing.

    A list of rows holds the array itself, not a copy: `acc += ...` changes all rows that were
    stored before. Make a new array for each query, np.zeros(v.shape[1]) inside the outer loop.
    """
    total = (weigh(q @ k.T) @ v).sum(axis=0)
    return np.tile(total, (len(q), 1))


@mistake("01.4", caught_by="test_loops_by_hand")
def loops_last_query_for_all(q, k, v):
    """every row of the result is that of the last query.

    A list of rows holds the array itself, not a copy: setting it back to zero (`acc[:] = 0`) and
    filling it again changes the rows stored before. Make a new array for each query, inside the
    outer loop, or write into out[i], not into the whole of out.
    """
    return np.tile((weigh(q @ k.T) @ v)[-1], (len(q), 1))


@mistake("01.4", caught_by="test_loops_by_hand")
def loops_returned_too_early(q, k, v):
    """the function returns after the first query.

    Only the first row is filled then. `return` belongs below the outer loop, at its own indentation
    level.
    """
    out = np.zeros((len(q), v.shape[1]))
    out[0] = (weigh(q @ k.T) @ v)[0]
    return out


@mistake("01.4", caught_by="test_loops_by_hand")
def loops_values_summed(q, k, v):
    """every value gets the weight 1.

    That happens when softmax is given one score at a time. Collect the scores of a query over all
    keys first, and take the softmax of all of them together.
    """
    return np.tile(v.sum(axis=0) * 1.0, (len(q), 1))


@mistake("01.4", caught_by="test_loops_values")
def loops_as_wide_as_the_queries(q, k, v):
    """the result is made as wide as a query.

    A row of the result is an average of values, so it is as wide as a value:
    np.zeros((len(q), v.shape[1])).
    """
    out = np.zeros((len(q), q.shape[1]))
    out += weigh(q @ k.T) @ v
    return out


@mistake("01.4", caught_by="test_loops_values")
def loops_like_the_queries(q, k, v):
    """the result is made with np.zeros_like(q).

    That has the width of a query and its dtype. A row of the result is an average of values:
    np.zeros((len(q), v.shape[1])).
    """
    out = np.zeros_like(q)
    out += weigh(q @ k.T) @ v
    return out


@mistake("01.4", caught_by="test_loops_query_alone")
def loops_sum_carried_over(q, k, v):
    """the sum of the exponentials is not reset between queries.

    The second query is divided by the sum of two, the third by the sum of three. Set the sum to
    zero *inside* the loop over the queries.
    """
    exponentials = np.exp(q @ k.T)
    return exponentials / np.cumsum(exponentials.sum(axis=-1, keepdims=True), axis=0) @ v


@mistake("01.4", caught_by="test_loops_query_alone")
def loops_safe_sum_carried_over(q, k, v):
    """the sum of the exponentials is not reset between queries, though each query has its maximum.

    The second query is divided by the sum of two, the third by the sum of three. Set the sum to
    zero *inside* the loop over the queries.
    """
    scores = q @ k.T
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / np.cumsum(exponentials.sum(axis=-1, keepdims=True), axis=0) @ v


@mistake("01.4", caught_by="test_loops_values")
def loops_last_key_left_out(q, k, v):
    """the last key is left out.

    range(len(k) - 1) stops one too early: range(n) already ends at n - 1.
    """
    return weigh(q @ k[:-1].T) @ v[:-1]


@mistake("01.4", caught_by="test_loops_values")
def loops_first_key_left_out(q, k, v):
    """the first key is left out.

    Positions are counted from 0: range(len(k)), not range(1, len(k)).
    """
    return weigh(q @ k[1:].T) @ v[1:]


@mistake("01.4", caught_by="test_loops_values")
def loops_later_keys_ignored(q, k, v):
    """query i sees the keys up to i only.

    That is causal attention, a topic of chapter 2. Here every query may look at every key:
    range(len(k)), not range(i + 1).
    """
    if len(q) > len(k):
        raise IndexError(f"index {len(k)} is out of bounds for axis 0 with size {len(k)}")
    scores = np.where(np.tri(len(q), len(k), dtype=bool), q @ k.T, -np.inf)
    return weigh(scores) @ v


@mistake("01.4", caught_by="test_loops_values")
def loops_as_many_keys_as_queries(q, k, v):
    """the inner loop runs over as many keys as there are queries.

    It has to be range(len(k)). The two lengths agree only when q and k come from one sequence.
    """
    if len(q) > len(k):
        raise IndexError(f"index {len(k)} is out of bounds for axis 0 with size {len(k)}")
    return weigh(q @ k[: len(q)].T) @ v[: len(q)]


@mistake("01.4", caught_by="test_loops_more_queries")
def loops_rows_left_at_zero(q, k, v):
    """only as many queries are answered as there are keys.

    The other rows stay zero. zip stops with the shorter of its arguments: walk over the queries
    alone, and inside over all keys.
    """
    out = weigh(q @ k.T) @ v
    out[len(k) :] = 0
    return out


@mistake("01.4", caught_by="test_loops_values")
def loops_overwritten(q, k, v):
    """the result is overwritten by each key, so that the last one remains.

    out[i] = weight * v[j] forgets the keys before j. Add it: out[i] += weight * v[j].
    """
    return weigh(q @ k.T)[:, -1:] * v[-1]


@mistake("01.4", caught_by="test_loops_values")
def loops_never_divided(q, k, v):
    """the exponentials are not divided by their sum.

    The result is larger than any average could be. Divide by the sum over the keys.
    """
    scores = q @ k.T
    return np.exp(scores - scores.max(axis=-1, keepdims=True)) @ v


@mistake("01.4", caught_by="test_loops_values")
def loops_divided_by_number_of_keys(q, k, v):
    """the weighted sum is divided by the number of keys as well.

    The weights already sum to 1: the weighted sum is the average.
    """
    return weigh(q @ k.T) @ v / len(k)


@mistake("01.4", caught_by="test_loops_values")
def loops_weights_returned(q, k, v):
    """the weights are returned, and the values not used.

    The result has one row per query, as wide as a value: mix the rows of v with the weights.
    """
    return weigh(q @ k.T)


@mistake("01.4", caught_by="test_loops_values")
def loops_keys_mixed(q, k, v):
    """the keys are mixed in place of the values.

    Keys are for scores only; the weighted sum is over v.
    """
    return weigh(q @ k.T) @ k


@mistake("01.4", caught_by="test_loops_by_hand")
def loops_first_query_for_all(q, k, v):
    """every row uses the first query.

    Inside the loop it has to be q[i], not q[0].
    """
    return np.repeat(weigh(q[:1] @ k.T) @ v, len(q), axis=0)


@mistake("01.4", caught_by="test_loops_by_hand")
def loops_best_value_only(q, k, v):
    """each query gets the value of its best key only.

    That is the hard lookup, the limit of temperature 0. Mix all values with softmax weights.
    """
    return v[np.argmax(q @ k.T, axis=-1)] * 1.0


@mistake("01.4", caught_by="test_loops_whole_numbers")
def loops_whole_numbers_kept(q, k, v):
    """the result is an array with the dtype of the inputs.

    np.zeros_like(v) and dtype=v.dtype hold whole numbers when the inputs do, and cut every average.
    Use np.zeros((rows, columns)), which holds floats.
    """
    return (weigh(q @ k.T) @ v).astype(v.dtype)


@mistake("01.4", caught_by="test_loops_query_alone")
def loops_kept_by_sum(q, k, v):
    """two queries with the same sum of entries get the same row.

    Another order of the same numbers is another query, with other scores. Whatever is kept from an
    earlier query must be kept for exactly that query; nothing needs to be kept here.
    """
    kept = {}
    for row in q:
        kept.setdefault(round(float(row.sum()), 9), weigh(k @ row) @ v)
    return np.array([kept[round(float(row.sum()), 9)] for row in q])


@mistake("01.4", caught_by="test_loops_by_hand")
def loops_last_product_only(q, k, v):
    """the loop of the dot product overwrites in place of adding.

    Only the product of the last feature is left then. Start at 0 and write
    `score += q[i, d] * k[j, d]`.
    """
    return weigh(np.outer(q[:, -1], k[:, -1])) @ v


@mistake("01.4", caught_by="test_loops_by_hand")
def loops_divided_by_the_sum_so_far(q, k, v):
    """each exponential is divided by the sum so far, not by the whole sum.

    The sum is known only when the loop over the keys has ended. Divide in a second loop after it.
    """
    scores = q @ k.T
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return (exponentials / np.maximum(exponentials.cumsum(axis=-1), 1e-300)) @ v


@mistake("01.4", caught_by="test_loops_values")
def loops_hopeless_keys_left_out(q, k, v):
    """keys that score more than 5 below the best one are left out.

    exp(-5) is 0.7 %: small, but part of the average. Every key has a share.
    """
    scores = q @ k.T
    below = scores.max(axis=-1, keepdims=True) - scores
    return weigh(np.where(below > 5, -np.inf, scores)) @ v


@mistake("01.4", caught_by="test_loops_by_hand")
def loops_output_not_rescaled(q, k, v):
    """a new largest score corrects the running sum, but not the running output.

    In a single pass both were computed with the old maximum: multiply both by
    exp(old maximum - new maximum).
    """
    rows = []
    for row in q:
        top, total, output = -np.inf, 0.0, np.zeros(v.shape[1])
        for score, value in zip(k @ row, v, strict=True):
            higher = max(top, score)
            total = total * np.exp(top - higher) + np.exp(score - higher)
            output = output + np.exp(score - higher) * value
            top = higher
        rows.append(output / total)
    return np.array(rows)


@mistake("01.4", caught_by="test_loops_square")
def loops_turned_until_it_fits(q, k, v):
    """the scores are transposed where that makes their shape fit.

    With as many queries as keys both ways round fit, and only one is right: row i belongs to query
    i, whatever the sizes are.
    """
    scores = k @ q.T
    return weigh(scores if scores.shape == (len(q), len(k)) else scores.T) @ v


# ---------------------------------------------------------------------------------------- 01.5
@mistake("01.5", caught_by="test_matrix_no_loop")
def matrix_with_a_loop_over_queries(q, k, v):
    """a Python loop runs over the queries: right, but slow.

    A comprehension, np.vectorize and np.apply_along_axis loop in Python too. q @ k.T holds the
    scores of all queries at once, and softmax treats each row on its own.
    """
    weights = weigh(q @ k.T)
    out = np.zeros((len(q), v.shape[1]))
    for i in range(len(q)):
        out[i] = weights[i] @ v
    return out


@mistake("01.5", caught_by="test_matrix_no_loop")
def matrix_with_two_loops(q, k, v):
    """two nested Python loops run over queries and keys: right, but slow.

    That is Exercise 1.4. q @ k.T holds all the dot products at once.
    """
    scores = np.zeros((len(q), len(k)))
    for i in range(len(q)):
        for j in range(len(k)):
            scores[i, j] = q[i] @ k[j]
    return weigh(scores) @ v


@mistake("01.5", caught_by="test_matrix_constant_values")
def matrix_softmax_over_queries(q, k, v):
    """the columns of the scores are normalised (axis=0), not the rows.

    Row i belongs to query i, and its weights have to sum to 1: softmax along axis=-1.
    """
    return weigh(q @ k.T, axis=0) @ v


@mistake("01.5", caught_by="test_matrix_constant_values")
def matrix_softmax_over_everything(q, k, v):
    """all weights together sum to 1, not each row.

    Maximum and sum need axis=-1 and keepdims=True, so that every query is normalised on its own.
    """
    scores = q @ k.T
    exponentials = np.exp(scores - scores.max())
    return exponentials / exponentials.sum() @ v


@mistake("01.5", caught_by="test_matrix_constant_values")
def matrix_columns_and_overflow(q, k, v):
    """np.exp(scores) is divided by the sums of the columns (axis=0).

    Two things are left to do. Row i belongs to query i and has to sum to 1: axis=-1. And exp(1000)
    overflows: subtract each row's maximum. numpy_core.softmax does both.
    """
    exponentials = np.exp(q @ k.T)
    return exponentials / exponentials.sum(axis=0) @ v


@mistake("01.5", caught_by="test_matrix_constant_values")
def matrix_everything_and_overflow(q, k, v):
    """np.exp(scores) is divided by the sum of the whole matrix.

    Two things are left to do. Each row has to sum to 1: axis=-1, keepdims=True. And exp(1000)
    overflows: subtract each row's maximum. numpy_core.softmax does both.
    """
    exponentials = np.exp(q @ k.T)
    return exponentials / exponentials.sum() @ v


@mistake("01.5", caught_by="test_matrix_values")
def matrix_axis_not_kept(q, k, v):
    """the maximum or the sum of each row loses its axis (keepdims=True is missing).

    One number per row in a flat array is lined up with the columns. With keepdims=True it stays a
    column, and each row gets its own.
    """
    exponentials = np.exp(q @ k.T)
    return exponentials / exponentials.sum(axis=-1) @ v


@mistake("01.5", caught_by="test_matrix_values")
def matrix_keys_not_transposed(q, k, v):
    """the queries are multiplied by the keys as they are, q @ k.

    Both hold one vector per row. The dot products of all rows with all rows are q @ k.T, of shape
    (T_q, T_k).
    """
    return weigh(q @ k) @ v


@mistake("01.5", caught_by="test_matrix_values")
def matrix_keys_times_queries(q, k, v):
    """the scores are k @ q.T, with one row per key.

    Each row has to belong to a query, because softmax makes each row sum to 1: q @ k.T, of shape
    (T_q, T_k).
    """
    return weigh(k @ q.T) @ v


@mistake("01.5", caught_by="test_matrix_values")
def matrix_weights_on_the_wrong_side(q, k, v):
    """the weights stand to the right of the values, v @ weights.

    (T_q, T_k) and (T_k, D_v) fit together in this order only: weights @ v.
    """
    return v @ weigh(q @ k.T)


@mistake("01.5", caught_by="test_matrix_values")
def matrix_softmax_at_the_end(q, k, v):
    """softmax is applied to the result, after both products.

    It belongs between them: the weights are the softmax of q @ k.T, and then they mix v.
    """
    return weigh(q @ k.T @ v)


@mistake("01.5", caught_by="test_matrix_values")
def matrix_divided_by_root_of_value_width(q, k, v):
    """the scores are divided by the square root of the value width.

    The plain product q @ k.T is asked for. (In chapter 2 the scores are divided, but by the root of
    the keys' width.)
    """
    return weigh(q @ k.T / np.sqrt(v.shape[1])) @ v


@mistake("01.5", caught_by="test_matrix_values")
def matrix_divided_by_root_of_width(q, k, v):
    """the scores are divided by the square root of the key width.

    Chapter 2 shows what that is good for. Here the plain dot product is asked for.
    """
    return weigh(q @ k.T / np.sqrt(q.shape[1])) @ v


@mistake("01.5", caught_by="test_matrix_values")
def matrix_divided_by_width(q, k, v):
    """the scores are divided by the key width.

    The plain product q @ k.T is asked for.
    """
    return weigh(q @ k.T / q.shape[1]) @ v


@mistake("01.5", caught_by="test_matrix_constant_values")
def matrix_without_softmax(q, k, v):
    """there is no softmax between the two products.

    Scores may be negative and do not sum to 1. Turn each row of q @ k.T into weights first.
    """
    return q @ k.T @ v


@mistake("01.5", caught_by="test_matrix_values")
def matrix_divided_by_the_sum_of_scores(q, k, v):
    """the scores are divided by their row's sum, without an exponential.

    The rows then sum to 1, but with negative weights in them. Softmax exponentiates first.
    """
    scores = q @ k.T
    return scores / scores.sum(axis=-1, keepdims=True) @ v


@mistake("01.5", caught_by="test_matrix_large_scores")
def matrix_overflow(q, k, v):
    """the softmax subtracts no maximum.

    Scores near 1000 overflow, and rows near -1000 become 0/0. Subtract each row's maximum, or use
    numpy_core.softmax.
    """
    return overflowing(q @ k.T) @ v


@mistake("01.5", caught_by="test_matrix_large_scores")
def matrix_maximum_of_everything(q, k, v):
    """the largest score of the whole matrix is subtracted.

    A row that lies far below it has only zeros left, and 0/0 is NaN. Take the maximum of each row:
    scores.max(axis=-1, keepdims=True).
    """
    scores = q @ k.T
    exponentials = np.exp(scores - scores.max())
    return exponentials / exponentials.sum(axis=-1, keepdims=True) @ v


@mistake("01.5", caught_by="test_matrix_values")
def matrix_maximum_of_each_column(q, k, v):
    """the maximum of each column is subtracted, not that of each row.

    What is subtracted must be one number for a whole row, or it does not cancel: axis=-1 for
    maximum and sum alike.
    """
    scores = q @ k.T
    exponentials = np.exp(scores - scores.max(axis=0))
    return exponentials / exponentials.sum(axis=-1, keepdims=True) @ v


@mistake("01.5", caught_by="test_matrix_constant_values")
def matrix_never_divided(q, k, v):
    """the exponentials are not divided by their sum.

    Equal values come back larger than they were. Divide each row by its sum.
    """
    scores = q @ k.T
    return np.exp(scores - scores.max(axis=-1, keepdims=True)) @ v


@mistake("01.5", caught_by="test_matrix_values")
def matrix_later_keys_ignored(q, k, v):
    """query i sees the keys up to i only.

    That is causal attention, a topic of chapter 2. Here every query may look at every key.
    """
    scores = np.where(np.tri(len(q), len(k), dtype=bool), q @ k.T, -np.inf)
    return weigh(scores) @ v


@mistake("01.5", caught_by="test_matrix_values")
def matrix_softmax_of_queries_and_keys(q, k, v):
    """softmax is applied to q and to k before they are multiplied.

    The softmax belongs around the product: softmax(q @ k.T) @ v.
    """
    return weigh(q) @ weigh(k).T @ v


@mistake("01.5", caught_by="test_matrix_values")
def matrix_exponentials_multiplied(q, k, v):
    """q and k are exponentiated first, and then multiplied.

    The exponential of a dot product is not the dot product of exponentials: np.exp goes around
    q @ k.T.
    """
    scores = np.exp(q - q.max(axis=-1, keepdims=True)) @ np.exp(k - k.max()).T
    return scores / scores.sum(axis=-1, keepdims=True) @ v


@mistake("01.5", caught_by="test_matrix_by_hand")
def matrix_softmax_twice(q, k, v):
    """softmax is applied twice.

    The second one takes weights for scores and makes them nearly equal. Once is enough.
    """
    return weigh(weigh(q @ k.T)) @ v


@mistake("01.5", caught_by="test_matrix_values")
def matrix_keys_mixed(q, k, v):
    """the keys are mixed in place of the values.

    Keys are for scores only; the second product is with v.
    """
    return weigh(q @ k.T) @ k


@mistake("01.5", caught_by="test_matrix_values")
def matrix_weights_returned(q, k, v):
    """the weights are returned, and the values not used.

    The second product is missing: weights @ v has shape (T_q, D_v).
    """
    return weigh(q @ k.T)


@mistake("01.5", caught_by="test_matrix_values")
def matrix_result_transposed(q, k, v):
    """the result is transposed, (D_v, T_q).

    One row per query is asked for: weights @ v, weights on the left.
    """
    return (weigh(q @ k.T) @ v).T.copy()


@mistake("01.5", caught_by="test_matrix_single")
def matrix_single_axes_dropped(q, k, v):
    """axes of length 1 are squeezed out.

    A single query still gives a table with one row, (1, D_v). Leave np.squeeze out.
    """
    return np.squeeze(weigh(q @ k.T) @ v)


@mistake("01.5", caught_by="test_matrix_by_hand")
def matrix_best_value_only(q, k, v):
    """each query gets the value of its best key only.

    That is the hard lookup, the limit of temperature 0. Mix all values with softmax weights.
    """
    return v[np.argmax(q @ k.T, axis=-1)]


@mistake("01.5", caught_by="test_matrix_whole_numbers")
def matrix_whole_numbers_kept(q, k, v):
    """the result is cast to the dtype of the inputs.

    Averages of whole numbers are fractions. Leave the cast out.
    """
    return (weigh(q @ k.T) @ v).astype(v.dtype)


@mistake("01.5", caught_by="test_matrix_no_loop")
def matrix_with_a_hidden_loop(q, k, v):
    """the numbers are right, and numpy calls a Python function once for each row of scores.

    np.apply_along_axis and np.vectorize are loops in Python, written by somebody else. A softmax
    along the last axis does all rows at once.
    """
    return np.apply_along_axis(weigh, 1, q @ k.T) @ v


@mistake("01.5", caught_by="test_matrix_square")
def matrix_sums_along_the_columns_when_square(q, k, v):
    """with as many queries as keys, column j is divided by the sum of row j.

    Sums without keepdims=True are a flat array, which NumPy lines up with the columns; in a square
    table that fits, and nothing warns. Keep the axis: sum(axis=-1, keepdims=True).
    """
    scores = q @ k.T
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    sums = exponentials.sum(axis=-1)
    return (exponentials / (sums if len(q) == len(k) else sums[:, None])) @ v


@mistake("01.5", caught_by="test_matrix_by_hand")
def matrix_table_in_half_precision(q, k, v):
    """the table of scores is kept in float16.

    float16 has three digits and ends at 65504. Compute in the dtype of the inputs.
    """
    return weigh((q @ k.T).astype(np.float16).astype(np.float64)) @ v


@mistake("01.5", caught_by="test_matrix_by_hand")
def matrix_exponential_of_each_product(q, k, v):
    """the exponential is taken of each product, before the products are summed to a score.

    exp of a sum is the product of the exps, not their sum. Make the dot products first, q @ k.T,
    then take softmax of each row.
    """
    products = q[:, None, :] * k[None, :, :]
    exponentials = np.exp(products - products.max(axis=(1, 2), keepdims=True)).sum(axis=-1)
    return (exponentials / exponentials.sum(axis=-1, keepdims=True)) @ v


# ---------------------------------------------------------------------------------------- 01.6
@mistake("01.6", caught_by="test_query_matters")
def no_tanh(query, keys, W_q, W_k, w):
    """the tanh is left out.

    Then the query adds the same number to every score, softmax ignores it, and all queries get the
    same weights. Put np.tanh around the sum, before the product with w.
    """
    return (query @ W_q + keys @ W_k) @ w


@mistake("01.6", caught_by="test_additive_by_hand")
def tanh_of_the_score(query, keys, W_q, W_k, w):
    """tanh is applied to the finished score, after w.

    It belongs around the A hidden numbers: np.tanh(...) @ w, not np.tanh(... @ w). A score may well
    be larger than 1.
    """
    return np.tanh((query @ W_q + keys @ W_k) @ w)


@mistake("01.6", caught_by="test_query_matters")
def tanh_of_each_term(query, keys, W_q, W_k, w):
    """query and key each go through a tanh of their own, and are added afterwards.

    Then the query still adds the same number to every score. The sum belongs inside the tanh.
    """
    return (np.tanh(query @ W_q) + np.tanh(keys @ W_k)) @ w


@mistake("01.6", caught_by="test_query_matters")
def query_forgotten(query, keys, W_q, W_k, w):
    """the query's term is missing.

    The scores are then the same for every query. Add query @ W_q inside the tanh.
    """
    return np.tanh(keys @ W_k) @ w


@mistake("01.6", caught_by="test_additive_values")
def keys_forgotten(query, keys, W_q, W_k, w):
    """the keys' term is missing, so that all scores are equal.

    Add key @ W_k inside the tanh, once for every key.
    """
    return np.full(len(keys), np.tanh(query @ W_q) @ w)


@mistake("01.6", caught_by="test_additive_by_hand")
def weights_in_place_of_scores(query, keys, W_q, W_k, w):
    """softmax has been applied already.

    This function returns scores; turning them into weights is the next step, and not part of it.
    """
    return weigh(np.tanh(query @ W_q + keys @ W_k) @ w)


@mistake("01.6", caught_by="test_additive_by_hand")
def sigmoid_in_place_of_tanh(query, keys, W_q, W_k, w):
    """the curve is a sigmoid.

    It runs from 0 to 1; np.tanh runs from -1 to 1 and is the one asked for.
    """
    return 0.5 * (1 + np.tanh((query @ W_q + keys @ W_k) / 2)) @ w


@mistake("01.6", caught_by="test_additive_by_hand")
def relu_in_place_of_tanh(query, keys, W_q, W_k, w):
    """the curve is max(x, 0).

    That is a sound choice in other networks. Here np.tanh is asked for.
    """
    return np.maximum(query @ W_q + keys @ W_k, 0.0) @ w


@mistake("01.6", caught_by="test_additive_by_hand")
def terms_multiplied(query, keys, W_q, W_k, w):
    """the two terms are multiplied.

    The score is called additive because they are added: np.tanh(query @ W_q + key @ W_k).
    """
    return np.tanh((query @ W_q) * (keys @ W_k)) @ w


@mistake("01.6", caught_by="test_additive_by_hand")
def terms_subtracted(query, keys, W_q, W_k, w):
    """the key's term is subtracted from the query's.

    A trained model could learn the sign, but the formula has a plus: query @ W_q + key @ W_k.
    """
    return np.tanh(query @ W_q - keys @ W_k) @ w


@mistake("01.6", caught_by="test_additive_by_hand")
def hidden_numbers_summed(query, keys, W_q, W_k, w):
    """the hidden numbers are added up without w.

    w says how much each of the A hidden numbers counts: take the dot product with it.
    """
    return np.tanh(query @ W_q + keys @ W_k).sum(axis=-1)


@mistake("01.6", caught_by="test_additive_by_hand")
def hidden_numbers_returned(query, keys, W_q, W_k, w):
    """the (T, A) hidden numbers are returned.

    The last step is missing: the dot product with w makes one score per key of them.
    """
    return np.tanh(query @ W_q + keys @ W_k)


@mistake("01.6", caught_by="test_additive_by_hand")
def weighted_but_not_summed(query, keys, W_q, W_k, w):
    """the hidden numbers are multiplied by w but not added up.

    w * hidden still has A numbers per key. The dot product, hidden @ w, adds them.
    """
    return np.tanh(query @ W_q + keys @ W_k) * w


@mistake("01.6", caught_by="test_additive_by_hand")
def keys_added_up(query, keys, W_q, W_k, w):
    """the scores of all keys are added to one number.

    One score per key is asked for, an array of shape (T,). A sum too many: along which axis?
    """
    return np.full(1, (np.tanh(query @ W_q + keys @ W_k) @ w).sum())


@mistake("01.6", caught_by="test_equal_widths")
def matrices_swapped(query, keys, W_q, W_k, w):
    """W_q and W_k have changed places.

    W_q belongs to the query and W_k to the keys. When all widths are equal, no shape error says so.
    """
    return np.tanh(query @ W_k + keys @ W_q) @ w


@mistake("01.6", caught_by="test_equal_widths")
def key_matrix_transposed(query, keys, W_q, W_k, w):
    """the keys meet W_k the wrong way round (keys @ W_k.T).

    A key is a row of keys, and W_k stands right of it as it is: keys @ W_k. When all widths are
    equal, no shape error says so.
    """
    return np.tanh(query @ W_q + keys @ W_k.T) @ w


@mistake("01.6", caught_by="test_equal_widths")
def query_matrix_transposed(query, keys, W_q, W_k, w):
    """the query meets W_q the wrong way round (W_q @ query).

    The paper has the matrix on the left, here it stands on the right: query @ W_q. When all widths
    are equal, no shape error says so.
    """
    return np.tanh(W_q @ query + keys @ W_k) @ w


@mistake("01.6", caught_by="test_equal_widths")
def both_matrices_transposed(query, keys, W_q, W_k, w):
    """both matrices are used the wrong way round (W_q @ query and keys @ W_k.T).

    The paper has the matrices on the left, here they stand on the right: query @ W_q and
    keys @ W_k. When all widths are equal, no shape error says so.
    """
    return np.tanh(W_q @ query + keys @ W_k.T) @ w


@mistake("01.6", caught_by="test_additive_values")
def matrix_left_of_all_keys(query, keys, W_q, W_k, w):
    """W_k stands left of the whole array of keys, W_k @ keys.

    The keys are the rows of keys, not its columns. A matrix on the right is applied to every row:
    row t of keys @ W_k is keys[t] @ W_k.
    """
    return np.tanh(query @ W_q + W_k @ keys) @ w


@mistake("01.6", caught_by="test_additive_by_hand")
def hidden_numbers_averaged(query, keys, W_q, W_k, w):
    """the weighted hidden numbers are averaged in place of added.

    A dot product is a sum: hidden @ w.
    """
    return (np.tanh(query @ W_q + keys @ W_k) * w).mean(axis=-1)


@mistake("01.6", caught_by="test_additive_by_hand")
def column_in_place_of_vector(query, keys, W_q, W_k, w):
    """the scores come as a column of shape (T, 1).

    w[:, None] or w.reshape(-1, 1) keeps an axis of length 1. With w of shape (A,), hidden @ w has
    shape (T,).
    """
    return np.tanh(query @ W_q + keys @ W_k) @ w[:, None]


@mistake("01.6", caught_by="test_additive_one_key")
def squeezed(query, keys, W_q, W_k, w):
    """axes of length 1 are squeezed out.

    With a single key that removes the axis of the keys too. Avoid np.squeeze, or name the axis:
    np.squeeze(scores, axis=-1).
    """
    return np.array(np.squeeze(np.tanh(query @ W_q + keys @ W_k) @ w))


@mistake("01.6", caught_by="test_saturated")
def tanh_from_exponentials(query, keys, W_q, W_k, w):
    """tanh is computed as a fraction of exponentials.

    exp(1000) is inf, and inf/inf is NaN. np.tanh is safe for every number.
    """
    hidden = query @ W_q + keys @ W_k
    up, down = np.exp(hidden), np.exp(-hidden)
    return ((up - down) / (up + down)) @ w


@mistake("01.6", caught_by="test_additive_by_hand")
def divided_by_root_of_hidden_width(query, keys, W_q, W_k, w):
    """the scores are divided by the square root of A.

    The additive score has no such factor; tanh and w keep its size in bounds.
    """
    return np.tanh(query @ W_q + keys @ W_k) @ w / np.sqrt(len(w))


@mistake("01.6", caught_by="test_additive_whole_numbers")
def scores_in_the_dtype_of_the_keys(query, keys, W_q, W_k, w):
    """the scores are stored in an array with the dtype of the keys.

    For whole-number keys that cuts every score to a whole number. Make the array with
    np.zeros(len(keys)), which holds floats.
    """
    scores = np.zeros(len(keys), dtype=keys.dtype)
    scores[:] = np.tanh(query @ W_q + keys @ W_k) @ w
    return scores


@mistake("01.6", caught_by="test_additive_by_hand")
def query_added_after_the_tanh(query, keys, W_q, W_k, w):
    """the query's term is added after the tanh.

    There it moves all scores by the same number, and softmax does not notice. Add query @ W_q
    inside the tanh, to key @ W_k.
    """
    return (np.tanh(keys @ W_k) + query @ W_q) @ w


@mistake("01.6", caught_by="test_additive_by_hand")
def largest_score_subtracted(query, keys, W_q, W_k, w):
    """the largest score is subtracted from all of them.

    That belongs to the softmax, which is not part of this function. Return the scores as they are.
    """
    scores = np.tanh(query @ W_q + keys @ W_k) @ w
    return scores - scores.max()
