"""What the drawings of chapter 6 show is what the library, its data and its models do."""

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from minitx import generate
from minitx.data import corruption, numbers
from minitx.data.batching import translation_batch
from minitx.data.vocabulary import BOS, EOS, PAD, words
from minitx.masks import Mask
from minitx.measure import sizes
from minitx.models.bert import BERT, BERTConfig
from minitx.models.gpt import GPT, GPTConfig
from minitx.models.seq2seq import Transformer, TransformerConfig
from minitx.multihead import MultiHeadAttention
from minitx.viz import drawings
from minitx.viz.drawings import (
    beams,
    caching,
    call_flow,
    decoder_masks,
    families,
    masking_words,
    model_sizes,
    next_token,
    noising,
    own_mistakes,
    span_corruption,
    translated,
    tuning,
    tying,
    word_alignment,
)

SVG = "{http://www.w3.org/2000/svg}"


def texts(drawing):
    root = ElementTree.fromstring(drawing.svg())
    return ["".join(tag.itertext()) for tag in root.iter(f"{SVG}text")]


def has_in_order(shown, wanted):
    return any(shown[i : i + len(wanted)] == wanted for i in range(len(shown)))


def boxes(drawing):
    """The word in each box, where the box stands, and how strongly it is filled."""
    found = re.findall(
        r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="[\d.]+" rx="\d" fill="[^"]*" '
        r'fill-opacity="([\d.]+)"[^>]*/>(?:<path [^>]*/>)?<text [^>]*>(?:<tspan[^>]*>)?([^<]+)<',
        drawing.svg(),
    )
    return [(word, float(x), float(y), float(fill)) for x, y, _, fill, word in found]


def tiny():
    config = TransformerConfig(11, 13, d_model=8, num_heads=2, d_ff=16, num_encoder_layers=3,
                               num_decoder_layers=3)  # fmt: skip
    return Transformer(config).eval()


# --- the architecture ---------------------------------------------------------------------------


def test_every_arrow_is_a_call_of_the_model_and_in_its_order():
    model, called = tiny(), []
    calls = [name for group in (*call_flow.ENCODER, *call_flow.DECODER) for name in group]
    for path, module in model.named_modules():
        parts = path.split(".")
        # One block stands for all.
        if parts[-1] in calls and (len(parts) == 1 or parts[1:3] == ["blocks", "1"]):
            module.register_forward_pre_hook(lambda *_, name=parts[-1]: called.append(name))
    for place in ("src_position", "tgt_position"):
        position = getattr(model, place)
        embed = position.embed
        position.embed = lambda *args, f=embed, name=place: called.append(name) or f(*args)
    model(torch.tensor([[2, 7, 1]]), torch.tensor([[0, 3]]))
    assert called == calls
    shown = [words for words in texts(drawings.whole_transformer()) if words in calls]
    assert shown == calls
    assert {"encoder.blocks", "decoder.blocks"} <= {*texts(drawings.whole_transformer())}


def test_the_tensors_have_the_shapes_that_stand_beside_them():
    model = tiny()
    src, tgt = torch.tensor([[2, 7, 1, 5]]), torch.tensor([[0, 3, 1]])
    memory = model.encode(src)
    logits = model.decode(tgt, memory)
    size = {"B": 1, "Tsrc": 4, "Ttgt": 3, "C": 8, "V": 13}
    drawn = [
        tuple(size[letter] for letter in words.strip("()").split(", "))
        for words in texts(drawings.whole_transformer())
        if words.startswith("(B")
    ]
    embedded = [(1, 4, 8), (1, 3, 8)]
    wanted = [src.shape, memory.shape, tgt.shape, (1, 3, 8), logits.shape, *embedded]
    assert sorted(drawn) == sorted(map(tuple, wanted))


def test_every_layer_of_the_decoder_reads_the_encoder_s_last_output():
    model, read = tiny(), []
    for block in model.decoder.blocks:
        block.cross_attention.register_forward_pre_hook(lambda _, args: read.append(args[1]))
    src, tgt = torch.tensor([[2, 7, 1]]), torch.tensor([[0, 3]])
    model(src, tgt)
    memory = model.encode(src)
    assert len(read) == len(model.decoder.blocks) == 3
    assert all(torch.equal(each, memory) for each in read)
    svg = drawings.memory_to_every_layer().svg()
    left = [box for box in boxes(drawings.memory_to_every_layer()) if box[1] < 200]
    ends = re.findall(r'<path d="M([\d.]+),([\d.]+) L[^"]* Z" fill="var\(--minitx-(k|v)', svg)
    layers = [(x, y) for word, x, y, _ in left if word.startswith("layer") and x > 100]
    assert len(layers) == 3
    for role in "kv":
        reached = sorted(float(y) for x, y, kind in ends if kind == role)
        assert len(reached) == 3
        for y, (_, top) in zip(reached, sorted(layers, key=lambda each: each[1]), strict=True):
            assert top < y < top + 32


def test_the_rows_are_one_sentence_shifted_as_a_batch_shifts_it():
    ids = {word: 10 + i for i, word in enumerate(translated.FRENCH)}
    names = {BOS: translated.START, EOS: translated.END} | {i: word for word, i in ids.items()}
    batch = translation_batch([([5], [*ids.values()])])
    read, said = ([names[i] for i in row[0].tolist()] for row in (batch.tgt_in, batch.tgt_out))
    shown = texts(drawings.shift_by_one())
    assert has_in_order(shown, said) and has_in_order(shown, read)
    assert f"place 2 has read {', '.join(read[:3])}" in shown
    assert f"and is to say {said[2]}: the next word, not its own" in shown
    places = boxes(drawings.shift_by_one())
    for word in translated.FRENCH:  # the same word, one place further to the right
        x = [place[1] for place in places if place[0] == word]
        assert len(x) == 2 and abs(x[1] - x[0]) == pytest.approx(82)


def test_the_three_masks_are_those_the_model_uses():
    model, used = tiny(), {}
    for name, module in (
        ("encoder self-attention", model.encoder.blocks[0].attention),
        ("decoder self-attention", model.decoder.blocks[0].self_attention),
        ("cross-attention", model.decoder.blocks[0].cross_attention),
    ):

        def look(_, args, kwargs, name=name):
            T_q, T_k = args[0].size(1), args[-1].size(1)
            used[name] = kwargs["mask"].dense(T_q, T_k, "cpu")[0, 0].numpy()

        module.register_forward_pre_hook(look, with_kwargs=True)
    src, tgt = (
        torch.tensor([[PAD if word == translated.PAD else 4 for word in line]])
        for line in (decoder_masks.SOURCE, decoder_masks.WRITTEN)
    )
    model(src, tgt, src_mask=Mask(key_padding=src != PAD), tgt_mask=Mask(key_padding=tgt != PAD))
    tables = decoder_masks.tables()
    assert used.keys() == tables.keys()
    for name, table in tables.items():
        np.testing.assert_array_equal(used[name], table, err_msg=name)
        assert name in texts(drawings.three_masks())
    ticks = texts(drawings.three_masks()).count("✓")
    assert ticks == sum(int(table.sum()) for table in tables.values())


# --- generation ---------------------------------------------------------------------------------


def test_a_pass_for_all_places_or_one_for_each_token():
    """The model is asked once in training, and by `greedy` once for each token."""
    T = len(translated.SAID)
    model, passes = tiny(), []
    model.decoder.register_forward_pre_hook(lambda _, args: passes.append(args[0].size(1)))
    src = torch.tensor([[2, 7, 1]])
    logits = model(src, torch.zeros(1, T, dtype=torch.long))
    assert logits.size(1) == T and passes == [T]
    passes.clear()
    decoding = generate.TranslationDecoding(model, src)
    generate.greedy(decoding, torch.tensor([[BOS]]), max_new_tokens=T)
    assert passes == [1] * T
    shown = texts(drawings.one_pass_many_steps())
    assert (
        f"{T} predictions in 1 pass" in shown
        and f"{T} predictions in {len(passes)} passes" in shown
    )
    for i in range(T):
        wanted = [f"pass {i + 1}", *translated.READ[: i + 1], translated.SAID[i]]
        assert has_in_order(shown, wanted)


@pytest.mark.parametrize("cached", [True, False])
def test_the_keys_of_every_pass_are_counted_in_the_model(cached):
    model = GPT(GPTConfig(11, max_len=9, d_model=8, num_heads=2, num_layers=1)).eval()
    counted = []
    (attention,) = (m for m in model.modules() if isinstance(m, MultiHeadAttention))
    attention.k_proj.register_forward_pre_hook(lambda _, args: counted.append(args[0].size(1)))
    ids = torch.tensor([[1, 4, 5, 6]])
    caches = model.new_caches() if cached else None
    for t in range(1, 5):
        model(ids[:, t - 1 : t] if cached else ids[:, :t], caches=caches)
    assert counted == [caching.new_keys(t, cached=cached) for t in range(1, 5)]
    assert (
        f"{sum(counted)} {'with the cache' if cached else 'without'}" in drawings.cache_grows().alt
    )
    kept = [word for word in texts(drawings.cache_grows()) if re.fullmatch(r"k\d", word)]
    assert len(kept) == 1 + 2 + 3 + 4


def test_the_bars_are_what_the_library_draws_from():
    logits = torch.tensor([[*next_token.LOGITS.values()]], dtype=torch.float64)
    settings = {
        "softmax": {},
        "temperature": {"temperature": next_token.TEMPERATURE},
        "top-k": {"temperature": next_token.TEMPERATURE, "top_k": next_token.TOP_K},
        "top-p": {"temperature": next_token.TEMPERATURE, "top_k": next_token.TOP_K,
                  "top_p": next_token.TOP_P},
    }  # fmt: skip
    drawn = next_token.stages()
    assert drawn.keys() == settings.keys()
    svg = drawings.next_token_bars().svg()
    bars = [float(long) for long in re.findall(r'width="([\d.]+)" height="8"', svg)]
    for name, setting in settings.items():
        wanted = generate.truncated(logits, **setting).softmax(dim=-1)[0].numpy()
        np.testing.assert_allclose(drawn[name], wanted, rtol=0, atol=1e-12, err_msg=name)
        for share in wanted[wanted > 0]:
            assert bars.pop(0) == pytest.approx(70 * share, abs=0.006)
    assert bars == []
    lost = [int((p == 0).sum()) for p in drawn.values()]
    assert lost == [0, 0, 2, 3]  # each cut takes something away that the picture shows
    assert texts(drawings.next_token_bars()).count("✗") == sum(lost)


class Told:
    """A decoding whose probabilities are the drawing's."""

    def __init__(self):
        self.vocabulary = ["<end>", *sorted({w for after in beams.NEXT.values() for w in after})]
        self.read = [()]

    def feed(self, token_ids):
        new = [[self.vocabulary[i] for i in row if i >= 0] for row in token_ids.tolist()]
        self.read = [(*old, *row) for old, row in zip(self.read, new, strict=True)]
        chances = [beams.NEXT.get(read, {"<end>": 1.0}) for read in self.read]
        return torch.tensor(
            [[after.get(w, 0.0) for w in self.vocabulary] for after in chances]
        ).log()

    def reorder(self, rows):
        self.read = [self.read[i] for i in rows.tolist()]


def test_beam_search_finds_what_is_drawn_and_greedy_does_not():
    told = Told()
    prompt = torch.tensor([[-1]])
    found, score = generate.beam_search(
        told, prompt, num_beams=beams.BEAMS, max_new_tokens=4, eos_id=0, length_penalty=0.0
    )
    searched = tuple(told.vocabulary[i] for i in found[0].tolist() if i > 0)
    plain = Told()
    taken = generate.greedy(plain, prompt, max_new_tokens=4, eos_id=0)
    greedy = tuple(plain.vocabulary[i] for i in taken[0].tolist() if i > 0)
    for beam, words_, share in (
        (beams.BEAMS, searched, math.exp(score.item())),
        (1, greedy, beams.levels(1)[-1][greedy]),
    ):
        best = max(beams.levels(beam)[-1].items(), key=lambda each: each[1])
        assert best[0] == words_ and best[1] == pytest.approx(share, rel=1e-5)
    shown = texts(drawings.beam_tree())
    assert f"2 beams find: {' '.join(searched)}, {math.exp(score.item()):.2f}" in shown
    assert f"greedy takes: {' '.join(greedy)}, {beams.levels(1)[-1][greedy]:.2f}" in shown
    assert beams.levels(1)[-1][greedy] < math.exp(score.item())


def test_some_word_follows():
    assert [sum(after.values()) for after in beams.NEXT.values()] == pytest.approx([1] * 5)


def test_the_mistake_is_read_in_generation_only():
    training, generation = [], []
    for word, _, y, _ in boxes(drawings.exposure()):
        (training if y < 166 else generation).append((y, word))
    for panel, mistaken in ((training, False), (generation, True)):
        heights = sorted({y for y, _ in panel})
        said, read = ([word for y, word in panel if y == height] for height in heights)
        wrong = own_mistakes.WRONG
        assert said[own_mistakes.PLACE] == f"{wrong} ✗" and read[0] == translated.START
        assert (wrong in read) == mistaken
        wanted = [word.removesuffix(" ✗") for word in said] if mistaken else [*translated.FRENCH]
        assert read[1:] == wanted[:-1]


def test_the_logits_are_products_with_the_rows_of_the_table():
    table = torch.tensor([*tying.TABLE.values()], dtype=torch.float32)
    assert torch.nn.functional.linear(torch.tensor(tying.STATE).float(), table).tolist() == [
        *tying.logits().values()
    ]
    model = tiny()
    assert model.output.weight is model.tgt_embedding.weight
    V, C = tying.BASE_MODEL
    base = TransformerConfig.base()
    assert (base.tgt_vocab_size, base.d_model) == (V, C)
    assert f"base model: {V:,} × {C} = {V * C / 1e6:.1f} M weights, kept once" in texts(
        drawings.tied_weights()
    )


# --- the families -------------------------------------------------------------------------------


def test_the_aligned_words_are_those_of_the_number():
    number = word_alignment.NUMBER
    english, french = numbers.pairs()[number]
    read = [re.sub(r"\W", "", word) for word in words(english)]
    written = [re.sub(r"\W", "", word) for word in words(french)]
    assert [*word_alignment.SOURCE] == [*read, translated.END]
    assert [*word_alignment.WRITTEN] == [*written, translated.END]
    # A word comes from "two" if 93 has another in its place, from "ninety" if 42 has.
    for source, other in ((1, number + 1), (0, number - 50)):
        kept = words(numbers.pairs()[other][1])
        changed = [i for i, word in enumerate(words(french)) if word not in kept]
        joined = [i for i, places in enumerate(word_alignment.COMES_FROM) if source in places]
        assert joined == changed
    weights = word_alignment.shares()
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    svg = drawings.alignment().svg()
    strokes = re.findall(r'<path d="M[^"Z]*" stroke="[^"]*" stroke-width="([\d.]+)"', svg)
    lines = [float(stroke) for stroke in strokes]
    assert lines == [6 * w for w in weights[weights > 0]]
    cells = [float(f) for f in re.findall(r'height="28" rx="0"[^>]*fill-opacity="([\d.]+)"', svg)]
    np.testing.assert_allclose(cells, 0.75 * weights.flatten(), atol=0.006)


def test_the_families_masks_are_those_of_the_models():
    """Who is moved by a change of the last token: everybody in BERT, only the last in GPT."""
    T = families.T
    ids = torch.arange(1, T + 1)[None]
    other = ids.clone()
    other[0, -1] = 9
    bert = BERT(BERTConfig(11, max_len=7, d_model=8, num_heads=2, num_layers=1, d_ff=16)).eval()
    gpt = GPT(GPTConfig(11, max_len=7, d_model=8, num_heads=2, num_layers=1)).eval()
    for model, moved in ((bert, [True] * T), (gpt, [False] * (T - 1) + [True])):
        change = (model(ids) - model(other)).abs().sum(dim=-1)[0] > 1e-6
        assert change.tolist() == moved
    cells = re.findall(r'rx="0"[^>]*fill-opacity="([\d.]+)"', drawings.three_families().svg())
    full, triangle = T * T, T * (T + 1) // 2
    encoder, cross, own = full, 3 * T, 6
    assert sum(float(cell) > 0 for cell in cells) == full + triangle + encoder + cross + own
    for family in families.FAMILIES:
        assert family.name in texts(drawings.three_families())


def test_the_shares_of_masked_words_are_those_of_the_data():
    rest = 1 - corruption.MASKED - corruption.RANDOM
    assert [*masking_words.FATES.values()] == pytest.approx(
        [corruption.MASKED, corruption.RANDOM, rest]
    )
    text = torch.full((200_000,), 7)
    read, asked = corruption.mask_tokens(
        text,
        mask_id=1,
        special_ids=[0],
        vocab_size=1000,
        generator=torch.Generator().manual_seed(3),
    )
    chosen = asked == 7
    assert chosen.double().mean().item() == pytest.approx(masking_words.CHOSEN, abs=0.004)
    hidden, alone = (read[chosen] == 1).double().mean(), (read[chosen] == 7).double().mean()
    fates = [hidden.item(), 1 - hidden.item() - alone.item(), alone.item()]
    # Five standard deviations of 30,000 draws.
    assert fates == pytest.approx([*masking_words.FATES.values()], abs=0.0125)
    svg = drawings.masked_words().svg()
    (first, *_), *_ = [re.findall(r'y="28" width="([\d.]+)"', svg)]
    parts = [float(wide) for wide in re.findall(r'y="98" width="([\d.]+)"', svg)]
    assert float(first) == pytest.approx(412 * masking_words.CHOSEN, abs=0.01)
    assert parts == pytest.approx([412 * share for share in masking_words.FATES.values()], abs=0.01)
    shown, asked_word = texts(drawings.masked_words()), masking_words.SENTENCE[masking_words.ASKED]
    for becomes in masking_words.BECOMES:
        sentence = [*masking_words.SENTENCE]
        sentence[masking_words.ASKED] = becomes
        assert has_in_order(shown, sentence)
    assert masking_words.BECOMES[-1] == asked_word != masking_words.BECOMES[1]
    assert f"asked each time: {asked_word}" in shown


def test_the_spans_are_taken_out_as_the_data_does_it():
    text = span_corruption.TEXT
    names = dict(enumerate((*text, *span_corruption.SENTINELS)))
    out = torch.zeros(len(text), dtype=torch.bool)
    for start, stop in span_corruption.SPANS:
        out[start:stop] = True
    sentinels = [len(text) + i for i in range(len(span_corruption.SENTINELS))]
    made = corruption.corrupt_spans(range(len(text)), out, sentinels=sentinels)
    wanted = [[names[i] for i in row] for row in made]
    assert [*span_corruption.corrupted()] == wanted
    shown = [word for word, *_ in boxes(drawings.spans_and_sentinels())]
    assert shown == [*text, *wanted[0], *wanted[1]]


def test_each_noise_is_the_one_it_is_called():
    text, first, second = noising.TEXT, noising.FIRST, noising.SECOND
    masked, deleted, filled, exchanged, rotated = noising.NOISED.values()
    assert len(masked) == len(text) and noising.MASK in masked
    assert all(a in (b, noising.MASK) for a, b in zip(masked, text, strict=True))
    left = iter(text)
    assert len(deleted) < len(text) and all(word in left for word in deleted)
    hole = filled.index(noising.MASK)
    behind = len(filled) - hole - 1
    assert filled.count(noising.MASK) == 1 and len(text) - len(filled) + 1 > 1
    assert (*filled[:hole], *filled[hole + 1 :]) == (*text[:hole], *text[len(text) - behind :])
    assert exchanged == (*second, *first) != text
    assert rotated != text and any(rotated == (*text[i:], *text[:i]) for i in range(len(text)))
    shown = [word for word, *_ in boxes(drawings.denoise())]
    assert shown == [word for line in (*noising.NOISED.values(), text) for word in line]


def test_frozen_parts_get_no_gradient_and_the_arrow_ends_at_the_first():
    """The same five parts as linear layers: what is hatched in the drawing learns nothing."""
    drawn = boxes(drawings.fine_tune())
    for number, (_, trained, _) in enumerate(tuning.WAYS):
        column = [box for box in drawn if 2 + 140 * number <= box[1] < 98 + 140 * number]
        stack = [torch.nn.Linear(2, 2) for _ in (*tuning.STACK, tuning.HEAD)]
        for part in stack[: len(tuning.STACK) - trained]:
            part.requires_grad_(False)
        torch.nn.Sequential(*stack)(torch.ones(1, 2)).sum().backward()
        learns = [part.weight.grad is not None for part in stack]
        assert [fill > 0 for *_, fill in column] == learns
        assert [word for word, *_ in column] == [*tuning.STACK, tuning.HEAD]
        svg = drawings.fine_tune().svg()
        (end,) = re.findall(rf'"M{112 + 140 * number},([\d.]+) L[^"]* Z"', svg)
        assert float(end) == max(y for _, _, y, fill in column if fill > 0) + 30


def test_areas_are_true_to_the_counted_parameters():
    counted = [
        m.parameters for m in (sizes.GPT3, sizes.GPT2, sizes.BERT_BASE, sizes.BASE, sizes.OURS)
    ]
    assert [*model_sizes.PARAMETERS.values()] == counted
    svg = drawings.sizes().svg()
    edges = [float(edge) for edge in re.findall(r"h([\d.]+) v\1 h-\1 Z", svg)]
    large = float(re.search(r'<rect x="2" y="2" width="([\d.]+)"', svg)[1])
    for edge, count in zip(edges, counted[1:], strict=True):
        assert edge**2 / large**2 == pytest.approx(count / counted[0], rel=0.002)
    shown = texts(drawings.sizes())
    assert "175 billion parameters" in shown
    assert "the base model, 2017: 63 million" in shown
    assert "BERT-base, 2018: 109 million" in shown
    assert "GPT-2, 2019: 1.56 billion" in shown
