"""What waits between a socket and one peer? A lane of messages in each direction, with a limit and two ends.

A lane has one producer and one consumer, which may be in different threads. An end that stops sets a mark in the lane,
and the other end starts it again:

=========  ==========================================  =======================================
end        stops when                                  is started by
=========  ==========================================  =======================================
consumer   the lane is empty: sets ``asleep``          the producer, which calls ``wake()``
producer   ``len(lane) >= limit``, or plenty of        the consumer, which calls ``resume()`` when
           messages wait: sets ``stalled``             ``low`` are left, at most half of the limit
=========  ==========================================  =======================================

An end sets its mark first and then checks the lane again, so that it cannot miss a change in between.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from attrs import define

from .message import Message
from .monitor import PeerStatistics

UNLIMITED = sys.maxsize

UNIT = 4096
"""Bytes of large messages that count as much as a message, where a task is to let others run now and then."""

BULKY = 2 * UNIT
"""Bytes from which on a message is large."""


def nobody() -> None:
    """Do nothing, in place of an absent end of a lane."""


def nothing() -> None:
    """Return None, in place of a peer from which no message can be read at once."""


def ignored(_: str) -> None:
    """Do nothing, in place of an absent connection."""


def no() -> bool:
    """Return False, in place of an absent connection."""
    return False


class Lane(deque[Message]):
    """The messages in one direction. The high-water mark limits ``len(lane)``."""

    __slots__ = ("_few", "asleep", "bulky", "capacity", "lent", "limit", "low", "resume", "stalled", "wake")

    capacity: int
    """The high-water mark."""
    bulky: bool
    """Large messages may be in the lane, so a task that receives them counts their bytes as well."""
    lent: int
    """The number of messages that left the lane and still count for the high-water mark."""
    limit: int
    """The maximum length of the lane now: ``capacity`` without the lent messages."""
    low: int
    """The length at which the consumer starts a stalled producer."""
    asleep: bool
    """The consumer has stopped."""
    wake: Callable[[], None]
    """Start the consumer."""
    stalled: bool
    """The producer has stopped."""
    resume: Callable[[], object]
    """Start the producer."""

    def __init__(self, high_water: int) -> None:
        super().__init__()
        self.bulky = False
        self.lent = 0
        self._few = UNLIMITED
        self.set_limit(high_water)
        self.asleep = True
        self.wake = nobody
        self.stalled = False
        self.resume = nobody

    def set_limit(self, high_water: int) -> None:
        """Set the high-water mark; 0 means no limit."""
        self.capacity = high_water or UNLIMITED
        self.lend(self.lent)

    def replace(self, message: Message) -> bool:
        """Replace the newest message in the lane by ``message``. Return False if the lane is empty.

        The replacement is one step, because the consumer may be in another thread.
        """
        try:
            self[-1] = message
        except IndexError:
            return False
        return True

    def put(self, message: Message) -> None:
        """Add ``message`` without a check of the limit, and wake the consumer."""
        self.append(message)
        if self.asleep:
            self.wake()

    def reopen(self) -> None:
        """Start a stalled producer."""
        if self.stalled:
            self.stalled = False
            self.resume()

    def reopen_at(self, few: int) -> None:
        """Let a stalled producer start when ``few`` messages are left, or half of the capacity if that is less."""
        self._few = few
        self.lend(self.lent)

    def lend(self, count: int) -> None:
        """Set the number of lent messages to ``count``. While it is not 0, their borrower must start the producer."""
        self.lent = count
        self.limit = self.capacity - count
        # ZeroMQ's rule: a full queue accepts messages again when it is half empty, not after each message.
        self.low = -1 if count else min(self.capacity // 2, self._few)


@define(eq=False)
class Pipe:
    """One peer of a socket: its two lanes, its state and its counters.

    The pipe of an endpoint of connect() lives as long as the endpoint, through all reconnections. The pipe of an
    accepted connection lives as long as the connection.
    """

    endpoint: str
    outbox: Lane
    inbox: Lane
    connecting: bool
    ready: deque[Any]
    """The messages that the socket can receive: the inbox, or the pattern's translation of the inbox."""
    translate: Callable[[list[Message]], list[Any]] | None = None
    """The function by which the link translates a batch of messages before they enter the inbox."""
    peer: str = ""
    identity: bytes = b""
    """The identity in the peer's handshake."""
    origin: Hashable = None
    """A key that is the same for all connections of one peer, as far as known; None if the pattern does not need it."""
    address: Any = None
    """The routing id or number of the peer, for patterns whose messages name their recipient."""
    has_ended: Callable[[], bool] = no
    """Return whether the peer has ended the connection, also while bytes wait to be read; False if that is unknown."""
    hang_up: Callable[[str], object] = ignored
    """End the connection at once. The argument is the reason."""
    leave: Callable[[str], object] = ignored
    """End the connection in order. The argument is the reason. The link sets this function, and reads `parting`."""
    parting: str = ""
    """The reason why the connection is to end in order; "" if it is not. See `part`."""
    held: bool = False
    """A link holds the connection, which may be in its orderly end after `connected` became False."""
    connected: bool = False
    readable: bool = False
    """The pipe is in the ring of pipes with messages to receive."""
    read: Callable[[], Awaitable[bool]] | None = None
    """Make the calling task wait for the peer and read the connection. Only one task at a time may do so.

    Returns whether other tasks ran in between.
    """
    take: Callable[[], Message | None] = nothing
    """In a dialogue, while `read` may be called: block the thread until the peer sends bytes, and read them.

    Return a received message if it needs no translation. Otherwise put the received messages into the inbox, and return
    None. Return None at once if another task of the run could run: then the caller has to wait in `read`.
    """
    hear: Callable[[], object] = nobody
    """Do as `take`, but put all received messages into the inbox. Return whether the connection was read."""
    write: Callable[[], None] = nobody
    """Write the messages of the outbox, whose consumer is asleep, at once."""
    watch: Callable[[], object] = nobody
    """Let the link read the connection. A task in `read` returns at once."""
    offer: Callable[[], object] = nobody
    """The link calls `offer` when a waiting task may call `read` again."""
    wanted: bool = False
    """One task receives from this peer only, and reads the connection itself if it may."""
    in_flight: int = 0
    """The number of messages that left the outbox and are not completely in the kernel yet."""
    shares: bool = False
    """The link accepts only messages that are already encoded, once for many peers."""
    withheld: bool = False
    """The messages of the outbox must not be sent yet. The consumer is woken when they may be."""
    wired: bool = False
    """The outbox holds encoded messages, as bytes for the wire."""
    in_process: bool = False
    """The peer is in this process, and the outbox is its inbox."""
    progress: Callable[[], object] | None = None
    """It is called when the kernel accepts bytes or the queue shrinks. It is set while the socket flushes."""
    trusted: bool = False
    """The peer announced that it sends no message without a matching subscription, so a SUB need not check messages."""
    retired: bool = False
    """The endpoint is being closed, so no further message may be sent to the peer."""
    connections: int = 0
    """The number of completed handshakes."""
    messages_out: int = 0
    messages_in: int = 0
    bytes_out: int = 0
    bytes_in: int = 0

    @property
    def usable(self) -> bool:
        """Whether the peer is connected and messages may be sent to it."""
        return self.connected and not self.retired

    @property
    def unreceived(self) -> int:
        """The number of messages that wait to be received."""
        return len(self.inbox) + (0 if self.ready is self.inbox else len(self.ready))

    def part(self, reason: str) -> None:
        """End the connection in order: flush, half-close, and wait until the peer has acknowledged all bytes.

        If there is no connection yet, the next connection sends the waiting messages and then ends.
        """
        if not self.parting and not self.in_process:
            self.parting = reason
            if not self.withheld:  # the pattern that withholds the outbox calls leave() later
                self.leave(reason)

    @property
    def settled(self) -> bool:
        """Whether all sent messages have left this socket, and no orderly end is in progress."""
        return not self.unsent and not (self.held and self.parting)

    @property
    def unsent(self) -> bool:
        """Whether sent messages wait in this socket."""
        return bool(self.outbox or self.in_flight) and not self.in_process

    def statistics(self) -> PeerStatistics:
        """Return a snapshot of the counters and queue lengths."""
        return PeerStatistics(
            endpoint=self.endpoint,
            peer=self.peer,
            connected=self.connected,
            queued_out=len(self.outbox) + self.in_flight,
            queued_in=self.unreceived,
            messages_out=self.messages_out,
            messages_in=self.messages_in,
            bytes_out=self.bytes_out,
            bytes_in=self.bytes_in,
        )
