"""What does libzmq send? Recorded bytes of libzmq 4.3.5 (pyzmq 27.3), which connected to a raw TCP socket.

The raw peer sent its signature first. libzmq then sent byte 10. After byte 10 of the peer, libzmq sent the rest.
"""

from __future__ import annotations

from attrs import frozen

from mq.message import Cancel, Subscribe

_REST = b"\x01NULL" + bytes(48)

_FIVE_MESSAGES = (
    b"\x00\x05hello"
    b"\x01\x01a\x01\x00\x00\x03ccc"
    b"\x00\x00"
    b"\x00\xff" + b"x" * 255 + b"\x02\x00\x00\x00\x00\x00\x00\x01\x00" + b"y" * 256
)
"""``hello``, ``[a, "", ccc]``, an empty message, 255 and 256 bytes."""

_FIVE = [b"hello", [b"a", b"", b"ccc"], b"", b"x" * 255, b"y" * 256]


@frozen
class Recording:
    """The bytes of one peer, and their meaning."""

    peer_type: str
    ours: str
    data: bytes
    messages: list[bytes | list[bytes]]
    properties: dict[bytes, bytes]
    answers: bytes = b""
    """The bytes that our side must send after its READY."""


LIBZMQ = {
    "a DEALER with the identity me": Recording(
        "DEALER",
        "ROUTER",
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x03\x7f\x03"
        + _REST
        + b"\x04+\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x02me"
        + _FIVE_MESSAGES
        + b"\x04\t\x04PONGctx9",
        _FIVE,
        {b"Socket-Type": b"DEALER", b"Identity": b"me"},
    ),
    "a PUSH": Recording(
        "PUSH",
        "PULL",
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03"
        + _REST
        + b"\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x04PUSH"
        + _FIVE_MESSAGES
        + b"\x04\t\x04PONGctx9",
        _FIVE,
        {b"Socket-Type": b"PUSH"},
    ),
    "a PUSH with a property of the application": Recording(
        "PUSH",
        "PULL",
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03"
        + _REST
        + b"\x04,\x05READY\x0bSocket-Type\x00\x00\x00\x04PUSH\x06X-Room\x00\x00\x00\x07kitchen\x00\x01q",
        [b"q"],
        {b"Socket-Type": b"PUSH", b"X-Room": b"kitchen"},
    ),
    "a PAIR with heartbeats": Recording(
        "PAIR",
        "PAIR",
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03"
        + _REST
        + b"\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x04PAIR\x04\x07\x04PING\x00\x14",
        [],
        {b"Socket-Type": b"PAIR"},
        answers=b"\x04\x05\x04PONG",
    ),
    "a SUB": Recording(
        "SUB",
        "PUB",
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03"
        + _REST
        + b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB\x04\x0f\tSUBSCRIBEtopic",
        [Subscribe(b"topic")],
        {b"Socket-Type": b"SUB"},
    ),
}


@frozen
class Said:
    """All bytes that libzmq sends to a peer of an old version that sends first."""

    socket_type: str
    identity: bytes
    heard: bytes
    """All bytes of the old peer."""
    said: bytes
    sent: list[bytes | list[bytes]]
    """The calls of the application that uses libzmq."""


_SIGNATURE = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f"
_SIGNATURE_ME = b"\xff\x00\x00\x00\x00\x00\x00\x00\x03\x7f"
_TOPICS = [Subscribe(b"topic"), Subscribe(b"t" * 254), Cancel(b"topic")]
_FIVE_MESSAGES_1_0 = (
    b"\x06\x00hello"
    b"\x02\x01a\x01\x01\x04\x00ccc"
    b"\x01\x00"
    b"\xff\x00\x00\x00\x00\x00\x00\x01\x00\x00" + b"x" * 255 + b"\xff\x00\x00\x00\x00\x00\x00\x01\x01\x00" + b"y" * 256
)
_TOPICS_1_0 = b"\x07\x00\x01topic\xff\x00\x00\x00\x00\x00\x00\x01\x00\x00\x01" + b"t" * 254 + b"\x07\x00\x00topic"

TO_OLD_PEERS = {
    "a DEALER to 2.0": Said(
        "DEALER", b"me", _SIGNATURE + b"\x01\x06\x00\x00", _SIGNATURE_ME + b"\x03\x05\x00\x02me" + _FIVE_MESSAGES, _FIVE
    ),
    "a PUSH to 2.0": Said(
        "PUSH", b"", _SIGNATURE + b"\x01\x07\x00\x00", _SIGNATURE + b"\x03\x08\x00\x00" + _FIVE_MESSAGES, _FIVE
    ),
    "a SUB to 2.0": Said(
        "SUB",
        b"",
        _SIGNATURE + b"\x01\x01\x00\x00",
        _SIGNATURE
        + b"\x03\x02\x00\x00\x00\x06\x01topic\x00\xff\x01" + b"t" * 254 + b"\x00\x06\x00topic",
        _TOPICS,
    ),
    "a DEALER to 1.0 with a version": Said(
        "DEALER",
        b"me",
        _SIGNATURE + b"\x00\x06\x01\x00",
        _SIGNATURE_ME + b"\x03\x05\x03\x00me" + _FIVE_MESSAGES_1_0,
        _FIVE,
    ),
    "a SUB to 1.0 with a version": Said(
        "SUB", b"", _SIGNATURE + b"\x00\x01\x01\x00", _SIGNATURE + b"\x03\x02\x01\x00" + _TOPICS_1_0, _TOPICS
    ),
    "a DEALER to 1.0": Said("DEALER", b"me", b"\x01\x00", _SIGNATURE_ME + b"me" + _FIVE_MESSAGES_1_0, _FIVE),
    "a PUSH to 1.0": Said("PUSH", b"", b"\x01\x00", _SIGNATURE + _FIVE_MESSAGES_1_0, _FIVE),
    "a SUB to 1.0": Said("SUB", b"", b"\x01\x00", _SIGNATURE + _TOPICS_1_0, _TOPICS),
}
