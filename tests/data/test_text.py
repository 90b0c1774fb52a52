"""Files of all kinds, among them those that people name by mistake."""

import os
import re
import tracemalloc
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitx.data.text import canonical, lines, python_topics, read_text, read_tsv


@pytest.fixture
def file(tmp_path):
    """Writes bytes to a file."""

    def write(content):
        path = tmp_path / "notes.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@given(st.text())
def test_canonically_equal_texts_become_one(text):
    """Unicode's definition: equal in NFD, equal in NFC."""
    assert canonical(unicodedata.normalize("NFD", text)) == canonical(text)
    assert canonical(canonical(text)) == canonical(text)


@pytest.mark.parametrize("blank", ["\u00a0", "\u2007", "\u202f"])
def test_no_break_spaces_are_blanks_and_line_ends_stay(blank):
    assert canonical(f"a{blank}b\n c\u3000d") == "a b\n c\u3000d"


LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\t\ufeff"))


@given(st.lists(LINES, min_size=1), st.sampled_from(["\n", "\r\n"]))
def test_lines_come_back(tmp_path_factory, wanted, end):
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(end.join([*wanted, ""]).encode())
    assert list(lines(path)) == wanted


def test_text_ends_its_lines_in_one_way(file):
    assert read_text(file("one\r\ntwo\n\nthree")) == "one\ntwo\n\nthree\n"
    assert read_text(file("\ufeffone")) == "one\n"


def test_the_path_may_be_a_string(file):
    assert read_text(str(file("one\n"))) == "one\n"


def test_columns_in_the_order_asked_for(file):
    path = file("id\tfr\ten\n1\tun\tone\n2\t\ttwo\n")
    assert read_tsv(path, ["en", "fr"]) == [("one", "un"), ("two", "")]
    assert read_tsv(path, ["id"]) == [("1",), ("2",)]


@given(st.lists(st.tuples(LINES, LINES), min_size=1))
def test_tables_come_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("tsv") / "a.tsv"
    table = [("en", "fr"), *rows]
    path.write_bytes("".join(f"{a}\t{b}\n" for a, b in table).encode())
    assert read_tsv(path, ["en", "fr"]) == rows


def test_pythons_topics():
    text = python_topics()
    assert 400_000 < len(text) < 700_000
    assert 'The "for" statement' in text
    assert len(set(text)) < 150
    assert python_topics() == text


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["", "\n", "\ufeff", " \n\t\n"])
def test_a_file_without_text(file, content):
    path = file(content)
    with pytest.raises(ValueError, match=re.escape(f"{path} holds no text")):
        read_text(path)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"good\ncaf\xe9\n", "line 2: byte 0xe9 at place 4 is not UTF-8"),
        ("schön".encode("utf-16"), "line 1: byte 0xff at place 1 is not UTF-8"),
        (b"\xed\xa0\x80", "line 1: byte 0xed at place 1 is not UTF-8"),  # half a surrogate pair
    ],
)
def test_what_is_not_utf8(file, content, where):
    path = file(content)
    for read in (read_text, lambda path: read_tsv(path, ["good"])):
        with pytest.raises(ValueError, match=re.escape(f"{path}, {where}; save the file")):
            read(path)


def test_a_line_of_a_gigabyte_is_not_read(file):
    path = file("one\n")
    with path.open("r+b") as sparse:
        sparse.truncate(2**30)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"line 2: longer than 16,777,216 bytes; is it text"):
            read_text(path)
        assert tracemalloc.get_traced_memory()[1] < 3 * 2**24
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="this system has no /dev/zero")
def test_a_line_without_end_is_not_read():
    with pytest.raises(ValueError, match="/dev/zero, line 1: longer than 16,777,216 bytes"):
        read_tsv("/dev/zero", ["en"])


def test_longer_lines_can_be_allowed(file):
    path = file("é" * 7 + "\n")
    assert read_text(path, max_line_bytes=15) == "é" * 7 + "\n"
    with pytest.raises(ValueError, match="line 1: longer than 14 bytes"):
        read_text(path, max_line_bytes=14)


def test_a_folder(tmp_path):
    text = re.escape(f"{tmp_path} is a folder, wanted a text file")
    for read in (read_text, lambda path: read_tsv(path, ["en"])):
        with pytest.raises(IsADirectoryError, match=text):
            read(tmp_path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape("nowhere.txt")):
        read_text(tmp_path / "nowhere.txt")


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("", " is empty, wanted a first line with the names of columns"),
        ("en\tfr\n", " has names of columns but no rows"),
        ("en\tde\n1\t2\n", " has no column 'fr'; its columns are ['en', 'de']"),
        ("en\tfr\tfr\n1\t2\t3\n", " has more than one column 'fr'; its columns are"),
        ("en\tfr\n1\t2\n3\n", ", line 3: 1 fields, wanted 2"),
        ("en\tfr\n1\t2\t3\n", ", line 2: 3 fields, wanted 2"),
        ("en\tfr\n1\t2\n\n3\t4\n", ", line 3: 1 fields, wanted 2"),
    ],
)
def test_a_table_that_is_none(file, content, wanted):
    path = file(content)
    with pytest.raises(ValueError, match=re.escape(f"{path}{wanted}")):
        read_tsv(path, ["en", "fr"])
