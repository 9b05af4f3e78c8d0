"""How is a peer at the other end of a stream driven? By a handshake, and then by a reader and a writer."""

from __future__ import annotations

import math
from contextlib import suppress

import trio

from ..errors import PeerError, ProtocolError
from ..options import Options
from ..pipe import Pipe, nobody
from ..protocols.zmtp import Conversation, Peer
from ..transports import Stream
from . import ending
from .reading import Early, Reader
from .writing import Writer

_SMALL_READ = 64 * 1024
"""Bytes to ask the kernel for in a handshake."""

_LARGEST_READ = 64 * 1024 * 1024
"""Bytes to ask the kernel for at most. The kernel buffer holds fewer, and there may be no memory for more."""

_SHY = 0.1
"""Seconds to wait for the peer's READY before ours is sent. All implementations send READY at once."""


async def handshake(stream: Stream, connection: Conversation, pipe: Pipe, read_size: int) -> tuple[Peer, Early]:
    """Exchange greeting and READY. Return the peer, and the messages that came with the last bytes of its handshake.

    Raises `PeerError` or OSError.
    """
    early = Early([])
    await _say(stream, connection.take_output(), pipe)
    while connection.peer is None:
        if not await _is_heard(stream, connection.undecided):
            connection.accept()
            await _say(stream, connection.take_output(), pipe)
            continue
        data = stream.read_nowait(min(read_size, _SMALL_READ))
        if not data:
            raise PeerError(f"the peer closed the connection in the handshake: {connection.unfinished}")
        pipe.bytes_in += len(data)
        try:
            early = Early(connection.decode(data))
        except ProtocolError as error:
            if connection.peer is not None:
                return connection.peer, Early(error.completed, str(error))
            connection.accept()
            with suppress(OSError):  # our side of the handshake tells the peer why it fails
                stream.write_nowait([connection.take_output()])
            raise
        await _say(stream, connection.take_output(), pipe)
    return connection.peer, early


async def _is_heard(stream: Stream, undecided: bool) -> bool:
    """Wait until the peer sends something. Return False if the peer seems to wait for our READY."""
    with trio.move_on_after(_SHY if undecided else math.inf):
        await stream.wait_readable()
        return True
    return False


async def _say(stream: Stream, output: bytes, pipe: Pipe) -> None:
    while output:
        try:
            count = stream.write_nowait([output])
        except BlockingIOError:
            await stream.wait_writable()
        else:
            pipe.bytes_out += count
            output = output[count:]


class StreamLink:
    """Carries messages between ``pipe`` and the peer at the other end of ``stream``, after the handshake."""

    def __init__(self, stream: Stream, connection: Conversation, pipe: Pipe, options: Options) -> None:
        self.connection = connection
        self.writer = Writer(stream, connection, pipe, options.write_batch)
        self.reader = Reader(stream, connection, pipe, self.writer, min(options.read_size, _LARGEST_READ))
        self.orderly_end = trio.CancelScope()
        """The scope in which the session calls `flush` and `drain`."""
        self._stream = stream
        self._pipe = pipe
        self._linger = options.linger

    async def run(self, early: Early, nursery: trio.Nursery) -> str:
        """Carry messages until the connection ends. Return why it ended. The writer task goes on in ``nursery``."""
        nursery.start_soon(self.writer.run)
        return await self.reader.run(early)

    def end(self, reason: str) -> None:
        """End the connection at once, also during `flush` and `drain`."""
        self.reader.end(reason)
        if self._pipe.parting:
            self.orderly_end.cancel()

    async def flush(self) -> bool:
        """After `run`, write all unsent messages, then half-close. Return False if the connection ended first."""
        return await ending.flush(self._stream, self.writer, self.connection.half_open)

    async def drain(self) -> None:
        """After `flush`, wait until the peer has taken all bytes and has closed."""
        patience = min(self._linger, self.connection.end_patience)
        await ending.drain(self._stream, patience, self._linger, self._pipe.progress or nobody)

    def unanswered(self) -> float:
        """Return for how many seconds the peer's kernel has acknowledged nothing, if bytes were sent again; else 0."""
        return self._stream.unanswered()

    def ping(self, time_to_live: float) -> None:
        """Send a PING with a TTL: the peer may close the connection after so many seconds of silence; 0 for never."""
        self.connection.ping(time_to_live)
        self.writer.wake()
