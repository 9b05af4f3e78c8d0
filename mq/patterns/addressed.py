"""To whom? To the peer that a message names."""

from __future__ import annotations

from typing import Any, Unpack

import trio

from ..errors import Unroutable
from ..message import Message, shortened
from ..options import OptionArguments
from ..pipe import Pipe
from .overflow import Overflow

_UNKNOWN = "no peer has the routing id that they were addressed to"


class Addressed(Overflow):
    """Send to the peer whose address a message gives. Subclasses choose the addresses, in ``_address_for``."""

    _mandatory = True
    """Raise for a peer that is not there and wait for one that is full, instead of counting a message as dropped."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._by_address: dict[Any, Pipe] = {}

    async def _send_to(self, address: Any, message: Message, doing: str) -> None:
        self._check_open()
        await self._take_turn()
        while True:
            pipe = self._by_address.get(address)
            if pipe is None or not self._mandatory or not await self._wait_for_room((pipe,), doing):
                break
        self._put_to(address, pipe, message)

    def _send_to_nowait(self, address: Any, message: Message) -> None:
        self._check_open()
        pipe = self._by_address.get(address)
        if pipe is not None and self._mandatory and pipe.outbox.stalled:
            raise trio.WouldBlock
        self._put_to(address, pipe, message)

    def _put_to(self, address: Any, pipe: Pipe | None, message: Message) -> None:
        if pipe is None:
            if self._mandatory:
                known = f"{len(self._by_address)} peers are known" if self._by_address else "no peer is known"
                raise Unroutable(f"this {self._name} has no peer with the routing id {shortened(address)}; {known}")
            self._drop_unsent(1, _UNKNOWN)
            return
        self._sent += 1
        self._send_turn -= 1
        lane = pipe.outbox
        if lane.stalled:
            self._miss(pipe)
            return
        lane.append(message)
        if lane.asleep:
            lane.wake()
        if len(lane) >= lane.limit:
            self._full(pipe)

    # -- who is who ----------------------------------------------------------------------------------------

    def _address_for(self, pipe: Pipe) -> Any:
        """Return a new address for the peer of ``pipe``."""
        raise NotImplementedError

    def _know(self, pipe: Pipe, address: Any) -> None:
        pipe.address = address
        self._by_address[address] = pipe

    def _unknow(self, pipe: Pipe) -> None:
        if self._by_address.get(pipe.address) is pipe:
            del self._by_address[pipe.address]

    def _pipe_connected(self, pipe: Pipe) -> None:
        super()._pipe_connected(pipe)
        if self._by_address.get(pipe.address) is not pipe:
            self._know(pipe, self._address_for(pipe))

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        # Who connects to us comes back as somebody else; whom we connect to is the same again.
        if not pipe.connecting:
            self._unknow(pipe)

    def _pipe_removed(self, pipe: Pipe) -> None:
        super()._pipe_removed(pipe)
        self._unknow(pipe)
