"""Every entry of the launch table, compiled for its generation; no GPU is needed for that."""

import json
import os
import subprocess
import sys

import pytest

from minitx.kernels.launch import SHARED_KIB, TABLE, generation

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
