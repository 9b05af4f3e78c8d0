"""How do messages get from an outbox into the kernel? The sender writes a single message, the writer task a batch.

The writer task sleeps while the outbox is empty. The sender writes the first message itself, with one system call and
no task switch. The writer task joins the messages that follow in the same tick into one write. After a read that
brought one message, the sender writes the next message itself again. So in a dialogue each message goes out at once,
and the answers to several messages go out together.
"""

from __future__ import annotations

from contextlib import suppress

import trio

from ..message import Message, size_of
from ..pipe import Lane, Pipe, nobody
from ..protocols.zmtp import Conversation, header_of, messages_of, more_header_of, wire, wires
from ..transports import PASSING, Stream
from .parking import Seat

__all__ = ["Writer", "header_of", "messages_of", "more_header_of", "wire", "wires"]

_MUCH = 2 * 1024 * 1024
"""Bytes to write, about, before other tasks get a turn."""


class Writer:
    """Takes messages from the outbox of ``pipe``, encodes them with ``connection``, and writes them to ``stream``."""

    def __init__(self, stream: Stream, connection: Conversation, pipe: Pipe, most: int) -> None:
        self._stream = stream
        self._connection = connection
        self._pipe = pipe
        self._limit = pipe.outbox.limit
        self._most = most
        """Messages in a batch, at most."""
        self._batch: list[Message] = []
        """Messages that were taken from the outbox. The batch is complete when all of its bytes are written."""
        self._unwritten: list[bytes | memoryview] = []
        """The bytes of the batch that the kernel has not taken."""
        self._written = 0
        """The number of bytes of the batch that the kernel has taken. Below 0 while a command precedes the batch."""
        self._seat = Seat()

    @trio.lowlevel.enable_ki_protection
    async def run(self) -> None:
        """Write the messages that come into the outbox, until cancelled."""
        outbox = self._pipe.outbox
        connection = self._connection
        if self._pipe.withheld:
            await self._until_released()
        self._pipe.write = self._write_directly
        while True:
            while outbox or self._unwritten or connection.output:
                if not self._unwritten:
                    self._take()
                try:
                    await self._write()
                except OSError:
                    # The reader first reads what the peer sent before the end, and then ends the link.
                    await trio.sleep_forever()
                # Messages that other tasks send in their turn join the next batch.
                await trio.lowlevel.checkpoint()
            outbox.wake = self._write_directly
            outbox.asleep = True
            await self._seat.park()

    async def _until_released(self) -> None:
        """While the outbox is withheld, write only the connection's own output, such as PONG."""
        pipe = self._pipe
        pipe.outbox.wake = self._seat.wake
        while pipe.withheld:
            output = self._connection.take_output()
            if output:
                self._unwritten = [output]
                self._written = -len(output)
                try:
                    await self._write()
                except OSError:
                    await trio.sleep_forever()
            else:
                await self._seat.park()

    async def finish(self) -> None:
        """After `run`, write all unsent messages, then half-close. Raises OSError when the connection breaks."""
        outbox = self._pipe.outbox
        outbox.asleep = False
        while outbox or self._unwritten or self._connection.output:
            if not self._unwritten:
                self._take()
            await self._write()
        self._stream.end_writing()

    def wake(self) -> None:
        """Have the writer task write the outbox and the connection's own output."""
        self._pipe.outbox.asleep = False
        self._seat.wake()

    def put_back(self) -> int:
        """Put the messages that are not wholly written back into the outbox: the peer cannot have them.

        Return how many bytes of them were written.
        """
        size_of = self._connection.encoded_size
        written = self._written
        gone = 0
        for message in self._batch:
            size = size_of(message)
            if written < size:
                break
            written -= size
            gone += 1
        unsent = self._batch[gone:]
        del self._batch[gone:]
        outbox = self._pipe.outbox
        outbox.asleep = False
        outbox.wake = self._pipe.write = nobody
        outbox.extendleft(reversed(unsent))
        self._unwritten = []
        self._settle()
        return max(0, written)

    @trio.lowlevel.enable_ki_protection
    def _write_directly(self) -> None:
        """Write from the sender's task, without waiting. The writer task writes the bytes that the kernel refuses.

        The outbox was asleep, so neither the rest of a message nor a command waits to be written first.
        """
        pipe = self._pipe
        outbox = pipe.outbox
        if len(outbox) > 1 or outbox.stalled:
            self._write_batch()
            return
        outbox.wake = self.wake
        try:
            buffers = self._connection.encode(list(outbox))
            if len(buffers) != 1:
                self._write_batch()
                return
            count = self._stream.send_nowait(buffers[0])
        except PASSING:  # it would block; or the connection broke or memory is short, which the link's tasks report
            self.wake()
            return
        if count < len(buffers[0]):
            self._take()
            self._advance(count)
            self.wake()
            return
        outbox.clear()
        pipe.messages_out += 1
        pipe.bytes_out += count
        if pipe.progress is not None:
            pipe.progress()

    def _write_batch(self) -> None:
        """Write a batch of the outbox with one system call, or as many of its bytes as the kernel takes."""
        pipe = self._pipe
        pipe.outbox.wake = self.wake
        try:
            self._take()
            unwritten = self._unwritten
            count = self._stream.write_nowait(unwritten)
        except PASSING:  # as above
            self.wake()
            return
        if len(unwritten) == 1 and count == len(unwritten[0]):
            unwritten.clear()
            pipe.bytes_out += count
        else:
            self._advance(count)
        if unwritten:
            self.wake()
        else:
            self._settle()
            if pipe.outbox:
                self.wake()

    async def _write(self) -> None:
        left = _MUCH
        while self._unwritten:
            if left <= 0:
                await trio.lowlevel.checkpoint()
                left = _MUCH
            try:
                count = self._stream.write_nowait(self._unwritten)
            except BlockingIOError:
                with suppress(trio.ClosedResourceError):  # Stream.stir() ended the wait
                    await self._stream.wait_writable()
                left = _MUCH
            else:
                left -= count
                self._advance(count)
        self._settle()

    def _take(self) -> None:
        """Take a batch from the outbox. The batch counts towards the high-water mark until it is written."""
        outbox = self._pipe.outbox
        if self._batch:
            pass  # there was no memory to encode this batch before
        elif outbox.bulky:
            self._batch = self._some_of(outbox)
        elif len(outbox) <= self._most:
            self._batch = list(outbox)
            outbox.clear()
        else:
            self._batch = [outbox.popleft() for _ in range(self._most)]
        self._pipe.in_flight = len(self._batch)
        outbox.limit = self._limit - len(self._batch)
        self._unwritten = self._connection.encode(self._batch) if self._batch else []  # type: ignore[assignment]
        if self._connection.output:
            output = self._connection.take_output()
            self._unwritten.insert(0, output)
            self._written = -len(output)

    def _some_of(self, outbox: Lane) -> list[Message]:
        """Take messages of about `_MUCH` bytes, which may be written before other tasks get a turn."""
        batch: list[Message] = []
        left = _MUCH
        while outbox and left > 0 and len(batch) < self._most:
            message = outbox.popleft()
            left -= size_of(message)
            batch.append(message)
        outbox.bulky = bool(outbox)
        return batch

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
        """Forget a batch that is wholly written, and wake senders that wait for room."""
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
