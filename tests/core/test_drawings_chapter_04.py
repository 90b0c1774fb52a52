"""What the drawings of chapter 4 show is what torch and a second way of reckoning give."""

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from minitx.viz import drawings
from minitx.viz.drawings import bag, clocks, distances, score_terms, sinusoids, turning
from tests.core.drawn import SVG, has_in_order, texts


def signed(number):
    return f"{number:.2f}".replace("-", "−")


def test_both_sentences_are_one_bag_and_give_one_cat():
    one, other = bag.SENTENCES
    assert one != other and sorted(one) == sorted(other)
    shown = texts(drawings.same_bag())
    assert has_in_order(shown, sorted(one))
    for words in (one, other):
        assert has_in_order(shown, list(words))
        x = torch.tensor([bag.VECTORS[word] for word in words])
        a, b = F.scaled_dot_product_attention(x, x, x)[words.index("cat")].tolist()
        assert f"({a:.2f}, {b:.2f})" in shown
    assert "both times" in shown


def test_an_arrow_leads_from_the_hunter_to_the_hunted():
    """From the second word to the fifth, above the first sentence and below the other."""
    svg = drawings.same_bag().svg()
    boxes = [float(x) for x in re.findall(r'<rect x="([\d.]+)" y="56"', svg)]
    arcs = re.findall(r"M([\d.]+),[\d.]+ Q[^ ]+ ([\d.]+),", svg)
    assert len(boxes) == 5 and len(arcs) == 2
    for start, end in arcs:
        assert boxes[1] < float(start) < boxes[2] and boxes[4] - 8 < float(end) < boxes[4] + 74
    for words in bag.SENTENCES:
        assert f"the {words[1]} hunts" in texts(drawings.same_bag())


def test_only_the_causal_mask_gives_the_place_away():
    T = bag.T
    shown = texts(drawings.order_from_causality())
    zeros, values = torch.zeros(1, T, 3), torch.from_numpy(bag.START)[None].float()
    for causal, places in ((False, [T] * T), (True, range(1, T + 1))):
        outputs = F.scaled_dot_product_attention(zeros, zeros, values, is_causal=causal).flatten()
        assert outputs.tolist() == pytest.approx([1 / p for p in places], abs=1e-6)
        pairs = [(f"place {p}", f"{out:.2f}") for p, out in enumerate(outputs.tolist(), start=1)]
        assert has_in_order(shown, [words for pair in pairs for words in pair])


def test_the_hands_are_the_sines_and_cosines_of_the_paper():
    for pair in range(clocks.C // 2):
        speed = 10_000 ** (-2 * pair / clocks.C)
        assert clocks.speeds()[pair] == pytest.approx(speed, abs=1e-12)
        for place, stamp in zip(clocks.PLACES, clocks.stamps(clocks.PLACES), strict=True):
            wanted = [math.sin(place * speed), math.cos(place * speed)]
            assert stamp[pair].tolist() == pytest.approx(wanted, abs=1e-9)
    shown = texts(drawings.clock_hands())
    for places in ("6.3", "63", "628", "6,283"):  # 2π, times ten from hand to hand
        assert f"{places} places" in shown
    assert f"sine, how far right: {signed(math.sin(clocks.SHOWN))}" in shown
    assert f"cosine, how far up: {signed(math.cos(clocks.SHOWN))}" in shown


def hands(drawing):
    """Where the head of each hand points, from the middle of its dial: right and up."""
    root = ElementTree.fromstring(drawing.svg())
    dials = [tuple(float(tag.attrib[n]) for n in ("cx", "cy", "r")) for tag in
             root.iter(f"{SVG}circle")]  # fmt: skip
    shafts, heads = [], []
    for tag in root.iter(f"{SVG}path"):
        if start := re.match(r"M([\d.]+),([\d.]+) L[\d.]+,[\d.]+$", tag.attrib["d"]):
            shafts += [tuple(map(float, start.groups()))]
        elif tip := re.match(r"M([\d.]+),([\d.]+) L[^A]* Z$", tag.attrib["d"]):
            heads += [(tuple(map(float, tip.groups())), shafts[-1] if shafts else None)]
    found = []
    for (x, y), start in heads:
        for cx, cy, radius in dials:
            if start and math.hypot(start[0] - cx, start[1] - cy) < 0.02:
                found += [((x - cx) / (radius - 2), (cy - y) / (radius - 2))]
    return found


def test_each_hand_is_drawn_where_its_numbers_point():
    """Sine to the right and cosine up, as on a clock."""
    drawn = hands(drawings.clock_hands())
    small = drawn[: len(clocks.PLACES) * clocks.C // 2]
    wanted = clocks.stamps(clocks.PLACES).transpose(1, 0, 2).reshape(-1, 2)
    np.testing.assert_allclose(small, wanted, rtol=0, atol=0.002)  # two digits, of 21 units


def test_one_matrix_moves_a_hand_on_from_anywhere():
    k = 2
    for pair, speed in enumerate(clocks.speeds()):
        matrix = clocks.step_matrix(k * speed)
        for place in (0, 1, 9, 30, 700):
            before, after = clocks.stamps((place, place + k))[:, pair]
            np.testing.assert_allclose(before @ matrix, after, rtol=0, atol=1e-9)
    numbers = [signed(n) for n in (math.cos(k), -math.sin(k), math.sin(k), math.cos(k))]
    assert has_in_order(texts(drawings.turn_by_k()), numbers)


def opacities(drawing, count):
    """Of the first cells that are drawn by nothing but their strength."""
    found = re.findall(r'<rect x="[^"]*" y="[^"]*" width="[^"]*" height="[^"]*" fill="[^"]*" '
                       r'fill-opacity="([\d.]+)"(?: stroke="[^"]*" stroke-width="0.5")?/>',
                       drawing.svg())  # fmt: skip
    return np.array([float(number) for number in found[:count]])


def test_the_table_of_sinusoids_is_the_papers_in_every_cell():
    T, C = sinusoids.T, sinusoids.C
    place, pair = np.arange(T)[:, None], np.arange(C // 2)
    angle = place / 10_000 ** (2 * pair / C)
    wanted = np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(T, C)
    strengths = opacities(drawings.sinusoid_table(), T * C).reshape(T, C)
    np.testing.assert_allclose((strengths - 0.04) / 0.45 - 1, wanted, rtol=0, atol=0.012)


def test_a_wave_is_ten_times_as_long_as_the_one_before():
    shown = texts(drawings.wavelengths())
    lengths = [2 * math.pi * 10**pair for pair in range(4)]
    assert f"one wave: {lengths[0]:.1f} places" in shown
    assert f"one wave: {lengths[1]:.1f} places" in shown
    assert f"one wave: {lengths[2]:,.0f} places" in shown
    assert f"one wave: {lengths[3]:,.0f} places" in shown
    assert shown.count("× 10") == 3


def test_the_grid_holds_key_minus_query_clipped():
    shown, T = texts(drawings.relative_grid()), distances.T
    for clip in (T, distances.CLIP):
        table = [max(-clip, min(clip, j - i)) for i in range(T) for j in range(T)]
        assert has_in_order(shown, [str(d).replace("-", "−") for d in table]), clip
    assert "5 trained vectors, for any length" in shown


def test_a_staircase_parts_what_was_clipped_from_what_was_not():
    """Its corners, counted in cells from the upper left of the right table."""
    (above, below) = (
        [tuple(map(float, point)) for point in re.findall(r"([\d.]+),([\d.]+)", drawn)]
        for drawn in map(str, distances._corners((0.0, 0.0), 1.0))
    )
    assert above[0] == (3, 0) and below[0] == (0, 3)
    assert above == [(a, b) for b, a in below]
    for (a, b), (c, d) in pairwise(above):
        assert (a == c) != (b == d)  # never aslant
        for i, j in np.ndindex(distances.T, distances.T):
            if b != d and b <= i < d:  # a rise: columns from it on were clipped, those before not
                assert (j >= a) == (j - i > distances.CLIP)


def test_buckets_are_those_of_transformers():
    t5 = pytest.importorskip("transformers.models.t5.modeling_t5").T5Attention
    behind = t5._relative_position_bucket(-torch.arange(1000), True, 32, 128).tolist()
    edges = [behind.index(bucket) for bucket in sorted(set(behind))]
    assert distances.bucket_edges() == edges
    ahead = t5._relative_position_bucket(torch.arange(1, 1000), True, 32, 128).tolist()
    assert distances.buckets_ahead() == sorted(set(ahead))
    shown = texts(drawings.t5_buckets())
    for bucket in range(16):
        assert str(bucket) in shown
    for edge in edges:
        assert str(edge) in shown or 20 < edge < 30  # too narrow a bucket for a number
    assert f"keys ahead: {min(ahead)} to {max(ahead)}, just as wide" in shown


def test_the_slopes_are_the_papers_and_a_weight_is_halved_where_it_is_said():
    shown = texts(drawings.alibi_slopes())
    for head in distances.SHOWN:
        assert f"head {head}: slope 1/{2**head}" in shown
        half = 2**head * math.log(2)
        assert math.exp(-(2.0**-head) * half) == pytest.approx(0.5)
        said = f"{half:.1f}" if half < 10 else f"{half:.0f}"
        assert f"halved every {said} tokens" in shown
    T = 12
    cells = T * (T + 1) // 2
    strengths = opacities(drawings.alibi_slopes(), 4 * cells).reshape(4, cells)
    back = np.array([i - j for i in range(T) for j in range(i + 1)])
    for head, drawn in zip(distances.SHOWN, strengths, strict=True):
        np.testing.assert_allclose(drawn, np.exp(-back / 2**head), rtol=0, atol=0.006)


def test_the_four_terms_have_the_patterns_that_are_said():
    terms = score_terms.terms()
    columns, diagonals = terms["uk"], terms["vr"]
    assert np.allclose(columns, columns[0]) and np.ptp(columns[0]) > 1
    assert np.allclose(diagonals[1:, 1:], diagonals[:-1, :-1]) and np.ptp(diagonals) > 0.5
    assert not np.allclose(terms["qr"], terms["qr"][0])
    assert not np.allclose(terms["qr"][1:, 1:], terms["qr"][:-1, :-1])
    # A wave of one frequency per query: three neighbours determine the next.
    row = terms["qr"]
    np.testing.assert_allclose(row[:, 2:] + row[:, :-2], 2 * math.cos(1) * row[:, 1:-1], atol=1e-9)


def test_rotary_scores_depend_on_what_is_between():
    shown = texts(drawings.rotary_turns())
    for q_place, k_place in turning.PAIRS:
        for name, place in (("query", q_place), ("key", k_place)):
            assert f"{name} at {place}" in shown
            turned = np.exp(1j * place)
            np.testing.assert_allclose(
                turning.turned(place), [turned.real, turned.imag], rtol=0, atol=1e-9
            )
        assert f"q · k = {signed(math.cos(q_place - k_place))}" in shown
    drawn = hands(drawings.rotary_turns())
    wanted = [[math.cos(p), math.sin(p)] for q, k in turning.PAIRS for p in (k, q)]
    np.testing.assert_allclose(drawn, wanted, rtol=0, atol=0.002)


def test_three_doors_and_who_goes_through():
    """The schemes of the library, each at the door whose method it overrides."""
    from minitx import positions

    doors = {"_embed": "Door 1", "_rotate": "Door 2", "_bias": "Door 3"}
    alt = drawings.three_doors().alt
    parts = dict(zip(doors.values(), re.split(r"Door \d", alt)[1:], strict=True))
    said = {"Sinusoidal": "sinusoids", "Learned": "learned", "Rotary": "rotary", "Shaw": "Shaw",
            "T5Bias": "T5", "ALiBi": "ALiBi", "TransformerXL": "Transformer-XL"}  # fmt: skip
    for scheme, name in said.items():
        (door,) = (doors[m] for m in doors if m in vars(getattr(positions, scheme)))
        assert name in parts[door], scheme
        assert any(name in words for words in texts(drawings.three_doors()))
