"""Byte-pair encoding from scratch: bytes, and the pairs of tokens that occur most often.

No text is unknown to it, because every text is bytes, and decoding gives back every text exactly.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import pairwise

Pair = tuple[int, int]

BYTES = (*range(33, 127), *range(161, 173), *range(174, 256), *range(33), *range(127, 161), 173)
"""Token i < 256 is this byte: those that can be seen when printed come first, as in GPT-2."""

TOKEN_OF_BYTE = [BYTES.index(byte) for byte in range(256)]

_PIECE = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")


def pieces(text: str) -> list[str]:
    """Words with the blank before them, numbers, signs, blanks: no token reaches across.

    The pattern is GPT-2's (Radford et al. 2019, §2.2, and the authors' code). Python's own
    patterns count Ⅷ and ½ among the letters and four control characters among the blanks; they
    are counted as GPT-2 does, by looking at a copy of the text with plainer ones in their place.

    >>> pieces("I'll go  to 2½ places!")
    ['I', "'ll", ' go', ' ', ' to', ' 2½', ' places', '!']
    """
    plainer = {ord(c): "0" for c in set(text) if c.isnumeric() and not c.isalpha()}
    plainer |= dict.fromkeys(range(0x1C, 0x20), "!")
    copy = text.translate(plainer)
    return [text[match.start() : match.end()] for match in _PIECE.finditer(copy)]


@dataclass(frozen=True)
class BytePairs:
    """A tokenizer: the 256 bytes, and merges in the order in which they were learned.

    Args:
        merges: merge number i makes token 256 + i of two earlier tokens.

    Raises:
        ValueError: if a merge needs a token that is made later.

    Source: Sennrich et al. 2016, §3.2, algorithm 1, over bytes as in Radford et al. 2019, §2.2.
    Merges and ids are those of Hugging Face's `tokenizers` (ByteLevel, BpeTrainer without special
    tokens), which knows newer letters and numbers than Python 3.11's Unicode 14.

    >>> tokenizer = BytePairs.learn("low low low lower", num_merges=3)
    >>> tokenizer.encode("low"), tokenizer.decode(tokenizer.encode("low 低"))
    ([257], 'low 低')
    """

    merges: tuple[Pair, ...]

    def __post_init__(self) -> None:
        spelling = [bytes([byte]) for byte in BYTES]
        for i, (left, right) in enumerate(self.merges):
            if not (0 <= left < 256 + i and 0 <= right < 256 + i):
                raise ValueError(f"merge {i} joins {left} and {right}, wanted ids below {256 + i}")
            spelling.append(spelling[left] + spelling[right])
        object.__setattr__(self, "_spelling", spelling)
        object.__setattr__(self, "_made", {pair: 256 + i for i, pair in enumerate(self.merges)})

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
        times = Counter(pieces(text))
        words = {piece: _bytes(piece) for piece in times}
        counts: Counter[Pair] = Counter()
        places: defaultdict[Pair, set[str]] = defaultdict(set)
        for piece, word in words.items():
            for pair in pairwise(word):
                counts[pair] += times[piece]
                places[pair].add(piece)

        # The most frequent pair lies on top. Counts that have changed since are put in anew, and
        # the old entry is thrown away when it comes up.
        heap = [(-count, pair) for pair, count in counts.items()]
        heapify(heap)
        merges: list[Pair] = []
        while heap and len(merges) < num_merges:
            count, best = heappop(heap)
            if -count != counts[best]:
                continue
            token = 256 + len(merges)
            merges.append(best)
            changed = set()
            # Only the words that hold the pair change, and only their pairs are counted anew.
            for piece in places.pop(best):
                for pair in pairwise(words[piece]):
                    counts[pair] -= times[piece]
                    changed.add(pair)
                words[piece] = joined(words[piece], best, token)
                for pair in pairwise(words[piece]):
                    counts[pair] += times[piece]
                    places[pair].add(piece)
                    changed.add(pair)
            for pair in changed:
                if counts[pair] > 0:
                    heappush(heap, (-counts[pair], pair))
        return cls(tuple(merges))

    def __len__(self) -> int:
        """Number of tokens."""
        return 256 + len(self.merges)

    def encode(self, text: str) -> list[int]:
        """The tokens of text: in every piece, the earliest merge first.

        Raises:
            UnicodeEncodeError: if text holds half of a surrogate pair, which is no text.
        """
        cut = pieces(text)
        tokens = {piece: self._encode_piece(piece) for piece in set(cut)}
        return [token for piece in cut for token in tokens[piece]]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens; bytes that are no text become the replacement character.

        Raises:
            ValueError: if there is no such token.
        """
        spelling: list[bytes] = self._spelling  # type: ignore[attr-defined]
        tokens = list(tokens)
        if tokens and not 0 <= min(tokens) <= max(tokens) < len(self):
            raise ValueError(
                f"tokens must lie in 0 … {len(self) - 1}, got {min(tokens)} to {max(tokens)}"
            )
        return b"".join(spelling[token] for token in tokens).decode(errors="replace")

    def _encode_piece(self, piece: str) -> list[int]:
        made: dict[Pair, int] = self._made  # type: ignore[attr-defined]
        word = _bytes(piece)
        while known := [made[pair] for pair in pairwise(word) if pair in made]:
            word = joined(word, self.merges[min(known) - 256], min(known))
        return word


def joined(word: list[int], pair: Pair, token: int) -> list[int]:
    """The word with every occurrence of pair, from the left, replaced by token.

    >>> joined([7, 7, 7], (7, 7), 300)
    [300, 7]
    """
    result: list[int] = []
    for part in word:
        if result and (result[-1], part) == pair:
            result[-1] = token
        else:
            result.append(part)
    return result


def _bytes(piece: str) -> list[int]:
    return [TOKEN_OF_BYTE[byte] for byte in piece.encode()]
