"""STREAM: bytes to and from peers that speak no ZMTP, each connection known by a routing id."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, Unpack

import trio

from ..message import Buffer, Message, as_frame, as_message
from ..options import OptionArguments
from ..pipe import Pipe
from .addressed import Addressed
from .dealer_router import check_routing_id
from .incoming import FairQueueMultipart
from .notices import Notices


class Stream(Notices, Addressed, FairQueueMultipart, trio.abc.Channel[bytes]):
    """Send and receive ``[routing_id, data]``: pieces of the streams of bytes of any TCP or Unix peers.

    With ``stream_notify``, ``[routing_id, b""]`` is received when a connection has come, and when it has gone by
    itself. To send ``[routing_id, b""]`` closes the connection, after what was sent before.
    """

    socket_type = "STREAM"
    _translates = True

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._number = random.getrandbits(32)
        self._closed: set[Pipe] = set()

    def connect(self, endpoint: str, *, routing_id: bytes | None = None) -> None:
        """Connect as other sockets do; ``routing_id`` chooses what the connection is called."""
        if routing_id is not None:
            check_routing_id(routing_id, self._by_address)
        super().connect(endpoint)
        pipe = next(reversed(self._pipes))
        self._know(pipe, self._address_for(pipe) if routing_id is None else routing_id)

    async def send(self, message: bytes) -> None:
        """Raise ValueError: a message of one frame has a routing id and nothing to send. See `send_multipart`."""
        self._check_open()
        self._split(as_frame(message))

    async def send_multipart(self, frames: Iterable[Buffer]) -> None:
        """Send ``[routing_id, data]``: ``data`` to that connection, or its end when ``data`` is empty.

        Waits while much waits for that connection already. Raises `Unroutable`, ValueError for anything but two frames,
        and ``trio.ClosedResourceError``.
        """
        address, data = self._split(as_message(frames))
        if data:
            await self._send_to(address, data, "send_multipart")
        else:
            self._check_open()
            await self._take_turn()
            self._close_connection(address)

    def send_nowait(self, message: bytes) -> None:
        """As `send`, raise ValueError."""
        self._check_open()
        self._split(as_frame(message))

    def send_multipart_nowait(self, frames: Iterable[Buffer]) -> None:
        """As `send_multipart`; raises ``trio.WouldBlock`` where that would wait."""
        address, data = self._split(as_message(frames))
        if data:
            self._send_to_nowait(address, data)
        else:
            self._check_open()
            self._close_connection(address)

    def _split(self, message: Message) -> tuple[bytes, bytes]:
        if isinstance(message, bytes) or len(message) != 2:
            count = 1 if isinstance(message, bytes) else len(message)
            raise ValueError(f"a Stream sends two frames, [routing_id, data]; got {count}")
        return message[0], message[1]

    def _close_connection(self, address: bytes) -> None:
        pipe = self._by_address.get(address)
        if pipe is None:
            self._put_to(address, None, b"")
            return

        async def flush_and_close() -> None:
            await self._flush([pipe])
            pipe.hang_up("closed here")

        self._closed.add(pipe)
        self._unknow(pipe)
        self._nursery.start_soon(flush_and_close)

    def _translate(self, pipe: Pipe, batch: list[Message]) -> list[Any]:
        address = pipe.address
        return [[address, data] for data in batch]

    def _address_for(self, pipe: Pipe) -> bytes:
        self._number = (self._number + 1) % 2**32
        return b"\0" + self._number.to_bytes(4, "big")

    def _pipe_connected(self, pipe: Pipe) -> None:
        super()._pipe_connected(pipe)
        if self.options.stream_notify:
            self._notice(pipe, b"")

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        if pipe in self._closed:
            self._closed.remove(pipe)
        elif self.options.stream_notify:
            self._notice(pipe, b"")
