"""What was lost, and why? Messages that a socket dropped, by reason; those it still held when it closed, for whom."""

from __future__ import annotations

import logging
import math
from collections import Counter

from attrs import define, field

from .monitor import Dropped
from .monitors import Monitors
from .pipe import Pipe
from .reasons import UNACKNOWLEDGED, Reason

log = logging.getLogger("mq")


@define(eq=False)
class Losses:
    """The losses of a socket, which its ``monitors`` are told of."""

    monitors: Monitors
    dropped: Counter[str] = field(factory=Counter)
    """How many, by reason."""
    parting: str = ""
    """Why the messages that are left when the socket has closed were not sent."""
    advice: str = ""
    """What the user can do about ``parting``."""
    quiet: bool = False
    """The program tells its user itself what was left."""
    left: Counter[tuple[str, str, Reason]] = field(factory=Counter)
    """How many messages were left when the socket closed, by receiver, cause and reason."""

    def count(self, endpoint: str, count: int, reason: Reason, detail: str = "", size: int = 0) -> None:
        """Count messages that were dropped. Only the event has the ``detail``, which the peer may have chosen."""
        self.dropped[reason] += count
        self.monitors.report(Dropped(endpoint=endpoint, count=count, reason=_in_full(reason, detail), bytes=size))

    def count_unacknowledged(self, pipe: Pipe, size: int, cause: str, *, closing: bool) -> None:
        """Count messages of which ``size`` bytes were not acknowledged when the connection of ``pipe`` ended in order.

        Their number is estimated from the average size. If the socket is ``closing``, the log is to say so.
        """
        size = min(size, pipe.bytes_out)
        count = min(pipe.messages_out, math.ceil(size * pipe.messages_out / max(1, pipe.bytes_out)))
        if count > 0:
            self.count(pipe.endpoint, count, UNACKNOWLEDGED, size=size)
            if closing:
                self.left[f"{pipe.peer} ({size} bytes)", self.parting or cause, UNACKNOWLEDGED] += count

    def leave(self, pipe: Pipe, count: int, reason: Reason, detail: str = "") -> None:
        """Count messages that ``pipe`` held when its socket closed: they were dropped, and the log is to say so."""
        self.count(pipe.endpoint, count, reason, detail)
        trouble = self.monitors.trouble.get(pipe.endpoint, "no answer yet")
        who = pipe.peer or f"{pipe.endpoint}, which was never reached ({trouble})"
        self.left[who, self.parting or _in_full(reason, detail), reason] += count

    def say(self, level: int) -> None:
        """Write to the log how many messages were left, and for whom."""
        if self.quiet:
            return
        for (who, why, reason), count in self.left.items():
            messages = "message" if count == 1 else "messages"
            state = "unacknowledged" if reason == UNACKNOWLEDGED else "unsent"
            text = "%s closed and dropped %d %s %s for %s: %s%s"
            advice = self.advice and f"; {self.advice}"
            log.log(level, text, self.monitors.name, count, state, messages, who, why, advice)


def _in_full(reason: Reason, detail: str) -> str:
    return f"{reason}: {detail}" if detail else reason
