"""An exercise that is not written yet stops no notebook: *Run All* goes on below it."""

import re
import sys
from types import TracebackType
from typing import Any

_NOT_WRITTEN = re.compile(r"(Exercise \d+\.\d+) is yours to write")


def go_on_past_the_undone() -> None:
    """From now on a cell that runs into an unwritten exercise says so, and counts as run.

    Without IPython nothing happens.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        return

    def tell(
        shell: Any,
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType,
        tb_offset: int | None = None,
    ) -> None:
        match = _NOT_WRITTEN.match(str(error))
        if match:
            print(f"{match[1]} is not written yet: there is nothing to try.")
        else:
            shell.showtraceback((kind, error, trace), tb_offset=tb_offset)

    def forgive(result: Any) -> None:
        error = getattr(result, "error_in_exec", None)
        if isinstance(error, NotImplementedError) and _NOT_WRITTEN.match(str(error)):
            result.error_in_exec = None  # what a front end asks before it runs the next cell

    shell.set_custom_exc((NotImplementedError,), tell)
    shell.events.register("post_run_cell", forgive)
