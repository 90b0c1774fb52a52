"""What a worker takes at once: a file of tests, or one page of the book in it."""

import re

from xdist.scheduler import LoadFileScheduling

_PAGE = re.compile(r"\[(\S+?\.html)")


class ByPage(LoadFileScheduling):
    """As `--dist loadfile`, but the pages of the longest file are shared out one by one."""

    def _split_scope(self, nodeid: str) -> str:
        page = _PAGE.search(nodeid)
        return f"{super()._split_scope(nodeid)} {page[1] if page else ''}"
