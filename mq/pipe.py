"""What waits between a socket and one peer? A lane of messages in each direction, its limit and its two ends.

A lane has one producer and one consumer, which may live in different threads. Whoever stops says so in the
lane, and the other end starts it again:

=========  ==========================================  =======================================
end        stops when                                  is started by
=========  ==========================================  =======================================
consumer   the lane is empty: sets ``asleep``          the producer, calling ``wake()``
producer   ``len(lane) >= limit``, or there are        the consumer, calling ``resume()`` when
           plenty: sets ``stalled``                    ``low`` are left, which is half at most
=========  ==========================================  =======================================

An end sets its mark first and looks at the lane once more, so that a change in between is never missed.
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
    """Stand in for an end that is not there (yet)."""


def nothing() -> None:
    """Stand in for a peer that no message can be taken from at once."""


def ignored(_: str) -> None:
    """Stand in for a connection that is not there."""


def no() -> bool:
    """Stand in for a question that nobody can answer (yet)."""
    return False


class Lane(deque[Message]):
    """Messages in one direction. ``len(lane)`` is what the high-water mark counts."""

    __slots__ = ("_few", "asleep", "bulky", "capacity", "lent", "limit", "low", "resume", "stalled", "wake")

    capacity: int
    """The high-water mark."""
    bulky: bool
    """Large messages may be among those that wait: whoever takes messages out counts their bytes as well."""
    lent: int
    """Messages that were taken out and still count."""
    limit: int
    """How long the lane may become now: what of its capacity is not lent."""
    low: int
    """The length at which a producer that stopped is to be started again."""
    asleep: bool
    wake: Callable[[], None]
    stalled: bool
    resume: Callable[[], object]

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
        """Set the high-water mark; 0 means none."""
        self.capacity = high_water or UNLIMITED
        self.lend(self.lent)

    def replace(self, message: Message) -> bool:
        """Put ``message`` in the place of the newest that waits; return whether one did.

        In one step, and leaving no gap: the consumer may be in another thread.
        """
        try:
            self[-1] = message
        except IndexError:
            return False
        return True

    def put(self, message: Message) -> None:
        """Add ``message``, whatever the limit, and wake the consumer."""
        self.append(message)
        if self.asleep:
            self.wake()

    def reopen(self) -> None:
        """Start a producer that has stopped."""
        if self.stalled:
            self.stalled = False
            self.resume()

    def reopen_at(self, few: int) -> None:
        """Have a producer that has stopped be started again when no more than ``few`` are there, or half of them."""
        self._few = few
        self.lend(self.lent)

    def lend(self, count: int) -> None:
        """Say that ``count`` messages were taken out and still count. Who took them sees to starting the producer."""
        self.lent = count
        self.limit = self.capacity - count
        # ZeroMQ's rule: a full lane opens again when half of it is gone, not for every single message.
        self.low = -1 if count else min(self.capacity // 2, self._few)


@define(eq=False)
class Pipe:
    """One peer of a socket: what waits for it, what came from it, and how much has passed.

    A connecting pipe lives as long as its endpoint, through every reconnect; an accepted one as long as its
    connection.
    """

    endpoint: str
    outbox: Lane
    inbox: Lane
    connecting: bool
    ready: deque[Any]
    """What can be received: the inbox itself, unless the pattern makes something else of what comes."""
    translate: Callable[[list[Message]], list[Any]] | None = None
    """What the link makes of messages before they come into the inbox, many at once."""
    peer: str = ""
    identity: bytes = b""
    """What the peer calls itself, from its handshake."""
    origin: Hashable = None
    """The peer, as far as it can be told over several connections; None when it does not matter."""
    address: Any = None
    """What a pattern that sends to the peer it is told calls it."""
    has_ended: Callable[[], bool] = no
    """Return whether the peer has ended the connection, also while bytes wait to be read; False if nobody knows."""
    hang_up: Callable[[str], object] = ignored
    """End its connection at once, for this reason."""
    leave: Callable[[str], object] = ignored
    """End its connection in order, for this reason. The link sets it, and finds the reason in `parting`."""
    parting: str = ""
    """Why its connection is to end in order, once it is to: see `part`."""
    held: bool = False
    """A link holds its connection, also after `connected` when it ends in order."""
    connected: bool = False
    readable: bool = False
    """The pipe stands in the ring of those that have something to receive."""
    read: Callable[[], Awaitable[bool]] | None = None
    """Have the calling task wait for this peer and read what it sends, while nobody else does.

    Returns whether other tasks had their turn meanwhile.
    """
    take: Callable[[], Message | None] = nothing
    """In a dialogue, while `read` may be called: block the thread until this peer sends something, and read it.

    Return the message if one came that can be received as it is. Otherwise put the messages that came into the inbox,
    and return None. Return None at once when another task of the run could run: `read` is the way to wait then.
    """
    hear: Callable[[], object] = nobody
    """As `take`, but put the messages that came into the inbox in any case. Return whether the connection was read."""
    write: Callable[[], None] = nobody
    """Have what is in the outbox, which is asleep, written at once."""
    watch: Callable[[], object] = nobody
    """Have its link read what it sends; who is in `read` comes back at once."""
    offer: Callable[[], object] = nobody
    """Called when `read` may be called again, as who still waits would rather."""
    wanted: bool = False
    """One task receives from this peer alone, and would rather have read by itself."""
    in_flight: int = 0
    """Messages taken from the outbox that the kernel does not wholly have yet."""
    shares: bool = False
    """Its link takes messages that are encoded already, once for many peers, and no others."""
    withheld: bool = False
    """The peer must not have what is in the outbox yet. The consumer is woken when it may."""
    wired: bool = False
    """The outbox holds the bytes of whole messages, as they go over the wire."""
    in_process: bool = False
    """The peer is in this process: what is in the outbox is already its own."""
    progress: Callable[[], object] | None = None
    """Called when the kernel took something or the queue moved: set while the socket flushes."""
    trusted: bool = False
    """Its peer says that it sends what was asked for and nothing else, and a SUB has no reason to look at it all."""
    retired: bool = False
    """Its endpoint is being closed: nothing more may be sent to it."""
    connections: int = 0
    """How often a peer was there."""
    messages_out: int = 0
    messages_in: int = 0
    bytes_out: int = 0
    bytes_in: int = 0

    @property
    def usable(self) -> bool:
        """The peer is there, and may be sent to."""
        return self.connected and not self.retired

    @property
    def unreceived(self) -> int:
        """How many messages wait to be received."""
        return len(self.inbox) + (0 if self.ready is self.inbox else len(self.ready))

    def part(self, reason: str) -> None:
        """End its connection in order: flush, half-close, and wait until the peer has taken all bytes.

        A connection that does not exist yet is ended when it does and what waits for it is sent.
        """
        if not self.parting and not self.in_process:
            self.parting = reason
            if not self.withheld:  # who withholds sees to it
                self.leave(reason)

    @property
    def settled(self) -> bool:
        """The peer's side has what was sent, and an orderly end that has begun is over."""
        return not self.unsent and not (self.held and self.parting)

    @property
    def unsent(self) -> bool:
        """Messages are here that the peer's side does not have."""
        return bool(self.outbox or self.in_flight) and not self.in_process

    def statistics(self) -> PeerStatistics:
        """Return its counters and queue lengths of this moment."""
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
