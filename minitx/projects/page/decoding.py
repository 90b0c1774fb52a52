"""The worked example of decoding: a translation written token by token."""

import torch

from minitx.data.vocabulary import BOS
from minitx.generate import truncated
from minitx.models.seq2seq import Transformer
from minitx.projects.page.reading import Read, shown, written
from minitx.projects.page.tables import table
from minitx.projects.translation import Translator

HOT, TOP_P = 3.0, 0.5


@torch.no_grad()
def decoding_example(translator: Translator, data: dict[str, str]) -> str:
    """For each step the chosen token, the next best, what is left to draw, and the work."""
    model = translator.model
    assert isinstance(model, Transformer)  # script.read makes no other
    read = Read.of(translator, translator.encode(data["text"]))
    begin = torch.tensor([[BOS]])
    logits = model(read.src_ids, torch.cat([begin, read.tgt_ids[:, :-1]], dim=1))[0]
    best = logits.softmax(-1).topk(2)
    hot = truncated(logits, temperature=HOT).softmax(-1)
    left = truncated(logits, temperature=HOT, top_p=TOP_P).isfinite().sum(-1)

    def percent(share: torch.Tensor) -> str:
        return f"{100 * float(share):.1f}\u00a0%"

    rows = [
        [
            str(t + 1), read.tgt[t], percent(best.values[t, 0]),
            f"{shown(translator.tgt.tokens[best.indices[t, 1]])} {percent(best.values[t, 1])}",
            percent(hot[t, best.indices[t, 0]]), str(int(left[t])),
            str(t + 1), str((t + 1) * (t + 2) // 2),
        ]
        for t in range(len(read.tgt))
    ]  # fmt: skip
    titles = [
        "step", "token", "probability", "next best", f"at temperature {HOT:.0f}",
        f"left by top-p {TOP_P}", "positions, cache", "positions, no cache",
    ]  # fmt: skip
    return "\n".join(
        [
            f"The translator reads “{' '.join(read.src[:-1])}” and writes “{written(read)}”, one "
            f"token at a time, each time the most probable. Beside each token stand its "
            f"probability, that of the next best, its own at temperature {HOT:.0f}, how many of "
            f"the {logits.size(-1)} tokens top-p {TOP_P} would then leave for the draw, and how "
            "many positions the decoder has computed up to there with a cache and without one:",
            "",
            table(titles, rows, wraps=True),
        ]
    )
