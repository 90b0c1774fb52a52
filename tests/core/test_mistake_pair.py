"""Expected beside yours: what differs is marked, whatever it is."""

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from minitx.viz.colours import LIT
from minitx.viz.drawings import mistake_pair
from tests.core.test_drawings import faults

SVG = "{http://www.w3.org/2000/svg}"
NOTHING = float("nan")


def texts(drawing):
    root = ElementTree.fromstring(drawing.svg())
    return ["".join(tag.itertext()) for tag in root.iter(f"{SVG}text")]


def marks(drawing):
    """Of yellow cells, and of folded corners: two signs of the same."""
    svg = drawing.svg()
    assert svg.count(f'fill="{LIT}"') == len(re.findall(r"h9 l-9,9 Z", svg))
    return svg.count(f'fill="{LIT}"')


@pytest.mark.parametrize("shape", [(1,), (6,), (2, 3), (5, 5), (6, 6)])
@pytest.mark.parametrize("scale", [1e-9, 1, 100, 1e8])
def test_tables_of_all_sizes_can_be_read(shape, scale):
    rng = np.random.default_rng(0)
    expected, got = rng.normal(size=(2, *shape)) * scale
    drawing = mistake_pair(expected, got, atol=0.0)
    assert faults(drawing) == []
    assert marks(drawing) == got.size


def test_names_of_rows_and_columns_can_be_read():
    table = np.tri(4)
    names = {"rows": ["the", "cat", "sat", "down"], "columns": ["the", "cat", "sat", "down"]}
    assert faults(mistake_pair(table, table - np.eye(4), **names)) == []
    six = np.round(np.linspace(0, 1, 36).reshape(6, 6), 2)
    assert faults(mistake_pair(six, six.T, rows=["pad"] * 6, columns=["pad"] * 6)) == []


def test_only_what_differs_is_marked():
    expected = torch.tensor([[1.0, 2.0], [NOTHING, math.inf]])
    assert marks(mistake_pair(expected, expected.clone())) == 0
    drawing = mistake_pair(expected, torch.tensor([[1.0, 2.5], [0.0, math.inf]]))
    assert marks(drawing) == 2
    assert "2 of 4 cells differ" in drawing.alt
    assert texts(drawing)[:5] == ["expected", "1", "2", "NaN", "∞"]


def test_rounding_is_no_mistake():
    third = np.full(3, 1 / 3)
    assert marks(mistake_pair(third, third.astype(np.float32))) == 0


def test_what_differs_is_seen_to_differ():
    drawing = mistake_pair([0.5, 0.3301], [0.5, 0.3304])
    assert marks(drawing) == 1
    assert texts(drawing) == ["expected", "0.5000", "0.3301", "yours", "0.5000", "0.3304"]


def test_truth_values_are_letters():
    drawing = mistake_pair(np.tri(2) > 0, torch.ones(2, 2).bool())
    assert texts(drawing) == ["expected", *"TFTT", "yours", *"TTTT"]
    assert marks(drawing) == 1


def test_other_shapes_are_told_and_not_compared():
    drawing = mistake_pair(np.ones(2), np.ones((2, 1)))
    assert marks(drawing) == 0
    assert {"expected (2,)", "yours (2, 1)"} <= {*texts(drawing)}
    assert "The shapes differ: (2,) and (2, 1)." in drawing.alt


def test_refusals():
    with pytest.raises(ValueError, match=r"got must be .* at most 6 × 6, got shape \(7,\)"):
        mistake_pair([1], range(7))
    with pytest.raises(ValueError, match=r"expected must be .*, got shape \(1, 1, 1\)"):
        mistake_pair([[[1]]], [1])
    with pytest.raises(ValueError, match="one name per column: 2, got 1"):
        mistake_pair([1, 2], [1, 2], columns=["a"])
    with pytest.raises(ValueError, match="one name per row: 1, got 2"):
        mistake_pair([1, 2], [1, 2], rows=["a", "b"])
