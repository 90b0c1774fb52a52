"""Where what took long to make is kept between two runs."""

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Where files are kept: $MINITX_CACHE, $XDG_CACHE_HOME/minitx, or the platform's place.

    Raises:
        RuntimeError: if that is in the user's home, and there is none.
    """
    if chosen := os.environ.get("MINITX_CACHE"):
        return Path(chosen).expanduser()
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if shared.is_absolute():  # The XDG specification: "all paths must be absolute", or ignored.
        return shared / "minitx"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~/AppData/Local")).expanduser() / "minitx"
    if sys.platform == "darwin":
        return Path("~/Library/Caches/minitx").expanduser()
    return Path("~/.cache/minitx").expanduser()
