"""Words or characters to ids and back."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")


@dataclass(frozen=True)
class Vocabulary:
    """Tokens and their ids; the first four are padding, beginning, end and unknown.

    Args:
        tokens: all tokens, the special ones first.

    >>> vocabulary = Vocabulary.of([["a", "b"], ["a"]])
    >>> vocabulary.encode(["a", "z"])
    [4, 3]
    >>> vocabulary.decode([1, 4, 5, 2, 0])
    ['a', 'b']
    """

    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.tokens[: len(SPECIAL)] != SPECIAL:
            raise ValueError(f"tokens must begin with {SPECIAL}, got {self.tokens[:4]}")
        object.__setattr__(self, "_ids", {token: i for i, token in enumerate(self.tokens)})
        if len(self._ids) != len(self.tokens):
            twice = [token for token, count in Counter(self.tokens).items() if count > 1]
            raise ValueError(f"tokens must be different, got twice: {twice[:5]}")

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]]) -> "Vocabulary":
        """All tokens of the texts, the most frequent first; ties in the order of the alphabet."""
        counts = Counter(token for text in texts for token in text)
        return cls((*SPECIAL, *sorted(counts, key=lambda token: (-counts[token], token))))

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: Sequence[str]) -> list[int]:
        """Ids; a token that is not known becomes UNK."""
        ids: dict[str, int] = self._ids  # type: ignore[attr-defined]
        return [ids.get(token, UNK) for token in text]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Tokens up to the first EOS, without padding and beginning.

        Raises:
            ValueError: if there is no such id.
        """
        tokens = []
        for i in ids:
            if not 0 <= i < len(self.tokens):
                raise ValueError(f"ids must lie below {len(self.tokens)}, got {i}")
            if i == EOS:
                break
            if i not in (PAD, BOS):
                tokens.append(self.tokens[i])
        return tokens
