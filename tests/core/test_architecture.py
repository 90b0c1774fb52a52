"""Arrows point downwards, and what is light stays light."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import minitx

from . import architecture

PACKAGE = Path(minitx.__file__).parent


def test_all_imports_point_downwards():
    assert architecture.violations(architecture.sources(PACKAGE)) == []


def test_the_checker_reads_the_package():
    modules = architecture.sources(PACKAGE)
    assert {"minitx", "minitx.functional", "minitx.cores", "minitx.cores.fused"} <= set(modules)
    seen = {
        (i.by, i.of)
        for name in modules
        for i in architecture.imports(name, modules[name], set(modules))
    }
    assert ("minitx.functional", "minitx.masks") in seen
    assert ("minitx.cores.full", "minitx.cores.base") in seen


PLANTED = {
    "upwards": (
        "minitx.masks",
        "from minitx.functional import masked_softmax",
        "minitx.masks, line 1: masks may not import functional",
    ),
    "upwards, in other words": (
        "minitx.functional",
        "from minitx import cores",
        "minitx.functional, line 1: functional may not import cores",
    ),
    "upwards, relative": (
        "minitx.functional",
        "from .cores.base import AttentionCore",
        "minitx.functional, line 1: functional may not import cores",
    ),
    "upwards, relative, from a package": (
        "minitx.cores.base",
        "from ..multihead import MultiHeadAttention",
        "minitx.cores.base, line 1: cores may not import multihead",
    ),
    "upwards, hidden in a function": (
        "minitx.cores.base",
        "def late():\n    import minitx.multihead",
        "minitx.cores.base, line 2: cores may not import multihead",
    ),
    "sideways": (
        "minitx.numpy_core",
        "import minitx.masks",
        "minitx.numpy_core, line 1: numpy_core may not import masks",
    ),
    "from the ladder into a room": (
        "minitx.cores.base",
        "from minitx import viz",
        "minitx.cores.base, line 1: cores may not import viz",
    ),
    "grading to a model": (
        "minitx.grading.engine",
        "def late():\n    from minitx.models.gpt import GPT",
        "minitx.grading.engine, line 2: grading may not import models",
    ),
    "grading to authoring": (
        "minitx.grading.engine",
        "def late():\n    from minitx.authoring import build",
        "minitx.grading.engine, line 2: grading may not import authoring",
    ),
    "grading to torch": (
        "minitx.grading.engine",
        "import numpy\nif True:\n    import torch.nn as nn",
        "importing minitx.grading.engine loads torch",
    ),
    "grading to torch, through another": (
        "minitx.grading.engine",
        "from minitx import masks",
        "importing minitx.grading.engine loads torch",
    ),
    "the judge to the worker": (
        "minitx.grading.judge.run",
        "def late():\n    from minitx.grading.worker import loading",
        "minitx.grading.judge.run, line 2: judge may not import worker",
    ),
    "the worker to the judge": (
        "minitx.grading.worker.loading",
        "from ..judge.run import grade",
        "minitx.grading.worker.loading, line 1: worker may not import judge",
    ),
    "the worker to the learner's commands": (
        "minitx.grading.worker.loading",
        "import minitx.grading.learner",
        "minitx.grading.worker.loading, line 1: worker may not import learner",
    ),
    "grading's plain data to a room": (
        "minitx.grading.report",
        "from minitx.grading.judge import run",
        "minitx.grading.report, line 1: grading may not import judge",
    ),
    "the command line too early": (
        "minitx.cli",
        "import minitx.authoring",
        "minitx.cli, line 1: authoring must be imported inside a function",
    ),
    "the package itself": ("minitx", "import numpy", "importing minitx loads numpy"),
    "a part without a place": (
        "minitx.wizardry",
        "",
        "minitx.wizardry has no place in tests/core/architecture.py",
    ),
}


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_arrow_is_found(case):
    module, source, wanted = PLANTED[case]
    parts = "numpy_core functional cores cores.base multihead models viz grading authoring cli"
    parts += " grading.judge grading.judge.run grading.worker grading.worker.loading"
    parts += " grading.learner grading.report"
    skeleton = dict.fromkeys(["minitx", *(f"minitx.{part}" for part in parts.split())], "")
    skeleton["minitx.masks"] = "import torch"
    assert architecture.violations(skeleton) == []
    assert wanted in architecture.violations(skeleton | {module: source})


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("minitx.grading", "def late():\n    import torch"),
        ("minitx.grading", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        ("minitx.cli", "from minitx import __version__\ndef late():\n    import minitx.authoring"),
    ],
)
def test_what_is_allowed_is_not_found(module, source):
    skeleton = dict.fromkeys(["minitx", "minitx.grading", "minitx.authoring", "minitx.cli"], "")
    assert architecture.violations(skeleton | {module: source}) == []


# --- what an import costs, in fresh processes ----------------------------------------------------


def python(*arguments):
    """What a fresh interpreter prints; the package is found where these tests found it."""
    path = os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("minitx", {"torch", "numpy", "matplotlib"}),
        ("minitx.numpy_core", {"torch", "matplotlib"}),
        ("minitx.viz", {"torch"}),
        ("minitx.grading", {"torch", "matplotlib"}),
        ("minitx.functional", {"matplotlib", "triton"}),
        ("minitx.cores", {"matplotlib", "triton"}),
    ],
)
def test_importing_a_part_loads_nothing_it_does_not_need(module, absent):
    loaded = python("-c", f"import sys, {module}; print(*sys.modules)").stdout.split()
    assert module in loaded
    assert not absent & set(loaded)


def test_the_torch_parts_cost_little_more_than_torch():
    """What they load besides torch and what torch itself loads."""
    count = (
        "import sys, torch; before = set(sys.modules);"
        "import minitx.functional, minitx.cores; print(*set(sys.modules) - before)"
    )
    added = {name.split(".")[0] for name in python("-c", count).stdout.split()}
    assert added <= {"minitx", "jaxtyping", "numpy"}


def test_help_loads_little():
    """Seen: 58 modules more than Python alone, most of them click's; numpy alone has 120."""
    trace = python("-X", "importtime", "-m", "minitx", "--help").stderr
    loaded = {line.rpartition("|")[2].strip() for line in trace.splitlines()}
    alone = python("-X", "importtime", "-c", "pass").stderr.splitlines()
    assert "minitx.cli" in loaded
    assert not {"torch", "numpy", "matplotlib", "rich"} & loaded
    assert len(loaded) - len(alone) < 100
