"""GPT, BERT and T5: who sees whom, padding, caches, tying, the start. Values: test_pretrained."""

import math
from functools import partial

import pytest
import torch
from torch.nn import functional as F

from minitx.cores import FullAttention, FusedAttention
from minitx.experts import SwitchFeedForward
from minitx.masks import Mask, causal, padding
from minitx.models.bert import BERT, BERTConfig
from minitx.models.gpt import GPT, GPTConfig
from minitx.models.seq2seq import Transformer, TransformerConfig
from minitx.models.t5 import T5, T5Config

from . import oracles
from .oracles import EXACT, IN_ATTENTION, ON_EMBEDDINGS

B, T, H, D, F_, V = 2, 7, 3, 4, 11, 19
C = H * D
GPT_SIZES = {"vocab_size": V, "max_len": 23, "d_model": C, "num_heads": H, "num_layers": 2}
BERT_SIZES = GPT_SIZES | {"d_ff": F_}
T5_SIZES = {
    "vocab_size": V,
    "d_model": C,
    "d_head": 5,
    "num_heads": H,
    "num_layers": 2,
    "d_ff": F_,
    "num_buckets": 8,
    "max_distance": 6,
}
SCHEMES = [*IN_ATTENTION, *ON_EMBEDDINGS]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def position(name):
    if name in IN_ATTENTION:
        return partial(IN_ATTENTION[name], H, D)
    return partial(ON_EMBEDDINGS[name], C)


def gpt(**changes):
    return oracles.randomise(GPT(GPTConfig(**(GPT_SIZES | changes))))


def bert(**changes):
    return oracles.randomise(BERT(BERTConfig(**(BERT_SIZES | changes))))


def t5(**changes):
    return oracles.randomise(T5(T5Config(**(T5_SIZES | changes))))


def tokens(length=T):
    return torch.randint(V, (B, length))


def changed_by(run, token_ids, t):
    """Which positions of the output notice another token at position t."""
    other = token_ids.clone()
    other[:, t] = (other[:, t] + 1) % V
    return ((run(other) - run(token_ids)).abs().amax(dim=(0, 2)) > 1e-9).tolist()


# --- who sees whom -------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
def test_gpt_looks_back_only(scheme):
    model, x = gpt(position=position(scheme)), tokens()
    for t in range(T):
        assert changed_by(model, x, t) == [i >= t for i in range(T)]


def test_bert_looks_both_ways():
    model, x = bert(), tokens()
    for t in range(T):
        assert all(changed_by(model, x, t))


@pytest.mark.parametrize("gated", [True, False])
def test_t5_reads_both_ways_and_writes_forward(gated):
    model, src, tgt = t5(gated=gated), tokens(), tokens(5)
    assert all(all(changed_by(lambda s: model(s, tgt), src, t)) for t in range(T))
    for t in range(5):
        assert changed_by(lambda y: model(src, y), tgt, t) == [i >= t for i in range(5)]


# --- padding and caches --------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
def test_gpt_cached_and_padded_at_the_left_equals_each_text_alone(scheme):
    model, x = gpt(position=position(scheme), num_kv_heads=1), tokens()
    lengths = [4, T]
    is_token, positions = oracles.left_padding(lengths)
    caches, pieces = model.new_caches(), []
    for start, stop in [(0, 5), (5, 6), (6, 7)]:
        with torch.no_grad():
            pieces.append(
                model(
                    x[:, start:stop],
                    mask=Mask(key_padding=is_token[:, :stop]),
                    caches=caches,
                    positions=positions[:, start:stop],
                )
            )
    batch = torch.cat(pieces, dim=1)
    for b, length in enumerate(lengths):
        alone = model(x[b : b + 1, T - length :])
        torch.testing.assert_close(batch[b : b + 1, T - length :], alone, **EXACT)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_gpt_counts_on_from_its_caches(scheme):
    model, x = gpt(position=position(scheme)), tokens()
    caches = model.new_caches()
    with torch.no_grad():
        pieces = [model(part, caches=caches) for part in x.split([3, 1, 2, 1], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(x), **EXACT)


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if "direction" not in name])
def test_padding_of_bert_changes_nothing(scheme):
    model, x = bert(position=position(scheme)), tokens()
    segments = torch.randint(2, (B, T))
    got = model(x, segments=segments, mask=padding([T, 5]))
    alone = model(x[1:, :5], segments=segments[1:, :5])
    torch.testing.assert_close(got[1:, :5], alone, **EXACT)


@pytest.mark.parametrize("gated", [True, False])
def test_t5_cached_and_padded_equals_each_text_alone(gated):
    model, src, tgt = t5(gated=gated), tokens(), tokens(5)
    mask = padding([T, 4])
    with torch.no_grad():
        memory, caches = model.encode(src, mask=mask), model.new_caches()
        pieces = [
            model.decode(part, memory, memory_mask=mask, caches=caches)
            for part in tgt.split([2, 1, 2], dim=1)
        ]
    batch = torch.cat(pieces, dim=1)
    torch.testing.assert_close(batch, model(src, tgt, src_mask=mask), **EXACT)
    torch.testing.assert_close(batch[1:], model(src[1:, :4], tgt[1:]), **EXACT)


def test_t5_ignores_padding_of_the_target():
    model, src, tgt = t5(), tokens(), tokens(5)
    got = model(src, tgt, tgt_mask=padding([5, 3]))
    torch.testing.assert_close(got[1:, :3], model(src[1:], tgt[1:, :3]), **EXACT)


# --- parts ---------------------------------------------------------------------------------------


def test_what_is_one_tensor_and_what_is_not():
    for model in (gpt(), bert(), t5()):
        assert model.output.weight is model.embedding.weight
    modern = t5(gated=True)
    assert modern.output.weight is not modern.embedding.weight
    for stack, attention in ((modern.encoder, "attention"), (modern.decoder, "self_attention")):
        first, second = (getattr(block, attention).position for block in stack.blocks)
        assert first is second
    assert bert().output.bias.shape == (V,)


def test_positions_on_embeddings_are_not_parts_of_attention():
    names = gpt().state_dict()
    assert [name for name in names if "position" in name] == ["position.table.weight"]
    assert "position.table.weight" not in gpt(position=position("Rotary")).state_dict()


def test_t5_does_not_scale_its_scores():
    for own in ({}, {"core": FullAttention}):
        model = t5(**own)
        scales = [m.scale for m in model.modules() if isinstance(m, FusedAttention | FullAttention)]
        assert scales == [1.0] * 6
    src, tgt = tokens(), tokens(5)
    other = t5()
    torch.testing.assert_close(model(src, tgt), other(src, tgt), **EXACT)


@pytest.mark.parametrize("make", [gpt, bert])
def test_a_core_of_ones_own(make):
    x = tokens()
    model = make(core=FullAttention)
    assert len([m for m in model.modules() if isinstance(m, FullAttention)]) == 2
    torch.testing.assert_close(model(x), make()(x), **EXACT)


def test_the_next_sentence_is_read_off_the_first_token():
    model = bert()
    hidden = torch.randn(B, T, C, dtype=torch.float64)
    logits = model.next_sentence_logits(hidden)
    assert logits.shape == (B, 2)
    hidden[:, 1:] += 1.0
    assert torch.equal(model.next_sentence_logits(hidden), logits)


# --- the start -----------------------------------------------------------------------------------


def deviation(tensor):
    return pytest.approx(tensor, rel=0.03)  # of some ten thousand draws and more: 1 % or less


def test_the_start_of_gpt():
    model = GPT(GPTConfig(vocab_size=211, max_len=199, d_model=128, num_heads=4, num_layers=5))
    for name, p in model.named_parameters():
        if p.dim() == 2:
            shrink = math.sqrt(2 * 5) if name.endswith("out_proj.weight") else 1.0
            assert p.std().item() == deviation(0.02 / shrink), name
        else:
            assert (p == (0.0 if name.endswith("bias") else 1.0)).all(), name


def test_experts_keep_their_own_start():
    """Router and experts start by their own paper's rule, whatever rule the model has."""
    C, F_, N = 128, 192, 3
    experts = {"d_ff": F_, "feed_forward": partial(SwitchFeedForward, num_experts=N)}
    stacks = [
        GPT(GPTConfig(17, 19, C, num_heads=4, num_layers=2, **experts)).blocks,
        Transformer(
            TransformerConfig(17, 19, C, num_heads=4, num_decoder_layers=1, **experts)
        ).decoder,
    ]
    for stack in stacks:
        for block in stack.blocks:
            layer = block.feed_forward
            for p, fan_in in ((layer.in_weight, C), (layer.out_weight, F_)):
                # Cut off at two deviations, of which a normal law has 0.8796 left.
                assert p.std().item() == deviation(0.8796 * math.sqrt(0.1 / fan_in))
            # Of 384 draws only: 4 % is one deviation of the deviation.
            router = layer.router.weight
            assert router.std().item() == pytest.approx(0.8796 * math.sqrt(0.1 / C), rel=0.15)
            assert (layer.in_bias == 0).all() and (layer.out_bias == 0).all()


def test_the_start_of_bert():
    model = BERT(BERTConfig(vocab_size=211, d_model=128, num_heads=4, num_layers=1, d_ff=256))
    for name, p in model.named_parameters():
        if p.dim() == 2 and p.numel() > 10_000:
            assert p.abs().max() <= 0.04, name
            # A normal law cut off at two deviations has 0.8796 of its deviation.
            assert p.std().item() == deviation(0.8796 * 0.02), name
        elif name.endswith("bias"):
            assert (p == 0).all(), name


@pytest.mark.parametrize("gated", [True, False])
def test_the_start_of_t5(gated):
    C, D, F_, H = 128, 48, 256, 5
    model = T5(T5Config(503, C, D, H, num_layers=1, d_ff=F_, gated=gated))
    wanted = {
        "q_proj.weight": (C * D) ** -0.5,
        "k_proj.weight": C**-0.5,
        "v_proj.weight": C**-0.5,
        "attention.out_proj.weight": (H * D) ** -0.5,
        "in_proj.weight": C**-0.5,
        "gate_proj.weight": C**-0.5,
        "feed_forward.out_proj.weight": F_**-0.5,
        "embedding.weight": 1.0,
        "output.weight": C**-0.5,
    }
    seen = set()
    for name, p in model.named_parameters():
        for end, std in wanted.items():
            if name.endswith(end):
                seen.add(end)
                assert p.std().item() == deviation(std), name
    assert seen == set(wanted) - (set() if gated else {"gate_proj.weight", "output.weight"})


@pytest.mark.parametrize("make", [gpt, bert, t5])
def test_dropout_is_heard_in_training_only_and_repeats_with_its_seed(make):
    model, x = make(dropout=0.5), tokens()
    inputs = (x, x) if make is t5 else (x,)
    assert torch.equal(model(*inputs), model(*inputs))
    model.train()

    def run(seed):
        torch.manual_seed(seed)
        return model(*inputs)

    assert torch.equal(run(3), run(3)) and not torch.equal(run(3), run(5))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("make", [gpt, bert, t5])
def test_half_precision(make, dtype):
    model, x = make(), tokens()
    inputs = (x, x) if make is t5 else (x,)
    want = model(*inputs)
    got = model.to(dtype)(*inputs)
    assert got.dtype == dtype
    # Some thirty roundings in a row, of half an epsilon each.
    assert (got - want).abs().max() < 32 * torch.finfo(dtype).eps * want.abs().max()


@pytest.mark.slow
@pytest.mark.parametrize("make", [gpt, bert, t5])
def test_one_batch_is_learned(make):
    model, x = make(dropout=0.0).float().train(), tokens()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    if make is gpt:
        run, targets = (lambda: model(x[:, :-1])), x[:, 1:]
    elif make is bert:
        run, targets = (lambda: model.masked_language_logits(model(x))), x.flip(1)
    else:
        run, targets = (lambda: model(x, x[:, :-1])), x[:, 1:]
    for _ in range(150):
        loss = F.cross_entropy(run().flatten(0, 1), targets.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.1  # it begins near log 19 = 2.9


@pytest.mark.parametrize("make", [gpt, bert])
def test_a_text_that_is_too_long_is_refused(make):
    with pytest.raises(ValueError, match=r"^learned positions run from 0 to 4, got 0 to 6: give a"):
        make(max_len=5)(tokens())


@pytest.mark.parametrize("kind", ["GPT", "BERT"])
def test_sizes_that_do_not_fit(kind):
    text = r"^d_model \(13\) must be divisible by num_heads \(3\)$"
    with pytest.raises(ValueError, match=text):
        if kind == "GPT":
            gpt(d_model=13)
        else:
            bert(d_model=13)


def test_gpt_hides_what_a_mask_of_ones_own_hides():
    """Padding and causal together, against the table of both."""
    model, x = gpt(), tokens()
    hidden = []
    for block in model.blocks.blocks:
        block.attention.core.register_forward_hook(
            lambda module, args, options, output: hidden.append(options["mask"]), with_kwargs=True
        )
    model(x, mask=padding([T, 4]))
    want = (causal() & padding([T, 4])).dense(T, T, "cpu")
    assert len(hidden) == 2
    assert all(torch.equal(mask.dense(T, T, "cpu"), want) for mask in hidden)


# --- devices -------------------------------------------------------------------------------------


def on(device, make, scheme=None):
    options = {} if scheme is None else {"position": position(scheme)}
    model, x = make(**options).to(device), tokens().to(device)
    mask = Mask(key_padding=padding([T, 4]).key_padding.to(device))
    return model(x, x, src_mask=mask) if make is t5 else model(x, mask=mask)


FAMILIES = [
    (t5, None),
    *((make, scheme) for make in (gpt, bert) for scheme in SCHEMES),
]


LOOK_AT_NUMBERS = ("Learned", "TransformerXL")


@pytest.mark.parametrize(
    ("make", "scheme"), [family for family in FAMILIES if family[1] not in LOOK_AT_NUMBERS]
)
def test_nothing_is_left_behind_on_the_cpu(make, scheme):
    """On torch's meta device, which refuses to be mixed with others and holds no numbers.

    Learned positions look at the numbers, to refuse those that have no vector; Transformer-XL's,
    to see whether they follow one another.
    """
    assert on("meta", make, scheme).device.type == "meta"


@pytest.mark.gpu
@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device: pytest -m gpu, where there is one"
)
@pytest.mark.parametrize(("make", "scheme"), FAMILIES)
def test_a_gpu_gives_what_the_cpu_gives(make, scheme):
    def run(device):
        torch.manual_seed(0)
        return on(device, make, scheme).cpu()

    # float64 on both sides; the order of sums differs.
    torch.testing.assert_close(run("cuda"), run("cpu"), rtol=1e-9, atol=1e-10)
