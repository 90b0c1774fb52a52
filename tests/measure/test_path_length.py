"""Steps from the first to the last position, against the orders of growth of Table 1."""

import math

import pytest

from minitx.measure import path_length

SIZES = (2, 3, 17, 101, 730)


@pytest.mark.parametrize("T", SIZES)
def test_each_kind_takes_as_many_steps_as_its_formula(T: int) -> None:
    """Vaswani et al. 2017, Table 1, with the constants that it leaves out."""
    wanted = {
        "recurrent": T - 1,
        "convolution, kernel 3": math.ceil((T - 1) / 2),
        # 1 + 3 + 9 + … with two steps of each width reach 3^s - 1 after s layers
        "convolution, kernel 3, dilated": next(s for s in range(99) if 3**s >= T),
        "attention to 8 neighbours": math.ceil((T - 1) / 8),
    }
    counted = {
        kind: path_length.steps(T, reach) for kind, reach in path_length.KINDS.items()
    }
    assert counted == wanted


def test_one_position_has_been_heard_already() -> None:
    assert path_length.steps(1, path_length.KINDS["recurrent"]) == 0


def test_the_table_has_five_kinds_and_attention_takes_one_step() -> None:
    table = path_length.table(sizes=(11, 101))
    assert table.columns == ("layer", "11 positions", "101 positions")
    assert [row[0] for row in table.rows] == [*path_length.KINDS, "attention"]
    assert table.rows[0] == ("recurrent", 10, 100)
    assert table.rows[-1] == ("attention", 1, 1)
