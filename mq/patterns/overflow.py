"""What happens to a message if the queue of its peer is full? It is dropped and counted, or it waits for room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from types import MappingProxyType
from typing import Unpack

import trio
from attrs import evolve
from trio.lowlevel import checkpoint

from ..message import Message, size_of
from ..monitor import Statistics
from ..options import OptionArguments
from ..pipe import BULKY, Pipe
from ..reasons import QUEUE_FULL
from .turn import TURN, SendsInTurns

_ANYBODY = (None,)


class Overflow(SendsInTurns):
    """Drop messages for a peer whose send queue is full, until the queue is half empty.

    The drops are reported when the queue has room again, or when the peer is gone.
    """

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._missed: dict[Pipe, int] = {}
        self._room = trio.lowlevel.ParkingLot()

    def _queue(self, pipe: Pipe, message: Message) -> None:
        """Queue ``message`` for ``pipe``, or count it as missed. Hot paths do the same inline."""
        self._sent += 1
        self._send_turn -= 1
        lane = pipe.outbox
        size = size_of(message)
        if size >= BULKY:
            self._spend(size, lane)
        if lane.stalled:
            self._miss(pipe)
            return
        lane.append(message)
        if lane.asleep:
            lane.wake()
        if len(lane) >= lane.limit:
            self._full(pipe)

    def _full(self, pipe: Pipe) -> None:
        outbox = pipe.outbox
        outbox.stalled = True
        if len(outbox) < outbox.limit:  # a consumer in another thread has just made room
            outbox.stalled = False

    def _miss(self, pipe: Pipe, count: int = 1) -> None:
        self._missed[pipe] = self._missed.get(pipe, 0) + count

    def _report_missed(self, pipe: Pipe) -> None:
        self._drop(pipe, self._missed.pop(pipe, 0), QUEUE_FULL)

    def statistics(self) -> Statistics:
        """Return the current counters and queue lengths."""
        known = super().statistics()
        missed = sum(self._missed.values())
        if not missed:
            return known
        dropped = Counter(known.dropped) + Counter({QUEUE_FULL: missed})
        return evolve(known, dropped=MappingProxyType(dict(dropped)))

    async def _wait_for_room(self, pipes: Iterable[Pipe], doing: str) -> bool:
        """If the queue of one of ``pipes`` is full, wait for any change. Returns whether one was full."""
        if not any(pipe.outbox.stalled for pipe in pipes):
            return False
        await self._park(self._room, doing)
        self._send_turn = TURN
        return True

    async def _until_sendable(self, doing: str) -> None:
        """Return at once: a message can be sent at any time, or is dropped and counted."""
        self._check_open()

    def _begin_sending(self) -> Collection[object]:
        """Begin a turn. Returns a collection that is not empty while a message can be sent at once."""
        self._check_open()
        self._send_turn = TURN
        return _ANYBODY

    async def _take_turn(self) -> None:
        """Let other tasks run if the turn is over."""
        if self._send_turn <= 0:
            await checkpoint()
            self._check_open()
            self._send_turn = TURN

    def _writable(self, pipe: Pipe) -> None:
        super()._writable(pipe)
        self._report_missed(pipe)
        self._room.unpark_all()

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        self._report_missed(pipe)
        pipe.outbox.stalled = False
        self._room.unpark_all()

    def _pipe_removed(self, pipe: Pipe) -> None:
        super()._pipe_removed(pipe)
        self._report_missed(pipe)
        self._room.unpark_all()

    def _stop(self) -> None:
        super()._stop()
        self._end_send_run()
        self._send_turn = 0  # so that hot paths take the slow path
        for pipe in list(self._missed):
            self._report_missed(pipe)
        self._room.unpark_all()
