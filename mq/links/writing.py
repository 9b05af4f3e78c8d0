"""How do messages get from an outbox into the kernel? At once when it is quiet, in batches when it is not.

The writer's task sleeps while the outbox is empty. The first message after a quiet moment is written by the
sender itself, with one system call and no task switch; whatever follows in the same tick is joined by the writer
into one write. Hearing one message from the peer makes the moment quiet again, so that in a dialogue every message
goes directly; what answers several goes out together.
"""

from __future__ import annotations

from contextlib import suppress

import trio

from ..message import Message, size_of
from ..pipe import Lane, Pipe, nobody
from ..protocols.zmtp import Conversation, header_of, more_header_of, wire, wires
from ..transports import PASSING, Stream
from .parking import Seat

__all__ = ["Writer", "header_of", "more_header_of", "wire", "wires"]

_MUCH = 2 * 1024 * 1024
"""Bytes to write, about, before other tasks are let run."""


class Writer:
    """Carries the outbox of ``pipe`` to ``stream``, as ``connection`` encodes it."""

    def __init__(self, stream: Stream, connection: Conversation, pipe: Pipe, most: int) -> None:
        self._stream = stream
        self._connection = connection
        self._pipe = pipe
        self._limit = pipe.outbox.limit
        self._most = most
        """Messages to write together at most."""
        self._batch: list[Message] = []
        """Messages taken from the outbox and not yet wholly written."""
        self._unwritten: list[bytes | memoryview] = []
        """Their bytes that the kernel has not taken."""
        self._written = 0
        """Their bytes that it has."""
        self._seat = Seat()

    @trio.lowlevel.enable_ki_protection
    async def run(self) -> None:
        """Write what comes into the outbox, until cancelled."""
        outbox = self._pipe.outbox
        connection = self._connection
        self._pipe.write = self._write_directly
        while True:
            while outbox or self._unwritten or connection.output:
                if not self._unwritten:
                    self._take()
                try:
                    await self._write()
                except OSError:
                    # What the peer sent before it went is still to be read: the reader ends the link.
                    await trio.sleep_forever()
                # What other tasks send while they have their turn joins the next batch.
                await trio.lowlevel.checkpoint()
            outbox.wake = self._write_directly
            outbox.asleep = True
            await self._seat.park()

    async def finish(self) -> None:
        """Write all that is unsent, then half-close. For use after `run`. Raises OSError when the connection breaks."""
        outbox = self._pipe.outbox
        outbox.asleep = False
        while outbox or self._unwritten or self._connection.output:
            if not self._unwritten:
                self._take()
            await self._write()
        self._stream.end_writing()

    def wake(self) -> None:
        """Have the task look at the outbox and at the connection's own output."""
        self._pipe.outbox.asleep = False
        self._seat.wake()

    def put_back(self) -> int:
        """Return to the outbox the messages that the peer cannot have: not all of their bytes were written.

        Returns how many bytes of them were.
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
        """Write from the sender's task. Never waits: the writer's task writes whatever the kernel does not take.

        The outbox was asleep: no part of a message and no command waits to be written before this.
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
        except PASSING:  # it would block; or the connection broke, or memory is short: our tasks find and explain that
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
        """Write all that is in the outbox by one system call, or begin to."""
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
                with suppress(trio.ClosedResourceError):  # somebody stirred all who wait for the stream
                    await self._stream.wait_writable()
                left = _MUCH
            else:
                left -= count
                self._advance(count)
        self._settle()

    def _take(self) -> None:
        """Take a batch from the outbox. Until it is written it counts for the high-water mark."""
        outbox = self._pipe.outbox
        if self._batch:
            pass  # there was no memory to encode it
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
        """Take as many messages as may be written without letting other tasks run."""
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
