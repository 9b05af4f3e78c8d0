"""How do messages become bytes? In frames of ZMTP 2.0 and later, by the batch; framing_v2 shows the format."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...message import Message, frames_of
from .commands import LONG, MORE

JOINED = 64 * 1024
"""The approximate size of a buffer of joined small frames, in bytes. A buffer of this size stays in the CPU cache."""

LARGE = 32 * 1024
"""A frame of at least this many bytes goes to the kernel without a copy. Smaller frames are joined."""

_LAST, _FIRST = 0, MORE


class _Headers(dict[int, bytes]):
    """Frame headers by size, made at first use. Most traffic has few sizes."""

    def __init__(self, flags: int) -> None:
        super().__init__()
        self.flags = flags

    def __missing__(self, size: int) -> bytes:
        header = bytes([self.flags, size]) if size < 256 else bytes([self.flags | LONG]) + size.to_bytes(8, "big")
        if len(self) < 4096:
            self[size] = header
        return header


_HEADERS = (_Headers(_LAST), _Headers(_FIRST))
header_of = _HEADERS[0].__getitem__
"""Return the header of the last or only frame of a message, for the size of the frame."""
more_header_of = _HEADERS[1].__getitem__
"""Return the header of a frame that is followed by other frames, for the size of the frame."""


def encode(batch: Sequence[Message]) -> list[bytes]:
    """Return the bytes of ``batch`` as buffers to write in order. Small frames are joined, large frames not copied."""
    first = batch[0]
    if len(batch) == 1 and type(first) is bytes and len(first) < LARGE:  # a step of a dialogue
        return [header_of(len(first)) + first]
    sizes = set(map(len, batch))
    if len(sizes) == 1 and type(first) is bytes:
        size = sizes.pop()
        if size < LARGE:
            # Most traffic has messages of one frame and one size. One call joins the whole batch.
            header = header_of(size)
            some = JOINED // (len(header) + size) + 1
            try:
                return [header.join((b"", *batch[at : at + some])) for at in range(0, len(batch), some)]  # type: ignore[arg-type]
            except TypeError:  # a message of several frames is among them
                pass
    return encode_mixed(batch)


def encode_mixed(
    batch: Sequence[Message],
    last_header: Callable[[int], bytes] = header_of,
    more_header: Callable[[int], bytes] = more_header_of,
) -> list[bytes]:
    """Encode as `encode` does, with the headers of any framing and without its fast paths."""
    buffers: list[bytes] = []
    small: list[bytes] = []
    small_size = 0
    for message in batch:
        frames: Sequence[bytes] = [message] if isinstance(message, bytes) else message
        left = len(frames)
        for frame in frames:
            left -= 1
            size = len(frame)
            small.append(more_header(size) if left else last_header(size))
            if size < LARGE:
                small.append(frame)
                small_size += size
                if small_size < JOINED:
                    continue
                buffers.append(b"".join(small))
            else:
                buffers.append(b"".join(small))
                buffers.append(frame)
            small = []
            small_size = 0
    if small:
        buffers.append(b"".join(small))
    return buffers


def wire(message: Message) -> bytes:
    """Return the bytes of one message for `gather`, so that a message for many peers is encoded once."""
    if isinstance(message, bytes):
        return header_of(len(message)) + message
    return b"".join(encode_mixed([message]))


def wires(batch: Sequence[Message]) -> list[bytes]:
    """Return the `wire` of each message of ``batch``."""
    sizes = set(map(len, batch))
    if len(sizes) == 1:
        try:
            return list(map(header_of(sizes.pop()).__add__, batch))  # type: ignore[arg-type]
        except TypeError:  # a message of several frames is among them
            pass
    return list(map(wire, batch))


def gather(wires: Sequence[bytes]) -> list[bytes]:
    """Return messages that `wire` has encoded, as buffers to write. Small ones are joined, large ones not copied."""
    sizes = set(map(len, wires))
    if len(sizes) == 1:
        size = sizes.pop()
        if size < LARGE:
            some = JOINED // size + 1
            return [b"".join(wires[at : at + some]) for at in range(0, len(wires), some)]
    buffers: list[bytes] = []
    small: list[bytes] = []
    small_size = 0
    for each in wires:
        size = len(each)
        if size < LARGE:
            small.append(each)
            small_size += size
            if small_size < JOINED:
                continue
            buffers.append(b"".join(small))
        else:
            if small:
                buffers.append(b"".join(small))
            buffers.append(each)
        small = []
        small_size = 0
    if small:
        buffers.append(b"".join(small))
    return buffers


def encoded_size(message: Message) -> int:
    """Return the number of bytes of ``message`` on the wire."""
    return sum(len(header_of(len(frame))) + len(frame) for frame in frames_of(message))
