"""Typical wrong answers to the exercises of chapter 2, each with the sentence that names it."""

import math

import torch
from torch.nn import functional as F

from minitx.grading import mistake

# ---------------------------------------------------------------------------------------------
# 02.1


@mistake("02.1", caught_by="test_square_matrices")
def matrices_turned_round(x, W_q, W_k, W_v):
    """the matrices are transposed: x Wᵀ in place of x W.

    Here W_q is (C, D_k) and `x @ W_q` is all there is. torch.nn.Linear and F.linear keep their
    matrices as (out, in) and transpose them themselves; that is another convention.
    """
    return F.linear(x, W_q), F.linear(x, W_k), F.linear(x, W_v)


@mistake("02.1", caught_by="test_every_token")
def keys_from_the_query_matrix(x, W_q, W_k, W_v):
    """the keys are made with W_q, so that every key equals its query.

    Use W_k for the keys. With one matrix for both, what a token asks for and what it is found by
    would always be the same.
    """
    return x @ W_q, x @ W_q, x @ W_v


@mistake("02.1", caught_by="test_shapes")
def values_from_the_key_matrix(x, W_q, W_k, W_v):
    """the values are made with W_k, so that every value equals its key.

    Use W_v for the values. Each of the three results has a matrix of its own.
    """
    return x @ W_q, x @ W_k, x @ W_k


@mistake("02.1", caught_by="test_one_token_by_hand")
def keys_before_queries(x, W_q, W_k, W_v):
    """keys and queries are returned in each other's place.

    Return them in the order q, k, v. The shapes of q and k agree, so no shape test notices.
    """
    return x @ W_k, x @ W_q, x @ W_v


@mistake("02.1", caught_by="test_shapes")
def values_before_keys(x, W_q, W_k, W_v):
    """keys and values are returned in each other's place.

    Return them in the order q, k, v.
    """
    return x @ W_q, x @ W_v, x @ W_k


@mistake("02.1", caught_by="test_shapes")
def one_product_cut_in_thirds(x, W_q, W_k, W_v):
    """one product with all three matrices side by side is cut into three equal pieces.

    The pieces are D_k, D_k and D_v wide, and D_v may differ from D_k: cut with
    `split([D_k, D_k, D_v], dim=-1)` in place of `chunk(3)`, or make three products.
    """
    return (x @ torch.cat([W_q, W_k, W_v], dim=1)).chunk(3, dim=-1)


@mistake("02.1", caught_by="test_square_matrices")
def x_overwritten(x, W_q, W_k, W_v):
    """each projection starts from the result of the one before, not from x.

    A line such as `x = x @ W_q` replaces the tokens, and the keys are then made from queries.
    Give the three results names of their own, all made from the same x.
    """
    q = x @ W_q
    k = q @ W_k
    return q, k, k @ W_v


@mistake("02.1", caught_by="test_shapes")
def first_sentence_only(x, W_q, W_k, W_v):
    """only the first sentence of the batch is projected.

    Leave the batch axis alone: `x @ W_q` works on the last two axes of x and keeps the others, so
    neither x[0] nor squeeze is needed.
    """
    return x[0] @ W_q, x[0] @ W_k, x[0] @ W_v


@mistake("02.1", caught_by="test_shapes")
def sentences_strung_together(x, W_q, W_k, W_v):
    """batch and tokens are folded into one axis and stay so: the results are (B · T, D).

    `x @ W_q` needs no folding. If you fold, unfold the result: `.view(B, T, -1)`.
    """
    flat = x.reshape(-1, x.shape[-1])
    return flat @ W_q, flat @ W_k, flat @ W_v


@mistake("02.1", caught_by="test_every_token")
def negatives_cut_off(x, W_q, W_k, W_v):
    """a ReLU follows each product, so that nothing is ever negative.

    A projection is the product alone, without an activation. Without negative numbers a key could
    not point away from a query.
    """
    return (x @ W_q).relu(), (x @ W_k).relu(), (x @ W_v).relu()


@mistake("02.1", caught_by="test_every_token")
def queries_scaled_already(x, W_q, W_k, W_v):
    """the queries are divided by √D_k here already.

    The scale belongs to the scores, in the next step; dividing in both places would do it twice.
    """
    return x @ W_q / math.sqrt(W_q.shape[1]), x @ W_k, x @ W_v


@mistake("02.1", caught_by="test_shapes")
def tokens_as_values(x, W_q, W_k, W_v):
    """the tokens themselves serve as values, without W_v.

    Values are projected like queries and keys: `x @ W_v`.
    """
    return x @ W_q, x @ W_k, x


@mistake("02.1", caught_by="test_gradients_flow")
def projected_without_gradient(x, W_q, W_k, W_v):
    """the products are right, but cut off from the graph that gradients flow through.

    Leave out detach(), torch.no_grad(), torch.tensor(...) and the way through NumPy: `x @ W_q`
    keeps its gradient by itself.
    """
    with torch.no_grad():
        return x @ W_q, x @ W_k, x @ W_v


@mistake("02.1", caught_by="test_project_keeps_the_dtype")
def everything_in_float64(x, W_q, W_k, W_v):
    """everything is computed and returned in float64, whatever the dtype of x.

    Leave .double() out: the results have the dtype of x.
    """
    x = x.double()
    return x @ W_q.double(), x @ W_k.double(), x @ W_v.double()


@mistake("02.1", caught_by="test_project_keeps_the_dtype")
def half_precision_becomes_float32(x, W_q, W_k, W_v):
    """half precision is turned into float32.

    The results have the dtype of x. Convert back at the end, or not at all.
    """
    if x.dtype in (torch.float16, torch.bfloat16):
        x, W_q, W_k, W_v = x.float(), W_q.float(), W_k.float(), W_v.float()
    return x @ W_q, x @ W_k, x @ W_v


@mistake("02.1", caught_by="test_gradients_flow")
def gradients_of_zero(x, W_q, W_k, W_v):
    """the results are detached, and what is left of the way back carries zeros.

    A detached tensor learns nothing, and adding `0 * x.sum()` to it connects it in name only. Leave
    .detach() out.
    """
    way = 0 * (x.sum() + W_q.sum() + W_k.sum() + W_v.sum())
    return (x @ W_q).detach() + way, (x @ W_k).detach() + way, (x @ W_v).detach() + way


@mistake("02.1", caught_by="test_one_token_by_hand")
def last_feature_only(x, W_q, W_k, W_v):
    """the loop over the features overwrites in place of adding.

    Only the product of the last feature is left then. Start at 0 and add:
    `q[b, t, d] += x[b, t, c] * W_q[c, d]`. Or write `x @ W_q`.
    """
    return tuple(x[..., -1:] * W[-1] for W in (W_q, W_k, W_v))


@mistake("02.1", caught_by="test_one_token_by_hand")
def tokens_normalised(x, W_q, W_k, W_v):
    """every token is brought to mean 0 and deviation 1 first.

    Layer normalisation is a step of its own in a transformer block. Here x is multiplied as it is.
    """
    x = F.layer_norm(x, x.shape[-1:])
    return x @ W_q, x @ W_k, x @ W_v


# ---------------------------------------------------------------------------------------------
# 02.2


def dot_products(q, k):
    return q @ k.transpose(-2, -1)


@mistake("02.2", caught_by="test_scale")
def no_scale(q, k):
    """the dot products are not divided by √D_k.

    Divide by `math.sqrt(q.shape[-1])`. Without it the spread of the scores grows with the width,
    and the softmax behind them soon puts all weight on one key.
    """
    return dot_products(q, k)


@mistake("02.2", caught_by="test_scale")
def divided_by_the_width(q, k):
    """the dot products are divided by D_k, not by its square root.

    Take the square root: `math.sqrt(q.shape[-1])`. Scaling q and k by 1/√D_k *each* comes to the
    same as dividing by D_k.
    """
    return dot_products(q, k) / q.shape[-1]


@mistake("02.2", caught_by="test_scale")
def multiplied_by_the_root(q, k):
    """the dot products are multiplied by √D_k.

    Divide: `/ math.sqrt(D_k)`, or `* D_k ** -0.5` with the minus sign.
    """
    return dot_products(q, k) * math.sqrt(q.shape[-1])


@mistake("02.2", caught_by="test_scale")
def root_of_the_number_of_keys(q, k):
    """the divisor is √T_k, the root of the number of keys.

    The width of a query is the last axis: `q.shape[-1]`. A score must not change because other
    keys were added.
    """
    return dot_products(q, k) / math.sqrt(k.shape[-2])


@mistake("02.2", caught_by="test_scale")
def root_of_the_number_of_queries(q, k):
    """the divisor is √T_q, the root of the number of queries.

    The width of a query is the last axis: `q.shape[-1]`, not `q.shape[-2]`. A score must not change
    because other queries were asked as well.
    """
    return dot_products(q, k) / math.sqrt(q.shape[-2])


@mistake("02.2", caught_by="test_batch_and_heads")
def root_of_axis_one(q, k):
    """the width is read from axis 1, which is right for 2-D inputs only.

    With a batch, axis 1 is the number of queries, with heads the number of heads. Count from the
    end: `q.shape[-1]`.
    """
    return dot_products(q, k) / math.sqrt(q.shape[1])


@mistake("02.2", caught_by="test_scale")
def power_before_division(q, k):
    """the divisor is D_k / 2, because a line such as `scale = D_k ** 1/2` means (D_k ** 1) / 2.

    Write `D_k ** 0.5`, `D_k ** (1/2)` or `math.sqrt(D_k)`. At D_k = 4 both give 2, so the worked
    example does not notice.
    """
    D_k = q.shape[-1]
    return dot_products(q, k) / (D_k**1 / 2)


@mistake("02.2", caught_by="test_scale")
def power_inside_a_quotient(q, k):
    """the dot products are divided by D_k and then by 2, because of `/ D_k ** 1/2` in one line.

    Python reads `x / D_k ** 1/2` as `(x / D_k) / 2`. Write `D_k ** 0.5`, `D_k ** (1/2)` or
    `math.sqrt(D_k)`.
    """
    D_k = q.shape[-1]
    return dot_products(q, k) / D_k**1 / 2


@mistake("02.2", caught_by="test_scale")
def root_cut_to_a_whole_number(q, k):
    """the root of D_k is cut to a whole number.

    Keep the fraction: √11 is 3.3166, not 3. `math.sqrt` gives it; `int(...)`, `//` and
    `math.isqrt` throw it away.
    """
    return dot_products(q, k) / math.isqrt(q.shape[-1])


@mistake("02.2", caught_by="test_spread_at_every_width")
def divided_by_eight(q, k):
    """the divisor is always 8, which is right for D_k = 64 only.

    Read the width off the query: `math.sqrt(q.shape[-1])`. The 8 in books is √64.
    """
    return dot_products(q, k) / 8


@mistake("02.2", caught_by="test_batch_and_heads")
def root_of_axis_zero(q, k):
    """the divisor is the root of len(q), the first axis: the number of queries or sentences.

    The width of a query is the last axis: `q.shape[-1]`.
    """
    return dot_products(q, k) / math.sqrt(len(q))


@mistake("02.2", caught_by="test_batch_and_heads")
def axes_one_and_two(q, k):
    """axes 1 and 2 of the keys are exchanged, which is right for 3-D inputs only.

    With heads the last two axes are 2 and 3. Count from the end: `k.transpose(-2, -1)`.
    """
    return q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])


@mistake("02.2", caught_by="test_batch_and_heads")
def all_axes_reversed(q, k):
    """all axes of the keys are reversed, which is right for 2-D inputs only.

    `k.T` reverses every axis, the batch included. Exchange only the last two:
    `k.transpose(-2, -1)` or `k.mT`.
    """
    turned = k.permute(*range(k.dim() - 1, -1, -1))
    return q @ turned / math.sqrt(q.shape[-1])


@mistake("02.2", caught_by="test_rows_are_queries")
def rows_are_keys(q, k):
    """the rows belong to the keys and the columns to the queries.

    Put the queries on the left: `q @ k.transpose(-2, -1)`, so that row i belongs to query i.
    """
    return k @ q.transpose(-2, -1) / math.sqrt(q.shape[-1])


@mistake("02.2", caught_by="test_one_query_by_hand")
def softmax_taken_already(q, k):
    """the softmax is taken here already.

    Return the scores themselves. The mask must come between the scores and the softmax.
    """
    return (dot_products(q, k) / math.sqrt(q.shape[-1])).softmax(dim=-1)


@mistake("02.2", caught_by="test_one_query_by_hand")
def softmax_without_scale(q, k):
    """the dot products are not divided by √D_k, and the softmax is taken here already.

    Two things to mend: divide by `math.sqrt(q.shape[-1])`, and return the scores themselves. The
    mask must come between the scores and the softmax.
    """
    return dot_products(q, k).softmax(dim=-1)


@mistake("02.2", caught_by="test_one_query_by_hand")
def cosines(q, k):
    """queries and keys are made unit vectors first, so that the scores are cosines.

    Use q and k as they are: how long a query or a key is may matter, and √D_k is the only divisor.
    """
    return dot_products(F.normalize(q, dim=-1), F.normalize(k, dim=-1))


@mistake("02.2", caught_by="test_keeps_the_dtype")
def always_single_precision(q, k):
    """everything is turned into float32 on the way.

    Leave out `.float()` and `dtype=torch.float32`: the scores have the dtype of q. Half precision
    would lose its speed here, and float64 its digits.
    """
    return dot_products(q.float(), k.float()) / math.sqrt(q.shape[-1])


@mistake("02.2", caught_by="test_gradients_flow_to_q_and_k")
def scores_without_gradient(q, k):
    """the scores are right, but cut off from the graph that gradients flow through.

    Leave out detach(), torch.no_grad(), item() and torch.tensor(...). In a loop, write into a
    tensor (`scores[i, j] = q[i] @ k[j]`) or use torch.stack: both keep the gradient.
    """
    with torch.no_grad():
        return dot_products(q, k) / math.sqrt(q.shape[-1])


@mistake("02.2", caught_by="test_gradients_flow_to_q_and_k")
def scores_with_gradients_of_zero(q, k):
    """the scores are detached, and what is left of the way back carries zeros.

    A detached tensor learns nothing, and adding `0 * q.sum()` to it connects it in name only. Leave
    .detach() out.
    """
    return scaled(q, k).detach() + 0 * (q.sum() + k.sum())


@mistake("02.2", caught_by="test_large_scores_are_kept")
def cut_off_at_fifty(q, k):
    """scores beyond 50 are cut off at 50.

    Different scores become equal, and no gradient flows through those. Softmax subtracts the
    maximum of each row, so large scores are safe: leave clamp out.
    """
    return scaled(q, k).clamp(-50.0, 50.0)


@mistake("02.2", caught_by="test_one_query_by_hand")
def cosines_with_scale(q, k):
    """queries and keys are brought to length 1, and their cosines are divided by √D_k.

    How long a vector is counts in a dot product. Take q and k as they are.
    """
    return scaled(F.normalize(q, dim=-1), F.normalize(k, dim=-1))


# ---------------------------------------------------------------------------------------------
# 02.3


def filled(scores, allowed, number):
    """Softmax after a finite number was put into the forbidden places."""
    return scores.masked_fill(~allowed, number).softmax(dim=-1)


@mistake("02.3", caught_by="test_every_row_has_its_own_mask")
def mask_the_wrong_way_round(scores, allowed):
    """the mask is read the wrong way round: the allowed keys are the ones left out.

    In this course True means may attend. masked_fill fills where its mask is True, so give it the
    opposite: `masked_fill(~allowed, ...)`.
    """
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(allowed, lowest).softmax(-1).masked_fill(allowed, 0.0)


@mistake("02.3", caught_by="test_three_keys_by_hand")
def mask_ignored(scores, allowed):
    """the mask is not used at all.

    Put a very low number where `~allowed` before the softmax. Note that masked_fill returns a new
    tensor: its result needs a name.
    """
    return scores.softmax(dim=-1)


@mistake("02.3", caught_by="test_three_keys_by_hand")
def scores_times_mask(scores, allowed):
    """the forbidden scores become 0, or a number next to 0 such as 1e-9.

    A score of 0 has weight e⁰ = 1, not nothing. Do not multiply scores by the mask, and mind the
    sign of -1e9. Put the lowest possible number there:
    `scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)`.
    """
    return (scores * allowed).softmax(dim=-1)


@mistake("02.3", caught_by="test_three_keys_by_hand")
def mask_added_as_numbers(scores, allowed):
    """the mask is added to the scores as the numbers 0 and 1.

    Adding 1 to the allowed scores only favours them a little. Forbidden scores must become as low
    as they can: use masked_fill or torch.where.
    """
    return (scores + allowed.to(scores.dtype)).softmax(dim=-1)


@mistake("02.3", caught_by="test_rows_sum_to_one")
def mask_after_the_softmax(scores, allowed):
    """the softmax runs over all keys and the forbidden weights are set to 0 afterwards.

    The allowed weights then sum to less than 1: each row lost what its forbidden keys had. Mask
    the scores first, so that the sum in the denominator holds allowed keys only.
    """
    return scores.softmax(dim=-1) * allowed


@mistake("02.3", caught_by="test_loud_forbidden_keys")
def divided_again_after_the_mask(scores, allowed):
    """the softmax (or its maximum) is over all keys, and each row is divided by its new sum.

    On paper this is right. But when a forbidden score is large, all allowed weights are rounded to
    0 before you divide, and 0/0 is NaN. Mask the scores before the softmax.
    """
    weights = scores.softmax(dim=-1) * allowed
    return weights / weights.sum(dim=-1, keepdim=True)


@mistake("02.3", caught_by="test_loud_forbidden_keys")
def divided_again_with_care(scores, allowed):
    """the softmax (or its maximum) is over all keys, and rows are divided again, except by 0.

    Guarding the division spares you the NaN, not the loss: when a forbidden score is large, all
    allowed weights are rounded to 0 before you divide. Mask the scores before the softmax.
    """
    weights = scores.softmax(dim=-1) * allowed
    total = weights.sum(dim=-1, keepdim=True)
    return weights / torch.where(total > 0, total, 1)


@mistake("02.3", caught_by="test_three_keys_by_hand")
def filled_with_minus_ten(scores, allowed):
    """forbidden scores become -10, so forbidden keys keep a small weight.

    e⁻¹⁰ is small and not 0. Use `torch.finfo(scores.dtype).min`.
    """
    return filled(scores, allowed, -10.0)


@mistake("02.3", caught_by="test_large_scores")
def filled_with_minus_ten_thousand(scores, allowed):
    """forbidden scores become a number such as -10000, which real scores can be below.

    In a row whose allowed scores lie near -40000 the forbidden keys win. Use
    `torch.finfo(scores.dtype).min`, below which no score can be, and set the weights of an empty
    row to 0 at the end.
    """
    return filled(scores, allowed, -1e4)


@mistake("02.3", caught_by="test_half_precision")
def filled_with_minus_a_billion(scores, allowed):
    """forbidden scores become -1e9, a number that half precision does not have.

    float16 ends at -65504. Ask the dtype for its lowest number, `torch.finfo(scores.dtype).min`,
    and set the forbidden weights to 0 after the softmax: otherwise a row with nothing allowed
    becomes the plain average.
    """
    return filled(scores, allowed, -1e9)


@mistake("02.3", caught_by="test_half_precision")
def filled_with_minus_a_billion_then_zero(scores, allowed):
    """forbidden scores become -1e9, a number that half precision does not have, and then 0.

    Setting the forbidden weights to 0 afterwards is right. But float16 ends at -65504: ask the
    dtype for its lowest number, `torch.finfo(scores.dtype).min`.
    """
    return filled(scores, allowed, -1e9).masked_fill(~allowed, 0.0)


@mistake("02.3", caught_by="test_nothing_allowed")
def empty_rows_get_the_average(scores, allowed):
    """a query that may attend to nothing gets equal weights on all the forbidden keys.

    When all scores of a row are the same lowest number, the softmax shares evenly. Set the
    forbidden weights to 0 after the softmax: `weights.masked_fill(~allowed, 0.0)`.
    """
    return filled(scores, allowed, torch.finfo(scores.dtype).min)


@mistake("02.3", caught_by="test_nothing_allowed")
def empty_rows_become_nan(scores, allowed):
    """forbidden scores become -∞ and a row with nothing allowed becomes NaN.

    A row of nothing but -∞ is 0/0. Fill with the lowest finite number,
    `torch.finfo(scores.dtype).min`, and set the forbidden weights to 0 after the softmax.
    """
    return filled(scores, allowed, -math.inf)


@mistake("02.3", caught_by="test_nothing_allowed")
def minus_infinity_added(scores, allowed):
    """-∞ is added to forbidden scores, and a row with nothing allowed is NaN, its gradient too.

    A row of nothing but -∞ is 0/0. Fill with the lowest finite number,
    `scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)`, and set the forbidden weights to
    0 after the softmax.
    """
    return (scores + torch.zeros_like(scores).masked_fill(~allowed, -math.inf)).softmax(dim=-1)


@mistake("02.3", caught_by="test_three_keys_by_hand")
def infinity_times_zero(scores, allowed):
    """the mask is multiplied by -∞, and for the allowed keys 0 · ∞ is NaN.

    Every row with an allowed key becomes NaN. Choose in place of multiplying:
    `scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)`, and set the forbidden weights to
    0 after the softmax.
    """
    return (scores + (~allowed).to(scores.dtype) * -math.inf).softmax(dim=-1)


@mistake("02.3", caught_by="test_nothing_allowed")
def a_billion_subtracted(scores, allowed):
    """1e9 is subtracted from forbidden scores, and a row with nothing allowed attends to all.

    Where every score sinks by the same amount, the softmax does not notice: that row attends as if
    everything were allowed. Set the forbidden weights to 0 after the softmax.
    """
    return (scores - 1e9 * (1 - allowed.to(scores.dtype))).softmax(dim=-1)


@mistake("02.3", caught_by="test_gradient_is_finite")
def nan_replaced_at_the_end(scores, allowed):
    """NaN arises in the empty rows and is hidden at the end, but it is still in the gradient.

    nan_to_num or torch.where make the weights look right, but the way back goes through the NaN
    and comes out as NaN. Let none arise: fill with the lowest finite number in place of -∞, and
    never divide by 0.
    """
    penalty = torch.zeros_like(scores).masked_fill(~allowed, -math.inf)
    return (scores + penalty).softmax(dim=-1).nan_to_num(0.0)


@mistake("02.3", caught_by="test_large_scores")
def one_maximum_for_the_whole_table(scores, allowed):
    """one maximum, that of the whole table, is subtracted from every row.

    A row far below the largest row then underflows to 0/0. Subtract each row's own maximum:
    `amax(dim=-1, keepdim=True)`; torch's softmax does it by itself.
    """
    lowest = torch.finfo(scores.dtype).min
    masked = scores.masked_fill(~allowed, lowest)
    exponentials = (masked - masked.max()).exp() * allowed
    total = exponentials.sum(dim=-1, keepdim=True)
    return exponentials / torch.where(total > 0, total, 1)


@mistake("02.3", caught_by="test_large_scores")
def plain_exponentials(scores, allowed):
    """exponentials are taken of the scores as they are, and each row is divided by its sum.

    Two things go wrong: exp of a score above 709 overflows float64 (above 88 already float32), and
    a row with nothing allowed is 0/0. Subtract each row's largest allowed score first, or use
    `torch.softmax` on masked scores; and give the empty row zeros.
    """
    exponentials = scores.exp() * allowed
    return exponentials / exponentials.sum(dim=-1, keepdim=True)


@mistake("02.3", caught_by="test_large_scores")
def no_maximum_subtracted(scores, allowed):
    """no maximum is subtracted before exponentiating.

    exp of a score above 709 overflows float64 (above 88 already in float32). Use `torch.softmax`,
    or subtract each row's largest allowed score first: the result is the same.
    """
    exponentials = scores.exp() * allowed
    total = exponentials.sum(dim=-1, keepdim=True)
    return exponentials / torch.where(total > 0, total, 1)


@mistake("02.3", caught_by="test_rows_sum_to_one")
def normalised_over_queries(scores, allowed):
    """the softmax runs over the queries: the columns sum to 1, not the rows.

    Every query shares out one unit of attention among the keys, which lie along the last axis:
    `softmax(dim=-1)`.
    """
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~allowed, lowest).softmax(dim=-2).masked_fill(~allowed, 0.0)


@mistake("02.3", caught_by="test_rows_sum_to_one")
def normalised_over_queries_with_nan(scores, allowed):
    """forbidden scores become -∞ and the softmax runs over the queries, not over the keys.

    Two things to mend. Every query shares out one unit of attention among the keys, which lie along
    the last axis: `softmax(dim=-1)`. And a row or column of nothing but -∞ is 0/0, which is NaN:
    fill with `torch.finfo(scores.dtype).min`, and set the forbidden weights to 0 after the softmax.
    """
    return scores.masked_fill(~allowed, -math.inf).softmax(dim=-2)


@mistake("02.3", caught_by="test_rows_sum_to_one")
def normalised_over_axis_one(scores, allowed):
    """the softmax runs over axis 1, which holds the keys in a 2-D table only.

    Count from the end: `softmax(dim=-1)` is over the keys for any number of axes.
    """
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~allowed, lowest).softmax(dim=1).masked_fill(~allowed, 0.0)


@mistake("02.3", caught_by="test_rows_sum_to_one")
def normalised_over_axis_two(scores, allowed):
    """the softmax runs over axis 2, which holds the keys only when there are no heads.

    Count from the end: `softmax(dim=-1)` is over the keys for any number of axes.
    """
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~allowed, lowest).softmax(dim=2).masked_fill(~allowed, 0.0)


@mistake("02.3", caught_by="test_every_row_has_its_own_mask")
def first_mask_for_all(scores, allowed):
    """every sentence is given the mask of the first.

    Sentences differ in length: use `allowed` as it comes, without `[0]`. Broadcasting serves masks
    of fewer axes by itself.
    """
    if allowed.dim() == scores.dim() > 2:
        allowed = allowed[:1]
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~allowed, lowest).softmax(-1).masked_fill(~allowed, 0.0)


@mistake("02.3", caught_by="test_every_row_has_its_own_mask")
def mask_turned_round(scores, allowed):
    """rows and columns of the mask are exchanged, so that keys forbid queries.

    allowed[i, j] already stands where scores[i, j] stands: do not transpose it. With as many
    queries as keys both ways fit.
    """
    allowed = allowed.transpose(-2, -1)
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~allowed, lowest).softmax(-1).masked_fill(~allowed, 0.0)


@mistake("02.3", caught_by="test_mask_is_broadcast")
def mask_must_be_full_size(scores, allowed):
    """the forbidden places are looked up by indexing, which needs a mask as large as the scores.

    `scores[~allowed]` does not broadcast. masked_fill and torch.where do; or spread the mask first
    with `allowed.expand_as(scores)`.
    """
    masked = scores.clone()
    masked[~allowed] = torch.finfo(scores.dtype).min
    weights = masked.softmax(dim=-1)
    return weights.masked_fill(~allowed, 0.0)


@mistake("02.3", caught_by="test_half_precision")
def weights_in_single_precision(scores, allowed):
    """the softmax is taken in float32 and its result stays float32.

    Computing in float32 is a good idea for half precision, but turn the result back:
    `.to(scores.dtype)`.
    """
    lowest = torch.finfo(torch.float32).min
    weights = scores.float().masked_fill(~allowed, lowest).softmax(dim=-1)
    return weights.masked_fill(~allowed, 0.0)


@mistake("02.3", caught_by="test_half_precision_gradient")
def smallest_number_added(scores, allowed):
    """the smallest number of the dtype is added to forbidden scores, not put in their place.

    In float16 -65504 and a score below -16 make -inf: a row in which nothing is allowed is NaN, and
    zeros put there at the end do not keep the NaN out of the gradient. Replace the score:
    masked_fill, or torch.where.
    """
    number = torch.finfo(scores.dtype).min
    lowest = torch.zeros_like(scores).masked_fill(~allowed, number)
    return (scores + lowest).softmax(dim=-1).masked_fill(~allowed, 0.0)


@mistake("02.3", caught_by="test_mask_is_broadcast")
def masks_of_three_axes_are_of_sentences(scores, allowed):
    """a mask of three axes is given an axis for the heads, as if its first were the sentences.

    Axes line up from the right: against scores (B, H, T_q, T_k), a mask of three axes is
    (H, T_q, T_k). Leave unsqueeze out and let masked_fill broadcast.
    """
    if scores.dim() == 4 and allowed.dim() == 3:
        allowed = allowed[:, None]
    lowest = torch.finfo(scores.dtype).min
    return filled(scores, allowed, lowest).masked_fill(~allowed, 0.0)


# ---------------------------------------------------------------------------------------------
# 02.4


def ones(T_q, T_k):
    return torch.ones(T_q, T_k, dtype=torch.bool)


@mistake("02.4", caught_by="test_square")
def future_kept(T_q, T_k):
    """the upper triangle is kept: every query sees itself and the future.

    Keep the lower one, `tril`: key j is allowed when it stands no later than the query.
    """
    return ones(T_q, T_k).triu(T_k - T_q)


@mistake("02.4", caught_by="test_square")
def future_kept_top_left(T_q, T_k):
    """the upper triangle is kept, counted from the top left corner.

    Two things to mend: keep the lower triangle, `tril`, and shift its diagonal by T_k - T_q,
    because the queries are the last T_q positions.
    """
    return ones(T_q, T_k).triu()


@mistake("02.4", caught_by="test_square")
def future_only(T_q, T_k):
    """the mask marks the forbidden keys, those after the query, as True.

    In this course True means may attend. A table of what is forbidden (as some libraries want it)
    must be turned over with `~`.
    """
    return ones(T_q, T_k).triu(T_k - T_q + 1)


@mistake("02.4", caught_by="test_square")
def future_only_top_left(T_q, T_k):
    """the forbidden keys are marked as True, and counted from the top left corner.

    Two things to mend: True means may attend, so turn the table over with `~`; and shift the
    diagonal by T_k - T_q, because the queries are the last T_q positions.
    """
    return ones(T_q, T_k).triu(1)


@mistake("02.4", caught_by="test_square")
def itself_forbidden(T_q, T_k):
    """a token may not attend to itself.

    Use `<=` in place of `<`: the inputs of a model are shifted by one already, so a token knows
    itself. Otherwise the first token has nothing to attend to.
    """
    return ones(T_q, T_k).tril(T_k - T_q - 1)


@mistake("02.4", caught_by="test_square")
def itself_forbidden_top_left(T_q, T_k):
    """a token may not attend to itself, and the queries are taken for the first T_q positions.

    Two things to mend: a token knows itself, so the diagonal belongs to the mask; and shift it by
    T_k - T_q, because the queries are the last T_q positions.
    """
    return ones(T_q, T_k).tril(-1)


@mistake("02.4", caught_by="test_square")
def one_step_ahead(T_q, T_k):
    """every query sees one key too many, the one right after it.

    Compare `j <= i + T_k - T_q` without a further + 1. The key after the query is the very token
    that the model must predict.
    """
    return ones(T_q, T_k).tril(T_k - T_q + 1)


@mistake("02.4", caught_by="test_bottom_right")
def aligned_top_left(T_q, T_k):
    """the queries are taken for the first T_q positions, not the last.

    Shift the diagonal by T_k - T_q. With equal sizes there is no difference, so only a cache, where
    T_q < T_k, brings this to light. torch's is_causal=True aligns like yours.
    """
    return ones(T_q, T_k).tril()


@mistake("02.4", caught_by="test_bottom_right")
def shifted_the_other_way(T_q, T_k):
    """the diagonal is shifted by T_q - T_k, which is the wrong way.

    Old keys come *before* the queries, so a query sees more keys, not fewer: j <= i + T_k - T_q.
    """
    return ones(T_q, T_k).tril(T_q - T_k)


@mistake("02.4", caught_by="test_more_queries_than_keys")
def never_shifted_left(T_q, T_k):
    """with more queries than keys the shift is taken to be 0.

    T_k - T_q is negative there and must stay so: the first queries stand before all keys and their
    rows allow nothing. Leave out max(0, ...).
    """
    return ones(T_q, T_k).tril(max(0, T_k - T_q))


@mistake("02.4", caught_by="test_more_queries_than_keys")
def shift_without_sign(T_q, T_k):
    """the shift is the difference of T_q and T_k without its sign.

    T_k - T_q is negative when there are more queries than keys, and must stay so. Leave out abs.
    """
    return ones(T_q, T_k).tril(abs(T_k - T_q))


@mistake("02.4", caught_by="test_more_queries_than_keys")
def last_rows_of_a_square_of_keys(T_q, T_k):
    """the mask is the last T_q rows of a square table for T_k positions, which has only T_k rows.

    With more queries than keys, rows are missing. Compare positions, j <= i + T_k - T_q, or shift
    the diagonal of a (T_q, T_k) table: both serve every size.
    """
    return ones(T_k, T_k).tril()[-T_q:]


@mistake("02.4", caught_by="test_bottom_right")
def rows_for_keys(T_q, T_k):
    """the table has a row per key and a column per query.

    Rows belong to queries: the shape is (T_q, T_k), as that of the scores. With equal sizes this
    may hide.
    """
    return ones(T_k, T_q).tril(T_q - T_k)


@mistake("02.4", caught_by="test_square")
def everything_allowed(T_q, T_k):
    """everything is allowed.

    Compare positions: key j is allowed for query i when j <= i + T_k - T_q. Note that `tril`
    returns a new tensor, which needs a name.
    """
    return ones(T_q, T_k)


@mistake("02.4", caught_by="test_one_query")
def only_its_own_position(T_q, T_k):
    """every query sees its own position and nothing before it.

    Ask for j <= i + T_k - T_q, not for ==: the past is what attention is there to look at.
    """
    return torch.arange(T_k) == torch.arange(T_k - T_q, T_k)[:, None]


@mistake("02.4", caught_by="test_long")
def table_of_fixed_size(T_q, T_k):
    """the mask is cut from a table that was made once for 64 positions.

    Build it for the T_q and T_k that you are given: slices past the end of a table are silently
    shorter.
    """
    n = max(T_q, T_k)
    return ones(64, 64).tril()[n - T_q : n, n - T_k : n]


@mistake("02.4", caught_by="test_mask_is_bool")
def zeros_and_ones(T_q, T_k):
    """the mask holds the numbers 0 and 1 in place of False and True.

    Ask for truth values: `torch.ones(T_q, T_k, dtype=torch.bool)`, or compare positions. `~mask`
    and masked_fill do not work with floating-point numbers.
    """
    return torch.ones(T_q, T_k).tril(T_k - T_q)


@mistake("02.4", caught_by="test_mask_is_bool")
def zeros_and_ones_top_left(T_q, T_k):
    """the mask holds numbers, and the queries are taken for the first T_q positions.

    Two things to mend: ask for truth values, `torch.ones(T_q, T_k, dtype=torch.bool)`, and shift
    the diagonal by T_k - T_q, because the queries are the last T_q positions.
    """
    return torch.ones(T_q, T_k).tril()


@mistake("02.4", caught_by="test_mask_is_bool")
def zeros_and_infinities(T_q, T_k):
    """the mask holds what is to be added to the scores: 0 and -∞.

    That is another convention. Return truth values, True = may attend; whoever needs numbers to
    add can make them from those.
    """
    return torch.zeros(T_q, T_k).masked_fill(~ones(T_q, T_k).tril(T_k - T_q), -math.inf)


@mistake("02.4", caught_by="test_more_queries_than_keys")
def slices_with_negative_ends(T_q, T_k):
    """a row that allows nothing ends at a negative place, which Python counts from the right.

    `row[: i + T_k - T_q + 1]` is empty at 0 and long at -1. Use max(0, ...), or compare positions.
    """
    mask = torch.zeros(T_q, T_k, dtype=torch.bool)
    for i in range(T_q):
        mask[i, : i + T_k - T_q + 1] = True
    return mask


@mistake("02.4", caught_by="test_more_queries_than_keys")
def one_short_row_only(T_q, T_k):
    """with more queries than keys, only the first query allows nothing.

    All T_q - T_k queries that stand before the keys allow nothing: the diagonal is T_k - T_q.
    """
    return torch.ones(T_q, T_k, dtype=torch.bool).tril(max(T_k - T_q, -1))


@mistake("02.4", caught_by="test_long")
def cut_from_a_square_of_128(T_q, T_k):
    """the mask is cut out of a table that was made for 128 positions.

    Longer sentences get something else, or too little. Build the table for T_q and T_k.
    """
    n = 128
    square = torch.ones(n, n, dtype=torch.bool).tril()
    if T_q <= n and T_k <= n:
        rows = [i + T_k - T_q for i in range(T_q)]
        nothing = torch.zeros(T_k, dtype=torch.bool)
        return torch.stack([square[i, :T_k] if i >= 0 else nothing for i in rows])
    return torch.ones(T_q, T_k, dtype=torch.bool)


@mistake("02.4", caught_by="test_long")
def positions_in_int8(T_q, T_k):
    """positions are counted in int8, which ends at 127.

    Position 128 becomes -128, and stands before all others. Leave the dtype of torch.arange alone.
    """
    keys = torch.arange(T_k).to(torch.int8)
    return keys <= torch.arange(T_k - T_q, T_k).to(torch.int8)[:, None]


# ---------------------------------------------------------------------------------------------
# 02.5


@mistake("02.5", caught_by="test_two_sentences_by_hand")
def one_token_too_many(lengths, max_len):
    """one token too many counts as real in every sentence.

    Positions are counted from 0, so a sentence of length 3 has the positions 0, 1, 2: use `<`, not
    `<=`.
    """
    return torch.arange(max_len) <= lengths[:, None]


@mistake("02.5", caught_by="test_two_sentences_by_hand")
def last_token_lost(lengths, max_len):
    """the last real token of every sentence is lost.

    Compare positions counted from 0 with the length itself: `position < length`. If yours are
    counted from 1, use `<=`.
    """
    return torch.arange(1, max_len + 1) < lengths[:, None]


@mistake("02.5", caught_by="test_two_sentences_by_hand")
def slices_end_too_early(lengths, max_len):
    """slices such as `mask[b, :length - 1]` lose the last real token of every sentence.

    A slice `[:length]` ends before position `length` already. And with length 0 yours is `[:-1]`,
    everything but the last position.
    """
    mask = torch.zeros(len(lengths), max_len, dtype=torch.bool)
    for b, length in enumerate(lengths.tolist()):
        mask[b, : length - 1] = True
    return mask


@mistake("02.5", caught_by="test_two_sentences_by_hand")
def filling_marked(lengths, max_len):
    """the padding is marked True, not the real tokens.

    In this course True means may attend. torch.nn.MultiheadAttention's key_padding_mask has it the
    other way round: turn it over with `~`.
    """
    return torch.arange(max_len) >= lengths[:, None]


@mistake("02.5", caught_by="test_two_sentences_by_hand")
def filled_in_front(lengths, max_len):
    """the real tokens are taken to stand at the end, with the padding in front.

    Here sentences are padded at their end: token t is real when t < lengths[b].
    """
    return torch.arange(max_len) >= max_len - lengths[:, None]


@mistake("02.5", caught_by="test_two_sentences_by_hand")
def counted_from_the_end(lengths, max_len):
    """the real tokens are marked by slices from the end, such as `mask[b, -length:]`.

    Sentences are filled up at their end, so the real tokens come first: `mask[b, :length]`. A slice
    from the end is treacherous besides: `[-0:]` is everything, not nothing.
    """
    mask = torch.zeros(len(lengths), max_len, dtype=torch.bool)
    for b, length in enumerate(lengths.tolist()):
        mask[b, -length:] = True
    return mask


@mistake("02.5", caught_by="test_filled_to_a_fixed_size")
def longest_sentence_as_width(lengths, max_len):
    """the mask is only as wide as the longest sentence.

    Make it max_len wide: the batch may be filled up further than its longest sentence needs.
    """
    return torch.arange(int(lengths.max())) < lengths[:, None]


@mistake("02.5", caught_by="test_any_lengths")
def lengths_sorted(lengths, max_len):
    """the sentences are sorted by length, longest first.

    Row b belongs to sentence b. Leave the lengths in the order in which they came.
    """
    return torch.arange(max_len) < lengths.sort(descending=True).values[:, None]


@mistake("02.5", caught_by="test_any_lengths")
def first_length_for_all(lengths, max_len):
    """every sentence is given the length of the first.

    Compare with `lengths[:, None]`, a column with one length per sentence, not with lengths[0].
    """
    return (torch.arange(max_len) < lengths[0]).expand(len(lengths), max_len)


@mistake("02.5", caught_by="test_square_batch")
def no_column(lengths, max_len):
    """the row of positions is compared with a row of lengths, position b with length b.

    Make the lengths a column, `lengths[:, None]`, so that every length meets every position.
    """
    return torch.arange(max_len) < lengths


@mistake("02.5", caught_by="test_square_batch")
def lengths_as_a_row(lengths, max_len):
    """the lengths are made a row, (1, B), and position b is compared with length b.

    The new axis belongs at the end: `lengths[:, None]` or `lengths.unsqueeze(1)` is a column
    (B, 1), which meets every position.
    """
    return torch.arange(max_len) < lengths[None, :]


@mistake("02.5", caught_by="test_square_batch")
def sentences_as_columns(lengths, max_len):
    """every sentence is a column, not a row.

    Positions run along the last axis: make the *lengths* the column, `lengths[:, None]`, and leave
    the positions a row.
    """
    return torch.arange(max_len)[:, None] < lengths


@mistake("02.5", caught_by="test_any_lengths")
def empty_sentences_keep_a_token(lengths, max_len):
    """a sentence of length 0 keeps one token.

    Nothing in it is real: its row is all False. Where that would trouble a softmax, the softmax
    must see to it, not the mask.
    """
    return torch.arange(max_len) < lengths.clamp(min=1)[:, None]


@mistake("02.5", caught_by="test_any_lengths")
def full_sentences_lose_a_token(lengths, max_len):
    """a sentence of length max_len loses its last token.

    Such a sentence has no padding at all: its row is all True. Do not clip lengths to max_len - 1.
    """
    return torch.arange(max_len) < lengths.clamp(max=max_len - 1)[:, None]


@mistake("02.5", caught_by="test_padding_is_bool")
def padding_as_numbers(lengths, max_len):
    """the mask holds the numbers 0 and 1 in place of False and True.

    Leave the comparison as it is: it gives truth values, and masks are combined with `&`.
    """
    return (torch.arange(max_len) < lengths[:, None]).float()


@mistake("02.5", caught_by="test_filled_to_a_fixed_size")
def cut_from_a_row_of_16(lengths, max_len):
    """the positions come from a row that was made for 16 tokens.

    Make the row for max_len positions: `torch.arange(max_len)`.
    """
    return torch.arange(16)[:max_len] < lengths[:, None]


@mistake("02.5", caught_by="test_square_batch")
def a_single_sentence_squeezed(lengths, max_len):
    """axes of length 1 are squeezed out of the mask.

    A batch of one sentence has a mask of shape (1, max_len): leave squeeze out.
    """
    return (torch.arange(max_len) < lengths[:, None]).squeeze()


@mistake("02.5", caught_by="test_long_sentences")
def positions_in_the_dtype_of_the_lengths(lengths, max_len):
    """positions are counted in the dtype of the lengths.

    Lengths up to 127 fit into int8, and position 128 does not: it becomes -128 and counts as real.
    Leave the dtype of torch.arange alone.
    """
    return torch.arange(max_len).to(lengths.dtype) < lengths[:, None]


@mistake("02.5", caught_by="test_long_sentences")
def positions_in_half_precision(lengths, max_len):
    """positions and lengths are compared in float16.

    From 2048 on float16 holds only every second whole number, so 2048 and 2049 are equal. Compare
    whole numbers.
    """
    return torch.arange(max_len).half() < lengths.half()[:, None]


@mistake("02.5", caught_by="test_square_batch")
def no_column_when_square(lengths, max_len):
    """with as many sentences as positions, position t is compared with the length of sentence t.

    lengths and positions are both flat then, and fit without a warning. Make the lengths a column
    always: lengths[:, None].
    """
    positions = torch.arange(max_len)
    if len(lengths) == max_len:
        return (positions < lengths).expand(max_len, max_len)
    return positions < lengths[:, None]


# ---------------------------------------------------------------------------------------------
# 02.6


def projections(x, W_q, W_k, W_v):
    return x @ W_q, x @ W_k, x @ W_v


def table(scores, allowed):
    """A mask, or None, as a table as large as the scores."""
    if allowed is None:
        return torch.ones_like(scores, dtype=torch.bool)
    return allowed.expand_as(scores)


def weigh(scores, allowed):
    """A right masked softmax, for answers that are wrong elsewhere."""
    may = table(scores, allowed)
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~may, lowest).softmax(dim=-1).masked_fill(~may, 0.0)


def scaled(q, k):
    return q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])


@mistake("02.6", caught_by="test_definition", page="book/02_self_attention.md#scaled-scores")
def layer_without_scale(x, W_q, W_k, W_v, allowed=None):
    """the scores are not divided by √D_k.

    Divide `q @ k.transpose(-2, -1)` by `math.sqrt(q.shape[-1])`.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    return weigh(q @ k.transpose(-2, -1), allowed) @ v


@mistake("02.6", caught_by="test_definition", page="book/02_self_attention.md#scaled-scores")
def layer_without_scale_but_with_nan(x, W_q, W_k, W_v, allowed=None):
    """the scores are not divided by √D_k, and a token that may attend to nothing gets NaN.

    Two things to mend: divide `q @ k.transpose(-2, -1)` by `math.sqrt(q.shape[-1])`, and take
    functional.masked_softmax, which gives a row with nothing allowed zeros where -∞ makes it 0/0.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    scores = q @ k.transpose(-2, -1)
    return scores.masked_fill(~table(scores, allowed), -math.inf).softmax(dim=-1) @ v


@mistake("02.6", caught_by="test_definition", page="book/02_self_attention.md#scaled-scores")
def scaled_by_the_token_width(x, W_q, W_k, W_v, allowed=None):
    """the scores are divided by √C, the width of a token vector.

    The dot products are sums of D_k terms: divide by the root of the width of a *query*,
    `math.sqrt(q.shape[-1])`.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    return weigh(q @ k.transpose(-2, -1) / math.sqrt(x.shape[-1]), allowed) @ v


@mistake("02.6", caught_by="test_definition", page="book/02_self_attention.md#scaled-scores")
def scaled_by_the_token_width_and_nan(x, W_q, W_k, W_v, allowed=None):
    """the scores are divided by √C, and a token that may attend to nothing gets NaN.

    Two things to mend: divide by the root of the width of a *query*, `math.sqrt(q.shape[-1])`, and
    take functional.masked_softmax, which gives a row with nothing allowed zeros where -∞ makes it
    0/0.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    scores = q @ k.transpose(-2, -1) / math.sqrt(x.shape[-1])
    return scores.masked_fill(~table(scores, allowed), -math.inf).softmax(dim=-1) @ v


@mistake("02.6", caught_by="test_definition", page="book/02_self_attention.md#scaled-scores")
def scaled_by_the_value_width(x, W_q, W_k, W_v, allowed=None):
    """the scores are divided by √D_v, the width of a value.

    Scores know nothing of the values: divide by the root of the width of a query,
    `math.sqrt(q.shape[-1])`. Only when D_v == D_k is there no difference.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    return weigh(q @ k.transpose(-2, -1) / math.sqrt(v.shape[-1]), allowed) @ v


@mistake("02.6", caught_by="test_square_layer", page="book/02_self_attention.md#projections")
def layer_with_turned_matrices(x, W_q, W_k, W_v, allowed=None):
    """the projections are x Wᵀ in place of x W.

    Here the matrices are (C, D): `x @ W_q`. F.linear expects (D, C) and turns its matrix itself.
    """
    q, k, v = F.linear(x, W_q), F.linear(x, W_k), F.linear(x, W_v)
    return weigh(scaled(q, k), allowed) @ v


@mistake("02.6", caught_by="test_definition", page="book/02_self_attention.md#scaled-scores")
def layer_with_all_axes_reversed(x, W_q, W_k, W_v, allowed=None):
    """all axes of the keys are reversed, the batch included.

    `k.T` is right for a single matrix only. Exchange the last two axes: `k.transpose(-2, -1)`.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    scores = q @ k.permute(2, 1, 0) / math.sqrt(q.shape[-1])
    return weigh(scores, allowed) @ v


@mistake("02.6", caught_by="test_definition")
def queries_and_keys_exchanged(x, W_q, W_k, W_v, allowed=None):
    """queries and keys are exchanged: row i holds what the others ask of token i.

    Row i of the scores belongs to the *query* of token i: `q @ k.transpose(-2, -1)`, in this order,
    with q from W_q and k from W_k.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    return weigh(scaled(k, q), allowed) @ v


@mistake("02.6", caught_by="test_two_tokens_by_hand")
def no_softmax(x, W_q, W_k, W_v, allowed=None):
    """the scores themselves weigh the values, without a softmax.

    Put `functional.masked_softmax(scores, allowed)` between the scores and the values: weights are
    positive and sum to 1.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    scores = scaled(q, k)
    return scores.masked_fill(~table(scores, allowed), 0.0) @ v


@mistake("02.6", caught_by="test_definition")
def softmax_over_the_queries(x, W_q, W_k, W_v, allowed=None):
    """the softmax runs over the queries: the columns of the weights sum to 1, not the rows.

    Each token shares out one unit of attention among the keys, which lie along the last axis:
    `softmax(dim=-1)`.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    scores = scaled(q, k)
    may = table(scores, allowed)
    lowest = torch.finfo(scores.dtype).min
    weights = scores.masked_fill(~may, lowest).softmax(dim=-2).masked_fill(~may, 0.0)
    return weights @ v


@mistake("02.6", caught_by="test_definition")
def values_not_projected(x, W_q, W_k, W_v, allowed=None):
    """the tokens themselves are averaged, without W_v.

    Weigh the values, `x @ W_v`: the output is D_v wide.
    """
    return weigh(scaled(x @ W_q, x @ W_k), allowed) @ x


@mistake("02.6", caught_by="test_definition")
def keys_averaged(x, W_q, W_k, W_v, allowed=None):
    """the keys are averaged in place of the values.

    The last product is `weights @ v`.
    """
    q, k, _ = projections(x, W_q, W_k, W_v)
    return weigh(scaled(q, k), allowed) @ k


@mistake("02.6", caught_by="test_sentences_are_apart")
def sentences_mixed(x, W_q, W_k, W_v, allowed=None):
    """all sentences of the batch are strung together into one.

    Leave the batch axis alone: `@` repeats itself over it. Once B and T are folded into one axis,
    every token attends to the tokens of other sentences too.
    """
    B, T, _ = x.shape
    q, k, v = projections(x.reshape(1, B * T, -1), W_q, W_k, W_v)
    scores = scaled(q, k)
    if allowed is None:
        return (scores.softmax(dim=-1) @ v).reshape(B, T, -1)
    may = allowed.expand(B, T, T).repeat(1, 1, B).reshape(1, B * T, B * T)
    return (weigh(scores, may) @ v).reshape(B, T, -1)


@mistake(
    "02.6", caught_by="test_mask_per_sentence", page="book/02_self_attention.md#masked-softmax"
)
def layer_without_mask(x, W_q, W_k, W_v, allowed=None):
    """the mask is not used at all.

    Hand it on: `functional.masked_softmax(scores, allowed)`.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    return scaled(q, k).softmax(dim=-1) @ v


@mistake(
    "02.6",
    caught_by="test_no_leak_from_the_future",
    page="book/02_self_attention.md#masked-softmax",
)
def layer_mask_the_wrong_way_round(x, W_q, W_k, W_v, allowed=None):
    """the mask is read the wrong way round: the allowed keys are the ones left out.

    True means may attend. masked_fill fills where its mask is True: give it `~allowed`.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    return weigh(scaled(q, k), None if allowed is None else ~allowed) @ v


@mistake(
    "02.6", caught_by="test_mask_per_sentence", page="book/02_self_attention.md#masked-softmax"
)
def layer_scores_times_mask(x, W_q, W_k, W_v, allowed=None):
    """the forbidden scores become 0, whose weight is e⁰ = 1 and not nothing.

    Use `functional.masked_softmax(scores, allowed)`, or put the lowest possible number in the
    forbidden places, not 0.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    scores = scaled(q, k)
    return scores.masked_fill(~table(scores, allowed), 0.0).softmax(dim=-1) @ v


@mistake(
    "02.6", caught_by="test_mask_per_sentence", page="book/02_self_attention.md#masked-softmax"
)
def layer_mask_after_the_softmax(x, W_q, W_k, W_v, allowed=None):
    """the softmax runs over all keys and the forbidden weights are set to 0 afterwards.

    The rows then sum to less than 1. Mask the scores before the softmax.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    weights = scaled(q, k).softmax(dim=-1)
    return weights.masked_fill(~table(weights, allowed), 0.0) @ v


@mistake(
    "02.6", caught_by="test_mask_per_sentence", page="book/02_self_attention.md#masked-softmax"
)
def layer_first_mask_for_all(x, W_q, W_k, W_v, allowed=None):
    """every sentence is given the mask of the first.

    Use `allowed` as it comes, without `[0]`: (B, T, T) has a table for every sentence.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    if allowed is not None and allowed.dim() == 3:
        allowed = allowed[:1]
    return weigh(scaled(q, k), allowed) @ v


@mistake(
    "02.6",
    caught_by="test_token_with_nothing_allowed",
    page="book/02_self_attention.md#masked-softmax",
)
def layer_with_nan(x, W_q, W_k, W_v, allowed=None):
    """forbidden scores become -∞ and a token that may attend to nothing gets NaN.

    A row of nothing but -∞ is 0/0. functional.masked_softmax gives that row zeros.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    scores = scaled(q, k)
    return scores.masked_fill(~table(scores, allowed), -math.inf).softmax(dim=-1) @ v


@mistake(
    "02.6",
    caught_by="test_token_with_nothing_allowed",
    page="book/02_self_attention.md#masked-softmax",
)
def layer_with_average_for_nothing(x, W_q, W_k, W_v, allowed=None):
    """a token that may attend to nothing gets the average of all the values it may not see.

    Filling a whole row with one low number makes all its weights equal. Set the forbidden weights
    to 0 after the softmax, as functional.masked_softmax does.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    scores = scaled(q, k)
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~table(scores, allowed), lowest).softmax(dim=-1) @ v


@mistake("02.6", caught_by="test_mask_per_sentence")
def truth_of_a_mask(x, W_q, W_k, W_v, allowed=None):
    """the code asks `if allowed:`, which a tensor of many truth values cannot answer.

    Ask whether there is a mask at all: `if allowed is not None:`.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    return weigh(scaled(q, k), allowed if allowed else None) @ v


@mistake("02.6", caught_by="test_masks_of_fewer_axes")
def full_mask_required(x, W_q, W_k, W_v, allowed=None):
    """the forbidden places are looked up by indexing, which needs a mask as large as the scores.

    `allowed` may be (T, T) or (B, 1, T), and `scores[~allowed]` does not broadcast. masked_fill and
    torch.where do; or spread the mask first with `allowed.expand(B, T, T)`.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    scores = scaled(q, k)
    masked = scores.clone()
    if allowed is not None:
        masked[~allowed] = torch.finfo(scores.dtype).min
    weights = masked.softmax(dim=-1)
    return (weights if allowed is None else weights * allowed) @ v


@mistake("02.6", caught_by="test_large_self_attention")
def exponentials_without_a_maximum(x, W_q, W_k, W_v, allowed=None):
    """scores are exponentiated without subtracting the largest of their row.

    exp(6000) is infinite and exp(-6000) is 0. `.softmax(dim=-1)` subtracts the row's maximum, and
    functional.masked_softmax does.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    exponentials = scaled(q, k).exp()
    if allowed is not None:
        exponentials = exponentials * allowed
    total = exponentials.sum(-1, keepdim=True)
    return exponentials / total.masked_fill(total == 0, 1.0) @ v


@mistake("02.6", caught_by="test_large_self_attention")
def maximum_of_forbidden_scores_too(x, W_q, W_k, W_v, allowed=None):
    """the largest score of a row is looked for among the forbidden ones too.

    Where a forbidden score is hundreds above the allowed ones, all their exponentials are 0. Fill
    the forbidden places first, then take the maximum.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    scores = scaled(q, k)
    exponentials = (scores - scores.amax(-1, keepdim=True)).exp()
    if allowed is not None:
        exponentials = exponentials * allowed
    total = exponentials.sum(-1, keepdim=True)
    return exponentials / total.masked_fill(total == 0, 1.0) @ v


@mistake("02.6", caught_by="test_large_self_attention")
def one_maximum_for_all_rows(x, W_q, W_k, W_v, allowed=None):
    """the largest score of the whole table is subtracted, not that of each row.

    A row that lies hundreds below it becomes 0/0. Take the maximum over the last axis, with
    keepdim=True.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    scores = scaled(q, k)
    if allowed is not None:
        scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
    exponentials = (scores - scores.max()).exp()
    total = exponentials.sum(-1, keepdim=True)
    if allowed is not None:
        total = total.masked_fill(~allowed.any(-1, keepdim=True), 1.0)
    return exponentials / total @ v


@mistake("02.6", caught_by="test_self_attention_keeps_the_dtype")
def everything_in_float32(x, W_q, W_k, W_v, allowed=None):
    """everything is computed in float32, whatever the dtype of x.

    float32 carries 7 digits. Leave .float() out.
    """
    q, k, v = projections(*(part.float() for part in (x, W_q, W_k, W_v)))
    return (weigh(scaled(q, k), allowed) @ v).to(x.dtype)


@mistake("02.6", caught_by="test_token_with_nothing_allowed")
def weights_detached(x, W_q, W_k, W_v, allowed=None):
    """the weights are detached, so that W_q and W_k never learn.

    Leave .detach() out: the gradient has to reach the queries and the keys through the weights.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    return weigh(scaled(q, k), allowed).detach() @ v


@mistake("02.6", caught_by="test_token_with_nothing_allowed")
def output_with_gradients_of_zero(x, W_q, W_k, W_v, allowed=None):
    """the output is detached, and what is left of the way back carries zeros.

    A detached tensor learns nothing, and adding `0 * x.sum()` to it connects it in name only. Leave
    .detach() out.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    output = weigh(scaled(q, k), allowed) @ v
    return output.detach() + 0 * (x.sum() + W_q.sum() + W_k.sum() + W_v.sum())


@mistake("02.6", caught_by="test_masks_of_fewer_axes")
def mask_looked_up_by_sentence(x, W_q, W_k, W_v, allowed=None):
    """the mask is looked up as allowed[b], also where it has one table for all sentences.

    A mask (1, T, T) has no allowed[1]: an axis of length 1 stands for every sentence. Let it
    broadcast, or spread it first with `allowed.expand(B, T, T)`.
    """
    outputs = []
    for b in range(len(x)):
        q, k, v = projections(x[b], W_q, W_k, W_v)
        may = allowed[b] if allowed is not None and allowed.dim() == 3 else allowed
        outputs.append(weigh(scaled(q, k), may) @ v)
    return torch.stack(outputs)


@mistake("02.6", caught_by="test_mask_per_sentence")
def rows_forbidden_as_well(x, W_q, W_k, W_v, allowed=None):
    """a pair counts as allowed only where both tokens may attend to each other.

    allowed[b, i, j] speaks of i attending to j alone: the padding must not be heard, but what
    it hears itself does not matter. Use the mask without its transpose.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    scores = scaled(q, k)
    may = table(scores, allowed)
    return weigh(scores, may & may.transpose(-2, -1)) @ v


@mistake("02.6", caught_by="test_mask_per_sentence")
def everyone_may_hear_itself(x, W_q, W_k, W_v, allowed=None):
    """every token may attend to itself, whatever the mask says.

    Then no row is empty, but a token hears itself where it must not. Leave the mask as it is;
    functional.masked_softmax knows the empty row.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    scores = scaled(q, k)
    itself = torch.eye(x.shape[1], dtype=torch.bool)
    return weigh(scores, table(scores, allowed) | itself) @ v


@mistake("02.6", caught_by="test_square_layer")
def tokens_added_where_they_fit(x, W_q, W_k, W_v, allowed=None):
    """the tokens are added to the output where the widths agree.

    A residual connection is a step of its own in a transformer block. Self-attention returns the
    averages of the values, and no more.
    """
    q, k, v = projections(x, W_q, W_k, W_v)
    output = weigh(scaled(q, k), allowed) @ v
    return output + x if output.shape == x.shape else output


# ---------------------------------------------------------------------------------------------
# 02.7


def plain_attention(q, k, v):
    """Over the last two axes, whatever they are."""
    return scaled(q, k).softmax(dim=-1) @ v


@mistake("02.7", caught_by="test_tokens_hear_each_other")
def heads_attend_to_heads(q, k, v):
    """the heads of each token attend to one another, and no token to any other.

    This is the bug of the text: `@` multiplies the last two axes, which are heads and width.
    Exchange tokens and heads first, `.transpose(1, 2)` on q, k and v, and exchange them back at the
    end. Exchanging other axes, such as 0 and 1, leaves heads and width where they were.
    """
    return plain_attention(q, k, v)


@mistake("02.7", caught_by="test_shape_of_heads")
def not_turned_back(q, k, v):
    """the result stays (B, H, T, D_v).

    The attention itself is right. Exchange the axes back at the end: `.transpose(1, 2)`.
    """
    return plain_attention(*(part.transpose(1, 2) for part in (q, k, v)))


@mistake("02.7", caught_by="test_shape_of_heads")
def heads_joined(q, k, v):
    """the heads are joined side by side: the result is (B, T, H · D_v).

    The attention itself is right. Leave the heads apart here, (B, T, H, D_v); joining them is the
    next chapter's matter.
    """
    output = plain_attention(*(part.transpose(1, 2) for part in (q, k, v)))
    return output.transpose(1, 2).flatten(2)


@mistake("02.7", caught_by="test_shape_of_heads")
def values_not_turned(q, k, v):
    """queries and keys are transposed to (B, H, T, D_k), the values are left as they came.

    The weights are (B, H, T, T): they need values of shape (B, H, T, D_v). Transpose v as well, and
    the result back.
    """
    q, k = q.transpose(1, 2), k.transpose(1, 2)
    return scaled(q, k).softmax(dim=-1) @ v


@mistake("02.7", caught_by="test_every_head")
def reshaped_there_and_back(q, k, v):
    """the axes are renamed by reshape or view, which moves no number.

    `reshape(B, H, T, D_k)` has the right shape, but its rows are cut from the wrong places: tokens
    and heads get mixed up. `.transpose(1, 2)` exchanges the axes; use it there and back.
    """
    B, T, H, D_v = v.shape
    parts = (part.reshape(B, H, T, -1) for part in (q, k, v))
    return plain_attention(*parts).reshape(B, T, H, D_v)


@mistake("02.7", caught_by="test_every_head")
def turned_there_reshaped_back(q, k, v):
    """the result is brought back by reshape or view, which moves no number.

    (B, H, T, D_v) becomes (B, T, H, D_v) by `.transpose(1, 2)`; a reshape only cuts the same
    sequence of numbers differently.
    """
    B, T, H, D_v = v.shape
    parts = (part.transpose(1, 2) for part in (q, k, v))
    return plain_attention(*parts).reshape(B, T, H, D_v)


@mistake("02.7", caught_by="test_every_head")
def reshaped_there_turned_back(q, k, v):
    """q, k and v are brought to (B, H, T, D) by reshape or view, which moves no number.

    Exchange the axes with `.transpose(1, 2)`; a reshape only cuts the same sequence of numbers
    differently.
    """
    B, T, H, _ = v.shape
    parts = (part.reshape(B, H, T, -1) for part in (q, k, v))
    return plain_attention(*parts).transpose(1, 2)


@mistake("02.7", caught_by="test_heads_are_apart")
def one_wide_head(q, k, v):
    """all heads are joined into one wide head with a single set of weights.

    Every head has weights of its own: keep the head axis, (B, H, T, D_k), and let `@` repeat itself
    over it.
    """
    B, T, H, D_v = v.shape
    return plain_attention(*(part.reshape(B, T, -1) for part in (q, k, v))).view(B, T, H, D_v)


@mistake("02.7", caught_by="test_heads_are_apart")
def scores_summed_over_heads(q, k, v):
    """the scores of all heads are added up, and every head uses the same weights.

    Keep the head among the axes of the scores: (B, H, T, T). In einsum, h must stand on the right
    of the arrow.
    """
    scores = torch.einsum("bihd,bjhd->bij", q, k) / math.sqrt(q.shape[-1])
    return torch.einsum("bij,bjhd->bihd", scores.softmax(dim=-1), v)


@mistake("02.7", caught_by="test_tokens_hear_each_other")
def sentences_attend_to_sentences(q, k, v):
    """the sentences of the batch attend to one another, and no token to any other.

    The batch axis ended up where the tokens belong. Tokens must be the last axis but one, with
    batch and heads before it: `.transpose(1, 2)` makes (B, H, T, D_k).
    """
    parts = (part.permute(1, 2, 0, 3) for part in (q, k, v))
    return plain_attention(*parts).permute(2, 0, 1, 3)


@mistake("02.7", caught_by="test_every_head")
def softmax_over_heads(q, k, v):
    """the softmax runs over the heads.

    The weights of a query sum to 1 over the tokens it attends to, the last axis of (B, H, T, T):
    `softmax(dim=-1)`.
    """
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    return (scaled(q, k).softmax(dim=1) @ v).transpose(1, 2)


@mistake("02.7", caught_by="test_every_head")
def softmax_over_queries(q, k, v):
    """the softmax runs over the queries: the columns of the weights sum to 1, not the rows.

    Normalise over the tokens attended to, the last axis of (B, H, T, T): `softmax(dim=-1)`.
    """
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    return (scaled(q, k).softmax(dim=-2) @ v).transpose(1, 2)


@mistake("02.7", caught_by="test_every_head", page="book/02_self_attention.md#scaled-scores")
def heads_without_scale(q, k, v):
    """the scores are not divided by √D_k.

    Divide by `math.sqrt(q.shape[-1])`, the root of the width of one head.
    """
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    return ((q @ k.transpose(-2, -1)).softmax(dim=-1) @ v).transpose(1, 2)


@mistake("02.7", caught_by="test_equal_sizes", page="book/02_self_attention.md#scaled-scores")
def scaled_by_all_heads_together(q, k, v):
    """the scores are divided by √(H · D_k), the root of the width of all heads together.

    Each dot product is a sum of D_k terms only: divide by the root of the width of *one* head.
    """
    heads = q.shape[2]
    return heads_without_scale(q / math.sqrt(heads * q.shape[-1]), k, v)


@mistake("02.7", caught_by="test_two_heads_by_hand")
def averaged_over_heads(q, k, v):
    """the outputs of the heads are averaged, and every head returns that average.

    Heads stay apart: each keeps the output that it found. How they are put together is the next
    chapter's matter.
    """
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    output = plain_attention(q, k, v).transpose(1, 2)
    return output.mean(dim=2, keepdim=True).expand_as(output)


@mistake("02.7", caught_by="test_large_heads")
def heads_without_a_maximum(q, k, v):
    """scores are exponentiated without subtracting the largest of their row.

    exp(6000) is infinite. `.softmax(dim=-1)` subtracts the row's maximum.
    """
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    exponentials = (q @ k.mT / math.sqrt(q.shape[-1])).exp()
    return (exponentials / exponentials.sum(-1, keepdim=True) @ v).transpose(1, 2)


@mistake("02.7", caught_by="test_large_heads")
def heads_with_one_maximum(q, k, v):
    """the largest score of the whole table is subtracted, not that of each row.

    A row that lies hundreds below it becomes 0/0. Take the maximum over the last axis, with
    keepdim=True.
    """
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    exponentials = (scores - scores.max()).exp()
    return (exponentials / exponentials.sum(-1, keepdim=True) @ v).transpose(1, 2)


@mistake("02.7", caught_by="test_gradients_flow_through_heads")
def heads_without_a_gradient(q, k, v):
    """the output is detached: no gradient reaches q, k and v.

    Keep to tensor operations: detach(), numpy(), tolist() and torch.no_grad() cut the connection.
    """
    q, k, v = (part.detach().transpose(1, 2) for part in (q, k, v))
    return ((q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1) @ v).transpose(1, 2)


@mistake("02.7", caught_by="test_more_heads_than_tokens")
def layout_guessed_from_sizes(q, k, v):
    """with more heads than tokens the inputs are taken for (B, H, T, D) and not transposed.

    The sizes do not say which axis is which; the exercise does: it is (B, T, H, D), always, and
    to be transposed.
    """
    if q.shape[2] > q.shape[1]:
        return plain_attention(q, k, v)
    turned = (part.transpose(1, 2) for part in (q, k, v))
    return plain_attention(*turned).transpose(1, 2)
