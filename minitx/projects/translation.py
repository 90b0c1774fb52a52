"""What the two translators share: pairs of texts, the 2017 transformer, greedy decoding."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from minitx.data.batching import Batch, sources, translation_batch, translation_batches
from minitx.data.vocabulary import BOS, EOS, UNK, Vocabulary
from minitx.generate import TranslationDecoding, greedy
from minitx.masks import padding
from minitx.models.seq2seq import Transformer, TransformerConfig
from minitx.projects import runs
from minitx.training import (
    IGNORE,
    Processes,
    TrainingConfig,
    cosine_rate,
    label_smoothed_cross_entropy,
    train,
)

Pair = tuple[str, str]
Cut = Callable[[str], Sequence[str]]
"""A text as tokens: its words, or itself, whose tokens are its characters."""


@dataclass(frozen=True)
class Settings:
    """Everything that decides how a translator turns out.

    Args:
        num_steps: updates.
        max_lr: highest learning rate; it falls along a cosine to 0.
        batch_size: pairs per update, in each process.
        warmup_steps: updates until max_lr; a tenth of them all at most.
        smoothing: of the labels.
        seed: of the first weights, the order of the pairs and dropout.

    The other names are those of `TransformerConfig`; num_layers is meant for both stacks.
    """

    num_steps: int
    max_lr: float
    batch_size: int = 128
    warmup_steps: int = 40
    d_model: int = 128
    num_heads: int = 4
    num_layers: int = 2
    d_ff: int = 512
    dropout: float = 0.0
    smoothing: float = 0.1
    seed: int = 0


class UnknownToken(ValueError):
    """A text holds something that the translator has never seen."""


@dataclass(frozen=True)
class Translator:
    """A model and the words that its numbers stand for.

    Args:
        model: its weights.
        src: vocabulary of the source.
        tgt: vocabulary of the target.
        cut: source and target as tokens.
    """

    model: Transformer
    src: Vocabulary
    tgt: Vocabulary
    cut: Cut

    def encode(self, text: str) -> list[int]:
        """The tokens of a source.

        Raises:
            UnknownToken: if one of them was never seen in training, or there are none.
        """
        tokens = self.cut(text)
        if not tokens:
            raise UnknownToken("there is nothing to translate")
        ids = self.src.encode(tokens)
        unknown = [token for token, i in zip(tokens, ids, strict=True) if i == UNK]
        if unknown:
            never_seen = ", ".join(f"“{token.strip()}”" for token in dict.fromkeys(unknown))
            raise UnknownToken(f"the translator has never seen {never_seen}")
        return ids

    def translate(self, texts: Sequence[str], *, max_new_tokens: int = 40) -> list[str]:
        """The most probable translation, token by token; of many texts at once.

        Raises:
            UnknownToken: if a text holds what was never seen in training.
        """
        device = next(self.model.parameters()).device
        translations: list[str] = []
        for start in range(0, len(texts), 256):
            src, lengths = sources([self.encode(text) for text in texts[start : start + 256]])
            mask = padding(lengths.to(device), src.size(1))
            decoding = TranslationDecoding(self.model, src.to(device), src_mask=mask)
            begin = torch.full((len(src), 1), BOS, device=device)
            ids = greedy(decoding, begin, max_new_tokens=max_new_tokens, eos_id=EOS)
            translations += ["".join(self.tgt.decode(row)) for row in ids.tolist()]
        return translations


def loss_sum(model: nn.Module, batch: Batch, *, smoothing: float) -> tuple[Tensor, Tensor]:
    """What is made small, and over how many tokens; labels are smoothed in training only."""
    logits = model(batch.src, batch.tgt_in, src_mask=padding(batch.lengths, batch.src.size(1)))
    loss = label_smoothed_cross_entropy(
        logits, batch.tgt_out, smoothing=smoothing if model.training else 0.0, reduction="sum"
    )
    return loss, (batch.tgt_out != IGNORE).sum()


def train_translator(
    project: str,
    pairs: Sequence[Pair],
    validation: Sequence[Pair],
    cut: Cut,
    settings: Settings,
    *,
    group: Processes,
    folder: Path,
    progress: bool = True,
) -> Translator:
    """Train on pairs in folder, or go on with what was begun there.

    Raises:
        OtherRun: if folder holds another run.
        KeyboardInterrupt: after Ctrl-C; the same call continues.
    """
    src, tgt = (Vocabulary.of(map(cut, texts)) for texts in zip(*pairs, strict=True))
    record = runs.Record(
        project,
        asdict(settings),
        runs.checksum(text for pair in pairs for text in pair),
        {"src": list(src.tokens), "tgt": list(tgt.tokens)},
        group.count,
    )
    runs.claim(folder, record, group)
    translator = untrained(record, cut, group.device)
    held_out = [ids(pair, src, tgt, cut) for pair in validation]
    train(
        translator.model,
        partial(loss_sum, smoothing=settings.smoothing),
        translation_batches(
            [ids(pair, src, tgt, cut) for pair in pairs],
            batch_size=settings.batch_size,
            seed=settings.seed,
            device=group.device,
        ),
        TrainingConfig(num_steps=settings.num_steps, rate=rate_of(settings), seed=settings.seed),
        group=group,
        folder=folder,
        validation=[
            translation_batch(held_out[start : start + 256]).to(group.device)
            for start in range(0, len(held_out), 256)
        ],
        progress=progress,
    )
    return translator


def load(folder: Path, project: str, cut: Cut) -> tuple[Translator, int]:
    """The translator trained in folder, on the CPU, and after how many steps.

    Raises:
        OtherRun: if there is none.
        DamagedCheckpoint: if its weights cannot be read.
    """
    translator = untrained(runs.read(folder, project), cut, torch.device("cpu"))
    return translator, runs.trained_steps(folder, translator.model)


def untrained(record: runs.Record, cut: Cut, device: torch.device) -> Translator:
    """The translator at its start; the weights are drawn from the run's seed."""
    settings = Settings(**record.settings)
    src, tgt = (Vocabulary(tuple(record.vocabularies[side])) for side in ("src", "tgt"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = Transformer(
            TransformerConfig(
                src_vocab_size=len(src),
                tgt_vocab_size=len(tgt),
                d_model=settings.d_model,
                num_heads=settings.num_heads,
                num_encoder_layers=settings.num_layers,
                num_decoder_layers=settings.num_layers,
                d_ff=settings.d_ff,
                dropout=settings.dropout,
            )
        )
    return Translator(model.to(device).eval(), src, tgt, cut)


def rate_of(settings: Settings) -> Callable[[int], float]:
    """The learning rate of every step."""
    return partial(
        cosine_rate,
        max_lr=settings.max_lr,
        warmup_steps=max(1, min(settings.warmup_steps, settings.num_steps // 10)),
        num_steps=settings.num_steps + 1,  # the last step still learns a little
    )


def ids(pair: Pair, src: Vocabulary, tgt: Vocabulary, cut: Cut) -> tuple[list[int], list[int]]:
    """A pair as two lists of ids."""
    return src.encode(cut(pair[0])), tgt.encode(cut(pair[1]))


@dataclass(frozen=True)
class Score:
    """How good a translator is on texts that it has never seen.

    Args:
        exact: share of translations that are right to the last character.
        count: translations in all.
        chrf: character n-gram F-score, 0 to 100; None if it was not asked for.
        mistakes: source, translation and what was wanted, of the wrong ones.
    """

    exact: float
    count: int
    chrf: float | None
    mistakes: list[tuple[str, str, str]]


def scored(translator: Translator, pairs: Sequence[Pair], *, with_chrf: bool = False) -> Score:
    """Translate all sources and compare.

    chrF is Popović 2015's, as sacrebleu computes it.

    Raises:
        ModuleNotFoundError: if chrF is asked for and sacrebleu is not installed.
    """
    texts, wanted = (list(side) for side in zip(*pairs, strict=True))
    got = translator.translate(texts)
    mistakes = [row for row in zip(texts, got, wanted, strict=True) if row[1] != row[2]]
    chrf = chrf_score(got, wanted) if with_chrf else None
    return Score(1 - len(mistakes) / len(pairs), len(pairs), chrf, mistakes)


def chrf_score(got: list[str], wanted: list[str]) -> float:
    """chrF of a whole corpus, 0 to 100."""
    try:
        from sacrebleu import corpus_chrf
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "chrF needs the package sacrebleu; install it with: pip install 'minitx[data]'"
        ) from None
    return float(corpus_chrf(got, [wanted]).score)
