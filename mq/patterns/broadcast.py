"""How is a message sent to all peers that asked for it? Without waiting for any, unless ``xpub_nodrop`` is set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Unpack

import trio

from ..message import Message, size_of
from ..options import OptionArguments
from ..peers import check_number
from ..pipe import BULKY, Pipe
from .absence import Absence, KeepsForAbsent


class Broadcast(KeepsForAbsent):
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

    def _release(self, pipe: Pipe, absence: Absence) -> None:
        super()._release(pipe, absence)
        self._more_wanted.unpark_all()

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
