"""Set up for all tests, before anything imports torch, triton or minitx."""

import os
import signal
from typing import Any

# Jobs that a shell starts in the background ignore Ctrl-C, and so would all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Triton kernels run on the CPU unless the caller decides otherwise; read at `import triton`.
os.environ.setdefault("TRITON_INTERPRET", "1")
os.environ.setdefault("MPLBACKEND", "agg")

import jaxtyping
import pytest
from hypothesis import settings

from tests.not_run import not_run

CORE = ("numpy_core", "functional", "masks", "cores", "viz", "kernels.attention")
MODELS = ("positions", "cache", "multihead", "layers", "blocks", "models", "experts")
MODELS += ("generate",)
MODELS += ("training.losses",)

# The shapes and types in minitx's annotations are enforced here, and only here. The side rooms
# (grading, authoring, the command line) move no tensors and are left as they are.
jaxtyping.install_import_hook(
    [f"minitx.{name}" for name in (*CORE, *MODELS, "data.batching", "data.corruption")],
    "beartype.beartype",
)

# The same examples in every run, and no limit on their time: a busy machine is not a bug.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("repeatable")


@pytest.fixture
def as_users_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the checked annotations, so that minitx's own errors are what is seen."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, or at the end one worker would wait for another."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Two workers share the pages of the book, too."""
    if config.getvalue("dist") == "loadfile":
        from tests.by_page import ByPage

        return ByPage(config, log)
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Rows recorded with `record_property("summary", (title, row))`, and what was not run."""
    tables: dict[str, list[str]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", []):
                if name == "summary":
                    title, row = value
                    tables.setdefault(title, []).append(row)
    for title, rows in tables.items():
        terminalreporter.section(title)
        for row in sorted(rows):
            terminalreporter.write_line(row)
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = [report.longrepr[2].removeprefix("Skipped: ") for report in skipped]
    for line in not_run(reasons):
        terminalreporter.write_line(line, yellow=True)
