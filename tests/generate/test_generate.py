"""Generation: with a cache as without, in a batch as alone, the best as by trying everything."""

import itertools
import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minitx.cache import KVCache
from minitx.generate import (
    GPTDecoding,
    TranslationDecoding,
    beam_search,
    greedy,
    left_padded,
    sample,
    truncated,
)
from minitx.masks import NO_MASK, Mask, causal, padding
from minitx.models.gpt import GPT, GPTConfig
from minitx.models.seq2seq import Transformer, TransformerConfig
from minitx.models.t5 import T5, T5Config
from minitx.positions import ALiBi, Rotary

# float64, a few layers: with a cache the same sums are taken in another order.
EXACT = {"rtol": 1e-9, "atol": 1e-10}
V, EOS, PAD = 11, 2, 0


def peaked(model):
    """In float64, for evaluation, with logits far enough apart that one token is the best.

    The output has a table of its own: with a shared one a fresh model repeats what it last read.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
    model.output.weight = torch.nn.Parameter(torch.randn_like(model.output.weight))
    return model.double().eval()


def gpt(position=None, **changes):
    torch.manual_seed(0)
    sizes = {"d_model": 12, "num_heads": 3, "num_layers": 2, "d_ff": 17, "dropout": 0.3}
    return peaked(
        GPT(GPTConfig(vocab_size=V, max_len=29, position=position, **{**sizes, **changes}))
    )


def transformer(pre_norm=False):
    torch.manual_seed(0)
    return peaked(
        Transformer(
            TransformerConfig(
                src_vocab_size=13, tgt_vocab_size=V, d_model=12, num_heads=3,
                num_encoder_layers=1, num_decoder_layers=2, d_ff=17, dropout=0.3,
                pre_norm=pre_norm,
            )
        )
    )  # fmt: skip


def t5(gated=False):
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=V, d_model=12, d_head=5, num_heads=3, num_layers=2, d_ff=17, dropout=0.3,
        gated=gated,
    )  # fmt: skip
    return peaked(T5(config))


SRC = torch.tensor([[3, 5, 7, 1, 4], [9, 8, 3, 0, 0], [10, 1, 0, 0, 0]])
SRC_MASK = padding([5, 3, 2])


class Uncached:
    """The definition: the whole text through the whole model, for every token again."""

    def __init__(self, logits_of):
        self.logits_of, self.seen = logits_of, None

    def feed(self, token_ids):
        self.seen = token_ids if self.seen is None else torch.cat([self.seen, token_ids], dim=1)
        return self.logits_of(self.seen)[:, -1]

    def reorder(self, rows):
        self.seen = self.seen[rows]


class Both:
    """Two generations side by side that must say the same at every position."""

    def __init__(self, one, other):
        self.one, self.other, self.steps = one, other, 0

    def feed(self, token_ids):
        logits, wanted = self.one.feed(token_ids), self.other.feed(token_ids)
        torch.testing.assert_close(logits, wanted.detach(), **EXACT)
        assert not logits.requires_grad
        self.steps += 1
        return logits

    def reorder(self, rows):
        self.one.reorder(rows)
        self.other.reorder(rows)


class UncachedTranslation(Uncached):
    def __init__(self, model):
        super().__init__(self.logits_now)
        self.model, self.rows = model, torch.arange(len(SRC))

    def logits_now(self, tgt):
        mask = Mask(key_padding=SRC_MASK.key_padding[self.rows])
        return self.model(SRC[self.rows], tgt, src_mask=mask)

    def reorder(self, rows):
        super().reorder(rows)
        self.rows = self.rows[rows]


def gpt_both(**changes):
    model = gpt(**changes)
    return Both(GPTDecoding(model), Uncached(model)), torch.tensor(
        [[3, 1, 4], [1, 5, 9], [6, 5, 3]]
    )


def translation_both(model):
    both = Both(TranslationDecoding(model, SRC, src_mask=SRC_MASK), UncachedTranslation(model))
    return both, torch.ones(3, 1, dtype=torch.long)


BOTH = {
    "gpt": gpt_both,
    "gpt, rotary, grouped": lambda: gpt_both(position=lambda: Rotary(4), num_kv_heads=1),
    "gpt, alibi": lambda: gpt_both(position=lambda: ALiBi(3)),
    "transformer": lambda: translation_both(transformer()),
    "transformer, pre-norm": lambda: translation_both(transformer(pre_norm=True)),
    "t5": lambda: translation_both(t5()),
    "t5, gated": lambda: translation_both(t5(gated=True)),
}
WRITERS = {
    "greedy": lambda decoding, prompt: greedy(decoding, prompt, max_new_tokens=13),
    "sample": lambda decoding, prompt: sample(
        decoding, prompt, max_new_tokens=13, generator=torch.Generator().manual_seed(0)
    ),
    "beam_search": lambda decoding, prompt: beam_search(
        decoding, prompt, num_beams=3, max_new_tokens=13, eos_id=-1
    )[0],
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("name", BOTH)
def test_equals_the_uncached_model_at_every_position(name, writer):
    both, prompt = BOTH[name]()
    new = WRITERS[writer](both, prompt)
    assert new.shape == (3, 13) and both.steps == 13
    texts = {tuple(row) for row in new.tolist()}
    assert len(texts) > 1 and len(set().union(*texts)) > 2, "a weak test"


def test_a_prompt_may_be_fed_in_pieces():
    both, prompt = gpt_both()
    for piece in prompt.split([1, 2], dim=1):
        both.feed(piece)
    assert len(both.one.caches[0]) == 3


POSITIONS = pytest.mark.parametrize(
    "position", [None, lambda: Rotary(4), lambda: ALiBi(3)], ids=["learned", "rotary", "alibi"]
)
PROMPTS = [[3, 1, 4, 1, 5], [9], [2, 6, 5]]


@POSITIONS
def test_left_padded_prompts_equal_each_alone(position):
    model = gpt(position)
    token_ids, is_token = left_padded(PROMPTS, pad_id=PAD)
    decoding = GPTDecoding(model, is_token=is_token)
    alone = [GPTDecoding(model) for _ in PROMPTS]
    newest, newest_alone = token_ids, [torch.tensor([prompt]) for prompt in PROMPTS]
    for _ in range(9):
        logits = decoding.feed(newest)
        wanted = torch.cat([a.feed(n) for a, n in zip(alone, newest_alone, strict=True)])
        torch.testing.assert_close(logits, wanted, **EXACT)
        newest = logits.argmax(dim=-1, keepdim=True)
        newest_alone = list(newest.split(1))


@POSITIONS
def test_beams_of_left_padded_prompts_equal_each_alone(position):
    model = gpt(position)
    token_ids, is_token = left_padded(PROMPTS, pad_id=PAD)
    settings = {"num_beams": 4, "max_new_tokens": 7, "eos_id": EOS}
    together, scores = beam_search(GPTDecoding(model, is_token=is_token), token_ids, **settings)
    for row, score, prompt in zip(together, scores, PROMPTS, strict=True):
        alone, its_score = beam_search(GPTDecoding(model), torch.tensor([prompt]), **settings)
        assert row.tolist() == alone[0].tolist()
        torch.testing.assert_close(score, its_score[0], **EXACT)


def test_the_id_of_padding_does_not_matter():
    model = gpt()
    texts = []
    for pad_id in (0, 7):
        token_ids, is_token = left_padded(PROMPTS, pad_id=pad_id)
        decoding = GPTDecoding(model, is_token=is_token)
        texts.append(greedy(decoding, token_ids, max_new_tokens=7).tolist())
    assert texts[0] == texts[1]


@pytest.mark.parametrize("new_model", [transformer, t5], ids=["transformer", "t5"])
@pytest.mark.parametrize("num_beams", [1, 2, 5])
def test_a_batch_of_translations_equals_each_alone(new_model, num_beams):
    model = new_model()
    settings = {"num_beams": num_beams, "max_new_tokens": 7, "eos_id": EOS}
    bos = torch.ones(3, 1, dtype=torch.long)
    together = beam_search(TranslationDecoding(model, SRC, src_mask=SRC_MASK), bos, **settings)
    for b, length in enumerate([5, 3, 2]):
        alone = beam_search(
            TranslationDecoding(model, SRC[b : b + 1, :length]), bos[:1], **settings
        )
        assert together[0][b].tolist() == alone[0][0].tolist()
        torch.testing.assert_close(together[1][b], alone[1][0], **EXACT)


class Script:
    """Says given tokens, whatever is fed; remembers what was fed."""

    def __init__(self, *texts):
        self.texts, self.step, self.fed = torch.tensor(texts), 0, []

    def feed(self, token_ids):
        self.fed.append(token_ids.tolist())
        logits = torch.nn.functional.one_hot(self.texts[:, self.step], V).double().log()
        self.step += 1
        return logits

    def reorder(self, rows):
        self.texts = self.texts[rows]


@pytest.mark.parametrize("writer", [greedy, sample])
def test_members_end_at_different_times(writer):
    script = Script([5, EOS, 7, 7, 7], [5, 6, 7, EOS, 7], [EOS, 9, 9, 9, 9])
    new = writer(script, torch.ones(3, 2, dtype=torch.long), max_new_tokens=5, eos_id=EOS)
    # What has ended is filled with the end; after the last end nothing more is asked.
    assert new.tolist() == [[5, EOS, EOS, EOS], [5, 6, 7, EOS], [EOS, EOS, EOS, EOS]]
    assert script.fed == [[[1, 1]] * 3, [[5], [5], [EOS]], [[EOS], [6], [EOS]], [[EOS], [7], [EOS]]]


@pytest.mark.parametrize("writer", [greedy, sample])
def test_the_maximum_and_no_end(writer):
    texts = [[5, EOS, 7, 7], [5, 6, 7, EOS]]
    prompt = torch.ones(2, 1, dtype=torch.long)
    assert writer(Script(*texts), prompt, max_new_tokens=4).tolist() == texts
    assert writer(Script(*texts), prompt, max_new_tokens=1, eos_id=EOS).tolist() == [[5], [5]]
    script = Script(*texts)
    writer(script, prompt, max_new_tokens=3)
    assert len(script.fed) == 3  # the last token is not fed: nobody would ask what follows


def test_greedy_takes_the_most_probable():
    both, prompt = gpt_both()
    new = greedy(both, prompt, max_new_tokens=5)
    text = torch.cat([prompt, new], dim=1)
    assert new.tolist() == gpt()(text)[:, 2:-1].argmax(dim=-1).tolist()


def test_the_same_seed_gives_the_same_text():
    def text(seed):
        generator = torch.Generator().manual_seed(seed)
        return sample(
            GPTDecoding(gpt()), torch.ones(2, 3, dtype=torch.long), max_new_tokens=17,
            temperature=3.0, generator=generator,
        ).tolist()  # fmt: skip

    assert text(1) == text(1) != text(2)
    assert text(1)[0] != text(1)[1]  # the members of a batch draw by themselves


def test_without_a_generator_torchs_own_chance_is_used():
    def text():
        torch.manual_seed(3)
        return sample(GPTDecoding(gpt()), torch.ones(1, 1, dtype=torch.long), max_new_tokens=9)

    assert text().tolist() == text().tolist()


class Fixed:
    """The same distribution for ever."""

    def __init__(self, probabilities, B):
        self.logits = torch.tensor(probabilities).log().expand(B, -1)

    def feed(self, token_ids):
        return self.logits

    def reorder(self, rows):
        self.logits = self.logits[:1].expand(len(rows), -1)


@pytest.mark.parametrize(
    ("settings", "want"),
    [
        ({}, [0.1, 0.2, 0.3, 0.4]),
        ({"top_k": 2}, [0, 0, 3 / 7, 4 / 7]),
        ({"top_p": 0.6}, [0, 0, 3 / 7, 4 / 7]),
        ({"temperature": 0.5}, [1 / 30, 4 / 30, 9 / 30, 16 / 30]),
        ({"temperature": 2.0, "top_k": 1}, [0, 0, 0, 1]),
    ],
)
def test_tokens_are_drawn_with_their_probabilities(settings, want):
    N = 40_000
    drawn = sample(
        Fixed([0.1, 0.2, 0.3, 0.4], N), torch.ones(N, 1, dtype=torch.long), max_new_tokens=1,
        generator=torch.Generator().manual_seed(0), **settings,
    )  # fmt: skip
    shares = torch.bincount(drawn[:, 0], minlength=4) / N
    # Standard deviation of a share is at most √(1/4N) = 0.0025: four of them.
    torch.testing.assert_close(shares, torch.tensor(want).float(), rtol=0, atol=0.01)
    assert (shares[torch.tensor(want) == 0] == 0).all()


def truncated_simply(logits, temperature, top_k, top_p):
    """Token by token with Python's own numbers; for rows without ties."""
    logits = [x / temperature for x in logits]
    order = sorted(range(len(logits)), key=lambda i: -logits[i])
    kept = order[:top_k] if top_k else order
    if top_p is not None:
        mass = [math.exp(logits[i] - logits[order[0]]) for i in kept]
        nucleus, total = [], 0.0
        for i, m in zip(kept, mass, strict=True):
            if total / sum(mass) >= top_p:
                break
            nucleus.append(i)
            total += m
        kept = nucleus
    return [x if i in kept else -math.inf for i, x in enumerate(logits)]


@given(
    logits=st.lists(st.integers(-300, 300), min_size=1, max_size=17, unique=True),
    temperature=st.floats(0.1, 10.0),
    top_k=st.none() | st.integers(1, 19),
    top_p=st.none() | st.floats(0.01, 1.0),
)
def test_truncated_against_a_simple_one(logits, temperature, top_k, top_p):
    logits = [x / 50 for x in logits]
    got = truncated(
        torch.tensor([logits, logits[::-1]], dtype=torch.float64), temperature=temperature,
        top_k=top_k, top_p=top_p,
    )  # fmt: skip
    want = truncated_simply(logits, temperature, top_k, top_p)
    torch.testing.assert_close(got, torch.tensor([want, want[::-1]], dtype=torch.float64), **EXACT)


def test_truncated_at_its_edges():
    logits = torch.tensor([[1.0, 3.0, 3.0, 2.0]])
    assert truncated(logits, top_k=1).isfinite().tolist() == [[False, True, True, False]]  # ties
    assert truncated(logits, top_k=99).isfinite().all()
    assert truncated(logits, top_p=1.0).isfinite().all()
    assert truncated(logits, top_p=1e-9).isfinite().sum() == 1
    torch.testing.assert_close(truncated(logits), logits, rtol=0, atol=0)


def test_top_p_is_the_sum_of_the_tokens_before():
    """Not that of the tokens so far less the last one, which is rounded twice."""
    logits = torch.tensor([[0.5, 0.3, 0.1, 0.1]]).log()
    assert truncated(logits, top_p=0.8).isfinite().tolist() == [[True, True, False, False]]
    assert truncated(torch.tensor([[0.0, -20.0]]), top_p=1.0).tolist() == [[0.0, -20.0]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_with_top_p_1_nothing_is_dropped(dtype):
    random = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(2, 50_000, generator=random)).to(dtype)
    assert torch.equal(truncated(logits, top_p=1.0), truncated(logits))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_top_p_of_a_large_vocabulary(dtype):
    """Nearly flat: thousands of tokens share the mass, each less than half precision can add."""
    random = torch.Generator().manual_seed(0)
    logits = (0.1 * torch.randn(1, 50_257, generator=random)).to(dtype)
    kept = truncated(logits, top_p=0.9)
    assert kept.dtype == torch.float32
    mass = logits.double().softmax(dim=-1)[kept.isfinite()].sum()
    # The fewest tokens that have 0.9: one token, 3e-5, more at most; float32 sums to 1e-6.
    assert 0.9 - 1e-6 < mass < 0.9 + 1e-4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_small_temperature_takes_the_most_probable(dtype):
    """In half precision 92 / 0.001 would be infinite, and inf - inf no number."""

    class Steep(Fixed):
        def __init__(self):
            self.logits = torch.tensor([[3.0, 92.0, 91.0]]).to(dtype)

    drawn = sample(Steep(), PROMPT, max_new_tokens=5, temperature=1e-3)
    assert drawn.tolist() == [[1] * 5]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_beams_are_summed_in_float32(dtype):
    """A coin thrown 300 times: ln 2 each time. Beyond 128 bfloat16 knows whole numbers only."""

    class Coin(Fixed):
        def __init__(self):
            self.logits = torch.tensor([[0.0, 0.0, -torch.inf]]).to(dtype)

    _, score = beam_search(
        Coin(), PROMPT, num_beams=2, max_new_tokens=300, eos_id=2, length_penalty=0.0
    )
    assert float(score) == pytest.approx(-300 * math.log(2), rel=1e-5)  # float32, 300 sums


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_beams_of_a_half_precision_model_are_those_of_its_logits(dtype):
    """The same logits in float64 give the same choice: nothing but the logits is rounded."""
    random = torch.Generator().manual_seed(0)
    table = torch.randn(31, 4, 4, 4, generator=random).to(dtype)
    settings = {"num_beams": 3, "max_new_tokens": 24, "eos_id": 3}
    prompt = torch.randint(3, (31, 2), generator=random)
    tokens, scores = beam_search(Markov(table), prompt, **settings)
    want, their_scores = beam_search(Markov(table.double()), prompt, **settings)
    assert tokens.tolist() == want.tolist()
    torch.testing.assert_close(scores.double(), their_scores, rtol=1e-5, atol=0)


class Markov:
    """A language model whose next token depends on the last two: small, and wholly known."""

    def __init__(self, table, rows=None):
        self.table, self.rows, self.seen = table, rows, None  # (B, V, V, V) logits

    def feed(self, token_ids):
        self.rows = torch.arange(len(token_ids)) if self.rows is None else self.rows
        self.seen = token_ids if self.seen is None else torch.cat([self.seen, token_ids], dim=1)
        return self.table[self.rows, self.seen[:, -2], self.seen[:, -1]]

    def reorder(self, rows):
        self.rows, self.seen = self.rows[rows], self.seen[rows]


def best_of_all(table, prompt, *, eos_id, max_new_tokens, length_penalty):
    """Every sequence there is, ended or as long as it may get."""
    log_probs = table.log_softmax(dim=-1)
    found = []
    for n in range(1, max_new_tokens + 1):
        for tokens in itertools.product(range(table.size(-1)), repeat=n):
            ends = tokens[-1] == eos_id
            if eos_id in tokens[:-1] or not (ends or n == max_new_tokens):
                continue
            text = [*prompt, *tokens]
            total = sum(
                float(log_probs[text[i - 2], text[i - 1], text[i]])
                for i in range(len(prompt), len(text))
            )
            filled = [*tokens, *[eos_id] * (max_new_tokens - n)]
            found.append((total / ((5 + n) / 6) ** length_penalty, filled))
    return max(found)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 2.5])
@pytest.mark.parametrize("eos_id", [0, 2, 3])
def test_wide_beams_find_the_best_of_all_sequences(eos_id, length_penalty):
    """4 tokens, up to 4 new ones: at most 27 beginnings without an end, all of them kept."""
    random = torch.Generator().manual_seed(eos_id)
    table = 2 * torch.randn(7, 4, 4, 4, generator=random, dtype=torch.float64)
    # Ends are rare in some tables and frequent in others: short and long sequences win.
    table[..., eos_id] += torch.linspace(-3, 3, 7)[:, None, None]
    prompt = torch.randint(4, (7, 2), generator=random)
    settings = {"max_new_tokens": 4, "eos_id": eos_id, "length_penalty": length_penalty}
    tokens, scores = beam_search(Markov(table), prompt, num_beams=27, **settings)
    for b in range(7):
        score, best = best_of_all(table[b], prompt[b].tolist(), **settings)
        assert tokens[b].tolist() == best
        assert float(scores[b]) == pytest.approx(score, rel=1e-12)
        alone, _ = beam_search(
            Markov(table[b : b + 1]), prompt[b : b + 1], num_beams=27, **settings
        )
        assert alone[0].tolist() == best
    assert len({row.index(eos_id) if eos_id in row else 4 for row in tokens.tolist()}) > 1


def test_narrow_beams_find_what_they_say_they_find():
    """The score is that of the text, never above the best of all, and wider is mostly better."""
    random = torch.Generator().manual_seed(0)
    table = 2 * torch.randn(29, 4, 4, 4, generator=random, dtype=torch.float64)
    prompt = torch.randint(4, (29, 2), generator=random)
    settings = {"max_new_tokens": 4, "eos_id": 3, "length_penalty": 0.6}
    best = [best_of_all(table[b], prompt[b].tolist(), **settings)[0] for b in range(29)]
    found = {}
    for num_beams in (1, 2, 4, 27):
        tokens, scores = beam_search(Markov(table), prompt, num_beams=num_beams, **settings)
        found[num_beams] = sum(
            abs(s - b) < 1e-9 for s, b in zip(scores.tolist(), best, strict=True)
        )
        assert all(s < b + 1e-9 for s, b in zip(scores.tolist(), best, strict=True))
        for b in range(29):
            text = tokens[b].tolist()
            n = text.index(3) + 1 if 3 in text else 4
            whole = [*prompt[b].tolist(), *text[:n]]
            log_probs = table[b].log_softmax(dim=-1)
            total = sum(float(log_probs[x, y, z]) for x, y, z in zip(whole, whole[1:], whole[2:],
                                                                     strict=False))  # fmt: skip
            assert float(scores[b]) == pytest.approx(total / ((5 + n) / 6) ** 0.6, rel=1e-9)
    assert found[1] < found[2] <= found[4] <= found[27] == 29


def beam_search_simply(table, prompt, *, num_beams, eos_id, max_new_tokens, length_penalty):
    """With lists, for one prompt, and never stopping early."""
    log_probs = table.log_softmax(dim=-1).tolist()
    running, finished = [(0.0, [])], []
    for n in range(1, max_new_tokens + 1):
        candidates = []
        for total, tokens in running:
            text = [*prompt, *tokens]
            for token, log_prob in enumerate(log_probs[text[-2]][text[-1]]):
                candidates.append((total + log_prob, [*tokens, token]))
        candidates = sorted(candidates, reverse=True)[: 2 * num_beams]
        running = []
        for total, tokens in candidates:
            if tokens[-1] == eos_id or n == max_new_tokens:
                finished.append((total / ((5 + n) / 6) ** length_penalty, tokens))
            else:
                running.append((total, tokens))
        running = running[:num_beams]
    score, tokens = max(finished)
    return score, tokens + [eos_id] * (max_new_tokens - len(tokens))


@given(
    seed=st.integers(0, 2**32), num_beams=st.integers(1, 5), max_new_tokens=st.integers(1, 7),
    eos_id=st.integers(0, 3), length_penalty=st.floats(0.0, 3.0), liking=st.floats(-3.0, 3.0),
)  # fmt: skip
def test_beams_against_a_simple_search(
    seed, num_beams, max_new_tokens, eos_id, length_penalty, liking
):
    random = torch.Generator().manual_seed(seed)
    table = 2 * torch.randn(3, 4, 4, 4, generator=random, dtype=torch.float64)
    table[..., eos_id] += liking
    prompt = torch.randint(4, (3, 2), generator=random)
    settings = {
        "num_beams": num_beams, "eos_id": eos_id, "max_new_tokens": max_new_tokens,
        "length_penalty": length_penalty,
    }  # fmt: skip
    tokens, scores = beam_search(Markov(table), prompt, **settings)
    for b in range(3):
        score, best = beam_search_simply(table[b], prompt[b].tolist(), **settings)
        assert tokens[b].tolist() == best
        assert float(scores[b]) == pytest.approx(score, rel=1e-12)
        alone, _ = beam_search(Markov(table[b : b + 1]), prompt[b : b + 1], **settings)
        assert alone[0].tolist() == best


@pytest.mark.parametrize("name", ["gpt", "transformer", "t5"])
def test_one_beam_without_an_end_is_greedy(name):
    both, prompt = BOTH[name]()
    new, _ = beam_search(both, prompt, num_beams=1, max_new_tokens=9, eos_id=-1)
    both, prompt = BOTH[name]()
    assert new.tolist() == greedy(both, prompt, max_new_tokens=9).tolist()


def test_one_beam_finds_an_end_that_greedy_passes_by():
    """As said in the docstring: the end is the second best, and is looked at all the same."""
    decoding = Fixed([0.55, 0.0, 0.45], 1)
    assert greedy(decoding, PROMPT, max_new_tokens=3, eos_id=2).tolist() == [[0, 0, 0]]
    new, score = beam_search(
        decoding, PROMPT, num_beams=1, max_new_tokens=3, eos_id=2, length_penalty=0.0
    )
    assert new.tolist() == [[2, 2, 2]]
    assert float(score) == pytest.approx(math.log(0.45))


def test_one_beam_is_greedy_where_ending_is_certain_or_impossible():
    """With one beam a text ends where its best end is; greedy ends where the end is best."""
    prompt = torch.ones(2, 1, dtype=torch.long)
    texts = [5, EOS, 7, 7], [5, 6, 7, EOS]
    wanted = greedy(Script(*texts), prompt, max_new_tokens=4, eos_id=EOS).tolist()
    new, scores = beam_search(Script(*texts), prompt, num_beams=1, max_new_tokens=4, eos_id=EOS)
    assert new.tolist() == wanted and scores.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("num_beams", [1, 3])
def test_more_beams_than_tokens(num_beams):
    table = torch.randn(1, 2, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    settings = {"max_new_tokens": 4, "eos_id": 1, "length_penalty": 0.6}
    prompt = torch.tensor([[0, 0]])
    tokens, scores = beam_search(Markov(table), prompt, num_beams=num_beams, **settings)
    score, best = best_of_all(table[0], [0, 0], **settings)
    if num_beams == 3:
        assert tokens[0].tolist() == best and float(scores[0]) == pytest.approx(score)


def test_search_stops_when_all_is_decided():
    """After an end that nothing can overtake, the model is asked no more."""

    class Counting(Fixed):
        steps = 0

        def feed(self, token_ids):
            self.steps += 1
            return super().feed(token_ids)

    decoding = Counting([0.01, 0.01, 0.98], 1)
    new, _ = beam_search(
        decoding, torch.ones(1, 1, dtype=torch.long), num_beams=2, max_new_tokens=99, eos_id=2
    )
    assert decoding.steps < 5 and set(new[0].tolist()) == {2}


@pytest.mark.parametrize("name", ["gpt", "transformer"])
def test_no_gradient_is_kept_and_the_cache_grows_by_doubling(name, monkeypatch):
    both, prompt = BOTH[name]()
    decoding = both.one
    caches = [cache if isinstance(cache, KVCache) else cache[0] for cache in decoding.caches]
    stores, new = set(), prompt
    for _ in range(24 - prompt.size(1)):
        new = decoding.feed(new).argmax(dim=-1, keepdim=True)
        keys = caches[0].entries()[0]
        stores.add(keys.untyped_storage().data_ptr())
        assert not keys.requires_grad
    # 24 positions from 3 (or 1): room is made anew at 6, 12 and 24 (or 2, 4, 8, 16 and 32) only.
    assert len(stores) <= 6


def test_beams_of_one_sentence_share_its_memory():
    """What changes places among the beams of a sentence need not be copied."""
    decoding = TranslationDecoding(transformer(), SRC, src_mask=SRC_MASK)
    assert not decoding.memory.requires_grad
    decoding.feed(torch.ones(3, 1, dtype=torch.long))
    decoding.reorder(torch.arange(3).repeat_interleave(2))
    memory, cross = decoding.memory, decoding.caches[0][1].entries()[0].data_ptr()
    decoding.reorder(torch.tensor([1, 0, 2, 2, 4, 5]))
    assert decoding.memory is memory
    assert decoding.caches[0][1].entries()[0].data_ptr() == cross
    decoding.reorder(torch.tensor([4, 0]))
    assert torch.equal(decoding.memory, memory[[4, 0]])
    assert decoding.memory_mask.key_padding.tolist() == SRC_MASK.key_padding[[2, 0]].tolist()


@pytest.mark.parametrize("fed", [(3, 4), (3, 6), (3, 1), (2, 5), (1, 5)])
def test_padding_belongs_to_the_whole_prompt(fed, as_users_run):
    _, is_token = left_padded(PROMPTS, pad_id=PAD)
    decoding = GPTDecoding(gpt(), is_token=is_token)
    text = f"is_token must have the shape {fed} of the prompt, got (3, 5)"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        decoding.feed(torch.ones(fed, dtype=torch.long))


def test_dropout_is_never_heard():
    model = gpt().train()
    text = "GPT is in training mode, where dropout is heard: call model.eval() first"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        GPTDecoding(model)
    with pytest.raises(ValueError, match=r"^Transformer is in training mode"):
        TranslationDecoding(transformer().train(), SRC)


PROMPT = torch.ones(1, 1, dtype=torch.long)
WRONG = [
    (lambda: left_padded([], pad_id=0), "every prompt needs a token, got []"),
    (lambda: left_padded([[1], []], pad_id=0), "every prompt needs a token, got [[1], []]"),
    (
        lambda: GPTDecoding(gpt(), is_token=torch.tensor([[True, False], [True, True]])),
        "is_token must be False at the left of a prompt and nowhere else",
    ),
    (
        lambda: GPTDecoding(gpt(), is_token=torch.tensor([[False, False]])),
        "is_token must be False at the left of a prompt and nowhere else",
    ),
    (
        lambda: TranslationDecoding(transformer(), SRC, src_mask=causal() & SRC_MASK),
        "src_mask may hold key_padding only, got causal, key_padding",
    ),
    (
        lambda: greedy(Script([1]), PROMPT, max_new_tokens=0),
        "max_new_tokens must be at least 1, got 0",
    ),
    (
        lambda: sample(Script([1]), PROMPT, max_new_tokens=0),
        "max_new_tokens must be at least 1, got 0",
    ),
    (
        lambda: beam_search(Script([1]), PROMPT, num_beams=2, max_new_tokens=-1, eos_id=2),
        "max_new_tokens must be at least 1, got -1",
    ),
    (
        lambda: beam_search(Script([1]), PROMPT, num_beams=0, max_new_tokens=1, eos_id=2),
        "num_beams must be at least 1, got 0",
    ),
    (
        lambda: beam_search(
            Script([1]), PROMPT, num_beams=1, max_new_tokens=1, eos_id=2, length_penalty=-0.5
        ),
        "length_penalty must be at least 0, got -0.5",
    ),
    (
        lambda: sample(Script([1]), PROMPT, max_new_tokens=1, temperature=0.0),
        "temperature must be above 0, got 0.0; for 0 use greedy",
    ),
    (lambda: truncated(torch.zeros(1, 3), top_k=0), "top_k must be at least 1, got 0"),
    (
        lambda: truncated(torch.zeros(1, 3), top_p=0.0),
        "top_p must lie above 0 and up to 1, got 0.0",
    ),
    (
        lambda: truncated(torch.zeros(1, 3), top_p=1.1),
        "top_p must lie above 0 and up to 1, got 1.1",
    ),
]


@pytest.mark.parametrize(("call", "text"), WRONG, ids=[text for _, text in WRONG])
def test_refusals(call, text, as_users_run):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        call()


def test_nothing_is_masked_unless_said():
    assert TranslationDecoding(transformer(), SRC).memory_mask is NO_MASK
