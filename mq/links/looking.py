"""When does a receiver look for what comes, rather than sleep? To see it spares a sleep, and a wake-up.

A look at what is there already costs next to nothing. In a dialogue it pays to look on for as long as a sleep and a
wake-up take together, but no other task runs meanwhile.
"""

from __future__ import annotations

from ..transports import Stream

_GLANCE = 100e-6
"""Seconds to look on: about as long as a sleep and a wake-up take."""

_BRIEF = 4096
"""Bytes that are few for a read."""

_DIALOGUE = 4
"""Reads of few bytes in a row that make a dialogue."""

_LOOKS = 8
"""Looks in a row, at most."""

_WAITS = 255
"""Waits between two looks, at most, when nothing comes in time."""


class Looker:
    """Looks at ``stream``, as long as that pays."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._brief = 0
        """Reads of few bytes in a row."""
        self._left = _LOOKS
        """How often one may look on before one waits; below 0, how many waits come first."""
        self._in_vain = 0
        """Waits after the last look, which saw nothing."""

    def saw(self, count: int) -> None:
        """So many bytes were read."""
        self._brief = self._brief + 1 if count <= _BRIEF else 0

    def look(self) -> bool:
        """Return whether something is there, or in a dialogue comes at once."""
        if self._brief < _DIALOGUE:
            return self._stream.look(0)
        if self._left <= 0:  # others want their turn, or it has been in vain too often
            self._left += 1
            if self._left > 0:
                self._left = _LOOKS
            return False
        if self._stream.look(_GLANCE):
            self._left -= 1
            self._in_vain = 0
            return True
        self._in_vain = min(2 * self._in_vain + 1, _WAITS)
        self._left = -self._in_vain
        return False
