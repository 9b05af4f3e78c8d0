"""How often does the log report a trouble that lasts? Once when the trouble begins, and not again until it is over."""

from __future__ import annotations

import math
from collections.abc import Callable

import trio

_QUIET = 60.0
"""Seconds in which a trouble that comes and goes is logged once."""


class Notice:
    """Logs one kind of trouble of one endpoint with ``warn``."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._on = False
        self._said_at = -math.inf

    def say(self, text: str) -> bool:
        """Note that the trouble is present, and log ``text`` if it is due. Return whether the trouble just began."""
        begins, self._on = not self._on, True
        now = trio.current_time()
        if begins and now - self._said_at >= _QUIET:
            self._said_at = now
            self._warn(text)
        return begins

    def over(self) -> None:
        """Note that the trouble is over."""
        self._on = False
