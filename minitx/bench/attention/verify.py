"""`minitx bench attention --verify`: is the kernel right on this machine, everywhere?

Every case: output and gradients against float64, and twice the same bits. What a compiler must
make for one type and head size is checked in a process of its own, several beside each other,
because compiling takes longer than checking.
"""

import math
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from minitx.bench import report
from minitx.bench.attention.cases import GRIDS, LARGE, Case, cases
from minitx.bench.attention.peers import MINITX, Attend, first_line, require_working
from minitx.bench.attention.problem import Inputs, Problem
from minitx.bench.attention.reference import OUTPUTS, bound, compare
from minitx.bench.attention.report import NONE, aligned
from minitx.bench.attention.run import Outcome, UnknownName, answer_of
from minitx.bench.attention.setup import set_up

SANITIZER = "compute-sanitizer --tool memcheck python -m minitx.bench.gpu verify --quick --jobs 1"
MOST = 60  # cases that a process tries
BYTES_EACH = 8e9  # that a process may need
MOST_TOLD = 30  # failures; verify.json has them all


@dataclass(frozen=True)
class Verdict:
    """What came of a case.

    Args:
        case: its name, see `name_of`.
        kind: the case's.
        dtype: the problem's.
        failed: what is wrong; "" if nothing.
        skipped: why it was not tried; "" if it was.
        errors: of the output and each gradient, see `attention.reference.row_error`.
        used: the largest error, as a share of what is allowed.
    """

    case: str
    kind: str
    dtype: str
    failed: str = ""
    skipped: str = ""
    errors: dict[str, float] | None = None
    used: float = 0.0


def name_of(case: Case) -> str:
    """The case in words, all that differs from nothing special."""
    problem = case.problem
    heads = f"B {problem.B}, H {problem.H}/{problem.H_kv}"
    words = [case.kind, problem.dtype, f"{heads}, T {problem.T_q}×{problem.T_k}, D {problem.D}"]
    words += ["causal"] * problem.causal
    words += [] if problem.window is None else [f"window {problem.window}"]
    words += [] if problem.key_lengths is None else [f"lengths {problem.key_lengths}"]
    words += [] if problem.scale is None else [f"scale {problem.scale:g}"]
    words += [] if case.layout == "contiguous" else [case.layout]
    words += [] if case.factor == 1.0 else [f"queries times {case.factor:g}"]
    return "; ".join([*words, *([case.feature] if case.feature else [])])


def verdict(case: Case, device: torch.device) -> Verdict:
    """Try one case.

    Raises:
        RuntimeError: if the device is broken afterwards, so that nothing more can be tried.
    """
    name, problem = name_of(case), case.problem
    too_large = lack_of_memory(problem, device)
    if too_large:
        return Verdict(name, case.kind, problem.dtype, skipped=too_large)
    try:
        inputs, attend = case.inputs(device), attention_of(problem, device)
        if case.feature:
            complaint = FEATURES[case.feature](attend, inputs, problem)
            return Verdict(name, case.kind, problem.dtype, failed=complaint)
        return compared(case, attend, inputs)
    except Exception as error:  # whatever the compiler may raise
        require_working(device)
        return Verdict(
            name, case.kind, problem.dtype, failed=f"{type(error).__name__}: {first_line(error)}"
        )


def compared(case: Case, attend: Attend, inputs: Inputs) -> Verdict:
    """Against float64, and against itself."""
    # Freed memory is used again: what the kernel forgets to write stays NaN.
    poison = [
        torch.full_like(x, float("nan"), memory_format=torch.contiguous_format) for x in inputs
    ]
    del poison
    answer, again = answer_of(attend, inputs), answer_of(attend, inputs)
    complaints = [
        f"{output} differs between two runs"
        for output, one, other in zip(OUTPUTS, answer, again, strict=True)
        if not torch.equal(one, other)
    ]
    del again
    errors, plain = compare(case.problem, inputs, {MINITX: answer})
    used = []
    for output, error in errors[MINITX].items():
        limit = bound(case.problem.type, plain[output])
        if output != "output" and case.factor > 100:
            limit = math.inf  # every weight is 0 or 1, and the gradients' right size is 0
        used.append(error / limit)
        if not error <= limit:  # NaN is wrong
            complaints.append(f"{output} is wrong by {error:.1e}, allowed is {limit:.1e}")
    return Verdict(
        name_of(case),
        case.kind,
        case.problem.dtype,
        "; ".join(complaints),
        "",
        errors[MINITX],
        max(used),
    )


def attention_of(problem: Problem, device: torch.device) -> Attend:
    """The kernel with the problem's rules."""
    from minitx.kernels import flash_attention

    options = problem.options(device)
    return lambda q, k, v: flash_attention(q, k, v, **options)


def lack_of_memory(problem: Problem, device: torch.device) -> str:
    """Why the problem does not fit; "" if it does. Outputs are there twice, inputs once."""
    if device.type != "cuda":
        return ""
    needed = 2 * problem.least_bytes("backward") + 6e9
    torch.cuda.empty_cache()
    free = torch.cuda.mem_get_info(device)[0]
    return f"needs {needed / 1e9:.0f} GB, {free / 1e9:.0f} are free" if needed > free else ""


# --- what people do with it --------------------------------------------------------------------


def differs(got: Sequence[Tensor], wanted: Sequence[Tensor]) -> str:
    """What is not equal bit for bit; "" if all is."""
    pairs = zip(OUTPUTS, got, wanted, strict=False)
    return ", ".join(f"{output} is another" for output, a, b in pairs if not torch.equal(a, b))


def under_compile(attend: Attend, inputs: Inputs, problem: Problem) -> str:
    torch.compiler.reset()
    backend = "inductor" if inputs.q.device.type == "cuda" else "aot_eager"
    compiled: Attend = torch.compile(attend, fullgraph=True, backend=backend)
    return differs(answer_of(compiled, inputs), answer_of(attend, inputs))


def under_autocast(attend: Attend, inputs: Inputs, problem: Problem) -> str:
    """float32 goes in, autocast's type comes out, and the gradients are float32 again."""
    dtype = problem.type if problem.type.itemsize == 2 else torch.bfloat16
    single = Inputs(*(x.float() for x in inputs))

    def within(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        with torch.autocast(q.device.type, dtype=dtype):
            return attend(q, k, v)

    half = Inputs(*(x.to(dtype) for x in single))
    output, *gradients = answer_of(within, single._replace(grad=half.grad))
    wanted, *those = answer_of(attend, half)
    if output.dtype != dtype:
        return f"the output is {output.dtype}, autocast's type is {dtype}"
    return differs((output, *gradients), (wanted, *(x.float() for x in those)))


def under_checkpoint(attend: Attend, inputs: Inputs, problem: Problem) -> str:
    def again(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return checkpoint(attend, q, k, v, use_reentrant=False)

    return differs(answer_of(again, inputs), answer_of(attend, inputs))


def second_derivative(attend: Attend, inputs: Inputs, problem: Problem) -> str:
    """Refused, not wrong."""
    q, k, v, grad = inputs.leaves()
    try:
        (dq,) = torch.autograd.grad(attend(q, k, v), q, grad, create_graph=True)
        torch.autograd.grad(dq.sum(), k)
    except RuntimeError as refusal:
        said = re.search("derivative|differentiate", str(refusal))
        return "" if said else f"refused in other words: {first_line(refusal)}"
    return "a second derivative was not refused"


def only_v(attend: Attend, inputs: Inputs, problem: Problem) -> str:
    v = inputs.v.detach().requires_grad_()
    (dv,) = torch.autograd.grad(attend(inputs.q, inputs.k, v), v, inputs.grad)
    return "" if torch.equal(dv, answer_of(attend, inputs)[3]) else "dv is another"


def inference(attend: Attend, inputs: Inputs, problem: Problem) -> str:
    with torch.inference_mode():
        output = attend(*inputs[:3])
    return differs((output,), answer_of(attend, inputs))


FEATURES: dict[str, Callable[[Attend, Inputs, Problem], str]] = {
    "torch.compile": under_compile,
    "autocast": under_autocast,
    "checkpoint": under_checkpoint,
    "second derivative": second_derivative,
    "only v": only_v,
    "inference": inference,
}


# --- all of it ---------------------------------------------------------------------------------


def verdicts(group: Sequence[Case], device: str) -> list[Verdict]:
    """Try some cases, one after the other; what cannot be reached any more has failed."""
    found: list[Verdict] = []
    for case in group:
        try:
            found.append(verdict(case, torch.device(device)))
        except Exception as error:
            reason = f"the device broke: {first_line(error)}"
            return found + failed(group[len(found) :], reason)
    return found


def failed(group: Iterable[Case], reason: str) -> list[Verdict]:
    return [Verdict(name_of(c), c.kind, c.problem.dtype, failed=reason) for c in group]


def in_processes(
    groups: Sequence[Sequence[Case]],
    device: str,
    jobs: int,
    deadline: float,
    on_group: Callable[[list[Verdict]], None],
) -> None:
    """Try groups of cases, each in a process that nothing else can have broken."""
    waiting, running = list(groups), set[Future[list[Verdict]]]()
    with ThreadPoolExecutor(jobs) as threads:  # each waits for one process
        while running or (waiting and time.monotonic() < deadline):
            while waiting and len(running) < jobs and time.monotonic() < deadline:
                running.add(threads.submit(in_process, waiting.pop(0), device))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                on_group(future.result())


def in_process(group: Sequence[Case], device: str) -> list[Verdict]:
    """The verdicts of a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(verdicts, group, device).result()
        except BrokenProcessPool as error:
            return failed(group, f"the process died: {error}")


def verify(
    device: torch.device,
    *,
    quick: bool,
    out: Path,
    only: str | None = None,
    jobs: int | None = None,
    deadline: float = float("inf"),
    say: Callable[[str], None] = print,
) -> Outcome:
    """Try all cases that have not passed yet; if all have, begin anew.

    Args:
        device: from `device_for`.
        quick: few and small ones.
        out: the folder for verify.json and verify.txt.
        only: words that a case's name must have.
        jobs: processes beside each other; 1 is this one.
        deadline: of `time.monotonic()`; nothing begins after it.
        say: is told how it goes on.

    Raises:
        UnknownName: if no case has these words.
        OtherSetUp: if out has the verdicts of another machine or kernel.
    """
    sizes = f"{device.type}, quick" if quick else device.type
    chosen = [case for case in cases(GRIDS[sizes]) if (only or "") in name_of(case)]
    if not chosen:
        raise UnknownName(f"no case has {only!r} in its name: --verify without --only tells them")
    path, setup = out / "verify.json", set_up(device, sizes)
    done = {v.case: v for v in report.load(path, setup, lambda kept: Verdict(**kept))}
    done = {name: found for name, found in done.items() if not found.failed}
    if all(name_of(case) in done for case in chosen):
        done = {}
    to_do = [case for case in chosen if name_of(case) not in done]

    def keep(found: list[Verdict]) -> None:
        done.update((v.case, v) for v in found)
        report.save(path, setup, list(done.values()))
        reached = sum(name_of(case) in done for case in chosen)
        wrong = sum(bool(v.failed) for v in done.values())
        say(f"[{reached}/{len(chosen)}] {found[-1].case}" + (f"; {wrong} failed" if wrong else ""))

    groups = by_compilation([case for case in to_do if case.kind not in LARGE])
    jobs = jobs or processes_for(device)
    if jobs > 1:
        in_processes(groups, str(device), jobs, deadline, keep)
        groups = []
    for group in [*groups, *([case] for case in to_do if case.kind in LARGE)]:
        if time.monotonic() < deadline:
            keep(verdicts(group, str(device)))
    found = [done[name_of(case)] for case in chosen if name_of(case) in done]
    words = text(found, setup)
    out.mkdir(parents=True, exist_ok=True)
    (out / "verify.txt").write_text(words, encoding="utf-8")
    wrong = [f"{v.case}: {v.failed}" for v in found if v.failed]
    return Outcome(words, wrong, complete=len(found) == len(chosen))


def processes_for(device: torch.device) -> int:
    """How many there is room for."""
    if device.type != "cuda":
        return 1
    room = int(torch.cuda.mem_get_info(device)[0] // BYTES_EACH)
    return max(1, min(8, os.cpu_count() or 1, room))


def by_compilation(chosen: Sequence[Case]) -> list[list[Case]]:
    """Cases that share compiled kernels, together, but not too many; the largest groups first."""
    groups: dict[tuple[str, int], list[Case]] = {}
    for case in chosen:
        groups.setdefault((case.problem.dtype, case.problem.D), []).append(case)
    parts = [group[i : i + MOST] for group in groups.values() for i in range(0, len(group), MOST)]
    return sorted(parts, key=len, reverse=True)


def text(found: Sequence[Verdict], setup: dict[str, Any]) -> str:
    """By kind: how many, and for each type the largest errors of output and gradients."""
    dtypes = list(dict.fromkeys(v.dtype for v in found))
    lines = [["verified", "cases", "failed", "skipped", *dtypes, "of allowed"]]
    for kind in [*dict.fromkeys(v.kind for v in found), "all"]:
        own = [v for v in found if kind in (v.kind, "all")]
        counts = [len(own), sum(bool(v.failed) for v in own), sum(bool(v.skipped) for v in own)]
        largest = (errors_of([v for v in own if v.dtype == dtype]) for dtype in dtypes)
        used = max((v.used for v in own), default=0.0)
        lines.append([kind, *map(str, counts), *largest, f"{used:.2f}"])
    said = [f"{v.case}: {v.failed}" for v in found if v.failed][:MOST_TOLD]
    said += [f"{v.case}: skipped, {v.skipped}" for v in found if v.skipped]
    heading = f"{setup['device']}, torch {setup['torch']}, triton {setup['triton']}, kernel " + str(
        setup["kernel"]
    )
    note = (
        "Largest error of the output / of a gradient, against float64; two runs gave the same bits."
    )
    return "\n".join([heading, note, "", *aligned(lines), *said, "", SANITIZER]) + "\n"


def errors_of(found: Sequence[Verdict]) -> str:
    """Largest error of outputs, and of gradients."""
    errors = [v.errors for v in found if v.errors]
    if not errors:
        return NONE
    return " / ".join(
        f"{max(e[name] for e in errors for name in names):.1e}"
        for names in (OUTPUTS[:1], OUTPUTS[1:])
    )
