"""Which messages were dropped, and why? Counts by reason; at closing, also the recipients, for the log."""

from __future__ import annotations

import logging
import math
from collections import Counter

from attrs import define, field

from .monitor import Dropped
from .monitors import Monitors
from .pipe import Pipe
from .reasons import QUEUE_FULL, UNACKNOWLEDGED, Reason

log = logging.getLogger("mq")


@define(eq=False)
class Losses:
    """The dropped messages of one socket. Each drop is reported to ``monitors``."""

    monitors: Monitors
    dropped: Counter[str] = field(factory=Counter)
    """The number of dropped messages for each reason."""
    parting: str = ""
    """Why the messages that were left at closing were not sent."""
    advice: str = ""
    """The advice that belongs to ``parting``."""
    quiet: bool = False
    """The program reports the messages that were left by itself, so `say` writes nothing to the log."""
    left: Counter[tuple[str, str, Reason]] = field(factory=Counter)
    """The number of messages that were left at closing, for each recipient, cause and reason."""

    def count(self, endpoint: str, count: int, reason: Reason, detail: str = "", size: int = 0) -> None:
        """Count and report dropped messages. Only the event contains ``detail``, because a peer may choose its text."""
        self.dropped[reason] += count
        self.monitors.report(Dropped(endpoint=endpoint, count=count, reason=_in_full(reason, detail), bytes=size))

    def count_unacknowledged(self, pipe: Pipe, size: int, cause: str, *, closing: bool) -> None:
        """Count the messages in ``size`` bytes that were unacknowledged when the connection of ``pipe`` ended in order.

        The number is an estimate from the average size of a message. If the socket is ``closing``, `say` logs them.
        """
        size = min(size, pipe.bytes_out)
        count = min(pipe.messages_out, math.ceil(size * pipe.messages_out / max(1, pipe.bytes_out)))
        if count > 0:
            self.count(pipe.endpoint, count, UNACKNOWLEDGED, size=size)
            if closing:
                self.left[f"{pipe.peer} ({size} bytes)", self.parting or cause, UNACKNOWLEDGED] += count

    def leave(self, pipe: Pipe, count: int, reason: Reason, detail: str = "") -> None:
        """Count messages that waited in ``pipe`` when its socket closed. They were dropped, and `say` logs them."""
        self.count(pipe.endpoint, count, reason, detail)
        trouble = self.monitors.trouble.get(pipe.endpoint, "no answer yet")
        who = pipe.peer or f"{pipe.endpoint}, which was never reached ({trouble})"
        self.left[who, self.parting or _in_full(reason, detail), reason] += count

    def say(self, level: int) -> None:
        """Write to the log how many messages were left at closing, for which recipient, and why."""
        if self.quiet:
            return
        for (who, why, reason), count in self.left.items():
            messages = "message" if count == 1 else "messages"
            state = "unacknowledged" if reason == UNACKNOWLEDGED else "unsent"
            text = "%s closed and dropped %d %s %s for %s: %s%s"
            advice = self.advice if why == self.parting else _ADVICE.get(reason, "")
            log.log(level, text, self.monitors.name, count, state, messages, who, why, advice and f"; {advice}")


_ADVICE = {QUEUE_FULL: "send_hwm= sets the length of the queue"}
"""Advice by reason, for messages that were dropped before the socket closed."""


def _in_full(reason: Reason, detail: str) -> str:
    return f"{reason}: {detail}" if detail else reason
