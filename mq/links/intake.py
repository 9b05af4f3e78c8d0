"""How do bytes in the kernel become messages in an inbox? Read by read; the size of a read follows from earlier reads.

No function here waits. The `Reader` decides which task reads, and when.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import ProtocolError
from ..message import Message
from ..pipe import BULKY, Pipe, nobody
from ..protocols.zmtp import Conversation
from ..transports import PASSING, Stream, reason_of
from .writing import Writer

_SMALL_READ = 64 * 1024

_MUCH = 16 * 1024
"""Bytes from which on a read is large: its messages take long to decode."""

_BRIEF = 4096
"""Bytes of a brief read, at most."""

_DIALOGUE = 4
"""Brief reads in a row that make a dialogue."""

# glibc asks the system for each large block anew until the program has freed a larger block. Such a request costs more
# than to receive into the block. After that free, glibc keeps large blocks. No page of this block is touched, so it
# takes no memory.
bytearray(8 * 1024 * 1024)


class Intake:
    """Reads ``stream``, decodes the bytes with ``connection``, and puts the messages into the inbox of ``pipe``."""

    def __init__(self, stream: Stream, connection: Conversation, pipe: Pipe, writer: Writer, limit: int) -> None:
        self.heard = 1
        """Increases with each read that brings bytes, and when reading resumes: silence in a pause proves nothing."""
        self.asked: Callable[[], object] = nobody
        """Called when the connection has an answer for the peer. A PING of the peer may have given a TTL."""
        self._stream = stream
        self._connection = connection
        self._pipe = pipe
        self._writer = writer
        self._backlog: list[Message] = []
        """Messages for which the inbox had no room. While there are any, the connection is not read."""
        self._reason = ""
        """Why the connection ended, or ""."""
        self._limit = limit
        """Bytes to ask the kernel for, at most."""
        self._least = min(_SMALL_READ, limit)
        self._size = self._least
        """Bytes to ask the kernel for next. A large buffer takes time to make, even if little of it is used."""
        self._much = False
        """The last read was large."""
        self._brief = 0
        """Brief reads in a row."""
        self._more = False
        """The last read gave a reason to read again without a wait."""
        self._guard = False
        """Receivers read the connection and take messages from the backlog. The reader task stands guard."""

    @property
    def stalled(self) -> bool:
        """The connection is not read, because too many messages wait to be received. Silence proves nothing then."""
        return bool(self._backlog) or self._pipe.inbox.stalled

    @property
    def _in_dialogue(self) -> bool:
        """The last `_DIALOGUE` reads were brief, as in an exchange of requests and replies."""
        return self._brief >= _DIALOGUE

    def _receive(self) -> list[Message]:
        """Read once, without waiting, and return the messages that the bytes complete."""
        connection = self._connection
        self._more = False
        data = b""
        try:
            # If a large frame begins in a brief read, the next read is an ordinary one too.
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
        if len(messages) <= 1 and pipe.outbox.asleep:  # the next sender writes its message itself: see `Writer`
            pipe.outbox.wake = pipe.write
        if messages and (space is not None or count >= BULKY * len(messages)):
            pipe.inbox.bulky = True
        pipe.messages_in += len(messages)
        return messages

    def _answer(self) -> None:
        """Have the writer send the output of the connection."""
        self._writer.wake()
        self.asked()

    def _adapt(self, count: int, *, in_a_large_frame: bool) -> None:
        """Choose the size and the kind of the next read after a read of ``count`` bytes."""
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
        """Translate the first ``count`` messages of the backlog for the pattern, and put the results into the inbox."""
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
        """Put the whole backlog into the inbox, even if there is no room: the link ends."""
        inbox = self._pipe.inbox
        self._put(len(self._backlog))
        inbox.stalled = False
        if inbox.asleep and inbox:
            inbox.wake()

    def _deliver(self) -> None:
        """Put as many messages of the backlog into the inbox as there is room for."""
        inbox = self._pipe.inbox
        while self._backlog:
            room = inbox.limit - len(inbox)
            if room <= 0:
                # A receiver that reads asks for the rest. For other receivers, the inbox has to wake the reader task.
                inbox.stalled = not self._guard
                break
            self._put(room)
        if inbox.asleep and inbox:
            inbox.wake()


def _half(connection: Conversation) -> str:
    """Return a description of what the end of a connection left incomplete, if anything."""
    return f" in the middle: {connection.unfinished}" if connection.unfinished else ""
