"""Which peer gets the next message? Each peer with room in its queue, in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from threading import get_ident
from typing import Unpack

import trio
from trio.lowlevel import checkpoint

from ..message import ONLY_BYTES, Buffer, Message, as_frame, as_message, size_of
from ..options import OptionArguments
from ..pipe import BULKY, Lane, Pipe
from ..reasons import REPLACED
from .turn import TURN, SendsInTurns


class RoundRobin(SendsInTurns, trio.abc.SendChannel[bytes]):
    """Send to each connected peer with room in turn. Waits while no peer has room.

    While no peer is connected, messages queue for the endpoints of `connect`, unless ``immediate`` is set.

    If messages can go to only one peer, ``_put`` grants a run: the next few calls append to the queue of that peer
    without any check. Every change of the conditions ends the run.
    """

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._ring: deque[Pipe] = deque()
        self._senders = trio.lowlevel.ParkingLot()
        self._lane: Lane
        """The outbox to which a run appends."""

    async def send(self, message: bytes) -> None:
        """Send a message of one frame. Waits while there is no peer, or the send queues of all peers are full.

        Returns when the message is in the send queue of a peer. A send that need not wait is a checkpoint only once per
        turn: 256 messages, or 1 MiB of messages of 8 KiB and more. A cancelled send has queued no message. Raises
        TypeError if ``message`` is not bytes, and ``trio.ClosedResourceError`` when the socket is closed.
        """
        run = self._send_run
        if run and type(message) is bytes:
            lane = self._lane
            if lane.asleep and self._thread != get_ident():
                self._complain()
            self._send_run = run - 1
            lane.append(message)
            if len(message) >= BULKY:
                self._spend(len(message), lane)
            if lane.asleep:
                lane.wake()
        else:
            await self._send(message if type(message) is bytes else as_frame(message))

    def send_nowait(self, message: bytes) -> None:
        """Send a message of one frame. Raises ``trio.WouldBlock`` where `send` would wait."""
        self._check_open()
        self._put(as_frame(message))

    async def _send(self, message: Message, doing: str = "send") -> Pipe:
        if self._thread != get_ident():
            self._complain()
        if self._send_turn <= 0:
            await checkpoint()
            self._send_turn = TURN
        if self._ring:
            return self._put(message)
        while not self._ring:
            await self._park(self._senders, doing)
        self._send_turn = TURN
        pipe = self._put(message)
        if self._ring:  # there is room for more messages than tasks were woken for
            self._senders.unpark()
        return pipe

    async def _until_sendable(self, doing: str) -> None:
        """Wait until a message can be queued, but send none."""
        self._check_open()
        while not self._ring:
            await self._park(self._senders, doing)
        self._senders.unpark()  # this task may have been woken instead of a task that sends

    def _begin_sending(self) -> Collection[object]:
        """Begin a turn. Returns a collection that is not empty while a message can be sent at once."""
        self._check_open()
        self._send_turn = TURN
        return self._ring

    def _put(self, message: Message) -> Pipe:
        """Queue ``message`` for the next peer in turn, and return the pipe of that peer."""
        ring = self._ring
        if not ring:
            raise trio.WouldBlock
        self._end_send_run()
        self._sent += 1
        self._send_turn -= 1
        pipe = ring[0]
        lane = pipe.outbox
        size = size_of(message)
        if size >= BULKY:
            self._spend(size, lane)
        if self.options.conflate and lane.replace(message):
            self._drop(pipe, 1, REPLACED)
        else:
            lane.append(message)
        if lane.asleep:
            lane.wake()
        if len(lane) >= lane.limit and not self.options.conflate:
            self._full(pipe)
        elif len(ring) > 1:
            ring.rotate(-1)
        elif not self.options.conflate:
            self._grant_send_run(lane)
        return pipe

    def _grant_send_run(self, lane: Lane) -> None:
        # The message that fills the queue must not be part of a run. Messages in flight count too: they return if lost.
        run = min(lane.limit - len(lane) - 1, self._send_turn)
        if run > 0:
            self._lane = lane
            self._send_run = run
            self._sent += run
            self._send_turn -= run

    def _full(self, pipe: Pipe) -> None:
        """Remove ``pipe`` from the ring until its consumer has made room."""
        self._leave(pipe)
        outbox = pipe.outbox
        outbox.stalled = True
        if len(outbox) < outbox.limit:  # a consumer in another thread has just made room
            outbox.stalled = False
            self._join(pipe)

    def _join(self, pipe: Pipe) -> None:
        """Add ``pipe`` to the ring if messages can be queued for it, and wake waiting tasks."""
        usable = pipe.connected or (pipe.connecting and not self._peer_count and not self.options.immediate)
        if self._closing or pipe.retired or not usable or pipe.outbox.stalled or pipe in self._ring:
            return
        self._end_send_run()
        self._ring.append(pipe)
        self._senders.unpark(count=max(1, pipe.outbox.limit - len(pipe.outbox)))

    def _writable(self, pipe: Pipe) -> None:
        self._join(pipe)

    def _pipe_added(self, pipe: Pipe) -> None:
        super()._pipe_added(pipe)
        self._join(pipe)

    def _pipe_connected(self, pipe: Pipe) -> None:
        super()._pipe_connected(pipe)
        if self._peer_count == 1:  # from now on, messages go only to connected peers
            self._end_send_run()
            self._ring.clear()
        self._join(pipe)

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        self._leave(pipe)
        if not self._peer_count:
            for each in self._pipes:
                self._join(each)
            self._senders.unpark_all()  # so that waiting tasks can report that there is no peer

    def _pipe_removed(self, pipe: Pipe) -> None:
        super()._pipe_removed(pipe)
        self._leave(pipe)

    def _leave(self, pipe: Pipe) -> None:
        self._end_send_run()
        if pipe in self._ring:
            self._ring.remove(pipe)

    def _stop(self) -> None:
        super()._stop()
        self._end_send_run()
        self._ring.clear()
        self._senders.unpark_all()


class RoundRobinMultipart(RoundRobin):
    """Send messages of any number of frames to each connected peer with room, in turn."""

    async def send_multipart(self, frames: Iterable[Buffer]) -> None:
        """Send a message of one or more frames, all or none of them. Otherwise as `send`."""
        if (
            self._send_run
            and type(frames) is list
            and len(frames) > 1
            and type(frames[0]) is bytes
            and type(frames[1]) is bytes
            and (len(frames) == 2 or set(map(type, frames)) == ONLY_BYTES)
        ):
            size = len(frames[0]) + len(frames[1]) if len(frames) == 2 else sum(map(len, frames))
            lane = self._lane
            if lane.asleep and self._thread != get_ident():
                self._complain()
            self._send_run -= 1
            lane.append(frames.copy())
            if size >= BULKY:
                self._spend(size, lane)
            if lane.asleep:
                lane.wake()
        else:
            await self._send(as_message(frames), "send_multipart")

    def send_multipart_nowait(self, frames: Iterable[Buffer]) -> None:
        """Send a message of one or more frames. Raises ``trio.WouldBlock`` where `send_multipart` would wait."""
        self._check_open()
        self._put(as_message(frames))
