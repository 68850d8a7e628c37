"""Progress of long work: units done, rate and time left.

Code that does long work counts it here; logs and the command line's progress bars listen. This
module prints nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class ProgressReport:
    """How far a piece of work is.

    Attributes
    ----------
    work : str
        What is being done, e.g. ``"embedding"``.
    done : int
        Number of units done.
    total : int or None
        Number of units in all; None where it is not known beforehand.
    seconds : float
        Time since the work began.
    unit : str
        What is counted, e.g. ``"texts"``.
    """

    work: str
    done: int
    total: int | None
    seconds: float
    unit: str

    @property
    def rate(self) -> float:
        """Units per second so far."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Time left, estimated from the rate so far; None if it cannot be estimated."""
        if self.total is None or not self.rate:
            return None
        return (self.total - self.done) / self.rate

    def __str__(self) -> str:
        """Return the report as a line for a log."""
        of_total = f" of {self.total:,}" if self.total is not None else ""
        line = f"{self.work}: {self.done:,}{of_total} {self.unit}, {self.rate:,.0f}/s"
        if self.seconds_left:
            line += f", {self.seconds_left:,.0f} s left"
        return line


Listener = Callable[[ProgressReport], None]
_listeners: list[Listener] = []


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Call `listener` whenever any work in this process advances, while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


class ProgressCounter:
    """Counts the units of a piece of work, and reports to listeners and to a log.

    Parameters
    ----------
    work : str
        What is being done, e.g. ``"embedding"``.
    total : int, optional
        Number of units in all.
    unit : str
        What is counted, e.g. ``"texts"``.
    log : callable, optional
        Takes a line of text.
    log_seconds : float
        Minimum time between two lines of the log.
    """

    def __init__(
        self,
        work: str,
        total: int | None,
        unit: str = "rows",
        log: Callable[[str], None] | None = None,
        log_seconds: float = 10.0,
    ) -> None:
        self._work, self._total, self._unit = work, total, unit
        self._log, self._log_seconds = log, log_seconds
        self._started = self._logged = time.monotonic()
        self.done = 0

    def advance(self, count: int) -> None:
        """Count `count` more units as done."""
        self.done += count
        now = time.monotonic()
        report = ProgressReport(self._work, self.done, self._total, now - self._started, self._unit)
        for listener in _listeners:
            listener(report)
        if self._log is not None and now - self._logged >= self._log_seconds:
            self._logged = now
            self._log(str(report))
