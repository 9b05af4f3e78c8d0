"""How long until the next attempt to connect? Longer after each one in vain; and what the log says of them."""

from __future__ import annotations

import random

import trio

from ..options import Options
from ..pipe import Pipe
from .notice import Notice
from .owner import Owner

SETTLED = 1.0
"""Seconds after which a connection has held, though nothing was received: its peer does not hang up at once."""

_TELLING = 3
"""So many connections that end at once are no accident: the log names them."""


def pause(options: Options, failures: int) -> float:
    """Return the seconds after so many failures: doubling, capped, and cut by a random part."""
    interval = options.reconnect_interval or 0.0
    longest = max(interval, options.reconnect_interval_max)
    nominal = min(longest, interval * 2.0 ** min(failures, 60))
    return nominal * (1.0 - options.reconnect_jitter * random.random())


class Backoff:
    """The attempts to connect ``pipe``: the pauses between them grow until a connection has held.

    A connection holds when a message is received, or when it lives for `SETTLED` seconds. A completed handshake is not
    enough: a peer that greets and hangs up would be connected to ten times a second for ever. Neither is a message that
    was sent: the kernel takes it, and the peer need not.
    """

    def __init__(self, owner: Owner, pipe: Pipe) -> None:
        self._owner = owner
        self._pipe = pipe
        self._notice = Notice(owner.warn)
        self._failures = 0
        self._in_vain = 0
        """Connections in a row that did not hold."""
        self._began = 0.0
        self._received = 0

    def begin(self) -> None:
        """The peer was reached."""
        self._began = trio.current_time()
        self._received = self._pipe.messages_in

    def end(self, reason: str, *, completed: bool) -> None:
        """The connection has ended, its handshake ``completed`` or not."""
        # What a publisher receives are requests, which a subscriber that hangs up at once sends as well.
        received = self._pipe.messages_in > self._received and not self._owner.fans_out
        held = completed and (received or trio.current_time() - self._began >= SETTLED)
        if held:
            self.forget()
            return
        if completed:  # somebody is there again: how long nobody was does not count
            self._failures = self._in_vain
        self._in_vain += 1
        if self._in_vain >= _TELLING:
            what = "the peer greets and hangs up" if completed else "the handshake fails"
            self._notice.say(f"{self._pipe.endpoint}: {what}, {self._in_vain} times in a row: {reason}")

    def forget(self) -> None:
        """Begin as at first."""
        self._failures = self._in_vain = 0
        self._notice.over()

    def pause(self) -> float:
        """Return the seconds until the next attempt."""
        self._failures += 1
        return pause(self._owner.options, self._failures - 1)
