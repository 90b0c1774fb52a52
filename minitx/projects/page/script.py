"""A model as a script: what a page of the book loads, for a page from the disk cannot fetch.

The script defines one value, `minitxModels.NAME`, and does nothing else:

    config        the sizes of the model
    vocabularies  the tokens of source and target; of a model that only writes, characters
    parameters    [name, shape] of every parameter, in the order of the numbers below
    scales        base64 of float32, little-endian: the scales of `rounding`, row after row
    levels        base64 of int8: its levels
"""

import base64
import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from minitx.cores import FullAttention, FusedAttention
from minitx.data.vocabulary import Vocabulary
from minitx.layers import FeedForward
from minitx.models.seq2seq import Transformer, TransformerConfig
from minitx.projects.page.rounding import Rounded, put, rounded_parameters
from minitx.projects.translation import Translator
from minitx.projects.translators import TRANSLATORS
from minitx.training.checkpoints import whole_or_absent

READ_IN_THE_PAGE = ("numbers",)
"""Projects for which book/_extra/panels/reading.js reads what somebody types."""

LARGEST_SCRIPT = 1_300_000
"""Bytes; a reader on a telephone waits for them."""

SIZES = ("d_model", "num_heads", "num_encoder_layers", "num_decoder_layers", "d_ff")


class NotForPages(ValueError):
    """A model that the page's runtime cannot run, or a script that holds none."""


@dataclass(frozen=True)
class PageModel:
    """A translator, its weights in 8 bits.

    Args:
        project: its name.
        config: the model's sizes, by the names of `SIZES`.
        vocabularies: the tokens of "src" and "tgt".
        parameters: the weights by name.
    """

    project: str
    config: Mapping[str, int]
    vocabularies: Mapping[str, Sequence[str]]
    parameters: Mapping[str, Rounded]

    @classmethod
    def of(cls, translator: Translator) -> "PageModel":
        """The translator as a page can run it.

        Raises:
            NotForPages: if the runtime lacks something that it needs.
            ValueError: if a weight is not finite.
        """
        require_runnable(translator)
        model = translator.model
        return cls(
            translator.project.name,
            {name: getattr(model.config, name) for name in SIZES},
            {"src": translator.src.tokens, "tgt": translator.tgt.tokens},
            rounded_parameters(model),
        )

    def translator(self) -> Translator:
        """The same as a translator of minitx: the rounded weights, in float32."""
        src, tgt = (Vocabulary(tuple(self.vocabularies[side])) for side in ("src", "tgt"))
        sizes: dict[str, Any] = dict(self.config)
        model = Transformer(TransformerConfig(len(src), len(tgt), dropout=0.0, **sizes)).eval()
        put(self.parameters, model)
        return Translator(TRANSLATORS[self.project], model, src, tgt)

    def script(self, about: Sequence[str] = ()) -> str:
        """The script, with lines about it at the top."""
        vocabularies = {side: list(tokens) for side, tokens in self.vocabularies.items()}
        first = {"config": dict(self.config), "vocabularies": vocabularies}
        return assigned(self.project, first, self.parameters, about)


def rounded_translator(translator: Translator) -> Translator:
    """A copy that computes with the weights a page has: rounded to 8 bits, in float32."""
    model = copy.deepcopy(translator.model)
    put(rounded_parameters(model), model)
    return replace(translator, model=model)


class Scripted(Protocol):
    """A model that can be written as a script."""

    def script(self, about: Sequence[str] = ()) -> str: ...


def write(page_model: Scripted, path: Path, about: Sequence[str] = ()) -> int:
    """Write the script to path, the whole of it or nothing; its bytes.

    Raises:
        NotForPages: if it would be too long for a page.
    """
    script = page_model.script(about).encode()
    if len(script) > LARGEST_SCRIPT:
        raise NotForPages(
            f"the script would have {len(script):,} bytes, wanted at most {LARGEST_SCRIPT:,}; "
            "train a smaller model"
        )
    with whole_or_absent(path) as file:
        file.write(script)
    return len(script)


def read(path: Path) -> PageModel:
    """What `write` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        NotForPages: if it holds no model.
    """
    project, value, parameters = value_of(path, READ_IN_THE_PAGE)
    try:
        return PageModel(project, value["config"], value["vocabularies"], parameters)
    except KeyError:
        raise no_model(path) from None


def assigned(
    name: str,
    first: Mapping[str, Any],
    parameters: Mapping[str, Rounded],
    about: Sequence[str] = (),
) -> str:
    """The script that defines `minitxModels.NAME`.

    Args:
        name: of the model.
        first: what stands before the parameters.
        parameters: the weights.
        about: lines at the top.
    """
    scales = torch.cat([part.scales for part in parameters.values()])
    levels = torch.cat([part.levels.flatten() for part in parameters.values()])
    value = {
        **first,
        "parameters": [[name, list(part.levels.shape)] for name, part in parameters.items()],
        "scales": _base64(scales.numpy().astype("<f4")),
        "levels": _base64(levels.numpy()),
    }
    lines = (f"{json.dumps(key)}: {json.dumps(item)}" for key, item in value.items())
    return "".join(
        [
            *(f"// {line}".rstrip() + "\n" for line in about),
            f"{_beginning(name)}{{\n",
            ",\n".join(lines),
            "\n};\n",
        ]
    )


def value_of(path: Path, names: Sequence[str]) -> tuple[str, dict[str, Any], dict[str, Rounded]]:
    """Which of these models a script defines, its value, and its parameters.

    Raises:
        FileNotFoundError: if there is no such file.
        NotForPages: if it holds no model.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    code = "\n".join(line for line in lines if not line.startswith("//"))
    try:
        [name] = [name for name in names if code.startswith(_beginning(name))]
        value = json.loads(code.removeprefix(_beginning(name)).removesuffix(";"))
        return name, value, _parameters(value)
    except (ValueError, KeyError, TypeError):
        raise no_model(path) from None


def no_model(path: Path) -> NotForPages:
    return NotForPages(f"{path} holds no model that `minitx export` has written")


def require_runnable(translator: Translator) -> None:
    """Raise NotForPages unless the page's runtime can run this very model."""
    if translator.project.name not in READ_IN_THE_PAGE:
        raise NotForPages(
            f"a page can run translators of {' and '.join(READ_IN_THE_PAGE)}, got one of "
            f"{translator.project.name}: no script of the book reads what is typed for it"
        )
    config = translator.model.config
    if not isinstance(config, TransformerConfig):
        raise NotForPages(
            "a page can run the transformer of 2017 as `minitx train` makes it, got a "
            f"{type(translator.model).__name__}"
        )
    exact = (FullAttention, FusedAttention)
    for name, got, runs in (
        ("core", config.core, config.core in exact),
        ("decoder_core", config.decoder_core, config.decoder_core in (None, *exact)),
        ("position", config.position, config.position is None),
        ("feed_forward", config.feed_forward, config.feed_forward is FeedForward),
        ("pre_norm", config.pre_norm, not config.pre_norm),
        ("share_embeddings", config.share_embeddings, not config.share_embeddings),
    ):
        if not runs:
            raise NotForPages(
                "a page can run the transformer of 2017 as `minitx train` makes it, got one "
                f"with {name} {getattr(got, '__name__', got)}"
            )


def _beginning(project: str) -> str:
    return f"(globalThis.minitxModels ??= {{}}).{project} = "


def _base64(numbers: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(numbers.tobytes()).decode()


def _parameters(value: Mapping[str, Any]) -> dict[str, Rounded]:
    """The parameters from one row of scales and one of levels."""
    scales = np.frombuffer(base64.b64decode(value["scales"]), "<f4").astype(np.float32)
    levels = np.frombuffer(base64.b64decode(value["levels"]), np.int8)
    shapes = [shape for _, shape in value["parameters"]]
    rows = [shape[0] if len(shape) == 2 else 1 for shape in shapes]
    sizes = [int(np.prod(shape)) for shape in shapes]
    if (sum(rows), sum(sizes)) != (len(scales), len(levels)):
        raise ValueError("too many numbers, or too few")
    their_scales = torch.tensor(scales).split(rows)
    their_levels = torch.tensor(levels).split(sizes)
    return {
        name: Rounded(levels.view(shape), scales)
        for (name, shape), scales, levels in zip(
            value["parameters"], their_scales, their_levels, strict=True
        )
    }
