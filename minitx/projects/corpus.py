"""What the two models of text share: one long text, its characters, pieces of it."""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from minitx.data import split
from minitx.data.text import canonical, python_topics, read_text
from minitx.data.vocabulary import UnknownToken, Vocabulary
from minitx.projects import runs
from minitx.projects.settings import TextSettings
from minitx.training import Processes

VALIDATION_PIECES = 128


@dataclass(frozen=True)
class Corpus:
    """A text: its beginning to learn from, its end to be measured on.

    Args:
        text: in the one form in which texts are compared.
        vocabulary: its characters.
        train: ids of the beginning.
        validation: ids of the last tenth.
    """

    text: str
    vocabulary: Vocabulary
    train: Int[Tensor, " N"]
    validation: Int[Tensor, " M"]

    @classmethod
    def of(cls, text: str, *, length: int = 1) -> "Corpus":
        """The corpus of a text that is learned in pieces of that many characters.

        Raises:
            ValueError: if no piece and its next character fit into the last tenth.
        """
        text = canonical(text)
        if len(text) < 10 * (length + 1):
            raise ValueError(
                f"the text has {len(text):,} characters; pieces of {length:,} need at least "
                f"{10 * (length + 1):,}"
            )
        vocabulary = Vocabulary.of([text])
        first, last = split.cut(vocabulary.encode(text))
        return cls(text, vocabulary, torch.tensor(first), torch.tensor(last))


def read(file: Path | None) -> str:
    """The text of a file, or of Python's documentation.

    Raises:
        OSError, ValueError: if the file cannot be read; see `data.text.read_text`.
    """
    return python_topics() if file is None else read_text(file)


def prompt_ids(prompt: str, vocabulary: Vocabulary) -> list[int]:
    """The characters from which a model is to go on.

    Raises:
        ValueError: if there are none, or one that was never seen in training.
    """
    if not prompt:
        raise ValueError("the prompt is empty, and the model needs a character to begin with")
    try:
        return vocabulary.encode_known(canonical(prompt))
    except UnknownToken as unknown:
        raise UnknownToken(f"the prompt holds characters {unknown}") from None


def claim(
    project: str, corpus: Corpus, settings: TextSettings, *, group: Processes, folder: Path
) -> None:
    """Begin this run in folder, or see that it is the one that was begun there.

    Raises:
        OtherRun: if folder holds another run.
    """
    record = runs.Record(
        project,
        asdict(settings),
        runs.checksum([corpus.text]),
        {"characters": list(corpus.vocabulary.tokens)},
        group.count,
    )
    runs.claim(folder, record, group)
