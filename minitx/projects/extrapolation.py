"""Texts longer than those of the training, with each scheme of positions.

The same tiny model of characters learns from pieces of L = 64 and then reads four times as many:
`minitx train extrapolation`. What was measured is kept beside this file and shown by `table` and
`picture`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from minitx import viz
from minitx.measure.by_place import losses_by_place
from minitx.measure.table import Table
from minitx.models.gpt import GPT
from minitx.positions import Learned, Position, Rotary, YaRN, ntk_base
from minitx.projects import corpus, text
from minitx.projects.kept import Experiment, Trial, source
from minitx.projects.settings import PositionName, TextSettings
from minitx.projects.text import Writer
from minitx.training import Processes

LENGTH = 64
TIMES = 4
"""How many times longer the texts are that are read in the end."""

PER_LENGTH = 2
"""Stretches per trained length: losses are told for each of them."""

LOW = 1.8
"""Schemes whose loss never reaches this are hard to tell apart beside the others."""

CANNOT = "–"
"""Where a scheme has no position, and so no loss."""

SETTINGS = TextSettings(
    num_steps=1600,
    max_lr=3e-3,
    final_lr=0.1,
    batch_size=16,
    warmup_steps=50,
    weight_decay=0.1,
    d_model=64,
    length=LENGTH,
)
TRIALS = tuple(Trial(name, replace(SETTINGS, positions=name)) for name in get_args(PositionName))


def train(settings: TextSettings, folder: Path, group: Processes, progress: bool) -> Writer:
    """The writer with these settings, of Python's documentation."""
    data = corpus.Corpus.of(corpus.read(None), length=settings.length)
    return text.train(data, settings, group=group, folder=folder, progress=progress)


def readings(model: GPT) -> dict[str, GPT]:
    """The model as it was trained and, with rotary positions, as it may be read on longer texts.

    YaRN's paper leaves pairs alone that make 32 turns in a trained text. In 64 characters none
    does; here 8 are enough.
    """
    if not isinstance(model.position, Rotary):
        return {"": model}
    D = model.config.d_model // model.config.num_heads
    stretched: dict[str, Callable[[], Position]] = {
        ", interpolated": partial(Rotary, D, stretch=TIMES),
        ", NTK base": partial(Rotary, D, base=ntk_base(TIMES, D)),
        ", YaRN": partial(YaRN, D, trained_len=LENGTH, stretch=TIMES, many=8.0),
    }
    return {"": model} | {name: with_position(model, make) for name, make in stretched.items()}


def with_position(model: GPT, make: Callable[[], Position]) -> GPT:
    """The same weights with other positions, which have none of their own."""
    other = GPT(replace(model.config, position=make)).eval()
    other.load_state_dict(model.state_dict())
    return other


def measure(writer: Writer) -> dict[str, Any]:
    """Loss per character by place, on text never seen, to a thousandth; see `losses_by_place`.

    Learned positions have no vector beyond the trained length, and so no losses there.
    """
    ends = isinstance(writer.model.position, Learned)
    times = 1 if ends else TIMES
    ids = corpus.Corpus.of(corpus.read(None)).validation
    return {
        "by_place": {
            reading: [
                round(loss, 3)
                for loss in losses_by_place(
                    model, ids, length=times * LENGTH, stretches=times * PER_LENGTH
                )
            ]
            for reading, model in readings(writer.model).items()
        }
    }


EXPERIMENT = Experiment("extrapolation", TRIALS, train, measure)


def table() -> Table:
    """What was measured, as a table."""
    return table_of(EXPERIMENT.kept())


def table_of(result: Mapping[str, Any]) -> Table:
    """What `EXPERIMENT.run` returned, as a table."""
    lengths = [times * LENGTH for times in (1, 2, TIMES)]
    return Table(
        [
            "positions",
            *(f"all of {length}" for length in lengths),
            *(f"beyond {LENGTH}, of {length}" for length in lengths[1:]),
            "lowest and highest seed",
        ],
        (_row(name, losses) for name, losses in _by_place(result).items()),
        ["", ".2f", ".2f", ".2f", ".2f", ".2f", ""],
        caption=f"Loss per character (nats), trained on pieces of {LENGTH}; {source(result)}",
    )


def picture(name: Literal["schemes", "rotary"] = "schemes") -> Figure:
    """Loss by place, mean of the seeds; around it, from the lowest to the highest seed.

    Args:
        name: every scheme as it was trained, those that stay below `LOW` larger in a picture of
            their own; or the rotary one as it may be read.
    """
    return picture_of(EXPERIMENT.kept(), name)


def picture_of(result: Mapping[str, Any], name: Literal["schemes", "rotary"] = "schemes") -> Figure:
    """What `EXPERIMENT.run` returned, as a picture."""
    every = _by_place(result)
    if name == "rotary":
        return _drawn([{scheme: every[scheme] for scheme in every if scheme.startswith("rotary")}])
    schemes = [scheme for scheme in every if "," not in scheme]
    schemes.sort(key=lambda scheme: -every[scheme].shape[1])  # short ones last
    low = {scheme: every[scheme] for scheme in schemes if every[scheme].mean(0).max() < LOW}
    high = {scheme: every[scheme] for scheme in schemes if scheme not in low}
    return _drawn([high, low], titles=("", f"the others, below {LOW}, enlarged"))


def _drawn(panels: Sequence[Mapping[str, np.ndarray]], titles: Sequence[str] = ("",)) -> Figure:
    """Pictures one above the other over the same places, each on a scale of its own."""
    places = (np.arange(TIMES * PER_LENGTH) + 0.5) * LENGTH / PER_LENGTH
    with viz.style():
        figure, column = plt.subplots(
            len(panels), figsize=(viz.WIDTH, 2.9 * len(panels)), sharex=True, squeeze=False
        )
    drawn = 0
    for ax, chosen, title in zip(column[:, 0], panels, titles, strict=True):
        missing = {scheme: len(places) - losses.shape[1] for scheme, losses in chosen.items()}
        viz.banded_lines(
            places,
            {
                scheme: np.pad(losses, ((0, 0), (0, missing[scheme])), constant_values=np.nan).T
                for scheme, losses in chosen.items()
            },
            xlabel="characters read before" if ax is column[-1, 0] else "",
            ylabel="loss per character (nats)",
            ax=ax,
            title=title,
            first=drawn,
        )
        drawn += len(chosen)
        ax.axvline(LENGTH, color="gray", linestyle="--", linewidth=1)
        ax.set_xticks([times * LENGTH for times in range(TIMES + 1)])
    return figure


def _by_place(result: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Scheme, and how it is read -> losses, a row per seed and a column per stretch."""
    return {
        trial["name"] + reading: np.array([run["by_place"][reading] for run in trial["runs"]])
        for trial in result["trials"]
        for reading in trial["runs"][0]["by_place"]
    }


def _row(name: str, losses: np.ndarray) -> tuple[Any, ...]:
    def mean(first: int, last: int) -> float | str:
        """Of the stretches of these trained lengths."""
        some = losses[:, first * PER_LENGTH : last * PER_LENGTH]
        return float(some.mean()) if losses.shape[1] >= last * PER_LENGTH else CANNOT

    beyond = losses[:, PER_LENGTH:].mean(1) if losses.shape[1] > PER_LENGTH else None
    spread = CANNOT if beyond is None else f"{beyond.min():.2f}–{beyond.max():.2f}"
    ends = (1, 2, TIMES)
    return (name, *(mean(0, last) for last in ends), *(mean(1, last) for last in ends[1:]), spread)
