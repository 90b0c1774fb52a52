"""What `flash_attention` promises, from the words of its docstring, with every table in memory."""

import math

import torch


def who_sees_whom(B, T_q, T_k, *, causal=False, window=None, key_lengths=None):
    """(B, 1, T_q, T_k), worked out pair by pair."""
    allowed = torch.zeros(B, 1, T_q, T_k, dtype=torch.bool)
    for b in range(B):
        for i in range(T_q):
            p = T_k - T_q + i
            for j in range(T_k):
                allowed[b, 0, i, j] = (
                    (not causal or j <= p)
                    and (window is None or abs(p - j) <= window)
                    and (key_lengths is None or j < int(key_lengths[b]))
                )
    return allowed


def attention(q, k, v, *, scale=None, **rules):
    """Output and log-sum-exp in float64."""
    q, k, v = (x.double() for x in (q, k, v))
    group = q.size(1) // k.size(1)
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    allowed = who_sees_whom(q.size(0), q.size(2), k.size(2), **rules)
    scores = (1 / math.sqrt(q.size(3)) if scale is None else scale) * q @ k.mT
    scores = scores.masked_fill(~allowed, -math.inf)
    log_sum = scores.logsumexp(dim=-1)
    weights = torch.exp(scores - log_sum.masked_fill(log_sum == -math.inf, 0.0)[..., None])
    return weights @ v, log_sum
