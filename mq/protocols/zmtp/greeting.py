"""How does a connection open? The 64 bytes of RFC 37's greeting, sent in the steps that older peers need.

::

    0         1 .. 8     9      10     11     12 .. 31    32         33 .. 63
    FF        padding    7F     major  minor  mechanism   as-server  zeros
    '------ step 1 ------'  '- 2 -'  '------------------ step 3 ---------------'

Byte 10 is sent when the peer's signature has come, the rest when its byte 10 has: a ZMTP 1.0 peer would read
what follows the signature as a message, and a 2.0 peer expects other bytes there.
"""

from __future__ import annotations

from ...errors import ProtocolError
from ...message import shortened

SIGNATURE = b"\xff" + bytes(7) + b"\x01\x7f"
MAJOR = b"\x03"
MINOR = b"\x01"

SIGNATURE_SIZE = 10
MAJOR_SIZE = 1
REST_SIZE = 53
_MECHANISM = slice(1, 21)


def check_signature(data: bytes) -> None:
    """Raise `ProtocolError` unless ``data`` starts like a ZMTP 2 or 3 signature, as far as it goes."""
    if data[0] != 0xFF:
        raise ProtocolError(f"not ZMTP: the greeting starts with FF, received {shortened(bytes(data))}")
    if len(data) == SIGNATURE_SIZE and not data[9] & 1:
        raise ProtocolError(f"the peer speaks ZMTP 1.0 or no ZMTP: received {data.hex(' ')}")


def check_major(major: int) -> None:
    """Raise `ProtocolError` for versions before 3.0."""
    if major < 3:
        version = "1.0" if major == 0 else "2.0"  # RFC 37: 1 and 2 stand for ZMTP 2.0
        raise ProtocolError(f"the peer speaks ZMTP {version}, which is too old: at least 3.0 is needed")


def rest(mechanism: bytes) -> bytes:
    """Return bytes 11 to 63. as-server is 0, as libzmq always sends it."""
    return MINOR + mechanism.ljust(20, b"\0") + bytes(32)


def read_rest(data: bytes) -> tuple[int, bytes]:
    """Return the peer's minor version and mechanism."""
    return data[0], data[_MECHANISM].rstrip(b"\0")
