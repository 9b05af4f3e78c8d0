"""What does a peer send? Bytes of ZMTP, written by hand from RFC 37, and functions that deliver them in any pieces.

Nothing here uses the code under test to make bytes: these are the other side's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st

from mq.errors import ProtocolError
from mq.protocols.zmtp import Connection, Peer

SIGNATURE = bytes.fromhex("ff 00 00 00 00 00 00 00 01 7f")


def greeting(mechanism: bytes = b"NULL", major: int = 3, minor: int = 1, signature: bytes = SIGNATURE) -> bytes:
    """Return the 64 bytes that open a connection."""
    return signature + bytes([major, minor]) + mechanism.ljust(20, b"\0") + bytes(32)


def frame(body: bytes, flags: int = 0) -> bytes:
    """Return a frame, in the long form only if the size does not fit into the short form."""
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return bytes([flags | 2]) + len(body).to_bytes(8, "big") + body


def frame_1_0(body: bytes, flags: int = 0) -> bytes:
    """Return a frame of ZMTP 1.0. Its size includes the flags."""
    size = len(body) + 1
    return (bytes([size]) if size < 255 else b"\xff" + size.to_bytes(8, "big")) + bytes([flags]) + body


def multipart_1_0(*frames: bytes) -> bytes:
    """Return the frames of one message in ZMTP 1.0."""
    return b"".join(frame_1_0(body, 1) for body in frames[:-1]) + frame_1_0(frames[-1])


def opening_2_0(socket_type: str, identity: bytes = b"") -> bytes:
    """Return all bytes of a ZMTP 2.0 peer before its first message."""
    return SIGNATURE + b"\x01" + bytes([NUMBERS[socket_type]]) + frame(identity)


def opening_1_0(socket_type: str, identity: bytes = b"") -> bytes:
    """Return all bytes of a ZMTP 1.0 peer with a version before its first message."""
    return SIGNATURE + b"\x00" + bytes([NUMBERS[socket_type]]) + frame_1_0(identity)


NUMBERS = {"PAIR": 0, "PUB": 1, "SUB": 2, "REQ": 3, "REP": 4, "DEALER": 5, "ROUTER": 6, "PULL": 7, "PUSH": 8}
NUMBERS |= {"XPUB": 9, "XSUB": 10}


def multipart(*frames: bytes) -> bytes:
    """Return the frames of one message."""
    return b"".join(frame(body, 1) for body in frames[:-1]) + frame(frames[-1])


def command(name: bytes, data: bytes = b"") -> bytes:
    """Return a command frame."""
    return frame(bytes([len(name)]) + name + data, 4)


def ready(**properties: bytes) -> bytes:
    """Return a READY command; an underscore in a name stands for a hyphen."""
    named = [(name.replace("_", "-").encode(), value) for name, value in properties.items()]
    return command(
        b"READY", b"".join(bytes([len(name)]) + name + len(value).to_bytes(4, "big") + value for name, value in named)
    )


def opening(socket_type: bytes, minor: int = 1) -> bytes:
    """Return all bytes of a peer of ``socket_type`` before its first message."""
    return greeting(minor=minor) + ready(Socket_Type=socket_type)


@define
class Heard:
    """The result of a stream of bytes."""

    messages: list[bytes | list[bytes]] = field(factory=list)
    kinds: list[type] = field(factory=list)
    """The types of the messages. A request and a message are equal if their bytes are equal."""
    answers: bytes = b""
    peer: Peer | None = None
    refused: bool = False
    reason: str = field(default="", eq=False)
    """The text of the error. It may quote the received bytes, which depend on the pieces."""


def feed(connection: Connection, piece: bytes) -> list[bytes | list[bytes]]:
    """Pass ``piece`` to the connection as a link does: into the space for a large frame, if there is one."""
    messages: list[bytes | list[bytes]] = []
    while piece and (space := connection.space) is not None:
        count = min(len(space), len(piece))
        space[:count] = piece[:count]
        piece = piece[count:]
        messages += connection.filled(count)
    return messages + connection.decode(piece) if piece else messages


def hear(connection: Connection, pieces: Iterable[bytes]) -> Heard:
    """Pass ``pieces`` to ``connection`` until they end, or until it raises an error."""
    heard = Heard(answers=connection.take_output())
    try:
        for piece in pieces:
            heard.messages += feed(connection, piece)
            heard.answers += connection.take_output()
    except ProtocolError as error:
        heard.messages += error.completed
        heard.answers += connection.take_output()
        heard.refused = True
        heard.reason = str(error)
    heard.peer = connection.peer
    heard.kinds = [message.__class__ for message in heard.messages]
    return heard


def listening(socket_type: str = "PULL", max_message_size: int | None = None, minor: int = 1) -> Connection:
    """Return a connection after its handshake."""
    connection = Connection(socket_type, max_message_size=max_message_size)
    hear(connection, [opening(PARTNERS[socket_type].encode(), minor)])
    assert connection.peer is not None
    return connection


_PARTNERS = "PULL PUSH, PAIR PAIR, ROUTER DEALER, REQ REP, PUB SUB, XPUB XSUB, RADIO DISH"
PARTNERS = dict(pair.split() for pair in _PARTNERS.split(", "))
PARTNERS |= {theirs: ours for ours, theirs in PARTNERS.items()}


def converse(left: Connection, right: Connection) -> None:
    """Exchange the bytes of two connections until both have nothing to send."""
    while left.output or right.output:
        right.decode(left.take_output())
        left.decode(right.take_output())


def byte_by_byte(data: bytes) -> list[bytes]:
    """Split ``data`` into single bytes."""
    return [data[at : at + 1] for at in range(len(data))]


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Split ``data`` at those of ``places`` that are inside it."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges) if stop > start]


cuts = st.lists(st.integers(0, 2**20), max_size=12)

steady = settings(derandomize=True, deadline=None, max_examples=60, database=None)
"""Settings with the same examples in every run, and without a deadline for slow machines."""
