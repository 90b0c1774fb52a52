"""The examples in minitx's docstrings give what they say, in every module that has one."""

import doctest
import importlib
from pathlib import Path

import pytest

import minitx

from .architecture import sources

WITH_EXAMPLES = [
    name for name, source in sources(Path(minitx.__file__).parent).items() if "    >>> " in source
]


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0
