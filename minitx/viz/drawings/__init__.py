"""The drawings of the chapters: functions that need no arguments, one idea each.

A drawing shows numbers only where minitx computes them. Whatever `__all__` names is tested: well
formed, legible on a phone, no word over another or outside, and the same twice.
"""

from minitx.viz.drawings.layers import path_lengths, two_sequences_one_sequence
from minitx.viz.drawings.lookup import highlighter_and_jigsaw, lookup_bars, score_grid
from minitx.viz.drawings.recurrence import (
    gradient_paths,
    lstm_conveyor,
    scan_tree,
    unrolled_rnn,
    wavefront,
)
from minitx.viz.drawings.translation import bottleneck, crossing_numbers, decoder_looks_back

__all__ = [
    "bottleneck",
    "crossing_numbers",
    "decoder_looks_back",
    "gradient_paths",
    "highlighter_and_jigsaw",
    "lookup_bars",
    "lstm_conveyor",
    "path_lengths",
    "scan_tree",
    "score_grid",
    "two_sequences_one_sequence",
    "unrolled_rnn",
    "wavefront",
]
