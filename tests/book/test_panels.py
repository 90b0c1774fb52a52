"""Models that run in the page: the runtime against PyTorch, and the panels as a reader uses them.

The scripts are tried on a page of this test's own, opened from the disk; the panels of the built
book are looked at where it is there.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from axe_playwright_python.base import AXE_SCRIPT
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, BrowserContext, Locator, Page
from torch import Tensor

from minitx.blocks import Residual
from minitx.data import numbers
from minitx.data.batching import window_batches
from minitx.data.vocabulary import BOS, EOS
from minitx.functional import attention_scores, masked_softmax
from minitx.generate import TranslationDecoding, beam_search, greedy, truncated
from minitx.masks import NO_MASK
from minitx.projects import corpus
from minitx.projects import text as small_gpt
from minitx.projects.page import example, script, writer
from minitx.projects.translation import Translator, scored
from minitx.projects.translators import NUMBERS

ROOT = Path(__file__).resolve().parents[2]
STATIC, EXTRA = ROOT / "book/_static", ROOT / "book/_extra"
WEIGHTS = EXTRA / "panels/models/numbers.js"
LETTERS = EXTRA / "panels/models/writer.js"
PAGE = f"""<!doctype html>
<html lang="en" data-theme="light" data-content_root="{EXTRA.as_uri()}/">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>panels</title>
<link rel="stylesheet" href="{(STATIC / "custom.css").as_uri()}">
<link rel="stylesheet" href="{(STATIC / "panel.css").as_uri()}">
<script src="{(STATIC / "playable.js").as_uri()}"></script>
<script src="{(STATIC / "panel.js").as_uri()}"></script>
<style>body {{ margin: 1rem; background: var(--minitx-paper); color: var(--minitx-ink); }}</style>
</head><body><main class="bd-article"><h1>panels</h1>%s</main></body></html>"""
EXAMPLE = "<p>a worked example</p>"
TEXT = "two hundred and eighty-one"
SIZES = ("q", "k", "v", "products", "scores", "masked", "weights", "mixture")
# Sums of 32 products in float64 in the page, in float32 in PyTorch, through four blocks.
CLOSE = 1e-4

pytestmark = pytest.mark.browser


def place(name: str, model: str = "numbers", **data: object) -> str:
    """A panel with its example."""
    data = {"text": TEXT, **data}
    if name == "head":
        data = {"kind": "cross", "layer": 1, "head": 1, "query": 1, **data}
    if name == "stream":
        data = {"word": 2, **data}
    attributes = "".join(f' data-{key}="{value}"' for key, value in data.items())
    return (
        f'<div class="panel" data-panel="{name}" data-model="{model}"{attributes}>{EXAMPLE}</div>'
    )


@pytest.fixture(scope="module")
def translator() -> Translator:
    """The very weights of the page, in PyTorch."""
    return script.read(WEIGHTS).translator()


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(offline=True, reduced_motion="reduce")
    yield context
    context.close()


class Opened:
    """A page of this test's own, and what it said in the console."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page, self.said = page, list[str]()
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.goto(path.as_uri())

    def panel(self) -> Locator:
        ready = self.page.locator(".panel-ready")
        ready.wait_for()
        return ready


@pytest.fixture
def opened(context: BrowserContext, tmp_path: Path) -> Iterator[Any]:
    pages: list[Opened] = []

    def open_page(*places: str) -> Opened:
        path = tmp_path / "page.html"
        path.write_text(PAGE % "".join(places), encoding="utf-8")
        pages.append(Opened(context.new_page(), path))
        return pages[-1]

    yield open_page
    for each in pages:
        each.page.close()
        assert each.said == []


@pytest.fixture
def runtime(opened: Any) -> Page:
    """A page in which runtime, reading and weights are loaded."""
    page: Page = opened().page
    names = ("runtime", "reading", "generate", "gpt", "models/numbers", "models/writer")
    for name in names:
        page.add_script_tag(url=(EXTRA / f"panels/{name}.js").as_uri())
    page.evaluate(
        """() => {
            window.model = new transformer.Translator(minitxModels.numbers);
            window.gpt = new transformer.GPT(minitxModels.writer);
        }"""
    )
    return page


# --- the runtime against PyTorch --------------------------------------------------------------


def source(translator: Translator, text: str) -> Tensor:
    return torch.tensor([[*translator.encode(text), EOS]])


@torch.no_grad()
def test_logits_and_words_of_200_held_out_numbers(runtime: Page, translator: Translator) -> None:
    texts = [english for english, _ in numbers.split().test[:: 2300 // 199]][:200]
    assert len(texts) == 200
    found = runtime.evaluate(
        """texts => texts.map(text => {
            const { src, tgt, logits, written } = model.translate(reading.numbers(text));
            return { src, tgt, written, logits: [...logits.data] };
        })""",
        texts,
    )
    assert [one["written"] for one in found] == translator.translate(texts)
    largest = 0.0
    for text, one in zip(texts, found, strict=True):
        src = source(translator, text)
        assert one["src"] == src[0].tolist()
        wanted = translator.model(src, torch.tensor([[BOS, *one["tgt"][:-1]]]))[0]
        got = torch.tensor(one["logits"]).view(wanted.shape)
        largest = max(largest, float((got - wanted).abs().max()))
    print(f"largest difference of a logit: {largest:.1e}")
    assert largest < 1e-3


def watched(translator: Translator, text: str, tgt: list[int]) -> dict[str, dict[str, Tensor]]:
    """What every attention of the model computes, from its own q, k, v and mask."""
    model, seen = translator.model, dict[str, dict[str, Tensor]]()
    stacks = {
        "encoder": (model.encoder, ("attention",)),
        "decoder": (model.decoder, ("self_attention", "cross_attention")),
    }
    handles = []
    for stack, (blocks, kinds) in stacks.items():
        for layer, block in enumerate(blocks.blocks):
            for kind in kinds:

                def note(
                    _: object, qkv: Any, rules: Any, at: str = f"{stack}.blocks.{layer}.{kind}"
                ) -> None:
                    q, k, v = qkv
                    mask = rules.get("mask", NO_MASK)
                    allowed = mask.dense(q.size(2), k.size(2), q.device)
                    scores = attention_scores(q, k)
                    weights = masked_softmax(scores, allowed)
                    every = {
                        "q": q, "k": k, "v": v, "products": q @ k.mT, "scores": scores,
                        "masked": scores.masked_fill(~allowed, -math.inf), "weights": weights,
                        "mixture": weights @ v,
                    }  # fmt: skip
                    seen[at] = {name: x[0] for name, x in every.items()}

                core = block.get_submodule(f"{kind}.core")
                handles.append(core.register_forward_pre_hook(note, with_kwargs=True))
    with torch.no_grad():
        model(source(translator, text), torch.tensor([[BOS, *tgt[:-1]]]))
    for handle in handles:
        handle.remove()
    return seen


def test_every_intermediate_is_minitxs(runtime: Page, translator: Translator) -> None:
    found = runtime.evaluate(
        """([text, names]) => {
            const seen = {};
            const watch = (place, { heads }) => {
                if (heads) seen[place] = heads.map(head => Object.fromEntries(names.map(
                    name => [name, [...head[name].data].map(String)])));
            };
            const { tgt } = model.translate(reading.numbers(text), { watch });
            return { seen, tgt };
        }""",
        [TEXT, SIZES],
    )
    wanted = watched(translator, TEXT, found["tgt"])
    assert found["seen"].keys() == wanted.keys()
    assert len(wanted) == 6
    for at, heads in found["seen"].items():
        for name in SIZES:
            got = torch.tensor([[float(n) for n in head[name]] for head in heads])
            expected = wanted[at][name]
            torch.testing.assert_close(
                got.view(expected.shape), expected, atol=CLOSE, rtol=CLOSE, msg=f"{at} {name}"
            )


Residuals = dict[str, dict[str, Tensor]]


@torch.no_grad()
def streamed(translator: Translator, text: str, tgt: list[int]) -> Residuals:
    """What every residual connection gets, adds and gives on; the sum is what its norm gets."""
    model, seen, sums = translator.model, Residuals(), list[Tensor]()
    handles = []
    for at, module in model.named_modules():
        if isinstance(module, Residual):

            def note(_: object, given: Any, y: Tensor, at: str = at) -> None:
                x = given[0]
                seen[at] = {"x": x[0], "added": (sums[-1] - x)[0], "y": y[0]}

            handles += [
                module.norm.register_forward_pre_hook(lambda _, given: sums.append(given[0])),
                module.register_forward_hook(note),
            ]
    model(source(translator, text), torch.tensor([[BOS, *tgt[:-1]]]))
    for handle in handles:
        handle.remove()
    return seen


def test_the_stream_is_minitxs(runtime: Page, translator: Translator) -> None:
    found = runtime.evaluate(
        """text => {
            const seen = {};
            const watch = (place, values) => {
                if (values.added) seen[place] = Object.fromEntries(Object.entries(values).map(
                    ([name, x]) => [name, [...x.data]]));
            };
            const { tgt } = model.translate(reading.numbers(text), { watch });
            return { seen, tgt };
        }""",
        TEXT,
    )
    wanted = streamed(translator, TEXT, found["tgt"])
    assert found["seen"].keys() == wanted.keys()
    assert len(wanted) == 2 * 2 + 2 * 3
    for at, values_there in found["seen"].items():
        for name, numbers_there in values_there.items():
            expected = wanted[at][name]
            got = torch.tensor(numbers_there).view(expected.shape)
            torch.testing.assert_close(got, expected, atol=CLOSE, rtol=CLOSE, msg=f"{at} {name}")


def test_caches_change_nothing(runtime: Page) -> None:
    """Fed one by one with caches, or read as a whole: the same logits."""
    largest = runtime.evaluate(
        """text => {
            const { src, tgt, logits } = model.translate(reading.numbers(text));
            const memory = model.encode(src);
            const caches = model.newCaches();
            const fed = [transformer.BOS, ...tgt.slice(0, -1)].flatMap(
                id => [...model.decode([id], memory, { caches }).data]);
            return Math.max(...fed.map((logit, i) => Math.abs(logit - logits.data[i])));
        }""",
        TEXT,
    )
    assert largest < CLOSE


def test_each_rule_can_be_switched_off(runtime: Page, translator: Translator) -> None:
    """Without scale, mask or positions the model is the one that PyTorch makes without them."""
    text = "one thousand eight hundred and fifty-one"  # without the mask it goes wrong
    found = runtime.evaluate(
        """text => ["scale", "mask", "positions"].map(name => {
            const rules = { ...transformer.WHOLE, [name]: transformer.BROKEN[name] };
            const { tgt, logits } = model.translate(reading.numbers(text), { rules });
            return { name, tgt, logits: [...logits.data] };
        })""",
        text,
    )
    for one in found:
        wanted = without(one["name"], translator, text, one["tgt"])
        got = torch.tensor(one["logits"]).view(wanted.shape)
        # Without the scale the scores, and so the differences, are √32 times as large.
        torch.testing.assert_close(got, wanted, atol=1e-3, rtol=1e-3, msg=one["name"])
        # Written word by word; without the mask, all that was written is read anew each time.
        newest = [
            without(one["name"], translator, text, one["tgt"][: n + 1])[-1].argmax()
            for n in range(len(one["tgt"]))
        ]
        assert [int(i) for i in newest] == one["tgt"]


REMOVED: list[dict[str, list[int]]] = [
    {"encoder.blocks.0.attention": [2]},
    {"decoder.blocks.1.self_attention": [0, 3]},
    {"decoder.blocks.1.cross_attention": [1, 2, 3]},
    {"encoder.blocks.1.attention": [0, 1, 2, 3], "decoder.blocks.0.cross_attention": [1]},
]


def without_heads(translator: Translator, removed: dict[str, list[int]]) -> Translator:
    """A copy in which W_O's columns for these heads are 0, so that they add nothing."""
    copy = script.rounded_translator(translator)
    for at, heads in removed.items():
        attention = copy.model.get_submodule(at)
        weight = attention.out_proj.weight.data  # type: ignore[union-attr]
        for h in heads:
            weight[:, h * attention.d_head : (h + 1) * attention.d_head] = 0  # type: ignore[operator]
    return copy


@torch.no_grad()
@pytest.mark.parametrize("removed", REMOVED, ids=str)
def test_heads_can_be_removed(
    runtime: Page, translator: Translator, removed: dict[str, list[int]]
) -> None:
    texts = ["five hundred and twenty-four", TEXT, "one thousand two hundred and three", "23456"]
    found = runtime.evaluate(
        """([texts, removed]) => texts.map(text => {
            const rules = { ...transformer.WHOLE, removed };
            const { src, tgt, logits, written } = model.translate(reading.numbers(text), { rules });
            return { src, tgt, written, logits: [...logits.data] };
        })""",
        [texts, removed],
    )
    pruned = without_heads(translator, removed)
    assert [one["written"] for one in found] == pruned.translate(texts)
    for one in found:
        tgt = torch.tensor([[BOS, *one["tgt"][:-1]]])
        wanted = pruned.model(torch.tensor([one["src"]]), tgt)[0]
        got = torch.tensor(one["logits"]).view(wanted.shape)
        torch.testing.assert_close(got, wanted, atol=1e-3, rtol=0)
        whole = translator.model(torch.tensor([one["src"]]), tgt)[0]
        assert not torch.allclose(got, whole, atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize("side", ["src", "tgt"])
def test_positions_can_be_off_on_one_side(runtime: Page, translator: Translator, side: str) -> None:
    found = runtime.evaluate(
        """([text, side]) => {
            const positions = { ...transformer.WHOLE.positions, [side]: false };
            const rules = { ...transformer.WHOLE, positions };
            const { src, tgt, logits } = model.translate(reading.numbers(text), { rules });
            return { src, tgt, logits: [...logits.data] };
        }""",
        ["1203", side],
    )
    model = without_positions(translator, side).model
    wanted = model(torch.tensor([found["src"]]), torch.tensor([[BOS, *found["tgt"][:-1]]]))[0]
    got = torch.tensor(found["logits"]).view(wanted.shape)
    torch.testing.assert_close(got, wanted, atol=1e-3, rtol=0)
    assert wanted.argmax(-1).tolist() == found["tgt"]


def without_positions(translator: Translator, *sides: str) -> Translator:
    copy = script.rounded_translator(translator)
    for side in sides:
        getattr(copy.model, f"{side}_position")._embed = lambda x, positions: x
    return copy


@torch.no_grad()
def without(rule: str, translator: Translator, text: str, tgt: list[int]) -> Tensor:
    model = without_positions(translator, *(("src", "tgt") if rule == "positions" else ())).model
    for name, module in model.named_modules():
        if rule == "scale" and name.endswith(".core"):
            module.scale = 1.0
    src, tgt_in = source(translator, text), torch.tensor([[BOS, *tgt[:-1]]])
    if rule != "mask":
        return model(src, tgt_in)[0]
    x = model._embed(tgt_in, model.tgt_embedding, model.tgt_position, torch.arange(len(tgt))[None])
    return model.output(model.decoder(x, model.encode(src)))[0]


# --- writing, against minitx.generate ---------------------------------------------------------

LIMIT = 16
CHOICES = [
    {"temperature": 1.0, "top_k": None, "top_p": 1.0},
    {"temperature": 0.5, "top_k": None, "top_p": 0.9},
    {"temperature": 2.0, "top_k": 3, "top_p": 1.0},
    {"temperature": 3.0, "top_k": 10, "top_p": 0.35},
    {"temperature": 1.0, "top_k": 1, "top_p": 0.05},
    {"temperature": 1.0, "top_k": 100, "top_p": 0.999},
]


def source_ids(translator: Translator) -> list[list[int]]:
    """Numbers never seen, and as many rows of words that are no number: there nobody is sure."""
    chance = torch.Generator().manual_seed(0)
    texts = [english for english, _ in numbers.split().test[:: 2300 // 14]][:15]
    known = [translator.encode(text) for text in texts]
    lots = [torch.randint(4, len(translator.src), (5,), generator=chance) for _ in texts]
    return [[*ids, EOS] for ids in (*known, *(each.tolist() for each in lots))]


@torch.no_grad()
def test_greedy_writes_minitxs_tokens_and_counts_its_work(
    runtime: Page, translator: Translator
) -> None:
    sources = source_ids(translator)
    found = runtime.evaluate(
        """([sources, maxNewTokens]) => sources.map(src => [true, false].map(cached => {
            const decoding = new generate.Decoding(model, model.encode(src), { cached });
            const written = generate.greedy(decoding, { prompt: [transformer.BOS], maxNewTokens });
            return { written, ...decoding.work };
        }))""",
        [sources, LIMIT],
    )
    for src, (cached, anew) in zip(sources, found, strict=True):
        decoding = TranslationDecoding(translator.model, torch.tensor([src]))
        begin = torch.tensor([[BOS]])
        wanted = greedy(decoding, begin, max_new_tokens=LIMIT, eos_id=EOS)[0].tolist()
        assert cached["written"] == anew["written"] == wanted
        T = len(wanted)
        assert (cached["computed"], anew["computed"]) == (T, T * (T + 1) // 2)
        assert (cached["otherwise"], anew["otherwise"]) == (anew["computed"], cached["computed"])


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_what_is_cut_is_what_minitx_cuts(runtime: Page, choice: dict[str, Any]) -> None:
    logits = 3 * torch.randn(200, 71, generator=torch.Generator().manual_seed(1)).double()
    logits[::10] = logits[::10].round()  # ties
    if choice["top_p"] < 1:
        logits[::10] += 1e-3 * torch.arange(71)  # which of two equals goes is left open
    found = runtime.evaluate(
        """([rows, { temperature, top_k: topK, top_p: topP }]) => rows.map(logits =>
            [...generate.truncated(logits, { temperature, topK, topP })].map(String))""",
        [logits.tolist(), choice],
    )
    got = torch.tensor([[float(n.replace("Infinity", "inf")) for n in row] for row in found])
    wanted = truncated(logits, **choice).float()
    assert torch.equal(got.isinf(), wanted.isinf())
    torch.testing.assert_close(got, wanted, atol=1e-6, rtol=1e-6)
    # `kept` is a proper part wherever something is to be cut.
    assert bool(wanted.isinf().any()) == (choice["top_k"] not in (None, 100) or choice["top_p"] < 1)


def test_draws_have_their_shares(runtime: Page) -> None:
    shares = torch.tensor([0.0, 0.5, 0.0, 0.2, 0.3, 0.0])
    drawn = runtime.evaluate(
        """shares => [...Array(1000).keys()].map(i => generate.draw(shares, (i + 0.5) / 1000))""",
        shares.tolist(),
    )
    counts = torch.tensor(drawn).bincount(minlength=6)
    assert (counts - 1000 * shares).abs().max() <= 1
    # Rounded, the shares may not quite reach a chance near 1: the last that has one is drawn.
    assert runtime.evaluate("generate.draw([0.25, 0.7499, 0], 0.99999)") == 1


def test_the_same_seed_gives_the_same_chances(runtime: Page) -> None:
    found = runtime.evaluate(
        """[1, 2, 2].map(seed => {
            const next = generate.chances(seed);
            return [...Array(400)].map(() => next());
        })"""
    )
    for seed, got in zip((1, 2, 2), found, strict=True):
        x = seed + 1
        wanted = [x := 16807 * x % (2**31 - 1) for _ in range(403)][3:]
        assert got == pytest.approx([x / (2**31 - 1) for x in wanted], abs=1e-12)
        counts = torch.histc(torch.tensor(got), bins=10, min=0, max=1)
        assert counts.min() > 20  # of 40: four standard deviations of √(400 · 0.1 · 0.9) = 6 away
    assert found[0] != found[1] == found[2]


class Noted(TranslationDecoding):
    """Keeps which tokens each row of the batch has read, after every step."""

    def __init__(self, *args: Any, **rules: Any) -> None:
        super().__init__(*args, **rules)
        self.rows, self.steps = [list[int]()], list[list[list[int]]]()

    def feed(self, token_ids: Tensor) -> Tensor:
        pairs = zip(self.rows, token_ids.tolist(), strict=True)
        self.rows = [[*row, *new] for row, new in pairs]
        self.steps.append([row[1:] for row in self.rows])
        return super().feed(token_ids)

    def reorder(self, rows: Tensor) -> None:
        self.rows = [self.rows[i] for i in rows.tolist()]
        super().reorder(rows)


@torch.no_grad()
@pytest.mark.parametrize("penalty", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("num_beams", [2, 3, 4])
def test_beams_and_scores_are_minitxs(
    runtime: Page, translator: Translator, num_beams: int, penalty: float
) -> None:
    sources = source_ids(translator)[::2]
    found = runtime.evaluate(
        """([sources, numBeams, lengthPenalty, maxNewTokens]) => sources.map(src => {
            const decoding = new generate.Decoding(model, model.encode(src));
            const search = new generate.BeamSearch(decoding,
                { prompt: [transformer.BOS], numBeams, lengthPenalty, maxNewTokens });
            const beams = [];
            while (!search.isDone) {
                search.step();
                if (search.beams.length) beams.push(search.beams.map(({ ids }) => ids));
            }
            const kept = search.steps.map(top => top.filter(({ fate }) => fate === "kept").length);
            return { ids: search.best.ids, score: search.best.score, beams, kept };
        })""",
        [sources, num_beams, penalty, LIMIT],
    )
    for src, one in zip(sources, found, strict=True):
        decoding = Noted(translator.model, torch.tensor([src]))
        wanted, scores = beam_search(
            decoding, torch.tensor([[BOS]]), num_beams=num_beams, max_new_tokens=LIMIT,
            eos_id=EOS, length_penalty=penalty,
        )  # fmt: skip
        T = len(one["ids"])
        assert one["ids"] == wanted[0, :T].tolist()
        assert set(wanted[0, T:].tolist()) <= {EOS}
        assert one["score"] == pytest.approx(float(scores[0]), abs=1e-4)
        assert one["beams"] == decoding.steps[1:]
        assert set(one["kept"][:-1]) <= {num_beams}


@pytest.fixture(scope="module")
def page_writer() -> writer.PageWriter:
    return writer.read(LETTERS)


@torch.no_grad()
def test_logits_of_the_gpt(runtime: Page, page_writer: writer.PageWriter) -> None:
    """As a whole, and fed in three parts with caches."""
    model, vocabulary = page_writer.model()
    text = (
        'The function "isinstance()" returns True if its first argument is an instance of it.\n\n'
    )
    ids = vocabulary.encode(2 * text)
    found = runtime.evaluate(
        """ids => {
            const caches = gpt.newCaches();
            const cuts = [[0, 7], [7, 8], [8, ids.length]];
            const fed = cuts.flatMap(
                cut => [...gpt.decode(ids.slice(...cut), null, { caches }).data]);
            return [[...gpt.decode(ids, null).data], fed];
        }""",
        ids,
    )
    wanted = model(torch.tensor([ids]))[0]
    for got in found:
        torch.testing.assert_close(torch.tensor(got).view(wanted.shape), wanted, atol=1e-3, rtol=0)


def test_the_gpts_file_says_how_good_it_is(page_writer: writer.PageWriter) -> None:
    about = LETTERS.read_text(encoding="utf-8")
    [said] = re.findall(r"On text never seen: ([\d.]+) bits per character in 8 bits", about)
    model, vocabulary = page_writer.model()
    data = corpus.Corpus.of(corpus.read(None), length=64)  # in this Python's version
    characters = data.vocabulary.decode(data.validation.tolist())
    validation = torch.tensor(vocabulary.encode("".join(characters)))
    batch = window_batches(validation, length=64, batch_size=corpus.VALIDATION_PIECES)(0)
    with torch.no_grad():
        loss, count = small_gpt.loss_sum(model.eval(), batch)
    # 2.48 with the text of Python 3.11.2, 2.60 with 3.11.7's; characters mixed up give 3.34.
    assert float(loss / count) / math.log(2) == pytest.approx(float(said), abs=0.3)
    assert LETTERS.stat().st_size <= 300_000


def test_the_file_says_how_good_it_is(translator: Translator) -> None:
    about = WEIGHTS.read_text(encoding="utf-8")
    [count] = re.findall(r"numbers of whole ranges never seen: ([\d,]+) of 2,300 in 8 bits", about)
    assert scored(translator, numbers.split().test).right == int(count.replace(",", ""))


def test_what_a_page_loads_is_small() -> None:
    ours = [*EXTRA.glob("panels/*.js"), *STATIC.glob("*.js")]
    assert sum(path.stat().st_size for path in ours) < 200_000
    assert WEIGHTS.stat().st_size <= script.LARGEST_SCRIPT


def test_the_panels_scripts_name_no_host() -> None:
    for path in EXTRA.glob("panels/*.js"):
        assert re.findall(r"https?:", path.read_text(encoding="utf-8")) == []


# --- reading ---------------------------------------------------------------------------------


def test_every_number_is_read_as_minitx_reads_it(runtime: Page) -> None:
    pairs = numbers.pairs()
    found = runtime.evaluate(
        """texts => texts.map((text, n) => [text, String(n)].map(
            typed => reading.numbers(typed).join("")))""",
        [english for english, _ in pairs],
    )
    assert found == [[numbers.plain(english)] * 2 for english, _ in pairs]


@pytest.mark.parametrize(
    "typed",
    [
        "281", "0281", "23,999", "1 234", "  Two  HUNDRED and  Eighty—one ", "one thousand, one",
        "two\u00a0hundred", "zero", "nineteen thousand and eighty",
    ],
)  # fmt: skip
def test_what_is_typed_is_read_as_minitx_reads_it(runtime: Page, typed: str) -> None:
    assert runtime.evaluate("typed => reading.numbers(typed)", typed) == NUMBERS.tokens(typed)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "Nothing was typed."),
        ("twenty fourty", "Not understood: “fourty”."),
        ("24000", "24000 is too large."),
        ("-3", "Not understood: “3”."),
        ("hundred two", "“hundred two” is no number as one says it."),
    ],
)
def test_what_is_no_number_is_told_so(runtime: Page, typed: str, said: str) -> None:
    with pytest.raises(ValueError):
        NUMBERS.tokens(typed)
    answer = runtime.evaluate(
        "typed => { try { return reading.numbers(typed); } catch (e) { return e.message; } }", typed
    )
    assert answer == (
        f"{said} Wanted: a whole number from 0 to 23,999, in English words or in digits."
    )


# --- loading ---------------------------------------------------------------------------------


def scripts(page: Page) -> set[str]:
    names = page.evaluate(
        "[...document.scripts].map(script => script.src.split('/_extra/panels/')[1])"
    )
    return {name for name in names if name}


def test_a_page_without_a_panel_loads_nothing(opened: Any) -> None:
    assert scripts(opened("<p>no panel</p>").page) == set()


def test_a_panel_is_loaded_when_it_comes_near(opened: Any) -> None:
    far = '<div style="height: 5000px"></div>'
    page = opened(far, place("translate")).page
    # Who begins to watch a place last is told last that it is far: the panel's own watcher knows.
    page.evaluate(
        """() => new Promise(told => {
            new IntersectionObserver(told).observe(document.querySelector(".panel"));
        })"""
    )
    assert scripts(page) == set()
    assert page.get_by_text("a worked example").count() == 1
    page.locator(".panel").scroll_into_view_if_needed()
    page.locator(".panel-ready").wait_for()
    loaded = {"runtime.js", "reading.js", "parts.js", "panel-translate.js", "models/numbers.js"}
    assert scripts(page) == loaded


def test_a_panel_is_loaded_when_it_gets_the_focus(opened: Any) -> None:
    far = '<div style="height: 5000px"></div>'
    page = opened(far, place("translate").replace("<p>", '<p tabindex="0">')).page
    page.evaluate("document.querySelector('.panel p').focus({ preventScroll: true })")
    page.locator(".panel-ready").wait_for()


def test_where_the_model_is_missing_the_example_stays(opened: Any) -> None:
    page = opened(place("translate").replace('data-model="numbers"', 'data-model="letters"'))
    error = page.page.locator(".panel-error")
    error.wait_for()
    assert error.inner_text() == (
        "The model does not run here: panels/models/letters.js cannot be loaded."
    )
    assert page.page.get_by_text("a worked example").is_visible()
    assert all("ERR_FILE_NOT_FOUND" in line for line in page.said)
    page.said.clear()


def test_without_scripts_the_example_stands_there(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    (tmp_path / "page.html").write_text(PAGE % place("head"), encoding="utf-8")
    page.goto((tmp_path / "page.html").as_uri())
    assert page.get_by_text("a worked example").is_visible()
    context.close()


def test_on_paper_the_example_stands_there(opened: Any) -> None:
    page = opened(place("head"))
    panel = page.panel()
    assert not page.page.get_by_text("a worked example").is_visible()
    page.page.emulate_media(media="print")
    assert page.page.get_by_text("a worked example").is_visible()
    assert not panel.locator(".panel-live").is_visible()


# --- the panels ------------------------------------------------------------------------------


def test_a_number_is_translated_as_it_is_typed(opened: Any, translator: Translator) -> None:
    page = opened(place("translate"))
    panel = page.panel()
    field = panel.get_by_label("A number, in English words or in digits")
    assert panel.locator(".panel-answer strong").inner_text() == "deux cent quatre-vingt-un"
    field.fill("1971")
    field.press("Enter")
    words = panel.locator(".panel-answer strong")
    assert [words.inner_text()] == translator.translate(["1971"])
    assert "one thousand nine hundred seventy one" in panel.locator(".panel-answer").inner_text()
    field.fill("nineteen fourty")
    field.press("Enter")
    assert panel.get_by_role("alert").inner_text().startswith("Not understood: “fourty”.")
    assert field.get_attribute("aria-invalid") == "true"
    assert [words.inner_text()] == translator.translate(["1971"])  # the last answer stays


def test_the_alignment_is_that_of_the_last_block(opened: Any, translator: Translator) -> None:
    from minitx.projects.alignment import align

    aligned = align(translator, TEXT)
    panel = opened(place("translate", text=TEXT)).panel()
    shown = values(panel.locator(".panel-map"))
    wanted = aligned.weights[-1].mean(dim=0)
    torch.testing.assert_close(shown, wanted, atol=CLOSE, rtol=0)
    assert panel.locator(".panel-map thead th").all_inner_texts()[1:] == aligned.source
    written = [token.strip() for token in aligned.target]
    assert panel.locator(".panel-map tbody th").all_inner_texts() == written


def values(table: Locator) -> Tensor:
    """The numbers of a table's buttons, with all their digits."""
    rows = table.locator("tbody tr").evaluate_all(
        """rows => rows.map(row =>
            [...row.querySelectorAll("[data-value]")].map(button => button.dataset.value))"""
    )
    return torch.tensor([[float(number) for number in row] for row in rows])


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_a_head_shows_minitxs_numbers(opened: Any, translator: Translator, kind: str) -> None:
    layer, head, query = 2, 3, 2
    tgt = translator.tgt.encode(NUMBERS.cut(translator.translate([TEXT])[0]))
    name = {"encoder": "attention", "decoder": "self_attention", "cross": "cross_attention"}[kind]
    at = f"{'encoder' if kind == 'encoder' else 'decoder'}.blocks.{layer - 1}.{name}"
    seen = {n: x[head - 1] for n, x in watched(translator, TEXT, [*tgt, EOS])[at].items()}
    panel = opened(place("head", text=TEXT, kind=kind, layer=layer, head=head)).panel()

    close = {"atol": CLOSE, "rtol": CLOSE}
    torch.testing.assert_close(values(panel.locator(".panel-map")), seen["weights"], **close)
    panel.locator(f".panel-map tbody tr:nth-child({query + 1}) button").first.click()
    assert panel.locator(".panel-map tr.panel-chosen").count() == 1
    assert panel.locator(".panel-asked").count() == 1
    columns = ["products", "scores", *(["masked"] if kind == "decoder" else []), "weights"]
    steps = torch.stack([seen[column][query] for column in columns], dim=1)
    torch.testing.assert_close(values(panel.locator(".panel-steps")), steps, **close)
    vectors = torch.cat(
        [seen["q"][query : query + 1], seen["k"], seen["v"], seen["mixture"][query : query + 1]]
    )
    torch.testing.assert_close(values(panel.locator(".panel-vectors")), vectors[:, :4], **close)
    panel.get_by_role("button", name="all 32 features").press("Enter")
    torch.testing.assert_close(values(panel.locator(".panel-vectors")), vectors, **close)
    assert panel.get_by_role("button", name="only the first 4").is_visible()


def test_the_next_word(opened: Any, translator: Translator) -> None:
    french = translator.translate([TEXT])[0]
    tgt = [BOS, *translator.tgt.encode(NUMBERS.cut(french))]
    with torch.no_grad():
        logits = translator.model(source(translator, TEXT), torch.tensor([tgt]))[0, 0]
    panel = opened(place("head", text=TEXT, kind="cross")).panel()
    best = logits.topk(5)
    words = panel.locator(".panel-next tbody th").all_inner_texts()
    assert words == [translator.tgt.tokens[i].strip() for i in best.indices]
    shown = values(panel.locator(".panel-next"))
    torch.testing.assert_close(shown[:, 0], best.values, atol=1e-3, rtol=0)
    shares = logits.softmax(-1)[best.indices]
    torch.testing.assert_close(shown[:, 1], shares, atol=CLOSE, rtol=0)


def test_every_number_tells_how_it_was_computed(opened: Any) -> None:
    """With the keyboard alone; the result told is the number pressed."""
    page = opened(place("head", text=TEXT, kind="decoder", layer=2, head=1))
    panel, keyboard = page.panel(), page.page.keyboard
    how = panel.locator(".panel-how")
    for table in (".panel-map", ".panel-steps", ".panel-vectors", ".panel-next"):
        stops = panel.locator(f"{table} button[tabindex='0']")
        assert stops.count() == 1
        rows = panel.locator(f"{table} tbody tr").count()
        visited = 0
        stops.focus()
        for row in range(rows):
            keyboard.press("Home")
            while True:
                visited += 1
                shown = page.page.evaluate("document.activeElement.textContent")
                keyboard.press("Enter")
                told = how.locator("p").nth(1).inner_text()
                if shown not in ("", "−∞"):
                    assert tells(told, shown), (table, row, shown, told)
                elif shown:
                    assert "becomes −∞" in told
                else:
                    assert told.startswith("softmax = e^(−∞) / (") and "= 0.000;" in told
                before = page.page.evaluate("document.activeElement.ariaLabel")
                keyboard.press("ArrowRight")
                if page.page.evaluate("document.activeElement.ariaLabel") == before:
                    break
            keyboard.press("ArrowDown")
        assert visited == panel.locator(f"{table} button").count() > rows


def tells(told: str, shown: str) -> bool:
    """Whether a number stands in a sentence, maybe with a digit more."""
    found = re.findall(r"−?\d+\.\d+", told)
    return any(
        abs(float(n.replace("−", "-")) - float(shown.replace("−", "-"))) < 0.0051 for n in found
    )


def test_nothing_covers_the_tables_before_a_number_was_asked_for(opened: Any) -> None:
    page = opened(place("head"))
    look(page.page, "light", 375)
    how = page.panel().locator(".panel-how")
    assert how.evaluate("e => [e.offsetHeight, getComputedStyle(e).position]") == [0, "static"]
    page.panel().locator(".panel-map button").first.press("Enter")
    assert how.evaluate("e => e.offsetHeight > 0 && getComputedStyle(e).position") == "sticky"


def test_a_head_just_switched_off_is_not_covered_by_what_that_does(opened: Any) -> None:
    """The box at the bottom of a phone's screen appears where the tick was."""
    page = opened(place("heads", text=TEXT))
    look(page.page, "light", 375)
    boxes = page.panel().locator(".panel-heads input")
    for number in (2, 7, 20):
        box = boxes.nth(number)
        box.evaluate("e => scrollBy(0, e.getBoundingClientRect().bottom + 8 - innerHeight)")
        box.click()
        box = page.panel().locator(".panel-heads input").nth(number)
        on_top = """e => {
            const { left, top, width, height } = e.getBoundingClientRect();
            return document.elementFromPoint(left + width / 2, top + height / 2) === e;
        }"""
        assert not box.is_checked() and box.evaluate(on_top)


def test_broken_on_purpose(opened: Any) -> None:
    page = opened(place("head", text=TEXT, kind="decoder"))
    panel = page.panel()
    answer = panel.locator(".panel-answer")
    whole = answer.inner_text()
    assert panel.locator(".panel-forbidden").count() > 0
    panel.get_by_label("no mask").press("Space")
    assert panel.locator(".panel-forbidden").count() == 0
    panel.get_by_label("no mask").press("Space")
    assert answer.inner_text() == whole
    panel.get_by_label("no scale").press("Space")
    steps = values(panel.locator(".panel-steps"))
    assert torch.equal(steps[:, 0], steps[:, 1])
    panel.get_by_label("no scale").press("Space")
    # Without positions the order of the words is lost: the encoder reads a bag of them. (The
    # first word of a text is another token: it has no blank before it.)
    panel.get_by_label("no positions").press("Space")
    answers = set()
    for text in ("1203", "1302"):
        panel.get_by_label("A number").fill(text)
        panel.get_by_label("A number").press("Enter")
        answers.add(panel.locator(".panel-answer strong").inner_text())
    assert len(answers) == 1


def cross_weights(translator: Translator, text: str, layer: int) -> Tensor:
    written = translator.tgt.encode(NUMBERS.cut(translator.translate([text])[0]))
    seen = watched(translator, text, [*written, EOS])
    return seen[f"decoder.blocks.{layer - 1}.cross_attention"]["weights"]


@torch.no_grad()
def mean_probability(translator: Translator, text: str, words: str) -> float:
    """How probable a translation's words are, each after those before it, on average."""
    tgt = [*translator.tgt.encode(NUMBERS.cut(words)), EOS]
    logits = translator.model(source(translator, text), torch.tensor([[BOS, *tgt[:-1]]]))[0]
    return float(logits.softmax(-1)[range(len(tgt)), tgt].mean())


def test_all_heads_are_shown_and_what_each_does_alone(opened: Any, translator: Translator) -> None:
    panel = opened(place("heads", text=TEXT)).panel()
    grid = panel.locator(".panel-heads")
    rows = grid.locator("tbody th").all_inner_texts()
    assert rows == [f"{kind} {n}" for kind in ("encoder", "decoder", "cross") for n in (1, 2)]
    places = [
        f"{stack}.blocks.{layer}.{name}"
        for stack, name in (
            ("encoder", "attention"), ("decoder", "self_attention"), ("decoder", "cross_attention"),
        )
        for layer in range(2)
    ]  # fmt: skip
    [words] = translator.translate([TEXT])
    shown = grid.locator("label").all_inner_texts()
    changing = 0
    for n, text in enumerate(shown):
        pruned = without_heads(translator, {places[n // 4]: [n % 4]})
        same = pruned.translate([TEXT]) == [words]
        changing += not same
        assert text.startswith("≠") == (not same)
        wanted = 100 * mean_probability(pruned, TEXT, words)
        assert float(text.strip("≠ %")) == pytest.approx(wanted, abs=0.51)
    assert len(shown) == 24
    # The small pictures: a square wherever more than 2 % lies.
    seen = watched(translator, TEXT, [*translator.tgt.encode(NUMBERS.cut(words)), EOS])
    pictures = grid.locator("svg").all()
    for n, picture in enumerate(pictures):
        squares = picture.locator("path").evaluate_all("all => all.map(e => e.getAttribute('d'))")
        places_drawn = {tuple(map(int, re.findall(r"(\d+)", d)[1::-1])) for d in squares}
        weights = seen[places[n // 4]]["weights"][n % 4]
        assert places_drawn == {(int(i), int(j)) for i, j in (weights > 0.02).nonzero()}
    assert changing == 1  # the example of this test: the encoder's head 3 in layer 1
    assert panel.locator(".playable-help").first.inner_text() == (
        "Of the 24 heads, only one changes this translation when it is switched off alone: "
        "head 3 of the encoder's self-attention, layer 1."
    )


def test_heads_are_chosen_and_switched_off_by_keyboard(opened: Any, translator: Translator) -> None:
    page = opened(place("heads", text=TEXT))
    panel, keyboard = page.panel(), page.page.keyboard
    words = panel.locator(".panel-answer strong")
    how = panel.locator(".panel-how")
    [whole] = translator.translate([TEXT])
    assert words.inner_text() == whole
    assert how.evaluate("e => e.offsetHeight") == 0
    # The large map is that of the head that is pressed; one tab stop for all of them.
    pictures = panel.locator(".panel-head-picture[tabindex='0']")
    assert pictures.count() == 1
    pictures.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        keyboard.press(key)
    weights = cross_weights(translator, TEXT, layer=1)[1]
    close = {"atol": CLOSE, "rtol": 0}
    torch.testing.assert_close(values(panel.locator(".panel-map")), weights, **close)
    # The third head of the first row is switched off.
    boxes = panel.locator(".panel-heads input[tabindex='0']")
    assert boxes.count() == 1
    boxes.focus()
    for key in ("ArrowRight", "ArrowRight", "Space"):
        keyboard.press(key)
    [pruned] = without_heads(translator, REMOVED[0]).translate([TEXT])
    assert whole != pruned == words.inner_text()
    mean = mean_probability(without_heads(translator, REMOVED[0]), TEXT, whole)
    assert how.inner_text().replace("\n\n", "\n") == (
        f"Without head 3 of the encoder's self-attention, layer 1, “{whole}” becomes “{pruned}”.\n"
        f"The words of “{whole}” have a probability of {100 * mean:.0f} % on average, with all "
        f"heads {100 * mean_probability(translator, TEXT, whole):.0f} %."
    )
    # The focus stays where it was, and the same key switches the head on again.
    keyboard.press("Space")
    assert words.inner_text() == whole
    assert how.evaluate("e => e.offsetHeight") == 0


def test_several_heads_off_and_the_whole_set_back_on(opened: Any, translator: Translator) -> None:
    panel = opened(place("heads", text="524")).panel()
    words = panel.locator(".panel-answer strong")
    whole = words.inner_text()
    panel.get_by_role("button", name="Only the head shown").press("Enter")
    only_first = without_heads(translator, REMOVED[2])
    assert [words.inner_text()] == only_first.translate(["524"]) != [whole]
    assert panel.locator(".panel-heads input:not(:checked)").count() == 3
    assert "With 3 of 24 heads off" in panel.locator(".panel-how").inner_text()
    # Switched off, heads stay so for the next number.
    panel.get_by_label("A number").fill("712")
    panel.get_by_label("A number").press("Enter")
    assert [words.inner_text()] == only_first.translate(["712"])
    panel.get_by_role("button", name="No head in this attention").press("Enter")
    assert panel.locator(".panel-heads input:not(:checked)").count() == 4
    panel.get_by_role("button", name="All heads on").press("Enter")
    assert [words.inner_text()] == translator.translate(["712"])
    assert panel.locator(".panel-heads input:not(:checked)").count() == 0


def in_order(translator: Translator, tokens: list[str]) -> tuple[str, Tensor, Tensor]:
    """What is written for tokens in any order; encoder vectors; weights of its first head."""
    model = translator.model
    src = torch.tensor([[*translator.src.encode(tokens), EOS]])
    kept: list[Tensor] = []

    def note(_: object, qkv: tuple[Tensor, ...]) -> None:
        kept.append(attention_scores(*qkv[:2])[0, 0].softmax(-1))

    handle = model.get_submodule("encoder.blocks.0.attention.core").register_forward_pre_hook(note)
    with torch.no_grad():
        memory = model.encode(src)[0]
    handle.remove()
    tgt = [BOS]
    with torch.no_grad():
        while len(tgt) < 17 and tgt[-1] != EOS:
            tgt.append(int(model(src, torch.tensor([tgt]))[0, -1].argmax()))
    return "".join(translator.tgt.decode(tgt[1:])), memory, kept[0]


# A word moved by two places: what undoes a move of one is that move itself.
ORDER = ["one", " two", " hundred", " thousand", " three"]


@pytest.mark.parametrize("positions", ["on", "off"])
def test_a_word_is_moved(opened: Any, translator: Translator, positions: str) -> None:
    page = opened(place("positions", text="1203"))
    panel, keyboard = page.panel(), page.page.keyboard
    if positions == "off":
        for side in ("encoder", "decoder"):
            panel.get_by_label(f"in the {side}").press("Space")
        translator = without_positions(translator, "src", "tgt")
    typed = ["one", " thousand", " two", " hundred", " three"]
    panel.get_by_role("button", name="thousand", exact=True).focus()
    keyboard.press("ArrowRight")
    keyboard.press("ArrowRight")
    assert panel.locator(".panel-chip").all_inner_texts() == [word.strip() for word in ORDER]
    assert page.page.evaluate("document.activeElement.textContent") == "thousand"
    before, after = in_order(translator, typed), in_order(translator, ORDER)
    assert panel.locator(".panel-answer strong").all_inner_texts() == [before[0], after[0]]
    maps = panel.locator(".panel-map")
    for n, (_, _, weights) in enumerate((before, after)):
        torch.testing.assert_close(values(maps.nth(n)), weights, atol=CLOSE, rtol=0)
    verdict = panel.locator(".panel-verdict").inner_text()
    back = [0, 3, 1, 2, 4, 5]
    change = (after[1][back] - before[1]).norm(dim=-1) / before[1].norm(dim=-1)
    if positions == "off":
        assert float(change.max()) < 1e-5
        assert before[0] == after[0]
        assert verdict.startswith("The encoder's vectors are the same, in another order:")
        assert "The translation stays the same: the decoder sees only these vectors" in verdict
        assert "gave “mille deux cent trois”" in verdict
    else:
        word = [*typed, "⟨end⟩"][int(change.argmax())].strip()
        assert verdict.startswith(
            "The encoder's vectors are others now: they have changed by "
            f"{100 * change.min():.0f} % to {100 * change.max():.0f} % of their length, "
            f"that of “{word}” most."
        )
    # A weight tells what it was before the move, or is after it.
    maps.nth(1).locator("tbody tr").nth(1).locator("button").nth(3).press("Enter")
    told = f"“two” gives “thousand” {after[2][1, 3]:.2f} of its attention; "
    told += f"before the move {before[2][2, 1]:.2f}."
    assert panel.get_by_text(told, exact=True).count() == 1
    maps.nth(0).locator("tbody tr").nth(2).locator("button").nth(1).press("Enter")
    assert panel.get_by_text(f"after the move {after[2][1, 3]:.2f}.").count() == 1


def test_words_that_change_places_are_another_number(opened: Any, translator: Translator) -> None:
    """1203 becomes 1302 with the buttons; what the model has learned is written for it."""
    panel = opened(place("positions", text="1203")).panel()
    chips = panel.locator(".panel-chip")
    left, right = (panel.get_by_role("button", name=f"to the {side}") for side in ("left", "right"))
    assert left.is_disabled()
    chips.nth(2).press("Enter")  # two
    for _ in range(2):
        right.press("Enter")
    assert right.is_disabled()
    chips.nth(3).press("Enter")  # three
    left.press("Enter")
    assert chips.all_inner_texts() == ["one", "thousand", "three", "hundred", "two"]
    words = panel.locator(".panel-answer strong")
    assert words.all_inner_texts() == translator.translate(["1203", "1302"])
    verdict = panel.locator(".panel-verdict").inner_text()
    assert "“mille deux cent trois” has become “mille trois cent deux”." in verdict
    panel.get_by_role("button", name="Back to the order typed").press("Enter")
    assert words.all_inner_texts() == translator.translate(["1203"])
    panel.get_by_role("button", name="Reverse all").press("Enter")
    assert chips.all_inner_texts() == ["three", "hundred", "two", "thousand", "one"]


@pytest.mark.parametrize("width", [1200, 375])
def test_a_word_is_dragged(opened: Any, width: int) -> None:
    page = opened(place("positions", text="1203"))
    look(page.page, "light", width)
    chips = page.panel().locator(".panel-chip")
    page.panel().scroll_into_view_if_needed()

    def box(n: int) -> dict[str, float]:
        found = chips.nth(n).bounding_box()
        assert found
        return dict(found)

    mouse = page.page.mouse
    start, end = box(0), box(1)
    assert start["width"] < end["width"] / 1.5  # a short word over a long one
    mouse.move(start["x"] + start["width"] / 2, start["y"] + 20)
    mouse.down()
    for share in (0.2, 0.4):
        mouse.move(end["x"] + share * end["width"], end["y"] + 20)
        assert chips.all_inner_texts()[:2] == ["one", "thousand"]
    for share in (0.7, 0.8, 0.9):
        mouse.move(end["x"] + share * end["width"], end["y"] + 20)
        assert chips.all_inner_texts()[:2] == ["thousand", "one"]
    mouse.up()
    far = box(3)
    mouse.move(far["x"] + far["width"] - 2, far["y"] + 20)
    assert chips.all_inner_texts() == ["thousand", "one", "two", "hundred", "three"]
    assert page.panel().locator(".panel-answer").nth(1).inner_text().startswith(
        "Now: thousand one two hundred three → "
    )  # fmt: skip


def test_positions_off_on_one_side(opened: Any, translator: Translator) -> None:
    panel = opened(place("positions", text="1203")).panel()
    verdict = panel.locator(".panel-verdict")
    assert verdict.inner_text() == "Positions are on. No word has been moved."
    panel.get_by_label("in the encoder").press("Space")
    [wanted] = without_positions(translator, "src").translate(["1203"])
    assert panel.locator(".panel-answer strong").all_inner_texts() == [wanted]
    assert verdict.inner_text() == (
        "Positions are off in the encoder. No word has been moved. With positions on both sides, "
        "the words as typed gave “mille deux cent trois”."
    )
    panel.get_by_label("in the decoder").press("Space")
    assert verdict.inner_text().startswith("Positions are off on both sides.")
    panel.get_by_label("in the encoder").press("Space")
    assert verdict.inner_text().startswith("Positions are off in the decoder.")


def stream_rows(translator: Translator, text: str) -> tuple[list[Tensor], list[list[Tensor]]]:
    """Shares of the next word after the embedding and each layer; per sublayer x, added, y."""
    tgt = [*translator.tgt.encode(NUMBERS.cut(translator.translate([text])[0])), EOS]
    seen = {at: x for at, x in streamed(translator, text, tgt).items() if at.startswith("decoder")}
    kept = [[x["x"], x["added"], x["y"]] for x in seen.values()]
    behind = [kept[0][0], kept[2][2], kept[5][2]]
    with torch.no_grad():
        return [translator.model.output(y).softmax(-1) for y in behind], kept


def test_the_stream_is_read_after_every_layer(opened: Any, translator: Translator) -> None:
    page = opened(place("stream", text=TEXT))
    panel, keyboard = page.panel(), page.page.keyboard
    shares, kept = stream_rows(translator, TEXT)
    french = translator.translate([TEXT])[0]
    assert panel.locator(".panel-answer strong").inner_text() == french
    tgt = [*translator.tgt.encode(NUMBERS.cut(french)), EOS]
    best = torch.stack([share.max(-1).values for share in shares], dim=1)
    torch.testing.assert_close(values(panel.locator(".panel-words")), best, atol=CLOSE, rtol=0)
    ids = torch.stack([share.argmax(-1) for share in shares], dim=1)
    names = {EOS: "⟨end⟩", BOS: "⟨start⟩"}
    words = [
        [("" if i == t else "≠ ") + names.get(i, translator.tgt.tokens[i].strip()) for i in row]
        for row, t in zip(ids.tolist(), tgt, strict=True)
    ]
    shown = panel.locator(".panel-words tbody tr").all()
    assert [row.locator("button").all_inner_texts() for row in shown] == words
    assert ids[:, -1].tolist() == tgt
    # The way of another word, chosen by keyboard; one tab stop for all of them.
    stops = panel.locator(".panel-words button[tabindex='0']")
    assert stops.count() == 1
    stops.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        keyboard.press(key)
    said = panel.locator(".playable-help").inner_text()
    top = shares[1][3].topk(3)
    told = [
        f"“{names.get(i, translator.tgt.tokens[i].strip())}” ({100 * share:.0f} %)"
        for i, share in zip(top.indices.tolist(), top.values.tolist(), strict=True)
    ]
    assert said.split(": ")[1] == f"the output layer would write {', '.join(told)} …"
    way = panel.locator(".panel-way tbody tr").all()
    assert len(way) == 7
    for row, (x, added, y) in zip(way[1:], kept, strict=True):
        cells = row.locator("td").all_inner_texts()
        cosine = torch.cosine_similarity(x[3], y[3], dim=0)
        wanted = [added[3].norm(), cosine.acos().rad2deg(), y[3].norm()]
        got = [float(cell.strip("°")) for cell in cells[1:]]
        assert got == pytest.approx([float(n) for n in wanted], abs=0.51)
        assert got[::2] == pytest.approx([float(n) for n in wanted[::2]], abs=0.051)
    assert way[-1].locator("button").inner_text() == names.get(tgt[3], words[3][-1])
    panel.get_by_label("A number").fill("7")
    panel.get_by_label("A number").press("Enter")
    assert panel.locator(".panel-words tbody tr").count() == 2
    assert panel.locator(".panel-chosen th").inner_text() == "sept → ⟨end⟩"


def logits_of(translator: Translator, text: str, ids: list[int]) -> Tensor:
    """Of the token after these."""
    with torch.no_grad():
        return translator.model(source(translator, text), torch.tensor([[BOS, *ids]]))[0, -1]


def bars(panel: Locator) -> tuple[list[str], Tensor]:
    rows = panel.locator(".panel-bars tbody tr")
    shares = values(panel.locator(".panel-bars"))[:, 0]
    return rows.locator("th").all_inner_texts(), shares


def test_greedy_one_token_after_the_other(opened: Any, translator: Translator) -> None:
    """By keyboard; before every token the bars of the distribution it is taken from."""
    page = opened(place("decoding", text=TEXT))
    panel = page.panel()
    [french] = translator.translate([TEXT])
    tgt = [*translator.tgt.encode(NUMBERS.cut(french)), EOS]
    written = panel.locator(".panel-answer strong")
    work = panel.locator(".panel-verdict")
    assert written.inner_text() == "⟨start⟩ …"
    for t in range(len(tgt)):
        names, shares = bars(panel)
        wanted = logits_of(translator, TEXT, tgt[:t]).softmax(-1).sort(descending=True)
        expected = [*wanted.values[:7], wanted.values[7:].sum()]
        torch.testing.assert_close(shares, torch.stack(expected), atol=CLOSE, rtol=0)
        first = "⟨end⟩" if tgt[t] == EOS else translator.tgt.tokens[tgt[t]].strip()
        assert (names[0], names[-1]) == (first, f"{len(translator.tgt) - 7} others")
        assert work.get_attribute("data-computed") == str(t + 1)
        panel.get_by_role("button", name="Next token").press("Enter")
    assert written.inner_text() == french
    assert panel.locator(".panel-bars").count() == 0
    assert panel.get_by_role("button", name="Next token").get_attribute("aria-disabled") == "true"
    T = len(tgt)
    assert work.inner_text().startswith(
        f"Positions computed by the decoder so far: {T} with the cache "
        f"(without it: {T * (T + 1) // 2}). On your machine: "
    )
    panel.get_by_label("cache keys and values").press("Space")
    assert work.inner_text().startswith(
        f"Positions computed by the decoder so far: {T * (T + 1) // 2} without a cache "
        f"(with one: {T}). On your machine: "
    )
    assert written.inner_text() == french
    panel.get_by_label("A number").fill("7")
    panel.get_by_label("A number").press("Enter")
    panel.get_by_role("button", name="To the end").press("Enter")
    assert written.inner_text() == "sept"


def slide(panel: Locator, label: str, value: float) -> None:
    panel.get_by_role("slider", name=label).fill(str(value))


def test_sampling_shows_what_is_cut(opened: Any, translator: Translator) -> None:
    panel = opened(place("decoding", text=TEXT)).panel()
    panel.get_by_role("combobox", name="method").select_option("sampling")
    slide(panel, "temperature", 3)
    logits = logits_of(translator, TEXT, [])
    for top_k, top_p in ((None, 1.0), (3, 1.0), (None, 0.15), (10, 0.5)):
        panel.get_by_role("combobox", name="top-k").select_option(str(top_k or 0))
        slide(panel, "top-p", top_p)
        kept = truncated(logits[None], temperature=3.0, top_k=top_k, top_p=top_p)[0]
        shown = panel.locator(".panel-tabled:has(.panel-bars)")
        ids = kept.isfinite().nonzero()[:, 0].tolist()
        assert shown.get_attribute("data-kept") == ",".join(map(str, ids))
        hot = (logits / 3).softmax(-1).sort(descending=True)
        _, shares = bars(panel)
        torch.testing.assert_close(shares[:-1], hot.values[:7], atol=CLOSE, rtol=0)
        rows = panel.locator(".panel-bars tbody tr").all()
        for i, row in zip(hot.indices[:7].tolist(), rows[:-1], strict=True):
            cell = row.locator("td").nth(1).inner_text()
            if i in ids:
                assert float(cell.strip(" %")) == pytest.approx(
                    100 * float(kept.softmax(-1)[i]), abs=0.51
                )
                assert row.get_attribute("class") is None
            else:
                assert (cell, row.get_attribute("class")) == ("cut", "panel-cut")
        assert f"{len(ids)} of {len(kept)} tokens can be drawn" in shown.inner_text()
        outside = len([i for i in ids if i not in hot.indices[:7].tolist()])
        note = rows[-1].locator("td").nth(1).inner_text()
        assert (note == "cut") == (outside == 0)
        assert ("cut" in note) == (outside < len(kept) - 7)


def test_a_seed_writes_the_same_again(opened: Any, translator: Translator) -> None:
    panel = opened(place("decoding", text=TEXT)).panel()
    panel.get_by_role("combobox", name="method").select_option("sampling")
    slide(panel, "temperature", 4)
    written = []
    for seed in (1, 1, 2):
        panel.get_by_role("combobox", name="seed").select_option(str(seed))
        panel.get_by_role("button", name="Start again").press("Enter")
        panel.get_by_role("button", name="To the end").press("Enter")
        written.append(panel.locator(".panel-answer strong").inner_text())
    assert written[0] == written[1] != written[2]
    x, drawn = 3, list[int]()  # seed 2, by hand
    chances = [x := 16807 * x % (2**31 - 1) for _ in range(3 + LIMIT)][3:]
    for chance in chances:
        shares = (logits_of(translator, TEXT, drawn).double() / 4).softmax(-1).cumsum(-1)
        drawn.append(int((shares > chance / (2**31 - 1)).nonzero()[0]))
        if drawn[-1] == EOS:
            break
    text = "".join(translator.tgt.tokens[i] for i in drawn if i != EOS)
    assert written[2].removesuffix(" …") == text.strip()
    # What was drawn stays when the cache goes.
    panel.get_by_label("cache keys and values").press("Space")
    assert panel.locator(".panel-answer strong").inner_text() == written[2]
    # With the favourite alone there is nothing to draw.
    panel.get_by_role("combobox", name="top-k").select_option("1")
    panel.get_by_role("button", name="Start again").press("Enter")
    panel.get_by_role("button", name="To the end").press("Enter")
    assert panel.locator(".panel-answer strong").inner_text() == translator.translate([TEXT])[0]


@torch.no_grad()
def test_the_tree_of_the_beams(opened: Any, translator: Translator) -> None:
    panel = opened(place("decoding", text=TEXT)).panel()
    panel.get_by_role("combobox", name="method").select_option("beam")
    panel.get_by_role("combobox", name="beams").select_option("3")
    following = panel.get_by_role("button", name="Next token")
    following.press("Enter")
    shares = logits_of(translator, TEXT, []).log_softmax(-1).topk(6)
    kept = [i for i in shares.indices.tolist() if i != EOS][:3]
    nodes = panel.locator(".panel-tree text").all_text_contents()[2:]  # behind the start
    assert nodes[::2] == [
        "⟨end⟩" if i == EOS else translator.tgt.tokens[i].strip() for i in shares.indices.tolist()
    ]
    got = [float(text.removeprefix("ended ").replace("−", "-")) for text in nodes[1::2]]
    assert got == pytest.approx(shares.values.tolist(), abs=0.0051)
    assert panel.locator("path.panel-node.panel-kept").count() == 1 + len(kept)
    assert panel.locator(".panel-edge").count() == 6
    told = panel.locator(".panel-tree").get_attribute("aria-label")
    assert told is not None and told.startswith(f"Step 1: {nodes[0]} {nodes[1]}, kept; ")
    following.press("Enter")
    assert panel.locator(".panel-edge").count() == 12
    panel.get_by_role("button", name="To the end").press("Enter")
    begin, src = torch.tensor([[BOS]]), source(translator, TEXT)
    for penalty in (0.6, 2.0):
        panel.get_by_role("combobox", name="length penalty").select_option(f"{penalty:g}")
        panel.get_by_role("button", name="To the end").press("Enter")
        tokens, scores = beam_search(
            TranslationDecoding(translator.model, src), begin, num_beams=3,
            max_new_tokens=LIMIT, eos_id=EOS, length_penalty=penalty,
        )  # fmt: skip
        best = panel.locator(".panel-sentences tbody tr").filter(has_text="ended, best")
        text = "".join(translator.tgt.tokens[i] for i in tokens[0].tolist() if i != EOS)
        assert best.locator("th [lang]").inner_text() == text.strip()
        shown = float(best.locator("td").nth(2).inner_text().replace("−", "-"))
        assert shown == pytest.approx(float(scores[0]), abs=0.00051)
    work = panel.locator(".panel-verdict")
    before = work.evaluate("e => [e.dataset.computed, e.dataset.otherwise]")
    panel.get_by_label("cache keys and values").press("Space")
    assert work.evaluate("e => [e.dataset.otherwise, e.dataset.computed]") == before


def test_the_writer_writes_what_minitx_draws(opened: Any, page_writer: writer.PageWriter) -> None:
    panel = opened(place("writer", model="writer", text="The function")).panel()
    rules = {"temperature": 0.8, "top_p": 0.9, "seed": 2}
    slide(panel, "temperature", rules["temperature"])
    slide(panel, "top-p", rules["top_p"])
    panel.get_by_role("combobox", name="seed").select_option(str(rules["seed"]))
    written = panel.locator(".panel-written")
    assert written.text_content() == "The function"
    panel.get_by_role("button", name="Write").press("Enter")
    panel.get_by_text("Finished after 400 characters.").first.wait_for()
    model, vocabulary = page_writer.model()
    text = writer.drawn(model, vocabulary, "The function", num_characters=400, **rules)  # type: ignore[arg-type]
    assert written.text_content() == f"The function{text}"
    assert panel.get_by_role("button", name="Stop").is_disabled()


@pytest.mark.parametrize("how", ["Stop", "Escape"])
def test_the_writer_can_be_stopped(opened: Any, how: str) -> None:
    page = opened(place("writer", model="writer", text="The function"))
    panel = page.panel()
    panel.get_by_label("How the text begins").press("Enter")
    if how == "Stop":
        panel.get_by_role("button", name="Stop").click()
    else:
        page.page.keyboard.press("Escape")
    panel.get_by_text("Stopped.").first.wait_for()
    before = panel.locator(".panel-written").text_content()
    page.page.wait_for_timeout(200)
    assert panel.locator(".panel-written").text_content() == before != ""
    # What was never seen is said, and nothing is written.
    field = panel.get_by_label("How the text begins")
    for typed, said in (("Ü∞", "Never seen in training: “Ü”, “∞”."), ("", "Nothing was typed.")):
        field.fill(typed)
        field.press("Enter")
        assert panel.get_by_role("alert").inner_text().startswith(said)
    assert panel.locator(".panel-written").text_content() == before


@pytest.mark.parametrize("width", [1200, 375])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_writer_is_right_on_every_screen(opened: Any, theme: str, width: int) -> None:
    page = opened(place("writer", model="writer", text="def "))
    panel = page.panel()
    look(page.page, theme, width)
    assert faults(page.page) == []
    panel.get_by_role("button", name="Write").press("Enter")
    panel.get_by_text("Finished after").first.wait_for()
    assert faults(page.page) == []


# --- how it looks ----------------------------------------------------------------------------


def built_panels() -> list[str]:
    """Pages of the book that have a panel."""
    return sorted(
        path.name
        for path in (ROOT / "book").glob("*.md")
        if 'class="panel"' in path.read_text(encoding="utf-8")
    )


def look(page: Page, theme: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate(
        "theme => { Object.assign(document.documentElement.dataset, { theme, mode: theme }); }",
        theme,
    )


def faults(page: Page) -> list[str]:
    """What axe finds in the panels, and what is wider than the page."""
    page.evaluate(AXE_SCRIPT)
    found = page.evaluate(
        """async () => {
            const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"];
            const { violations } = await axe.run(".panel", { runOnly: rules, preload: false });
            const root = document.documentElement;
            const inside = element => element.closest(".panel-scroll");
            const wide = [...document.querySelectorAll(".panel *")].filter(e => !inside(e)
                && e.getBoundingClientRect().right > root.clientWidth + 1);
            return [
                ...violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.html.slice(0, 120)}`)),
                ...wide.map(e => `wide: ${e.outerHTML.slice(0, 120)}`),
                ...(root.scrollWidth > root.clientWidth ? [`page ${root.scrollWidth} px`] : []),
            ];
        }"""
    )
    return list(found)


@pytest.mark.parametrize("width", [1200, 375])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["head", "heads", "positions", "stream", "translate"])
def test_right_on_every_screen(opened: Any, name: str, theme: str, width: int) -> None:
    longest = "seventeen thousand seven hundred and seventy-seven"
    page = opened(place(name, text=longest, kind="decoder"))
    panel = page.panel()
    panel.locator(":is(.panel-map, .panel-words) button").first.press("Enter")
    look(page.page, theme, width)
    assert faults(page.page) == []


@pytest.mark.parametrize("width", [1200, 375])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("method", ["greedy", "sampling", "beam"])
def test_decoding_is_right_on_every_screen(
    opened: Any, method: str, theme: str, width: int
) -> None:
    page = opened(place("decoding", text="seventeen thousand seven hundred and seventy-seven"))
    panel = page.panel()
    panel.get_by_role("combobox", name="method").select_option(method)
    panel.get_by_role("button", name="Next token").press("Enter")
    if method == "sampling":
        panel.get_by_role("combobox", name="top-k").select_option("3")
    look(page.page, theme, width)
    assert faults(page.page) == []
    panel.get_by_role("button", name="To the end").press("Enter")
    assert faults(page.page) == []


@pytest.mark.parametrize("name", built_panels())
def test_panels_of_the_book(browser: Browser, html: Path, name: str) -> None:
    context = browser.new_context(offline=True, reduced_motion="reduce")
    page = context.new_page()
    said: list[str] = []  # errors; the theme's scripts also tell what they do
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((html / "book" / name).with_suffix(".html").as_uri())
    for panel in page.locator(".panel").all():
        panel.scroll_into_view_if_needed()
        panel.locator(".panel-live").wait_for()
        assert panel.locator(".panel-answer strong").inner_text()
    look(page, "light", 375)
    assert faults(page) == []
    assert said == []
    context.close()


@pytest.mark.parametrize("name", built_panels())
def test_the_examples_are_what_the_weights_give(name: str) -> None:
    """`python -m minitx.projects.page.example book/*.md` renews them."""
    text = (ROOT / "book" / name).read_text(encoding="utf-8")
    assert example.renewed(text) == text


def test_an_example_shows_minitxs_numbers(translator: Translator) -> None:
    tgt = translator.tgt.encode(NUMBERS.cut(translator.translate([TEXT])[0]))
    seen = watched(translator, TEXT, [*tgt, EOS])["decoder.blocks.0.self_attention"]
    data = 'data-panel="head" data-model="numbers" data-text="281" data-kind="decoder"'
    text = example.example(f'{data} data-layer="1" data-head="2" data-query="3"')
    map_, steps = BeautifulSoup(text, "html.parser").select("table")
    rows = [[cell.get_text() for cell in row.select("td")] for row in map_.select("tbody tr")]
    percent = (100 * seen["weights"][1]).round().int().tolist()
    assert rows == [
        [str(p) if j <= i else "✕" for j, p in enumerate(row)] for i, row in enumerate(percent)
    ]
    shown = [[cell.get_text() for cell in row.select("td")] for row in steps.select("tbody tr")]
    for j, (k, product, score, weight, v) in enumerate(shown):
        assert k.startswith(f"{float(seen['k'][1, j, 0]):.2f}, ".replace("-", "−"))
        assert v.startswith(f"{float(seen['v'][1, j, 0]):.2f}, ".replace("-", "−"))
        for text, name in ((product, "products"), (score, "scores")):
            assert float(text.replace("−", "-")) == pytest.approx(
                float(seen[name][1, 2, j]), abs=0.0051
            )
        if j > 2:
            assert weight == "forbidden"
        else:
            assert float(weight) == pytest.approx(float(seen["weights"][1, 2, j]), abs=0.0051)


def test_the_example_of_heads_shows_minitxs_numbers(translator: Translator) -> None:
    text = example.example('data-panel="heads" data-model="numbers" data-text="281"')
    alone, map_ = BeautifulSoup(text, "html.parser").select("table")
    [words] = translator.translate([TEXT])
    at = ("encoder.blocks.0.attention", "decoder.blocks.1.cross_attention")
    rows = [row.select("td") for row in alone.select("tbody tr")]
    for place, row in ((at[0], rows[0]), (at[1], rows[5])):
        for h, cell in enumerate(row):
            pruned = without_heads(translator, {place: [h]})
            assert cell.get_text().startswith("≠ ") == (pruned.translate([TEXT]) != [words])
            wanted = 100 * mean_probability(pruned, TEXT, words)
            assert float(cell.get_text().strip("≠ ")) == pytest.approx(wanted, abs=0.51)
    weights = cross_weights(translator, TEXT, layer=2)[0]
    shown = [[int(cell.get_text()) for cell in row.select("td")] for row in map_.select("tr")[1:]]
    assert shown == (100 * weights).round().int().tolist()
    [pruned_words] = without_heads(translator, REMOVED[2]).translate([TEXT])
    assert text.endswith(f"the translator writes “{pruned_words}”.\n\n</div>")


def test_the_example_of_positions_shows_minitxs_numbers(translator: Translator) -> None:
    text = example.example('data-panel="positions" data-model="numbers" data-text="1203"')
    answers, *maps = BeautifulSoup(text, "html.parser").select("table")
    bag = without_positions(translator, "src", "tgt")
    orders = [NUMBERS.tokens("1203"), NUMBERS.tokens("1203")[::-1]]
    found = [in_order(model, order) for model in (translator, bag) for order in orders]
    rows = [[cell.get_text() for cell in row.select("td")] for row in answers.select("tbody tr")]
    assert [words for _, words in rows] == [words for words, _, _ in found]
    assert len({words for _, words in rows}) == 3  # as typed, reversed, and once without positions
    for table, (_, _, weights) in zip(maps, found[2:], strict=True):
        cells = [[int(cell.get_text()) for cell in row.select("td")] for row in table.select("tr")]
        assert cells[1:] == (100 * weights).round().int().tolist()
    a, b = found[0][1], found[1][1]
    b = torch.cat([b[:-1].flip(0), b[-1:]])
    change = 100 * float(((b - a).norm(dim=-1) / a.norm(dim=-1)).max())
    plain = text.replace("\u00a0", " ")
    assert f"by up to {change:.0f} % of its length with positions, and by 0 % without" in plain


def test_the_example_of_the_stream_shows_minitxs_numbers(translator: Translator) -> None:
    text = example.example('data-panel="stream" data-model="numbers" data-text="281" data-word="4"')
    lens, way = BeautifulSoup(text, "html.parser").select("table")
    shares, kept = stream_rows(translator, TEXT)
    rows = [[cell.get_text() for cell in row.select("td")] for row in lens.select("tbody tr")]
    decided = 0
    for t, row in enumerate(rows):
        last = shares[-1][t].argmax()
        for share, cell in zip(shares, row, strict=True):
            assert cell.startswith("≠ ") == (share[t].argmax() != last)
            assert float(cell.split()[-1]) == pytest.approx(100 * share[t].max().item(), abs=0.51)
        decided += not row[1].startswith("≠ ")
    assert f"{decided} of {len(rows)} words stand there before the last layer" in text
    shown = [[cell.get_text() for cell in row.select("td")] for row in way.select("tbody tr")]
    assert shown[0][2:4] == ["", ""]
    for (_, _, added, angle, length), (x, gave, y) in zip(shown[1:], kept, strict=True):
        cosine = torch.cosine_similarity(x[3], y[3], dim=0)
        assert float(added) == pytest.approx(float(gave[3].norm()), abs=0.051)
        assert float(angle.strip("°")) == pytest.approx(float(cosine.acos().rad2deg()), abs=0.51)
        assert float(length) == pytest.approx(float(y[3].norm()), abs=0.051)


def test_the_example_of_decoding_shows_minitxs_numbers(translator: Translator) -> None:
    text = example.example('data-panel="decoding" data-model="numbers" data-text="281"')
    [table] = BeautifulSoup(text, "html.parser").select("table")
    rows = [[cell.get_text() for cell in row.select("th, td")] for row in table.select("tr")][1:]
    tgt = [*translator.tgt.encode(NUMBERS.cut(translator.translate([TEXT])[0])), EOS]
    assert len(rows) == len(tgt)
    for t, (step, _, share, second, hot, left, cached, anew) in enumerate(rows):
        logits = logits_of(translator, TEXT, tgt[:t]).double()
        best = logits.softmax(-1).topk(2).values
        percent = [float(cell.replace("\u00a0%", "").split()[-1]) for cell in (share, second, hot)]
        wanted = [*best.tolist(), float((logits / 3).softmax(-1).max())]
        assert percent == pytest.approx([100 * n for n in wanted], abs=0.051)
        kept = truncated(logits[None], temperature=3.0, top_p=0.5).isfinite().sum()
        assert (int(left), int(step), int(cached)) == (int(kept), t + 1, t + 1)
        assert int(anew) == sum(range(t + 2))


def test_the_example_of_the_writer_shows_what_the_page_writes(
    page_writer: writer.PageWriter,
) -> None:
    text = example.example('data-panel="writer" data-model="writer" data-text="The"')
    [table] = BeautifulSoup(text, "html.parser").select("table")
    rows = [[cell.get_text() for cell in row.select("th, td")] for row in table.select("tr")][1:]
    model, vocabulary = page_writer.model()
    for temperature, top_p, written in rows:
        drawn = writer.drawn(
            model.double(), vocabulary, "The", num_characters=120, seed=1,
            temperature=float(temperature), top_p=float(top_p),
        )  # fmt: skip
        assert written == " ".join(f"The{drawn}".split())
    assert len({written for *_, written in rows}) == 4


def test_there_is_an_example_of_known_panels_only() -> None:
    known = "translate, head, heads, positions, stream, decoding, writer"
    with pytest.raises(ValueError, match=f'panels are {known}, got data-panel="tail"'):
        example.example('data-panel="tail"')
    with pytest.raises(ValueError, match="the panel head needs data-kind, data-layer, data-query"):
        example.example('data-panel="head" data-model="numbers" data-text="1" data-head="1"')


@pytest.mark.parametrize("name", built_panels())
def test_each_panel_has_an_example_for_paper(html: Path, name: str) -> None:
    page = (html / "book" / name).with_suffix(".html").read_text(encoding="utf-8")
    for panel in BeautifulSoup(page, "html.parser").select(".panel"):
        assert panel.find("table") is not None
