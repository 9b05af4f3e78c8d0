"""Which peers get a copy of a message? Each peer that subscribes to it and has room in its queue."""

from __future__ import annotations

from collections.abc import Iterable

from ..message import Message, size_of
from ..pipe import BULKY, Pipe
from ..reasons import REPLACED
from .overflow import Overflow


class FanOut(Overflow):
    """Send each message to many peers. It is encoded once for all connections; peers in this process get a copy."""

    fans_out = True

    def _deliver(self, message: Message, pipes: Iterable[Pipe]) -> None:
        """Queue ``message`` for each of ``pipes``. Hot paths do the same inline for messages of one frame."""
        wire = None
        conflate = self.options.conflate
        bulky = size_of(message) >= BULKY
        for pipe in pipes:
            lane = pipe.outbox
            lane.bulky = lane.bulky or bulky
            if lane.stalled:
                self._miss(pipe)
                continue
            if pipe.wired:
                if wire is None:
                    wire = self._wire_of(message)
                copy: Message = wire
            else:  # the receiver may change its list
                copy = message if isinstance(message, bytes) else message.copy()
            if conflate and lane.replace(copy):
                self._drop(pipe, 1, REPLACED)
            else:
                lane.append(copy)
            if lane.asleep:
                lane.wake()
            if len(lane) >= lane.limit and not conflate:
                self._full(pipe)

    def _pipe_connected(self, pipe: Pipe) -> None:
        super()._pipe_connected(pipe)
        pipe.wired = pipe.shares
