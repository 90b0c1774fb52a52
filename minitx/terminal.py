"""What the commands that compute have in common: errors in plain words, a device that works."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

STOPPED = 130  # what shells report of a program that Ctrl-C has ended


@contextmanager
def plainly(*kinds: type[Exception]) -> Iterator[None]:
    """What can go wrong in a sentence, not in a traceback; MINITX_DEBUG=1 shows the traceback.

    Args:
        kinds: of error, besides the usual ones, whose text is meant for the user.
    """
    usual = (ValueError, OSError, ModuleNotFoundError, FloatingPointError)
    os.environ.setdefault("MPLBACKEND", "agg")  # pictures go to files, no window opens
    try:
        yield
    except KeyboardInterrupt as stop:
        click.echo(f"\nStopped{str(stop).removeprefix('stopped') or '.'}", err=True)
        sys.exit(STOPPED)
    except BrokenPipeError:
        raise  # whoever read the output has seen enough
    except usual + kinds as error:
        if os.environ.get("MINITX_DEBUG"):
            raise
        raise click.ClickException(sentence(error)) from None


def sentence(error: Exception) -> str:
    """An error's text, ended as a sentence is."""
    text = str(error)
    return text if text.endswith((".", "?", "!")) else f"{text}."


def usable(device: str | None) -> str | None:
    """The device, once it has computed something.

    Raises:
        BadParameter: if it cannot.
    """
    import torch

    try:
        if device is not None:
            torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise click.BadParameter(f"{device} cannot be used: {reason}") from None
    return device
