"""How do messages become bytes, and bytes messages, with the oldest peers? In frames of ZMTP 1.0 (RFC 13: libzmq 2).

::

    size          flags   body              flags: 01 MORE frames follow
    u8            u8      size - 1 bytes
    FF u64 BE     u8      size - 1 bytes
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

from ...errors import ProtocolError
from ...message import Message, frames_of
from . import encoding_v2, framing_v2
from .commands import MORE


@lru_cache(maxsize=4096)
def _header(flags: int, size: int) -> bytes:
    size += 1  # the size includes the flags
    return bytes([size, flags]) if size < 255 else b"\xff" + size.to_bytes(8, "big") + bytes([flags])


_last_header = partial(_header, 0)
_more_header = partial(_header, MORE)


def encode(batch: Sequence[Message]) -> list[bytes]:
    """Return the bytes of ``batch`` as buffers to write in order. Small frames are joined, large frames not copied."""
    return encoding_v2.encode_mixed(batch, _last_header, _more_header)


def wire(message: Message) -> bytes:
    """Return the bytes of one message."""
    return b"".join(encode([message]))


def encoded_size(message: Message) -> int:
    """Return the number of bytes of ``message`` on the wire."""
    return sum(len(_last_header(len(frame))) + len(frame) for frame in frames_of(message))


class Decoder(framing_v2.Decoder):
    """Bytes in, whole messages out. ZMTP 1.0 has no commands, and its greeting ends before the first frame."""

    commands_only = False
    _takes_any = False  # the short path is for frames of 2.0 and later

    def _decode(self, data: bytes, messages: list[Message]) -> None:
        at = 0
        if self._missing:
            at = self._resume(data, messages)
            if not at:
                return
        elif self._header:
            data = self._header + data
            self._header = b""
        end = len(data)
        while at < end:
            at = self._frame(data, at, end, messages)
            if not at:
                return
        self._scratch = bytearray()  # no large frame is incomplete

    def _frame(self, data: bytes, at: int, end: int, messages: list[Message]) -> int:
        """Read one frame, and return where it ends. If it is incomplete, keep its bytes and return 0."""
        size = data[at]
        if not size:
            self._check(0, -1)
        start = at + 10 if size == 255 else at + 2
        if start > end:
            self._header = data[at:]
            return 0
        if size == 255:
            size = int.from_bytes(data[at + 1 : start - 1], "big")
        flags = data[start - 1]
        self._check(flags, size - 1)
        stop = start + size - 1
        if stop > end:
            self._flags = flags
            self._chunks = [data[start:]]
            self._missing = stop - end
            return 0
        self._finish(flags, data[start:stop], messages)
        return stop

    def _check(self, flags: int, size: int) -> None:
        if size < 0:
            raise ProtocolError("malformed frame: a size of 0, but the flags alone have 1 byte")
        if flags & ~MORE:
            raise ProtocolError(f"malformed frame: the flags byte {flags:02x} is not defined by RFC 13")
        self._check_size(size)
