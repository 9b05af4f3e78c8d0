"""CLIENT, SERVER (RFC 41) and PEER (RFC 51): one frame at a time, to peers known by number."""

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
    """Send to the connected SERVER peers in turn, and receive from all of them in turn; messages of one frame."""

    socket_type = "CLIENT"


class Numbered(Notices, Addressed, LabelledMany[int]):
    """What SERVER and PEER share: each peer has a number, 1 to 4294967295, for as long as it is there."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._number = random.randint(1, _LAST_ID)

    async def send(self, body: bytes, routing_id: int) -> None:
        """Send ``body`` to the peer ``routing_id``; waits while its queue is full.

        A send that need not wait is a checkpoint only at every 256th message. Cancelled, it has sent nothing. Raises
        `Unroutable` when nobody is there by that number, TypeError for anything but bytes and an int, and
        ``trio.ClosedResourceError``.
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
        """Send if that is possible at once, else raise ``trio.WouldBlock``."""
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
    """Receive from CLIENT peers, and send to the one of them that is named. A server is spoken to first."""

    socket_type = "SERVER"


class Peer(Numbered):
    """Receive from PEER peers, and send to the one of them that is named."""

    socket_type = "PEER"

    def connect_peer(self, endpoint: str) -> int:
        """Connect as `connect` does, and return the peer's routing id: messages to it wait for the connection.

        Raises ValueError with ``immediate``, which forbids them to.
        """
        if self.options.immediate:
            raise ValueError("connect_peer() lets messages wait for a connection, which immediate=True forbids")
        self.connect(endpoint)
        pipe = next(reversed(self._pipes))
        routing_id = self._address_for(pipe)
        self._know(pipe, routing_id)
        return routing_id


def _as_routing_id(routing_id: object) -> int:
    if isinstance(routing_id, bool) or not isinstance(routing_id, int):
        raise TypeError(f"a routing id is an int, as receive() returned it; got {routing_id!r}")
    return routing_id
