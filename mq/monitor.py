"""What happened to the connections of a socket? The events of ``socket.monitor()``, and ``socket.statistics()``."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


@frozen(kw_only=True)
class Event:
    """The base class of all events.

    ``endpoint`` is the result of ``bind``, or the argument of ``connect``.
    """

    endpoint: str


@frozen(kw_only=True)
class Listening(Event):
    """``bind`` listens at the endpoint."""


@frozen(kw_only=True)
class Closed(Event):
    """A listener stopped, or the socket disconnected from the endpoint or gave it up. No further events follow."""


@frozen(kw_only=True)
class Accepted(Event):
    """A listener accepted a connection from the address ``peer``. The handshake follows."""

    peer: str


@frozen(kw_only=True)
class AcceptFailed(Event):
    """A listener could not accept a connection for ``reason``, such as a lack of file descriptors.

    The listener continues to listen. The event is not repeated while the reason stays the same.
    """

    reason: str


@frozen(kw_only=True)
class Connected(Event):
    """A connection to the address ``peer`` was made. The handshake follows."""

    peer: str


@frozen(kw_only=True)
class ConnectDelayed(Event):
    """An attempt to connect failed for ``reason``."""

    reason: str


@frozen(kw_only=True)
class ConnectRetried(Event):
    """The next attempt to connect begins after ``delay`` seconds."""

    delay: float


@frozen(kw_only=True)
class Handshaken(Event):
    """The handshake is complete, and messages can flow.

    The peer is a socket of type ``socket_type``, such as "PUSH". ``version`` is the ZMTP version of the connection,
    and ``mechanism`` its security mechanism. ``metadata`` is the option `metadata` of the peer.
    """

    peer: str
    socket_type: str
    version: tuple[int, int]
    mechanism: str
    metadata: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class HandshakeFailed(Event):
    """A connection ended for ``reason`` before its handshake was complete."""

    peer: str
    reason: str


@frozen(kw_only=True)
class Disconnected(Event):
    """A connection with a complete handshake ended for ``reason``."""

    peer: str
    reason: str


@frozen(kw_only=True)
class Dropped(Event):
    """``count`` messages were dropped for ``reason``: sent messages without a recipient, or received messages.

    The reason "unacknowledged" means that the kernel had the messages, and that the peer's kernel had not acknowledged
    ``bytes`` bytes when the connection ended. The kernel does not count messages, so ``count`` is an estimate from the
    average size of a message. For other reasons ``bytes`` is 0.
    """

    count: int
    reason: str
    bytes: int = 0


@frozen(kw_only=True)
class PeerStatistics:
    """A snapshot of one peer: the lengths of its queues, and its messages and bytes so far.

    Bytes are counted on the wire, with the handshake. An `inproc` peer has no bytes.
    """

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
    """A snapshot of a socket.

    ``messages_out`` counts a message when ``send`` accepts it, and ``messages_in`` when ``receive`` returns it.
    ``dropped`` maps each reason to the number of dropped messages. ``queued_in`` includes the messages that
    disconnected peers have left. ``peers`` holds the connected peers and the endpoints of ``connect``.
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
