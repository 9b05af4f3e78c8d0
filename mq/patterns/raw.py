"""STREAM: bytes to and from peers that speak no ZMTP, each connection known by a routing id."""

from __future__ import annotations

import trio

from ..errors import InvalidEndpoint
from ..message import Message, frames_of
from ..pipe import Pipe
from .named import FromNamed
from .notices import Notices
from .sender import Sender


class Stream(Notices, Sender, FromNamed, trio.abc.Channel[bytes]):
    """Send and receive ``[routing_id, data]``: pieces of the streams of bytes of any TCP or Unix peers.

    With ``stream_notify``, ``[routing_id, b""]`` is received when a connection has come, and when it has gone by
    itself. To send ``[routing_id, b""]`` closes the connection, after what was sent before: `disconnect_peer`. A send
    waits while much waits for that connection already. It raises `Unroutable` when there is none of that name, and
    ValueError for anything but two frames.
    """

    socket_type = "STREAM"

    def bind(self, endpoint: str) -> str:
        """Listen as other sockets do; on ``tcp`` and ``ipc`` only."""
        _check_scheme(endpoint)
        return super().bind(endpoint)

    def connect(self, endpoint: str, *, routing_id: bytes | None = None) -> None:
        """Connect as other sockets do; ``routing_id`` chooses what the connection is called."""
        _check_scheme(endpoint)
        super().connect(endpoint, routing_id=self._new_routing_id() if routing_id is None else routing_id)

    async def _offer(self, message: Message, doing: str) -> None:
        address, data = self._split(message)
        if data:
            await self._send_to(address, data, doing)
        else:
            self._check_open()
            await self._take_turn()
            self.disconnect_peer(address)

    def _offer_nowait(self, message: Message) -> None:
        address, data = self._split(message)
        if data:
            self._send_to_nowait(address, data)
        else:
            self.disconnect_peer(address)

    def _split(self, message: Message) -> tuple[bytes, bytes]:
        frames = frames_of(message)
        if len(frames) != 2:
            raise ValueError(f"a Stream sends two frames, [routing_id, data]; got {len(frames)}")
        return frames[0], frames[1]

    def _address_for(self, pipe: Pipe) -> bytes:
        return self._new_routing_id()

    def _pipe_connected(self, pipe: Pipe) -> None:
        super()._pipe_connected(pipe)
        if self.options.stream_notify:
            self._notice(pipe, b"")

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        if self.options.stream_notify and not pipe.retired:
            self._notice(pipe, b"")


def _check_scheme(endpoint: str) -> None:
    if endpoint.startswith("inproc:"):
        raise InvalidEndpoint(f"{endpoint!r} carries messages, not bytes: a Stream binds and connects to tcp or ipc")
