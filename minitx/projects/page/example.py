"""The worked example that stands in a panel's place without scripts and on paper.

A page holds it as text, so that every reader of the page has it; this keeps it in step with the
weights:

python -m minitx.projects.page.example book/*.md      # renews the examples of these pages
"""

import math
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from minitx.projects.page import script, writer
from minitx.projects.page.decoding import decoding_example
from minitx.projects.page.experiments import heads_example, positions_example
from minitx.projects.page.reading import PLACES, Read, written
from minitx.projects.page.stream import stream_example
from minitx.projects.page.tables import FEW, heat_table, number, table, vector
from minitx.projects.translation import Translator

ROOT = Path(__file__).resolve().parents[3]
MODELS = ROOT / "book/_extra/panels/models"
PANEL = re.compile(r'<div class="panel" (?P<data>[^>]*)>\n(?:.*?\n)??</div>', re.DOTALL)


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
    needs, load, make = EXAMPLES[data["panel"]]
    if missing := [f"data-{name}" for name in ("model", *needs) if name not in data]:
        raise ValueError(f"the panel {data['panel']} needs {', '.join(missing)}, got {attributes}")
    content = make(load(MODELS / f"{data['model']}.js"), data)
    return f'<div class="panel" {attributes}>\n\n{content}\n\n</div>'


def translator_of(path: Path) -> Translator:
    """In float64: the digits shown are then the same on every machine."""
    translator = script.read(path).translator()
    translator.model.double()
    return translator


def translate_example(translator: Translator, data: dict[str, str]) -> str:
    """The alignment: cross-attention of the last block, mean of its heads."""
    read = Read.of(translator, translator.encode(data["text"]))
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


def head_example(translator: Translator, data: dict[str, str]) -> str:
    """One head: its weights, and for one query how they came about."""
    read = Read.of(translator, translator.encode(data["text"]))
    kind, layer, head = data["kind"], int(data["layer"]), int(data["head"])
    q, k, v = read.head(kind, layer, head)
    queries, labels = (read.src, read.src) if kind == "encoder" else (read.inputs, read.rows)
    keys = read.inputs if kind == "decoder" else read.src
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


Load = Callable[[Path], Any]
Make = Callable[[Any, dict[str, str]], str]
# Panel: the attributes that its example needs, what reads its model, and what makes the example.
EXAMPLES: dict[str, tuple[tuple[str, ...], Load, Make]] = {
    "translate": (("text",), translator_of, translate_example),
    "head": (("text", "kind", "layer", "head", "query"), translator_of, head_example),
    "heads": (("text",), translator_of, heads_example),
    "positions": (("text",), translator_of, positions_example),
    "stream": (("text", "word"), translator_of, stream_example),
    "decoding": (("text",), translator_of, decoding_example),
    "writer": (("text",), writer.read, writer.writer_example),
}


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
