"""When does a receiver look for what comes, before it waits in Trio? When a look is likely to spare the wait.

To look whether bytes are there already costs next to nothing. In a dialogue the reply is about to come, so the receiver
looks for as long as a wait through Trio takes. It sleeps in the kernel for most of that time, and no other task of its
run has a turn. That is for runs in which other tasks are runnable; a task that is alone blocks in `Stream.block`.
"""

from __future__ import annotations

from ..transports import Stream

_GLANCE = 100e-6
"""Seconds of a look: about as long as a wait through Trio takes."""

_LOOKS = 8
"""Looks in a row, at most."""

_WAITS = 255
"""Waits between two looks, at most, when nothing comes in time."""


class Looker:
    """Looks at ``stream``, as long as that pays."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._left = _LOOKS
        """How often one may look on before one waits; below 0, how many waits come first."""
        self._in_vain = 0
        """Waits after the last look, which saw nothing."""

    def look(self, *, in_dialogue: bool) -> bool:
        """Return whether something is there, or in a dialogue comes at once."""
        if not in_dialogue:
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
