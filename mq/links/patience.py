"""How long does a task leave something alone? Longer and longer while this thread is busy."""

from __future__ import annotations

import resource
from time import perf_counter, thread_time

_BUSY = 0.75
"""A thread is busy if it runs for more than this share of the time, or never sleeps."""

_STARVED = 0.125
"""A busy thread counts as running for at least this share of the time, however little other programs let it run."""

_WHOSE = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)
"""Some systems count for the whole process only."""


def _sleeps() -> int:
    """Return how often this thread has given up its core by itself."""
    return resource.getrusage(_WHOSE).ru_nvcsw


class Patience:
    """A pause that doubles while the thread is busy, and is as short as at first when the thread has time to spare."""

    def __init__(self, least: float, most: float) -> None:
        self._least = least
        self._most = most
        self._seconds = least
        self._began = self._ran = 0.0
        self._slept = 0
        self._worked = 0.0
        """Seconds that the busy thread has run in the pauses of the present length."""

    def begin(self) -> float:
        """Begin a pause, and return its seconds."""
        self._began, self._ran, self._slept = perf_counter(), thread_time(), _sleeps()
        return self._seconds

    def ends(self) -> bool:
        """Return whether to go on after a pause. If False, the caller may `begin` the next pause.

        The result is True if the thread has time to spare, and after a pause of the longest length. If other programs
        kept a busy thread from running, the next pause repeats this one: the thread has done less in it.
        """
        passed, ran = perf_counter() - self._began, thread_time() - self._ran
        if ran <= _BUSY * passed and _sleeps() != self._slept:
            self.reset()
            return True
        self._worked += max(ran, _STARVED * passed)
        if self._worked < _BUSY * self._seconds:
            return False
        self._worked = 0.0
        over = self._seconds >= self._most
        self._seconds = min(2 * self._seconds, self._most)
        return over

    def prolong(self, most: float) -> None:
        """Make the next pause twice as long, up to ``most`` seconds."""
        self._seconds = max(self._seconds, min(2 * self._seconds, most, self._most))

    def shorten(self, most: float) -> None:
        """Limit each pause to ``most`` seconds."""
        self._most = most
        self._seconds = min(self._seconds, most)

    def reset(self) -> None:
        """Make the next pause as short as at first."""
        self._seconds = self._least
        self._worked = 0.0
