"""How do messages get from the kernel into an inbox? By the task that wants them, or by the reader's own.

A task that waits in receive() for its only peer reads the connection itself: what comes is in its hands without a
task switch. It will most likely come back for the next message, so the reader's task does not watch the connection
meanwhile but stands guard: it sleeps for a moment, and takes the watch when nobody has come back.

What the reader's task reads ahead of those who receive takes their time, so it pauses when there are plenty.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import trio
from attrs import frozen

from ..errors import ProtocolError
from ..message import Message
from ..pipe import BULKY, Pipe, nobody, nothing
from ..protocols.zmtp import Conversation
from ..transports import PASSING, Stream, reason_of
from .looking import Looker
from .parking import Seat
from .patience import Patience
from .writing import Writer

_SMALL_READ = 64 * 1024

_GUARD = 0.01, 0.15
"""Seconds that a receiver may be away before the reader's task watches the connection: at least, and at most."""

_RETURNING = 0.04
"""The same at most, of a receiver that comes back each time: to look is a turn of the scheduler in its dialogue."""

_PLENTY = 1000
"""Messages that who receives will be busy with for a while."""

_MUCH = 16 * 1024
"""Bytes that take a while to decode."""

_PAUSE = 0.001, 0.15
"""Seconds between two reads of much when there are plenty: at least, and at most."""

_BRIEF = 4096
"""Bytes that are few for a read."""

_DIALOGUE = 4
"""Reads of few bytes in a row that make a dialogue."""

_TURNS_OWED = 2
"""After one turn of each other task, one of them may still be about to have it: Trio runs them in any order."""

_PINGED = 0.03
"""The same at most, of both, for a peer that sends PINGs: how soon it wants them answered, it does not tell."""

# glibc asks the system for each large block anew, which costs more than to receive into it, until it has seen a larger
# one freed; from then on it keeps them. This one is never touched, so it takes no memory.
bytearray(8 * 1024 * 1024)


@frozen
class Early:
    """What came in the same bytes as the end of the handshake."""

    messages: list[Message]
    fault: str = ""
    """What is wrong with the bytes behind the messages."""


class Reader:
    """Carries what ``stream`` brings, as ``connection`` decodes it, to the inbox of ``pipe``."""

    def __init__(self, stream: Stream, connection: Conversation, pipe: Pipe, writer: Writer, limit: int) -> None:
        self.heard = 1
        """Goes up whenever bytes come, and when we begin to read again: silence until then meant nothing."""
        self.asked: Callable[[], object] = nobody
        """Called when the peer wants an answer, which is when it may have told its time to live."""
        self._stream = stream
        self._connection = connection
        self._pipe = pipe
        self._writer = writer
        self._backlog: list[Message] = []
        """Messages for which the inbox had no room. While there are any, nothing is read."""
        self._reason = ""
        """Why nothing more comes, once nothing does."""
        self._limit = limit
        """Bytes to ask the kernel for at most."""
        self._least = min(_SMALL_READ, limit)
        self._size = self._least
        """Bytes to ask the kernel for next. Much memory costs much time to make, also when little of it is used."""
        self._much = False
        """The last read brought much."""
        self._brief = 0
        """Reads of few bytes in a row. Beyond `_DIALOGUE` of them, the peer is taken to speak in turns."""
        self._turns_owed = 0
        """Turns that the other tasks get before this one looks on: reads that block the thread leave them none."""
        self._more = False
        """The last read left reason to read again without a wait."""
        self._guard = False
        """Receivers read; our task stands guard."""
        self._attended = False
        """One is at it right now."""
        self._recalled = False
        """It is to leave the next read to us."""
        self._away = Patience(*_GUARD)
        self._ahead = Patience(*_PAUSE)
        self._alarm = trio.CancelScope()
        """Ends the guard's sleep. While a receiver reads, its deadline is infinite once it has passed."""
        self._looker = Looker(stream)
        self._seat = Seat()

    @property
    def stalled(self) -> bool:
        """There are too many messages to receive, so that nothing is read: silence means nothing."""
        return bool(self._backlog) or self._pipe.inbox.stalled

    async def run(self, early: Early) -> str:
        """Read until the connection ends, and return why it did."""
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
        """Have our task watch the connection."""
        if not self._guard:
            return
        if self._attended:
            self._recalled = True
            self._stream.stir()
        else:
            self._leave_to_us()

    def end(self, reason: str) -> None:
        """Have `run` return ``reason``, at once: what has come and had no room is received all the same."""
        self._reason = self._reason or reason
        self._guard = False
        self._leave_all()
        self._stream.stir()
        self._seat.wake()

    # -- our task ------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Wait for bytes and read them; when a receiver waited for them, leave the next ones to it."""
        if self._more:
            await trio.lowlevel.checkpoint()
        else:
            try:
                await self._stream.wait_readable()
            except trio.ClosedResourceError:
                return  # somebody stirred all who wait for the stream
        pipe = self._pipe
        before = pipe.messages_in
        self._take_in(self._receive())
        # Half a message wakes nobody who could read the rest, and neither may whole ones.
        if pipe.messages_in != before and self._leave_to_receiver():
            pipe.read = self._read
            pipe.offer()

    async def _stand_guard(self) -> None:
        """Sleep while receivers read; stop when none has come back for a while."""
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
        # A receiver that has received all there is and stays away is busy with something else.
        elif self._away.ends() or not self._pipe.unreceived:
            self._away.reset()
            self._leave_to_us()

    def _set_alarm(self) -> None:
        """Have the guard look, after a while, whether receivers have come back. This wakes no task before."""
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
        """Read nothing for a while; return whether there are plenty to receive even then.

        What is read ahead must not keep the tasks busy that are to receive; others wait better as bytes in the kernel.
        When there is time to spare it is read soon all the same, as far as the inbox takes it.
        """
        inbox = self._pipe.inbox
        while True:
            inbox.stalled = True
            with trio.move_on_after(self._ahead.begin()):
                while inbox.stalled:
                    await self._seat.park()
                self._ahead.reset()
                if inbox:  # who receives will come back for more
                    self._leave_to_receiver()
                return False
            inbox.stalled = False
            if self._ahead.ends():
                return True

    def _leave_to_receiver(self) -> bool:
        """Leave the next read to who receives, if it is one that would rather have read by itself."""
        self._guard = self._pipe.wanted and not self._reason
        self._pipe.wanted = False
        return self._guard

    # -- a receiver's task ---------------------------------------------------------------------------------

    async def _read(self) -> bool:
        """Wait until something may be in the inbox, reading the connection meanwhile. Stands in `Pipe.read`."""
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
                if self._turns_owed or not (self._more or self._looker.look(in_dialogue=self._brief >= _DIALOGUE)):
                    self._turns_owed = max(0, self._turns_owed - 1)
                    slept = True
                    await self._stream.wait_readable()
                self._take_in(self._receive())
            ours = bool(self._reason) and not self._backlog
        except trio.ClosedResourceError:
            pass  # somebody stirred all who wait for the stream
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
        """Stands in `Pipe.take`."""
        if self._brief < _DIALOGUE or self._more or self._backlog or not self._stream.block():
            return None
        self._turns_owed = _TURNS_OWED
        messages = self._receive()
        if len(messages) == 1 and self._pipe.translate is None and not self._reason:
            return messages[0]
        self._deliver_from_receiver(messages)
        return None

    @trio.lowlevel.enable_ki_protection
    def _hear(self) -> bool:
        """Stands in `Pipe.hear`."""
        if self._brief < _DIALOGUE or self._more or self._backlog or not self._stream.block():
            return False
        self._turns_owed = _TURNS_OWED
        self._deliver_from_receiver(self._receive())
        return True

    def _deliver_from_receiver(self, messages: list[Message]) -> None:
        self._take_in(messages)
        if self._reason and not self._backlog:
            self._leave_to_us()

    # -- both ----------------------------------------------------------------------------------------------

    def _receive(self) -> list[Message]:
        """Read once, without waiting, and return the messages that this completes."""
        connection = self._connection
        self._more = False
        data = b""
        try:
            # A frame that began in a few bytes goes on in an ordinary read; a large one shows after that.
            space = None if self._brief else connection.space
            if space is None:
                data = self._stream.read_nowait(self._size)
                count = len(data)
            else:
                count = self._stream.read_into_nowait(space)
        except BlockingIOError:
            return []
        except PASSING as error:
            self._reason = f"{reason_of(error)}{_half(connection)}"
            return []
        if not count:
            self._reason = f"the peer closed the connection{_half(connection)}"
            return []
        self._adapt(count, in_a_large_frame=space is not None)
        self.heard += 1
        pipe = self._pipe
        pipe.bytes_in += count
        try:
            messages = connection.decode(data) if space is None else connection.filled(count)
        except ProtocolError as error:
            messages = error.completed
            self._reason = str(error)
        except MemoryError as error:
            messages = []
            self._reason = reason_of(error)
        if connection.output:
            self._answer()
        if len(messages) <= 1 and pipe.outbox.asleep:  # a step of a dialogue; answers to more messages go out together
            pipe.outbox.wake = pipe.write
        if messages and (space is not None or count >= BULKY * len(messages)):
            pipe.inbox.bulky = True
        pipe.messages_in += len(messages)
        return messages

    def _answer(self) -> None:
        """Have the writer send the connection's own output, and look more often at a peer that asks."""
        self._writer.wake()
        self.asked()
        self._away.shorten(_PINGED)
        self._ahead.shorten(_PINGED)

    def _adapt(self, count: int, *, in_a_large_frame: bool) -> None:
        """Learn from a read of ``count`` bytes how to read next."""
        size = self._size
        # While a large frame comes, its sender fills the kernel buffer as fast as this side empties it.
        self._more = in_a_large_frame or count == size
        self._brief = self._brief + 1 if count <= _BRIEF and not in_a_large_frame else 0
        self._much = count >= _MUCH
        if self._more:
            self._size = min(size * 4, self._limit)
        elif count < size // 4:
            self._size = max(size // 4, self._least)

    def _take_in(self, messages: list[Message]) -> None:
        if messages:
            self._backlog = messages
            self._deliver()

    def _put(self, count: int) -> None:
        """Put so many messages of the backlog into the inbox, as what the pattern makes of them."""
        some = self._backlog
        if count < len(some):
            some = some[:count]
            del self._backlog[:count]
        else:
            self._backlog = []
        translate = self._pipe.translate
        if translate is not None:
            some = translate(some)
        self._pipe.inbox.extend(some)

    def _leave_all(self) -> None:
        """Put into the inbox what was read, whether or not there is room: nobody will come back for it."""
        inbox = self._pipe.inbox
        self._put(len(self._backlog))
        inbox.stalled = False
        if inbox.asleep and inbox:
            inbox.wake()

    def _deliver(self) -> None:
        """Put into the inbox what it has room for."""
        inbox = self._pipe.inbox
        while self._backlog:
            room = inbox.limit - len(inbox)
            if room <= 0:
                # A receiver that reads will ask for the rest; for others, our task is to be woken.
                inbox.stalled = not self._guard
                break
            self._put(room)
        if inbox.asleep and inbox:
            inbox.wake()


def _half(connection: Conversation) -> str:
    """Say what a connection that ended left half-way, if anything."""
    return f" in the middle: {connection.unfinished}" if connection.unfinished else ""
