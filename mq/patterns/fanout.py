"""Which peers get a copy of a message? Each peer that subscribes to it and has room in its queue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Unpack

import trio

from ..message import Message, size_of
from ..options import OptionArguments
from ..peers import check_number
from ..pipe import BULKY, Pipe
from ..reasons import REPLACED, SUBSCRIBER_GONE
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

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        if self.fans_out and not pipe.in_process:
            # The peer subscribes again when it reconnects. The waiting messages are encoded for the old connection, and
            # READY may promise the peer that it gets no message without a subscription.
            self._drop(pipe, len(pipe.outbox), SUBSCRIBER_GONE)
            pipe.outbox.clear()


class Broadcast(FanOut):
    """Send each message to the peers that subscribe to it. Waits for room only with ``xpub_nodrop``."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._more_wanted = trio.lowlevel.ParkingLot()

    async def _send(self, message: Message, doing: str = "send") -> None:
        self._check_open()
        await self._take_turn()
        while self.options.xpub_nodrop and await self._wait_for_room(self._recipients(message), doing):
            pass
        self._give(message)

    def _send_at_once(self, message: Message) -> None:
        if self.options.xpub_nodrop and any(pipe.outbox.stalled for pipe in self._recipients(message)):
            raise trio.WouldBlock
        self._give(message)

    def _give(self, message: Message) -> None:
        self._sent += 1
        self._send_turn -= 1
        self._count_copies(size_of(message))
        self._deliver(message, self._recipients(message))

    def _count_copies(self, size: int) -> None:
        """Subtract ``size`` bytes from the turn for each connected peer, because each may get a copy."""
        size *= self._peer_count
        if size >= BULKY:
            self._spend(size)

    def _recipients(self, message: Message) -> Mapping[Pipe, None]:
        """Return the pipes of the peers that subscribe to ``message``."""
        raise NotImplementedError

    async def _until_wanted(self, wanted_by: Callable[[], int], n: int, doing: str) -> None:
        """Wait until ``wanted_by`` returns at least ``n``. It is called again after each subscription of a peer."""
        self._check_open()
        check_number(n)
        await trio.lowlevel.checkpoint()
        while wanted_by() < n:
            self._check_open()
            await self._park(self._more_wanted, doing)

    def _stop(self) -> None:
        super()._stop()
        self._more_wanted.unpark_all()
