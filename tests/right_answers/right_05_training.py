"""Right answers to the exercises of chapter 5, written differently from the worked ones."""

import torch

from minitx.grading import right_answer

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
