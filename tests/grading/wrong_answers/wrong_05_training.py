"""Wrong answers to chapter 5, written without the bank: each says what is wrong in truth."""
# mypy: ignore-errors
# ruff: noqa: B905, RUF059 (the answers are left as they were written)

import math

import torch
from torch import nn
from torch.nn import functional as F

from minitx.training import noam_rate as library_rate


@wrong("05.1")
def std_unbiased(x, weight, bias, eps=1e-5):
    """X.std() divides by C - 1, so every normalised number is too small by sqrt((C-1)/C) for
    small C.
    """
    mu = x.mean(dim=-1, keepdim=True)
    sigma = x.std(dim=-1, keepdim=True)
    return weight * (x - mu) / torch.sqrt(sigma**2 + eps) + bias


@wrong("05.1")
def eps_added_to_std(x, weight, bias, eps=1e-5):
    """Eps is added to the standard deviation, outside the root, instead of to the variance."""
    mean = x.mean(-1, keepdim=True)
    centered = x - mean
    std = centered.pow(2).mean(-1, keepdim=True).sqrt()
    x_hat = centered / (std + eps)
    return x_hat * weight + bias


@wrong("05.1")
def one_pass_variance(x, weight, bias, eps=1e-5):
    """The variance is computed as mean of squares minus square of mean, which loses all digits
    for numbers near 10,000 in float32.
    """
    C = x.shape[-1]
    s1 = torch.einsum("...c->...", x) / C
    s2 = torch.einsum("...c,...c->...", x, x) / C
    var = (s2 - s1 * s1).clamp(min=0)
    inv = torch.rsqrt(var + eps)
    return (x - s1[..., None]) * inv[..., None] * weight + bias


@wrong("05.1")
def all_but_batch_axis(x, weight, bias, eps=1e-5):
    """Mean and variance are taken over every axis but the first, so the tokens of a sentence are
    normalised together.
    """
    axes = tuple(range(1, x.dim())) if x.dim() > 1 else (0,)
    mu = x.mean(dim=axes, keepdim=True)
    var = ((x - mu) ** 2).mean(dim=axes, keepdim=True)
    return weight * (x - mu) / (var + eps).sqrt() + bias


@wrong("05.1")
def bias_is_scaled(x, weight, bias, eps=1e-5):
    """The bias is added before the multiplication with weight, so it comes out as weight times
    bias.
    """
    out = torch.empty_like(x)
    flat_in = x.reshape(-1, x.shape[-1])
    flat_out = out.view(-1, x.shape[-1])
    for n in range(flat_in.shape[0]):
        token = flat_in[n]
        mu = token.mean()
        var = ((token - mu) ** 2).mean()
        normed = (token - mu) / torch.sqrt(var + eps)
        flat_out[n] = weight * (normed + bias)
    return out


@wrong("05.1")
def subtract_in_place(x, weight, bias, eps=1e-5):
    """The mean is subtracted with -=, which changes the tensor of the caller."""
    x -= x.mean(dim=-1, keepdim=True)
    var = (x * x).mean(dim=-1, keepdim=True)
    y = x / torch.sqrt(var + eps)
    return y * weight + bias


@wrong("05.1")
def rms_of_uncentred(x, weight, bias, eps=1e-5):
    """The mean is subtracted above the fraction line, but below it stands the mean square of the
    uncentred numbers.
    """
    mu = x.mean(dim=-1, keepdim=True)
    mean_square = x.square().mean(dim=-1, keepdim=True)
    return (x - mu) * torch.rsqrt(mean_square + eps) * weight + bias


@wrong("05.2")
def gamma_outside_the_means(grad, x, weight, eps=1e-5):
    """The formula is applied to grad, and the result is multiplied by weight at the end instead
    of inside both means.
    """
    mu = x.mean(-1, keepdim=True)
    var = ((x - mu) ** 2).mean(-1, keepdim=True)
    std = torch.sqrt(var + eps)
    x_hat = (x - mu) / std
    grad_x = grad - grad.mean(-1, keepdim=True) - x_hat * (grad * x_hat).mean(-1, keepdim=True)
    grad_x = weight * grad_x / std
    return grad_x, (grad * x_hat).sum((0, 1)), grad.sum((0, 1))


@wrong("05.2")
def params_averaged(grad, x, weight, eps=1e-5):
    """The gradients of weight and bias are means over the tokens instead of sums."""
    mu = x.mean(dim=-1, keepdim=True)
    var = x.var(dim=-1, keepdim=True, unbiased=False)
    r = torch.rsqrt(var + eps)
    x_hat = (x - mu) * r
    g = grad * weight
    grad_x = r * (g - g.mean(-1, keepdim=True) - x_hat * (g * x_hat).mean(-1, keepdim=True))
    grad_weight = (grad * x_hat).mean(dim=(0, 1))
    grad_bias = grad.mean(dim=(0, 1))
    return grad_x, grad_weight, grad_bias


@wrong("05.2")
def sigma_is_a_constant(grad, x, weight, eps=1e-5):
    """The term with x_hat is missing: sigma is treated as if it did not depend on x."""
    mu = x.mean(-1, keepdim=True)
    xc = x - mu
    std = (xc.pow(2).mean(-1, keepdim=True) + eps).sqrt()
    x_hat = xc / std
    dxhat = grad * weight
    dx = (dxhat - dxhat.mean(-1, keepdim=True)) / std
    return dx, torch.einsum("btc,btc->c", grad, x_hat), torch.einsum("btc->c", grad)


@wrong("05.2")
def bias_grad_with_gamma(grad, x, weight, eps=1e-5):
    """Grad_bias sums grad times weight, although the bias is added behind the multiplication."""
    B, T, C = x.shape
    grad_x = torch.zeros_like(x)
    grad_weight = torch.zeros_like(weight)
    grad_bias = torch.zeros_like(weight)
    for b in range(B):
        for t in range(T):
            token = x[b, t]
            mu = token.sum() / C
            var = ((token - mu) ** 2).sum() / C
            std = (var + eps) ** 0.5
            x_hat = (token - mu) / std
            g = grad[b, t] * weight
            grad_x[b, t] = (g - g.mean() - x_hat * (g * x_hat).mean()) / std
            grad_weight += grad[b, t] * x_hat
            grad_bias += g
    return grad_x, grad_weight, grad_bias


@wrong("05.2")
def means_over_whole_sentence(grad, x, weight, eps=1e-5):
    """The two means of the gradient are taken over tokens and columns of a sentence, not over
    the columns of one token.
    """
    mu = x.mean(dim=-1, keepdim=True)
    var = ((x - mu) ** 2).mean(dim=-1, keepdim=True)
    std = (var + eps).sqrt()
    x_hat = (x - mu) / std
    g = grad * weight
    g_bar = g.mean(dim=(1, 2), keepdim=True)
    gx_bar = (g * x_hat).mean(dim=(1, 2), keepdim=True)
    grad_x = (g - g_bar - x_hat * gx_bar) / std
    return grad_x, (grad * x_hat).sum(dim=(0, 1)), grad.sum(dim=(0, 1))


@wrong("05.2")
def jacobian_without_eps(grad, x, weight, eps=1e-5):
    """The factor in front of the bracket is 1 / sigma without eps, though x_hat is computed with
    it.
    """
    C = x.shape[-1]
    mu = x.mean(-1, keepdim=True)
    var = ((x - mu) ** 2).mean(-1, keepdim=True)
    x_hat = (x - mu) / torch.sqrt(var + eps)
    eye = torch.eye(C, dtype=x.dtype)
    jac = eye - 1 / C - torch.einsum("btc,btd->btcd", x_hat, x_hat) / C
    jac = jac / var.sqrt()[..., None]
    grad_x = torch.einsum("btcd,btd->btc", jac, grad * weight)
    return grad_x, (grad * x_hat).sum((0, 1)), grad.sum((0, 1))


@wrong("05.2")
def sum_over_batch_only(grad, x, weight, eps=1e-5):
    """The gradients of weight and bias are summed over the batch axis only and keep the axis of
    the tokens.
    """
    mu = x.mean(-1, keepdim=True)
    var = x.var(-1, keepdim=True, correction=0)
    std = torch.sqrt(var + eps)
    x_hat = (x - mu) / std
    g = grad * weight
    grad_x = (g - g.mean(-1, keepdim=True) - x_hat * (g * x_hat).mean(-1, keepdim=True)) / std
    return grad_x, (grad * x_hat).sum(0), grad.sum(0)


@wrong("05.3")
class RoadIsNormalised(nn.Module):
    """In the pre-norm branch x itself is replaced by norm(x), so the normalised token is added
    instead of x.
    """

    def __init__(self, d_model, pre_norm, dropout=0.0):
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.sublayer = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)
        self.pre_norm = pre_norm

    def forward(self, x):
        if self.pre_norm:
            x = self.norm(x)
        x = x + self.dropout(self.sublayer(x))
        if not self.pre_norm:
            x = self.norm(x)
        return x


@wrong("05.3")
class DropoutOnTheSum(nn.Module):
    """Dropout is applied to the sum, so numbers of x are dropped as well."""

    def __init__(self, d_model, pre_norm, dropout=0.0):
        super().__init__()
        self.pre_norm = pre_norm
        self.norm = nn.LayerNorm(d_model)
        self.sublayer = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        if self.pre_norm:
            return self.dropout(x + self.sublayer(self.norm(x)))
        return self.norm(self.dropout(x + self.sublayer(x)))


@wrong("05.3")
class PostNormBeforeTheSum(nn.Module):
    """In the post-norm branch the norm is applied to the sublayer's result before it is added,
    not to the sum.
    """

    def __init__(self, d_model, pre_norm, dropout=0.0):
        super().__init__()
        self.pre_norm = pre_norm
        self.norm = nn.LayerNorm(d_model)
        self.sublayer = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        residual = x
        if self.pre_norm:
            out = self.dropout(self.sublayer(self.norm(x)))
        else:
            out = self.norm(self.dropout(self.sublayer(x)))
        return residual + out


@wrong("05.3")
class DropoutInEval(nn.Module):
    """F.dropout is called without training=self.training, so numbers are dropped in evaluation
    too.
    """

    def __init__(self, d_model, pre_norm, dropout=0.0):
        super().__init__()
        self.pre_norm = pre_norm
        self.norm = nn.LayerNorm(d_model)
        self.sublayer = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        h = self.norm(x) if self.pre_norm else x
        h = F.dropout(self.sublayer(h), p=self.dropout.p)
        y = x + h
        return y if self.pre_norm else self.norm(y)


@wrong("05.3")
class PlusEquals(nn.Module):
    """X += ... writes the result into the tensor of the caller."""

    def __init__(self, d_model, pre_norm, dropout=0.0):
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.sublayer = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)
        self.pre_norm = pre_norm

    def forward(self, x):
        if self.pre_norm:
            x += self.dropout(self.sublayer(self.norm(x)))
            return x
        x += self.dropout(self.sublayer(x))
        return self.norm(x)


@wrong("05.3")
class NoDropoutInPost(nn.Module):
    """The post-norm branch forgets dropout altogether."""

    def __init__(self, d_model, pre_norm, dropout=0.0):
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.sublayer = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)
        self.pre_norm = pre_norm

    def _pre(self, x):
        return x + self.dropout(self.sublayer(self.norm(x)))

    def _post(self, x):
        return self.norm(x + self.sublayer(x))

    def forward(self, x):
        return self._pre(x) if self.pre_norm else self._post(x)


@wrong("05.3")
class NormTwice(nn.Module):
    """The pre-norm branch normalises before the sublayer and the sum once more."""

    def __init__(self, d_model, pre_norm, dropout=0.0):
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.sublayer = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)
        self.pre_norm = pre_norm

    def forward(self, x):
        inner = self.norm(x) if self.pre_norm else x
        y = x + self.dropout(self.sublayer(inner))
        return self.norm(y)


@wrong("05.4")
class ReluTwice(nn.Module):
    """A second relu stands behind out_proj, so no output can be negative."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.in_proj = nn.Linear(d_model, d_ff)
        self.out_proj = nn.Linear(d_ff, d_model)

    def forward(self, x):
        for layer in (self.in_proj, self.out_proj):
            x = F.relu(layer(x))
        return x


@wrong("05.4")
class Gelu(nn.Module):
    """The activation is gelu, as in GPT-2, instead of relu."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.in_proj = nn.Linear(d_model, d_ff)
        self.out_proj = nn.Linear(d_ff, d_model)

    def forward(self, x):
        return self.out_proj(F.gelu(self.in_proj(x)))


@wrong("05.4")
class MemoryWithoutB2(nn.Module):
    """Written as a memory of keys and values, the bias of out_proj is forgotten."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.in_proj = nn.Linear(d_model, d_ff)
        self.out_proj = nn.Linear(d_ff, d_model)

    def forward(self, x):
        keys, values = self.in_proj.weight, self.out_proj.weight
        match = torch.einsum("fc,...c->...f", keys, x) + self.in_proj.bias
        return torch.einsum("...f,cf->...c", match.clamp(min=0), values)


@wrong("05.4")
class ThreeAxesOnly(nn.Module):
    """B, T, C = x.shape is unpacked, so an input with any other number of axes raises an error."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.in_proj = nn.Linear(d_model, d_ff)
        self.out_proj = nn.Linear(d_ff, d_model)

    def forward(self, x):
        B, T, C = x.shape
        out = torch.empty_like(x)
        for t in range(T):
            out[:, t] = self.out_proj(torch.relu(self.in_proj(x[:, t])))
        return out


@wrong("05.4")
class BiasBehindRelu(nn.Module):
    """The bias of the first layer is added after the relu instead of before it."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.in_proj = nn.Linear(d_model, d_ff)
        self.out_proj = nn.Linear(d_ff, d_model)

    def forward(self, x):
        hidden = (x @ self.in_proj.weight.T).relu() + self.in_proj.bias
        return hidden @ self.out_proj.weight.T + self.out_proj.bias


@wrong("05.4")
class ResidualInside(nn.Module):
    """The residual connection is added inside the network, though it belongs to the block around
    it.
    """

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.in_proj = nn.Linear(d_model, d_ff)
        self.out_proj = nn.Linear(d_ff, d_model)
        self.act = nn.ReLU()

    def forward(self, x):
        return x + self.out_proj(self.act(self.in_proj(x)))


@wrong("05.4")
class NoBiasLayers(nn.Module):
    """Both layers are made with bias=False, as in many modern models, so the parameters
    in_proj.bias and out_proj.bias do not exist.
    """

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.in_proj = nn.Linear(d_model, d_ff, bias=False)
        self.out_proj = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x):
        return self.out_proj(F.relu(self.in_proj(x)))


@wrong("05.5")
def spread_over_the_others(logits, targets, smoothing=0.1, ignore_index=-100):
    """The share eps is spread over the V - 1 wrong tokens only, so the right one has 1 - eps."""
    V = logits.shape[-1]
    keep = targets != ignore_index
    if not keep.any():
        return logits.new_zeros(())
    logp = logits[keep].log_softmax(-1)
    t = targets[keep]
    q = torch.full_like(logp, smoothing / (V - 1))
    q.scatter_(1, t[:, None], 1 - smoothing)
    return -(q * logp).sum(-1).mean()


@wrong("05.5")
def divided_by_all_positions(logits, targets, smoothing=0.1, ignore_index=-100):
    """The losses of padding are set to 0, but the sum is divided by B * T, padding included."""
    logp = F.log_softmax(logits, dim=-1)
    pad = targets == ignore_index
    safe = targets.masked_fill(pad, 0)
    nll = -logp.gather(-1, safe.unsqueeze(-1)).squeeze(-1)
    uniform = -logp.mean(dim=-1)
    loss = (1 - smoothing) * nll + smoothing * uniform
    return loss.masked_fill(pad, 0.0).mean()


@wrong("05.5")
def log_of_softmax(logits, targets, smoothing=0.1, ignore_index=-100):
    """The logarithm of a softmax is taken with a small number added, so very improbable targets
    cost at most about 20 nats.
    """
    B, T, V = logits.shape
    p = torch.softmax(logits, dim=-1)
    total, count = logits.new_zeros(()), 0
    for b in range(B):
        for t in range(T):
            k = int(targets[b, t])
            if k == ignore_index:
                continue
            q = torch.full((V,), smoothing / V, dtype=logits.dtype)
            q[k] += 1 - smoothing
            total = total - (q * torch.log(p[b, t] + 1e-9)).sum()
            count += 1
    return total / max(count, 1)


@wrong("05.5")
def negative_means_padding(logits, targets, smoothing=0.1, ignore_index=-100):
    """Padding is recognised by target < 0 instead of by ignore_index, so an ignore_index such as
    3 counts as a token.
    """
    logp = logits.log_softmax(dim=-1)
    valid = targets >= 0
    idx = targets.clamp(min=0)
    nll = -logp.gather(2, idx[:, :, None])[:, :, 0]
    smooth = -logp.mean(2)
    per_token = (1 - smoothing) * nll + smoothing * smooth
    n = valid.sum().clamp(min=1)
    return (per_token * valid).sum() / n


@wrong("05.5")
def nan_without_words(logits, targets, smoothing=0.1, ignore_index=-100):
    """If every target is padding, the mean of an empty tensor is NaN instead of 0."""
    V = logits.size(-1)
    rows = targets.reshape(-1) != ignore_index
    logp = F.log_softmax(logits.reshape(-1, V)[rows], dim=-1)
    q = F.one_hot(targets.reshape(-1)[rows], V) * (1 - smoothing) + smoothing / V
    return -(q * logp).sum(dim=-1).mean()


@wrong("05.5")
def mean_of_sentence_means(logits, targets, smoothing=0.1, ignore_index=-100):
    """The mean is taken in each sentence first and then over the sentences, so tokens of short
    sentences weigh more.
    """
    logp = logits.log_softmax(-1)
    mask = targets != ignore_index
    safe = torch.where(mask, targets, torch.zeros_like(targets))
    nll = -logp.gather(-1, safe[..., None])[..., 0]
    loss = (1 - smoothing) * nll - smoothing * logp.mean(-1)
    per_sentence = (loss * mask).sum(1) / mask.sum(1).clamp(min=1)
    used = mask.any(1)
    if not used.any():
        return logits.sum() * 0.0
    return per_sentence[used].mean()


@wrong("05.5")
def sum_for_mean_of_uniform(logits, targets, smoothing=0.1, ignore_index=-100):
    """The smoothed part is eps times the sum of -ln p over the vocabulary instead of its mean."""
    logp = F.log_softmax(logits, dim=-1)
    count = (targets != ignore_index).sum()
    if count == 0:
        return torch.tensor(0.0)
    nll = F.nll_loss(logp.transpose(1, 2), targets, ignore_index=ignore_index, reduction="sum")
    uniform = -logp.sum(-1)[targets != ignore_index].sum()
    return ((1 - smoothing) * nll + smoothing * uniform) / count


@wrong("05.6")
def max_for_min(step, d_model, warmup_steps):
    """The larger of the two numbers is taken instead of the smaller."""
    if step < 1:
        raise ValueError(f"step must be at least 1, got {step}")
    if warmup_steps < 1:
        raise ValueError(f"warmup_steps must be at least 1, got {warmup_steps}")
    return d_model**-0.5 * max(step**-0.5, step * warmup_steps**-1.5)


@wrong("05.6")
def minus_one_half(step, d_model, warmup_steps):
    """Step ** -1/2 is read by Python as (1/step)/2, so the inverse roots are wrong."""
    for name, value in (("step", step), ("warmup_steps", warmup_steps)):
        if value < 1:
            raise ValueError(f"{name} is {value}, but must be at least 1")
    return d_model**-1 / 2 * min(step**-1 / 2, step * warmup_steps**-3 / 2)


@wrong("05.6")
def decay_counts_from_the_peak(step, d_model, warmup_steps):
    """Behind the peak the root is taken of the steps since the peak, not of all steps."""
    if step < 1:
        raise ValueError(f"bad step {step}")
    if warmup_steps < 1:
        raise ValueError(f"bad warmup_steps {warmup_steps}")
    peak = 1 / math.sqrt(d_model * warmup_steps)
    if step <= warmup_steps:
        return peak * step / warmup_steps
    return peak / math.sqrt(step - warmup_steps)


@wrong("05.6")
def step_plus_one(step, d_model, warmup_steps):
    """One is added to the step, as if steps were counted from 0."""
    if step < 1 or warmup_steps < 1:
        raise ValueError(f"step {step} and warmup_steps {warmup_steps} must be >= 1")
    step = step + 1
    return d_model ** (-0.5) * min(step ** (-0.5), step * warmup_steps ** (-1.5))


@wrong("05.6")
def step_zero_gives_zero(step, d_model, warmup_steps):
    """Step 0 quietly returns a rate of 0 instead of raising a ValueError."""
    if step < 0:
        raise ValueError(f"step must not be negative: {step}")
    if warmup_steps < 1:
        raise ValueError(f"warmup_steps must be positive: {warmup_steps}")
    if step == 0:
        return 0.0
    return d_model**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)


@wrong("05.6")
def message_without_number(step, d_model, warmup_steps):
    """The ValueError does not say which number was wrong."""
    if step < 1:
        raise ValueError("step must be positive")
    if warmup_steps < 1:
        raise ValueError("warmup_steps must be positive")
    a = 1 / math.sqrt(step)
    b = step / (warmup_steps * math.sqrt(warmup_steps))
    return min(a, b) / math.sqrt(d_model)


@wrong("05.6")
def constant_after_warmup(step, d_model, warmup_steps):
    """After the warm-up the rate stays at its peak and does not fall."""
    if step < 1:
        raise ValueError(f"step: {step}")
    if warmup_steps < 1:
        raise ValueError(f"warmup_steps: {warmup_steps}")
    progress = min(1.0, step / warmup_steps)
    return d_model**-0.5 * warmup_steps**-0.5 * progress


@wrong("05.7")
def no_correction_of_v(
    parameter,
    gradient,
    m,
    v,
    step,
    rate,
    beta1=0.9,
    beta2=0.98,
    eps=1e-9,
    weight_decay=0.01,
):
    """Only m is corrected for its start at 0; v is used as it is."""
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient**2
    m_hat = m / (1 - beta1**step)
    new = parameter - rate * weight_decay * parameter - rate * m_hat / (torch.sqrt(v) + eps)
    return new, m, v


@wrong("05.7")
def eps_inside_root(
    parameter,
    gradient,
    m,
    v,
    step,
    rate,
    beta1=0.9,
    beta2=0.98,
    eps=1e-9,
    weight_decay=0.01,
):
    """Eps is added to v_hat inside the root instead of to the root."""
    m = torch.lerp(gradient, m, beta1)
    v = torch.lerp(gradient.square(), v, beta2)
    update = (m / (1 - beta1**step)) * torch.rsqrt(v / (1 - beta2**step) + eps)
    return parameter * (1 - rate * weight_decay) - rate * update, m, v


@wrong("05.7")
def decay_through_the_gradient(
    parameter,
    gradient,
    m,
    v,
    step,
    rate,
    beta1=0.9,
    beta2=0.98,
    eps=1e-9,
    weight_decay=0.01,
):
    """The decay is added to the gradient (L2) and goes through both averages, as in Adam with
    weight_decay.
    """
    g = gradient + weight_decay * parameter
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat = m / (1 - beta1**step)
    v_hat = v / (1 - beta2**step)
    return parameter - rate * m_hat / (v_hat.sqrt() + eps), m, v


@wrong("05.7")
def decays_the_new_weight(
    parameter,
    gradient,
    m,
    v,
    step,
    rate,
    beta1=0.9,
    beta2=0.98,
    eps=1e-9,
    weight_decay=0.01,
):
    """The decay pulls at the weight that Adam has moved already, not at the old one."""
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient.pow(2)
    m_hat = m / (1 - beta1**step)
    v_hat = v / (1 - beta2**step)
    theta = parameter - rate * m_hat / (v_hat.sqrt() + eps)
    theta = theta - rate * weight_decay * theta
    return theta, m, v


@wrong("05.7")
def returns_corrected(
    parameter,
    gradient,
    m,
    v,
    step,
    rate,
    beta1=0.9,
    beta2=0.98,
    eps=1e-9,
    weight_decay=0.01,
):
    """The corrected averages are returned, so the correction is applied again in the next step."""
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient**2
    m = m / (1 - beta1**step)
    v = v / (1 - beta2**step)
    parameter = parameter - rate * (m / (v**0.5 + eps) + weight_decay * parameter)
    return parameter, m, v


@wrong("05.7")
def averages_in_place(
    parameter,
    gradient,
    m,
    v,
    step,
    rate,
    beta1=0.9,
    beta2=0.98,
    eps=1e-9,
    weight_decay=0.01,
):
    """M and v are updated with mul_ and add_, which changes the tensors of the caller."""
    m.mul_(beta1).add_(gradient, alpha=1 - beta1)
    v.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    denom = (v / (1 - beta2**step)).sqrt() + eps
    step_size = rate / (1 - beta1**step)
    new = parameter * (1 - rate * weight_decay) - step_size * m / denom
    return new, m, v


@wrong("05.7")
def decay_without_rate(
    parameter,
    gradient,
    m,
    v,
    step,
    rate,
    beta1=0.9,
    beta2=0.98,
    eps=1e-9,
    weight_decay=0.01,
):
    """The decay is not multiplied by the rate, so every step takes a share weight_decay of the
    weight.
    """
    m_new = beta1 * m + (1 - beta1) * gradient
    v_new = beta2 * v + (1 - beta2) * gradient * gradient
    m_hat = m_new / (1 - beta1**step)
    v_hat = v_new / (1 - beta2**step)
    adam = m_hat / (torch.sqrt(v_hat) + eps)
    return (1 - weight_decay) * parameter - rate * adam, m_new, v_new


@wrong("05.8")
def each_tensor_by_itself(gradients, max_norm):
    """Every tensor is clipped by its own norm, so the direction of the whole gradient changes."""
    clipped, total = [], 0.0
    for g in gradients:
        n = g.float().norm()
        total += float(n) ** 2
        factor = min(1.0, max_norm / float(n)) if n > 0 else 1.0
        clipped.append((g * factor).to(g.dtype))
    return clipped, total**0.5


@wrong("05.8")
def sum_of_norms(gradients, max_norm):
    """The norms of the tensors are added instead of their squares, so the total is too large."""
    norm = sum(torch.sqrt((g.double() ** 2).sum()) for g in gradients)
    norm = float(norm)
    scale = 1.0
    if norm > max_norm:
        scale = max_norm / norm
    return [g * scale for g in gradients], norm


@wrong("05.8")
def short_ones_are_stretched(gradients, max_norm):
    """The gradient is brought to the length max_norm even if it is shorter."""
    norm = math.sqrt(sum(g.double().square().sum().item() for g in gradients))
    if norm == 0 or math.isinf(max_norm):
        return [g.clone() for g in gradients], norm
    return [(g * (max_norm / norm)).to(g.dtype) for g in gradients], norm


@wrong("05.8")
def squares_in_own_dtype(gradients, max_norm):
    """The squares are taken in the dtype of the gradient, so a float16 number of 300 makes the
    norm infinite.
    """
    total = 0.0
    for g in gradients:
        total = total + (g * g).sum().item()
    norm = total**0.5
    coef = min(1.0, max_norm / norm) if norm > 0 else 1.0
    return [g * coef for g in gradients], norm


@wrong("05.8")
def infinity_over_infinity(gradients, max_norm):
    """The factor is max_norm / max(norm, max_norm), which is NaN for a max_norm of infinity."""
    norm = torch.stack([g.float().pow(2).sum() for g in gradients]).sum().sqrt().item()
    factor = max_norm / max(norm, max_norm)
    return [(g.float() * factor).to(g.dtype) for g in gradients], norm


@wrong("05.8")
def zero_over_zero(gradients, max_norm):
    """The gradient is divided by its norm first, so a gradient of zeros becomes NaN."""
    squares = [torch.einsum("i,i->", g.flatten().double(), g.flatten().double()) for g in gradients]
    norm = torch.sqrt(sum(squares))
    length = norm.clamp(max=max_norm)
    clipped = [(g.double() / norm * length).to(g.dtype) for g in gradients]
    return clipped, norm.item()


@wrong("05.8")
def norm_after(gradients, max_norm):
    """The norm that is returned is that of the clipped gradient."""
    norm = sum(g.double().pow(2).sum() for g in gradients) ** 0.5
    scale = min(1.0, float(max_norm / norm)) if norm > 0 else 1.0
    clipped = [(g * scale).to(g.dtype) for g in gradients]
    norm = sum(g.double().pow(2).sum() for g in clipped) ** 0.5
    return clipped, float(norm)


@wrong("05.8")
def every_entry_by_itself(gradients, max_norm):
    """The entries are clamped one by one at max_norm instead of shortening the vector."""
    norm = torch.sqrt(sum((g.float() ** 2).sum() for g in gradients))
    return [torch.clamp(g, -max_norm, max_norm) for g in gradients], norm.item()


@wrong("05.9")
def mean_of_means(weight, batches):
    """The means of the batches are averaged, whatever their numbers of tokens."""
    w = weight.detach().clone().requires_grad_()
    used = [(x, t) for x, t in batches if (t != -100).any()]
    total = 0.0
    for x, targets in used:
        loss = F.cross_entropy((x @ w.T).mT, targets) / len(used)
        loss.backward()
        total += loss.item()
    return total, w.grad


@wrong("05.9")
def padding_in_the_denominator(weight, batches):
    """The sum over the tokens is divided by the number of all positions, padding included."""
    w = weight.detach().clone().requires_grad_(True)
    n = sum(targets.numel() for _, targets in batches)
    total = 0.0
    for x, targets in batches:
        loss = F.cross_entropy((x @ w.T).mT, targets, reduction="sum")
        loss.backward()
        total += loss.item()
    return total / n, w.grad / n


@wrong("05.9")
def padding_batch_is_nan(weight, batches):
    """The mean of a batch of nothing but padding is NaN, and 0 times NaN stays NaN."""
    w = weight.detach().clone().requires_grad_()
    counts = [(t != -100).sum().item() for _, t in batches]
    n = sum(counts)
    loss_sum = 0.0
    for (x, targets), k in zip(batches, counts):
        loss = F.cross_entropy((x @ w.T).mT, targets) * k / n
        loss.backward()
        loss_sum += loss.item()
    return loss_sum, w.grad


@wrong("05.9")
def one_graph_for_all(weight, batches):
    """The losses are added up with their graphs and go back once at the end, and the loss that
    is returned still requires a gradient.
    """
    w = weight.clone().detach().requires_grad_(True)
    total, n = 0, 0
    for x, targets in batches:
        logits = x @ w.T
        total = total + F.cross_entropy(logits.mT, targets, reduction="sum")
        n += (targets != -100).sum()
    loss = total / n
    (grad,) = torch.autograd.grad(loss, w, retain_graph=True)
    return loss, grad


@wrong("05.9")
def grad_left_on_the_weight(weight, batches):
    """Requires_grad_ is called on the caller's tensor and its .grad is never cleared, so the
    second call returns the sum of both.
    """
    weight.requires_grad_(True)
    n = sum(int((t != -100).sum()) for _, t in batches)
    loss = 0.0
    for x, targets in batches:
        part = F.cross_entropy((x @ weight.T).mT, targets, reduction="sum") / n
        part.backward()
        loss += part.item()
    return loss, weight.grad


@wrong("05.9")
def view_for_transpose(weight, batches):
    """The logits are reshaped to (B, V, T) instead of transposed, which mixes tokens and
    vocabulary.
    """
    w = weight.detach().clone().requires_grad_()
    n = sum((t != -100).sum().item() for _, t in batches)
    loss = 0.0
    for x, targets in batches:
        B, T = targets.shape
        logits = (x @ w.T).reshape(B, -1, T)
        part = F.cross_entropy(logits, targets, reduction="sum") / n
        part.backward()
        loss += part.item()
    return loss, w.grad


@wrong("05.9")
def divided_by_the_running_count(weight, batches):
    """Each batch is divided by the number of tokens seen so far, not by the number of all."""
    V, C = weight.shape
    grad = torch.zeros_like(weight)
    loss, seen = 0.0, 0
    for x, targets in batches:
        keep = targets != -100
        seen += int(keep.sum())
        if not keep.any():
            continue
        xs, ts = x[keep], targets[keep]
        logp = (xs @ weight.T).log_softmax(-1)
        error = logp.exp() - F.one_hot(ts, V)
        grad += error.T @ xs / seen
        loss += -logp[torch.arange(len(ts)), ts].sum().item() / seen
    return loss, grad


@wrong("05.10")
def unscaled_in_half(weight, x, targets, scale, streak, interval):
    """The gradient is divided by the scale while it is still float16, so small ones vanish
    again.
    """
    half = weight.half().requires_grad_()
    loss = ((x.half() @ half).float() - targets).square().mean()
    (loss * scale).backward()
    gradient = (half.grad / scale).float()
    if not torch.isfinite(gradient).all():
        return None, scale / 2, 0
    streak += 1
    if streak == interval:
        return gradient, scale * 2, 0
    return gradient, scale, streak


@wrong("05.10")
def no_half(weight, x, targets, scale, streak, interval):
    """Everything is computed in float32, so nothing ever overflows or vanishes."""
    w = weight.detach().clone().requires_grad_()
    loss = ((x @ w - targets) ** 2).mean()
    (loss * scale).backward()
    grad = w.grad
    if torch.isinf(grad).any() or torch.isnan(grad).any():
        return None, scale / 2, 0
    grad = grad / scale
    streak = streak + 1
    if streak >= interval:
        scale, streak = scale * 2, 0
    return grad, scale, streak


@wrong("05.10")
def isinf_only(weight, x, targets, scale, streak, interval):
    """Only infinity is looked for, so a gradient with NaN is handed on."""
    half = weight.detach().half().requires_grad_(True)
    prediction = x.half() @ half
    loss = torch.mean((prediction.float() - targets) ** 2)
    (g,) = torch.autograd.grad(loss * scale, half)
    if g.isinf().any():
        return None, scale * 0.5, 0
    g = g.float() / scale
    streak += 1
    if streak >= interval:
        scale *= 2
        streak = 0
    return g, scale, streak


@wrong("05.10")
def streak_not_reset(weight, x, targets, scale, streak, interval):
    """After the scale has been doubled the streak goes on counting instead of beginning again at
    0.
    """
    half = weight.half().requires_grad_()
    loss = ((x.half() @ half).float() - targets).pow(2).mean()
    (scale * loss).backward()
    g = half.grad.float()
    if not g.isfinite().all():
        return None, scale / 2, 0
    gradient = g / scale
    streak += 1
    if streak % interval == 0:
        scale = scale * 2
    return gradient, scale, streak


@wrong("05.10")
def one_step_late(weight, x, targets, scale, streak, interval):
    """The streak is compared with the interval before this step is counted, so the scale is
    doubled one step late.
    """
    half = weight.half().requires_grad_()
    loss = ((x.half() @ half).float() - targets).square().mean()
    (loss * scale).backward()
    g = half.grad.float()
    if not torch.isfinite(g).all():
        return None, scale / 2, 0
    g = g / scale
    if streak >= interval:
        return g, scale * 2, 0
    return g, scale, streak + 1


@wrong("05.10")
def divided_by_the_doubled_scale(weight, x, targets, scale, streak, interval):
    """When the scale is doubled the gradient is divided by the new scale, so it is half of what
    it should be.
    """
    half = weight.half().requires_grad_()
    loss = ((x.half() @ half).float() - targets).square().mean()
    (loss * scale).backward()
    if not torch.isfinite(half.grad).all():
        return None, scale / 2, 0
    streak += 1
    if streak == interval:
        scale, streak = scale * 2, 0
    return half.grad.float() / scale, scale, streak


@wrong("05.10")
def sum_overflows(weight, x, targets, scale, streak, interval):
    """Finiteness is tested on the float16 sum of the gradient, which can be infinite though no
    entry is.
    """
    half = weight.half().requires_grad_()
    loss = ((x.half() @ half).float() - targets).square().mean()
    (loss * scale).backward()
    if not torch.isfinite(half.grad.sum()):
        return None, scale / 2, 0
    gradient = half.grad.float() / scale
    streak += 1
    if streak >= interval:
        scale, streak = 2 * scale, 0
    return gradient, scale, streak


@wrong("05.11")
def clipped_in_every_batch(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """The gradient is clipped after each batch instead of once at the end."""
    w = nn.Parameter(weight.detach().clone())
    n = sum(int((t != -100).sum()) for _, t in batches)
    loss = 0.0
    for x, targets in batches:
        part = F.cross_entropy((x @ w.T).mT, targets, reduction="sum") / n
        part.backward()
        loss += part.item()
        norm = nn.utils.clip_grad_norm_([w], max_norm)
    g = w.grad
    rate = library_rate(step, weight.shape[1], warmup_steps)
    m = 0.9 * m + 0.1 * g
    v = 0.98 * v + 0.02 * g**2
    m_hat, v_hat = m / (1 - 0.9**step), v / (1 - 0.98**step)
    new = weight - rate * 0.01 * weight - rate * m_hat / (v_hat.sqrt() + 1e-9)
    return new, m, v, loss, float(norm)


@wrong("05.11")
def clipped_before_dividing(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """The sum of the gradients is clipped first and divided by the number of tokens afterwards."""
    w = weight.detach().clone().requires_grad_()
    n, loss = 0, 0.0
    for x, targets in batches:
        part = F.cross_entropy((x @ w.T).mT, targets, reduction="sum")
        part.backward()
        loss += part.item()
        n += (targets != -100).sum().item()
    norm = torch.nn.utils.clip_grad_norm_([w], max_norm).item()
    g = w.grad / n
    rate = library_rate(step, weight.size(1), warmup_steps)
    m = 0.9 * m + (1 - 0.9) * g
    v = 0.98 * v + (1 - 0.98) * g * g
    update = (m / (1 - 0.9**step)) / ((v / (1 - 0.98**step)).sqrt() + 1e-9)
    return weight - rate * (update + 0.01 * weight), m, v, loss / n, norm / n


@wrong("05.11")
def width_is_V(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """The rate is computed with the size of the vocabulary, weight.shape[0], as the width of the
    model.
    """
    w = weight.detach().clone().requires_grad_()
    n = sum((t != -100).sum().item() for _, t in batches)
    loss = 0.0
    for x, targets in batches:
        part = F.cross_entropy((x @ w.T).mT, targets, reduction="sum") / n
        part.backward()
        loss += part.item()
    norm = w.grad.norm().item()
    g = w.grad * min(1.0, max_norm / (norm + 1e-12))
    rate = library_rate(step, len(weight), warmup_steps)
    b1, b2, eps, decay = 0.9, 0.98, 1e-9, 0.01
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    new = (
        weight
        - rate * decay * weight
        - rate * (m / (1 - b1**step)) / (torch.sqrt(v / (1 - b2**step)) + eps)
    )
    return new, m, v, loss, norm


@wrong("05.11")
def norm_of_the_clipped(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """The norm is measured after clipping, so the log never shows more than max_norm."""
    w = weight.detach().clone().requires_grad_()
    n = sum((t != -100).sum().item() for _, t in batches)
    loss = 0.0
    for x, targets in batches:
        part = F.cross_entropy((x @ w.T).mT, targets, reduction="sum") / n
        part.backward()
        loss += part.item()
    nn.utils.clip_grad_norm_([w], max_norm)
    g = w.grad
    norm = g.norm().item()
    rate = library_rate(step, weight.shape[-1], warmup_steps)
    m = 0.9 * m + 0.1 * g
    v = 0.98 * v + 0.02 * g.square()
    m_hat = m / (1 - 0.9**step)
    v_hat = v / (1 - 0.98**step)
    new = weight * (1 - rate * 0.01) - rate * m_hat / (v_hat.sqrt() + 1e-9)
    return new, m, v, loss, norm


BETA1, BETA2, EPS, DECAY = (0.9, 0.999, 1e-09, 0.01)


@wrong("05.11")
def betas_of_adam(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """Beta2 is 0.999, the default of Adam, instead of 0.98."""
    param = nn.Parameter(weight.detach().clone())
    n = sum(int((t != -100).sum()) for _, t in batches)
    loss = 0.0
    for x, targets in batches:
        part = F.cross_entropy((x @ param.T).mT, targets, reduction="sum") / n
        part.backward()
        loss += part.item()
    norm = nn.utils.clip_grad_norm_([param], max_norm).item()
    g = param.grad
    rate = library_rate(step, weight.shape[1], warmup_steps)
    m = BETA1 * m + (1 - BETA1) * g
    v = BETA2 * v + (1 - BETA2) * g**2
    m_hat = m / (1 - BETA1**step)
    v_hat = v / (1 - BETA2**step)
    new = weight - rate * (m_hat / (v_hat.sqrt() + EPS) + DECAY * weight)
    return new, m, v, loss, norm


@wrong("05.11")
def mean_of_batch_means(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """Loss and gradient are the mean over the batches of each batch's mean, whatever its number
    of tokens.
    """
    w = weight.detach().clone().requires_grad_()
    batches = [(x, t) for x, t in batches if (t != -100).any()]
    loss = 0.0
    for x, targets in batches:
        part = F.cross_entropy((x @ w.T).mT, targets, ignore_index=-100)
        (part / len(batches)).backward()
        loss += part.item() / len(batches)
    norm = nn.utils.clip_grad_norm_([w], max_norm).item()
    g = w.grad
    rate = library_rate(step, weight.shape[1], warmup_steps)
    m = 0.9 * m + 0.1 * g
    v = 0.98 * v + 0.02 * g * g
    update = (m / (1 - 0.9**step)) / (torch.sqrt(v / (1 - 0.98**step)) + 1e-9)
    return weight - rate * 0.01 * weight - rate * update, m, v, loss, norm


@wrong("05.11")
def written_into_what_was_given(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """The averages are updated in place, so the tensors m and v of the caller are changed."""
    w = weight.detach().clone().requires_grad_()
    n = sum((t != -100).sum() for _, t in batches)
    loss = 0.0
    for x, targets in batches:
        part = F.cross_entropy((x @ w.T).mT, targets, reduction="sum") / n
        part.backward()
        loss += part.item()
    norm = nn.utils.clip_grad_norm_([w], max_norm).item()
    g = w.grad
    rate = library_rate(step, weight.shape[1], warmup_steps)
    m *= 0.9
    m += 0.1 * g
    v *= 0.98
    v += 0.02 * g**2
    m_hat = m / (1 - 0.9**step)
    v_hat = v / (1 - 0.98**step)
    new = weight - rate * 0.01 * weight - rate * m_hat / (v_hat.sqrt() + 1e-9)
    return new, m, v, loss, norm


@wrong("05.11")
def clipped_gradient_for_m_only(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """V is fed with the gradient before clipping, m with the clipped one."""
    V, C = weight.shape
    total = torch.zeros_like(weight)
    loss, n = 0.0, 0
    for x, targets in batches:
        keep = targets != -100
        xs, ts = x[keep], targets[keep]
        logp = (xs @ weight.T).log_softmax(dim=-1)
        loss -= logp.gather(1, ts[:, None]).sum().item()
        total += (logp.exp() - F.one_hot(ts, V)).T @ xs
        n += len(ts)
    g = total / n
    norm = g.norm().item()
    clipped = g * min(1.0, max_norm / norm) if norm > 0 else g
    rate = library_rate(step, C, warmup_steps)
    m = 0.9 * m + 0.1 * clipped
    v = 0.98 * v + 0.02 * g**2
    m_hat = m / (1 - 0.9**step)
    v_hat = v / (1 - 0.98**step)
    return (
        weight - rate * 0.01 * weight - rate * m_hat / (v_hat.sqrt() + 1e-9),
        m,
        v,
        loss / n,
        norm,
    )
