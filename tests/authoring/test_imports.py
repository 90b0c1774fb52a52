"""What outputs depend on: the package's code, and the files of the chapters a notebook asks."""

from pathlib import Path

import pytest

from minitx.authoring.imports import package_fingerprint

FILES = {
    "minitx/__init__.py": "",
    "minitx/other.py": "X = 1",
    "minitx/grading/__init__.py": "",
    "minitx/shared.py": "A = 1",
    "exercises/checks/test_01_a.py": "A = 1",
    "exercises/checks/mistakes_01_a.py": "A = 1",
    "solutions/01_a.py": "A = 1",
    "exercises/checks/test_02_b.py": "from minitx.shared import A",
    "exercises/checks/mistakes_02_b.py": "A = 1",
    "solutions/02_b.py": "A = 1",
    "tests/right_answers/right_02_b.py": "A = 1",
}
CHECK = "from minitx.grading import check\n"
FIRST = CHECK + 'check("01.1", f)'
SECOND = CHECK + 'check("2.3", f)'
BOTH = f'{FIRST}\ncheck("02.1", g)'
UNKNOWN = CHECK + "for id in ids: check(id, f)"
WHOLE = FIRST + "\nfrom minitx.grading.course import find_course\nfind_course()"
NONE = "from minitx import other"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


@pytest.mark.parametrize("code", [FIRST, SECOND, BOTH, UNKNOWN, WHOLE, NONE])
@pytest.mark.parametrize(
    ("path", "stale"),
    [
        ("exercises/checks/test_01_a.py", [FIRST, BOTH, UNKNOWN, WHOLE]),
        ("exercises/checks/mistakes_01_a.py", [FIRST, BOTH, UNKNOWN, WHOLE]),
        ("solutions/01_a.py", [FIRST, BOTH, UNKNOWN, WHOLE]),
        ("exercises/checks/test_02_b.py", [SECOND, BOTH, UNKNOWN, WHOLE]),
        ("solutions/02_b.py", [SECOND, BOTH, UNKNOWN, WHOLE]),
        ("tests/right_answers/right_02_b.py", [WHOLE]),
        ("minitx/grading/__init__.py", [FIRST, SECOND, BOTH, UNKNOWN, WHOLE]),
        ("minitx/other.py", [NONE]),
        ("minitx/shared.py", [SECOND, BOTH, UNKNOWN, WHOLE]),
    ],
)
def test_a_change_makes_stale_what_runs_it(root: Path, code: str, path: str, stale: list[str]):
    before = package_fingerprint(root, code)
    (root / path).write_text("A = 2")
    assert (package_fingerprint(root, code) != before) == (code in stale)


def test_a_new_chapter_makes_stale_what_asks_for_all(root: Path):
    before = {code: package_fingerprint(root, code) for code in (FIRST, SECOND, WHOLE)}
    (root / "exercises/checks/test_03_c.py").write_text("A = 1")
    changed = [code for code in before if package_fingerprint(root, code) != before[code]]
    assert changed == [WHOLE]


@pytest.mark.parametrize("kept", ["minitx/other.json", "book/kept.json"])
def test_a_kept_result_that_is_made_again_makes_stale_what_reads_it(root: Path, kept: str):
    (root / "book").mkdir()
    (root / "minitx/other.py").write_text('KEPT = "book/kept.json"')
    (root / kept).write_text("{}")
    before = {code: package_fingerprint(root, code) for code in (FIRST, NONE)}
    (root / kept).write_text("[]")
    assert package_fingerprint(root, FIRST) == before[FIRST]
    assert package_fingerprint(root, NONE) != before[NONE]


def test_words_are_no_change(root: Path):
    before = package_fingerprint(root, FIRST)
    (root / "solutions/01_a.py").write_text('"""Words."""\nA = 1  # a remark')
    assert package_fingerprint(root, FIRST) != before  # a docstring where there was none ...
    (root / "solutions/01_a.py").write_text('"""Other words."""\nA = 1')
    after = package_fingerprint(root, FIRST)
    (root / "solutions/01_a.py").write_text('"""Words again."""\nA = 1  # and again')
    assert package_fingerprint(root, FIRST) == after  # ... but not other words in it
