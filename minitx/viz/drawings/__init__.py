"""The drawings of the chapters: most are functions without arguments, with one idea each.

A drawing shows numbers only where minitx computes them. Whatever `__all__` names is tested: well
formed, legible on a phone, no word over another or outside, and the same twice.
"""

from minitx.viz.drawings.accumulation import accumulate
from minitx.viz.drawings.ambiguous import ambiguous_word
from minitx.viz.drawings.bag import order_from_causality, same_bag
from minitx.viz.drawings.basics import dot_products, training_step
from minitx.viz.drawings.batch_size import critical_batch
from minitx.viz.drawings.beams import beam_tree
from minitx.viz.drawings.book_map import transformer, you_are_here
from minitx.viz.drawings.bypass import bypass_road
from minitx.viz.drawings.caching import cache_grows
from minitx.viz.drawings.call_flow import whole_transformer
from minitx.viz.drawings.clipping import clip_sphere
from minitx.viz.drawings.clocks import clock_hands, turn_by_k
from minitx.viz.drawings.cross import cross_attention
from minitx.viz.drawings.decay import decay_or_l2
from minitx.viz.drawings.decoder_masks import three_masks
from minitx.viz.drawings.distances import alibi_slopes, relative_grid, t5_buckets
from minitx.viz.drawings.doors import add_or_concatenate, three_doors
from minitx.viz.drawings.dropout import drop_places
from minitx.viz.drawings.equivariance import same_vectors_reordered
from minitx.viz.drawings.families import three_families
from minitx.viz.drawings.feed_forward import each_position_alone
from minitx.viz.drawings.head_flow import multi_head
from minitx.viz.drawings.head_work import one_wide_head
from minitx.viz.drawings.heads import head_block
from minitx.viz.drawings.layers import path_lengths, two_sequences_one_sequence
from minitx.viz.drawings.looks import two_looks
from minitx.viz.drawings.lookup import highlighter_and_jigsaw, lookup_bars, score_grid
from minitx.viz.drawings.masking_words import masked_words
from minitx.viz.drawings.masks import mask_stencil, padded_batch, two_triangles
from minitx.viz.drawings.memory import feed_forward_memory
from minitx.viz.drawings.memory_reading import memory_to_every_layer
from minitx.viz.drawings.mistakes import mistake_pair
from minitx.viz.drawings.model_sizes import sizes
from minitx.viz.drawings.motion import translation_in_motion
from minitx.viz.drawings.next_token import next_token_bars
from minitx.viz.drawings.noising import denoise
from minitx.viz.drawings.norm_place import pre_post
from minitx.viz.drawings.normalising import normalise_row
from minitx.viz.drawings.out_projection import concatenate_and_mix
from minitx.viz.drawings.own_mistakes import exposure
from minitx.viz.drawings.parallel import two_processes
from minitx.viz.drawings.passes import one_pass_many_steps
from minitx.viz.drawings.precision import number_formats
from minitx.viz.drawings.projections import three_projections
from minitx.viz.drawings.recipe_parts import ladder_of_parts
from minitx.viz.drawings.recomputing import checkpointing
from minitx.viz.drawings.recurrence import (
    gradient_paths,
    lstm_conveyor,
    scan_tree,
    unrolled_rnn,
    wavefront,
)
from minitx.viz.drawings.roles import head_roles
from minitx.viz.drawings.scaling import loss_scaling
from minitx.viz.drawings.schedules import warm_up
from minitx.viz.drawings.score_terms import xl_terms
from minitx.viz.drawings.shared_heads import grouped_heads, latent_cache
from minitx.viz.drawings.shared_means import layer_or_batch
from minitx.viz.drawings.shifting import shift_by_one
from minitx.viz.drawings.sinusoids import sinusoid_table, wavelengths
from minitx.viz.drawings.smoothing import smoothed_target
from minitx.viz.drawings.softmax import saturation
from minitx.viz.drawings.span_corruption import spans_and_sentinels
from minitx.viz.drawings.splitting import split_heads, wrong_reshape
from minitx.viz.drawings.steps import recipe
from minitx.viz.drawings.translation import bottleneck, crossing_numbers, decoder_looks_back
from minitx.viz.drawings.tuning import fine_tune
from minitx.viz.drawings.turning import rotary_turns
from minitx.viz.drawings.tying import tied_weights
from minitx.viz.drawings.ways import residual_paths
from minitx.viz.drawings.word_alignment import alignment
from minitx.viz.drawings.work import work_and_depth

__all__ = [
    "accumulate",
    "add_or_concatenate",
    "alibi_slopes",
    "alignment",
    "ambiguous_word",
    "beam_tree",
    "bottleneck",
    "bypass_road",
    "cache_grows",
    "checkpointing",
    "clip_sphere",
    "clock_hands",
    "concatenate_and_mix",
    "critical_batch",
    "cross_attention",
    "crossing_numbers",
    "decay_or_l2",
    "decoder_looks_back",
    "denoise",
    "dot_products",
    "drop_places",
    "each_position_alone",
    "exposure",
    "feed_forward_memory",
    "fine_tune",
    "gradient_paths",
    "grouped_heads",
    "head_block",
    "head_roles",
    "highlighter_and_jigsaw",
    "ladder_of_parts",
    "latent_cache",
    "layer_or_batch",
    "lookup_bars",
    "loss_scaling",
    "lstm_conveyor",
    "mask_stencil",
    "masked_words",
    "memory_to_every_layer",
    "mistake_pair",
    "multi_head",
    "next_token_bars",
    "normalise_row",
    "number_formats",
    "one_pass_many_steps",
    "one_wide_head",
    "order_from_causality",
    "padded_batch",
    "path_lengths",
    "pre_post",
    "recipe",
    "relative_grid",
    "residual_paths",
    "rotary_turns",
    "same_bag",
    "same_vectors_reordered",
    "saturation",
    "scan_tree",
    "score_grid",
    "shift_by_one",
    "sinusoid_table",
    "sizes",
    "smoothed_target",
    "spans_and_sentinels",
    "split_heads",
    "t5_buckets",
    "three_doors",
    "three_families",
    "three_masks",
    "three_projections",
    "tied_weights",
    "training_step",
    "transformer",
    "translation_in_motion",
    "turn_by_k",
    "two_looks",
    "two_processes",
    "two_sequences_one_sequence",
    "two_triangles",
    "unrolled_rnn",
    "warm_up",
    "wavefront",
    "wavelengths",
    "whole_transformer",
    "work_and_depth",
    "wrong_reshape",
    "xl_terms",
    "you_are_here",
]
