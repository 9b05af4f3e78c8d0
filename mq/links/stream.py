"""How is a peer at the other end of a stream driven? A handshake, then a reader and a writer."""

from __future__ import annotations

from contextlib import suppress

import trio

from ..errors import PeerError, ProtocolError
from ..message import Message
from ..pipe import Pipe
from ..protocols.zmtp import Connection, Peer
from ..transports import Stream
from .reading import Reader
from .writing import Writer


async def handshake(stream: Stream, connection: Connection) -> tuple[Peer, list[Message]]:
    """Greet and agree on a mechanism. Return the peer, and the messages that came with its last step.

    Raises `PeerError` or OSError.
    """
    messages: list[Message] = []
    await _say(stream, connection.take_output())
    while connection.peer is None:
        await stream.wait_readable()
        data = stream.read_nowait(connection.wanted)
        if not data:
            raise PeerError(f"the peer closed the connection in the handshake: {connection.unfinished}")
        try:
            messages = connection.decode(data)
        except ProtocolError:
            with suppress(OSError):  # our side of the handshake tells the peer what is wrong
                stream.write_nowait([connection.take_output()])
            raise
        await _say(stream, connection.take_output())
    return connection.peer, messages


async def _say(stream: Stream, output: bytes) -> None:
    while output:
        try:
            output = output[stream.write_nowait([output]) :]
        except BlockingIOError:
            await stream.wait_writable()


class StreamLink:
    """Carries messages between ``pipe`` and the peer at the other end of ``stream``, once it has shaken hands."""

    def __init__(self, stream: Stream, connection: Connection, pipe: Pipe) -> None:
        self.connection = connection
        self.writer = Writer(stream, connection, pipe)
        self.reader = Reader(stream, connection, pipe, self.writer)

    async def run(self, early: list[Message]) -> str:
        """Carry messages until the connection ends; return why it did. ``early`` came with the handshake.

        What the kernel did not wholly take goes back into the outbox, in order.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.writer.run)
                reason = await self.reader.run(early)
                nursery.cancel_scope.cancel()
        finally:
            self.writer.put_back()
        return reason

    def ping(self) -> None:
        """Ask the peer for a sign of life."""
        self.connection.ping()
        self.writer.wake()
