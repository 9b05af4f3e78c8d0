"""Whose turn is it to get a message? Ways to choose among the peers one may send to."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from threading import get_ident
from typing import Unpack

import trio
from trio.lowlevel import checkpoint

from ..message import Buffer, Frames, Message, as_frame, as_message
from ..options import OptionArguments
from ..pipe import Pipe
from ..socket import Socket

_TURN = 256
"""Messages after which a task that never has to wait lets the others run."""


class RoundRobin(Socket, trio.abc.SendChannel[bytes]):
    """Send to each connected peer with room in turn; wait while there is none.

    Messages queue for endpoints that are not connected yet only while no peer is, and never with ``immediate``.
    """

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._ring: deque[Pipe] = deque()
        self._senders = trio.lowlevel.ParkingLot()
        self._send_turn = _TURN

    async def send(self, message: bytes) -> None:
        """Send a message of one frame; waits while every peer's queue is full, or nobody is there.

        Returns when the message is queued for a peer. A send that need not wait is a checkpoint only at every
        256th message. Cancelled, it has sent nothing. Raises TypeError for anything but bytes and
        ``trio.ClosedResourceError``.
        """
        if self._thread != get_ident():
            self._complain()
        if type(message) is not bytes and not isinstance(message, Frames):
            message = as_frame(message)
        if self._sent >= self._send_turn:
            await checkpoint()
            self._send_turn = self._sent + _TURN
        ring = self._ring
        if not ring:
            await self._send_later(message)
            return
        self._sent += 1
        pipe = ring[0]
        outbox = pipe.outbox
        outbox.append(message)
        if outbox.asleep:
            outbox.wake()
        if len(outbox) >= outbox.limit:
            self._full(pipe)
        elif len(ring) > 1:
            ring.rotate(-1)

    async def send_multipart(self, frames: Iterable[Buffer]) -> None:
        """Send a message of one or more frames, whole or not at all. Otherwise as `send`."""
        await self.send(as_message(frames))  # type: ignore[arg-type]

    async def _send_later(self, message: Message) -> None:
        while not self._ring:
            await self._park(self._senders, "send")
        self._put(message)
        if self._ring:  # there is room for more senders than were woken
            self._senders.unpark()

    def send_nowait(self, message: bytes) -> None:
        """Send if that is possible at once, else raise ``trio.WouldBlock``."""
        self._check_open()
        self._put(as_frame(message))

    def send_multipart_nowait(self, frames: Iterable[Buffer]) -> None:
        """Send a message of one or more frames if that is possible at once, else raise ``trio.WouldBlock``."""
        self._check_open()
        self._put(as_message(frames))

    def _put(self, message: Message) -> None:
        ring = self._ring
        if not ring:
            raise trio.WouldBlock
        self._sent += 1
        pipe = ring[0]
        outbox = pipe.outbox
        outbox.append(message)
        if outbox.asleep:
            outbox.wake()
        if len(outbox) >= outbox.limit:
            self._full(pipe)
        elif len(ring) > 1:
            ring.rotate(-1)

    def _full(self, pipe: Pipe) -> None:
        """Leave ``pipe`` out of the ring until its consumer has made room."""
        self._ring.remove(pipe)
        outbox = pipe.outbox
        outbox.stalled = True
        if len(outbox) < outbox.limit:  # a consumer in another thread was just there
            outbox.stalled = False
            self._join(pipe)

    def _join(self, pipe: Pipe) -> None:
        """Take ``pipe`` into the ring, if it may be sent to, and let senders go on."""
        usable = pipe.connected or (pipe.connecting and not self._peer_count and not self.options.immediate)
        if self._closing or pipe.retired or not usable or pipe.outbox.stalled or pipe in self._ring:
            return
        self._ring.append(pipe)
        self._senders.unpark(count=max(1, pipe.outbox.limit - len(pipe.outbox)))

    def _writable(self, pipe: Pipe) -> None:
        self._join(pipe)

    def _pipe_added(self, pipe: Pipe) -> None:
        super()._pipe_added(pipe)
        self._join(pipe)

    def _pipe_connected(self, pipe: Pipe) -> None:
        super()._pipe_connected(pipe)
        if self._peer_count == 1:  # from now on, only connected peers are sent to
            self._ring.clear()
        self._join(pipe)

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        self._leave(pipe)
        if not self._peer_count:
            for each in self._pipes:
                self._join(each)

    def _pipe_removed(self, pipe: Pipe) -> None:
        super()._pipe_removed(pipe)
        self._leave(pipe)

    def _leave(self, pipe: Pipe) -> None:
        if pipe in self._ring:
            self._ring.remove(pipe)

    def _stop(self) -> None:
        super()._stop()
        self._ring.clear()
        self._senders.unpark_all()
