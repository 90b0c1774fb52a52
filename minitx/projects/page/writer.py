"""A GPT of characters for a page: its script, and how the page draws.

The script defines `minitxModels.writer`, as `script` says, with characters for a vocabulary.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from minitx.cores import FullAttention, FusedAttention
from minitx.data.vocabulary import SPECIAL, Vocabulary
from minitx.generate import GPTDecoding, truncated
from minitx.models.gpt import GELU_NETWORK, GPT, GPTConfig
from minitx.positions import ALiBi
from minitx.projects.corpus import prompt_ids
from minitx.projects.page.rounding import Rounded, put, rounded_parameters
from minitx.projects.page.script import NotForPages, assigned, no_model, value_of
from minitx.projects.page.tables import table

NAME = "writer"
SIZES = ("d_model", "num_heads", "num_layers")


@dataclass(frozen=True)
class PageWriter:
    """A GPT of characters, its weights in 8 bits.

    Args:
        config: the model's sizes, by the names of `SIZES`.
        characters: its vocabulary.
        parameters: the weights by name.
    """

    config: Mapping[str, int]
    characters: Sequence[str]
    parameters: Mapping[str, Rounded]

    @classmethod
    def of(cls, model: GPT, vocabulary: Vocabulary) -> "PageWriter":
        """The model as a page can run it.

        Raises:
            NotForPages: if the runtime lacks something that it needs.
            ValueError: if a weight is not finite.
        """
        require_runnable(model)
        sizes = {name: getattr(model.config, name) for name in SIZES}
        return cls(sizes, vocabulary.tokens, rounded_parameters(model))

    def model(self) -> tuple[GPT, Vocabulary]:
        """The same as a model of minitx: the rounded weights, in float32."""
        vocabulary = Vocabulary(tuple(self.characters))
        sizes: dict[str, Any] = dict(self.config)

        def position() -> ALiBi:
            return ALiBi(self.config["num_heads"])

        model = GPT(GPTConfig(len(vocabulary), dropout=0.0, position=position, **sizes)).eval()
        put(self.parameters, model)
        return model, vocabulary

    def script(self, about: Sequence[str] = ()) -> str:
        """The script, with lines about it at the top."""
        first = {"config": dict(self.config), "characters": list(self.characters)}
        return assigned(NAME, first, self.parameters, about)


def read(path: Path) -> PageWriter:
    """What `script.write` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        NotForPages: if it holds no GPT of characters.
    """
    _, value, parameters = value_of(path, [NAME])
    try:
        return PageWriter(value["config"], value["characters"], parameters)
    except KeyError:
        raise no_model(path) from None


def require_runnable(model: GPT) -> None:
    """Raise NotForPages unless the page's runtime can run this very model."""
    config, H = model.config, model.config.num_heads
    for name, got, runs in (
        ("positions", type(model.position).__name__, isinstance(model.position, ALiBi)),
        ("num_heads", H, H & (H - 1) == 0),
        ("num_kv_heads", config.num_kv_heads, config.num_kv_heads in (None, H)),
        ("core", config.core, config.core in (FullAttention, FusedAttention)),
        ("feed_forward", config.feed_forward, config.feed_forward is GELU_NETWORK),
    ):
        if not runs:
            raise NotForPages(
                "a page can run the GPT that `minitx train text` makes, with ALiBi and heads by "
                f"a power of two, got one with {name} {getattr(got, '__name__', got)}"
            )


def chances(seed: int) -> Iterator[float]:
    """Numbers between 0 and 1, the same for the same seed, here and in generate.js.

        x ← 16807 x mod 2³¹ - 1

    The first three are left out: those of a small seed are small.

    Source: Park and Miller 1988.

    >>> next(chances(1))
    0.9173002638468986
    """
    largest, x, number = 2**31 - 1, seed + 1, 0
    while True:
        x, number = 16807 * x % largest, number + 1
        if number > 3:
            yield x / largest


@torch.no_grad()
def drawn(
    model: GPT,
    vocabulary: Vocabulary,
    prompt: str,
    *,
    num_characters: int,
    temperature: float,
    top_p: float,
    seed: int,
) -> str:
    """What the page writes after prompt."""
    decoding, chance = GPTDecoding(model), chances(seed)
    newest, ids = torch.tensor([prompt_ids(prompt, vocabulary)]), list[int]()
    for _ in range(num_characters):
        logits = decoding.feed(newest).double()
        logits[:, : len(SPECIAL)] = -torch.inf
        kept = truncated(logits, temperature=temperature, top_p=top_p).softmax(-1)[0]
        beyond = (kept.cumsum(-1) > next(chance)) & (kept > 0)
        # Rounded, the sum may end below a chance near 1: then the last that has a share.
        places = (beyond if beyond.any() else kept > 0).nonzero()[:, 0]
        ids.append(int(places[0] if beyond.any() else places[-1]))
        newest = torch.tensor([ids[-1:]])
    return "".join(vocabulary.decode(ids))


def writer_example(page_writer: PageWriter, data: Mapping[str, str]) -> str:
    """What it writes at three temperatures, and with a nucleus."""
    model, vocabulary = page_writer.model()
    model.double()  # the same characters on every machine
    rows = []
    for temperature, top_p in ((0.3, 1.0), (0.8, 1.0), (0.8, 0.8), (1.5, 1.0)):
        text = drawn(
            model, vocabulary, data["text"], num_characters=120, temperature=temperature,
            top_p=top_p, seed=1,
        )  # fmt: skip
        rows.append([f"{temperature}", f"{top_p}", " ".join((data["text"] + text).split())])
    return "\n".join(
        [
            f"The model goes on from “{data['text']}”, 120 characters each, all with the same "
            "chances (line breaks are shown as blanks):",
            "",
            table(["temperature", "top-p", "written"], rows, wraps=True),
        ]
    )
