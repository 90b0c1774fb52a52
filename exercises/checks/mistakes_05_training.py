"""Typical wrong answers to the exercises of chapter 5, each with the sentence that names it."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from minitx.grading import mistake

# ---------------------------------------------------------------------------------------------
# 05.1


def mean(x):
    """The mean of each token, as it should be."""
    return x.mean(dim=-1, keepdim=True)


def variance(x):
    """The variance of each token, as it should be."""
    return (x - mean(x)).square().mean(dim=-1, keepdim=True)


def scaled(normalised, weight, bias):
    return weight * normalised + bias


@mistake("05.1", caught_by="test_norm_by_hand")
def variance_over_one_less(x, weight, bias, eps=1e-5):
    """the variance divides by C - 1, as torch's var and std do unless they are told otherwise.

    Layer norm divides by C: `x.var(dim=-1, keepdim=True, correction=0)`, or the mean of the
    squares. With large C it hardly shows.
    """
    return scaled((x - mean(x)) / (x.var(-1, keepdim=True) + eps).sqrt(), weight, bias)


@mistake("05.1", caught_by="test_norm_eps")
def eps_outside_the_root(x, weight, bias, eps=1e-5):
    """ε is added to the standard deviation, outside the root.

    √(σ² + ε): add ε to the variance, then take the root.
    """
    return scaled((x - mean(x)) / (variance(x).sqrt() + eps), weight, bias)


@mistake("05.1", caught_by="test_norm_by_hand")
def torchs_std_plus_eps(x, weight, bias, eps=1e-5):
    """x.std() + ε is divided by: a deviation that divides by C - 1, with ε outside the root.

    Take the variance with correction=0, add ε to it, then take the root.
    """
    return scaled((x - mean(x)) / (x.std(-1, keepdim=True) + eps), weight, bias)


@mistake("05.1", caught_by="test_norm_constant_token")
def no_eps(x, weight, bias, eps=1e-5):
    """ε is left out, so that a token of equal numbers becomes 0/0.

    Divide by the root of the variance plus ε.
    """
    return scaled((x - mean(x)) / variance(x).sqrt(), weight, bias)


@mistake("05.1", caught_by="test_norm_eps")
def always_the_usual_eps(x, weight, bias, eps=1e-5):
    """ε is 1e-5, whatever is given.

    Use the parameter `eps`.
    """
    return scaled((x - mean(x)) / (variance(x) + 1e-5).sqrt(), weight, bias)


@mistake("05.1", caught_by="test_norm_definition")
def over_the_first_axis(x, weight, bias, eps=1e-5):
    """mean and variance are taken over the first axis: it is the sentences that are compared.

    Each token is normalised over its own C numbers, the last axis: dim=-1.
    """
    centred = x - x.mean(dim=0, keepdim=True)
    spread = centred.square().mean(dim=0, keepdim=True)
    return scaled(centred / (spread + eps).sqrt(), weight, bias)


@mistake("05.1", caught_by="test_norm_definition")
def over_the_tokens(x, weight, bias, eps=1e-5):
    """mean and variance of each column are taken over all tokens: that is batch norm.

    Each token is normalised over its own C numbers, the last axis, and sees no other token.
    """
    axes = tuple(range(x.dim() - 1)) or (0,)
    centred = x - x.mean(dim=axes, keepdim=True)
    spread = centred.square().mean(dim=axes, keepdim=True)
    return scaled(centred / (spread + eps).sqrt(), weight, bias)


@mistake("05.1", caught_by="test_norm_definition")
def over_the_whole_sentence(x, weight, bias, eps=1e-5):
    """mean and variance are taken over all numbers of a sentence, tokens and columns.

    Each token has a mean and a variance of its own: dim=-1 alone. Otherwise a change of one token
    changes all others.
    """
    axes = (-2, -1) if x.dim() > 1 else (-1,)
    centred = x - x.mean(dim=axes, keepdim=True)
    spread = centred.square().mean(dim=axes, keepdim=True)
    return scaled(centred / (spread + eps).sqrt(), weight, bias)


@mistake("05.1", caught_by="test_norm_definition")
def over_everything(x, weight, bias, eps=1e-5):
    """there is one mean and one variance for the whole tensor.

    x.mean() without dim is taken over everything: `x.mean(dim=-1, keepdim=True)`.
    """
    centred = x - x.mean()
    return scaled(centred / (centred.square().mean() + eps).sqrt(), weight, bias)


@mistake("05.1", caught_by="test_norm_definition")
def over_axis_one(x, weight, bias, eps=1e-5):
    """the axis is 1, whatever the number of axes: right for (T, C) only.

    Count from the end: dim=-1.
    """
    centred = x - x.mean(dim=1, keepdim=True)
    spread = centred.square().mean(dim=1, keepdim=True)
    return scaled(centred / (spread + eps).sqrt(), weight, bias)


@mistake("05.1", caught_by="test_norm_by_hand")
def mean_left_in(x, weight, bias, eps=1e-5):
    """the mean is not subtracted: x is divided by the root of its mean square, as in RMSNorm.

    Subtract the mean of the token first; the variance is the mean square of what is left.
    """
    return scaled(x / (x.square().mean(-1, keepdim=True) + eps).sqrt(), weight, bias)


@mistake("05.1", caught_by="test_norm_by_hand")
def divided_only(x, weight, bias, eps=1e-5):
    """x is divided by the standard deviation without its mean being subtracted.

    (x - μ) / √(σ² + ε): above the fraction line stand the centred numbers.
    """
    return scaled(x / (variance(x) + eps).sqrt(), weight, bias)


@mistake("05.1", caught_by="test_norm_by_hand")
def spread_of_the_uncentred(x, weight, bias, eps=1e-5):
    """the mean is subtracted above the fraction line, and below it the squares are those of x.

    The variance is the mean square of the *centred* numbers: subtract the mean first, then square.
    """
    spread = x.square().mean(-1, keepdim=True)
    return scaled((x - mean(x)) / (spread + eps).sqrt(), weight, bias)


@mistake("05.1", caught_by="test_norm_by_hand")
def centred_only(x, weight, bias, eps=1e-5):
    """the mean is subtracted, and nothing is divided.

    Divide by the root of the variance plus ε.
    """
    return scaled(x - mean(x), weight, bias)


@mistake("05.1", caught_by="test_norm_by_hand")
def weight_and_bias_forgotten(x, weight, bias, eps=1e-5):
    """weight and bias are not used.

    Multiply the normalised token by weight and add bias. They begin at 1 and 0 in a model, which
    hides it until something is learned.
    """
    return (x - mean(x)) / (variance(x) + eps).sqrt()


@mistake("05.1", caught_by="test_norm_by_hand")
def bias_forgotten(x, weight, bias, eps=1e-5):
    """bias is not added.

    The last step adds it: `weight * normalised + bias`.
    """
    return weight * (x - mean(x)) / (variance(x) + eps).sqrt()


@mistake("05.1", caught_by="test_norm_by_hand")
def weight_forgotten(x, weight, bias, eps=1e-5):
    """the normalised token is not multiplied by weight.

    `weight * normalised + bias`.
    """
    return (x - mean(x)) / (variance(x) + eps).sqrt() + bias


@mistake("05.1", caught_by="test_norm_definition")
def bias_before_weight(x, weight, bias, eps=1e-5):
    """bias is added before the multiplication by weight.

    Scale first, then shift: `weight * normalised + bias`, without brackets around the sum.
    """
    return weight * ((x - mean(x)) / (variance(x) + eps).sqrt() + bias)


@mistake("05.1", caught_by="test_norm_by_hand")
def one_plus_weight(x, weight, bias, eps=1e-5):
    """the factor is 1 + weight.

    Some models store γ - 1; here weight is γ itself.
    """
    return scaled((x - mean(x)) / (variance(x) + eps).sqrt(), 1 + weight, bias)


@mistake("05.1", caught_by="test_norm_by_hand")
def divided_by_the_variance(x, weight, bias, eps=1e-5):
    """the centred token is divided by the variance: the root is missing.

    `torch.sqrt(variance + eps)`.
    """
    return scaled((x - mean(x)) / (variance(x) + eps), weight, bias)


@mistake("05.1", caught_by="test_norm_by_hand")
def mean_less_x(x, weight, bias, eps=1e-5):
    """the difference is turned round: the mean less x.

    x - μ: what is above the mean becomes positive.
    """
    return scaled((mean(x) - x) / (variance(x) + eps).sqrt(), weight, bias)


@mistake("05.1", caught_by="test_norm_far_from_zero")
def squares_less_the_square(x, weight, bias, eps=1e-5):
    """the variance is computed as the mean of the squares less the square of the mean.

    Far from 0 both are large and nearly equal, and their difference is rounding, or negative.
    Subtract the mean first, then average the squares.
    """
    spread = x.square().mean(-1, keepdim=True) - mean(x).square()
    return scaled((x - mean(x)) / (spread + eps).sqrt(), weight, bias)


@mistake("05.1", caught_by="test_norm_equal_sizes")
def axis_not_kept(x, weight, bias, eps=1e-5):
    """the axis of the means is not kept, so that they are spread over the columns.

    `x.mean(dim=-1, keepdim=True)`. Without keepdim it fails, unless there are as many tokens as
    columns: then it is wrong without a word.
    """
    spread = variance(x)[..., 0]
    return scaled((x - x.mean(dim=-1)) / (spread + eps).sqrt(), weight, bias)


@mistake("05.1", caught_by="test_norm_dtype")
def norm_in_single_precision(x, weight, bias, eps=1e-5):
    """the result is float32, whatever x is.

    Computing in float32 is fine for half precision, but give back the dtype of x.
    """
    x = x.float()
    return scaled((x - mean(x)) / (variance(x) + eps).sqrt(), weight.float(), bias.float())


@mistake("05.1", caught_by="test_norm_gradients")
def statistics_without_gradient(x, weight, bias, eps=1e-5):
    """the numbers are right, but mean and variance are cut off from x.

    Each number of x also moves μ and σ, and the gradient must know: no detach(), no
    torch.no_grad() around them.
    """
    y = x.detach()
    return scaled((x - mean(y)) / (variance(y) + eps).sqrt(), weight, bias)


@mistake("05.1", caught_by="test_norm_gradients")
def norm_without_gradient(x, weight, bias, eps=1e-5):
    """the numbers are right, but cut off from x.

    detach(), .data, numpy(), torch.tensor(…) and torch.no_grad() cut the way back.
    """
    x = x.detach()
    return scaled((x - mean(x)) / (variance(x) + eps).sqrt(), weight, bias)


# ---------------------------------------------------------------------------------------------
# 05.2


def parts(x, eps):
    """x_hat and the root, as they should be."""
    root = (variance(x) + eps).sqrt()
    return (x - mean(x)) / root, root


def back_to_x(g, x_hat, root):
    return (g - mean(g) - x_hat * mean(g * x_hat)) / root


def all_tokens(x):
    return x.sum(dim=(0, 1))


@mistake("05.2", caught_by="test_back_by_hand")
def mean_taken_for_a_constant(grad, x, weight, eps=1e-5):
    """the term of the mean, the average of g, is missing.

    Each number of x also moves μ, and with it all others: subtract the mean of g over the token.
    """
    x_hat, root = parts(x, eps)
    g = grad * weight
    grad_x = (g - x_hat * mean(g * x_hat)) / root
    return grad_x, all_tokens(grad * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_differences")
def variance_taken_for_a_constant(grad, x, weight, eps=1e-5):
    """the term of the variance, x_hat times the average of g · x_hat, is missing.

    Each number of x also moves σ: subtract `x_hat * (g * x_hat).mean(-1, keepdim=True)`.
    """
    x_hat, root = parts(x, eps)
    g = grad * weight
    return (g - mean(g)) / root, all_tokens(grad * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_by_hand")
def both_taken_for_constants(grad, x, weight, eps=1e-5):
    """mean and variance are taken for constants: only grad · weight / root is left.

    Each number of x also moves μ and σ, which gives two more terms.
    """
    x_hat, root = parts(x, eps)
    return grad * weight / root, all_tokens(grad * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_x")
def weight_left_out_backwards(grad, x, weight, eps=1e-5):
    """the gradient of x does not know weight.

    What arrives at x_hat is g = grad · weight; it stands in all three terms.
    """
    x_hat, root = parts(x, eps)
    return back_to_x(grad, x_hat, root), all_tokens(grad * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_x")
def weight_outside_the_means(grad, x, weight, eps=1e-5):
    """weight multiplies the bracket from outside.

    The means are taken over grad · weight: multiply first.
    """
    x_hat, root = parts(x, eps)
    grad_x = weight * back_to_x(grad, x_hat, root)
    return grad_x, all_tokens(grad * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_by_hand")
def sums_in_place_of_means(grad, x, weight, eps=1e-5):
    """sums stand where the bracket has means over the C numbers: the 1/C is missing.

    μ and σ² are means, so each number moves them by 1/C of what it moves.
    """
    x_hat, root = parts(x, eps)
    g = grad * weight
    total = g.sum(-1, keepdim=True) + x_hat * (g * x_hat).sum(-1, keepdim=True)
    return (g - total) / root, all_tokens(grad * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_by_hand")
def divided_by_the_square_of_the_root(grad, x, weight, eps=1e-5):
    """the bracket is divided by σ² + ε, not by its root.

    One root: `/ torch.sqrt(variance + eps)`.
    """
    x_hat, root = parts(x, eps)
    grad_x = back_to_x(grad * weight, x_hat, root) / root
    return grad_x, all_tokens(grad * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_by_hand")
def root_forgotten_backwards(grad, x, weight, eps=1e-5):
    """the bracket is not divided by the root.

    x_hat is (x - μ) / root, so everything that comes back to x is divided by it, too.
    """
    x_hat, _ = parts(x, eps)
    grad_x = back_to_x(grad * weight, x_hat, 1.0)
    return grad_x, all_tokens(grad * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_by_hand")
def terms_added_backwards(grad, x, weight, eps=1e-5):
    """the two means are added to g, not subtracted.

    A shift and a stretch of the token change nothing: their parts are *taken away* from g.
    """
    x_hat, root = parts(x, eps)
    g = grad * weight
    grad_x = (g + mean(g) + x_hat * mean(g * x_hat)) / root
    return grad_x, all_tokens(grad * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_by_hand")
def centred_in_place_of_normalised(grad, x, weight, eps=1e-5):
    """the centred numbers x - μ stand where x_hat belongs.

    x_hat is divided by the root already; in the bracket and in the gradient of weight.
    """
    _, root = parts(x, eps)
    centred = x - mean(x)
    grad_x = back_to_x(grad * weight, centred, root)
    return grad_x, all_tokens(grad * centred), all_tokens(grad)


@mistake("05.2", caught_by="test_back_by_hand")
def weight_learns_from_x(grad, x, weight, eps=1e-5):
    """the gradient of weight is the sum of grad · x.

    weight multiplies the *normalised* token: sum grad · x_hat.
    """
    x_hat, root = parts(x, eps)
    return back_to_x(grad * weight, x_hat, root), all_tokens(grad * x), all_tokens(grad)


@mistake("05.2", caught_by="test_back_weights")
def weight_learns_from_g(grad, x, weight, eps=1e-5):
    """the gradient of weight is the sum of grad · weight · x_hat.

    y = weight · x_hat + bias: its derivative with respect to weight is x_hat. g is for x.
    """
    x_hat, root = parts(x, eps)
    g = grad * weight
    return back_to_x(g, x_hat, root), all_tokens(g * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_weights")
def bias_learns_from_g(grad, x, weight, eps=1e-5):
    """the gradient of bias is the sum of grad · weight.

    bias is added behind the multiplication: its gradient is the sum of grad.
    """
    x_hat, root = parts(x, eps)
    g = grad * weight
    return back_to_x(g, x_hat, root), all_tokens(grad * x_hat), all_tokens(g)


@mistake("05.2", caught_by="test_back_weights")
def averaged_over_the_tokens(grad, x, weight, eps=1e-5):
    """the gradients of weight and bias are means over the tokens.

    The loss has been averaged already, if it should be: what is shared adds up its gradients.
    """
    x_hat, root = parts(x, eps)
    grad_x = back_to_x(grad * weight, x_hat, root)
    return grad_x, (grad * x_hat).mean(dim=(0, 1)), grad.mean(dim=(0, 1))


@mistake("05.2", caught_by="test_back_shapes")
def summed_over_the_sentences_only(grad, x, weight, eps=1e-5):
    """the gradients of weight and bias are summed over the sentences only: (T, C).

    weight and bias serve all tokens: sum over both axes in front, dim=(0, 1).
    """
    x_hat, root = parts(x, eps)
    return back_to_x(grad * weight, x_hat, root), (grad * x_hat).sum(dim=0), grad.sum(dim=0)


@mistake("05.2", caught_by="test_back_shapes")
def summed_over_nothing(grad, x, weight, eps=1e-5):
    """the gradients of weight and bias are not summed: (B, T, C).

    weight and bias serve all tokens: sum over both axes in front, dim=(0, 1).
    """
    x_hat, root = parts(x, eps)
    return back_to_x(grad * weight, x_hat, root), grad * x_hat, grad


@mistake("05.2", caught_by="test_back_by_hand")
def weight_and_bias_exchanged_backwards(grad, x, weight, eps=1e-5):
    """the gradients of weight and bias are returned in each other's place.

    The order is (grad_x, grad_weight, grad_bias); shapes do not tell.
    """
    x_hat, root = parts(x, eps)
    return back_to_x(grad * weight, x_hat, root), all_tokens(grad), all_tokens(grad * x_hat)


@mistake("05.2", caught_by="test_back_by_hand")
def unbiased_backwards(grad, x, weight, eps=1e-5):
    """the root is that of a variance that divides by C - 1.

    torch's var and std do unless they are told otherwise: correction=0.
    """
    root = (x.var(-1, keepdim=True) + eps).sqrt()
    x_hat = (x - mean(x)) / root
    return back_to_x(grad * weight, x_hat, root), all_tokens(grad * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_eps")
def no_eps_backwards(grad, x, weight, eps=1e-5):
    """ε is left out of the root.

    The gradient is that of the formula with ε, and a token of equal numbers is 0/0 without it.
    """
    x_hat, root = parts(x, 0.0)
    return back_to_x(grad * weight, x_hat, root), all_tokens(grad * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_x")
def means_over_the_tokens_backwards(grad, x, weight, eps=1e-5):
    """the two means of the bracket are taken over the tokens of the sentence.

    They belong to one token, over its C numbers: dim=-1.
    """
    x_hat, root = parts(x, eps)
    g = grad * weight
    inner = g - g.mean(1, keepdim=True) - x_hat * (g * x_hat).mean(1, keepdim=True)
    return inner / root, all_tokens(grad * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_x")
def means_over_the_sentence_backwards(grad, x, weight, eps=1e-5):
    """the two means of the bracket are taken over all numbers of a sentence, tokens and columns.

    They belong to one token, over its C numbers: dim=-1 alone.
    """
    x_hat, root = parts(x, eps)
    g = grad * weight
    along = (g * x_hat).mean((1, 2), keepdim=True)
    grad_x = (g - g.mean((1, 2), keepdim=True) - x_hat * along) / root
    return grad_x, all_tokens(grad * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_x")
def means_over_everything_backwards(grad, x, weight, eps=1e-5):
    """there is one mean for the whole tensor in each place of the bracket.

    mean() without dim is taken over everything: `g.mean(dim=-1, keepdim=True)`.
    """
    x_hat, root = parts(x, eps)
    g = grad * weight
    grad_x = (g - g.mean() - x_hat * (g * x_hat).mean()) / root
    return grad_x, all_tokens(grad * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_eps")
def no_eps_before_the_bracket(grad, x, weight, eps=1e-5):
    """x_hat is right, and the bracket is divided by σ, without ε.

    It is the same root in both places, √(σ² + ε): compute it once.
    """
    x_hat, _ = parts(x, eps)
    grad_x = back_to_x(grad * weight, x_hat, variance(x).sqrt())
    return grad_x, all_tokens(grad * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_equal_sizes")
def axis_not_kept_backwards(grad, x, weight, eps=1e-5):
    """the axis of the two means is not kept, so that they are spread over the columns.

    `mean(dim=-1, keepdim=True)`. Without keepdim it fails, unless sizes are equal.
    """
    x_hat, root = parts(x, eps)
    g = grad * weight
    grad_x = (g - g.mean(-1) - x_hat * (g * x_hat).mean(-1)) / root
    return grad_x, all_tokens(grad * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_dtype")
def back_in_single_precision(grad, x, weight, eps=1e-5):
    """everything is computed in float32, whatever the inputs are.

    Leave .float() out: gradients have the dtype of what they belong to.
    """
    grad, weight = grad.float(), weight.float()
    x_hat, root = parts(x.float(), eps)
    return back_to_x(grad * weight, x_hat, root), all_tokens(grad * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_by_hand")
def weight_learns_from_the_centred(grad, x, weight, eps=1e-5):
    """the gradient of weight takes x - μ, not yet divided by the root.

    It is grad times x_hat that is summed: divide by the root first.
    """
    x_hat, root = parts(x, eps)
    grad_x = back_to_x(grad * weight, x_hat, root)
    return grad_x, all_tokens(grad * x_hat * root), all_tokens(grad)


@mistake("05.2", caught_by="test_back_by_hand")
def means_over_all_tokens_backwards(grad, x, weight, eps=1e-5):
    """the means of g and of g · x_hat are taken over all tokens, dim=(0, 1).

    Each token has means of its own, over its C numbers: `mean(dim=-1, keepdim=True)`.
    """
    x_hat, root = parts(x, eps)
    g = grad * weight
    grad_x = (g - g.mean((0, 1)) - x_hat * (g * x_hat).mean((0, 1))) / root
    return grad_x, all_tokens(grad * x_hat), all_tokens(grad)


@mistake("05.2", caught_by="test_back_weights")
def weights_learn_from_the_last_sentence(grad, x, weight, eps=1e-5):
    """the gradients of weight and bias are sums over the last sentence only.

    All tokens of all sentences have used the same weight and bias. A sum that is set to 0 inside
    a loop begins anew each time.
    """
    x_hat, root = parts(x, eps)
    grad_x = back_to_x(grad * weight, x_hat, root)
    return grad_x, all_tokens((grad * x_hat)[-1:]), all_tokens(grad[-1:])


# ---------------------------------------------------------------------------------------------
# 05.3


class Block(nn.Module):
    """The parts of a block; what goes wrong is in `forward`."""

    def __init__(self, d_model, pre_norm, dropout=0.0, bias=True, **options):
        super().__init__()
        self.norm = nn.LayerNorm(d_model, **options)
        self.sublayer = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.pre_norm = pre_norm

    def says(self, x):
        return self.dropout(self.sublayer(x))

    def forward(self, x):
        if self.pre_norm:
            return x + self.says(self.norm(x))
        return self.norm(x + self.says(x))


@mistake("05.3", caught_by="test_block_silent_sublayer")
class NormalisedCarriedOn(Block):
    """x is overwritten by norm(x) in the pre-norm block, so that the normalised x is carried on.

    `x + self.sublayer(self.norm(x))`: only the sublayer gets the normalised tokens, the bypass
    keeps those that came in.
    """

    def forward(self, x):
        if self.pre_norm:
            x = self.norm(x)
            return x + self.says(x)
        return self.norm(x + self.says(x))


@mistake("05.3", caught_by="test_block_silent_sublayer")
class NothingAdded(Block):
    """x is not added: there is no residual connection.

    What the sublayer says is added to x. Without that a deep stack loses signal and gradient.
    """

    def forward(self, x):
        return self.says(self.norm(x)) if self.pre_norm else self.norm(self.says(x))


@mistake("05.3", caught_by="test_block_pre_norm")
class KindsExchanged(Block):
    """pre-norm and post-norm stand in each other's place.

    pre_norm=True: the norm stands before the sublayer, x + f(norm(x)).
    """

    def forward(self, x):
        if self.pre_norm:
            return self.norm(x + self.says(x))
        return x + self.says(self.norm(x))


@mistake("05.3", caught_by="test_block_post_norm")
class AlwaysPreNorm(Block):
    """both kinds are pre-norm.

    With pre_norm=False the sum is normalised: norm(x + f(x)).
    """

    def forward(self, x):
        return x + self.says(self.norm(x))


@mistake("05.3", caught_by="test_block_pre_norm")
class AlwaysPostNorm(Block):
    """both kinds are post-norm.

    With pre_norm=True only the sublayer's input is normalised: x + f(norm(x)).
    """

    def forward(self, x):
        return self.norm(x + self.says(x))


@mistake("05.3", caught_by="test_block_pre_norm")
class NormOfWhatIsSaid(Block):
    """in the pre-norm block it is what the sublayer says that is normalised: x + norm(f(x)).

    The norm stands before the sublayer: x + f(norm(x)).
    """

    def forward(self, x):
        if self.pre_norm:
            return x + self.dropout(self.norm(self.sublayer(x)))
        return self.norm(x + self.says(x))


@mistake("05.3", caught_by="test_block_post_norm")
class PostNormOfWhatIsSaid(Block):
    """in the post-norm block only what the sublayer says is normalised: x + norm(f(x)).

    The norm comes behind the sum: norm(x + f(x)).
    """

    def forward(self, x):
        if self.pre_norm:
            return x + self.says(self.norm(x))
        return x + self.norm(self.says(x))


@mistake("05.3", caught_by="test_block_post_norm")
class NormTwiceInPostNorm(Block):
    """the post-norm block normalises twice, before the sublayer and behind the sum.

    Post-norm: the sublayer gets x as it is, norm(x + f(x)).
    """

    def forward(self, x):
        inner = x + self.says(self.norm(x))
        return inner if self.pre_norm else self.norm(inner)


@mistake("05.3", caught_by="test_block_pre_norm")
class NormTwiceInPreNorm(Block):
    """the pre-norm block normalises the sum as well.

    Pre-norm leaves the road alone: x + f(norm(x)), and nothing behind it.
    """

    def forward(self, x):
        return self.norm(x + self.says(self.norm(x) if self.pre_norm else x))


@mistake("05.3", caught_by="test_block_pre_norm")
class NoNormBefore(Block):
    """the pre-norm block has no norm: x + f(x).

    The sublayer gets the normalised tokens: f(norm(x)).
    """

    def forward(self, x):
        inner = x + self.says(x)
        return inner if self.pre_norm else self.norm(inner)


@mistake("05.3", caught_by="test_block_pre_norm")
class NoNormAtAll(Block):
    """nothing is normalised: x + f(x).

    Pre-norm is x + f(norm(x)), post-norm norm(x + f(x)).
    """

    def forward(self, x):
        return x + self.says(x)


@mistake("05.3", caught_by="test_block_by_hand")
class Subtracted(Block):
    """what the sublayer says is subtracted from x.

    It is added.
    """

    def forward(self, x):
        if self.pre_norm:
            return x - self.says(self.norm(x))
        return self.norm(x - self.says(x))


@mistake("05.3", caught_by="test_block_pre_norm")
class Multiplied(Block):
    """x is multiplied by what the sublayer says.

    It is added: a sublayer that says 0 must leave x as it is.
    """

    def forward(self, x):
        return x * self.says(self.norm(x)) if self.pre_norm else self.norm(x * self.says(x))


@mistake("05.3", caught_by="test_block_pre_norm")
class Averaged(Block):
    """the sum is divided by 2, or by √2.

    x + f(norm(x)) as it is. A factor on the road would be repeated in every block.
    """

    def forward(self, x):
        if self.pre_norm:
            return (x + self.says(self.norm(x))) / 2
        return self.norm(x + self.says(x))


@mistake("05.3", caught_by="test_block_pre_norm")
class AddedTwice(Block):
    """x is added twice.

    One bypass: x + f(norm(x)).
    """

    def forward(self, x):
        inner = 2 * x + self.says(self.norm(x) if self.pre_norm else x)
        return inner if self.pre_norm else self.norm(inner)


@mistake("05.3", caught_by="test_block_pre_norm")
class SaidTwice(Block):
    """the sublayer is applied twice, to its own result.

    Call self.sublayer once.
    """

    def forward(self, x):
        inner = x + self.says(self.sublayer(self.norm(x) if self.pre_norm else x))
        return inner if self.pre_norm else self.norm(inner)


@mistake("05.3", caught_by="test_block_dropout")
class DropoutOfTheSum(Block):
    """dropout is applied to the sum, x included.

    Only what the sublayer says is dropped: x + dropout(f(…)). Otherwise numbers of x are lost in
    every block.
    """

    def forward(self, x):
        if self.pre_norm:
            return self.dropout(x + self.sublayer(self.norm(x)))
        return self.norm(self.dropout(x + self.sublayer(x)))


@mistake("05.3", caught_by="test_block_dropout")
class DropoutBeforeTheSublayer(Block):
    """dropout is applied to what the sublayer gets.

    It is applied to what the sublayer says: dropout(f(…)).
    """

    def forward(self, x):
        if self.pre_norm:
            return x + self.sublayer(self.dropout(self.norm(x)))
        return self.norm(x + self.sublayer(self.dropout(x)))


@mistake("05.3", caught_by="test_block_dropout")
class NoDropout(Block):
    """dropout is not applied.

    Call `self.dropout(…)` on what the sublayer says.
    """

    def forward(self, x):
        if self.pre_norm:
            return x + self.sublayer(self.norm(x))
        return self.norm(x + self.sublayer(x))


@mistake("05.3", caught_by="test_block_dropout")
class DropoutOfUsualSize(Block):
    """the share of dropout is 0.1, whatever is given.

    `nn.Dropout(dropout)`.
    """

    def __init__(self, d_model, pre_norm, dropout=0.0):
        super().__init__(d_model, pre_norm, 0.1 if dropout else 0.0)


@mistake("05.3", caught_by="test_block_evaluation")
class DropoutInEvaluation(Block):
    """dropout is on in evaluation as well.

    `F.dropout(x, p)` is always on: use nn.Dropout, which knows the mode, or training=self.training.
    """

    def says(self, x):
        return F.dropout(self.sublayer(x), self.dropout.p)


@mistake("05.3", caught_by="test_block_dropout")
class DropoutWithoutRescaling(Block):
    """dropout sets numbers to 0, and what is left keeps its size.

    What is left is divided by 1 - p, so that the expected value stays: nn.Dropout does both.
    """

    def says(self, x):
        said = self.sublayer(x)
        if not self.training:
            return said
        return said * (torch.rand_like(said) >= self.dropout.p)


@mistake("05.3", caught_by="test_block_parameters")
class TwoNorms(Block):
    """there are two norms, one for each kind.

    One norm, `self.norm`, serves both kinds: a block is of one kind only.
    """

    def __init__(self, d_model, pre_norm, dropout=0.0):
        super().__init__(d_model, pre_norm, dropout)
        self.other_norm = nn.LayerNorm(d_model)


@mistake("05.3", caught_by="test_block_parameters")
class NormThatLearnsNothing(Block):
    """the norm has neither weight nor bias.

    `nn.LayerNorm(d_model)`, without elementwise_affine=False.
    """

    def __init__(self, d_model, pre_norm, dropout=0.0):
        super().__init__(d_model, pre_norm, dropout, elementwise_affine=False)


@mistake("05.3", caught_by="test_block_parameters")
class SublayerWithoutBias(Block):
    """the sublayer has no bias.

    `nn.Linear(d_model, d_model)`, without bias=False.
    """

    def __init__(self, d_model, pre_norm, dropout=0.0):
        super().__init__(d_model, pre_norm, dropout, bias=False)


@mistake("05.3", caught_by="test_block_gradients")
class RoadWithoutGradient(Block):
    """the bypass is cut off from x: the gradient comes back through the sublayer only.

    No detach() and no .data on x: the bypass is there for the gradient above all.
    """

    def forward(self, x):
        if self.pre_norm:
            return x.detach() + self.says(self.norm(x))
        return self.norm(x.detach() + self.says(x))


@mistake("05.3", caught_by="test_block_gradients")
class SublayerWithoutGradient(Block):
    """the sublayer is cut off: the gradient comes back through the bypass only.

    No detach() and no torch.no_grad() around the sublayer, or it never learns.
    """

    def says(self, x):
        return super().says(x).detach()


@mistake("05.3", caught_by="test_block_dtype")
class BlockInSinglePrecision(Block):
    """the output is float32, whatever x is.

    Leave .float() out.
    """

    def forward(self, x):
        return super().forward(x).float()


SHARED_NORMS, SHARED_SUBLAYERS = {}, {}


@mistake("05.3", caught_by="test_block_instances")
class BlocksThatShare(Block):
    """all blocks share one norm and one sublayer.

    Make the parts in __init__, on self: what stands in the class body, or outside, is one thing for
    all blocks.
    """

    def __init__(self, d_model, pre_norm, dropout=0.0):
        super().__init__(d_model, pre_norm, dropout)
        self.norm = SHARED_NORMS.setdefault(d_model, self.norm)
        self.sublayer = SHARED_SUBLAYERS.setdefault(d_model, self.sublayer)


@mistake("05.3", caught_by="test_block_dropout")
class DropoutOfTheSumBehind(Block):
    """in the post-norm block dropout is applied to the sum, x included.

    It is for what the sublayer says, in both kinds: `self.norm(x + self.dropout(…))`.
    """

    def forward(self, x):
        if self.pre_norm:
            return super().forward(x)
        return self.norm(self.dropout(x + self.sublayer(x)))


# ---------------------------------------------------------------------------------------------
# 05.4


class Network(nn.Module):
    """The parts of a feed-forward network; what goes wrong is in `forward`."""

    def __init__(self, d_model, d_ff, bias=True):
        super().__init__()
        self.in_proj = nn.Linear(d_model, d_ff, bias=bias)
        self.out_proj = nn.Linear(d_ff, d_model, bias=bias)

    def hidden(self, x):
        return torch.relu(self.in_proj(x))

    def forward(self, x):
        return self.out_proj(self.hidden(x))


@mistake("05.4", caught_by="test_ff_by_hand")
class NoActivation(Network):
    """there is no relu: two linear layers in a row, which are one.

    `self.out_proj(torch.relu(self.in_proj(x)))`.
    """

    def hidden(self, x):
        return self.in_proj(x)


@mistake("05.4", caught_by="test_ff_definition")
class ActivationBehind(Network):
    """relu comes once more behind out_proj.

    The output goes back to the road, where numbers may be negative: relu stands between the two
    layers only.
    """

    def forward(self, x):
        return torch.relu(super().forward(x))


@mistake("05.4", caught_by="test_ff_definition")
class ActivationBehindOnly(Network):
    """relu comes behind out_proj, in place of between the layers.

    `self.out_proj(torch.relu(self.in_proj(x)))`.
    """

    def forward(self, x):
        return torch.relu(self.out_proj(self.in_proj(x)))


@mistake("05.4", caught_by="test_ff_by_hand")
class ActivationBefore(Network):
    """relu is applied to x, before in_proj.

    It is applied to the inner numbers: torch.relu(self.in_proj(x)).
    """

    def hidden(self, x):
        return self.in_proj(torch.relu(x))


@mistake("05.4", caught_by="test_ff_by_hand")
class GeluForRelu(Network):
    """the activation is gelu.

    BERT and GPT have gelu; here it is relu, as in 2017.
    """

    def hidden(self, x):
        return F.gelu(self.in_proj(x))


@mistake("05.4", caught_by="test_ff_by_hand")
class SiluForRelu(Network):
    """the activation is silu (swish).

    Here it is relu, as in 2017.
    """

    def hidden(self, x):
        return F.silu(self.in_proj(x))


@mistake("05.4", caught_by="test_ff_by_hand")
class TanhForRelu(Network):
    """the activation is tanh.

    Here it is relu, which has no upper bound.
    """

    def hidden(self, x):
        return torch.tanh(self.in_proj(x))


@mistake("05.4", caught_by="test_ff_by_hand")
class SigmoidForRelu(Network):
    """the activation is the sigmoid.

    Here it is relu, which has no upper bound.
    """

    def hidden(self, x):
        return torch.sigmoid(self.in_proj(x))


@mistake("05.4", caught_by="test_ff_by_hand")
class SoftmaxForRelu(Network):
    """a softmax over the inner numbers stands in place of relu.

    That would be attention over the keys of the memory. relu lets any number of them speak, each
    for itself.
    """

    def hidden(self, x):
        return self.in_proj(x).softmax(dim=-1)


@mistake("05.4", caught_by="test_ff_by_hand")
class LeakyRelu(Network):
    """negative inner numbers are made small, not 0 (leaky relu).

    `torch.relu`: what is negative becomes 0.
    """

    def hidden(self, x):
        return F.leaky_relu(self.in_proj(x))


@mistake("05.4", caught_by="test_ff_by_hand")
class SquaredRelu(Network):
    """the relu is squared.

    Some present models do that; here it is plain relu.
    """

    def hidden(self, x):
        return super().hidden(x).square()


@mistake("05.4", caught_by="test_ff_by_hand")
class AbsoluteForRelu(Network):
    """the activation is the absolute value.

    relu is max(0, x).
    """

    def hidden(self, x):
        return self.in_proj(x).abs()


@mistake("05.4", caught_by="test_ff_by_hand")
class ReluTurnedRound(Network):
    """what is positive is cut off, and what is negative stays: min(0, x).

    relu is max(0, x): `clamp(min=0)`.
    """

    def hidden(self, x):
        return self.in_proj(x).clamp(max=0)


@mistake("05.4", caught_by="test_ff_by_hand")
class InputAdded(Network):
    """x is added to the result.

    The residual connection belongs to the block around the network, where the norm is, too; here
    it would be added twice.
    """

    def forward(self, x):
        return x + super().forward(x)


@mistake("05.4", caught_by="test_ff_definition")
class InnerBiasForgotten(Network):
    """the bias of in_proj is not used.

    `self.in_proj(x)` adds it; with matrices write `x @ self.in_proj.weight.T + self.in_proj.bias`.
    """

    def hidden(self, x):
        return torch.relu(x @ self.in_proj.weight.T)


@mistake("05.4", caught_by="test_ff_by_hand")
class OuterBiasForgotten(Network):
    """the bias of out_proj is not used.

    `self.out_proj(hidden)` adds it; with matrices write `+ self.out_proj.bias`.
    """

    def forward(self, x):
        return self.hidden(x) @ self.out_proj.weight.T


@mistake("05.4", caught_by="test_ff_definition")
class BiasBehindTheActivation(Network):
    """the bias of in_proj is added behind relu.

    relu(x W_1 + b_1): the bias moves the threshold of each inner number.
    """

    def hidden(self, x):
        return torch.relu(x @ self.in_proj.weight.T) + self.in_proj.bias


@mistake("05.4", caught_by="test_ff_parameters")
class NoBiases(Network):
    """the projections have no biases.

    `nn.Linear(d_model, d_ff)`, without bias=False.
    """

    def __init__(self, d_model, d_ff):
        super().__init__(d_model, d_ff, bias=False)


@mistake("05.4", caught_by="test_ff_parameters")
class InnerWidthIgnored(Network):
    """the inner width is d_model: d_ff is not used.

    `nn.Linear(d_model, d_ff)` and `nn.Linear(d_ff, d_model)`.
    """

    def __init__(self, d_model, d_ff):
        super().__init__(d_model, d_model)


@mistake("05.4", caught_by="test_ff_parameters")
class FourTimesAsWide(Network):
    """the inner width is 4 · d_model, whatever d_ff is.

    Four times is usual, but d_ff says how wide.
    """

    def __init__(self, d_model, d_ff):
        super().__init__(d_model, 4 * d_model)


@mistake("05.4", caught_by="test_ff_parameters")
class GatedNetwork(Network):
    """there is a third projection, as in a gated network (SwiGLU).

    That came in 2020. Here are two projections only.
    """

    def __init__(self, d_model, d_ff):
        super().__init__(d_model, d_ff)
        self.gate_proj = nn.Linear(d_model, d_ff)

    def hidden(self, x):
        return F.silu(self.in_proj(x)) * self.gate_proj(x)


@mistake("05.4", caught_by="test_ff_alone")
class AveragedOverTheTokens(Network):
    """the inner numbers are averaged over the tokens of a sentence.

    Each position is alone here: attention is where tokens meet.
    """

    def hidden(self, x):
        hidden = super().hidden(x)
        return hidden if x.dim() == 1 else hidden.mean(-2, keepdim=True).expand_as(hidden)


@mistake("05.4", caught_by="test_ff_definition")
class InnerNumbersNormalised(Network):
    """the inner numbers are normalised.

    There is no norm inside the network; it stands around it, in the block.
    """

    def hidden(self, x):
        return F.layer_norm(super().hidden(x), (self.in_proj.out_features,))


@mistake("05.4", caught_by="test_ff_axes")
class ThreeAxesOnly(Network):
    """three axes are taken for granted, B, T, C = x.shape.

    nn.Linear works on the last axis, whatever stands in front: nothing must be unpacked.
    """

    def forward(self, x):
        B, T, C = x.shape
        return super().forward(x.reshape(B * T, C)).view(B, T, C)


@mistake("05.4", caught_by="test_ff_axes")
class ResultSqueezed(Network):
    """axes of length 1 are dropped.

    Leave squeeze out: one sentence, or one token, is still an axis.
    """

    def forward(self, x):
        return super().forward(x).squeeze()


@mistake("05.4", caught_by="test_ff_modes")
class DropoutInside(Network):
    """a tenth of the inner numbers is dropped in training.

    Many models do that; this exercise has no dropout.
    """

    def hidden(self, x):
        return F.dropout(super().hidden(x), 0.1, self.training)


@mistake("05.4", caught_by="test_ff_dtype")
class NetworkInSinglePrecision(Network):
    """the output is float32, whatever x is.

    Leave .float() out.
    """

    def forward(self, x):
        return super().forward(x).float()


@mistake("05.4", caught_by="test_ff_gradients")
class InnerNumbersWithoutGradient(Network):
    """the inner numbers are cut off: in_proj never learns, and x gets no gradient.

    No detach(), no .data and no torch.no_grad() on the way.
    """

    def hidden(self, x):
        return super().hidden(x).detach()


SHARED_PROJECTIONS = {}


@mistake("05.4", caught_by="test_ff_instances")
class NetworksThatShare(Network):
    """all networks share one in_proj.

    Make the projections in __init__, on self: what stands in the class body, or outside, is one
    thing for all networks.
    """

    def __init__(self, d_model, d_ff):
        super().__init__(d_model, d_ff)
        self.in_proj = SHARED_PROJECTIONS.setdefault((d_model, d_ff), self.in_proj)


@mistake("05.4", caught_by="test_ff_definition")
class OuterBiasForEveryInnerNumber(Network):
    """the bias of out_proj is added once for each inner number, d_ff times in all.

    It stands outside the sum: add it once, behind the loop.
    """

    def forward(self, x):
        return super().forward(x) + (self.in_proj.out_features - 1) * self.out_proj.bias


# ---------------------------------------------------------------------------------------------
# 05.5


def cross_entropy(
    logits, targets, smoothing, ignored, *,
    share=lambda V, s: (1 - s + s / V, s / V), log_probs=lambda z: z.log_softmax(-1), counts=None,
    average=lambda losses, counts: (losses * counts).sum() / counts.sum().clamp(min=1),
):  # fmt: skip
    """The loss with a step exchanged; `share` gives the target's and the others' share."""
    counts = targets != ignored if counts is None else counts
    of_target, of_others = share(logits.shape[-1], smoothing)
    log_p = log_probs(logits)
    chosen = log_p.gather(-1, targets.where(counts & (targets >= 0), 0)[..., None])[..., 0]
    losses = -of_target * chosen - of_others * (log_p.sum(-1) - chosen)
    return average(losses, counts)


@mistake("05.5", caught_by="test_loss_by_hand")
def spread_over_the_wrong_ones(logits, targets, smoothing=0.1, ignore_index=-100):
    """the share ε is spread over the V - 1 wrong tokens only, and the target has 1 - ε.

    That convention exists, too. Here it is spread over all V, the right one included: the target
    has 1 - ε + ε/V.
    """
    return cross_entropy(
        logits, targets, smoothing, ignore_index, share=lambda V, s: (1 - s, s / (V - 1))
    )


@mistake("05.5", caught_by="test_loss_by_hand")
def shares_that_do_not_sum_to_one(logits, targets, smoothing=0.1, ignore_index=-100):
    """the target has 1 - ε and every other token ε/V, which sum to 1 - ε/V.

    The target gets its part of the even share as well: 1 - ε + ε/V. With four tokens and ε = 0.1
    that is 0.925, not 0.9.
    """
    return cross_entropy(
        logits, targets, smoothing, ignore_index, share=lambda V, s: (1 - s, s / V)
    )


@mistake("05.5", caught_by="test_loss_by_hand")
def shares_above_one(logits, targets, smoothing=0.1, ignore_index=-100):
    """the target keeps all of its mass, 1, and every token gets ε/V besides.

    What is spread is taken away from the target first: (1 - ε) · one-hot + ε/V.
    """
    return cross_entropy(
        logits, targets, smoothing, ignore_index, share=lambda V, s: (1 + s / V, s / V)
    )


@mistake("05.5", caught_by="test_loss_by_hand")
def even_share_not_divided(logits, targets, smoothing=0.1, ignore_index=-100):
    """every token gets ε, where ε/V is wanted: the sum of -ln p stands where its mean belongs.

    ε is shared by V tokens: take the mean of ln p over the vocabulary.
    """
    return cross_entropy(
        logits, targets, smoothing, ignore_index, share=lambda V, s: (1 - s + s, s)
    )


@mistake("05.5", caught_by="test_loss_by_hand")
def shares_exchanged(logits, targets, smoothing=0.1, ignore_index=-100):
    """ε and 1 - ε stand in each other's place.

    The target gets 1 - ε, the even share is ε, which is small.
    """
    return cross_entropy(logits, targets, 1 - smoothing, ignore_index)


@mistake("05.5", caught_by="test_loss_by_hand")
def smoothing_ignored(logits, targets, smoothing=0.1, ignore_index=-100):
    """the target is certain: smoothing is not used.

    Spread its share over all tokens.
    """
    return cross_entropy(logits, targets, 0.0, ignore_index)


@mistake("05.5", caught_by="test_loss_without_smoothing")
def always_a_tenth(logits, targets, smoothing=0.1, ignore_index=-100):
    """the share is 0.1, whatever is given.

    Use the parameter `smoothing`.
    """
    return cross_entropy(logits, targets, 0.1, ignore_index)


@mistake("05.5", caught_by="test_loss_by_hand")
def sign_of_the_loss(logits, targets, smoothing=0.1, ignore_index=-100):
    """the sign is missing: the loss is the sum of q ln p, which is negative.

    ln p is at most 0; the loss is -Σ q ln p.
    """
    return -cross_entropy(logits, targets, smoothing, ignore_index)


@mistake("05.5", caught_by="test_loss_definition")
def logits_taken_for_log_probs(logits, targets, smoothing=0.1, ignore_index=-100):
    """the logits are used as they are, as if they were ln p already.

    `logits.log_softmax(dim=-1)` makes them so.
    """
    return cross_entropy(logits, targets, smoothing, ignore_index, log_probs=lambda z: z)


@mistake("05.5", caught_by="test_loss_by_hand")
def logarithm_forgotten(logits, targets, smoothing=0.1, ignore_index=-100):
    """the probabilities stand where their logarithms belong.

    log_softmax in place of softmax.
    """
    return cross_entropy(
        logits, targets, smoothing, ignore_index, log_probs=lambda z: z.softmax(-1)
    )


@mistake("05.5", caught_by="test_loss_by_hand")
def softmax_twice(logits, targets, smoothing=0.1, ignore_index=-100):
    """log_softmax is given probabilities: there are two softmaxes.

    It takes the logits. With two of them even a perfect model has a loss near ln V.
    """
    return cross_entropy(
        logits, targets, smoothing, ignore_index, log_probs=lambda z: z.softmax(-1).log_softmax(-1)
    )


@mistake("05.5", caught_by="test_loss_large_logits")
def logarithm_of_the_softmax(logits, targets, smoothing=0.1, ignore_index=-100):
    """the logarithm of the softmax is taken, in two steps.

    A probability that rounds to 0 has the logarithm -∞. log_softmax never computes it.
    """
    return cross_entropy(
        logits, targets, smoothing, ignore_index, log_probs=lambda z: z.softmax(-1).log()
    )


@mistake("05.5", caught_by="test_loss_large_logits")
def a_little_added_to_p(logits, targets, smoothing=0.1, ignore_index=-100):
    """a little is added to the probabilities before the logarithm, ln(p + 1e-9).

    That caps the loss where the model is most wrong. log_softmax needs no such help.
    """
    return cross_entropy(
        logits, targets, smoothing, ignore_index, log_probs=lambda z: (z.softmax(-1) + 1e-9).log()
    )


@mistake("05.5", caught_by="test_loss_equal_sizes")
def softmax_over_the_positions(logits, targets, smoothing=0.1, ignore_index=-100):
    """the softmax runs over the positions of a sentence, not over the vocabulary.

    The vocabulary is the last axis of (B, T, V): dim=-1.
    """
    return cross_entropy(
        logits, targets, smoothing, ignore_index, log_probs=lambda z: z.log_softmax(1)
    )


@mistake("05.5", caught_by="test_loss_by_hand")
def loss_in_bits(logits, targets, smoothing=0.1, ignore_index=-100):
    """the logarithm is to base 2: the loss is in bits.

    It is in nats: the natural logarithm.
    """
    return cross_entropy(logits, targets, smoothing, ignore_index) / math.log(2)


@mistake("05.5", caught_by="test_loss_padding")
def divided_by_all_positions(logits, targets, smoothing=0.1, ignore_index=-100):
    """the sum is divided by the number of all positions, padding included.

    The loss then shrinks when padding is added. Divide by how many count: counts.sum().
    """
    return cross_entropy(
        logits, targets, smoothing, ignore_index, average=lambda x, c: (x * c).mean()
    )


@mistake("05.5", caught_by="test_loss_padding")
def padding_counts(logits, targets, smoothing=0.1, ignore_index=-100):
    """padding counts, as if token 0 had been right there.

    Leave positions whose target is ignore_index out of the sum, and out of the number by which it
    is divided.
    """
    everything = torch.ones_like(targets, dtype=torch.bool)
    return cross_entropy(logits, targets, smoothing, ignore_index, counts=everything)


@mistake("05.5", caught_by="test_loss_padding")
def even_share_of_padding_counts(logits, targets, smoothing=0.1, ignore_index=-100):
    """the even share of the padding's positions counts, the target's share does not.

    What does not count leaves both parts of the loss.
    """
    counts = targets != ignore_index
    log_p = logits.log_softmax(-1)
    chosen = log_p.gather(-1, targets.where(counts, 0)[..., None])[..., 0] * counts
    total = (1 - smoothing) * chosen.sum() + smoothing * log_p.mean(-1).sum()
    return -total / counts.sum().clamp(min=1)


@mistake("05.5", caught_by="test_loss_padding")
def mean_of_the_sentences(logits, targets, smoothing=0.1, ignore_index=-100):
    """the mean of each sentence is taken, then the mean of these.

    A token of a short sentence then counts more. One sum over the batch, divided by all that count.
    """

    def average(losses, counts):
        return ((losses * counts).sum(1) / counts.sum(1).clamp(min=1)).mean()

    return cross_entropy(logits, targets, smoothing, ignore_index, average=average)


@mistake("05.5", caught_by="test_loss_definition")
def loss_summed(logits, targets, smoothing=0.1, ignore_index=-100):
    """the losses are summed over the positions, not averaged.

    Divide by the number of positions that count.
    """
    return cross_entropy(
        logits, targets, smoothing, ignore_index, average=lambda x, c: (x * c).sum()
    )


@mistake("05.5", caught_by="test_loss_definition")
def summed_over_the_sentence(logits, targets, smoothing=0.1, ignore_index=-100):
    """the losses are summed over a sentence and averaged over the sentences.

    Divide the sum over the whole batch by the number of positions that count.
    """
    return cross_entropy(
        logits, targets, smoothing, ignore_index, average=lambda x, c: (x * c).sum() / len(x)
    )


@mistake("05.5", caught_by="test_loss_definition")
def averaged_over_the_vocabulary_as_well(logits, targets, smoothing=0.1, ignore_index=-100):
    """q ln p is averaged over the vocabulary as well: the loss is V times too small.

    Sum over the V tokens of a position; the mean is over positions only. (`F.kl_div` with
    reduction="mean" does this.)
    """
    return cross_entropy(logits, targets, smoothing, ignore_index) / logits.shape[-1]


@mistake("05.5", caught_by="test_loss_definition")
def entropy_subtracted(logits, targets, smoothing=0.1, ignore_index=-100):
    """the entropy of q is subtracted: that is the divergence of q and p, as F.kl_div gives it.

    Its gradient is the same, its value is not. Wanted is the cross-entropy, -Σ q ln p.
    """
    V = logits.shape[-1]
    top, low = 1 - smoothing + smoothing / V, smoothing / V
    entropy = -top * math.log(top) - ((V - 1) * low * math.log(low) if low else 0.0)
    loss = cross_entropy(logits, targets, smoothing, ignore_index)
    return loss - entropy * (targets != ignore_index).any()


@mistake("05.5", caught_by="test_loss_other_index")
def only_minus_100_ignored(logits, targets, smoothing=0.1, ignore_index=-100):
    """only targets of -100 are left out, whatever ignore_index says.

    Compare with the parameter: `targets != ignore_index`.
    """
    return cross_entropy(logits, targets, smoothing, -100)


@mistake("05.5", caught_by="test_loss_other_index")
def zero_taken_for_padding(logits, targets, smoothing=0.1, ignore_index=-100):
    """token 0 is taken for padding and left out, whatever ignore_index says.

    Compare with the parameter: `targets != ignore_index`.
    """
    return cross_entropy(logits, targets, smoothing, ignore_index, counts=targets > 0)


@mistake("05.5", caught_by="test_loss_padding")
def gathered_at_minus_100(logits, targets, smoothing=0.1, ignore_index=-100):
    """gather is asked for column -100 where there is padding.

    Put a column that exists there first, `targets.where(counts, 0)`; the result is thrown away.
    """
    counts = targets != ignore_index
    log_p = logits.log_softmax(-1)
    chosen = log_p.gather(-1, targets[..., None])[..., 0]
    losses = -(1 - smoothing) * chosen - smoothing * log_p.mean(-1)
    return (losses * counts).sum() / counts.sum().clamp(min=1)


@mistake("05.5", caught_by="test_loss_nothing_counts")
def nothing_divided_by_nothing(logits, targets, smoothing=0.1, ignore_index=-100):
    """a batch of nothing but padding gives 0/0.

    Divide by the number of positions that count, at least 1: `.clamp(min=1)`.
    """
    return cross_entropy(
        logits, targets, smoothing, ignore_index, average=lambda x, c: (x * c).sum() / c.sum()
    )


@mistake("05.5", caught_by="test_loss_dtype")
def loss_in_single_precision(logits, targets, smoothing=0.1, ignore_index=-100):
    """the loss is computed in float32, whatever the logits are.

    Leave .float() out.
    """
    return cross_entropy(logits.float(), targets, smoothing, ignore_index)


@mistake("05.5", caught_by="test_loss_gradients")
def even_share_without_gradient(logits, targets, smoothing=0.1, ignore_index=-100):
    """the value is right, but the even share is cut off from the logits.

    No detach(), no .item() and no torch.no_grad(): both parts of the loss teach.
    """
    counts = targets != ignore_index
    log_p = logits.log_softmax(-1)
    chosen = log_p.gather(-1, targets.where(counts, 0)[..., None])[..., 0]
    losses = -(1 - smoothing) * chosen - smoothing * log_p.detach().mean(-1)
    return (losses * counts).sum() / counts.sum().clamp(min=1)


@mistake("05.5", caught_by="test_loss_gradients")
def loss_without_gradient(logits, targets, smoothing=0.1, ignore_index=-100):
    """the value is right, but cut off from the logits: nothing can be learned from it.

    .item(), float(), detach() and torch.tensor(…) cut the way back.
    """
    return cross_entropy(logits.detach(), targets, smoothing, ignore_index)


@mistake("05.5", caught_by="test_loss_padding")
def even_share_averaged_over_padding(logits, targets, smoothing=0.1, ignore_index=-100):
    """the target's part leaves padding out, and the even share is averaged over padding as well.

    `F.nll_loss(…, ignore_index=…)` knows the padding, `log_probs.mean()` does not: take the mean of
    the positions that count, of both.
    """
    counts = targets != ignore_index
    if not counts.any():
        return logits.sum() * 0
    log_p = logits.log_softmax(-1)
    nll = F.nll_loss(log_p.flatten(0, 1), targets.flatten(), ignore_index=ignore_index)
    return (1 - smoothing) * nll - smoothing * log_p.mean()


@mistake("05.5", caught_by="test_loss_nothing_counts")
def plain_number_for_nothing(logits, targets, smoothing=0.1, ignore_index=-100):
    """a number of Python is returned where nothing counts.

    A tensor is wanted there as well: `logits.sum() * 0`, or `logits.new_zeros(())`.
    """
    if bool((targets == ignore_index).all()):
        return 0.0
    return cross_entropy(logits, targets, smoothing, ignore_index)


# ---------------------------------------------------------------------------------------------
# 05.6


def refuse(step, warmup_steps):
    """As it should be."""
    for number in (step, warmup_steps):
        if number < 1:
            raise ValueError(f"got {number}")


@mistake("05.6", caught_by="test_rate_by_hand")
def warm_up_to_the_half(step, d_model, warmup_steps):
    """the exponent of warmup_steps is -1/2, not -3/2.

    step · warmup^(-3/2): then both numbers are equal at the peak, and the rise is gentle.
    """
    refuse(step, warmup_steps)
    return d_model**-0.5 * min(step**-0.5, step * warmup_steps**-0.5)


@mistake("05.6", caught_by="test_rate_by_hand")
def rate_divided_by_the_warm_up(step, d_model, warmup_steps):
    """the rise is step / warmup: the exponent of warmup_steps is -1.

    step · warmup^(-3/2).
    """
    refuse(step, warmup_steps)
    return d_model**-0.5 * min(step**-0.5, step / warmup_steps)


@mistake("05.6", caught_by="test_rate_by_hand")
def larger_of_the_two(step, d_model, warmup_steps):
    """the larger of the two numbers is taken, max in place of min.

    min: the rise before the peak, the fall behind it.
    """
    refuse(step, warmup_steps)
    return d_model**-0.5 * max(step**-0.5, step * warmup_steps**-1.5)


@mistake("05.6", caught_by="test_rate_width")
def width_forgotten(step, d_model, warmup_steps):
    """the factor of the width is missing.

    d_model^(-1/2) stands in front of the minimum.
    """
    refuse(step, warmup_steps)
    return min(step**-0.5, step * warmup_steps**-1.5)


@mistake("05.6", caught_by="test_rate_by_hand")
def root_of_the_width(step, d_model, warmup_steps):
    """the rate is multiplied by the root of the width, not divided by it.

    d_model^(-1/2): wider models have smaller rates.
    """
    refuse(step, warmup_steps)
    return d_model**0.5 * min(step**-0.5, step * warmup_steps**-1.5)


@mistake("05.6", caught_by="test_rate_by_hand")
def divided_by_the_width(step, d_model, warmup_steps):
    """the rate is divided by the width, not by its root.

    d_model^(-1/2).
    """
    refuse(step, warmup_steps)
    return min(step**-0.5, step * warmup_steps**-1.5) / d_model


@mistake("05.6", caught_by="test_rate_by_hand")
def halves_without_brackets(step, d_model, warmup_steps):
    """the exponents are written -1/2 and -3/2 without brackets: `step ** -1/2` is (1/step)/2.

    ** binds before /: write `step ** (-1/2)`, or `step**-0.5`.
    """
    refuse(step, warmup_steps)
    return d_model**-1 / 2 * min(step**-1 / 2, step * warmup_steps**-3 / 2)


@mistake("05.6", caught_by="test_rate_by_hand")
def fall_counted_from_the_peak(step, d_model, warmup_steps):
    """behind the peak the root is taken of the steps since the peak.

    It is the root of all steps: the peak times √(warmup / step).
    """
    refuse(step, warmup_steps)
    peak = (d_model * warmup_steps) ** -0.5
    return peak * (step / warmup_steps if step <= warmup_steps else (step - warmup_steps) ** -0.5)


@mistake("05.6", caught_by="test_rate_by_hand")
def counted_from_zero(step, d_model, warmup_steps):
    """1 is added to the step.

    Steps are counted from 1 here: use step as it is.
    """
    refuse(step, warmup_steps)
    return d_model**-0.5 * min((step + 1) ** -0.5, (step + 1) * warmup_steps**-1.5)


@mistake("05.6", caught_by="test_rate_by_hand")
def fall_without_root(step, d_model, warmup_steps):
    """the fall is 1/step, without a root.

    step^(-1/2) behind the peak.
    """
    refuse(step, warmup_steps)
    return d_model**-0.5 * min(1 / step, step * warmup_steps**-1.5)


@mistake("05.6", caught_by="test_rate_by_hand")
def no_warm_up(step, d_model, warmup_steps):
    """there is no warm-up: the rate is 1/√(C · step) from the first step on.

    Take the smaller of that and step · warmup^(-3/2).
    """
    refuse(step, warmup_steps)
    return d_model**-0.5 * step**-0.5


@mistake("05.6", caught_by="test_rate_by_hand")
def no_fall(step, d_model, warmup_steps):
    """the rate rises for ever: the falling branch is missing.

    Take the smaller of step^(-1/2) and step · warmup^(-3/2).
    """
    refuse(step, warmup_steps)
    return d_model**-0.5 * step * warmup_steps**-1.5


@mistake("05.6", caught_by="test_rate_laws")
def constant_behind_the_peak(step, d_model, warmup_steps):
    """the rate stays at its peak when the warm-up is over.

    Behind the peak it falls with the root of the step.
    """
    refuse(step, warmup_steps)
    return d_model**-0.5 * min(step, warmup_steps) * warmup_steps**-1.5


@mistake("05.6", caught_by="test_rate_by_hand")
def rise_of_a_root(step, d_model, warmup_steps):
    """the rise goes with the root of the step.

    Before the peak the rate is proportional to the step itself.
    """
    refuse(step, warmup_steps)
    rise = step**0.5 / warmup_steps
    return d_model**-0.5 * min(step**-0.5, rise)


@mistake("05.6", caught_by="test_rate_by_hand")
def share_of_the_peak(step, d_model, warmup_steps):
    """the peak is 1: the rate is given as a share of it.

    The peak is 1/√(C · warmup): multiply by it.
    """
    refuse(step, warmup_steps)
    return min(step / warmup_steps, (warmup_steps / step) ** 0.5)


@mistake("05.6", caught_by="test_rate_by_hand")
def linear_fall(step, d_model, warmup_steps):
    """the rate falls in proportion to 1/step behind the peak, warmup / step of it.

    It falls with the root: √(warmup / step) of the peak.
    """
    refuse(step, warmup_steps)
    peak = (d_model * warmup_steps) ** -0.5
    return peak * min(step / warmup_steps, warmup_steps / step)


@mistake("05.6", caught_by="test_rate_by_hand")
def usual_warm_up(step, d_model, warmup_steps):
    """the warm-up is 4,000 steps, whatever is given.

    Use the parameter `warmup_steps`.
    """
    refuse(step, warmup_steps)
    return d_model**-0.5 * min(step**-0.5, step * 4000**-1.5)


@mistake("05.6", caught_by="test_rate_by_hand")
def usual_width(step, d_model, warmup_steps):
    """the width is 512, whatever is given.

    Use the parameter `d_model`.
    """
    refuse(step, warmup_steps)
    return 512**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)


@mistake("05.6", caught_by="test_rate_by_hand")
def times_a_base_rate(step, d_model, warmup_steps):
    """the rate is multiplied by 0.001, a base rate.

    The formula gives the rate itself. (A scheduler of torch multiplies by the optimiser's rate,
    which then must be 1.)
    """
    refuse(step, warmup_steps)
    return 1e-3 * d_model**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)


@mistake("05.6", caught_by="test_rate_definition")
def rounded_rate(step, d_model, warmup_steps):
    """the rate is rounded to six decimals.

    Rates are small, the first ones below 0.000001: leave round() out.
    """
    refuse(step, warmup_steps)
    return round(d_model**-0.5 * min(step**-0.5, step * warmup_steps**-1.5), 6)


@mistake("05.6", caught_by="test_rate_refuses")
def step_zero_let_in(step, d_model, warmup_steps):
    """step 0 and below are let in.

    They are counted from 1: raise a ValueError that says what came.
    """
    refuse(1, warmup_steps)
    if step < 1:
        return 0.0
    return d_model**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)


@mistake("05.6", caught_by="test_rate_refuses")
def no_warm_up_let_in(step, d_model, warmup_steps):
    """a warm-up of 0 steps is let in, as a rate that only falls.

    Raise a ValueError that says what came.
    """
    refuse(step, 1)
    if warmup_steps < 1:
        return d_model**-0.5 * step**-0.5
    return d_model**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)


@mistake("05.6", caught_by="test_rate_refuses")
def nothing_refused(step, d_model, warmup_steps):
    """nothing is refused: a step or a warm-up of 0 ends in Python's own error.

    Ask before you compute, and raise a ValueError whose message holds the number.
    """
    return d_model**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)


@mistake("05.6", caught_by="test_rate_extremes")
def first_step_refused(step, d_model, warmup_steps):
    """1 is refused as well.

    Only what is below 1 is refused: `if step < 1`, not `<= 1`.
    """
    for number in (step, warmup_steps):
        if number <= 1:
            raise ValueError(f"got {number}")
    return d_model**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)


@mistake("05.6", caught_by="test_rate_by_hand")
def width_behind_the_peak_only(step, d_model, warmup_steps):
    """the width scales the fall only: 1/√C stands inside the min.

    It stands in front of it: both branches are divided by √C.
    """
    refuse(step, warmup_steps)
    return min(d_model**-0.5 * step**-0.5, step * warmup_steps**-1.5)


@mistake("05.6", caught_by="test_rate_by_hand")
def width_in_the_warm_up_only(step, d_model, warmup_steps):
    """the width scales the warm-up only: 1/√C stands inside the min.

    It stands in front of it: both branches are divided by √C.
    """
    refuse(step, warmup_steps)
    return min(step**-0.5, d_model**-0.5 * step * warmup_steps**-1.5)


# ---------------------------------------------------------------------------------------------
# 05.7


def adamw(
    parameter, gradient, m, v, step, rate, beta1, beta2, eps, decay, *,
    power=lambda beta, step: beta**step, ratio=lambda m, v, eps: m / (v.sqrt() + eps),
    pull=lambda ratio, decay, parameter: ratio + decay * parameter,
    give=lambda parameter, m, v, m_hat, v_hat: (parameter, m, v),
):  # fmt: skip
    """The step with a part exchanged."""
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient.square()
    m_hat, v_hat = m / (1 - power(beta1, step)), v / (1 - power(beta2, step))
    moved = parameter - rate * pull(ratio(m_hat, v_hat, eps), decay, parameter)
    return give(moved, m, v, m_hat, v_hat)


@mistake("05.7", caught_by="test_adamw_decay")
def decay_in_the_gradient(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """λθ is added to the gradient: that is L2 regularisation, Adam without the W.

    It is then divided by the size of the gradients, so that weights with large gradients hardly
    decay. Subtract rate · λ · θ from the weight itself.
    """
    gradient = gradient + weight_decay * parameter
    return adamw(parameter, gradient, m, v, step, rate, beta1, beta2, eps, 0.0)


@mistake("05.7", caught_by="test_adamw_by_hand")
def nothing_corrected(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """the averages are not corrected.

    They begin at 0 and are too small at first: divide m by 1 - β₁ᵗ and v by 1 - β₂ᵗ.
    """
    return adamw(
        parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay,
        power=lambda beta, step: 0.0,
    )  # fmt: skip


@mistake("05.7", caught_by="test_adamw_defaults")
def only_m_corrected(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """m is corrected and v is not.

    Both begin at 0: divide v by 1 - β₂ᵗ as well.
    """
    return adamw(
        parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay,
        ratio=lambda m, v, eps: m / ((v * (1 - beta2**step)).sqrt() + eps),
    )  # fmt: skip


@mistake("05.7", caught_by="test_adamw_by_hand")
def only_v_corrected(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """v is corrected and m is not.

    Both begin at 0: divide m by 1 - β₁ᵗ as well.
    """
    return adamw(
        parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay,
        ratio=lambda m, v, eps: m * (1 - beta1**step) / (v.sqrt() + eps),
    )  # fmt: skip


@mistake("05.7", caught_by="test_adamw_by_hand")
def corrected_one_step_late(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """the correction has step + 1 in its exponent, as if steps were counted from 0.

    They are counted from 1: 1 - β**step.
    """
    return adamw(
        parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay,
        power=lambda beta, step: beta ** (step + 1),
    )  # fmt: skip


@mistake("05.7", caught_by="test_adamw_definition")
def first_correction_kept(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """the correction is 1 - β at every step: the power is missing.

    1 - β**step, which soon becomes 1.
    """
    return adamw(
        parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay,
        power=lambda beta, step: beta,
    )  # fmt: skip


@mistake("05.7", caught_by="test_adamw_definition")
def step_times_beta(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """the correction multiplies β by the step, where its power belongs.

    `beta**step`, not `beta * step`.
    """
    return adamw(
        parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay,
        power=lambda beta, step: beta * step,
    )  # fmt: skip


@mistake("05.7", caught_by="test_adamw_definition")
def adam_eps_inside_the_root(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """ε stands inside the root.

    Here it is outside: √v̂ + ε. (In layer norm it is inside.)
    """
    return adamw(
        parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay,
        ratio=lambda m, v, eps: m / (v + eps).sqrt(),
    )  # fmt: skip


@mistake("05.7", caught_by="test_adamw_definition")
def adam_without_eps(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """ε is left out: a weight without any gradient becomes 0/0.

    Divide by √v̂ + ε.
    """
    return adamw(
        parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay,
        ratio=lambda m, v, eps: m / v.sqrt(),
    )  # fmt: skip


@mistake("05.7", caught_by="test_adamw_by_hand")
def root_of_v_forgotten(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """m̂ is divided by v̂: the root is missing.

    v is an average of squares: its root has the size of the gradient.
    """
    return adamw(
        parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay,
        ratio=lambda m, v, eps: m / (v + eps),
    )  # fmt: skip


@mistake("05.7", caught_by="test_adamw_definition")
def momentum_only(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """m̂ is not divided by √v̂: that is gradient descent with momentum.

    Divide by √v̂ + ε.
    """
    return adamw(
        parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay,
        ratio=lambda m, v, eps: m,
    )  # fmt: skip


@mistake("05.7", caught_by="test_adamw_definition")
def gradient_for_m(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """the gradient itself stands above the fraction line, not its average m̂.

    Use m, brought up to date and corrected.
    """
    return adamw(
        parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay,
        ratio=lambda _, v, eps: gradient / (v.sqrt() + eps),
    )  # fmt: skip


@mistake("05.7", caught_by="test_adamw_by_hand")
def old_averages_used(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """the weight is moved with the averages of the step before.

    Bring m and v up to date first, then move.
    """
    ratio = m / (1 - beta1**step) / ((v / (1 - beta2**step)).sqrt() + eps)
    return adamw(
        parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay,
        ratio=lambda *_: ratio,
    )  # fmt: skip


@mistake("05.7", caught_by="test_adamw_by_hand")
def decay_without_rate(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """the decay is λθ, not multiplied by the rate.

    rate · λ · θ: the decay follows the schedule, too.
    """
    return adamw(
        parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay,
        pull=lambda ratio, decay, theta: ratio + decay * theta / rate,
    )  # fmt: skip


@mistake("05.7", caught_by="test_adamw_by_hand")
def decay_of_the_new_weight(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """the decay is taken from the weight that has been moved already.

    Both pulls begin at the old θ.
    """
    return adamw(
        parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay,
        pull=lambda ratio, decay, theta: ratio + decay * (theta - rate * ratio),
    )  # fmt: skip


@mistake("05.7", caught_by="test_adamw_by_hand")
def no_decay(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """there is no decay: weight_decay is not used.

    Subtract rate · λ · θ as well.
    """
    return adamw(parameter, gradient, m, v, step, rate, beta1, beta2, eps, 0.0)


@mistake("05.7", caught_by="test_adamw_by_hand")
def decay_that_grows(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """the decay is added: it pushes away from 0.

    It is subtracted, as the step of the gradient is.
    """
    return adamw(parameter, gradient, m, v, step, rate, beta1, beta2, eps, -weight_decay)


@mistake("05.7", caught_by="test_adamw_by_hand")
def uphill(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """the step of the gradient is added: uphill.

    Minus: the gradient points to where the loss grows.
    """
    return adamw(
        parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay,
        pull=lambda ratio, decay, theta: decay * theta - ratio,
    )  # fmt: skip


@mistake("05.7", caught_by="test_adamw_by_hand")
def betas_exchanged(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """β₁ and β₂ stand in each other's place.

    β₁ belongs to m, the average of the gradient; β₂ to v, that of its square.
    """
    return adamw(parameter, gradient, m, v, step, rate, beta2, beta1, eps, weight_decay)


@mistake("05.7", caught_by="test_adamw_by_hand")
def shares_of_the_averages_exchanged(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """β and 1 - β stand in each other's place: hardly anything of the averages is kept.

    m ← β₁ m + (1 - β₁) g: most is kept, a little is new.
    """
    m = (1 - beta1) * m + beta1 * gradient
    v = (1 - beta2) * v + beta2 * gradient.square()
    ratio = m / (1 - beta1**step) / ((v / (1 - beta2**step)).sqrt() + eps)
    return parameter - rate * (ratio + weight_decay * parameter), m, v


@mistake("05.7", caught_by="test_adamw_by_hand")
def gradient_added_whole(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """the new gradient is added to the averages whole, without 1 - β.

    m ← β₁ m + (1 - β₁) g, and v alike: the shares sum to 1.
    """
    m = beta1 * m + gradient
    v = beta2 * v + gradient.square()
    ratio = m / (1 - beta1**step) / ((v / (1 - beta2**step)).sqrt() + eps)
    return parameter - rate * (ratio + weight_decay * parameter), m, v


@mistake("05.7", caught_by="test_adamw_by_hand")
def squares_of_m_averaged(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """v averages the squares of m, where those of the gradient belong.

    v ← β₂ v + (1 - β₂) g².
    """
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * m.square()
    ratio = m / (1 - beta1**step) / ((v / (1 - beta2**step)).sqrt() + eps)
    return parameter - rate * (ratio + weight_decay * parameter), m, v


@mistake("05.7", caught_by="test_adamw_by_hand")
def sizes_averaged(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """v averages the sizes of the gradient, without squares.

    v ← β₂ v + (1 - β₂) g²: the root comes afterwards.
    """
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient.abs()
    ratio = m / (1 - beta1**step) / ((v / (1 - beta2**step)).sqrt() + eps)
    return parameter - rate * (ratio + weight_decay * parameter), m, v


@mistake("05.7", caught_by="test_adamw_in_a_row")
def corrected_averages_returned(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """the corrected averages are returned, m̂ and v̂.

    The next step would correct them again: return m and v as they are.
    """
    return adamw(
        parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay,
        give=lambda theta, m, v, m_hat, v_hat: (theta, m_hat, v_hat),
    )  # fmt: skip


@mistake("05.7", caught_by="test_adamw_by_hand")
def averages_exchanged(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """m and v are returned in each other's place.

    The order is (parameter, m, v).
    """
    return adamw(
        parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay,
        give=lambda theta, m, v, m_hat, v_hat: (theta, v, m),
    )  # fmt: skip


@mistake("05.7", caught_by="test_adamw_by_hand")
def averages_as_they_came(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """m and v are returned as they came.

    They must be brought up to date, or every step is the first.
    """
    return adamw(
        parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay,
        give=lambda theta, *_: (theta, m.clone(), v.clone()),
    )  # fmt: skip


@mistake("05.7", caught_by="test_adamw_definition")
def averages_changed_in_place(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """m and v are changed in place, with mul_ and add_.

    An optimiser may do that with tensors of its own. Here they belong to the caller: make new ones.
    """
    made = adamw(parameter, gradient, m, v, step, rate, beta1, beta2, eps, weight_decay)
    m.copy_(made[1])
    v.copy_(made[2])
    return made


@mistake("05.7", caught_by="test_adamw_dtype")
def adam_in_double_precision(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """everything is computed and returned in float64, whatever came.

    Leave .double() out, or go back to the dtype of the parameter at the end.
    """
    given = (each.double() for each in (parameter, gradient, m, v))
    return adamw(*given, step, rate, beta1, beta2, eps, weight_decay)


@mistake("05.7", caught_by="test_adamw_definition")
def eps_before_the_correction(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """eps is added to √v, and the sum is corrected: (√v + eps) / √(1 - β₂ᵗ).

    Correct first, then take the root, then add eps: √v̂ + eps.
    """
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient.square()
    below = (v.sqrt() + eps) / math.sqrt(1 - beta2**step)
    pull = m / (1 - beta1**step) / below + weight_decay * parameter
    return parameter - rate * pull, m, v


@mistake("05.7", caught_by="test_adamw_decay")
def no_decay_without_a_gradient(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    """a weight whose gradient is 0 does not decay.

    The decay has nothing to do with the gradient: every weight is pulled towards 0 in every step.
    """
    pulled = torch.where(gradient == 0, 0.0, weight_decay)
    return adamw(parameter, gradient, m, v, step, rate, beta1, beta2, eps, pulled)


# ---------------------------------------------------------------------------------------------
# 05.8


def global_norm(gradients):
    """As it should be."""
    return sum(g.double().square().sum() for g in gradients).sqrt()


def cut(gradients, norm, max_norm, told=None):
    factor = (max_norm / norm).clamp(max=1.0)
    return [g * factor for g in gradients], norm if told is None else told


@mistake("05.8", caught_by="test_clip_by_hand")
def each_tensor_alone(gradients, max_norm):
    """each tensor is clipped by a norm of its own.

    That turns the gradient: long tensors are cut, short ones not. One norm over all, one factor.
    """
    norms = [g.double().square().sum().sqrt() for g in gradients]
    made = [g * (max_norm / norm).clamp(max=1.0) for g, norm in zip(gradients, norms, strict=True)]
    return made, global_norm(gradients)


@mistake("05.8", caught_by="test_clip_by_hand")
def each_number_alone(gradients, max_norm):
    """each number is limited to ±max_norm: that is clipping by value.

    It turns the gradient. Shorten all of it by one factor.
    """
    return [g.clamp(-max_norm, max_norm) for g in gradients], global_norm(gradients)


@mistake("05.8", caught_by="test_clip_by_hand")
def norms_added_up(gradients, max_norm):
    """the norms of the tensors are added up.

    Add their squares, and take the root of the sum: √(3² + 4²) = 5.
    """
    return cut(gradients, sum(g.double().square().sum().sqrt() for g in gradients), max_norm)


@mistake("05.8", caught_by="test_clip_by_hand")
def sizes_added_up(gradients, max_norm):
    """the sizes of all numbers are added up: that is the 1-norm.

    Add their squares, and take the root of the sum.
    """
    return cut(gradients, sum(g.double().abs().sum() for g in gradients), max_norm)


@mistake("05.8", caught_by="test_clip_by_hand")
def largest_size(gradients, max_norm):
    """the largest number is taken for the norm.

    The norm is the root of the sum of all squares.
    """
    return cut(gradients, torch.stack([g.double().abs().max() for g in gradients]).max(), max_norm)


@mistake("05.8", caught_by="test_clip_by_hand")
def longest_tensor(gradients, max_norm):
    """the norm of the longest tensor is taken for that of all.

    Sum the squares over all tensors, then take one root.
    """
    norms = torch.stack([g.double().square().sum().sqrt() for g in gradients])
    return cut(gradients, norms.max(), max_norm)


@mistake("05.8", caught_by="test_clip_shapes")
def first_tensor_only(gradients, max_norm):
    """the norm is that of the first tensor.

    Sum the squares over all tensors, then take one root.
    """
    return cut(gradients, global_norm(gradients[:1]), max_norm)


@mistake("05.8", caught_by="test_clip_by_hand")
def norm_without_root(gradients, max_norm):
    """the root is missing: the sum of the squares is taken for the norm.

    The norm is the root of the sum.
    """
    return cut(gradients, global_norm(gradients).square(), max_norm)


@mistake("05.8", caught_by="test_clip_long")
def root_of_the_mean_square(gradients, max_norm):
    """the norm is divided by the root of how many numbers there are.

    The norm sums all squares; it does not average them.
    """
    count = sum(g.numel() for g in gradients)
    return cut(gradients, global_norm(gradients) / count**0.5, max_norm)


@mistake("05.8", caught_by="test_clip_long")
def mean_square_of_each_tensor(gradients, max_norm):
    """the mean of the squares of each tensor stands where their sum belongs.

    `.square().sum()` for each tensor.
    """
    return cut(gradients, sum(g.double().square().mean() for g in gradients).sqrt(), max_norm)


@mistake("05.8", caught_by="test_clip_short")
def always_of_that_length(gradients, max_norm):
    """the gradient is always brought to the length max_norm, short ones too.

    Gradients are cut, never lengthened: the factor is at most 1.
    """
    norm = global_norm(gradients)
    factor = max_norm / norm if norm > 0 and max_norm < math.inf else 1.0
    return [g * factor for g in gradients], norm


@mistake("05.8", caught_by="test_clip_by_hand")
def norm_afterwards(gradients, max_norm):
    """the norm *after* clipping is returned.

    One watches the norm before: afterwards it is max_norm most of the time.
    """
    norm = global_norm(gradients)
    return cut(gradients, norm, max_norm, norm.clamp(max=max_norm))


@mistake("05.8", caught_by="test_clip_by_hand")
def factor_returned(gradients, max_norm):
    """the factor is returned in place of the norm.

    Return the norm before clipping.
    """
    norm = global_norm(gradients)
    return cut(gradients, norm, max_norm, (max_norm / norm).clamp(max=1.0))


@mistake("05.8", caught_by="test_clip_by_hand")
def norm_comes_first(gradients, max_norm):
    """the norm is returned first and the list second.

    The order is (clipped, norm).
    """
    return cut(gradients, global_norm(gradients), max_norm)[::-1]


@mistake("05.8", caught_by="test_clip_by_hand")
def factor_upside_down(gradients, max_norm):
    """the factor is upside down, norm / max_norm, for gradients that are too long.

    max_norm / norm: a gradient that is twice too long is halved.
    """
    norm = global_norm(gradients)
    return [g * (norm / max_norm).clamp(min=1.0) for g in gradients], norm


@mistake("05.8", caught_by="test_clip_by_hand")
def to_the_length_one(gradients, max_norm):
    """the gradient is shortened to 1, whatever max_norm is.

    Shorten it to max_norm, and only if it is longer than that.
    """
    return cut(gradients, global_norm(gradients), 1.0)


@mistake("05.8", caught_by="test_clip_by_hand")
def divided_by_its_length(gradients, max_norm):
    """a gradient that is too long is divided by max_norm.

    Multiply it by max_norm / norm: its length then is max_norm.
    """
    norm = global_norm(gradients)
    return [g / max_norm if norm > max_norm else g * 1 for g in gradients], norm


@mistake("05.8", caught_by="test_clip_by_hand")
def long_gradients_thrown_away(gradients, max_norm):
    """a gradient that is too long becomes 0.

    It is shortened, not thrown away: its direction is worth something.
    """
    norm = global_norm(gradients)
    return [g * (norm <= max_norm) for g in gradients], norm


@mistake("05.8", caught_by="test_clip_long")
def only_long_tensors_shortened(gradients, max_norm):
    """only tensors longer than max_norm are multiplied by the factor, which is that of all.

    All of the gradient is shortened, or its direction changes.
    """
    norm = global_norm(gradients)
    factor = (max_norm / norm).clamp(max=1.0)
    made = [g * factor if global_norm([g]) > max_norm else g * 1 for g in gradients]
    return made, norm


@mistake("05.8", caught_by="test_clip_zeros")
def zero_by_zero(gradients, max_norm):
    """a gradient of zeros ends in a division by 0.

    Ask whether the norm is above max_norm before you divide, or limit the factor to 1 as a tensor.
    """
    norm = float(global_norm(gradients))
    factor = min(1.0, max_norm / norm)
    return [g * factor for g in gradients], norm


@mistake("05.8", caught_by="test_clip_zeros")
def zeros_become_nan(gradients, max_norm):
    """a gradient of zeros is divided by its own norm: 0/0 is no number.

    Compute the factor first, and limit it to 1: then zeros are multiplied by 1.
    """
    norm = global_norm(gradients)
    return [(g / norm * norm.clamp(max=max_norm)).to(g.dtype) for g in gradients], norm


@mistake("05.8", caught_by="test_clip_infinity")
def infinity_by_infinity(gradients, max_norm):
    """max_norm is divided by the larger of norm and max_norm: ∞/∞ when nothing is to be cut.

    Divide by the norm, and limit the factor to 1.
    """
    norm = global_norm(gradients)
    return [g * (max_norm / norm.clamp(min=max_norm)) for g in gradients], norm


@mistake("05.8", caught_by="test_clip_half")
def squares_in_half_precision(gradients, max_norm):
    """the squares are taken in the gradients' own dtype: in float16 300² is infinite.

    Take them in float32 or float64: `gradient.float().square().sum()`.
    """
    norm = sum(g.square().sum() for g in gradients).sqrt()
    return cut(gradients, norm, max_norm)


@mistake("05.8", caught_by="test_clip_half")
def given_back_in_float32(gradients, max_norm):
    """the clipped gradients are float32, whatever came.

    Only the norm needs a wider format: multiply the gradients as they are.
    """
    clipped, norm = cut(gradients, global_norm(gradients), max_norm)
    return [g.float() for g in clipped], norm


@mistake("05.8", caught_by="test_clip_long")
def clipped_in_place(gradients, max_norm):
    """the gradients are multiplied in place.

    torch's own function does that. Here they belong to the caller: make new tensors.
    """
    norm = global_norm(gradients)
    factor = (max_norm / norm).clamp(max=1.0)
    return [g.mul_(factor) for g in gradients], norm


@mistake("05.8", caught_by="test_clip_shapes")
def largest_singular_value(gradients, max_norm):
    """the norm of a matrix is its largest singular value.

    `torch.linalg.norm(g, 2)` is that, for a matrix; for three axes it is nothing at all. Here it
    is the root of the sum of all squares: `g.square().sum()`, or the vector_norm.
    """
    norms = [torch.linalg.norm(g.double(), 2) for g in gradients]
    return cut(gradients, torch.stack(norms).square().sum().sqrt(), max_norm)


# ---------------------------------------------------------------------------------------------
# 05.9


def sums_of(weight, batches, ignored=-100):
    """[(sum of losses, its gradient, tokens)] of each batch, as they should be."""
    weight = weight.detach().clone().requires_grad_()
    made = []
    for x, targets in batches:
        logits = (x @ weight.T).flatten(0, 1)
        loss = F.cross_entropy(logits, targets.flatten(), reduction="sum", ignore_index=ignored)
        (gradient,) = torch.autograd.grad(loss, weight)
        made.append((loss.detach(), gradient, int((targets != ignored).sum())))
    return made


def weighted(sums, weights):
    """Sums of losses and gradients, each batch with a factor."""
    pairs = list(zip(sums, weights, strict=True))
    return sum(f * s[0] for s, f in pairs), sum(f * s[1] for s, f in pairs)


def over_all(sums):
    return [1 / sum(n for _, _, n in sums)] * len(sums)


def mean_of_means(sums):
    used = sum(n > 0 for _, _, n in sums)
    return [1 / (n * used) if n else 0.0 for _, _, n in sums]


@mistake("05.9", caught_by="test_accumulate_by_hand")
def mean_of_the_means(weight, batches):
    """the mean of each batch is taken, then the mean of these.

    Batches have different numbers of tokens: add the *sums*, and divide once by all tokens.
    """
    sums = sums_of(weight, batches)
    return weighted(sums, mean_of_means(sums))


@mistake("05.9", caught_by="test_accumulate_by_hand")
def gradient_of_the_mean_of_means(weight, batches):
    """the loss is right, and the gradient is the mean of the batches' mean gradients.

    Call backward on sums, and divide the gradient once by all tokens.
    """
    sums = sums_of(weight, batches)
    return weighted(sums, over_all(sums))[0], weighted(sums, mean_of_means(sums))[1]


@mistake("05.9", caught_by="test_accumulate_unequal")
def loss_of_the_mean_of_means(weight, batches):
    """the gradient is right, and the loss is the mean of the batches' mean losses.

    Add the sums of the losses, and divide once by all tokens.
    """
    sums = sums_of(weight, batches)
    return weighted(sums, mean_of_means(sums))[0], weighted(sums, over_all(sums))[1]


@mistake("05.9", caught_by="test_accumulate_by_hand")
def means_added_up(weight, batches):
    """the mean losses of the batches are added up, and nothing is divided.

    That is what backward does if it is called on means. Use sums, and divide once by all tokens.
    """
    sums = sums_of(weight, batches)
    return weighted(sums, [1 / max(n, 1) for _, _, n in sums])


@mistake("05.9", caught_by="test_accumulate_by_hand")
def nothing_divided(weight, batches):
    """the sums are returned: nothing is divided by the number of tokens.

    Divide the loss and the gradient by all tokens that count.
    """
    return weighted(sums_of(weight, batches), [1.0] * len(batches))


@mistake("05.9", caught_by="test_accumulate_by_hand")
def only_the_loss_divided(weight, batches):
    """the loss is divided by the number of tokens, the gradient is not.

    Divide both.
    """
    sums = sums_of(weight, batches)
    return weighted(sums, over_all(sums))[0], weighted(sums, [1.0] * len(sums))[1]


@mistake("05.9", caught_by="test_accumulate_by_hand")
def only_the_gradient_divided(weight, batches):
    """the gradient is divided by the number of tokens, the loss is not.

    Divide both.
    """
    sums = sums_of(weight, batches)
    return weighted(sums, [1.0] * len(sums))[0], weighted(sums, over_all(sums))[1]


@mistake("05.9", caught_by="test_accumulate_counts")
def divided_by_the_batches(weight, batches):
    """the sums are divided by the number of batches.

    Divide by the number of tokens that count, over all batches.
    """
    return weighted(sums_of(weight, batches), [1 / len(batches)] * len(batches))


@mistake("05.9", caught_by="test_accumulate_by_hand")
def divided_twice(weight, batches):
    """the means of the batches are divided by the number of all tokens.

    F.cross_entropy averages unless it is told reduction="sum": then divide once.
    """
    sums = sums_of(weight, batches)
    tokens = sum(n for _, _, n in sums)
    return weighted(sums, [1 / (max(n, 1) * tokens) for _, _, n in sums])


@mistake("05.9", caught_by="test_accumulate_padding")
def padding_in_the_number(weight, batches):
    """the sums are divided by the number of all positions, padding included.

    Count the targets that are not -100.
    """
    positions = sum(targets.numel() for _, targets in batches)
    return weighted(sums_of(weight, batches), [1 / positions] * len(batches))


@mistake("05.9", caught_by="test_accumulate_padding")
def means_weighted_by_positions(weight, batches):
    """the mean of each batch is weighted by its positions, padding included.

    Weight it by its tokens that count: then it is the sum over all, divided by all.
    """
    sums = sums_of(weight, batches)
    positions = [targets.numel() for _, targets in batches]
    shares = [p / sum(positions) for p in positions]
    return weighted(sums, [p / max(n, 1) for p, (_, _, n) in zip(shares, sums, strict=True)])


@mistake("05.9", caught_by="test_accumulate_by_hand")
def means_weighted_by_sentences(weight, batches):
    """the mean of each batch is weighted by its number of sentences.

    Weight it by its tokens that count.
    """
    sums = sums_of(weight, batches)
    sentences = [len(targets) for _, targets in batches]
    shares = [s / sum(sentences) for s in sentences]
    return weighted(sums, [s / max(n, 1) for s, (_, _, n) in zip(shares, sums, strict=True)])


@mistake("05.9", caught_by="test_accumulate_empty_batch")
def mean_of_nothing(weight, batches):
    """the mean of each batch is weighted by its tokens, and a batch without tokens gives 0 · NaN.

    Its mean is 0/0, and 0 times that is no number. Use sums, or leave such a batch out.
    """
    weight = weight.detach().clone().requires_grad_()
    counts = [int((targets != -100).sum()) for _, targets in batches]
    loss = 0.0
    for (x, targets), count in zip(batches, counts, strict=True):
        part = F.cross_entropy((x @ weight.T).mT, targets) * count / sum(counts)
        part.backward()
        loss += part.item()
    return loss, weight.grad


@mistake("05.9", caught_by="test_accumulate_by_hand")
def last_gradient_only(weight, batches):
    """the gradient is that of the last batch, divided by all tokens; the others were lost.

    Add the gradients up: `.grad` does it by itself as long as nobody sets it to 0 in between.
    """
    sums = sums_of(weight, batches)
    share = over_all(sums)[0]
    return weighted(sums, over_all(sums))[0], sums[-1][1] * share


@mistake("05.9", caught_by="test_accumulate_by_hand")
def last_batch_only(weight, batches):
    """only the last batch counts.

    Add sums and tokens up over all batches.
    """
    loss, gradient, n = sums_of(weight, batches)[-1]
    return loss / n, gradient / n


@mistake("05.9", caught_by="test_accumulate_unequal")
def first_batch_only(weight, batches):
    """only the first batch counts: the function returns inside its loop.

    Return behind the loop.
    """
    loss, gradient, n = sums_of(weight, batches)[0]
    return loss / n, gradient / n


@mistake("05.9", caught_by="test_accumulate_unequal")
def averaged_on_the_way(weight, batches):
    """the average is brought up to date in the loop, (average + new) / 2.

    The first batches then count less and less. Add up, and divide once at the end.
    """
    loss, gradient = None, None
    for total, new, n in sums_of(weight, batches):
        mean, slope = total / max(n, 1), new / max(n, 1)
        loss = mean if loss is None else (loss + mean) / 2
        gradient = slope if gradient is None else (gradient + slope) / 2
    return loss, gradient


@mistake("05.9", caught_by="test_accumulate_padding")
def padding_learned(weight, batches):
    """padding counts, as if token 0 had been right there.

    Leave targets of -100 out, of the sum and of the number of tokens.
    """
    filled = [(x, targets.clamp(min=0)) for x, targets in batches]
    sums = sums_of(weight, filled)
    return weighted(sums, over_all(sums))


@mistake("05.9", caught_by="test_accumulate_by_hand")
def token_zero_left_out(weight, batches):
    """token 0 is taken for padding: only targets above 0 count.

    Padding is -100: `targets != -100`.
    """
    cleared = [(x, targets.where(targets > 0, -100)) for x, targets in batches]
    sums = sums_of(weight, cleared)
    tokens = max(sum(n for _, _, n in sums), 1)
    return weighted(sums, [1 / tokens] * len(sums))


@mistake("05.9", caught_by="test_accumulate_by_hand")
def gradient_turned_round(weight, batches):
    """the sign of the gradient is turned round.

    The gradient points uphill; it is the optimiser that subtracts it.
    """
    sums = sums_of(weight, batches)
    loss, gradient = weighted(sums, over_all(sums))
    return loss, -gradient


@mistake("05.9", caught_by="test_accumulate_by_hand")
def gradient_transposed(weight, batches):
    """the gradient is transposed, (C, V).

    It has the shape of the weight, (V, C).
    """
    sums = sums_of(weight, batches)
    loss, gradient = weighted(sums, over_all(sums))
    return loss, gradient.mT


@mistake("05.9", caught_by="test_accumulate_equal_sizes")
def weight_as_it_is_stored(weight, batches):
    """x is multiplied by weight as it is stored, x @ weight.

    logits = x @ weight.T. With V = C the wrong product fits as well.
    """
    sums = sums_of(weight.T, batches)
    loss, gradient = weighted(sums, over_all(sums))
    return loss, gradient.T


@mistake("05.9", caught_by="test_accumulate_equal_sizes")
def classes_on_the_wrong_axis(weight, batches):
    """F.cross_entropy is given logits (B, T, V): it takes axis 1, the tokens, for the vocabulary.

    It wants (B, V, T), `logits.mT`, or two axes, `logits.flatten(0, 1)`. With T = V the wrong one
    fits as well.
    """
    weight = weight.detach().clone().requires_grad_()
    loss, tokens = 0.0, 0
    for x, targets in batches:
        total = F.cross_entropy(x @ weight.T, targets, reduction="sum")
        total.backward()
        loss, tokens = loss + total.item(), tokens + int((targets != -100).sum())
    return loss / tokens, weight.grad / tokens


@mistake("05.9", caught_by="test_accumulate_by_hand")
def logits_reshaped(weight, batches):
    """the logits are brought to (B, V, T) with reshape or view, which mixes tokens and vocabulary.

    Axes are exchanged by `logits.mT` or `transpose(1, 2)`; reshape cuts the same row of numbers
    anew.
    """
    weight = weight.detach().clone().requires_grad_()
    loss, tokens = 0.0, 0
    for x, targets in batches:
        logits = x @ weight.T
        B, T, V = logits.shape
        total = F.cross_entropy(logits.reshape(B, V, T), targets, reduction="sum")
        total.backward()
        loss, tokens = loss + total.item(), tokens + int((targets != -100).sum())
    return loss / tokens, weight.grad / tokens


@mistake("05.9", caught_by="test_accumulate_by_hand")
def divided_by_the_tokens_so_far(weight, batches):
    """each batch is divided by the number of tokens up to it, not by that of all.

    Divide behind the loop, when all are counted; or count them first.
    """
    sums = sums_of(weight, batches)
    seen, shares = 0, []
    for _, _, n in sums:
        seen += n
        shares.append(1 / max(seen, 1))
    return weighted(sums, shares)


@mistake("05.9", caught_by="test_accumulate_lets_go")
def loss_with_its_graph(weight, batches):
    """the losses are added up with their graphs.

    Each of them keeps all activations of its batch in memory, and nothing is saved. Add
    `total.detach()` or `total.item()`.
    """
    weight = weight.detach().clone().requires_grad_()
    loss, tokens = 0.0, 0
    for x, targets in batches:
        loss = loss + F.cross_entropy((x @ weight.T).mT, targets, reduction="sum")
        tokens = tokens + int((targets != -100).sum())
    (gradient,) = torch.autograd.grad(loss, weight, retain_graph=True)
    return loss / tokens, gradient / tokens


@mistake("05.9", caught_by="test_accumulate_lets_go")
def one_backward_for_all(weight, batches):
    """`backward` is called once, at the end, on the sum of all losses.

    Until then the graphs of all batches are in memory, as if they were one large batch. Call it
    for each batch, inside the loop: torch adds to `.grad`.
    """
    weight = weight.detach().clone().requires_grad_()
    loss, tokens = 0.0, 0
    for x, targets in batches:
        loss = loss + F.cross_entropy((x @ weight.T).mT, targets, reduction="sum")
        tokens = tokens + int((targets != -100).sum())
    loss.backward()
    return loss.detach() / tokens, weight.grad / tokens


@mistake("05.9", caught_by="test_accumulate_by_hand")
def gradient_comes_first(weight, batches):
    """the gradient is returned first and the loss second.

    The order is (loss, gradient).
    """
    sums = sums_of(weight, batches)
    return weighted(sums, over_all(sums))[::-1]


@mistake("05.9", caught_by="test_accumulate_dtype")
def accumulated_in_single_precision(weight, batches):
    """everything is computed in float32, whatever the weight is.

    Leave .float() out: the gradient has the dtype of the weight.
    """
    sums = sums_of(weight.float(), [(x.float(), targets) for x, targets in batches])
    return weighted(sums, over_all(sums))


@mistake("05.9", caught_by="test_accumulate_by_hand")
def added_up_twice(weight, batches):
    """`.grad` is added up batch after batch: it holds the batches before already.

    `backward` adds to `.grad` by itself. Take `.grad` once, behind the loop.
    """
    sums = sums_of(weight, batches)
    count, n = len(sums), sum(n for _, _, n in sums)
    loss = sum(loss for loss, _, _ in sums) / n
    return loss, sum((count - i) * g for i, (_, g, _) in enumerate(sums)) / n


@mistake("05.9", caught_by="test_accumulate_padding")
def padding_in_the_gradient_as_token_zero(weight, batches):
    """in the gradient, not in the loss, padding counts as the token 0.

    What is clamped or exchanged to be looked up must be left out again: multiply by
    `targets != -100`, or let `F.cross_entropy` do it.
    """
    sums = sums_of(weight, batches)
    filled = sums_of(weight, [(x, targets.clamp(min=0)) for x, targets in batches])
    n = sum(n for _, _, n in sums)
    return sum(loss for loss, _, _ in sums) / n, sum(g for _, g, _ in filled) / n


@mistake("05.9", caught_by="test_accumulate_padding")
def means_weighted_by_all_positions(weight, batches):
    """the mean of each batch that has tokens is weighted by all its positions.

    Padding has no loss, and its positions are no tokens: weigh by those that count.
    """
    sums = [
        (*each, t.numel()) for each, (_, t) in zip(sums_of(weight, batches), batches, strict=True)
    ]
    places = sum(size for *_, n, size in sums if n)
    shares = [size / n / places if n else 0.0 for *_, n, size in sums]
    return weighted([each[:3] for each in sums], shares)


# ---------------------------------------------------------------------------------------------
# 05.10


def in_half(weight, x, targets, factor, loss_of=lambda errors: errors.square().mean()):
    """The float16 gradient of the loss times a factor."""
    half = weight.detach().half().requires_grad_()
    errors = (x.half() @ half).float() - targets
    (loss_of(errors) * factor).backward()
    return half.grad


def decide(
    gradient, scale, streak, interval, *, bad=lambda g: not g.isfinite().all(), skipped=None,
    less=lambda scale: scale / 2, more=lambda scale: scale * 2,
):  # fmt: skip
    """What comes behind the backward pass."""
    if bad(gradient):
        return skipped, less(scale), 0
    if streak + 1 == interval:
        return gradient, more(scale), 0
    return gradient, scale, streak + 1


def unscaled(weight, x, targets, scale):
    return in_half(weight, x, targets, scale).float() / scale


@mistake("05.10", caught_by="test_scaled_by_hand")
def loss_not_scaled(weight, x, targets, scale, streak, interval):
    """the loss is not scaled, and nothing is unscaled.

    Small gradients become 0 on their way back through float16: `(loss * scale).backward()`, and
    divide the gradient.
    """
    return decide(in_half(weight, x, targets, 1.0).float(), scale, streak, interval)


@mistake("05.10", caught_by="test_scaled_by_hand")
def gradient_not_unscaled(weight, x, targets, scale, streak, interval):
    """the loss is scaled, and the gradient is not divided by the scale.

    `half.grad.float() / scale`.
    """
    return decide(in_half(weight, x, targets, scale).float(), scale, streak, interval)


@mistake("05.10", caught_by="test_scaled_by_hand")
def unscaled_without_scaling(weight, x, targets, scale, streak, interval):
    """the gradient is divided by the scale, and the loss was not multiplied by it.

    `(loss * scale).backward()`.
    """
    return decide(in_half(weight, x, targets, 1.0).float() / scale, scale, streak, interval)


@mistake("05.10", caught_by="test_scaled_small")
def gradient_scaled_too_late(weight, x, targets, scale, streak, interval):
    """the gradients are multiplied by the scale behind the backward pass.

    What has become 0 on the way stays 0. Scale the loss, *before* backward.
    """
    half = in_half(weight, x, targets, 1.0) * scale
    return decide(half.float() / scale, scale, streak, interval)


@mistake("05.10", caught_by="test_scaled_small")
def unscaled_in_float16(weight, x, targets, scale, streak, interval):
    """the gradient is divided by the scale in float16, where small results become 0 all the same.

    First `.float()`, then divide.
    """
    gradient = (in_half(weight, x, targets, scale) / scale).float()
    return decide(gradient, scale, streak, interval)


@mistake("05.10", caught_by="test_scaled_small")
def loss_in_float16(weight, x, targets, scale, streak, interval):
    """the loss itself is float16, and so is its product with the scale.

    A scale above 65,504 is infinite there, and a small loss is 0. Compute the loss in float32,
    from `prediction.float()`.
    """
    half = weight.detach().half().requires_grad_()
    loss = ((x.half() @ half).float() - targets).square().mean().half()
    (loss * torch.tensor(scale).half()).backward()
    return decide(half.grad.float() / scale, scale, streak, interval)


@mistake("05.10", caught_by="test_scaled_by_hand")
def everything_in_float32(weight, x, targets, scale, streak, interval):
    """everything is computed in float32: nothing vanishes, nothing overflows.

    The exercise is about float16: `weight.half()` and `x.half()`.
    """
    errors = x.float() @ weight - targets
    gradient = 2 * errors @ x.float() / len(x)
    return decide(gradient, scale, streak, interval)


@mistake("05.10", caught_by="test_scaled_by_hand")
def nothing_skipped(weight, x, targets, scale, streak, interval):
    """an infinite gradient is returned: nobody looks at it.

    Ask `gradient.isfinite().all()`, and return None if it is not so.
    """
    gradient = unscaled(weight, x, targets, scale)
    return decide(gradient, scale, streak, interval, bad=lambda g: False)


@mistake("05.10", caught_by="test_scaled_nan")
def only_infinities_skipped(weight, x, targets, scale, streak, interval):
    """infinite gradients are skipped, and those that are no number are not.

    `isfinite()` is false for both.
    """
    gradient = unscaled(weight, x, targets, scale)
    return decide(gradient, scale, streak, interval, bad=lambda g: g.isinf().any())


@mistake("05.10", caught_by="test_scaled_by_hand")
def only_nan_skipped(weight, x, targets, scale, streak, interval):
    """gradients that are no number are skipped, and infinite ones are not.

    `isfinite()` is false for both.
    """
    gradient = unscaled(weight, x, targets, scale)
    return decide(gradient, scale, streak, interval, bad=lambda g: g.isnan().any())


@mistake("05.10", caught_by="test_scaled_overflow")
def skipped_if_nothing_is_finite(weight, x, targets, scale, streak, interval):
    """a step is skipped only if no entry is finite.

    One bad entry is enough: `not gradient.isfinite().all()`.
    """
    gradient = unscaled(weight, x, targets, scale)
    return decide(gradient, scale, streak, interval, bad=lambda g: not g.isfinite().any())


@mistake("05.10", caught_by="test_scaled_overflow")
def first_entry_looked_at(weight, x, targets, scale, streak, interval):
    """only the first entry of the gradient is looked at.

    Any entry may be infinite: `gradient.isfinite().all()`.
    """
    gradient = unscaled(weight, x, targets, scale)
    return decide(gradient, scale, streak, interval, bad=lambda g: not g[0].isfinite())


@mistake("05.10", caught_by="test_scaled_definition")
def sum_looked_at(weight, x, targets, scale, streak, interval):
    """it is the sum of the float16 gradient that is asked whether it is finite.

    A sum may be infinite in float16 where no entry is: `gradient.isfinite().all()`.
    """
    half = in_half(weight, x, targets, scale)
    return decide(
        half.float() / scale, scale, streak, interval, bad=lambda _: not half.sum().isfinite()
    )


@mistake("05.10", caught_by="test_scaled_by_hand")
def loss_looked_at(weight, x, targets, scale, streak, interval):
    """it is the loss that is asked whether it is finite, not the gradient.

    The loss is float32 and fits; the gradients have gone through float16.
    """
    loss = ((x.half() @ weight.half()).float() - targets).square().mean() * scale
    gradient = unscaled(weight, x, targets, scale)
    return decide(gradient, scale, streak, interval, bad=lambda g: not loss.isfinite())


@mistake("05.10", caught_by="test_scaled_by_hand")
def scale_kept_after_overflow(weight, x, targets, scale, streak, interval):
    """the scale stays as it is when a step is skipped.

    Halve it, or every step to come is skipped as well.
    """
    gradient = unscaled(weight, x, targets, scale)
    return decide(gradient, scale, streak, interval, less=lambda scale: scale)


@mistake("05.10", caught_by="test_scaled_by_hand")
def scale_doubled_after_overflow(weight, x, targets, scale, streak, interval):
    """the scale is doubled when a step is skipped.

    It was too large: halve it.
    """
    gradient = unscaled(weight, x, targets, scale)
    return decide(gradient, scale, streak, interval, less=lambda scale: scale * 2)


@mistake("05.10", caught_by="test_scaled_by_hand")
def zeros_in_place_of_none(weight, x, targets, scale, streak, interval):
    """a step that must be skipped gives a gradient of zeros.

    Return None: with zeros Adam would still move the weights, and its averages with them.
    """
    gradient = unscaled(weight, x, targets, scale)
    return decide(gradient, scale, streak, interval, skipped=torch.zeros_like(gradient))


@mistake("05.10", caught_by="test_scaled_by_hand")
def bad_entries_replaced(weight, x, targets, scale, streak, interval):
    """entries that are not finite are replaced by 0, and the step is made.

    Whatever else overflowed on the way is wrong, too: skip the step, halve the scale.
    """
    gradient = unscaled(weight, x, targets, scale)
    gradient = gradient.nan_to_num(0.0, 0.0, 0.0)
    return decide(gradient, scale, streak, interval)


@mistake("05.10", caught_by="test_scaled_by_hand")
def streak_goes_on_after_overflow(weight, x, targets, scale, streak, interval):
    """the streak is kept when a step is skipped.

    It counts steps in a row: begin again at 0.
    """
    gradient, new, count = decide(unscaled(weight, x, targets, scale), scale, streak, interval)
    return gradient, new, streak if gradient is None else count


@mistake("05.10", caught_by="test_scaled_by_hand")
def streak_not_counted(weight, x, targets, scale, streak, interval):
    """the streak is returned as it came: this step is not counted.

    A step that went well makes it one more.
    """
    gradient, new, count = decide(unscaled(weight, x, targets, scale), scale, streak, interval)
    return gradient, new, streak if count else 0


@mistake("05.10", caught_by="test_scaled_streak")
def streak_goes_on_after_growth(weight, x, targets, scale, streak, interval):
    """the streak goes on when the scale has been doubled, and the scale is never doubled again.

    Begin again at 0.
    """
    gradient, new, count = decide(unscaled(weight, x, targets, scale), scale, streak, interval)
    return gradient, new, streak + 1 if new > scale else count


@mistake("05.10", caught_by="test_scaled_streak")
def not_doubled_in_time(weight, x, targets, scale, streak, interval):
    """the scale is not doubled by the step that completes the row: one step late, or never.

    This step counts: `streak + 1 == interval`. A scale that never grows again is lowered for good
    by every bad batch.
    """
    return decide(unscaled(weight, x, targets, scale), scale, streak, interval + 1)


@mistake("05.10", caught_by="test_scaled_by_hand")
def doubled_every_time(weight, x, targets, scale, streak, interval):
    """the scale is doubled after every step that went well.

    Only when the streak reaches the interval.
    """
    return decide(unscaled(weight, x, targets, scale), scale, streak, streak + 1)


@mistake("05.10", caught_by="test_scaled_streak")
def unscaled_by_the_new_scale(weight, x, targets, scale, streak, interval):
    """the gradient is divided by the scale after it was doubled.

    The loss was multiplied by the old one.
    """
    gradient, new, count = decide(unscaled(weight, x, targets, scale), scale, streak, interval)
    return gradient if gradient is None else gradient * scale / new, new, count


@mistake("05.10", caught_by="test_scaled_definition")
def squares_summed(weight, x, targets, scale, streak, interval):
    """the squares are summed over the examples, not averaged.

    The loss is their mean.
    """
    gradient = in_half(weight, x, targets, scale, lambda e: e.square().sum()).float() / scale
    return decide(gradient, scale, streak, interval)


@mistake("05.10", caught_by="test_scaled_by_hand")
def half_the_mean_square(weight, x, targets, scale, streak, interval):
    """half the mean square is the loss: the factor 2 of the gradient is missing.

    The loss is the mean square itself.
    """
    gradient = in_half(weight, x, targets, scale, lambda e: e.square().mean() / 2).float() / scale
    return decide(gradient, scale, streak, interval)


@mistake("05.10", caught_by="test_scaled_dtype")
def gradient_left_in_float16(weight, x, targets, scale, streak, interval):
    """the gradient is float16.

    It belongs to the float32 master weights: `.float()` before it is divided.
    """
    gradient, new, count = decide(unscaled(weight, x, targets, scale), scale, streak, interval)
    return gradient if gradient is None else gradient.half(), new, count


@mistake("05.10", caught_by="test_scaled_small")
def errors_in_float16(weight, x, targets, scale, streak, interval):
    """the errors and the loss are float16, and overflow when the loss is scaled.

    Only the prediction is float16: `prediction.float() - targets`, and all behind it in float32.
    """
    half = weight.detach().half().requires_grad_()
    loss = (x.half() @ half - targets.half()).square().mean()
    (loss * scale).backward()
    return decide(half.grad.float() / scale, scale, streak, interval)


# ---------------------------------------------------------------------------------------------
# 05.11


def noam(step, C, warmup_steps):
    return C**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)


def shortened(gradient, norm, max_norm):
    return gradient * (max_norm / norm).clamp(max=1.0)


def whole_step(
    weight, m, v, batches, step, warmup_steps, max_norm, *,
    shares=over_all, clip=shortened, rate=noam, update=adamw, decay=0.01, betas=(0.9, 0.98),
    eps=1e-9, tell=lambda loss, norm, clipped: (loss, norm), sums=sums_of,
):  # fmt: skip
    """The step with a part exchanged."""
    made = sums(weight, batches)
    loss, gradient = weighted(made, shares(made))
    norm = gradient.norm()
    clipped = clip(gradient, norm, max_norm)
    now = rate(step, weight.shape[1], warmup_steps)
    moved = update(weight, clipped, m, v, step, now, *betas, eps, decay)
    return *moved, *tell(loss, norm, clipped)


@mistake("05.11", caught_by="test_step_clipping")
def clipped_before_the_division(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the sum of the gradients is clipped, and divided by the tokens afterwards.

    The sum is nearly always too long; clipped and then divided, it is tiny. Divide first.
    """
    sums = sums_of(weight, batches)
    tokens = sum(n for _, _, n in sums)
    return whole_step(
        weight, m, v, batches, step, warmup_steps, max_norm,
        shares=lambda sums: [1.0] * len(sums),
        clip=lambda g, norm, most: shortened(g, norm, most) / tokens,
        tell=lambda loss, norm, clipped: (loss / tokens, norm),
    )  # fmt: skip


@mistake("05.11", caught_by="test_step_clipping")
def clipped_and_told_before_the_division(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the sum of the gradients is clipped; it and the norm are divided by the tokens afterwards.

    The norm that is told is right then, but max_norm was compared with that of the sum. Divide
    first.
    """
    sums = sums_of(weight, batches)
    tokens = sum(n for _, _, n in sums)
    return whole_step(
        weight, m, v, batches, step, warmup_steps, max_norm,
        shares=lambda sums: [1.0] * len(sums),
        clip=lambda g, norm, most: shortened(g, norm, most) / tokens,
        tell=lambda loss, norm, clipped: (loss / tokens, norm / tokens),
    )  # fmt: skip


@mistake("05.11", caught_by="test_step_clipping")
def clipped_in_every_batch(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """what has been accumulated is clipped after every batch.

    Clip once, when all batches are in: the norm is that of the whole gradient.
    """
    tokens, norms = sum(n for _, _, n in sums_of(weight, batches)), []

    def sums(weight, batches):
        whole, losses = torch.zeros_like(weight), 0.0
        for loss, gradient, _ in sums_of(weight, batches):
            whole = whole + gradient / tokens
            norms.append(whole.norm())
            whole, losses = shortened(whole, norms[-1], max_norm), losses + loss / tokens
        return [(losses, whole, 1)]

    return whole_step(
        weight, m, v, batches, step, warmup_steps, max_norm, sums=sums,
        tell=lambda loss, norm, clipped: (loss, norms[-1]),
    )  # fmt: skip


@mistake("05.11", caught_by="test_step_clipping")
def never_clipped(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the gradient is not clipped: max_norm is not used.

    Shorten it to max_norm before Adam's averages see it.
    """
    return whole_step(
        weight, m, v, batches, step, warmup_steps, max_norm, clip=lambda g, norm, most: g
    )


@mistake("05.11", caught_by="test_step_clipping")
def clipped_to_one(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the gradient is clipped to 1, whatever max_norm is.

    Use the parameter `max_norm`.
    """
    return whole_step(weight, m, v, batches, step, warmup_steps, 1.0)


@mistake("05.11", caught_by="test_step_clipping")
def always_brought_to_max_norm(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the gradient is brought to the length max_norm, also where it is shorter.

    Gradients are cut, never lengthened: the factor is at most 1.
    """
    return whole_step(
        weight, m, v, batches, step, warmup_steps, max_norm,
        clip=lambda g, norm, most: g * most / norm,
    )  # fmt: skip


@mistake("05.11", caught_by="test_step_clipping")
def every_number_clipped(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """each number of the gradient is limited to ±max_norm.

    That is clipping by value, which turns the gradient: shorten all of it by one factor.
    """
    return whole_step(
        weight, m, v, batches, step, warmup_steps, max_norm,
        clip=lambda g, norm, most: g.clamp(-most, most),
    )  # fmt: skip


@mistake("05.11", caught_by="test_step_clipping")
def update_clipped(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """it is the update that is clipped: Adam sees the whole gradient.

    Clip the gradient first: a bad one must not fill the averages.
    """

    def update(weight, gradient, m, v, step, rate, beta1, beta2, eps, decay):
        moved, m, v = adamw(weight, gradient, m, v, step, 1.0, beta1, beta2, eps, 0.0)
        pull = weight - moved
        pull = shortened(pull, pull.norm(), max_norm) + decay * weight
        return weight - rate * pull, m, v

    return whole_step(
        weight, m, v, batches, step, warmup_steps, max_norm,
        clip=lambda g, norm, most: g, update=update,
    )  # fmt: skip


@mistake("05.11", caught_by="test_step_clipping")
def only_m_clipped(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """m is given the clipped gradient, v the whole one.

    Everything behind the clipping sees the clipped gradient, v as well.
    """
    whole = weighted(sums_of(weight, batches), over_all(sums_of(weight, batches)))[1]

    def update(weight, gradient, m, v, step, rate, beta1, beta2, eps, decay):
        v = beta2 * v + (1 - beta2) * whole.square()
        ratio = (beta1 * m + (1 - beta1) * gradient) / (1 - beta1**step)
        ratio = ratio / ((v / (1 - beta2**step)).sqrt() + eps)
        m = beta1 * m + (1 - beta1) * gradient
        return weight - rate * (ratio + decay * weight), m, v

    return whole_step(weight, m, v, batches, step, warmup_steps, max_norm, update=update)


@mistake("05.11", caught_by="test_step_clipping")
def norm_of_the_clipped(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the norm *after* clipping is told.

    Keep the norm before: it is what shows that a training goes wrong.
    """
    return whole_step(
        weight, m, v, batches, step, warmup_steps, max_norm,
        tell=lambda loss, norm, clipped: (loss, clipped.norm()),
    )  # fmt: skip


@mistake("05.11", caught_by="test_step_by_hand")
def rate_of_the_next_step(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the rate is that of step + 1.

    Steps are counted from 1, and so are those of the schedule: use step as it is.
    """
    return whole_step(
        weight, m, v, batches, step, warmup_steps, max_norm,
        rate=lambda step, C, warmup: noam(step + 1, C, warmup),
    )  # fmt: skip


@mistake("05.11", caught_by="test_step_by_hand")
def rate_of_the_step_before(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the rate is that of step - 1, 0 in the first step.

    Set the rate before the update, not behind it, and use step as it is.
    """
    return whole_step(
        weight, m, v, batches, step, warmup_steps, max_norm,
        rate=lambda step, C, warmup: noam(step - 1, C, warmup) if step > 1 else 0.0,
    )  # fmt: skip


@mistake("05.11", caught_by="test_step_definition")
def rate_of_the_peak(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the rate is that of the peak at every step.

    `noam_rate(step, C, warmup_steps)`: the schedule depends on the step.
    """
    return whole_step(
        weight, m, v, batches, step, warmup_steps, max_norm,
        rate=lambda step, C, warmup: noam(warmup, C, warmup),
    )  # fmt: skip


@mistake("05.11", caught_by="test_step_by_hand")
def rate_from_the_vocabulary(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the width in the rate is V, the first axis of the weight.

    The weight is (V, C): the width of the model is its second axis.
    """
    return whole_step(
        weight, m, v, batches, step, warmup_steps, max_norm,
        rate=lambda step, C, warmup: noam(step, len(weight), warmup),
    )  # fmt: skip


@mistake("05.11", caught_by="test_step_definition")
def batches_averaged(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the mean of each batch is taken, then the mean of these.

    Add sums, and divide once by all tokens that count.
    """
    return whole_step(weight, m, v, batches, step, warmup_steps, max_norm, shares=mean_of_means)


@mistake("05.11", caught_by="test_step_definition")
def step_without_division(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """loss and gradient are sums: nothing is divided by the number of tokens.

    Divide both by all tokens that count, before clipping.
    """
    return whole_step(
        weight, m, v, batches, step, warmup_steps, max_norm, shares=lambda sums: [1.0] * len(sums)
    )


@mistake("05.11", caught_by="test_step_padding")
def step_over_all_positions(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the sums are divided by the number of all positions, padding included.

    Count the targets that are not -100.
    """
    positions = sum(targets.numel() for _, targets in batches)
    return whole_step(
        weight, m, v, batches, step, warmup_steps, max_norm,
        shares=lambda sums: [1 / positions] * len(sums),
    )  # fmt: skip


@mistake("05.11", caught_by="test_step_padding")
def step_with_padding(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """padding counts, as if token 0 had been right there.

    Leave targets of -100 out.
    """
    filled = [(x, targets.clamp(min=0)) for x, targets in batches]
    return whole_step(weight, m, v, filled, step, warmup_steps, max_norm)


@mistake("05.11", caught_by="test_step_definition")
def step_of_the_last_batch(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """only the last batch is used: the gradients of the others were set to 0 again.

    Gradients are set to 0 once per *step*, not once per batch.
    """
    return whole_step(weight, m, v, batches[-1:], step, warmup_steps, max_norm)


@mistake("05.11", caught_by="test_step_definition")
def one_update_for_each_batch(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """there is one update for every batch.

    Accumulate over all batches first; the update stands behind the loop.
    """
    total = tokens = 0
    for batch in batches:
        n = max(int((batch[1] != -100).sum()), 1)
        weight, m, v, loss, norm = whole_step(
            weight, m, v, [batch], step, warmup_steps, max_norm, shares=lambda sums, n=n: [1 / n]
        )
        total, tokens = total + loss * n, tokens + n
    return weight, m, v, total / tokens, norm


@mistake("05.11", caught_by="test_step_by_hand")
def loss_after_the_update(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the loss is measured after the update.

    Tell the loss whose gradient was used; another forward pass would cost as much again.
    """
    made = whole_step(weight, m, v, batches, step, warmup_steps, max_norm)
    sums = sums_of(made[0], batches)
    return *made[:3], weighted(sums, over_all(sums))[0], made[4]


@mistake("05.11", caught_by="test_step_definition")
def step_with_l2(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the decay goes through the gradient: λθ is added to it, Adam without the W.

    Subtract rate · λ · θ from the weight itself.
    """

    def update(weight, gradient, *rest):
        *rest, decay = rest
        return adamw(weight, gradient + decay * weight, *rest, 0.0)

    return whole_step(weight, m, v, batches, step, warmup_steps, max_norm, update=update)


@mistake("05.11", caught_by="test_step_definition")
def step_without_decay(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the weight does not decay.

    AdamW has a decay of 0.01 here.
    """
    return whole_step(weight, m, v, batches, step, warmup_steps, max_norm, decay=0.0)


@mistake("05.11", caught_by="test_step_by_hand")
def step_with_torchs_beta(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """β₂ is 0.999, torch's default.

    Here it is 0.98, as in 2017.
    """
    return whole_step(weight, m, v, batches, step, warmup_steps, max_norm, betas=(0.9, 0.999))


@mistake("05.11", caught_by="test_step_by_hand")
def step_without_correction(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the averages are not corrected.

    Divide m by 1 - 0.9ᵗ and v by 1 - 0.98ᵗ.
    """

    def update(*given):
        return adamw(*given, power=lambda beta, step: 0.0)

    return whole_step(weight, m, v, batches, step, warmup_steps, max_norm, update=update)


@mistake("05.11", caught_by="test_step_definition")
def always_the_first_correction(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the averages are corrected as in the first step, by 1 - β, at every step.

    The correction knows the step: 1 - β**step.
    """

    def update(*given):
        return adamw(*given, power=lambda beta, step: beta)

    return whole_step(weight, m, v, batches, step, warmup_steps, max_norm, update=update)


@mistake("05.11", caught_by="test_step_small_gradients")
def step_without_eps(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """ε is left out: a number that never had a gradient becomes 0/0.

    Divide by √v̂ + 1e-9.
    """

    def update(*given):
        return adamw(*given, ratio=lambda m, v, eps: m / v.sqrt())

    return whole_step(weight, m, v, batches, step, warmup_steps, max_norm, update=update)


@mistake("05.11", caught_by="test_step_in_a_row")
def step_that_forgets(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """m and v are returned as they came.

    The next step needs them as they are after this one.
    """
    made = whole_step(weight, m, v, batches, step, warmup_steps, max_norm)
    return made[0], m.clone(), v.clone(), *made[3:]


@mistake("05.11", caught_by="test_step_definition")
def averages_begun_anew(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the averages begin at 0 in every step.

    m and v that are given are those after the step before: go on from there.
    """
    return whole_step(
        weight, torch.zeros_like(m), torch.zeros_like(v), batches, step, warmup_steps, max_norm
    )


@mistake("05.11", caught_by="test_step_by_hand")
def step_uphill(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the step goes uphill: the update is added.

    Minus: the gradient points to where the loss grows.
    """

    def update(*given):
        return adamw(*given, pull=lambda ratio, decay, theta: decay * theta - ratio)

    return whole_step(weight, m, v, batches, step, warmup_steps, max_norm, update=update)


@mistake("05.11", caught_by="test_step_by_hand")
def gradient_descent_only(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the weight is moved against the gradient itself: m and v are computed, and not used.

    The update is m̂ / (√v̂ + ε), and the decay.
    """

    def update(weight, gradient, *rest):
        return adamw(weight, gradient, *rest, ratio=lambda m, v, eps: gradient)

    return whole_step(weight, m, v, batches, step, warmup_steps, max_norm, update=update)


@mistake("05.11", caught_by="test_step_by_hand")
def norm_before_loss(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the norm is returned before the loss.

    The order is (weight, m, v, loss, norm).
    """
    return whole_step(
        weight, m, v, batches, step, warmup_steps, max_norm,
        tell=lambda loss, norm, clipped: (norm, loss),
    )  # fmt: skip


@mistake("05.11", caught_by="test_step_lets_go")
def weight_with_its_graph(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the new weight requires a gradient: the old one was not detached.

    With every step the graph grows by one. `weight.detach()`, or torch.no_grad() around the update.
    """
    return whole_step(weight.clone().requires_grad_(), m, v, batches, step, warmup_steps, max_norm)


@mistake("05.11", caught_by="test_step_dtype")
def step_in_single_precision(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """everything is computed and returned in float32, whatever the weight is.

    Leave .float() out: the weight keeps its own dtype.
    """
    narrow = [(x.float(), targets) for x, targets in batches]
    given = (each.float() for each in (weight, m, v))
    return whole_step(*given, narrow, step, warmup_steps, max_norm)


@mistake("05.11", caught_by="test_step_clipping")
def clipped_in_every_batch_and_again(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """what has been accumulated is clipped after every batch, and once more at the end.

    Clip once, behind the loop. The norm of what was clipped before is never above max_norm.
    """
    tokens = sum(n for _, _, n in sums_of(weight, batches))

    def sums(weight, batches):
        whole, losses = torch.zeros_like(weight), 0.0
        for loss, gradient, _ in sums_of(weight, batches):
            whole, losses = whole + gradient / tokens, losses + loss / tokens
            whole = shortened(whole, whole.norm(), max_norm)
        return [(losses, whole, 1)]

    return whole_step(weight, m, v, batches, step, warmup_steps, max_norm, sums=sums)


def clipped_one_by_one(weight, batches, max_norm):
    """The gradient of each batch, divided and clipped by itself."""
    made = sums_of(weight, batches)
    tokens = sum(n for _, _, n in made)
    parts = [(loss / tokens, gradient / tokens) for loss, gradient, _ in made]
    parts = [(loss, shortened(g, g.norm().clamp(min=1e-30), max_norm)) for loss, g in parts]
    return [(sum(loss for loss, _ in parts), sum(g for _, g in parts), 1)]


@mistake("05.11", caught_by="test_step_clipping")
def each_batch_clipped_on_its_own(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the gradient of each batch is clipped on its own, and then they are added.

    Their sum may be longer than max_norm, and turned. Add first, and clip the whole once.
    """
    return whole_step(
        weight, m, v, batches, step, warmup_steps, max_norm,
        sums=lambda weight, batches: clipped_one_by_one(weight, batches, max_norm),
        clip=lambda g, norm, most: g,
    )  # fmt: skip


@mistake("05.11", caught_by="test_step_clipping")
def each_batch_and_the_sum_clipped(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the gradient of each batch is clipped on its own, and their sum again.

    A long batch then counts no more than a short one, and the norm that is told is none of the
    gradient's. Add first, and clip the whole once.
    """
    return whole_step(
        weight, m, v, batches, step, warmup_steps, max_norm,
        sums=lambda weight, batches: clipped_one_by_one(weight, batches, max_norm),
    )  # fmt: skip


@mistake("05.11", caught_by="test_step_definition")
def loss_of_the_last_batch(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the loss that is told is that of the last batch alone.

    Add the losses of all batches up: `loss = loss + …` inside the loop.
    """
    made = sums_of(weight, batches)
    last = made[-1][0] / sum(n for _, _, n in made)
    return whole_step(
        weight, m, v, batches, step, warmup_steps, max_norm,
        tell=lambda loss, norm, clipped: (last, norm),
    )  # fmt: skip


@mistake("05.11", caught_by="test_step_definition")
def decay_of_a_tenth(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """the weight decay is 0.1.

    The exercise asks for 0.01.
    """
    return whole_step(weight, m, v, batches, step, warmup_steps, max_norm, decay=0.1)


@mistake("05.11", caught_by="test_step_small_gradients")
def step_with_torchs_eps(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """ε is 1e-8, torch's own.

    The exercise asks for 1e-9, as the paper does.
    """
    return whole_step(weight, m, v, batches, step, warmup_steps, max_norm, eps=1e-8)
