"""WordPiece, BERT's tokenizer: the longest known piece of a word, then the longest of the rest."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from minitx.data.text import lines

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MAX_WORD = 100
"""Longer words are not cut into pieces: they are unknown."""

_SPECIAL = re.compile("(" + "|".join(map(re.escape, SPECIAL)) + ")")
_IDEOGRAPH = re.compile(
    "[\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002a6df\U0002a700-\U0002b73f"
    "\U0002b740-\U0002b81f\U0002b820-\U0002ceaf\uf900-\ufaff\U0002f800-\U0002fa1f]"
)


@dataclass(frozen=True)
class WordPiece:
    """BERT's tokenizer, for a vocabulary that somebody else has learned.

    Args:
        vocabulary: the pieces; those that continue a word begin with "##". The place is the id.

    Raises:
        ValueError: if a special token is missing, or a piece is there twice.

    Source: Devlin et al. 2019, §3, and the authors' code ("uncased"); Wu et al. 2016, §4.1. In
    two things it follows Hugging Face's `tokenizers` where they leave the authors' code: the name
    of a special token in a text is that token, and a Greek Σ becomes σ at the end of a word too.
    What a character is, Python's Unicode says.

    >>> tokenizer = WordPiece((*SPECIAL, "un", "##aff", "##able", "a", "fact", "."))
    >>> tokenizer.tokens("Unaffable à fact. [MASK]")
    ['un', '##aff', '##able', 'a', 'fact', '.', '[MASK]']
    >>> tokenizer.encode("a fact", "unaffable")
    ([2, 8, 9, 3, 5, 6, 7, 3], [0, 0, 0, 0, 1, 1, 1, 1])
    """

    vocabulary: tuple[str, ...]

    def __post_init__(self) -> None:
        ids = {piece: i for i, piece in enumerate(self.vocabulary)}
        if missing := [token for token in SPECIAL if token not in ids]:
            raise ValueError(f"the vocabulary must hold {SPECIAL}, but {missing} are missing")
        if len(ids) < len(self.vocabulary):
            raise ValueError(
                f"pieces must be different, got {len(self.vocabulary)}, of which {len(ids)} differ"
            )
        object.__setattr__(self, "_ids", ids)

    @classmethod
    def from_file(cls, path: Path | str) -> "WordPiece":
        """From a vocabulary file: one piece per line, as BERT's vocab.txt.

        Raises:
            OSError, ValueError: if the file cannot be read, see `text.lines`.
        """
        return cls(tuple(lines(path)))

    def __len__(self) -> int:
        return len(self.vocabulary)

    def tokens(self, text: str) -> list[str]:
        """The pieces of a text."""
        found: list[str] = []
        for part in _SPECIAL.split(text):
            if part in SPECIAL:
                found.append(part)
            else:
                for word in basic_tokens(part):
                    found += self._pieces(word)
        return found

    def encode(self, first: str, second: str | None = None) -> tuple[list[int], list[int]]:
        """What BERT reads, [CLS] first [SEP] or [CLS] first [SEP] second [SEP], as ids.

        Returns:
            The ids, and for each whether it belongs to the first (0) or the second text (1).
        """
        one = self.ids(["[CLS]", *self.tokens(first), "[SEP]"])
        two = [] if second is None else self.ids([*self.tokens(second), "[SEP]"])
        return one + two, [0] * len(one) + [1] * len(two)

    def ids(self, tokens: Sequence[str]) -> list[int]:
        """Ids of pieces; of [UNK] for a piece that is not in the vocabulary."""
        ids: dict[str, int] = self._ids  # type: ignore[attr-defined]
        return [ids.get(token, ids["[UNK]"]) for token in tokens]

    def decode(self, ids: Iterable[int]) -> str:
        """The pieces of a text put together; case, accents and blanks are lost.

        Raises:
            ValueError: if there is no such id.
        """
        ids = list(ids)
        if ids and not 0 <= min(ids) <= max(ids) < len(self):
            raise ValueError(f"ids must lie in 0 … {len(self) - 1}, got {min(ids)} to {max(ids)}")
        return " ".join(self.vocabulary[i] for i in ids).replace(" ##", "")

    def _pieces(self, word: str) -> list[str]:
        ids: dict[str, int] = self._ids  # type: ignore[attr-defined]
        if len(word) > MAX_WORD:
            return ["[UNK]"]
        found: list[str] = []
        start, mark = 0, ""
        while start < len(word):
            ends = range(len(word), start, -1)
            end = next((end for end in ends if mark + word[start:end] in ids), None)
            if end is None:
                return ["[UNK]"]
            found.append(mark + word[start:end])
            start, mark = end, "##"
        return found


def basic_tokens(text: str) -> list[str]:
    """Words and signs: cleaned, in lower case, without accents, every ideograph alone.

    >>> basic_tokens("Ça va?\\0 東京!")
    ['ca', 'va', '?', '東', '京', '!']
    """
    text = "".join(" " if c.isspace() else c for c in text if not _is_control(c))
    text = _IDEOGRAPH.sub(r" \g<0> ", text)
    text = unicodedata.normalize("NFD", text)
    # Letter by letter: "ΟΔΟΣ".lower() would know that this Σ ends a word.
    text = "".join(c.lower() for c in text if unicodedata.category(c) != "Mn")
    return "".join(f" {c} " if _is_punctuation(c) else c for c in text).split()


def _is_control(c: str) -> bool:
    return c == "\ufffd" or (c not in "\t\n\r" and unicodedata.category(c) in ("Cc", "Cf", "Co"))


def _is_punctuation(c: str) -> bool:
    """Punctuation, and all of ASCII that can be seen and is neither letter nor digit."""
    ascii_sign = "!" <= c <= "~" and not c.isalnum()
    return ascii_sign or unicodedata.category(c).startswith("P")
