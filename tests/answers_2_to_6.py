"""Files of answers to the exercises that the translator is made of, from the library's parts."""

ANSWERS = {
    "02": """
import torch
from minitx import functional

def attention_scores(q, k):
    return functional.attention_scores(q, k)

def masked_softmax(scores, allowed):
    return functional.masked_softmax(scores, allowed)

def causal_mask(T_q, T_k):
    return torch.ones(T_q, T_k).tril(T_k - T_q).bool()

def padding_mask(lengths, max_len):
    return torch.arange(max_len) < lengths[:, None]
""",
    "03": """
from torch import nn
from minitx import functional

class MultiHeadSelfAttention(nn.Module):
    def __init__(self, d_model, num_heads):
        super().__init__()
        self.num_heads = num_heads
        for name in "q_proj", "k_proj", "v_proj", "out_proj":
            setattr(self, name, nn.Linear(d_model, d_model))

    def cut(self, x):
        return x.view(*x.shape[:2], self.num_heads, -1).transpose(1, 2)

    def mixed(self, q, k, v, allowed):
        weights = functional.masked_softmax(functional.attention_scores(q, k), allowed)
        return self.out_proj((weights @ v).transpose(1, 2).flatten(2))

    def forward(self, x, allowed=None):
        q, k, v = (self.cut(p(x)) for p in (self.q_proj, self.k_proj, self.v_proj))
        return self.mixed(q, k, v, None if allowed is None else allowed.unsqueeze(-3))

class MultiHeadCrossAttention(MultiHeadSelfAttention):
    def forward(self, x, memory, lengths=None):
        import torch
        q = self.cut(self.q_proj(x))
        k, v = self.cut(self.k_proj(memory)), self.cut(self.v_proj(memory))
        allowed = None
        if lengths is not None:
            allowed = (torch.arange(memory.size(1)) < lengths[:, None])[:, None, None]
        return self.mixed(q, k, v, allowed)
""",
    "04": """
from minitx.positions import Sinusoidal

def sinusoidal_table(positions, d_model, base=10_000.0):
    return Sinusoidal(d_model).table(positions).float()
""",
    "05": """
from torch import nn
from torch.nn import functional as F

def layer_norm(x, weight, bias, eps=1e-5):
    return F.layer_norm(x, weight.shape, weight, bias, eps)

class FeedForward(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        self.in_proj, self.out_proj = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)

    def forward(self, x):
        return self.out_proj(self.in_proj(x).relu())

def label_smoothed_loss(logits, targets, smoothing=0.1, ignore_index=-100):
    return F.cross_entropy(logits.mT, targets, label_smoothing=smoothing)
""",
    "06": """
import torch
from torch import nn
from torch.nn import functional as F
from minitx.blocks import Residual
from minitx.layers import FeedForward, LayerNorm
from minitx.masks import IGNORE, Mask
from minitx.multihead import MultiHeadAttention
from minitx.positions import Sinusoidal

def shift_right(tgt, bos_id, eos_id, pad_id):
    words = tgt != pad_id
    targets = F.pad(tgt.masked_fill(~words, IGNORE), (0, 1), value=IGNORE)
    return F.pad(tgt, (1, 0), value=bos_id), targets.scatter(1, words.sum(1, keepdim=True), eos_id)

class EncoderBlock(nn.Module):
    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.feed_forward_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)

    def forward(self, x, real=None):
        x = self.attention_residual(x, lambda x: self.attention(x, mask=Mask(key_padding=real)))
        return self.feed_forward_residual(x, self.feed_forward)

class DecoderBlock(nn.Module):
    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.self_attention = MultiHeadAttention(d_model, num_heads)
        self.cross_attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        for name in "self_attention", "cross_attention", "feed_forward":
            setattr(self, f"{name}_residual", Residual(LayerNorm(d_model), pre_norm=pre_norm))

    def forward(self, x, memory, real=None, memory_real=None):
        own, cross = Mask(causal=True, key_padding=real), Mask(key_padding=memory_real)
        x = self.self_attention_residual(x, lambda x: self.self_attention(x, mask=own))
        x = self.cross_attention_residual(
            x, lambda x: self.cross_attention(x, memory, mask=cross)
        )
        return self.feed_forward_residual(x, self.feed_forward)

def encoder_block(*sizes): raise AssertionError("the library's, not the learner's")
decoder_block = encoder_block

class EncoderDecoder(nn.Module):
    def __init__(self, src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
        super().__init__()
        self.src_embedding = nn.Embedding(src_vocab_size, d_model)
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, d_model)
        self.position = Sinusoidal(d_model)
        sizes = d_model, num_heads, d_ff
        self.encoder = nn.ModuleList(encoder_block(*sizes) for _ in range(num_layers))
        self.decoder = nn.ModuleList(decoder_block(*sizes) for _ in range(num_layers))

    def embed(self, tokens, table):
        x = table(tokens) * table.weight.size(1) ** 0.5
        return self.position.embed(x, torch.arange(tokens.size(1))[None])

    def forward(self, src, tgt, src_real=None, tgt_real=None):
        memory, y = self.embed(src, self.src_embedding), self.embed(tgt, self.tgt_embedding)
        for block in self.encoder:
            memory = block(memory, mask=Mask(key_padding=src_real))
        own = Mask(causal=True, key_padding=tgt_real)
        for block in self.decoder:
            y = block(y, memory, mask=own, memory_mask=Mask(key_padding=src_real))
        return y @ self.tgt_embedding.weight.T
""",
}
