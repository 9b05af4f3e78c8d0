"""How is a peer at the other end of a stream driven? A handshake, then a loop for reading and one for writing.

The writer sleeps while the outbox is empty. What wakes it decides how a message travels: the first after a
quiet moment is written by the sender itself, with one system call and no task switch; whatever follows in the
same tick is joined by the writer into one write. Hearing from the peer makes the moment quiet again, so that in
a dialogue every message goes directly.
"""

from __future__ import annotations

from contextlib import suppress

import trio

from ..errors import PeerError, ProtocolError
from ..message import Message
from ..pipe import Pipe, nobody
from ..protocols.zmtp import Connection, Peer
from ..transports import Stream
from .parking import Seat

_BATCH = 1024
"""Messages written together at most."""


class StreamLink:
    """One connection: ``stream`` carries what ``connection`` says, and once it is ready, what ``pipe`` holds."""

    def __init__(self, stream: Stream, connection: Connection) -> None:
        self.stream = stream
        self.connection = connection
        self.heard = True
        """Bytes came since somebody last cleared this."""
        self.stalled = False
        """Our own inbox is full, so that nothing is read: silence means nothing."""
        self._pipe: Pipe
        self._limit = 0
        self._batch: list[Message] = []
        """Messages taken from the outbox and not yet wholly written."""
        self._unwritten: list[bytes | memoryview] = []
        """Their bytes that the kernel has not taken."""
        self._written = 0
        """Their bytes that it has."""
        self._writer = Seat()
        self._reader = Seat()
        self._scope = trio.CancelScope()
        self._reason = ""

    # -- handshake -----------------------------------------------------------------------------------------

    async def handshake(self) -> tuple[Peer, list[Message]]:
        """Greet and agree on a mechanism. Return the peer, and the messages that came with its last step.

        Raises `PeerError` or OSError.
        """
        connection = self.connection
        messages: list[Message] = []
        await self._say(connection.take_output())
        while connection.peer is None:
            await self.stream.wait_readable()
            data = self.stream.read_nowait(connection.wanted)
            if not data:
                raise PeerError(f"the peer closed the connection in the handshake: {connection.unfinished}")
            messages = connection.decode(data)
            await self._say(connection.take_output())
        return connection.peer, messages

    async def _say(self, output: bytes) -> None:
        while output:
            try:
                output = output[self.stream.write_nowait([output]) :]
            except BlockingIOError:
                await self.stream.wait_writable()

    # -- traffic -------------------------------------------------------------------------------------------

    async def run(self, pipe: Pipe, early: list[Message]) -> str:
        """Carry messages between ``pipe`` and the peer until the connection ends; return why it did.

        What the kernel did not wholly take goes back into the outbox, in order.
        """
        self._pipe = pipe
        self._limit = pipe.outbox.limit
        pipe.inbox.resume = self._reader.wake
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write_loop)
                with self._scope:
                    self._reason = await self._read_loop(early)
                nursery.cancel_scope.cancel()
        finally:
            pipe.inbox.resume = nobody
            self._put_back()
        return self._reason

    def end(self, reason: str) -> None:
        """Have `run` return ``reason``."""
        self._reason = reason
        self._scope.cancel()

    def ping(self) -> None:
        """Ask the peer for a sign of life."""
        self.connection.ping()
        self._wake_writer()

    # -- reading -------------------------------------------------------------------------------------------

    async def _read_loop(self, messages: list[Message]) -> str:
        connection, stream, read = self.connection, self.stream, self.stream.read_nowait
        if messages:
            await self._deliver(messages)
        while True:
            wanted = connection.wanted
            try:
                data = read(wanted)
            except BlockingIOError:
                await stream.wait_readable()
                continue
            except OSError as error:
                return f"{error.strerror or error}{_half(connection)}"
            if not data:
                return f"the peer closed the connection{_half(connection)}"
            try:
                messages = connection.decode(data)
            except ProtocolError as error:
                await self._deliver(error.completed)
                return str(error)
            self.heard = True
            if connection.has_output:
                self._wake_writer()
            self._pipe.bytes_in += len(data)
            if messages:
                await self._deliver(messages)
            if len(data) < wanted:
                await stream.wait_readable()
            else:
                await trio.lowlevel.checkpoint()

    async def _deliver(self, messages: list[Message]) -> None:
        inbox = self._pipe.inbox
        outbox = self._pipe.outbox
        if outbox.asleep:
            outbox.wake = self._write_directly
        self._pipe.messages_in += len(messages)
        while True:
            room = inbox.limit - len(inbox)
            if len(messages) <= room:
                inbox.extend(messages)
                if inbox.asleep and inbox:
                    inbox.wake()
                return
            inbox.extend(messages[:room])
            if inbox.asleep and inbox:
                inbox.wake()
            del messages[:room]
            inbox.stalled = self.stalled = True
            await self._reader.park()
            self.stalled = False

    # -- writing -------------------------------------------------------------------------------------------

    async def _write_loop(self) -> None:
        outbox = self._pipe.outbox
        connection = self.connection
        while True:
            while outbox or self._unwritten or connection.has_output:
                if not self._unwritten:
                    self._take()
                await self._write()
                # What other tasks send while they have their turn joins the next batch.
                await trio.lowlevel.checkpoint()
            outbox.wake = self._write_directly
            outbox.asleep = True
            await self._writer.park()

    def _wake_writer(self) -> None:
        self._pipe.outbox.asleep = False
        self._writer.wake()

    def _write_directly(self) -> None:
        """Write from the sender's task. Never waits: what the kernel does not take is the writer's."""
        self._pipe.outbox.wake = self._wake_writer
        self._take()
        with suppress(OSError):  # it would block; or the connection broke, which the reader will find and explain
            self._advance(self.stream.write_nowait(self._unwritten))
        if self._unwritten:
            self._wake_writer()
        else:
            self._settle()

    def _take(self) -> None:
        """Take a batch from the outbox. Until it is written it counts for the high-water mark."""
        outbox = self._pipe.outbox
        if len(outbox) <= _BATCH:
            self._batch = list(outbox)
            outbox.clear()
        else:
            self._batch = [outbox.popleft() for _ in range(_BATCH)]
        self._pipe.in_flight = len(self._batch)
        outbox.limit = self._limit - len(self._batch)
        self._unwritten = list(self.connection.encode(self._batch)) if self._batch else []
        if self.connection.has_output:
            output = self.connection.take_output()
            self._unwritten.insert(0, output)
            self._written = -len(output)

    async def _write(self) -> None:
        while self._unwritten:
            try:
                self._advance(self.stream.write_nowait(self._unwritten))
            except BlockingIOError:
                await self.stream.wait_writable()
            except OSError:
                # What the peer sent before it went is still to be read: the reader ends the link.
                await trio.sleep_forever()
        self._settle()

    def _advance(self, count: int) -> None:
        self._written += count
        self._pipe.bytes_out += count
        unwritten = self._unwritten
        whole = 0
        for buffer in unwritten:
            if len(buffer) > count:
                break
            count -= len(buffer)
            whole += 1
        del unwritten[:whole]
        if count:
            unwritten[0] = memoryview(unwritten[0])[count:]
        if self._pipe.progress is not None:
            self._pipe.progress()

    def _settle(self) -> None:
        """Forget a batch that is wholly written, and let senders go on."""
        pipe = self._pipe
        outbox = pipe.outbox
        pipe.messages_out += len(self._batch)
        pipe.in_flight = 0
        self._batch = []
        self._written = 0
        outbox.limit = self._limit
        if outbox.stalled and len(outbox) <= outbox.low:
            outbox.stalled = False
            outbox.resume()
        if pipe.progress is not None:
            pipe.progress()

    def _put_back(self) -> None:
        """Return to the outbox the messages that the peer cannot have: not all of their bytes were written."""
        size_of = self.connection.encoded_size
        written = self._written
        gone = 0
        for message in self._batch:
            written -= size_of(message)
            if written < 0:
                break
            gone += 1
        unsent = self._batch[gone:]
        del self._batch[gone:]
        outbox = self._pipe.outbox
        outbox.asleep = False
        outbox.wake = nobody
        outbox.extendleft(reversed(unsent))
        self._unwritten = []
        self._settle()


def _half(connection: Connection) -> str:
    """Say what a connection that ended left half-way, if anything."""
    return f" in the middle: {connection.unfinished}" if connection.unfinished else ""
