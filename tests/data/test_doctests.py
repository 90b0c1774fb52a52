"""The examples in the docstrings of minitx.data give what they say."""

import doctest
import importlib

import pytest

WITH_EXAMPLES = (
    "batching", "bpe", "corruption", "dates", "numbers", "split", "text", "vocabulary", "wordpiece"
)  # fmt: skip


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples(module):
    result = doctest.testmod(importlib.import_module(f"minitx.data.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
