"""The text of a PDF by Chromium, page by page, as its fonts say it is to be read."""

import re
import zlib

from minitx.authoring.pdf_file import objects, pages, reference

_HEX = rb"<([0-9A-Fa-f]+)>"


def text(pdf: bytes) -> list[str]:
    """What each page says, without the white space: where words end is known to the eye only."""
    found = objects(pdf)
    return [_page(found, found[number]) for number in pages(found)]


def _page(found: dict[int, bytes], page: bytes) -> str:
    fonts = {
        name: _letters(found, int(number))
        for name, number in re.findall(rb"/(F\d+) (\d+) 0 R", page)
    }
    letters: dict[int, str] = {}
    width = 4
    said = []
    for font, codes in re.findall(rb"/(F\d+) [\d.]+ Tf|<([0-9A-Fa-f]+)>", _content(found, page)):
        if font:
            letters = fonts[font]
            wide = b"/Subtype /Type0" in found[reference(page, font)]
            width = 4 if wide else 2
        else:
            text = codes.decode()
            said += [
                letters.get(int(text[i : i + width], 16), "") for i in range(0, len(text), width)
            ]
    return "".join("".join(said).split())


def _content(found: dict[int, bytes], page: bytes) -> bytes:
    return _stream(found[reference(page, b"Contents")])


def _stream(body: bytes) -> bytes:
    raw = body.split(b" stream\n", 1)[1].rsplit(b"\nendstream", 1)[0]
    return zlib.decompress(raw) if b"/FlateDecode" in body else raw


def _letters(found: dict[int, bytes], font: int) -> dict[int, str]:
    """What each code of a font means."""
    if b"/ToUnicode" not in found[font]:
        return {}
    table = _stream(found[reference(found[font], b"ToUnicode")])
    known = {}
    for block in re.findall(rb"beginbfchar(.*?)endbfchar", table, re.DOTALL):
        for code, meaning in re.findall(_HEX + rb"\s*" + _HEX, block):
            known[int(code, 16)] = _utf16(meaning)
    for block in re.findall(rb"beginbfrange(.*?)endbfrange", table, re.DOTALL):
        for first, last, meaning in re.findall(rb"\s*".join([_HEX] * 3), block):
            for step in range(int(last, 16) - int(first, 16) + 1):
                start = int(meaning, 16) + step
                known[int(first, 16) + step] = _utf16(b"%0*x" % (len(meaning), start))
    return known


def _utf16(digits: bytes) -> str:
    return bytes.fromhex(digits.decode()).decode("utf-16-be", "replace")
