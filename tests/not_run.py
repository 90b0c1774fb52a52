"""What a run of the tests has left out because something is not installed, and how to have it."""

from collections import Counter
from collections.abc import Iterable

NEEDS = "needs "


def not_run(reasons: Iterable[str]) -> list[str]:
    """A line per thing that is missing: reasons of the form "needs Chromium: how to have it"."""
    counts = Counter(reason for reason in reasons if reason.startswith(NEEDS))
    lines = []
    for reason, count in sorted(counts.items()):
        what, _, how = reason.removeprefix(NEEDS).partition(": ")
        tests, need = ("test", "needs") if count == 1 else ("tests", "need")
        lines.append(f"Not run: {count} {tests} that {need} {what}." + (f" {how}" if how else ""))
    return lines
