"""The pages of this book hold to their budget, their questions can be asked, their links end."""

from pathlib import Path

import pytest

from minitx.authoring.page_lints import faults
from minitx.authoring.pages import pages

ROOT = Path(__file__).resolve().parents[2]
NAMES = [page.name for page in pages(ROOT)]


def test_there_are_chapters():
    assert len([page for page in pages(ROOT) if page.is_main]) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_wrong_with_the_page(name):
    found = [fault for fault in faults(ROOT) if fault.startswith(f"book/{name}.md: ")]
    assert found == []
