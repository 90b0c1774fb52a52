"""An answer that calls what it is to be itself earns nothing, and is told so; the rest is open."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from minitx import functional, generate, masks, numpy_core
from minitx.blocks import Residual
from minitx.cores import FullAttention
from minitx.data import corruption
from minitx.grading.course import Course
from minitx.grading.judge.run import grade
from minitx.grading.worker.local import LocalCaller
from minitx.layers import FeedForward, LayerNorm
from minitx.positions import ALiBi, Rotary, Sinusoidal, distances, t5_bias
from minitx.training import label_smoothed_cross_entropy, noam_rate

pytestmark = pytest.mark.usefixtures("as_users_run")

COURSE = Course(Path(__file__).resolve().parents[2])


def heads(x, W_q, W_k, W_v):
    return ((x @ W).unsqueeze(1) for W in (W_q, W_k, W_v))


def layer_by(attention):
    def self_attention(x, W_q, W_k, W_v, allowed=None):
        B, T, _ = x.shape
        mask = masks.Mask()
        if allowed is not None:
            mask = masks.Mask(allowed=allowed.expand(B, T, T).unsqueeze(1))
        return attention(*heads(x, W_q, W_k, W_v), mask=mask).squeeze(1)

    return self_attention


def layer_by_torch(x, W_q, W_k, W_v, allowed=None):
    q, k, v = (x @ W for W in (W_q, W_k, W_v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=allowed).nan_to_num(0.0)


ANSWERS = {
    "01.1": [
        numpy_core.softmax,
        lambda scores: numpy_core.softmax(scores),
        partial(numpy_core.softmax),
        lambda scores: np.apply_along_axis(numpy_core.softmax, -1, scores),
        lambda scores: torch.from_numpy(scores * 1.0).softmax(-1).numpy(),
        lambda scores: torch.special.softmax(torch.tensor(scores * 1.0), -1).numpy(),
        lambda scores: torch.nn.Softmax(-1)(torch.tensor(scores * 1.0)).numpy(),
        lambda scores: np.exp(torch.tensor(scores * 1.0).log_softmax(-1).numpy()),
    ],
    "01.2": [
        lambda query, keys, values: numpy_core.soft_lookup(query, keys, values),
        lambda query, keys, values: numpy_core.attention(query[None], keys, values, scale=1.0)[0],
    ],
    "01.6": [numpy_core.additive_score],
    "01.4": [lambda q, k, v: numpy_core.attention(q, k, v, scale=1.0)],
    "01.5": [
        lambda q, k, v: numpy_core.attention(q, k, v, scale=1.0),
        lambda q, k, v: np.stack(list(map(partial(numpy_core.soft_lookup, keys=k, values=v), q))),
    ],
    "01.3": [
        lambda query, keys, values, temperature: numpy_core.soft_lookup(
            query, keys, values, temperature=temperature
        )
    ],
    "02.2": [lambda q, k: functional.attention_scores(q, k)],
    "02.3": [
        lambda scores, allowed: functional.masked_softmax(scores, allowed),
        lambda scores, allowed: torch.masked.softmax(
            scores, -1, mask=allowed.expand_as(scores)
        ).to_tensor(0),
    ],
    "02.4": [
        lambda T_q, T_k: masks.Mask(causal=True).dense(T_q, T_k, "cpu")[0, 0],
        lambda T_q, T_k: torch.from_numpy(numpy_core.causal_allowed(T_q, T_k)),
    ],
    "02.5": [lambda lengths, max_len: masks.padding(lengths, max_len).key_padding],
    "02.6": [
        layer_by(functional.scaled_dot_product_attention),
        layer_by(FullAttention()),
        layer_by_torch,
    ],
    "03.3": [lambda *args: torch.nn.MultiheadAttention(4, 2)(*[torch.ones(1, 3, 4)] * 3)],
    "03.4": [lambda *args: torch.nn.MultiheadAttention(4, 2)(*[torch.ones(1, 3, 4)] * 3)],
    "03.5": [lambda *args: torch.nn.MultiheadAttention(4, 2)(*[torch.ones(1, 3, 4)] * 3)],
    "03.6": [lambda q, k, v: F.scaled_dot_product_attention(q, q, q)],
    "04.1": [lambda positions, d_model, *base: Sinusoidal(4).table(torch.arange(3))],
    "04.3": [
        lambda T_q, T_k, max_distance: distances(torch.arange(3)[None], torch.arange(3)[None])
    ],
    "04.4": [lambda *args: ALiBi(4).slopes()],
    "04.5": [lambda distance, *args: t5_bias.bucket(distance, 32, 128, True)],
    "04.6": [
        lambda *args: Rotary(4).rotate(*[torch.ones(1, 1, 3, 4)] * 2, *[torch.arange(3)[None]] * 2)
    ],
    "05.1": [
        lambda x, weight, bias, eps=1e-5: F.layer_norm(x, weight.shape, weight, bias, eps),
        lambda x, weight, bias, eps=1e-5: torch.layer_norm(x, weight.shape, weight, bias, eps),
        lambda x, weight, bias, eps=1e-5: LayerNorm(2)(torch.ones(1, 2)),
        lambda x, weight, bias, eps=1e-5: torch.nn.LayerNorm(2)(torch.ones(1, 2)),
        lambda x, weight, bias, eps=1e-5: F.group_norm(torch.ones(1, 2), 1),
        lambda x, weight, bias, eps=1e-5: numpy_core.layer_norm(*[np.ones((1, 1))] * 3),
    ],
    "05.2": [
        lambda grad, x, *rest: torch.autograd.grad(x.clone().requires_grad_().sum(), x),
        lambda grad, x, *rest: x.clone().requires_grad_().sum().backward(),
        lambda grad, x, *rest: torch.func.vjp(torch.sin, x),
        lambda grad, x, *rest: torch.autograd.functional.vjp(torch.sin, x, x),
        lambda grad, x, weight, *rest: F.layer_norm(x, weight.shape),
    ],
    "05.3": [
        lambda *args, **options: Residual(torch.nn.LayerNorm(2), pre_norm=True)(
            torch.ones(1, 3, 2), torch.nn.Identity()
        ),
        lambda *args, **options: torch.nn.TransformerEncoderLayer(2, 1)(torch.ones(1, 3, 2)),
    ],
    "05.4": [
        lambda *args: FeedForward(2, 3)(torch.ones(1, 3, 2)),
        lambda *args: torch.nn.TransformerEncoderLayer(2, 1)(torch.ones(1, 3, 2)),
    ],
    "05.5": [
        lambda logits, targets, *rest: F.cross_entropy(logits.mT, targets),
        lambda logits, targets, *rest: torch.nn.CrossEntropyLoss()(logits.mT, targets),
        lambda logits, targets, *rest: label_smoothed_cross_entropy(logits, targets),
    ],
    "05.6": [lambda step, d_model, warmup_steps: noam_rate(step, d_model, warmup_steps)],
    "05.7": [
        lambda parameter, *rest, **options: torch.optim.AdamW([parameter]).step(),
        lambda parameter, *rest, **options: torch.optim.Adam([parameter]).step(),
    ],
    "05.8": [
        lambda gradients, max_norm: torch.nn.utils.clip_grad_norm_(gradients, max_norm),
        lambda gradients, max_norm: torch.nn.utils.get_total_norm(gradients),
    ],
    "05.9": [
        lambda weight, batches: torch.cat([x.flatten(0, 1) for x, _ in batches]),
        lambda weight, batches: torch.vstack([x.flatten(0, 1) for x, _ in batches]),
        lambda weight, batches: torch.concat([x.flatten(0, 1) for x, _ in batches]),
    ],
    "05.10": [lambda *args: torch.amp.GradScaler("cpu").scale(torch.ones(1))],
    "05.11": [
        lambda weight, m, v, batches, *rest: torch.cat([x.flatten(0, 1) for x, _ in batches]),
        lambda weight, *rest: torch.optim.AdamW([weight]).step(),
    ],
    "06.1": [lambda src, tgt, pad_id: masks.Mask(causal=True).dense(3, 3, "cpu")],
    "06.3": [lambda *args: torch.nn.TransformerEncoderLayer(4, 2)(torch.ones(1, 3, 4))],
    "06.4": [lambda *args: torch.nn.TransformerDecoderLayer(4, 2)(*[torch.ones(1, 3, 4)] * 2)],
    "06.5": [lambda *args: torch.nn.Transformer(4, 2, 1, 1)(*[torch.ones(1, 3, 4)] * 2)],
    "06.6": [lambda *args: generate.greedy(None, None, max_new_tokens=3)],
    "06.7": [lambda logits, p: generate.truncated(logits, top_p=p)],
    "06.8": [
        lambda *args: generate.beam_search(None, None, num_beams=2, max_new_tokens=3, eos_id=1)
    ],
    "06.9": [lambda *args: torch.nn.MultiheadAttention(4, 2)(*[torch.ones(1, 3, 4)] * 3)],
    "06.10": [
        lambda token_ids, *args: corruption.mask_tokens(
            token_ids, mask_id=4, special_ids=[], vocab_size=99, generator=torch.Generator()
        )
    ],
    "06.11": [
        lambda token_ids, taken_out, sentinels: corruption.corrupt_spans(
            token_ids.tolist(), taken_out, sentinels=sentinels.tolist()
        )
    ],
}


@pytest.mark.parametrize(
    ("exercise_id", "answer"),
    [(exercise_id, answer) for exercise_id, answers in ANSWERS.items() for answer in answers],
)
def test_handing_over_earns_nothing(exercise_id, answer):
    exercise = COURSE.exercise(exercise_id)
    siblings = COURSE.chapter(exercise_id[:2]).exercises
    # A function of the test's own, as a learner's file would hold it, whatever it hands over to.
    report = grade(exercise, LocalCaller.of({exercise.function: answer}), siblings=siblings)
    assert report.earned == 0, [check.name for check in report.checks if check.earned]
    for check in report.checks:
        assert "is closed here: this is what you are writing" in check.text


def test_every_closed_exercise_is_asked():
    closed = {
        exercise.id
        for chapter in COURSE.chapters.values()
        for exercise in chapter.exercises.values()
        if exercise.closed
    }
    assert closed == set(ANSWERS)


def test_what_the_texts_call_open_is_open():
    """The parts by name, from the library, as hints and texts offer them."""

    def self_attention(x, W_q, W_k, W_v, allowed=None):
        q, k, v = x @ W_q, x @ W_k, x @ W_v
        return functional.masked_softmax(functional.attention_scores(q, k), allowed) @ v

    def masked_softmax(scores, allowed):
        return scores.masked_fill(~allowed, -math.inf).softmax(dim=-1).nan_to_num(0.0)

    def attend_heads(q, k, v):
        turned = (part.transpose(1, 2) for part in (q, k, v))
        return functional.scaled_dot_product_attention(*turned).transpose(1, 2)

    def attention_loops(q, k, v):
        return np.stack([numpy_core.soft_lookup(query, k, v) for query in q])

    for exercise_id, answer in {
        "01.4": attention_loops,
        "01.5": lambda q, k, v: numpy_core.softmax(q @ k.T) @ v,
        "02.3": masked_softmax,
        "02.4": lambda T_q, T_k: torch.ones(T_q, T_k, dtype=torch.bool).tril(T_k - T_q),
        "02.6": self_attention,
        "02.7": attend_heads,
    }.items():
        exercise = COURSE.exercise(exercise_id)
        report = grade(exercise, LocalCaller.of({exercise.function: answer}))
        assert report.earned == report.points
