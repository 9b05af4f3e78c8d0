"""How long is somebody let be? Longer and longer while this thread is busy, as whoever is meant is at work then."""

from __future__ import annotations

import resource
from time import perf_counter, thread_time

_BUSY = 0.75
"""The part of a while that a thread runs for, to be busy. One that never slept is, however little it was let run."""

_WHOSE = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)
"""Where a system does not count for each thread, the process has to do."""


def _sleeps() -> int:
    """Return how often this thread has given up the processor by itself."""
    return resource.getrusage(_WHOSE).ru_nvcsw


class Patience:
    """A while that doubles as long as the thread is busy, and is as short as at first when it has time to spare."""

    def __init__(self, least: float, most: float) -> None:
        self._least = least
        self._most = most
        self._seconds = least
        self._began = self._ran = 0.0
        self._slept = 0

    def begin(self) -> float:
        """Begin to wait, and return for how many seconds."""
        self._began, self._ran, self._slept = perf_counter(), thread_time(), _sleeps()
        return self._seconds

    def ends(self) -> bool:
        """Return whether it is time to go on; if not, the thread is busy, and one may `begin` anew.

        However busy it is, one goes on when the while cannot become longer.
        """
        ran = thread_time() - self._ran
        busy = _sleeps() == self._slept or ran > _BUSY * (perf_counter() - self._began)
        over = not busy or self._seconds >= self._most
        self._seconds = min(2 * self._seconds, self._most) if busy else self._least
        return over

    def prolong(self, most: float) -> None:
        """Make the next while twice as long, up to ``most`` seconds."""
        self._seconds = max(self._seconds, min(2 * self._seconds, most, self._most))

    def shorten(self, most: float) -> None:
        """Let nobody be for longer than ``most`` seconds at a time."""
        self._most = most
        self._seconds = min(self._seconds, most)

    def reset(self) -> None:
        """Be as short as at first."""
        self._seconds = self._least
