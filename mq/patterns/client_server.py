"""How are peers addressed by number? By CLIENT and SERVER (RFC 41) and PEER (RFC 51), in messages of one frame."""

from __future__ import annotations

import random
from threading import get_ident
from typing import Any, Unpack

import trio

from ..message import Message, as_frame
from ..options import OptionArguments
from ..pipe import BULKY, Pipe
from .addressed import Addressed
from .fair_queue import SingleFrames
from .many import FairQueueMany, LabelledMany, RoundRobinMany
from .notices import Notices

_LAST_ID = 2**32 - 1


class Client(Notices, RoundRobinMany, SingleFrames, FairQueueMany, trio.abc.Channel[bytes]):
    """Send to the connected SERVER peers in turn, and receive from all of them in turn. Messages have one frame."""

    socket_type = "CLIENT"


class Numbered(Notices, Addressed, LabelledMany[int]):
    """The common part of SERVER and PEER: each connected peer has a routing id from 1 to 4294967295."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._number = random.randint(1, _LAST_ID)

    async def send(self, body: bytes, routing_id: int) -> None:
        """Send ``body`` to the peer ``routing_id``. Waits while the send queue of that peer is full.

        A send that need not wait is a checkpoint only once per turn: 256 messages, or 1 MiB of messages of 8 KiB and
        more. A cancelled send has queued no message. Raises `Unroutable` if no peer has the routing id, TypeError if
        ``body`` is not bytes or ``routing_id`` not an int, and ``trio.ClosedResourceError`` when the socket is closed.
        """
        if (
            self._send_turn > 0
            and type(body) is bytes
            and type(routing_id) is int
            and self._thread == get_ident()
        ):
            pipe = self._by_address.get(routing_id)
            if pipe is not None:
                lane = pipe.outbox
                if not lane.stalled:
                    self._send_turn -= 1
                    self._sent += 1
                    lane.append(body)
                    if len(body) >= BULKY:
                        self._spend(len(body), lane)
                    if lane.asleep:
                        lane.wake()
                    if len(lane) >= lane.limit:
                        self._full(pipe)
                    return
        await self._send_to(_as_routing_id(routing_id), as_frame(body), "send")

    def send_nowait(self, body: bytes, routing_id: int) -> None:
        """Send as `send` does. Raises ``trio.WouldBlock`` where `send` would wait."""
        self._send_to_nowait(_as_routing_id(routing_id), as_frame(body))

    def _translate(self, pipe: Pipe, batch: list[Message]) -> list[Any]:
        address = pipe.address
        return [(address, body) for body in self._single_frames(pipe, batch)]

    def _address_for(self, pipe: Pipe) -> int:
        while True:
            self._number = self._number % _LAST_ID + 1
            if self._number not in self._by_address:
                return self._number


class Server(Numbered):
    """Receive from CLIENT peers, and send to the peer that `send` names. A client must send first."""

    socket_type = "SERVER"


class Peer(Numbered):
    """Receive from PEER peers, and send to the peer that `send` names."""

    socket_type = "PEER"

    def connect_peer(self, endpoint: str) -> int:
        """Connect to ``endpoint`` as `connect` does, and return the routing id of the peer there.

        Messages to the peer can be sent at once, and wait for the connection. Raises ValueError with ``immediate``,
        because messages may then not wait for a connection.
        """
        if self.options.immediate:
            raise ValueError("connect_peer() lets messages wait for a connection, but immediate=True forbids that")
        self.connect(endpoint)
        pipe = next(reversed(self._pipes))
        routing_id = self._address_for(pipe)
        self._know(pipe, routing_id)
        return routing_id


def _as_routing_id(routing_id: object) -> int:
    if isinstance(routing_id, bool) or not isinstance(routing_id, int):
        raise TypeError(f"a routing id is an int, as receive() returned it; got {routing_id!r}")
    return routing_id
