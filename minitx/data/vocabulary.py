"""Words or characters to ids and back."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")


class UnknownToken(ValueError):
    """A text holds tokens that the texts learned from do not hold."""


def words(text: str) -> list[str]:
    """Words, each with the blank or hyphen before it, and signs: joined, they are the text again.

    >>> words("quatre-vingt mille, cent")
    ['quatre', '-vingt', ' mille', ',', ' cent']
    """
    return re.findall(r"[ -]?\w+|\W", text)


@dataclass(frozen=True)
class Vocabulary:
    """Tokens and their ids; the first four are padding, beginning, end and unknown.

    A text is a sequence of tokens: what `words` returns, or the string itself, whose tokens are
    its characters. They are compared as they are: what people type goes through `text.canonical`
    first.

    Args:
        tokens: all tokens, the special ones first.

    Raises:
        ValueError: if the special tokens are not the first, or a token is there twice.

    >>> vocabulary = Vocabulary.of(["ab", "a"])
    >>> vocabulary.encode("az")
    [4, 3]
    >>> vocabulary.decode([BOS, 4, 5, EOS, PAD])
    ['a', 'b']
    """

    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.tokens[: len(SPECIAL)] != SPECIAL:
            raise ValueError(f"tokens must begin with {SPECIAL}, got {self.tokens[: len(SPECIAL)]}")
        twice = [token for token, count in Counter(self.tokens).items() if count > 1]
        if twice:
            raise ValueError(f"tokens must be different, got twice: {twice[:5]}")
        ordinary = {token: i for i, token in enumerate(self.tokens) if i >= len(SPECIAL)}
        object.__setattr__(self, "_ids", ordinary)

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]]) -> "Vocabulary":
        """All tokens of the texts, the most frequent first; ties in the order of the alphabet."""
        counts = Counter(token for text in texts for token in text)
        return cls((*SPECIAL, *sorted(counts, key=lambda token: (-counts[token], token))))

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: Sequence[str]) -> list[int]:
        """Ids; a token that is not known becomes UNK, and so does the name of a special token."""
        ids: dict[str, int] = self._ids  # type: ignore[attr-defined]
        return [ids.get(token, UNK) for token in text]

    def encode_known(self, text: Sequence[str]) -> list[int]:
        """Ids, if all tokens are known.

        Raises:
            UnknownToken: if some are not; it names them.
        """
        ids = self.encode(text)
        unknown = [token for token, i in zip(text, ids, strict=True) if i == UNK]
        if unknown:
            raise UnknownToken(f"never seen: {', '.join(map(shown, dict.fromkeys(unknown)))}")
        return ids

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Tokens up to the first EOS, without padding and beginning.

        Raises:
            ValueError: if there is no such id.
        """
        tokens = []
        for i in ids:
            if not 0 <= i < len(self.tokens):
                raise ValueError(f"ids must lie in 0 … {len(self.tokens) - 1}, got {i}")
            if i == EOS:
                break
            if i not in (PAD, BOS):
                tokens.append(self.tokens[i])
        return tokens


def shown(token: str) -> str:
    """A token as a message can show it: what cannot be seen alone by its Unicode name.

    >>> print(shown(" vingt"), shown("\u0308"), shown("\u00a0"))
    “vingt” COMBINING DIAERESIS NO-BREAK SPACE
    """
    visible = token.strip()
    if visible and unicodedata.category(visible[0])[0] in "LNPS":
        return f"“{visible}”"
    return " ".join(unicodedata.name(c, f"U+{ord(c):04X}") for c in token)
