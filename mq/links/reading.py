"""Which task reads a connection, and when? A receiver that waits for its only peer, or the reader task.

A task that waits in receive() for its only peer reads the connection itself, so that a message reaches the task without
a task switch. The task will most likely come back for the next message. So the reader task does not watch the
connection meanwhile, but stands guard: it sleeps for a moment, and watches the connection if no receiver came back.

The reader task reads ahead of receivers, which takes processor time from them. So it pauses while many messages wait.
"""

from __future__ import annotations

import math

import trio
from attrs import frozen

from ..message import Message
from ..pipe import Pipe, nobody, nothing
from ..protocols.zmtp import Conversation
from ..transports import Stream, reason_of
from .intake import Intake
from .looking import Looker
from .parking import Seat
from .patience import Patience
from .writing import Writer

_GUARD = 0.01, 0.15
"""Seconds without a receiver before the reader task watches the connection: at least, and at most."""

_RETURNING = 0.04
"""The same maximum while receivers come back. Each look of the guard costs their dialogue a turn of the scheduler."""

_PLENTY = 1000
"""Messages in the inbox above which the reader task pauses after a large read."""

_PAUSE = 0.001, 0.15
"""Seconds between two large reads while more than `_PLENTY` messages wait: at least, and at most."""

_TURNS_OWED = 2
"""Turns of the other tasks after a read that blocked the thread. In one turn, Trio may run them before or after us."""

_PINGED = 0.03
"""The maximum of both in seconds for a peer that sends PINGs. A PING does not say how soon the peer needs the PONG."""


@frozen
class Early:
    """The messages that came in the same bytes as the end of the handshake."""

    messages: list[Message]
    fault: str = ""
    """The protocol error in the bytes after the messages, or ""."""


class Reader(Intake):
    """Runs the reader task of a connection, and lends the connection to a receiver."""

    def __init__(self, stream: Stream, connection: Conversation, pipe: Pipe, writer: Writer, limit: int) -> None:
        super().__init__(stream, connection, pipe, writer, limit)
        self._attended = False
        """A receiver waits for the connection right now."""
        self._recalled = False
        """That receiver has to leave the next read to the reader task."""
        self._turns_owed = 0
        """Turns that other tasks get before a receiver looks again. They get none while a read blocks the thread."""
        self._away = Patience(*_GUARD)
        """How long the guard sleeps."""
        self._ahead = Patience(*_PAUSE)
        """How long the reader task pauses while many messages wait."""
        self._alarm = trio.CancelScope()
        """Ends the guard's sleep. If the deadline passes while a receiver waits, the deadline becomes infinite."""
        self._looker = Looker(stream)
        self._seat = Seat()

    async def run(self, early: Early) -> str:
        """Read until the connection ends. Return why it ended."""
        pipe = self._pipe
        pipe.inbox.resume = self._seat.wake
        pipe.inbox.reopen_at(_PLENTY // 2)
        pipe.watch = self.watch
        self._reason = self._reason or early.fault
        pipe.messages_in += len(early.messages)
        self._take_in(early.messages)
        pipe.take = self._take
        pipe.hear = self._hear
        try:
            while self._backlog or not self._reason:
                if self._guard:
                    await self._stand_guard()
                elif self._backlog:
                    await self._wait_for_room()
                elif not self._much or len(pipe.inbox) <= _PLENTY or await self._is_time_to_read_ahead():
                    await self._watch()
        finally:
            self.asked = nobody
            pipe.read = None
            pipe.take = nothing
            pipe.hear = nobody
            pipe.watch = nobody
            pipe.inbox.resume = nobody
            self._leave_all()
        return self._reason

    def watch(self) -> None:
        """Have the reader task watch the connection."""
        if not self._guard:
            return
        if self._attended:
            self._recalled = True
            self._stream.stir()
        else:
            self._leave_to_us()

    def end(self, reason: str) -> None:
        """Have `run` return ``reason`` at once. The messages of the backlog can still be received."""
        self._reason = self._reason or reason
        self._guard = False
        self._leave_all()
        self._stream.stir()
        self._seat.wake()

    # -- the reader task -----------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Wait for bytes and read them. If a receiver waited for them, leave the next read to that receiver."""
        if self._more:
            await trio.lowlevel.checkpoint()
        else:
            try:
                await self._stream.wait_readable()
            except trio.ClosedResourceError:
                return  # stir() ended the wait
        pipe = self._pipe
        before = pipe.messages_in
        self._take_in(self._receive())
        # Without a whole message no receiver wakes up, so none could read on.
        if pipe.messages_in != before and self._leave_to_receiver():
            pipe.read = self._read
            pipe.offer()

    async def _stand_guard(self) -> None:
        """Sleep while receivers read. If no receiver has come back when the sleep ends, watch the connection again."""
        alarm = self._alarm = trio.CancelScope()
        if not self._attended:
            self._pipe.read = self._read
            self._set_alarm()
        heard = self.heard
        with alarm:
            await self._seat.park()
        if not alarm.cancelled_caught:
            return
        if self.heard != heard or self._attended:
            self._away.prolong(_RETURNING)
        # A receiver that has received all messages and stays away is busy with something else.
        elif self._away.ends() or not self._pipe.unreceived:
            self._away.reset()
            self._leave_to_us()

    def _set_alarm(self) -> None:
        """Set the time at which the guard looks whether receivers have come back. This wakes no task."""
        self._alarm.deadline = trio.current_time() + self._away.begin()

    def _leave_to_us(self) -> None:
        self._guard = self._recalled = False
        self._pipe.read = None
        self._deliver()
        self._seat.wake()

    async def _wait_for_room(self) -> None:
        while self._pipe.inbox.stalled:
            await self._seat.park()
        self.heard += 1
        if not self._pipe.inbox or not self._leave_to_receiver():
            self._deliver()

    async def _is_time_to_read_ahead(self) -> bool:
        """Pause. Return whether many messages still wait when the pause ends.

        Reading ahead takes processor time from the tasks that receive, so further messages wait in the kernel buffer.
        If the thread has time to spare, the pause is short, and the reader task reads as far as the inbox has room.
        """
        inbox = self._pipe.inbox
        while True:
            inbox.stalled = True
            with trio.move_on_after(self._ahead.begin()):
                while inbox.stalled:
                    await self._seat.park()
                self._ahead.reset()
                if inbox:  # the receivers will come back for more
                    self._leave_to_receiver()
                return False
            inbox.stalled = False
            if self._ahead.ends():
                return True

    def _leave_to_receiver(self) -> bool:
        """Leave the next read to the receiver if exactly one receiver wants it. Return whether it does."""
        self._guard = self._pipe.wanted and not self._reason
        self._pipe.wanted = False
        return self._guard

    # -- the task of a receiver ----------------------------------------------------------------------------

    async def _read(self) -> bool:
        """Read the connection, and wait for bytes if there are none. `Pipe.read` calls this method."""
        pipe = self._pipe
        pipe.read = None
        self._attended = True
        ours = True
        slept = False
        try:
            if self._backlog:
                self.heard += 1
                self._deliver()
            else:
                if self._turns_owed or not (self._more or self._looker.look(in_dialogue=self._in_dialogue)):
                    self._turns_owed = max(0, self._turns_owed - 1)
                    slept = True
                    await self._stream.wait_readable()
                self._take_in(self._receive())
            ours = bool(self._reason) and not self._backlog
        except trio.ClosedResourceError:
            pass  # stir() ended the wait
        except OSError as error:  # the system cannot watch one more connection
            self._reason = reason_of(error)
        finally:
            self._attended = False
            if ours or self._recalled:
                self._leave_to_us()
            elif self._guard:
                pipe.read = self._read
                if self._alarm.deadline == math.inf:
                    self._set_alarm()
        return slept

    @trio.lowlevel.enable_ki_protection
    def _take(self) -> Message | None:
        """In a dialogue, block until bytes arrive, and read them. `Pipe.take` calls this method."""
        if not self._in_dialogue or self._more or self._backlog or not self._stream.block():
            return None
        self._turns_owed = _TURNS_OWED
        messages = self._receive()
        if len(messages) == 1 and self._pipe.translate is None and not self._reason:
            return messages[0]
        self._deliver_from_receiver(messages)
        return None

    @trio.lowlevel.enable_ki_protection
    def _hear(self) -> bool:
        """In a dialogue, block until bytes arrive, and read them into the inbox. `Pipe.hear` calls this method."""
        if not self._in_dialogue or self._more or self._backlog or not self._stream.block():
            return False
        self._turns_owed = _TURNS_OWED
        self._deliver_from_receiver(self._receive())
        return True

    def _deliver_from_receiver(self, messages: list[Message]) -> None:
        self._take_in(messages)
        if self._reason and not self._backlog:
            self._leave_to_us()

    # -- both tasks ----------------------------------------------------------------------------------------

    def _answer(self) -> None:
        super()._answer()
        self._away.shorten(_PINGED)
        self._ahead.shorten(_PINGED)
