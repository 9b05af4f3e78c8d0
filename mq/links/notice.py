"""What does the log say of a trouble that lasts? One line when it begins, and nothing more until it is over."""

from __future__ import annotations

import math
from collections.abc import Callable

import trio

_QUIET = 60.0
"""Seconds in which a trouble that comes and goes is said once."""


class Notice:
    """Says one trouble of one endpoint with ``warn``."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._on = False
        self._said_at = -math.inf

    def say(self, text: str) -> bool:
        """The trouble is there. Return whether it has just begun."""
        begins, self._on = not self._on, True
        now = trio.current_time()
        if begins and now - self._said_at >= _QUIET:
            self._said_at = now
            self._warn(text)
        return begins

    def over(self) -> None:
        """The trouble has passed."""
        self._on = False
