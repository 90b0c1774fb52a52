"""The search for faster tiles than the table's: only when asked to, and remembered.

MINITX_AUTOTUNE=1 times every candidate at the first call of each kind (about a minute) and keeps
the fastest in kernels.json in the course's cache folder; later calls and runs read it.
"""

import itertools
import json
import os
from collections.abc import Callable
from dataclasses import astuple

from minitx.kernels.launch import Launch
from minitx.user_cache import cache_folder


def asked() -> bool:
    return os.environ.get("MINITX_AUTOTUNE") == "1"


def candidates(first: Launch) -> list[Launch]:
    """The table's entry and what lies around it."""
    around = itertools.product(
        (32, 64, 128), (32, 64, 128), (4, 8), (2, 3), {False, first.described}
    )
    return [first, *(launch for c in around if (launch := Launch(*c)) != first)]


def fastest(key: str, first: Launch, run: Callable[[Launch], None]) -> Launch:
    """The candidate with which run takes the least time, measured once for every key."""
    path = cache_folder() / "kernels.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if key not in known:
        known[key] = astuple(min(candidates(first), key=lambda launch: milliseconds(run, launch)))
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}")  # replaced whole: a reader never sees half
        beside.write_text(json.dumps(known, indent=0), encoding="utf-8")
        beside.replace(path)
    return Launch(*known[key])


def milliseconds(run: Callable[[Launch], None], launch: Launch) -> float:
    """How long it takes; infinity for tiles that do not compile or do not fit the device."""
    import triton.testing
    from triton.compiler.errors import CompileTimeAssertionFailure
    from triton.runtime.errors import OutOfResources, PTXASError

    try:
        return float(triton.testing.do_bench(lambda: run(launch), warmup=10, rep=50))
    except (OutOfResources, PTXASError, CompileTimeAssertionFailure):
        return float("inf")
