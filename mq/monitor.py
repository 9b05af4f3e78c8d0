"""What happened to a socket's links? The events that ``socket.monitor()`` yields, and its statistics."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


@frozen(kw_only=True)
class Event:
    """Something happened at ``endpoint``, as it was given to bind (resolved) or connect."""

    endpoint: str


@frozen(kw_only=True)
class Listening(Event):
    """bind() listens."""


@frozen(kw_only=True)
class Closed(Event):
    """A listener stopped, or an endpoint was disconnected: nothing more comes from it."""


@frozen(kw_only=True)
class Accepted(Event):
    """A listener has a new connection, from ``peer``; its handshake is still to come."""

    peer: str


@frozen(kw_only=True)
class AcceptFailed(Event):
    """A listener could not take a connection, as when file descriptors run out. It goes on listening."""

    reason: str


@frozen(kw_only=True)
class Connected(Event):
    """connect() reached ``peer``; the handshake is still to come."""

    peer: str


@frozen(kw_only=True)
class ConnectDelayed(Event):
    """An attempt to connect failed for ``reason``."""

    reason: str


@frozen(kw_only=True)
class ConnectRetried(Event):
    """The next attempt to connect comes after ``delay`` seconds."""

    delay: float


@frozen(kw_only=True)
class Handshaken(Event):
    """The peer is there: a socket of type ``socket_type``, speaking ZMTP ``version`` with ``mechanism``.

    ``metadata`` is what its application tells of itself, under names that begin with ``X-``.
    """

    peer: str
    socket_type: str
    version: tuple[int, int]
    mechanism: str
    metadata: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class HandshakeFailed(Event):
    """The connection ended before its handshake was complete, for ``reason``."""

    peer: str
    reason: str


@frozen(kw_only=True)
class Disconnected(Event):
    """A peer whose handshake was complete is gone, for ``reason``."""

    peer: str
    reason: str


@frozen(kw_only=True)
class Dropped(Event):
    """``count`` messages are lost, for ``reason``: sent ones that reach nobody, or received ones that nobody takes.

    The reason "unacknowledged" means that the kernel had them, and the peer's side did not acknowledge ``bytes`` bytes
    before the connection ended. The kernel counts no messages, so ``count`` is estimated from their average size. For
    other reasons ``bytes`` is 0.
    """

    count: int
    reason: str
    bytes: int = 0


@frozen(kw_only=True)
class PeerStatistics:
    """One peer now: its queues, and its messages and bytes so far. Handshakes count, inproc moves no bytes."""

    endpoint: str
    peer: str
    connected: bool
    queued_out: int
    queued_in: int
    messages_out: int
    messages_in: int
    bytes_out: int
    bytes_in: int


@frozen(kw_only=True)
class Statistics:
    """A socket at one moment. Messages count when send() accepts and receive() returns them.

    ``queued_in`` also counts what peers that are gone have left; ``peers`` are those that are not.
    """

    peers: tuple[PeerStatistics, ...]
    messages_out: int
    messages_in: int
    bytes_out: int
    bytes_in: int
    queued_out: int
    queued_in: int
    dropped: Mapping[str, int]
    reconnects: int
