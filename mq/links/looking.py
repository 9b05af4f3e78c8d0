"""When does a receiver look for bytes before it waits in Trio? When the look is likely to save the wait.

A look that does not wait costs very little. In a dialogue the reply is about to arrive, so the receiver looks for as
long as a wait through Trio takes. It sleeps in the kernel for most of that time, and no other task of its run can run.
Looks are for runs in which other tasks are runnable. A task that is alone blocks in `Stream.block` instead.
"""

from __future__ import annotations

from ..transports import Stream

_GLANCE = 100e-6
"""Seconds that a look lasts at most: about as long as a wait through Trio takes."""

_LOOKS = 8
"""Looks in a row, at most. Then other tasks get a turn."""

_WAITS = 255
"""Waits between two looks, at most, when looks find nothing."""


class Looker:
    """Looks for bytes in ``stream``, and looks less often after looks that found nothing."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._left = _LOOKS
        """How many looks may follow before the next wait. Below 0: how many waits come before the next look."""
        self._in_vain = 0
        """How many waits followed the last look that found nothing."""

    def look(self, *, in_dialogue: bool) -> bool:
        """Return whether bytes can be read now. In a dialogue, wait for them for up to `_GLANCE` seconds."""
        if not in_dialogue:
            return self._stream.look(0)
        if self._left <= 0:  # it is the turn of other tasks, or too many looks found nothing
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
