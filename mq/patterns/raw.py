"""How are bytes exchanged with peers that do not speak ZMTP? By STREAM, with a routing id for each connection."""

from __future__ import annotations

import trio

from ..errors import InvalidEndpoint
from ..message import Message, frames_of
from ..pipe import Pipe
from .named import FromNamed
from .notices import Notices
from .sender import Sender


class Stream(Notices, Sender, FromNamed, trio.abc.Channel[bytes]):
    """Send and receive ``[routing_id, data]``: pieces of the byte streams of TCP and Unix connections.

    With ``stream_notify``, ``[routing_id, b""]`` is received when a connection starts, and when the connection ends
    without `disconnect_peer`. Sending ``[routing_id, b""]`` ends the connection, after flushing earlier data, as
    `disconnect_peer` does. A send waits while the send queue of the connection is full. It raises `Unroutable` if no
    connection has the routing id, and ValueError if there are not exactly two frames.
    """

    socket_type = "STREAM"

    def bind(self, endpoint: str) -> str:
        """Listen at ``endpoint`` as other sockets do. Raises `InvalidEndpoint` for ``inproc``."""
        _check_scheme(endpoint)
        return super().bind(endpoint)

    def connect(self, endpoint: str, *, routing_id: bytes | None = None) -> None:
        """Connect to ``endpoint`` as other sockets do. ``routing_id`` sets the routing id of the connection.

        Raises `InvalidEndpoint` for ``inproc``, and ValueError as `Router.connect` does.
        """
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
            raise ValueError(f"a Stream sends two frames, [routing_id, data], got {len(frames)}")
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
