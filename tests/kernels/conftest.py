import pytest

from minitx.kernels import launch
from minitx.kernels.launch import Launch

from ..interpreter import patch_once_per_launch

patch_once_per_launch()


@pytest.fixture
def tiles(monkeypatch):
    """Sets the tiles that the interpreter uses."""

    def use(*sizes, described=False):
        entry = Launch(*sizes, 1, 1, described=described)
        monkeypatch.setattr(launch, "INTERPRETED", {2**31: entry})

    return use
