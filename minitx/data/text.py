"""Text to train on: Python's own documentation, or whatever file the user names."""

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

MAX_LINE_BYTES = 16 * 2**20
"""A longer line is refused before it fills the memory."""


NO_BREAK = dict.fromkeys(map(ord, "\u00a0\u2007\u202f"), " ")


def canonical(text: str) -> str:
    """The text in the one form in which texts are compared: Unicode's NFC, blanks ordinary.

    "é" is one character, or an e and an accent, as in a macOS file name: to Unicode they are the
    same text, to a vocabulary they were two. Blanks pasted from a web page are often no-break
    spaces, which look like the others.

    Source: Unicode Standard Annex 15. No-break spaces are not canonically equal to a blank; that
    they become one is this course's choice.

    >>> canonical("Ma\u0308rz\u00a02021") == "März 2021"
    True
    """
    return unicodedata.normalize("NFC", text).translate(NO_BREAK)


def python_topics() -> str:
    """The texts behind Python's help(): 465,000 characters of English about Python 3.11.

    They come with Python, and differ a little from version to version.

    >>> python_topics()[:24]
    'The "assert" statement\\n*'
    """
    return "\n\n".join(topic_texts().values())


def topic_texts() -> dict[str, str]:
    """The same texts one by one, by the name under which help() has them, in order.

    >>> topic_texts()["assert"][:22]
    'The "assert" statement'
    """
    from pydoc_data.topics import topics

    return {name: topics[name].strip() for name in sorted(topics)}


def read_text(path: Path | str, *, max_line_bytes: int = MAX_LINE_BYTES) -> str:
    """The text of a file in UTF-8; every line ends in one "\\n".

    Args:
        path: the file.
        max_line_bytes: no line may be longer.

    Raises:
        FileNotFoundError: if there is no such file.
        IsADirectoryError: if it is a folder.
        ValueError: if a line is too long or not UTF-8, or there is no text at all.
    """
    text = "".join(f"{line}\n" for line in lines(path, max_line_bytes=max_line_bytes))
    if not text.strip():
        raise ValueError(f"{path} holds no text")
    return text


def read_tsv(
    path: Path | str, columns: Sequence[str], *, max_line_bytes: int = MAX_LINE_BYTES
) -> list[tuple[str, ...]]:
    """These columns of a table: fields between tabs, names in the first line, no quoting.

    Args:
        path: the file, in UTF-8.
        columns: their names, in the order wanted.
        max_line_bytes: no line may be longer.

    Raises:
        FileNotFoundError: if there is no such file.
        IsADirectoryError: if it is a folder.
        ValueError: if a column is missing or there are two of its name, a row has too many or
            too few fields, there are no rows, or a line cannot be read.
    """
    rows = (line.split("\t") for line in lines(path, max_line_bytes=max_line_bytes))
    names = next(rows, None)
    if names is None:
        raise ValueError(f"{path} is empty, wanted a first line with the names of columns")
    for column in columns:
        if names.count(column) != 1:
            times = "no column" if column not in names else "more than one column"
            raise ValueError(f"{path} has {times} {column!r}; its columns are {names}")
    places = [names.index(column) for column in columns]
    table = []
    for number, row in enumerate(rows, start=2):
        if len(row) != len(names):
            raise ValueError(f"{path}, line {number}: {len(row)} fields, wanted {len(names)}")
        table.append(tuple(row[place] for place in places))
    if not table:
        raise ValueError(f"{path} has names of columns but no rows")
    return table


def lines(path: Path | str, *, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[str]:
    """The lines of a file in UTF-8, without their ends, read one at a time.

    Raises:
        FileNotFoundError: if there is no such file.
        IsADirectoryError: if it is a folder.
        ValueError: if a line is too long or not UTF-8.
    """
    if Path(path).is_dir():
        raise IsADirectoryError(f"{path} is a folder, wanted a text file")
    with open(path, "rb") as file:
        number = 0
        while line := file.readline(max_line_bytes + 1):
            number += 1
            if len(line) > max_line_bytes:
                raise ValueError(
                    f"{path}, line {number}: longer than {max_line_bytes:,} bytes; "
                    "is it text? max_line_bytes allows longer lines"
                )
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")  # the byte order mark of some editors
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path}, line {number}: byte {line[error.start]:#04x} at place "
                    f"{error.start + 1} is not UTF-8; save the file as UTF-8"
                ) from None
            yield text.removesuffix("\n").removesuffix("\r")
