"""The cache: made once, never trusted blindly, never in the way."""

import hashlib
import multiprocessing
import os
import sys
import warnings
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitx.data import cached as module
from minitx.data.cached import cached, version_of
from minitx.user_cache import cache_folder

TEXT = "zéro\nun\r\ndeux\n"


def never():
    raise AssertionError("it is in the cache and was made again")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    path = tmp_path / "not" / "there" / "yet"
    monkeypatch.setenv("MINITX_CACHE", str(path))
    return path


@pytest.fixture(autouse=True)
def no_warning_unless_expected():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # What tests before this one left open is told whenever rubbish is collected.
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.simplefilter("ignore", pytest.PytestUnraisableExceptionWarning)
        yield


def test_it_is_made_once(folder):
    assert cached("numbers.tsv", lambda: TEXT) == TEXT
    assert cached("numbers.tsv", never) == TEXT
    assert [path.name for path in folder.iterdir()] == ["numbers.tsv"]


def test_the_file_is_its_checksum_and_the_text(folder):
    cached("numbers.tsv", lambda: TEXT)
    checksum, content = (folder / "numbers.tsv").read_bytes().split(b"\n", 1)
    assert content.decode() == TEXT
    assert checksum.decode() == hashlib.sha256(TEXT.encode()).hexdigest()


@given(st.text())
def test_every_text_comes_back(tmp_path_factory, text):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINITX_CACHE", str(tmp_path_factory.mktemp("cache")))
        assert cached("a", lambda: text) == text
        assert cached("a", never) == text


DAMAGE = {
    "one bit": lambda content: content[:-3] + bytes([content[-3] ^ 1]) + content[-2:],
    "cut off": lambda content: content[:-1],
    "longer": lambda content: content + b"x",
    "no content": lambda content: content[:64],
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "not text": lambda content: hashlib.sha256(b"\xff").hexdigest().encode() + b"\n\xff",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_made_anew(folder, damage):
    cached("numbers.tsv", lambda: TEXT)
    path = folder / "numbers.tsv"
    whole = path.read_bytes()
    path.write_bytes(DAMAGE[damage](whole))
    with pytest.warns(UserWarning, match="numbers.tsv is damaged and is made anew$") as caught:
        assert cached("numbers.tsv", lambda: TEXT) == TEXT
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert path.read_bytes() == whole
    assert cached("numbers.tsv", never) == TEXT


def test_a_folder_that_is_a_file(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    for place in ("file", "file/below"):
        monkeypatch.setenv("MINITX_CACHE", str(tmp_path / place))
        with pytest.warns(UserWarning, match=r"numbers.tsv cannot be kept \(.*it stays in memory"):
            assert cached("numbers.tsv", lambda: TEXT) == TEXT
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_folder_in_the_place_of_the_file(folder):
    (folder / "numbers.tsv").mkdir(parents=True)
    with pytest.warns(UserWarning, match="numbers.tsv cannot be kept"):
        assert cached("numbers.tsv", lambda: TEXT) == TEXT
    assert [path.name for path in folder.iterdir()] == ["numbers.tsv"]


def test_a_folder_that_may_not_be_written(folder, monkeypatch):
    def forbidden(**arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module.tempfile, "mkstemp", forbidden)
    with pytest.warns(UserWarning, match=r"cannot be kept \(Permission denied\)"):
        assert cached("numbers.tsv", lambda: TEXT) == TEXT


def test_a_user_without_a_home(monkeypatch):
    def homeless(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MINITX_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.warns(UserWarning, match=r"numbers.tsv cannot be kept \(Could not determine home"):
        assert cached("numbers.tsv", lambda: TEXT) == TEXT


def test_a_disk_that_is_full(folder, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "replace", full)
    with pytest.warns(UserWarning, match=r"cannot be kept \(No space left on device\)"):
        assert cached("numbers.tsv", lambda: TEXT) == TEXT
    assert list(folder.iterdir()) == []  # nothing unfinished is left behind


def test_an_error_while_making_it_is_the_callers(folder):
    with pytest.raises(AssertionError, match="made again"):
        cached("numbers.tsv", never)
    assert not folder.exists()


# --- two processes at once -----------------------------------------------------------------------


TURNS = 30


def _use(folder, start, results):
    """Look again and again, and now and then throw the file away, while others do the same."""
    os.environ["MINITX_CACHE"] = folder
    warnings.simplefilter("error")  # Nobody may ever see a damaged file.
    long = TEXT * 40_000  # A write takes a while.
    start.wait(timeout=600)
    try:
        for turn in range(1, TURNS + 1):
            assert cached("numbers.tsv", lambda: long) == long
            if turn % 3 == 0:
                (Path(folder) / "numbers.tsv").unlink(missing_ok=True)
    except Exception as error:
        results.put(repr(error))
    else:
        results.put(TURNS)


def test_processes_at_once_do_no_harm(folder):
    spawn = multiprocessing.get_context("spawn")
    start, results = spawn.Barrier(3), spawn.Queue()
    jobs = [
        spawn.Process(target=_use, args=(str(folder), start, results), daemon=True)
        for _ in range(3)
    ]
    for job in jobs:
        job.start()
    seen = [results.get(timeout=600) for _ in jobs]
    assert seen == [TURNS] * 3
    for job in jobs:
        job.join(timeout=600)
    assert {path.name for path in folder.iterdir()} <= {"numbers.tsv"}  # and nothing unfinished


# --- where it is ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "environment", "wanted"),
    [
        ("linux", {"MINITX_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ("linux", {"MINITX_CACHE": "~/a"}, "/home/me/a"),
        ("linux", {"MINITX_CACHE": "", "XDG_CACHE_HOME": "/b"}, "/b/minitx"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/minitx"),
        ("linux", {"XDG_CACHE_HOME": ""}, "/home/me/.cache/minitx"),
        ("linux", {}, "/home/me/.cache/minitx"),
        ("darwin", {}, "/home/me/Library/Caches/minitx"),
        ("darwin", {"XDG_CACHE_HOME": "/b"}, "/b/minitx"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/minitx"),
        ("win32", {}, "/home/me/AppData/Local/minitx"),
    ],
)
def test_the_folder(monkeypatch, platform, environment, wanted):
    for name in ("MINITX_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == Path(wanted)


def test_the_version_of_a_package():
    assert version_of("num2words") == metadata.version("num2words")


def test_a_package_that_is_not_installed():
    wanted = r"needs the package no-such-package; install it with: pip install 'minitx\[data\]'"
    with pytest.raises(ModuleNotFoundError, match=wanted):
        version_of("no-such-package")
