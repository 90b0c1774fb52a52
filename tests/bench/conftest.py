"""A clock that tests advance themselves, in place of the machine's."""

import types

import pytest


class Clock:
    """Stands in for the module `time`: it moves only when somebody sleeps or calls `forward`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def forward(self, seconds: float) -> None:
        self.now += seconds

    def perf_counter(self) -> float:
        return self.now

    monotonic = perf_counter
    sleep = forward

    def rules(self, monkeypatch: pytest.MonkeyPatch, module: types.ModuleType) -> None:
        """From here on the module under test reads this clock."""
        monkeypatch.setattr(module, "time", self)


@pytest.fixture
def clock() -> Clock:
    return Clock()
