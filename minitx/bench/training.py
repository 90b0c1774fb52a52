"""The same small model with one core after another: what it has learned after as many steps."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minitx.bench import report
from minitx.bench.budgets import Budgeted, Shape
from minitx.cores import AttentionCore, FusedAttention
from minitx.data.batching import window_batches
from minitx.data.vocabulary import BOS
from minitx.models.bert import BERTConfig
from minitx.models.gpt import GPT, GPTConfig
from minitx.models.pretrained import load
from minitx.models.seq2seq import Transformer, TransformerConfig
from minitx.positions import Rotary
from minitx.projects import corpus, learning, masked, text
from minitx.projects.corpus import Corpus
from minitx.projects.settings import TextSettings
from minitx.training import IGNORE, Processes, mean_loss, train

Kind = Literal["GPT", "BERT", "encoder-decoder"]

VALIDATION_PIECES = 8
SETTINGS = {
    "full": TextSettings(
        num_steps=60,
        max_lr=3e-3,
        final_lr=0.1,
        batch_size=2,
        warmup_steps=10,
        weight_decay=0.1,
        length=1024,
    ),
    "quick": TextSettings(
        num_steps=3,
        max_lr=3e-3,
        batch_size=2,
        d_model=32,
        num_heads=2,
        num_layers=1,
        length=64,
    ),
}


@dataclass(frozen=True)
class Trained:
    """One line of the table.

    Args:
        model: which of the three families.
        core: its name.
        outcome: "trained", or "failed".
        note: why it failed.
        loss: on text never seen, in nats per character; BERT's of the hidden ones.
        start: the same before the first step.
        seconds: per step, the median.
        parameters: that are trained.
    """

    model: Kind
    core: str
    outcome: Literal["trained", "failed"]
    note: str = ""
    loss: float | None = None
    start: float | None = None
    seconds: float | None = None
    parameters: int | None = None


@dataclass(frozen=True)
class Lesson:
    """A model and what it learns from.

    Args:
        model: untrained.
        loss_sum: see `training.train`.
        batch_at: the batch of a number.
        validation: a batch of text never seen.
    """

    model: nn.Module
    loss_sum: Callable[[nn.Module, Any], tuple[Tensor, Tensor]]
    batch_at: Callable[[int], Any]
    validation: Any


def sizes(settings: TextSettings) -> str:
    """What else the numbers depend on, in the words of the table."""
    return (
        f"{settings.num_layers} layers of {settings.num_heads} heads, width {settings.d_model}; "
        f"{settings.num_steps} steps of {settings.batch_size} × {settings.length} characters, "
        f"seed {settings.seed}"
    )


def lines(cores: Sequence[Budgeted]) -> list[tuple[Kind, Budgeted]]:
    """GPT with every core that can be causal, encoder and decoder with all of them.

    BERT only with those that cannot be causal, and beside them with what is exact.
    """
    able = [core for core in cores if "causal" in core.supports]
    unable = [core for core in cores if core not in able]
    beside = [core for core in able if core.name == "FusedAttention"] if unable else []
    return [
        *(("GPT", core) for core in able),
        *(("BERT", core) for core in beside + unable),
        *(("encoder-decoder", core) for core in cores),
    ]


def run(
    wanted: Sequence[tuple[Kind, Budgeted]],
    settings: TextSettings,
    path: Path,
    setup: dict[str, Any],
    device: torch.device,
    *,
    on_line: Callable[[int, str], None],
) -> list[Trained]:
    """Train what is not in the file at path yet; if it is all there, begin anew.

    Args:
        wanted: models and cores, in the order of the table.
        settings: of model and training.
        path: where the results are kept, after each of them.
        setup: from `report.set_up`.
        device: where.
        on_line: is told before each line how many are done and what comes.

    Raises:
        OtherSetUp: if the file holds other results.
        KeyboardInterrupt: after Ctrl-C.
    """
    done = {(t.model, t.core): t for t in report.load(path, setup, lambda t: Trained(**t))}
    if all((model, core.name) in done for model, core in wanted):
        done = {}
    data = Corpus.of(corpus.read(None))
    for i, (model, core) in enumerate(wanted):
        on_line(i, f"{model}, {core.name}")
        if (model, core.name) not in done:
            done[model, core.name] = attempt(model, core, settings, data, device)
            report.save(path, setup, list(done.values()))
    return [done[model, core.name] for model, core in wanted]


def attempt(
    model: Kind, core: Budgeted, settings: TextSettings, data: Corpus, device: torch.device
) -> Trained:
    """Train, and say what went wrong if something did."""
    try:
        return trained(model, core, settings, data, device)
    except Exception as error:  # whatever a core does wrong, the others have their turn
        note = ": ".join([type(error).__name__, *str(error).splitlines()[:1]])
        return Trained(model, core.name, "failed", note)


def trained(
    model: Kind, core: Budgeted, settings: TextSettings, data: Corpus, device: torch.device
) -> Trained:
    """One model with one core, from the first step to the last."""
    group = Processes(0, 1, device)
    lesson = LESSONS[model](core, settings, data, group)
    config = learning.training_config(settings)
    times: list[float] = []

    def noted(number: int) -> Any:
        times.append(time.perf_counter())
        return lesson.batch_at(number)

    def loss() -> float:
        return mean_loss(lesson.model, lesson.loss_sum, [lesson.validation], config, group)

    start = loss()
    train(lesson.model, lesson.loss_sum, noted, config, group=group, progress=False)
    times.append(time.perf_counter())
    return Trained(
        model,
        core.name,
        "trained",
        loss=loss(),
        start=start,
        seconds=statistics.median(b - a for a, b in pairwise(times)),
        parameters=sum(p.numel() for p in lesson.model.parameters() if p.requires_grad),
    )


def gpt(core: Budgeted, settings: TextSettings, data: Corpus, group: Processes) -> Lesson:
    """The next character, from those before."""
    config = GPTConfig(
        vocab_size=len(data.vocabulary),
        d_model=settings.d_model,
        num_heads=settings.num_heads,
        num_layers=settings.num_layers,
        dropout=settings.dropout,
        position=partial(Rotary, settings.d_model // settings.num_heads),
    )
    batches = partial(window_batches, length=settings.length, device=group.device)
    return Lesson(
        with_core(lambda make: GPT(replace(config, core=make)), core, settings).to(group.device),
        text.loss_sum,
        batches(data.train, batch_size=settings.batch_size, seed=settings.seed),
        batches(data.validation, batch_size=VALIDATION_PIECES)(0),
    )


def bert(core: Budgeted, settings: TextSettings, data: Corpus, group: Processes) -> Lesson:
    """Characters that are hidden, from those around."""
    config = BERTConfig(
        vocab_size=len(data.vocabulary),
        max_len=settings.length,
        d_model=settings.d_model,
        num_heads=settings.num_heads,
        num_layers=settings.num_layers,
        d_ff=4 * settings.d_model,
        dropout=settings.dropout,
        position=partial(Rotary, settings.d_model // settings.num_heads),
    )
    holes = partial(masked.holes, vocab_size=len(data.vocabulary), settings=settings, group=group)
    return Lesson(
        with_core(
            lambda make: masked.MaskedLanguage(replace(config, core=make)), core, settings
        ).to(group.device),
        masked.loss_sum,
        holes(data.train, batch_size=settings.batch_size),
        holes(data.validation, batch_size=VALIDATION_PIECES)(0),
    )


def encoder_decoder(
    core: Budgeted, settings: TextSettings, data: Corpus, group: Processes
) -> Lesson:
    """A text written anew by the decoder, while the encoder reads it with holes.

    A core that cannot be causal serves the encoder only; the decoder then has torch's.
    """
    V = len(data.vocabulary)
    config = TransformerConfig(
        src_vocab_size=V,
        tgt_vocab_size=V,
        d_model=settings.d_model,
        num_heads=settings.num_heads,
        num_encoder_layers=settings.num_layers,
        num_decoder_layers=settings.num_layers,
        d_ff=4 * settings.d_model,
        dropout=settings.dropout,
        pre_norm=True,
        decoder_core=None if "causal" in core.supports else FusedAttention,
        position=partial(Rotary, settings.d_model // settings.num_heads),
    )
    holes = partial(masked.holes, vocab_size=V, settings=settings, group=group)
    return Lesson(
        with_core(lambda make: Transformer(replace(config, core=make)), core, settings).to(
            group.device
        ),
        rewriting_loss_sum,
        holes(data.train, batch_size=settings.batch_size),
        holes(data.validation, batch_size=VALIDATION_PIECES)(0),
    )


def rewriting_loss_sum(model: nn.Module, batch: masked.Holes) -> tuple[Tensor, Tensor]:
    """Of the characters in the holes only, and how many they are."""
    read, targets = batch
    asked = targets != IGNORE
    whole = torch.where(asked, targets, read)
    written = F.pad(whole[:, :-1], (1, 0), value=BOS)
    return learning.summed_loss(model(read, written), targets)


LESSONS = {"GPT": gpt, "BERT": bert, "encoder-decoder": encoder_decoder}


def with_core(
    build: Callable[[Callable[[], Any]], nn.Module], core: Budgeted, settings: TextSettings
) -> nn.Module:
    """The model with this core; all else begins with the same weights whatever the core draws."""
    with learning.first_weights_of(settings.seed):
        plain = build(FusedAttention).state_dict()
        model = build(partial(adapting, core, settings))
    load(model, plain, may_miss=[name for name in model.state_dict() if ".core." in name])
    return model


def adapting(core: Budgeted, settings: TextSettings) -> AttentionCore:
    """The core; one that learns from queries and keys by itself does so before each call."""
    d_head = settings.d_model // settings.num_heads
    made = core.make(Shape(settings.length, settings.num_heads, d_head))

    def adapt(module: nn.Module, qkv: tuple[Tensor, ...]) -> None:
        if core.adapt and module.training:
            core.adapt(module, *qkv[:2])

    made.register_forward_pre_hook(adapt)
    return made
