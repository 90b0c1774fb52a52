"""What a PDF by Chromium says about itself: its objects, its pages, and where its links lead.

Its objects are plain text but for compressed streams, so no library is needed to read them.
"""

import re
from urllib.parse import unquote

_OBJECT = re.compile(rb"(?:^|\n)(\d+) 0 obj\n(.*?)\nendobj", re.DOTALL)
_PLACE = re.compile(rb"/([^\s/\[\]]+) \[(\d+) 0 R /XYZ")
_ESCAPED = re.compile(r"#([0-9a-fA-F]{2})")


def objects(pdf: bytes) -> dict[int, bytes]:
    """Every object of the file, by number."""
    return {int(number): body for number, body in _OBJECT.findall(pdf)}


def pages(found: dict[int, bytes]) -> list[int]:
    """The numbers of the objects that are pages, in order."""
    catalog = next(body for body in found.values() if b"/Type /Catalog" in body)
    return _leaves(found, reference(catalog, b"Pages"))


def reference(body: bytes, name: bytes) -> int:
    """The number of the object to which an entry of a dictionary refers."""
    match = re.search(rb"/" + name + rb" (\d+) 0 R", body)
    if match is None:
        raise ValueError(f"no /{name.decode()} in {body[:80]!r}")
    return int(match[1])


def destinations(pdf: bytes) -> tuple[dict[str, int], int]:
    """For every name that a link of the file leads to its page, counted from 1; how many pages."""
    found = objects(pdf)
    numbers = {page: place for place, page in enumerate(pages(found), start=1)}
    catalog = next(body for body in found.values() if b"/Type /Catalog" in body)
    places = {}
    if b"/Dests" in catalog:
        for name, page in _PLACE.findall(found[reference(catalog, b"Dests")]):
            plain = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), name.decode("latin-1"))
            places[unquote(plain)] = numbers[int(page)]
    return places, len(numbers)


def _leaves(found: dict[int, bytes], number: int) -> list[int]:
    """The pages below a node of the tree of pages."""
    kids = re.search(rb"/Kids \[([^\]]*)\]", found[number])
    if kids is None:
        return [number]
    below = re.findall(rb"(\d+) 0 R", kids[1])
    return [leaf for kid in below for leaf in _leaves(found, int(kid))]
