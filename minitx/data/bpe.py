"""Byte-pair encoding from scratch: bytes, and the pairs of tokens that occur most often.

No text is unknown to it, because every text is bytes, and decoding gives back every text exactly.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass

_PIECES = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")
"""Words with the blank before them, numbers, signs, blanks: no token reaches across.

GPT-2's pattern (Radford et al. 2019, §2.2) in the words of the standard library; \\d is only the
decimal digits, and letters are what \\w says they are.
"""

Pair = tuple[int, int]


@dataclass(frozen=True)
class BytePairs:
    """A tokenizer: the 256 bytes, and merges in the order in which they were learned.

    Args:
        merges: merge number i makes token 256 + i of two earlier tokens.

    Source: Sennrich et al. 2016, §3.2, algorithm 1, over bytes as in Radford et al. 2019, §2.2.

    >>> tokenizer = BytePairs.learn("low low low lower", num_merges=3)
    >>> tokenizer.encode("low"), tokenizer.decode(tokenizer.encode("low 低"))
    ([257], 'low 低')
    """

    merges: tuple[Pair, ...]

    def __post_init__(self) -> None:
        ranks = {pair: i for i, pair in enumerate(self.merges)}
        spelling = [bytes([i]) for i in range(256)]
        for i, (left, right) in enumerate(self.merges):
            if not max(left, right) < 256 + i:
                raise ValueError(f"merge {i} joins ({left}, {right}), which do not exist yet")
            spelling.append(spelling[left] + spelling[right])
        object.__setattr__(self, "_ranks", ranks)
        object.__setattr__(self, "_spelling", spelling)

    @classmethod
    def learn(cls, text: str, *, num_merges: int) -> "BytePairs":
        """Join the most frequent pair of neighbours, num_merges times.

        Of pairs that are equally frequent the one with the smaller ids wins. Fewer merges are
        made if no pair is left.

        Raises:
            ValueError: if num_merges is negative.
        """
        if num_merges < 0:
            raise ValueError(f"num_merges must be at least 0, got {num_merges}")
        pieces = Counter(_PIECES.findall(text))
        words = [list(piece.encode()) for piece in pieces]
        times = list(pieces.values())
        counts: Counter[Pair] = Counter()
        places: defaultdict[Pair, set[int]] = defaultdict(set)
        for w, word in enumerate(words):
            for pair in zip(word, word[1:], strict=False):
                counts[pair] += times[w]
                places[pair].add(w)

        merges: list[Pair] = []
        while len(merges) < num_merges and counts:
            best = min(counts, key=lambda pair: (-counts[pair], pair))
            if counts[best] < 1:
                break
            token = 256 + len(merges)
            merges.append(best)
            # Only the words that hold the pair change, and only their pairs are counted anew.
            for w in places[best]:
                word = words[w]
                for pair in zip(word, word[1:], strict=False):
                    counts[pair] -= times[w]
                words[w] = word = joined(word, best, token)
                for pair in zip(word, word[1:], strict=False):
                    counts[pair] += times[w]
                    places[pair].add(w)
            del counts[best], places[best]
        return cls(tuple(merges))

    def __len__(self) -> int:
        """Number of tokens."""
        return 256 + len(self.merges)

    def encode(self, text: str) -> list[int]:
        """The tokens of text: in every piece, the earliest merge first."""
        return [token for piece in _PIECES.findall(text) for token in self._encode_piece(piece)]

    def decode(self, tokens: list[int]) -> str:
        """The text of tokens; bytes that are no text become the replacement character."""
        spelling: list[bytes] = self._spelling  # type: ignore[attr-defined]
        return b"".join(spelling[token] for token in tokens).decode(errors="replace")

    def _encode_piece(self, piece: str) -> list[int]:
        ranks: dict[Pair, int] = self._ranks  # type: ignore[attr-defined]
        word = list(piece.encode())
        while len(word) > 1:
            pair = min(zip(word, word[1:], strict=False), key=lambda p: ranks.get(p, len(ranks)))
            if pair not in ranks:
                break
            word = joined(word, pair, 256 + ranks[pair])
        return word


def joined(word: list[int], pair: Pair, token: int) -> list[int]:
    """The word with every occurrence of pair, from the left, replaced by token.

    >>> joined([7, 7, 7], (7, 7), 300)
    [300, 7]
    """
    result: list[int] = []
    i = 0
    while i < len(word):
        if tuple(word[i : i + 2]) == pair:
            result.append(token)
            i += 2
        else:
            result.append(word[i])
            i += 1
    return result
