"""From our translator to GPT-3: how many numbers a model has, moves and keeps.

Counted from the sizes that the papers and model cards give, for transformers of one shape; the
tests compare with the models of this course.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from minitx.measure.table import Table

LENGTH = 512
"""Tokens in view where the cost of the last of them is told: as many as BERT may see."""

BYTES = 2
"""Of one weight, and of one number in the cache: 16 bits, whatever a model was trained in."""


@dataclass(frozen=True)
class Sizes:
    """A transformer by its sizes.

    Args:
        name: as the table says it.
        encoder: blocks in which every token may see every other.
        decoder: causal blocks; beside an encoder each also reads what that has made.
        d_model: C.
        num_heads: H, of the queries.
        d_ff: F.
        vocab_size: V.
        num_kv_heads: heads of the keys and values; as many as num_heads unless given.
        ff_matrices: 2, or 3 where a third one gates.
        extra: everything else that is learned: biases, norms, positions, a second table.
        source: of the sizes.
    """

    name: str
    encoder: int
    decoder: int
    d_model: int
    num_heads: int
    d_ff: int
    vocab_size: int
    num_kv_heads: int | None = None
    ff_matrices: int = 2
    extra: int = 0
    source: str = ""

    @property
    def d_kv(self) -> int:
        """Width of all keys of a token together: C, or less where heads share them."""
        return self.d_model * (self.num_kv_heads or self.num_heads) // self.num_heads

    @property
    def _block(self) -> int:
        """Weights of a block's matrices: attention 2C² + 2C·D_kv, feed-forward 2 or 3 C·F."""
        return self._attention + self.ff_matrices * self.d_model * self.d_ff

    @property
    def _attention(self) -> int:
        return 2 * self.d_model * (self.d_model + self.d_kv)

    @property
    def _crosses(self) -> int:
        """Blocks that read what an encoder has made."""
        return self.decoder if self.encoder else 0

    @property
    def parameters(self) -> int:
        """All weights: the blocks' matrices, one table of embeddings, and what else there is."""
        blocks = (self.encoder + self.decoder) * self._block + self._crosses * self._attention
        return blocks + self.vocab_size * self.d_model + self.extra

    @property
    def attention_parameters(self) -> int:
        """Those in the matrices of all attentions: W_Q, W_K, W_V and W_O of every head."""
        return (self.encoder + self.decoder + self._crosses) * self._attention

    def flop_per_token(self, length: int = LENGTH) -> int:
        """To write the last of `length` tokens, the others' keys and values kept; or to read it.

        2 for every weight that the token meets, and 4·T·C in every attention for its scores and its
        mixture. A model with an encoder and a decoder has read a text of that length before; a
        model that is only an encoder reads one token among so many.

        Source: Kaplan et al. 2020, §2.1, table 1, which leaves out, as here, softmax, norms and
        biases. The output layer is counted here.
        """
        layers = self.decoder or self.encoder
        met = layers * self._block + self.vocab_size * self.d_model
        met += self._crosses * 2 * self.d_model**2  # the memory's keys and values are there already
        return 2 * met + 4 * length * self.d_model * (layers + self._crosses)

    @property
    def weight_bytes(self) -> int:
        """Memory of the weights alone."""
        return BYTES * self.parameters

    @property
    def cache_bytes_per_token(self) -> int | None:
        """Keys and values kept for every token, read or written; None where nothing is written."""
        return BYTES * 2 * self.decoder * self.d_kv if self.decoder else None


def rest(layers: int, C: int, F: int, *, norms: int, biases: bool = True) -> int:
    """Biases of one attention and one feed-forward network a layer, and norms with two vectors."""
    return layers * (4 * C + F + C if biases else 0) + norms * 2 * C


OURS = Sizes(
    "our translator of chapter 6", 2, 2, 128, 4, 512, 71,
    extra=rest(4, 128, 512, norms=10) + 2 * 4 * 128 + 61 * 128,
    source="minitx train numbers: 61 English tokens, 71 French ones",
)  # fmt: skip
BASE = Sizes(
    "transformer, base (2017)", 6, 6, 512, 8, 2048, 37_000,
    extra=rest(12, 512, 2048, norms=30) + 6 * 4 * 512,
    source="Vaswani et al. 2017, table 3 and §5.1",
)  # fmt: skip
BERT_BASE = Sizes(
    "BERT-base (2018)", 12, 0, 768, 12, 3072, 30_522,
    extra=rest(12, 768, 3072, norms=25) + (512 + 2) * 768 + 768 * 768 + 768,
    source="Devlin et al. 2019, §3, and its published vocabulary",
)  # fmt: skip
BERT_LARGE = Sizes(
    "BERT-large (2018)", 24, 0, 1024, 16, 4096, 30_522,
    extra=rest(24, 1024, 4096, norms=49) + (512 + 2) * 1024 + 1024 * 1024 + 1024,
    source="Devlin et al. 2019, §3, and its published vocabulary",
)  # fmt: skip
GPT1 = Sizes(
    "GPT (2018)", 0, 12, 768, 12, 3072, 40_478,
    extra=rest(12, 768, 3072, norms=24) + 512 * 768,
    source="Radford et al. 2018, §4.1, and its published vocabulary",
)  # fmt: skip
GPT2 = Sizes(
    "GPT-2 (2019)", 0, 48, 1600, 25, 6400, 50_257,
    extra=rest(48, 1600, 6400, norms=97) + 1024 * 1600,
    source="Radford et al. 2019, table 2 and §2.3",
)  # fmt: skip
GPT3 = Sizes(
    "GPT-3 (2020)", 0, 96, 12_288, 96, 49_152, 50_257,
    extra=rest(96, 12_288, 49_152, norms=193) + 2048 * 12_288,
    source="Brown et al. 2020, table 2.1 and §2.1",
)  # fmt: skip
LLAMA = Sizes(
    "Llama 3.1 8B (2024)", 0, 32, 4096, 32, 14_336, 128_256, num_kv_heads=8, ff_matrices=3,
    extra=65 * 4096 + 128_256 * 4096,
    source="Grattafiori et al. 2024, table 3; its output layer is a table of its own",
)  # fmt: skip

MODELS = (OURS, BASE, BERT_BASE, GPT2, GPT3, LLAMA)


def table(models: Sequence[Sizes] = MODELS) -> Table:
    """One row per model: what it has, what a token costs, what is kept."""
    return Table(
        ["model", "parameters", "FLOP a token", "weights", "cache a token"],
        [
            (
                model.name,
                _short(model.parameters, ""),
                _short(model.flop_per_token(), ""),
                _short(model.weight_bytes, "B"),
                _short(model.cache_bytes_per_token, "B"),
            )
            for model in models
        ],
        caption=f"In 16 bits; a token's cost is told with {LENGTH} in view, the text read before "
        "a translation as long.",
    )


SAID = {
    BASE.name: "65 M",
    BERT_BASE.name: "110 M",
    BERT_LARGE.name: "340 M",
    GPT1.name: "117 M",
    GPT2.name: "1.5 G",
    GPT3.name: "175 G",
}
"""What is said of them, in their papers or elsewhere."""


def counted(models: Sequence[Sizes] = (BASE, BERT_BASE, BERT_LARGE, GPT1, GPT2, GPT3)) -> Table:
    """One row per model: its sizes, the parameters counted from them, and what is said."""
    return Table(
        ["model", "layers", "width", "feed-forward", "vocabulary", "counted", "said"],
        [
            (
                model.name,
                f"{model.encoder} + {model.decoder}" if model._crosses
                else str(model.encoder + model.decoder),
                model.d_model,
                model.d_ff,
                model.vocab_size,
                _short(model.parameters, ""),
                SAID[model.name],
            )
            for model in models
        ],
        ["", "", ",d", ",d", ",d", "", ""],
    )  # fmt: skip


def heads(models: Sequence[Sizes] = MODELS) -> Table:
    """One row per model: how many heads it has, how wide they are, and how many parameters.

    Heads are those of one attention; parameters are those of all attentions together.
    """
    return Table(
        ["model", "heads", "of keys, values", "width of each", "parameters of all", "share"],
        [
            (
                model.name,
                model.num_heads,
                model.num_kv_heads or model.num_heads,
                model.d_model // model.num_heads,
                _short(model.attention_parameters, ""),
                model.attention_parameters / model.parameters,
            )
            for model in models
        ],
        ["", "d", "d", "d", "", ".0%"],
    )


def _short(number: int | None, unit: str) -> str | None:
    """Three digits and a prefix of 1,000s.

    >>> _short(174_604_259_328, ""), _short(2_097_152, "B")
    ('175 G', '2.10 MB')
    """
    if number is None:
        return None
    value, prefix = float(number), ""
    for bigger in "kMGT":
        if value < 999.5:
            break
        value, prefix = value / 1000, bigger
    return f"{value:#.3g}".rstrip(".") + f" {prefix}{unit}".rstrip()
