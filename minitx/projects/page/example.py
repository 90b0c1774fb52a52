"""The worked example that stands in a panel's place without scripts and on paper.

A page holds it as text, so that every reader of the page has it; this keeps it in step with the
weights:

python -m minitx.projects.page.example book/*.md      # renews the examples of these pages
"""

import math
import re
import sys
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

import torch
from torch import Tensor

from minitx.data.vocabulary import BOS, EOS
from minitx.generate import TranslationDecoding, greedy
from minitx.models.seq2seq import Transformer
from minitx.projects.page import script
from minitx.projects.translation import Translator

ROOT = Path(__file__).resolve().parents[3]
MODELS = ROOT / "book/_extra/panels/models"
PANEL = re.compile(r'<div class="panel" (?P<data>[^>]*)>\n(?:.*?\n)??</div>', re.DOTALL)
FEW = 4
"""Features of a vector that are shown."""

NAMES = {"<bos>": "⟨start⟩", "<eos>": "⟨end⟩"}
PLACES = {  # kind: stack, attention, its name in a sentence
    "encoder": ("encoder", "attention", "encoder's self-attention"),
    "decoder": ("decoder", "self_attention", "decoder's masked self-attention"),
    "cross": ("decoder", "cross_attention", "cross-attention"),
}


def renewed(page: str) -> str:
    """A page's Markdown with the examples in its panels made anew."""
    return PANEL.sub(lambda panel: example(panel["data"]), page)


def example(attributes: str) -> str:
    """The whole panel, from the attributes of its <div>.

    Raises:
        ValueError: if there is no such panel, or an attribute is missing.
    """
    data = dict(re.findall(r'data-([a-z]+)="([^"]*)"', attributes))
    if data.get("panel") not in EXAMPLES:
        raise ValueError(f"panels are {', '.join(EXAMPLES)}, got {attributes}")
    needs, make = EXAMPLES[data["panel"]]
    if missing := [f"data-{name}" for name in ("model", *needs) if name not in data]:
        raise ValueError(f"the panel {data['panel']} needs {', '.join(missing)}, got {attributes}")
    translator = script.read(MODELS / f"{data['model']}.js").translator()
    translator.model.double()  # the digits shown are then the same on every machine
    content = make(Read.of(translator, data["text"]), data)
    return f'<div class="panel" {attributes}>\n\n{content}\n\n</div>'


class Read:
    """A translation, and what every attention computed from when it was read as a whole."""

    def __init__(self, src: list[str], tgt: list[str], qkv: dict[str, tuple[Tensor, ...]]) -> None:
        self.src, self.tgt, self.qkv = src, tgt, qkv

    @classmethod
    @torch.no_grad()
    def of(cls, translator: Translator, text: str) -> "Read":
        model = translator.model
        assert isinstance(model, Transformer)  # script.read makes no other
        src = torch.tensor([[*translator.encode(text), EOS]])
        begin = torch.tensor([[BOS]])
        tgt = greedy(TranslationDecoding(model, src), begin, max_new_tokens=40, eos_id=EOS)
        qkv: dict[str, tuple[Tensor, ...]] = {}

        def note(at: str) -> Callable[[object, tuple[Tensor, ...]], None]:
            def keep(_: object, inputs: tuple[Tensor, ...]) -> None:
                qkv[at] = tuple(x[0] for x in inputs[:3])

            return keep

        handles = [
            core.register_forward_pre_hook(note(at))
            for at, core in model.named_modules()
            if at.endswith(".core")
        ]
        model(src, torch.cat([begin, tgt[:, :-1]], dim=1))
        for handle in handles:
            handle.remove()
        return cls(
            [shown(translator.src.tokens[i]) for i in src[0]],
            [shown(translator.tgt.tokens[i]) for i in tgt[0]],
            qkv,
        )

    def head(self, kind: str, layer: int, head: int) -> tuple[Tensor, Tensor, Tensor]:
        """q, k and v of one head; layers and heads are counted from 1."""
        stack, attention, _ = PLACES[kind]
        q, k, v = self.qkv[f"{stack}.blocks.{layer - 1}.{attention}.core"]
        return q[head - 1], k[head - 1], v[head - 1]


def translate_example(read: Read, data: dict[str, str]) -> str:
    """The alignment: cross-attention of the last block, mean of its heads."""
    last = max(at for at in read.qkv if "cross_attention" in at)
    q, k, _ = read.qkv[last]
    weights = (q @ k.mT / math.sqrt(q.size(-1))).softmax(-1).mean(0)
    return "\n".join(
        [
            f"The translator reads “{' '.join(read.src[:-1])}” and writes “{written(read)}”. Which "
            "English word it read (columns) for each French word it wrote (rows), in hundredths; "
            f"each row sums to 1. (Averaged over the {q.size(0)} heads of its last "
            "cross-attention; chapter 3 says what heads are.)",
            "",
            heat_table("wrote", read.tgt, read.src, weights),
        ]
    )


def head_example(read: Read, data: dict[str, str]) -> str:
    """One head: its weights, and for one query how they came about."""
    kind, layer, head = data["kind"], int(data["layer"]), int(data["head"])
    q, k, v = read.head(kind, layer, head)
    inputs = ["⟨start⟩", *read.tgt[:-1]]
    queries = read.src if kind == "encoder" else inputs
    keys = inputs if kind == "decoder" else read.src
    labels = (
        queries
        if kind == "encoder"
        else [f"{a} → {b}" for a, b in zip(inputs, read.tgt, strict=True)]
    )
    products = q @ k.mT
    scores = products / math.sqrt(q.size(-1))
    allowed = torch.ones_like(scores, dtype=torch.bool)
    if kind == "decoder":
        allowed = allowed.tril()
    weights = scores.masked_fill(~allowed, -math.inf).softmax(-1)
    i = int(data["query"]) - 1
    mixture = weights[i] @ v
    rows = [
        [
            key, vector(k[j]), number(products[i, j]), number(scores[i, j]),
            number(weights[i, j]) if allowed[i, j] else "forbidden", vector(v[j]),
        ]
        for j, key in enumerate(keys)
    ]  # fmt: skip
    titles = ["key", "k", "q·k", f"÷ √{q.size(-1)}", "weight", "v"]
    forbidden = "" if allowed.all() else ", ✕ where the mask forbids it"
    return "\n".join(
        [
            f"The translator reads “{' '.join(read.src[:-1])}” and writes “{written(read)}”. Head "
            f"{head} of the {PLACES[kind][2]} in layer {layer} shares the attention of each query "
            f"(row) among the keys (columns), in hundredths{forbidden}:",
            "",
            heat_table("query", labels, keys, weights, allowed),
            "",
            f"How the row of the query “{queries[i]}” came about; its vector is "
            f"q = ({vector(q[i])}), and of every vector the first {FEW} of {q.size(-1)} numbers "
            "are shown:",
            "",
            table(titles, rows),
            "",
            f"The values, mixed by these weights, are ({vector(mixture)}).",
        ]
    )


EXAMPLES = {  # panel: the attributes that its example needs, and what makes it
    "translate": (("text",), translate_example),
    "head": (("text", "kind", "layer", "head", "query"), head_example),
}


def written(read: Read) -> str:
    """The translation as it is written."""
    words = [word for word in read.tgt if word != "⟨end⟩"]
    return " ".join(words).replace(" -", "-")


def shown(token: str) -> str:
    """A token without the blank before it; the special ones by name."""
    return NAMES.get(token, token.strip())


def number(x: Tensor) -> str:
    """Two digits, and a minus sign that is one."""
    return f"{float(x):.2f}".replace("-0.00", "0.00").replace("-", "−")


def vector(x: Tensor) -> str:
    return ", ".join(map(number, x[:FEW])) + ", …"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    body = "\n".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        '<div class="panel-scroll"><table class="panel-table">\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def heat_table(
    corner: str,
    rows: Sequence[str],
    columns: Sequence[str],
    weights: Tensor,
    allowed: Tensor | None = None,
) -> str:
    """Weights as a table whose cells are the darker the more they weigh."""

    def cell(i: int, j: int) -> str:
        if allowed is not None and not allowed[i, j]:
            return '<td class="panel-forbidden">✕</td>'
        percent = round(100 * float(weights[i, j]))
        return f'<td style="--weight: {percent}%">{percent}</td>' if percent else "<td>0</td>"

    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in (corner, *columns))
    body = "\n".join(
        f'<tr><th scope="row">{escape(row)}</th>'
        + "".join(cell(i, j) for j in range(len(columns)))
        + "</tr>"
        for i, row in enumerate(rows)
    )
    return (
        '<div class="panel-scroll"><table class="panel-table panel-map panel-still">\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def main(paths: Sequence[str]) -> None:
    """Renew the examples of these pages."""
    for path in map(Path, paths):
        before = path.read_text(encoding="utf-8")
        after = renewed(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"{path}: examples renewed")


if __name__ == "__main__":
    main(sys.argv[1:])
