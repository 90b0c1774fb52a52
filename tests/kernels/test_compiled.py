"""Every entry of the launch table, compiled for its generation; no GPU is needed for that."""

import json
import os
import subprocess
import sys

import pytest

from minitx.kernels import machine_code
from minitx.kernels.launch import LARGEST_TILE, SHARED_KIB, TABLE, generation
from minitx.kernels.resources import Resources

TWO_PROCESSES = [("75", "90"), ("80", "89")]


def started(archs, cache):
    environment = {name: v for name, v in os.environ.items() if name != "TRITON_INTERPRET"}
    return subprocess.Popen(
        [sys.executable, "-m", "minitx.kernels.resources", "--json", *archs],
        env=environment | {"TRITON_CACHE_DIR": str(cache)},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    cache = tmp_path_factory.mktemp("triton")
    children = [started(archs, cache) for archs in TWO_PROCESSES]
    rows = [row for child in children for row in json.loads(child.communicate(timeout=600)[0])]
    assert all(child.returncode == 0 for child in children)
    return rows


def name(row):
    return f"sm_{row['arch']} {row['kind']} {row['which']} {row['width']}"


@pytest.mark.slow
def test_every_entry_was_compiled(table):
    entries = {
        (arch, kind, which, width)
        for arch, kinds in TABLE.items()
        for kind, passes in kinds.items()
        for which, widths in passes.items()
        for width in widths
    }
    assert {(r["arch"], r["kind"], r["which"], r["width"]) for r in table} == entries


@pytest.mark.slow
def test_shared_memory_is_within_the_limit(table):
    over = [name(row) for row in table if row["shared"] > SHARED_KIB[row["arch"]] * 1024]
    assert over == []


@pytest.mark.slow
def test_nothing_is_spilled(table):
    assert [(name(row), row["spilled"]) for row in table if row["spilled"]] == []


@pytest.mark.slow
def test_a_loop_costs_at_least_an_exponential_for_every_score(table):
    for row in table:
        scores = row["B_r"] * row["B_c"] / (32 * row["warps"])  # of a thread
        assert row["loop"] > scores if row["kind"] == "half" else row["loop"] == 0


CODE = """
        /*0000*/                   MOV R1, c[0x0][0x28] ;
        /*0010*/                   HGMMA.64x64x16.F32.BF16 R24, gdesc[UR4], R24 ;
        /*0020*/                   MUFU.EX2 R3, R4 ;
        /*0030*/              @!P0 BRA 0x10 ;
        /*0040*/                   HGMMA.64x64x16.F32.BF16 R24, gdesc[UR4], R24 ;
        /*0050*/                   FSEL R3, R4, -INF , P1 ;
        /*0060*/                   MUFU.EX2 R3, R4 ;
        /*0070*/              @!P0 BRA 0x40 ;
        /*0080*/                   IADD3 R5, R5, 0x1, RZ ;
        /*0090*/               @P2 BRA 0x80 ;
        /*00a0*/               @P2 BRA 0xc0 ;
        /*00b0*/                   EXIT ;
        /*00c0*/                   BRA 0xc0 ;
"""


def test_the_loop_is_the_one_that_multiplies_and_has_no_mask(monkeypatch):
    monkeypatch.setattr(machine_code, "_cuobjdump", lambda cubin, option: CODE)
    assert [words.split()[0] for words in machine_code.loop(b"")][:2] == [
        "HGMMA.64x64x16.F32.BF16",
        "MUFU.EX2",
    ]
    assert len(machine_code.loop(b"")) == 3


def test_cycles_of_a_tile_worked_out_by_hand():
    row = Resources(90, "half", "forward", 128, 128, 128, 8, 2, True, 212, 0, 0, "wgmma", loop=482)
    # Four tiles of 64 × 64: two products of 64 · 64 · 128 multiplications and as many additions,
    # 4096 in a cycle; two warps of each of the four schedulers issue 482 instructions for all four.
    assert row.cycles() == (2 * 482 / 4, 2 * 2 * 64 * 64 * 128 / 4096)


def test_no_tile_is_larger_than_what_the_sums_are_padded_to():
    tiles = [
        launch
        for kinds in TABLE.values()
        for passes in kinds.values()
        for widths in passes.values()
        for launch in widths.values()
    ]
    assert all(LARGEST_TILE % launch.B_r == 0 for launch in tiles)


@pytest.mark.slow
def test_matrix_products_run_on_the_tensor_cores(table):
    wanted = {80: "mma", 89: "mma", 90: "wgmma"}
    half = [row for row in table if row["kind"] == "half"]
    assert {
        name(r): r["tensor_cores"] for r in half if r["tensor_cores"] != wanted[r["arch"]]
    } == {}


@pytest.mark.parametrize(
    ("capability", "kib", "wanted"),
    [
        (70, 96, 75),
        (75, 64, 75),
        (80, 163, 80),
        (86, 99, 89),
        (87, 163, 80),
        (89, 99, 89),
        (90, 227, 90),
        (100, 227, 90),
        (120, 99, 89),
    ],
)
def test_the_generation_is_chosen_by_shared_memory_too(capability, kib, wanted):
    assert generation(capability, kib * 1024) == wanted
