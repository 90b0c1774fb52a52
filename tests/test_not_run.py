"""Whoever runs the tests reads at the end what was left out, and how to have it."""

import pytest

from tests.not_run import not_run

pytest_plugins = ["pytester"]


def test_one_line_for_each_thing_that_is_missing():
    reasons = ["needs a GPU: pytest -m gpu", "needs a browser: apt", "needs a GPU: pytest -m gpu"]
    assert not_run([*reasons, "not on this system"]) == [
        "Not run: 2 tests that need a GPU. pytest -m gpu",
        "Not run: 1 test that needs a browser. apt",
    ]
    assert not_run([]) == []


def test_it_stands_at_the_end_of_a_run(
    pytester: pytest.Pytester, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
):
    root = request.config.rootpath
    pytester.makeconftest((root / "tests/conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile("import pytest\ndef test(): pytest.skip('needs a moon: fetch it')")
    monkeypatch.setenv("PYTHONPATH", str(root))
    ran = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    ran.assert_outcomes(skipped=1)
    ran.stdout.fnmatch_lines(["Not run: 1 test that needs a moon. fetch it"])
