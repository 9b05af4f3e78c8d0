"""What is the mechanism NULL (RFC 37)? Both sides send READY at once, without encryption or authentication."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ....errors import ProtocolError
from ....message import shortened
from ..commands import decode_error, decode_properties, encode_command, encode_properties


class Null:
    """One side of the NULL handshake."""

    name = b"NULL"

    def __init__(self, properties: Mapping[bytes, bytes]) -> None:
        self._ours = properties
        self.theirs: dict[bytes, bytes] | None = None
        """The peer's properties, once the handshake is complete."""

    def start(self) -> bytes:
        """Return the bytes to send when the greetings are complete."""
        return encode_command(b"READY", encode_properties(self._ours))

    def receive(self, name: bytes, data: bytes) -> bytes:
        """Accept the next command of the peer, and return the bytes to send. Raises `ProtocolError`."""
        step = _STEPS.get(name)
        if step is None:
            raise ProtocolError(f"NULL handshake: expected READY or ERROR, received the command {shortened(name)}")
        return step(self, data)

    def _ready(self, data: bytes) -> bytes:
        self.theirs = decode_properties(data)
        return b""

    def _error(self, data: bytes) -> bytes:
        raise ProtocolError(f"the peer refused the handshake: ERROR {decode_error(data)!r}")


_STEPS: dict[bytes, Callable[[Null, bytes], bytes]] = {
    b"READY": Null._ready,
    b"ERROR": Null._error,
}
