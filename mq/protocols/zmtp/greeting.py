"""How does a connection open? With a greeting of RFC 37, sent in steps that peers of older versions understand too.

::

    0         1 .. 8     9      10     11     12 .. 31    32         33 .. 63
    FF        padding    7F     03     minor  mechanism   as-server  zeros           3.x (RFC 37)
    FF        padding    7F     01     type   an identity frame as in framing_v2     2.0 (RFC 15)
    FF        padding    7F     00     type   an identity frame as in framing_v1     1.0 with a version
    an identity frame as in framing_v1                                               1.0 (RFC 13)
    '------ step 1 ------'  '- 2 -'  '------------------ step 3 ---------------'

Byte 10 is sent when the signature of the peer has arrived, and the rest when byte 10 of the peer has arrived. A ZMTP
1.0 peer reads our signature as the header of an identity frame: the padding is the size of the frame, and our identity
is its body.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ... import limits
from ...errors import ProtocolError
from ...message import shortened
from . import encoding_v2, framing_v1
from .commands import LONG
from .peers import NUMBERED, check_peer

MAJOR = b"\x03"
MINOR = b"\x01"

_REST_SIZE = 53
_MECHANISM = slice(1, 21)
_IDENTITIES = range(limits.ROUTING_ID + 1)
"""The valid sizes of an identity."""

_NOT_THERE = dict.fromkeys(
    (b"PLAIN", b"CURVE", b"GSSAPI"), ", which mq does not have yet: switch security off at the peer"
)
"""The advice for the other mechanisms of libzmq."""

_Next: TypeAlias = tuple[str | None, int]

_LOOKS_LIKE = {
    (b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"PRI ", b"HTTP/"): "HTTP",
    (b"SSH-",): "SSH",
    (b"\x16\x03",): "TLS",
}
"""The first bytes of other protocols that programs send to open ports."""


class Greeting:
    """The greeting of one connection: pass received bytes to `receive`. ``say`` is called with the bytes to send.

    When ``waits_for`` is None, the greeting is complete. The handshake follows, or traffic if ``version`` is below 3.0.
    """

    def __init__(self, say: Callable[[bytes], None], socket_type: str, identity: bytes, mechanism: bytes) -> None:
        self.waits_for: str | None = "signature"
        self.version = (0, 0)
        self.unversioned = False
        """The peer sends no version and no socket type, and cannot subscribe."""
        self.socket_type = ""
        """The socket type of the peer, if its greeting contains the type."""
        self.identity = b""
        """The identity of the peer, if its greeting contains the identity."""
        self._say = say
        self._ours = socket_type
        self._our_identity = identity
        self._mechanism = mechanism
        self._received = b""
        self._at = 0
        self._size = 1
        self._first = b""
        """The first byte of the identity frame."""
        say(b"\xff" + (len(identity) + 1).to_bytes(8, "big") + b"\x7f")

    def receive(self, data: bytes) -> bytes | None:
        """Accept received bytes. Return the bytes after the greeting, or None while the greeting is incomplete.

        Raises `ProtocolError`.
        """
        self._received += data
        while self.waits_for is not None:
            end = self._at + self._size
            if len(self._received) < end:
                return None
            chunk = self._received[self._at : end]
            self._at = end
            self.waits_for, self._size = _STEPS[self.waits_for](self, chunk)
        rest = self._received[self._at :]
        self._received = b""
        return rest

    def _signature(self, first: bytes) -> _Next:
        if first == b"\xff":
            return "signature's padding", 9
        self.unversioned = True
        self.version = (1, 0)
        return self._identity_frame(first)

    def _padding(self, data: bytes) -> _Next:
        if data[-1] & 1:
            self._say(MAJOR)
            return "version", 1
        self.unversioned = True
        self.version = (1, 0)
        self._first = b"\xff"
        return self._identity_size(data)

    def _version(self, data: bytes) -> _Next:
        major = data[0]
        if major > 1:
            self.version = (major, 0)
            self._say(MINOR + self._mechanism.ljust(20, b"\0") + bytes(32))  # as-server is 0, as from libzmq
            return "mechanism", _REST_SIZE
        self.version = (major + 1, 0)
        self._check_old()
        self._say(bytes([NUMBERED.index(self._ours)]))
        return "socket type", 1

    # -- 3.x -----------------------------------------------------------------------------------------------

    def _rest(self, data: bytes) -> _Next:
        # In RFC 37, byte 10 of a 2.0 peer may be 1 or 2, but no 2.0 peer sends 2. libzmq speaks 3.1 to such a peer.
        self.version = (3, 1) if self.version[0] == 2 else (self.version[0], data[0])
        mechanism = data[_MECHANISM].rstrip(b"\0")
        if mechanism != self._mechanism:
            wanted = mechanism.decode("ascii", "backslashreplace") or "none"
            advice = _NOT_THERE.get(mechanism, "")
            raise ProtocolError(f"mechanism mismatch: {self._mechanism.decode()} here, the peer wants {wanted}{advice}")
        return None, 0

    # -- 2.0 and 1.0 ---------------------------------------------------------------------------------------

    def _socket_type(self, data: bytes) -> _Next:
        number = data[0]
        self.socket_type = NUMBERED[number] if number < len(NUMBERED) else f"of unknown type {number}"
        check_peer(self._ours, self.socket_type)
        wire = framing_v1.wire if self.version == (1, 0) else encoding_v2.wire
        self._say(wire(self._our_identity))
        return "identity", 1

    def _identity_frame(self, first: bytes) -> _Next:
        self._first = first
        if self.version == (1, 0):
            if first == b"\0":
                raise self._malformed("a size of 0")
            return "identity's size", 9 if first == b"\xff" else 1
        return "identity's size", 8 if first[0] & LONG else 1

    def _identity_size(self, rest: bytes) -> _Next:
        header = self._first + rest
        if self.version == (1, 0):
            flags = header[-1]
            size = int.from_bytes(header[1:-1] or header[:1], "big") - 1
        else:
            flags = header[0] & ~LONG
            size = int.from_bytes(header[1:], "big")
        if flags:
            raise self._malformed(f"the flags {flags:02x}")
        if size not in _IDENTITIES:
            raise self._malformed(f"a body of {size} bytes")
        if self.unversioned:
            self._check_old()
            self._say(self._our_identity)  # our signature was the header of this frame
        return "identity's body", size

    def _identity_body(self, data: bytes) -> _Next:
        self.identity = data
        return None, 0

    def _check_old(self) -> None:
        version = f"the peer speaks ZMTP {self.version[0]}.{self.version[1]}, which has no"
        if self._ours not in NUMBERED:
            raise ProtocolError(f"{version} {self._ours}: it needs at least 3.0")
        if self._mechanism != b"NULL":
            ours = self._mechanism.decode()
            raise ProtocolError(f"mechanism mismatch: {ours} here, {version} mechanisms: it needs at least 3.0")

    def _malformed(self, what: str) -> ProtocolError:
        if not self.unversioned:
            return ProtocolError(f"malformed identity frame: {what}; a valid one has no flags and at most 255 bytes")
        received = shortened(self._received[:64])
        for signs, name in _LOOKS_LIKE.items():
            if self._received.startswith(signs):
                received += f", which looks like {name}"
        return ProtocolError(f"not ZMTP: received {received}; in ZMTP 1.0 this is an identity frame with {what}")


_STEPS: dict[str, Callable[[Greeting, bytes], _Next]] = {
    "signature": Greeting._signature,
    "signature's padding": Greeting._padding,
    "version": Greeting._version,
    "mechanism": Greeting._rest,
    "socket type": Greeting._socket_type,
    "identity": Greeting._identity_frame,
    "identity's size": Greeting._identity_size,
    "identity's body": Greeting._identity_body,
}
"""For each awaited part of the greeting, the step that reads it and returns the name and size of the next part."""
