"""Everything that wants a GPU, in one command that stops in time and goes on when called again.

    python -m minitx.bench.gpu --minutes 9 --out runs/gpu

verifies the kernel, times it beside its peers, and runs the other benchmarks; all tables go to one
folder, named after the device and the kernel's source, with the date in them. Nothing but torch,
triton and what `minitx.kernels` imports is needed; without matplotlib there are no pictures, and
without click and rich the other benchmarks are left out.

Exit codes: 0 all done and well, 1 something failed, 2 wrong use, 3 time was up: call it again.
"""

import argparse
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import torch

from minitx.bench.attention import run as attention
from minitx.bench.attention import verify as attention_verify
from minitx.bench.attention.run import Outcome
from minitx.bench.attention.setup import NoDevice, device_for, fingerprint
from minitx.bench.report import OtherSetUp

OTHERS = ("models", "scaling")  # commands of `minitx bench` besides this file's own
PARTS = ("verify", "attention", *OTHERS)
FINISHED = "finished.json"
LEFT_OUT = "left out: "
PATIENCE = 20.0  # seconds that another benchmark has to stop in


@dataclass(frozen=True)
class Settings:
    """What was asked for.

    Args:
        device: where.
        quick: tiny sizes.
        folder: where everything goes.
        jobs: see `verify`.
        deadline: of `time.monotonic()`.
        only: words in the names of rows and cases; None: all.
    """

    device: torch.device
    quick: bool
    folder: Path
    jobs: int | None
    deadline: float
    only: str | None = None


def say(line: str) -> None:
    """How it goes on, at once also where the output is kept in a file."""
    print(f"{datetime.now():%H:%M:%S} {line}", file=sys.stderr, flush=True)


def verify(settings: Settings) -> Outcome:
    return attention_verify.verify(
        settings.device, quick=settings.quick, out=settings.folder, only=settings.only,
        jobs=settings.jobs, deadline=settings.deadline, say=say,
    )  # fmt: skip


def attend(settings: Settings) -> Outcome:
    return attention.bench(
        settings.device, quick=settings.quick, only=settings.only, out=settings.folder,
        deadline=settings.deadline, say=say,
    )  # fmt: skip


def other(name: str) -> Callable[[Settings], Outcome]:
    """Another benchmark, as a process that is stopped like with Ctrl-C when time is up."""

    def run(settings: Settings) -> Outcome:
        missing = [p for p in ("click", "rich", "matplotlib") if not importlib.util.find_spec(p)]
        if missing:
            return Outcome(f"{LEFT_OUT}{name}, not installed: {', '.join(missing)}\n", [], True)
        if not is_command(name):
            return Outcome(f"{LEFT_OUT}{name}, there is no minitx bench {name}\n", [], True)
        command = [sys.executable, "-m", "minitx", "bench", name, "--device", str(settings.device)]
        command += ["--out", str(settings.folder), *["--quick"] * settings.quick]
        return outcome(name, command, settings.deadline)

    return run


def is_command(name: str) -> bool:
    """Whether `minitx bench` has it."""
    from minitx.bench.commands import bench

    return name in bench.commands


def outcome(name: str, command: Sequence[str], deadline: float) -> Outcome:
    """Run a command until it ends or time is up; its output is what it found."""
    # A shell's background jobs ignore Ctrl-C, and would leave that to their children.
    hear = partial(signal.signal, signal.SIGINT, signal.SIG_DFL) if os.name == "posix" else None
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=hear)
    left = None if deadline == float("inf") else max(0.0, deadline - time.monotonic())
    try:
        words, _ = process.communicate(timeout=left)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # it keeps what it has
        try:
            words, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            words, _ = process.communicate()
        return Outcome(f"{name}: time was up\n{words}", [], complete=False)
    failed = [f"{name} ended with exit code {process.returncode}"] if process.returncode else []
    return Outcome(words, failed, complete=True)


RUNS: dict[str, Callable[[Settings], Outcome]] = {
    "verify": verify,
    "attention": attend,
    **{name: other(name) for name in OTHERS},
}


def everything(parts: Sequence[str], settings: Settings) -> int:
    """One part after the other, and tables.txt with what all of them found; the exit code.

    Parts that an earlier call has finished are told again, not done again.
    """
    outcomes: dict[str, Outcome] = {}
    finished = {} if settings.only else found_before(settings.folder)
    for part in parts:
        if part in finished:
            outcomes[part] = Outcome(finished[part], [], complete=True)
            continue
        if time.monotonic() >= settings.deadline:
            outcomes[part] = Outcome(f"{part}: time was up before it began\n", [], complete=False)
            continue
        say(part)
        outcomes[part] = RUNS[part](settings)
        settings.folder.mkdir(parents=True, exist_ok=True)
        words = outcomes[part].words
        if outcomes[part].exit_code == 0 and not settings.only and not words.startswith(LEFT_OUT):
            finished[part] = words
            (settings.folder / FINISHED).write_text(json.dumps(finished), encoding="utf-8")
        words = "\n".join(f"== {name}\n\n{o.words}" for name, o in outcomes.items())
        heading = f"{device_name(settings.device)}, {datetime.now():%Y-%m-%d %H:%M}\n\n"
        (settings.folder / "tables.txt").write_text(heading + words, encoding="utf-8")
    for part, found in outcomes.items():
        print(f"== {part}\n\n{found.words}")
    for part, found in outcomes.items():
        state = "failed" if found.failed else "done" if found.complete else "time was up"
        print(f"{part}: {state}")
        print("".join(f"  {sentence}\n" for sentence in found.failed[:10]), end="")
    print(f"Written to {settings.folder}; without it everything is done anew")
    codes = [found.exit_code for found in outcomes.values()]
    return 1 if 1 in codes else max(codes)


def found_before(folder: Path) -> dict[str, str]:
    """What finished parts have found, by part."""
    path = folder / FINISHED
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m minitx.bench.gpu", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all")
    parser.add_argument("--device", help="cuda unless given; cpu only with --quick")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it works")
    parser.add_argument("--only", help="rows and cases with this in their name")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop within so many")
    parser.add_argument("--jobs", type=int, help="processes that verify beside each other")
    parser.add_argument("--out", type=Path, default=Path("runs", "gpu"), help="runs/gpu")
    given = parser.parse_args(arguments)
    unknown = [part for part in given.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}: {', '.join(PARTS)}")
    start = time.monotonic()
    try:
        device = device_for(given.device, quick=given.quick)
        size = "-quick" if given.quick else ""
        slug = re.sub(r"\W+", "-", device_name(device)).strip("-").lower()
        settings = Settings(
            device, given.quick, given.out / f"{slug}-{fingerprint()}{size}", given.jobs,
            start + 60 * given.minutes, given.only,
        )  # fmt: skip
        return everything(given.parts or PARTS, settings)
    except (NoDevice, attention.UnknownName) as error:
        parser.error(str(error))
    except OtherSetUp as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. The same command goes on.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
