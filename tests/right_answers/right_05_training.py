"""Right answers to the exercises of chapter 5, written differently from the worked ones."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from minitx.grading import right_answer
from minitx.training import label_smoothed_cross_entropy, noam_rate

# ---------------------------------------------------------------------------------------------
# 05.1


@right_answer("05.1")
def with_var_mean(x, weight, bias, eps=1e-5):
    spread, middle = torch.var_mean(x, dim=-1, keepdim=True, correction=0)
    return (x - middle) * (spread + eps).rsqrt() * weight + bias


@right_answer("05.1")
def with_unsqueezed_statistics(x, weight, bias, eps=1e-5):
    centred = x - x.mean(-1).unsqueeze(-1)
    spread = centred.pow(2).sum(-1) / x.size(-1)
    return torch.addcmul(bias, centred / (spread + eps).pow(0.5)[..., None], weight)


@right_answer("05.1")
def in_at_least_float32(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    centred = wide - wide.mean(dim=-1, keepdim=True)
    normalised = centred / torch.sqrt((centred * centred).mean(dim=-1, keepdim=True) + eps)
    return (normalised * weight + bias).to(x.dtype)


@right_answer("05.1")
def row_by_row(x, weight, bias, eps=1e-5):
    rows = x.flatten(0, -2) if x.dim() > 1 else x[None]
    done = [
        weight * (row - row.mean()) / torch.sqrt(row.var(unbiased=False) + eps) + bias
        for row in rows
    ]
    return torch.stack(done).view_as(x)


@right_answer("05.1")
def with_products_of_matrices(x, weight, bias, eps=1e-5):
    C = x.shape[-1]
    centring = torch.eye(C, dtype=x.dtype) - 1 / C
    centred = x @ centring
    squares = torch.einsum("...c,...c->...", centred, centred) / C
    return centred / (squares[..., None] + eps) ** 0.5 * weight + bias


# ---------------------------------------------------------------------------------------------
# 05.2


@right_answer("05.2")
def through_each_step(grad, x, weight, eps=1e-5):
    C = x.shape[-1]
    middle = x.mean(-1, keepdim=True)
    centred = x - middle
    spread = (centred**2).mean(-1, keepdim=True)
    inverse = (spread + eps) ** -0.5
    to_hat = grad * weight
    to_spread = (to_hat * centred).sum(-1, keepdim=True) * -0.5 * inverse**3
    to_centred = to_hat * inverse + to_spread * 2 * centred / C
    grad_x = to_centred - to_centred.mean(-1, keepdim=True)
    flat = (grad * centred * inverse).reshape(-1, C)
    return grad_x, flat.sum(0), grad.reshape(-1, C).sum(0)


@right_answer("05.2")
def with_the_jacobian(grad, x, weight, eps=1e-5):
    C = x.size(-1)
    spread, middle = torch.var_mean(x, dim=-1, keepdim=True, correction=0)
    root = (spread + eps).sqrt()
    hat = (x - middle) / root
    jacobian = torch.eye(C, dtype=x.dtype) - (1 + hat[..., None] * hat[..., None, :]) / C
    grad_x = torch.einsum("btij,btj->bti", jacobian, grad * weight) / root
    return grad_x, torch.einsum("btc,btc->c", grad, hat), torch.einsum("btc->c", grad)


@right_answer("05.2")
def in_the_form_of_many_libraries(grad, x, weight, eps=1e-5):
    C = x.shape[2]
    root = torch.sqrt(x.var(dim=2, unbiased=False, keepdim=True) + eps)
    hat = (x - x.mean(2, keepdim=True)) / root
    g = grad * weight
    total, along = g.sum(2, keepdim=True), (g * hat).sum(2, keepdim=True)
    grad_x = (C * g - total - hat * along) / (C * root)
    return grad_x, (grad * hat).sum(0).sum(0), grad.sum(1).sum(0)


@right_answer("05.2")
def directions_taken_away(grad, x, weight, eps=1e-5):
    centred = x - x.mean(-1, keepdim=True)
    root = (centred.pow(2).mean(-1, keepdim=True) + eps).sqrt()
    hat = centred / root
    g = grad * weight
    g = g - g.mean(-1, keepdim=True)
    g = g - hat * (g * hat).mean(-1, keepdim=True)  # hat has the mean 0: nothing has changed
    return g / root, (grad * hat).flatten(0, 1).sum(0), grad.flatten(0, 1).sum(0)


@right_answer("05.2")
def sentence_by_sentence(grad, x, weight, eps=1e-5):
    made = []
    grad_weight, grad_bias = torch.zeros_like(weight), torch.zeros_like(weight)
    for dy, tokens in zip(grad, x, strict=True):
        hat = tokens - tokens.mean(1, keepdim=True)
        root = hat.square().mean(1, keepdim=True).add(eps).sqrt()
        hat = hat / root
        g = dy * weight
        made.append((g - g.mean(1, keepdim=True) - hat * (g * hat).mean(1, keepdim=True)) / root)
        grad_weight = grad_weight + (dy * hat).sum(0)
        grad_bias = grad_bias + dy.sum(0)
    return torch.stack(made), grad_weight, grad_bias


# ---------------------------------------------------------------------------------------------
# 05.3


class Parts(nn.Module):
    """Norm, sublayer and dropout under their names."""

    def __init__(self, d_model, pre_norm, dropout=0.0):
        super().__init__()
        self.add_module("sublayer", nn.Linear(d_model, d_model))
        self.add_module("norm", nn.LayerNorm(d_model))
        self.dropout = nn.Dropout(dropout)
        self.first = pre_norm


@right_answer("05.3")
class InOneLine(Parts):
    def forward(self, x):
        before, behind = (self.norm, nn.Identity()) if self.first else (nn.Identity(), self.norm)
        return behind(x + self.dropout(self.sublayer(before(x))))


@right_answer("05.3")
class WithNamesForTheSteps(Parts):
    def forward(self, x):
        residual = x
        if self.first:
            x = self.norm(x)
        x = self.sublayer(x)
        x = self.dropout(x)
        x = residual + x
        if not self.first:
            x = self.norm(x)
        return x


@right_answer("05.3")
class WithFunctionalDropout(Parts):
    def forward(self, x):
        said = self.sublayer(self.norm(x) if self.first else x)
        total = F.dropout(said, self.dropout.p, training=self.training).add(x)
        return total if self.first else self.norm(total)


@right_answer("05.3")
class NormByHand(Parts):
    def normalised(self, x):
        spread, middle = torch.var_mean(x, dim=-1, keepdim=True, correction=0)
        return (x - middle) / (spread + 1e-5).sqrt() * self.norm.weight + self.norm.bias

    def forward(self, x):
        if self.first:
            return torch.add(x, self.dropout(self.sublayer(self.normalised(x))))
        return self.normalised(torch.add(self.dropout(self.sublayer(x)), x))


@right_answer("05.3")
def one_class_for_each_kind(d_model, pre_norm, dropout=0.0):
    return (Before if pre_norm else Behind)(d_model, pre_norm, dropout)


class Before(Parts):
    def forward(self, x):
        W, b = self.sublayer.weight, self.sublayer.bias
        return self.dropout(self.norm(x) @ W.mT + b) + x


class Behind(Parts):
    def forward(self, x):
        W, b = self.sublayer.weight, self.sublayer.bias
        return self.norm(self.dropout(F.linear(x, W, b)) + x)


# ---------------------------------------------------------------------------------------------
# 05.4


class TwoLayers(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        self.out_proj = nn.Linear(d_ff, d_model)
        self.in_proj = nn.Linear(d_model, d_ff)


@right_answer("05.4")
class WithTheFunction(TwoLayers):
    def forward(self, x):
        return self.out_proj(F.relu(self.in_proj(x), inplace=True))


@right_answer("05.4")
class WithAModuleForRelu(TwoLayers):
    def __init__(self, d_model, d_ff):
        super().__init__(d_model, d_ff)
        self.activation = nn.ReLU()

    def forward(self, x):
        hidden = self.activation(self.in_proj(x))
        return self.out_proj(hidden)


@right_answer("05.4")
class WithMatrices(TwoLayers):
    def forward(self, x):
        hidden = torch.einsum("...c,fc->...f", x, self.in_proj.weight) + self.in_proj.bias
        hidden = torch.where(hidden > 0, hidden, 0.0)
        return torch.einsum("...f,cf->...c", hidden, self.out_proj.weight) + self.out_proj.bias


@right_answer("05.4")
class OneKeyAfterAnother(TwoLayers):
    def forward(self, x):
        y = self.out_proj.bias.expand_as(x)
        for key, offset, value in zip(
            self.in_proj.weight, self.in_proj.bias, self.out_proj.weight.unbind(1), strict=True
        ):
            fit = (x * key).sum(-1, keepdim=True) + offset
            y = y + fit.clamp_min(0) * value
        return y


@right_answer("05.4")
class ConvolutionsOfWidthOne(TwoLayers):
    def forward(self, x):
        columns = x.reshape(1, -1, x.shape[-1]).mT
        hidden = F.conv1d(columns, self.in_proj.weight[..., None], self.in_proj.bias).relu()
        y = F.conv1d(hidden, self.out_proj.weight[..., None], self.out_proj.bias)
        return y.mT.reshape(x.shape)


# ---------------------------------------------------------------------------------------------
# 05.5


@right_answer("05.5")
def over_what_is_left(logits, targets, smoothing=0.1, ignore_index=-100):
    counts = targets.ne(ignore_index)
    if not counts.any():
        return logits.sum() * 0
    log_p = torch.log_softmax(logits[counts], dim=1)
    right = log_p[torch.arange(len(log_p)), targets[counts]]
    return -((1 - smoothing) * right + smoothing * log_p.mean(1)).mean()


@right_answer("05.5")
def with_nll_loss(logits, targets, smoothing=0.1, ignore_index=-100):
    log_p = logits.log_softmax(-1).flatten(0, 1)
    flat = targets.flatten()
    n = int((flat != ignore_index).sum())
    certain = F.nll_loss(log_p, flat, ignore_index=ignore_index, reduction="sum")
    even = -(log_p.mean(-1)[flat != ignore_index]).sum()
    return ((1 - smoothing) * certain + smoothing * even) / max(n, 1)


@right_answer("05.5")
def with_a_scattered_table(logits, targets, smoothing=0.1, ignore_index=-100):
    V = logits.size(-1)
    counts = (targets != ignore_index).to(logits.dtype)
    q = torch.full_like(logits, smoothing / V)
    q.scatter_(-1, targets.masked_fill(counts == 0, 0)[..., None], 1 - smoothing + smoothing / V)
    losses = torch.einsum("btv,btv->bt", q, -F.log_softmax(logits, dim=2))
    return torch.dot(losses.flatten(), counts.flatten()) / counts.sum().clamp(min=1.0)


@right_answer("05.5")
def with_logsumexp(logits, targets, smoothing=0.1, ignore_index=-100):
    counts = targets != ignore_index
    top = logits.gather(2, torch.where(counts, targets, 0).unsqueeze(2)).squeeze(2)
    losses = logits.logsumexp(-1) - (1 - smoothing) * top - smoothing * logits.mean(-1)
    losses = torch.where(counts, losses, torch.zeros_like(losses))
    return losses.sum() / max(int(counts.sum()), 1)


@right_answer("05.5")
def from_the_divergence(logits, targets, smoothing=0.1, ignore_index=-100):
    V = logits.shape[-1]
    counts = targets != ignore_index
    q = (1 - smoothing) * F.one_hot(targets.clamp(min=0), V).to(logits.dtype) + smoothing / V
    rest = F.kl_div(logits.log_softmax(-1), q, reduction="none").sum(-1)
    losses = (rest - torch.special.xlogy(q, q).sum(-1)) * counts
    return losses.sum() / counts.sum().clamp_min(1)


# ---------------------------------------------------------------------------------------------
# 05.6


@right_answer("05.6")
def two_branches(step, d_model, warmup_steps):
    if not step >= 1 or not warmup_steps >= 1:
        raise ValueError(f"step ({step}) and warmup_steps ({warmup_steps}) must be above 0")
    if step < warmup_steps:
        return step / (math.sqrt(d_model) * warmup_steps * math.sqrt(warmup_steps))
    return 1 / math.sqrt(d_model * step)


@right_answer("05.6")
def with_the_peak(step, d_model, warmup_steps):
    if min(step, warmup_steps) <= 0:
        raise ValueError(f"wanted at least 1, got {step} and {warmup_steps}")
    peak = (d_model * warmup_steps) ** -0.5
    return peak * min(step / warmup_steps, math.sqrt(warmup_steps / step))


@right_answer("05.6")
def by_logarithms(step, d_model, warmup_steps):
    for name, number in {"step": step, "warmup_steps": warmup_steps}.items():
        if number < 1:
            raise ValueError(f"{name} = {number}")
    s, w = math.log(step), math.log(warmup_steps)
    return math.exp(-0.5 * math.log(d_model) + min(-0.5 * s, s - 1.5 * w))


@right_answer("05.6")
def with_numpy(step, d_model, warmup_steps):
    if step < 1:
        raise ValueError(f"step is {step}")
    if warmup_steps < 1:
        raise ValueError(f"warmup_steps is {warmup_steps}")
    return np.minimum(1 / np.sqrt(step), step / warmup_steps**1.5) / np.sqrt(d_model)


@right_answer("05.6")
def in_one_quotient(step, d_model, warmup_steps):
    if step < 1 or warmup_steps < 1:
        raise ValueError(f"refused: step {step}, warm-up {warmup_steps}")
    return 1 / (d_model**0.5 * max(step**0.5, warmup_steps**1.5 / step))


# ---------------------------------------------------------------------------------------------
# 05.7


@right_answer("05.7")
def as_torch_does_it(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    parameter = parameter.clone().mul_(1 - rate * weight_decay)
    m = m.lerp(gradient, 1 - beta1)
    v = v.clone().mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    size = rate / (1 - beta1**step)
    root = v.sqrt() / math.sqrt(1 - beta2**step)
    return parameter.addcdiv_(m, root.add_(eps), value=-size), m, v


@right_answer("05.7")
def in_two_steps(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    new_m = m + (1 - beta1) * (gradient - m)
    new_v = v + (1 - beta2) * (gradient**2 - v)
    m_hat, v_hat = new_m / (1 - beta1**step), new_v / (1 - beta2**step)
    decayed = parameter * (1 - rate * weight_decay)
    return decayed - rate * m_hat / (torch.sqrt(v_hat) + eps), new_m, new_v


@right_answer("05.7")
def with_the_corrections_joined(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    m, v = (b * a + (1 - b) * g for a, b, g in ((m, beta1, gradient), (v, beta2, gradient.pow(2))))
    c1, c2 = 1 - math.pow(beta1, step), math.sqrt(1 - math.pow(beta2, step))
    update = (m * c2 / c1) / (v.sqrt() + eps * c2)
    return parameter - rate * update - rate * weight_decay * parameter, m, v


@right_answer("05.7")
def flat_and_back(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    shape = parameter.shape
    p, g, first, second = (x.reshape(-1).double() for x in (parameter, gradient, m, v))
    first = torch.add(beta1 * first, g, alpha=1 - beta1)
    second = torch.add(beta2 * second, g * g, alpha=1 - beta2)
    p = p - rate * weight_decay * p
    p = p - rate * (first / (1 - beta1**step)) / ((second / (1 - beta2**step)) ** 0.5 + eps)
    return tuple(x.to(parameter.dtype).reshape(shape) for x in (p, first, second))


@right_answer("05.7")
def as_a_list(
    parameter, gradient, m, v, step, rate, beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01
):
    averages = torch.stack([m, v])
    new = torch.stack([gradient, gradient.square()])
    betas = averages.new_tensor([beta1, beta2]).view(2, *[1] * m.dim())
    averages = betas * averages + (1 - betas) * new
    m_hat, v_hat = averages / (1 - betas**step)
    pull = torch.addcdiv(weight_decay * parameter, m_hat, v_hat.sqrt() + eps)
    return [torch.sub(parameter, pull, alpha=rate), averages[0], averages[1]]


# ---------------------------------------------------------------------------------------------
# 05.8


@right_answer("05.8")
def with_torchs_small_number(gradients, max_norm):
    wide = [g.to(torch.promote_types(g.dtype, torch.float32)) for g in gradients]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in wide]))
    factor = max_norm / (norm + 1e-6)
    return [g * torch.clamp(factor, max=1.0).to(g.dtype) for g in gradients], norm


@right_answer("05.8")
def by_a_branch(gradients, max_norm):
    norm = math.sqrt(sum(float((g.float() ** 2).sum()) for g in gradients))
    if norm <= max_norm:
        return [g.clone() for g in gradients], norm
    return [g * (max_norm / norm) for g in gradients], norm


@right_answer("05.8")
def as_one_vector(gradients, max_norm):
    flat = torch.cat([g.reshape(-1).double() for g in gradients])
    norm = flat.norm()
    flat = flat * min(1.0, max_norm / max(norm.item(), 1e-30))
    pieces = flat.split([g.numel() for g in gradients])
    made = [p.view(g.shape).to(g.dtype) for p, g in zip(pieces, gradients, strict=True)]
    return made, norm.item()


@right_answer("05.8")
def with_numpy_and_a_tuple(gradients, max_norm):
    norm = np.sqrt(sum(np.square(g.double().numpy()).sum() for g in gradients))
    factor = float(max_norm / norm) if norm > max_norm else 1.0
    return tuple(factor * g for g in gradients), norm


@right_answer("05.8")
def with_hypot(gradients, max_norm):
    norm = math.hypot(*(g.double().norm().item() for g in gradients))
    too_long = norm > max_norm
    return [g * max_norm / norm if too_long else g + 0 for g in gradients], norm


# ---------------------------------------------------------------------------------------------
# 05.9


@right_answer("05.9")
def tokens_counted_first(weight, batches):
    weight = weight.clone().requires_grad_(True)
    tokens = sum(int(targets.ne(-100).sum()) for _, targets in batches)
    loss = 0.0
    for x, targets in batches:
        logits = F.linear(x, weight)
        part = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum") / tokens
        part.backward()
        loss += part.item()
    return loss, weight.grad


@right_answer("05.9")
def with_autograd_grad(weight, batches):
    leaf = weight.detach().requires_grad_()
    loss, gradient, tokens = 0.0, torch.zeros_like(weight), 0
    for x, targets in batches:
        counts = targets != -100
        log_p = (x[counts] @ leaf.T).log_softmax(-1)
        total = -log_p[range(len(log_p)), targets[counts]].sum()
        gradient = gradient + torch.autograd.grad(total, leaf)[0]
        loss, tokens = loss + float(total), tokens + len(log_p)
    return loss / tokens, gradient / tokens


@right_answer("05.9")
def with_a_formula_for_the_gradient(weight, batches):
    V = weight.shape[0]
    loss, gradient, tokens = 0.0, 0.0, 0
    for x, targets in batches:
        real = targets >= 0
        vectors, right = x[real], targets[real]
        log_p = torch.log_softmax(vectors @ weight.mT, dim=1)
        loss = loss - log_p.gather(1, right[:, None]).sum()
        error = log_p.exp() - F.one_hot(right, V).to(weight.dtype)
        gradient = gradient + error.mT @ vectors
        tokens += len(right)
    return loss / tokens, gradient / tokens


@right_answer("05.9")
def with_a_running_mean(weight, batches):
    W = torch.nn.Parameter(weight.clone())
    loss, gradient, seen = 0.0, torch.zeros_like(weight), 0
    for x, targets in batches:
        n = int((targets != -100).sum())
        if n == 0:
            continue
        mean = F.cross_entropy((x @ W.T).permute(0, 2, 1), targets)
        (new,) = torch.autograd.grad(mean, [W])
        seen += n
        loss += (mean.item() - loss) * n / seen
        gradient += (new - gradient) * n / seen
    return loss, gradient


@right_answer("05.9")
def with_a_linear_layer(weight, batches):
    layer = nn.Linear(*weight.T.shape, bias=False, dtype=weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(weight)
    losses, counts = [], []
    for x, targets in batches:
        loss = F.nll_loss(layer(x).log_softmax(-1).mT, targets, reduction="sum")
        loss.backward()
        losses.append(loss.item())
        counts.append((targets != -100).sum().item())
    return sum(losses) / sum(counts), layer.weight.grad.div(sum(counts))


# ---------------------------------------------------------------------------------------------
# 05.10


@right_answer("05.10")
def with_an_autograd_grad(weight, x, targets, scale, streak, interval):
    master = weight.detach().clone().requires_grad_()
    half = master.half()
    prediction = torch.mv(x.half(), half)
    loss = F.mse_loss(prediction.float(), targets)
    (scaled,) = torch.autograd.grad(loss * scale, half)
    gradient = scaled.to(torch.float32).div(scale)
    if torch.isfinite(gradient).all():
        streak += 1
        return (gradient, scale * 2, 0) if streak >= interval else (gradient, scale, streak)
    return None, scale * 0.5, 0


@right_answer("05.10")
def through_the_master_weights(weight, x, targets, scale, streak, interval):
    master = weight.detach().clone().requires_grad_()
    loss = (((x.half() * master.half()).sum(1)).float() - targets).pow(2).mean()
    loss.mul(scale).backward()
    gradient = master.grad / scale
    if gradient.isinf().any() or gradient.isnan().any():
        return None, scale / 2, 0
    done = streak + 1
    return gradient, scale * (1 + (done == interval)), done % interval


@right_answer("05.10")
def gradient_by_hand_in_float16(weight, x, targets, scale, streak, interval):
    xs = x.half()
    errors = (xs @ weight.half()).float() - targets
    back = (errors * (2 * scale / len(xs))).half()
    gradient = (back @ xs).float() * (1 / scale)
    good = bool(gradient.sum().isfinite())
    if not good:
        return None, scale / 2, 0
    if streak == interval - 1:
        return gradient, 2 * scale, 0
    return gradient, scale, streak + 1


@right_answer("05.10")
def inverse_of_the_scale(weight, x, targets, scale, streak, interval):
    w16 = torch.nn.Parameter(weight.half())
    residual = torch.sub((x.half() @ w16).float(), targets)
    torch.mean(residual * residual * scale).backward()
    gradient = w16.grad.float() * scale**-1
    finite = torch.isfinite(gradient)
    if not bool(finite.all()):
        return None, 0.5 * scale, 0
    streak = streak + 1
    if streak == interval:
        scale, streak = scale * 2.0, 0
    return gradient, scale, streak


@right_answer("05.10")
def as_a_list_of_three(weight, x, targets, scale, streak, interval):
    w = weight.to(torch.float16).requires_grad_()
    p = torch.einsum("nc,c->n", x.to(torch.float16), w)
    loss = torch.dot(p.float() - targets, p.float() - targets) / p.numel()
    loss.backward(gradient=torch.tensor(float(scale)))
    g = w.grad.double().div(scale).float()
    if (~g.isfinite()).sum() > 0:
        return [None, scale / 2, 0]
    return [g, scale * 2 if streak + 1 == interval else scale, (streak + 1) % interval]


# ---------------------------------------------------------------------------------------------
# 05.11


@right_answer("05.11")
def with_torchs_tools_and_no_grad(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    W = torch.nn.Parameter(weight.clone())
    tokens = sum((t != -100).sum().item() for _, t in batches)
    loss = 0.0
    for x, targets in batches:
        part = F.cross_entropy((x @ W.mT).flatten(0, 1), targets.flatten(), reduction="sum")
        (part / tokens).backward()
        loss += part.item() / tokens
    norm = nn.utils.clip_grad_norm_([W], max_norm).item()
    with torch.no_grad():
        rate = noam_rate(step, W.size(1), warmup_steps)
        m = m.lerp(W.grad, 0.1)
        v = 0.98 * v + 0.02 * W.grad**2
        W.mul_(1 - rate * 0.01)
        W.sub_(rate * (m / (1 - 0.9**step)) / ((v / (1 - 0.98**step)).sqrt() + 1e-9))
    return W.data, m, v, loss, norm


@right_answer("05.11")
def all_by_hand(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    loss, gradient, tokens = 0.0, torch.zeros_like(weight), 0
    for x, targets in batches:
        real = targets >= 0
        log_p = (x[real] @ weight.T).log_softmax(-1)
        right = F.one_hot(targets[real], len(weight)).to(weight.dtype)
        loss -= (log_p * right).sum().item()
        gradient += (log_p.exp() - right).T @ x[real]
        tokens += len(right)
    gradient /= tokens
    norm = gradient.norm().item()
    if norm > max_norm:
        gradient *= max_norm / norm
    peak = 1 / math.sqrt(weight.shape[1] * warmup_steps)
    rate = peak * min(step / warmup_steps, math.sqrt(warmup_steps / step))
    m, v = 0.9 * m + 0.1 * gradient, 0.98 * v + 0.02 * gradient * gradient
    size = (v / (1 - 0.98**step)).sqrt() + 1e-9
    moved = weight - rate * (m / (1 - 0.9**step) / size + 0.01 * weight)
    return moved, m, v, loss / tokens, norm


@right_answer("05.11")
def with_autograd_for_each_batch(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    leaf = weight.clone().requires_grad_()
    losses, gradients, counts = [], [], []
    for x, targets in batches:
        total = F.cross_entropy(F.linear(x, leaf).mT, targets, reduction="sum")
        gradients.append(torch.autograd.grad(total, leaf)[0])
        losses.append(total.detach())
        counts.append(int(targets.ne(-100).sum()))
    g = torch.stack(gradients).sum(0) / sum(counts)
    norm = torch.linalg.vector_norm(g)
    g = g * torch.clamp(max_norm / (norm + 1e-6), max=1.0)
    rate = weight.size(-1) ** -0.5 * min(step**-0.5, step * warmup_steps**-1.5)
    m = torch.add(0.9 * m, g, alpha=0.1)
    v = torch.addcmul(0.98 * v, g, g, value=0.02)
    ratio = (m / (1 - 0.9**step)) / ((v / (1 - 0.98**step)) ** 0.5 + 1e-9)
    new = weight * (1 - 0.01 * rate) - rate * ratio
    return new, m, v, torch.stack(losses).sum() / sum(counts), norm


@right_answer("05.11")
def with_the_librarys_loss(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    W = weight.detach().clone().requires_grad_()
    tokens = loss = 0
    for x, targets in batches:
        part = label_smoothed_cross_entropy(x @ W.T, targets, reduction="sum")
        part.backward()
        loss, tokens = loss + part.item(), tokens + int((targets != -100).sum())
    gradient = W.grad / tokens
    norm = float(gradient.square().sum().sqrt())
    gradient = gradient * min(1.0, max_norm / norm)
    m = m + 0.1 * (gradient - m)
    v = v + 0.02 * (gradient.square() - v)
    rate = noam_rate(step, weight.shape[1], warmup_steps)
    m_hat, v_hat = m / (1 - 0.9**step), v / (1 - 0.98**step)
    weight = weight - rate * 0.01 * weight - rate * m_hat / (v_hat.sqrt() + 1e-9)
    return [weight, m, v, loss / tokens, norm]


@right_answer("05.11")
def with_a_layer(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    V, C = weight.shape
    layer = nn.Linear(C, V, bias=False, dtype=weight.dtype)
    layer.load_state_dict({"weight": weight})
    loss, tokens = 0.0, 0
    for x, targets in batches:
        real = targets.flatten() != -100
        logits = layer(x).flatten(0, 1)[real]
        part = (logits.logsumexp(-1) - logits[range(len(logits)), targets.flatten()[real]]).sum()
        part.backward()
        loss += part.item()
        tokens += len(logits)
    (parameter,) = layer.parameters()
    parameter.grad.div_(tokens)
    norm = nn.utils.clip_grad_norm_(layer.parameters(), max_norm)
    g = parameter.grad
    m, v = 0.9 * m + (1 - 0.9) * g, 0.98 * v + (1 - 0.98) * g.pow(2)
    corrected = [average / (1 - beta**step) for average, beta in ((m, 0.9), (v, 0.98))]
    rate = noam_rate(step, C, warmup_steps)
    pull = torch.addcdiv(0.01 * weight, corrected[0], corrected[1].sqrt() + 1e-9)
    return torch.sub(weight, pull, alpha=rate), m, v, loss / tokens, norm
