"""A translator: the transformer of 2017 over pairs of texts, and greedy decoding."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from minitx.data.batching import Batch, sources, translation_batch, translation_batches
from minitx.data.cached import version_of
from minitx.data.vocabulary import BOS, EOS, UnknownToken, Vocabulary
from minitx.generate import greedy, translation_decoding
from minitx.masks import padding
from minitx.models.recurrent import RecurrentTranslator, RecurrentTranslatorConfig
from minitx.models.seq2seq import Transformer, TransformerConfig
from minitx.positions import NoPosition
from minitx.projects import learning, runs
from minitx.projects.settings import TranslationSettings
from minitx.projects.taken_out import take_out
from minitx.projects.translators import Pair, TranslationProject
from minitx.training import Processes
from minitx.training import train as train_loop

AT_ONCE = 1024
"""Texts that are translated together."""


@dataclass(frozen=True)
class Translator:
    """A model and the words that its numbers stand for.

    Args:
        project: how it reads a source, and cuts it into tokens.
        model: its weights.
        src: vocabulary of the source.
        tgt: vocabulary of the target.
    """

    project: TranslationProject
    model: Transformer | RecurrentTranslator
    src: Vocabulary
    tgt: Vocabulary

    def encode(self, text: str) -> list[int]:
        """The tokens of a source, as the project reads it.

        Raises:
            ValueError: if it cannot be read, holds what was never seen in training, or nothing.
        """
        tokens = self.project.tokens(text)
        if not tokens:
            raise ValueError(f"there is nothing to translate in {text!r}")
        try:
            return self.src.encode_known(tokens)
        except UnknownToken as unknown:
            raise UnknownToken(f"{unknown}; learned were {self.project.known}") from None

    def translate(self, texts: Sequence[str], *, max_new_tokens: int = 40) -> list[str]:
        """The most probable translation, token by token; of many texts at once.

        Raises:
            ValueError: if a text cannot be translated.
        """
        device = next(self.model.parameters()).device
        translations: list[str] = []
        for start in range(0, len(texts), AT_ONCE):
            src, lengths = sources([self.encode(text) for text in texts[start : start + AT_ONCE]])
            mask = padding(lengths.to(device), src.size(1))
            decoding = translation_decoding(self.model, src.to(device), src_mask=mask)
            begin = torch.full((len(src), 1), BOS, device=device)
            ids = greedy(decoding, begin, max_new_tokens=max_new_tokens, eos_id=EOS)
            translations += ["".join(self.tgt.decode(row)) for row in ids.tolist()]
        return translations

    def ids(self, pair: Pair) -> tuple[list[int], list[int]]:
        """A pair as two lists of ids."""
        return self.encode(pair[0]), self.tgt.encode(self.project.cut(pair[1]))


def loss_sum(model: nn.Module, batch: Batch, *, smoothing: float) -> tuple[Tensor, Tensor]:
    """What is made small, and over how many tokens; labels are smoothed in training only."""
    logits = model(batch.src, batch.tgt_in, src_mask=padding(batch.lengths, batch.src.size(1)))
    return learning.summed_loss(
        logits, batch.tgt_out, smoothing=smoothing if model.training else 0.0
    )


def train(
    project: TranslationProject,
    settings: TranslationSettings,
    *,
    group: Processes,
    folder: Path | None,
    progress: bool,
) -> Translator:
    """Train on the project's pairs in folder, or go on with what was begun there.

    Without a folder nothing is kept, and nothing can go on.

    Raises:
        OtherRun: if folder holds another run.
        ModuleNotFoundError: if a package is missing that makes the data or the score.
        KeyboardInterrupt: after Ctrl-C; the same call continues.
    """
    if project.with_chrf:
        version_of("sacrebleu")  # better missing now than after the training
    data = project.split()
    pairs = project.lessons(data.train)
    src = Vocabulary.of(project.tokens(source) for source, _ in pairs)
    tgt = Vocabulary.of(project.cut(target) for _, target in pairs)
    record = runs.Record(
        project.name,
        asdict(settings),
        runs.checksum(text for pair in pairs for text in pair),
        {"src": list(src.tokens), "tgt": list(tgt.tokens)},
        group.count,
    )
    if folder is not None:
        runs.claim(folder, record, group)
    translator = untrained(project, record, group.device)
    held_out = [translator.ids(pair) for pair in data.validation]
    train_loop(
        translator.model,
        partial(loss_sum, smoothing=settings.smoothing),
        translation_batches(
            [translator.ids(pair) for pair in pairs],
            batch_size=settings.batch_size,
            seed=settings.seed,
            device=group.device,
        ),
        learning.training_config(settings),
        group=group,
        folder=folder,
        validation=[
            translation_batch(held_out[start : start + 256]).to(group.device)
            for start in range(0, len(held_out), 256)
        ],
        progress=progress,
    )
    return translator


def learned(project: TranslationProject) -> Translator:
    """The project's translator, trained here and now on the CPU: for those that take seconds."""
    alone = Processes(rank=0, count=1, device=torch.device("cpu"))
    return train(project, project.settings, group=alone, folder=None, progress=False)


def load(project: TranslationProject, folder: Path) -> tuple[Translator, int]:
    """The translator trained in folder, on the CPU, and after how many steps.

    Raises:
        OtherRun: if there is none.
        DamagedCheckpoint: if its weights cannot be read.
    """
    record = runs.read(folder, project.name)
    try:
        translator = untrained(project, record, torch.device("cpu"))
    except TypeError:  # settings that there are no more, or not yet
        raise runs.OtherRun(
            f"the run in {folder} was begun by another version of minitx; delete it, or choose "
            "another --folder"
        ) from None
    return translator, runs.trained_steps(folder, translator.model)


def untrained(project: TranslationProject, record: runs.Record, device: torch.device) -> Translator:
    """The translator at its start; the weights are drawn from the run's seed."""
    settings = TranslationSettings(**record.settings)
    src, tgt = (Vocabulary(tuple(record.vocabularies[side])) for side in ("src", "tgt"))
    with learning.first_weights_of(settings.seed):
        model = model_of(settings, src_vocab_size=len(src), tgt_vocab_size=len(tgt))
    return Translator(project, model.to(device).eval(), src, tgt)


def model_of(
    settings: TranslationSettings, *, src_vocab_size: int, tgt_vocab_size: int
) -> Transformer | RecurrentTranslator:
    """The model that the settings describe, with new weights."""
    if settings.architecture != "transformer":
        return RecurrentTranslator(
            RecurrentTranslatorConfig(
                src_vocab_size=src_vocab_size,
                tgt_vocab_size=tgt_vocab_size,
                d_model=settings.d_model,
                attention=settings.architecture == "recurrent, with attention",
            )
        )
    model = Transformer(
        TransformerConfig(
            src_vocab_size=src_vocab_size,
            tgt_vocab_size=tgt_vocab_size,
            d_model=settings.d_model,
            num_heads=settings.num_heads,
            num_encoder_layers=settings.num_layers,
            num_decoder_layers=settings.num_layers,
            d_ff=4 * settings.d_model,
            dropout=settings.dropout,
            position=NoPosition if settings.positions == "none" else None,
            pre_norm=settings.pre_norm,
        )
    )
    take_out(model, settings.without)
    return model


@dataclass(frozen=True)
class Score:
    """How good a translator is on some texts.

    Args:
        count: translations in all.
        mistakes: source, translation and what was wanted, of those that are not right to the
            last character.
        chrf: character n-gram F-score, 0 to 100; None if it was not asked for.
    """

    count: int
    mistakes: list[tuple[str, str, str]]
    chrf: float | None = None

    @property
    def right(self) -> int:
        """Translations that are right to the last character."""
        return self.count - len(self.mistakes)


def scored(translator: Translator, pairs: Sequence[Pair]) -> Score:
    """Translate all sources and compare.

    chrF is Popović 2015's, as sacrebleu computes it.

    Raises:
        ModuleNotFoundError: if the project wants chrF and sacrebleu is not installed.
    """
    texts, wanted = (list(side) for side in zip(*pairs, strict=True))
    got = translator.translate(texts)
    mistakes = [row for row in zip(texts, got, wanted, strict=True) if row[1] != row[2]]
    return Score(
        len(pairs), mistakes, chrf_score(got, wanted) if translator.project.with_chrf else None
    )


def chrf_score(got: list[str], wanted: list[str]) -> float:
    """chrF of a whole corpus, 0 to 100.

    Raises:
        ModuleNotFoundError: if sacrebleu is not installed.
    """
    version_of("sacrebleu")
    from sacrebleu import corpus_chrf

    return float(corpus_chrf(got, [wanted]).score)
