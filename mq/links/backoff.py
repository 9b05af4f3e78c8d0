"""How long until the next attempt to connect? The pause grows with each failure, and the log reports a series."""

from __future__ import annotations

import random

import trio

from ..options import Options
from ..pipe import Pipe
from .notice import Notice
from .owner import Owner

SETTLED = 1.0
"""Seconds after which a connection has held, even if no message was received."""

_TELLING = 3
"""Connections in a row that do not hold before the log reports them."""


def pause(options: Options, failures: int) -> float:
    """Return the reconnect interval in seconds. It doubles with each failure up to a maximum; jitter shortens it."""
    interval = options.reconnect_interval or 0.0
    longest = max(interval, options.reconnect_interval_max)
    nominal = min(longest, interval * 2.0 ** min(failures, 60))
    return nominal * (1.0 - options.reconnect_jitter * random.random())


class Backoff:
    """The attempts to connect ``pipe``: the pauses between them grow until a connection has held.

    A connection holds when a message is received, or when it lives for `SETTLED` seconds. A completed handshake is not
    enough: otherwise the dialer would connect ten times a second, for ever, to a peer that greets and hangs up. A sent
    message is not enough either: the kernel takes the message, but the peer may never read it.
    """

    def __init__(self, owner: Owner, pipe: Pipe) -> None:
        self._owner = owner
        self._pipe = pipe
        self._notice = Notice(owner.warn)
        self._failures = 0
        self._in_vain = 0
        """The number of connections in a row that did not hold."""
        self._began = 0.0
        self._received = 0

    def begin(self) -> None:
        """Note that the attempt to connect succeeded."""
        self._began = trio.current_time()
        self._received = self._pipe.messages_in

    def end(self, reason: str, *, completed: bool) -> None:
        """Note that the connection has ended, with its handshake ``completed`` or not."""
        # A publisher receives only subscriptions. A subscriber that hangs up at once has sent its subscriptions too.
        received = self._pipe.messages_in > self._received and not self._owner.fans_out
        held = completed and (received or trio.current_time() - self._began >= SETTLED)
        if held:
            self.forget()
            return
        if completed:  # the peer is back: the failures while it was away no longer count
            self._failures = self._in_vain
        self._in_vain += 1
        if self._in_vain >= _TELLING:
            failure = "the peer greets and hangs up" if completed else "the handshake fails"
            self._notice.say(f"{self._pipe.endpoint}: {failure}, {self._in_vain} times in a row: {reason}")

    def forget(self) -> None:
        """Forget all failures. The next pause has its first length again."""
        self._failures = self._in_vain = 0
        self._notice.over()

    def pause(self) -> float:
        """Return the seconds until the next attempt."""
        self._failures += 1
        return pause(self._owner.options, self._failures - 1)
