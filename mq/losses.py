"""What was lost, and why? Messages that a socket dropped, by reason; those it still held when it closed, for whom."""

from __future__ import annotations

import logging
from collections import Counter

from attrs import define, field

from .monitor import Dropped
from .monitors import Monitors
from .pipe import Pipe
from .reasons import Reason

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

    def count(self, endpoint: str, count: int, reason: Reason, detail: str = "") -> None:
        """Count messages that were dropped. Only the event has the ``detail``, which the peer may have chosen."""
        self.dropped[reason] += count
        self.monitors.report(Dropped(endpoint=endpoint, count=count, reason=_in_full(reason, detail)))

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
        for (who, why, _), count in self.left.items():
            messages = "message" if count == 1 else "messages"
            text = "%s closed and dropped %d unsent %s for %s: %s%s"
            log.log(level, text, self.monitors.name, count, messages, who, why, self.advice and f"; {self.advice}")


def _in_full(reason: Reason, detail: str) -> str:
    return f"{reason}: {detail}" if detail else reason
