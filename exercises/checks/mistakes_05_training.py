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


@mistake("05.2", caught_by="test_back_by_hand")
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


@mistake("05.3", caught_by="test_block_pre_norm")
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


@mistake("05.4", caught_by="test_ff_definition")
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


@mistake("05.5", caught_by="test_loss_definition")
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


@mistake("05.5", caught_by="test_loss_definition")
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


@mistake("05.5", caught_by="test_loss_padding")
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


@mistake("05.6", caught_by="test_rate_by_hand")
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


@mistake("05.6", caught_by="test_rate_by_hand")
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


@mistake("05.7", caught_by="test_adamw_by_hand")
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


@mistake("05.7", caught_by="test_adamw_by_hand")
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


@mistake("05.7", caught_by="test_adamw_by_hand")
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


@mistake("05.8", caught_by="test_clip_by_hand")
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


@mistake("05.8", caught_by="test_clip_by_hand")
def always_of_that_length(gradients, max_norm):
    """the gradient is always brought to the length max_norm, short ones too.

    Gradients are cut, never lengthened: the factor is at most 1.
    """
    norm = global_norm(gradients)
    return [g * (max_norm / norm) for g in gradients], norm


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
