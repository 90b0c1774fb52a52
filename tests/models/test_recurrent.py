"""The translator of 2014: against loops in NumPy, and what padding may not change."""

import numpy as np
import pytest
import torch
from torch import nn

from minitx import numpy_core
from minitx.generate import RecurrentDecoding, beam_search, greedy, translation_decoding
from minitx.masks import Mask, padding
from minitx.models import AdditiveAttention, RecurrentTranslator, RecurrentTranslatorConfig

B, T_SRC, T_TGT, C, V_SRC, V_TGT = 2, 5, 3, 7, 11, 13


@pytest.fixture(params=[True, False], ids=["attention", "one vector"])
def model(request):
    torch.manual_seed(0)
    config = RecurrentTranslatorConfig(V_SRC, V_TGT, d_model=C, attention=request.param)
    return RecurrentTranslator(config).double().eval()


def tokens(V, *shape):
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(1))


def test_additive_attention_is_the_paper_s_formula():
    torch.manual_seed(0)
    attention = AdditiveAttention(3, 5, 7).double()
    query, keys = torch.randn(B, 3).double(), torch.randn(B, T_SRC, 5).double()
    context, weights = attention(query, keys)
    W_q, W_k, w = (p.detach().numpy().T for p in attention.parameters())
    for b in range(B):
        scores = numpy_core.additive_score(query[b].numpy(), keys[b].numpy(), W_q, W_k, w[:, 0])
        expected = numpy_core.softmax(scores)
        np.testing.assert_allclose(weights[b].detach(), expected, rtol=1e-12)
        np.testing.assert_allclose(context[b].detach(), expected @ keys[b].numpy(), rtol=1e-12)


def gru(cell: nn.GRUCell, x, h):
    """Cho et al. 2014, eq. 5 to 8, in torch's form: the reset gate works on U h, after its bias."""
    W, U, b, c = (p.detach().numpy() for p in cell.parameters())
    from_x, from_h = np.split(W @ x + b, 3), np.split(U @ h + c, 3)
    r, z = (1 / (1 + np.exp(-(from_x[i] + from_h[i]))) for i in (0, 1))
    n = np.tanh(from_x[2] + r * from_h[2])
    return (1 - z) * n + z * h


def one_direction(model, suffix):
    cell = nn.GRUCell(C, C).double()
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    cell.load_state_dict({n: getattr(model.encoder, f"{n}_l0{suffix}") for n in names})
    return cell


def by_loops(model, src, tgt):
    """Logits of one sequence, step by step."""
    embedded = model.src_embedding.weight.detach().numpy()[src]
    states = {}
    for suffix, order in (("", range(len(src))), ("_reverse", reversed(range(len(src))))):
        cell, h = one_direction(model, suffix), np.zeros(C)
        for t in order:
            h = gru(cell, embedded[t], h)
            states[suffix, t] = h
    last = len(src) - 1
    h = np.array([[*states["", t], *states["_reverse", t]] for t in range(len(src))])
    summary = np.concatenate([states["", last], states["_reverse", 0]])
    weight, bias = (p.detach().numpy() for p in model.start.parameters())
    s = np.tanh(weight @ states["_reverse", 0] + bias)
    weight, bias = (p.detach().numpy() for p in model.output.parameters())
    logits = []
    for y in tgt:
        context = summary
        if model.attention is not None:
            W_q, W_k, w = (p.detach().numpy().T for p in model.attention.parameters())
            scores = numpy_core.additive_score(s, h, W_q, W_k, w[:, 0])
            context = numpy_core.softmax(scores) @ h
        word = model.tgt_embedding.weight.detach().numpy()[y]
        s = gru(model.decoder, np.concatenate([word, context]), s)
        logits.append(weight @ np.concatenate([s, context]) + bias)
    return np.array(logits)


def test_the_model_is_the_paper_s_steps(model):
    src, tgt = tokens(V_SRC, B, T_SRC), tokens(V_TGT, B, T_TGT)
    logits = model(src, tgt).detach().numpy()
    for b in range(B):
        expected = by_loops(model, src[b].numpy(), tgt[b].numpy())
        np.testing.assert_allclose(logits[b], expected, rtol=1e-10, atol=1e-12)


def test_padding_changes_nothing(model):
    src, tgt = tokens(V_SRC, B, T_SRC), tokens(V_TGT, B, T_TGT)
    lengths = torch.tensor([T_SRC, 2])
    logits = model(src, tgt, src_mask=padding(lengths, T_SRC))
    alone = model(src[1:, :2], tgt[1:])
    torch.testing.assert_close(logits[1:], alone, rtol=1e-12, atol=1e-12)
    src[1, 2:] = 3
    again = model(src, tgt, src_mask=padding(lengths, T_SRC))
    torch.testing.assert_close(again, logits, rtol=0, atol=0)


def test_every_weight_is_used(model):
    model(tokens(V_SRC, B, T_SRC), tokens(V_TGT, B, T_TGT)).pow(2).sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_word_by_word_is_all_at_once(model):
    src, tgt = tokens(V_SRC, B, T_SRC), tokens(V_TGT, B, T_TGT)
    mask = padding(torch.tensor([T_SRC, 2]), T_SRC)
    decoding = RecurrentDecoding(model, src, src_mask=mask)
    fed = torch.stack([decoding.feed(tgt[:, [t]]) for t in range(T_TGT)], dim=1)
    torch.testing.assert_close(fed, model(src, tgt, src_mask=mask), rtol=1e-12, atol=1e-12)


def test_greedy_and_one_beam_say_the_same(model):
    src, begin = tokens(V_SRC, B, T_SRC), torch.ones(B, 1, dtype=torch.long)
    mask = padding(torch.tensor([T_SRC, 2]), T_SRC)
    written = greedy(translation_decoding(model, src, src_mask=mask), begin, max_new_tokens=4)
    logits = model(src, torch.cat([begin, written[:, :-1]], dim=1), src_mask=mask)
    assert torch.equal(logits.argmax(dim=-1), written)
    decoding = translation_decoding(model, src, src_mask=mask)
    best, _ = beam_search(decoding, begin, num_beams=3, max_new_tokens=4, eos_id=V_TGT + 1)
    summed = [
        model(src, torch.cat([begin, each[:, :-1]], dim=1), src_mask=mask)
        .log_softmax(dim=-1)
        .gather(-1, each[..., None])
        .sum(dim=(1, 2))
        for each in (best, written)
    ]
    assert (summed[0] >= summed[1] - 1e-12).all()


def test_what_is_refused(model):
    src = tokens(V_SRC, B, T_SRC)
    with pytest.raises(ValueError, match="may hold key_padding only, got causal"):
        model.encode(src, mask=Mask(causal=True))
    left = padding(torch.tensor([T_SRC, 2]), T_SRC).key_padding.flip(1)
    with pytest.raises(ValueError, match="padding must be at its right, after at least one token"):
        model.encode(src, mask=Mask(key_padding=left))
    with pytest.raises(ValueError, match="at its right, after at least one token"):
        model.encode(src, mask=Mask(key_padding=torch.zeros(B, T_SRC, dtype=torch.bool)))
    with pytest.raises(ValueError, match="is in training mode, where dropout is heard"):
        RecurrentDecoding(model.train(), src)
