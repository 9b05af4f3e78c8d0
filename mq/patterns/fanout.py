"""Who gets a copy? Every peer that asked for what a message is about, as long as it keeps up."""

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
    """Give each message to many peers. It is encoded once for all on a wire; those of this process get it as it is."""

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
            else:  # what is received is the receiver's own
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
            # What a peer wants it asks for anew when it comes back, and what waits is encoded for the old connection.
            # Nor must it come unasked to a peer that READY told to expect nothing of the kind.
            self._drop(pipe, len(pipe.outbox), SUBSCRIBER_GONE)
            pipe.outbox.clear()


class Broadcast(FanOut):
    """Send each message to the peers that have asked for it. Waits for none of them but with ``xpub_nodrop``."""

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
        """Count the bytes of a message of ``size`` bytes for a turn, once for each peer that may get it."""
        size *= self._peer_count
        if size >= BULKY:
            self._spend(size)

    def _recipients(self, message: Message) -> Mapping[Pipe, None]:
        """Return who has asked for ``message``."""
        raise NotImplementedError

    async def _until_wanted(self, wanted_by: Callable[[], int], n: int, doing: str) -> None:
        """Wait until ``wanted_by`` returns at least ``n``; it is asked again whenever a peer has asked for more."""
        self._check_open()
        check_number(n)
        await trio.lowlevel.checkpoint()
        while wanted_by() < n:
            self._check_open()
            await self._park(self._more_wanted, doing)

    def _stop(self) -> None:
        super()._stop()
        self._more_wanted.unpark_all()
