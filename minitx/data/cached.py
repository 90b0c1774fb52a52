"""What took long to make is kept in the user's cache folder, and never trusted blindly."""

import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from minitx.user_cache import cache_folder


def cached(name: str, build: Callable[[], str]) -> str:
    """What build returns, made once and then read from the file of this name.

    The file begins with the SHA-256 of the rest. One that is damaged is made anew, with a warning.
    It is put in its place in one step, so processes that build at the same time do no harm. Where
    nothing can be kept, the text is made each time, with a warning.

    Args:
        name: of the file; a new version of what is built needs a new name.
        build: makes the text; must give the same text every time.
    """
    try:
        path = cache_folder() / name
    except RuntimeError as error:  # A user without a home, as in some containers.
        warnings.warn(f"{name} cannot be kept ({error}); it stays in memory", stacklevel=2)
        return build()
    try:
        return _read(path)
    except ValueError:
        warnings.warn(f"{path} is damaged and is made anew", stacklevel=2)
    except OSError:
        pass  # There is none yet, or none can be: that is said where it is written.
    text = build()
    try:
        _write(path, text)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        warnings.warn(f"{path} cannot be kept ({reason}); it stays in memory", stacklevel=2)
    return text


def version_of(package: str) -> str:
    """The version of an installed package of the extra `data`, for the name of what it makes.

    Raises:
        ModuleNotFoundError: if it is not installed.
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        raise ModuleNotFoundError(
            f"this needs the package {package}; install it with: pip install 'minitx[data]'"
        ) from None


def _read(path: Path) -> str:
    checksum, _, content = path.read_bytes().partition(b"\n")
    if checksum != _checksum(content):
        raise ValueError(path)
    return content.decode()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = text.encode()
    number, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with open(number, "wb") as file:
            file.write(_checksum(content) + b"\n" + content)
        os.replace(unfinished, path)
    except OSError:
        os.unlink(unfinished)
        raise


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
