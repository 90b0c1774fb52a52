"""Steps from the first to the last position, against the orders of growth of Table 1."""

import math

import pytest

from minitx.measure import path_length

SIZES = (2, 5, 14, 122)


@pytest.mark.parametrize("T", SIZES)
def test_each_kind_takes_as_many_steps_as_its_formula(T: int) -> None:
    """Vaswani et al. 2017, Table 1, with the constants that it leaves out."""
    wanted = {
        "recurrent": T - 1,
        "convolution, 3 wide": T - 1,
        # s layers reach 1 + 3 + 9 + … = (3^s - 1) / 2 further
        "dilated convolution, 3 wide": next(s for s in range(99) if (3**s - 1) / 2 == T - 1),
        "attention, 4 each side": math.ceil((T - 1) / 4),
    }
    counted = {kind: path_length.steps(T, reach) for kind, reach in path_length.KINDS.items()}
    assert counted == wanted


def test_one_position_has_been_heard_already() -> None:
    assert path_length.steps(1, path_length.KINDS["recurrent"]) == 0


def test_the_table_has_five_kinds_and_attention_takes_one_step() -> None:
    table = path_length.table(sizes=(14, 122))
    assert table.columns == ("layer", "14 positions", "122 positions")
    assert [row[0] for row in table.rows] == [*path_length.KINDS, "attention"]
    assert table.rows[0] == ("recurrent", 13, 121)
    assert table.rows[-1] == ("attention", 1, 1)


def test_a_way_that_does_not_exist_is_said() -> None:
    with pytest.raises(ValueError, match=r"^position 2 never hears from position 0$"):
        path_length.steps(3, path_length.KINDS["dilated convolution, 3 wide"])
