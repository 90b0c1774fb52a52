"""How a transformer learns where a token stands.

Attention itself does not know: permute the tokens and the outputs are permuted. Each scheme
enters through exactly one of three doors: added to the embeddings (`embed`), turning queries and
keys (`rotate`), or added to the scores (`bias`). Positions are passed in, never counted here,
which is what makes caches, segments and left padding right.

Shape letters: B batch, T length, C model width, H heads, D_k width of a head's queries and keys.
"""

from minitx.positions.alibi import ALiBi
from minitx.positions.base import NoPosition, Position, distances, positions_from
from minitx.positions.learned import Learned
from minitx.positions.rotary import Rotary, ntk_base
from minitx.positions.shaw import Shaw
from minitx.positions.sinusoidal import Sinusoidal
from minitx.positions.t5_bias import T5Bias
from minitx.positions.transformer_xl import TransformerXL, relative_shift
from minitx.positions.yarn import YaRN

__all__ = [
    "ALiBi",
    "Learned",
    "NoPosition",
    "Position",
    "Rotary",
    "Shaw",
    "Sinusoidal",
    "T5Bias",
    "TransformerXL",
    "YaRN",
    "distances",
    "ntk_base",
    "positions_from",
    "relative_shift",
]
