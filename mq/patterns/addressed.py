"""To which peer? To the peer that a message names by its routing id."""

from __future__ import annotations

import random
from typing import Any, Unpack

import trio

from ..endpoint import canonical, parse
from ..errors import Unroutable
from ..limits import ROUTING_ID
from ..message import Message, as_bytes, shortened
from ..options import OptionArguments
from ..pipe import Pipe
from ..reasons import UNKNOWN_ADDRESS
from .overflow import Overflow


class Addressed(Overflow):
    """Send to the peer whose address a message names. Subclasses choose the addresses in ``_address_for``."""

    _mandatory = True
    """Raise if no peer has the address, and wait if its queue is full. Otherwise drop and count the message."""

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
        if pipe is not None:
            self._queue(pipe, message)
            return
        self._send_turn -= 1
        if self._mandatory:
            raise self._unroutable(address)
        self._drop_unsent(1, UNKNOWN_ADDRESS)

    def _unroutable(self, address: Any) -> Unroutable:
        count = len(self._by_address)
        known = "1 peer is known" if count == 1 else f"{count or 'no'} peers are known"
        return Unroutable(f"this {self._name} has no peer with the routing id {shortened(address)}; {known}")

    # -- ending connections --------------------------------------------------------------------------------

    def disconnect_peer(self, routing_id: Any) -> None:
        """End the connection with the peer ``routing_id``, after flushing as `disconnect` does.

        From now on no peer has that routing id. Received messages stay readable, except those that a peer in this
        process had sent and that are not received yet. A peer that had connected to this socket may connect again, and
        gets another routing id. If this socket had connected to the peer, it does not connect again. Raises
        `Unroutable` if no peer has the routing id.
        """
        self._check_open()
        pipe = self._by_address.get(routing_id)
        if pipe is None:
            raise self._unroutable(routing_id)
        for place in self._places:
            if place.pipe is pipe:
                self._retire(place, [pipe])
                return
        self._dismiss(pipe, "closed here")

    def _dismiss(self, pipe: Pipe, reason: str) -> None:
        """End the connection of ``pipe`` in order, in the background. No further messages are queued for the peer."""

        @trio.lowlevel.enable_ki_protection
        async def part_and_hang_up() -> None:
            await self._end_in_order([pipe], reason)
            pipe.hang_up(reason)

        pipe.retired = True
        self._pipe_removed(pipe)
        self._nursery.start_soon(part_and_hang_up)

    # -- addresses -----------------------------------------------------------------------------------------

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
        # An accepted peer gets a new address when it connects again. A peer that the socket connects to keeps its own.
        if not pipe.connecting:
            self._unknow(pipe)
        elif len(pipe.outbox) >= pipe.outbox.limit:
            self._full(pipe)

    def _pipe_removed(self, pipe: Pipe) -> None:
        super()._pipe_removed(pipe)
        self._unknow(pipe)


class ByRoutingId(Addressed):
    """Address each peer by a routing id of bytes, which `connect` gives or the pattern chooses."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._number = random.getrandbits(32)

    def connect(self, endpoint: str, *, routing_id: bytes | None = None) -> None:
        """Connect to ``endpoint`` as other sockets do. ``routing_id`` sets the routing id of the peer there.

        With ``routing_id``, messages to the peer can be sent at once and wait for the connection. Raises ValueError if
        ``routing_id`` is empty, has more than 255 bytes, or belongs to another peer.
        """
        if routing_id is None:
            super().connect(endpoint)
            return
        routing_id = as_bytes(routing_id, "routing id")
        if not 1 <= len(routing_id) <= ROUTING_ID:
            raise ValueError(f"a routing id has 1 to {ROUTING_ID} bytes, got {len(routing_id)}")
        if routing_id in self._by_address:
            raise ValueError(f"the routing id {shortened(routing_id)} is taken by another peer of this socket")
        if self._connects_once and self._connected_to(canonical(parse(endpoint))) is not None:
            raise ValueError(f"the socket is connected to {endpoint} already: disconnect() first to set a routing id")
        super().connect(endpoint)
        self._know(next(reversed(self._pipes)), routing_id)

    def _new_routing_id(self) -> bytes:
        """Return an unused routing id: a 0 byte and a number. Peers cannot choose such ids, which ZMTP reserves."""
        while True:
            self._number = (self._number + 1) % 2**32
            routing_id = b"\0" + self._number.to_bytes(4, "big")
            if routing_id not in self._by_address:
                return routing_id
