"""How do bytes become messages? The frames of ZMTP 2.0 and later (RFCs 15, 23, 37), in batches.

::

    flags  size     body            flags: 01 MORE frames follow, 02 LONG size, 04 COMMAND
    u8     u8       size bytes
    u8|02  u64 BE   size bytes
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import chain

from ... import limits
from ...errors import ProtocolError
from ...message import Message
from .commands import COMMAND, LONG, MORE

READ_SIZE = 256 * 1024
"""Bytes still to come from which on a frame is worth a buffer of its own."""

_long_size = struct.Struct(">Q").unpack_from
_KNOWN_FLAGS = COMMAND | LONG | MORE
_SIZE_LIMIT = 2**63 - 1  # RFC 37: the most significant bit of a long size is zero
_SCRATCH_LIMIT = 4 * 1024 * 1024

_BLOCK = 32
"""Frames of one size that are taken apart by one call."""

_SHORTEST_RUN = 4
"""Frames of one size in a row from which on that is worth finding out."""


@lru_cache(maxsize=512)
def _block(header: int, size: int, count: int = _BLOCK) -> struct.Struct:
    return struct.Struct(f"{header}x{size}s" * count)


def _take_run(data: bytes, at: int, end: int, limit: int, messages: list[Message]) -> int:
    """Take the messages of one frame and one size that ``data`` starts with, by the block; return where they end.

    Much traffic is like that, and it is four times as fast as frame by frame: whether the headers at equal
    distances are equal, and so are headers indeed, is one comparison for each of their bytes.
    """
    if end - at < 9 or data[at] not in (0, LONG):
        return at
    start = at + 9 if data[at] else at + 2
    header = data[at:start]
    size = int.from_bytes(header[1:], "big")
    step = len(header) + size
    run = (end - at) // step
    if run < _SHORTEST_RUN or size > limit:
        return at
    for offset in range(len(header)):
        byte = header[offset : offset + 1]
        column = data[at + offset : at + run * step : step]
        if column != byte * run:
            run = len(column) - len(column.lstrip(byte))
    blocks, rest = divmod(run, _BLOCK)
    stop = at + blocks * _BLOCK * step
    if blocks:
        whole = _block(len(header), size).iter_unpack(memoryview(data)[at:stop])
        messages.extend(chain.from_iterable(whole))
    if rest >= _SHORTEST_RUN:
        messages += _block(len(header), size, rest).unpack_from(data, stop)
        stop += rest * step
    return stop


def messages_of(wires: Iterable[bytes]) -> list[Message]:
    """Return the messages that `encoding_v2.wire` has encoded."""
    decoder = Decoder(lambda _: None)
    decoder.commands_only = False
    return list(chain.from_iterable(map(decoder.decode, wires)))


class Decoder:
    """Bytes in, whole messages out; commands go to ``on_command`` as they pass, and what it returns comes out too.

    Until ``commands_only`` is cleared, the handshake lasts and a message is an error.
    """

    _takes_any = True
    """Each message is as good as any other, and its frames are those of this file: a short path is open."""

    def __init__(
        self, on_command: Callable[[bytes], Message | None], max_message_size: int | None = None
    ) -> None:
        self.commands_only = True
        self.on_command = on_command
        self._limit = _SIZE_LIMIT if max_message_size is None else max_message_size
        self._header = b""
        """The start of a header whose end has not come."""
        self._chunks: list[bytes] = []
        """The pieces so far of a frame whose end has not come."""
        self._flags = 0
        """That frame's flags."""
        self._missing = 0
        """Its bytes still to come; 0 when no frame is half here."""
        self._scratch = bytearray()
        self._filled = 0
        """Bytes of it at the start of the scratch buffer."""
        self._frames: list[bytes] = []
        """The frames so far of a message that goes on."""
        self._frames_size = 0

    @property
    def space(self) -> memoryview | None:
        """Where the next bytes of a large frame are to be put, for `filled`; None when none is on its way.

        One buffer serves for one large frame after the other, which saves the system from making memory for
        each anew. It grows with what comes, never with what is announced.
        """
        if not self._missing or (self._missing < READ_SIZE and not self._filled):
            return None
        if not self._filled and len(self._scratch) < self._missing:
            self._scratch = bytearray(min(self._missing, _SCRATCH_LIMIT))
        return memoryview(self._scratch)[self._filled : self._filled + self._missing]

    def filled(self, count: int) -> list[Message]:
        """Take ``count`` bytes that were put into `space`, and return the message that they complete, if any."""
        messages: list[Message] = []
        self._filled += count
        self._missing -= count
        if self._missing and self._filled < len(self._scratch):
            return messages
        piece = memoryview(self._scratch)[: self._filled]
        self._filled = 0
        if self._missing:
            self._chunks.append(bytes(piece))
        else:
            body = b"".join((*self._chunks, piece))
            self._chunks = []
            self._finish(self._flags, body, messages)
        return messages

    @property
    def unfinished(self) -> str:
        """What the bytes so far leave open, for the report of a connection that ends here; "" if nothing."""
        if self._missing:
            got = sum(map(len, self._chunks)) + self._filled
            return f"{got} of the {got + self._missing} bytes of a frame had come"
        if self._header:
            return f"{len(self._header)} bytes of a frame's header had come"
        if self._frames:
            return f"{len(self._frames)} frames of a message had come, and more were announced"
        return ""

    def decode(self, data: bytes) -> list[Message]:
        """Return the messages that ``data`` completes. Raises `ProtocolError`, which has those before the fault."""
        if (
            len(data) > 1
            and data[0] == 0
            and data[1] == len(data) - 2 <= self._limit
            and not (self._missing or self._header or self._frames or self._scratch or self.commands_only)
            and self._takes_any
        ):
            return [data[2:]]  # one short message, and nothing before or behind it: a step of a dialogue
        messages: list[Message] = []
        try:
            self._decode(data, messages)
        except ProtocolError as error:
            error.completed = messages
            raise
        except MemoryError:
            shortage = ProtocolError(f"no memory for what the peer sends: {self.unfinished or 'many messages at once'}")
            shortage.completed = messages
            raise shortage from None
        return messages

    def _decode(self, data: bytes, messages: list[Message]) -> None:
        at = 0
        if self._missing:
            at = self._resume(data, messages)
            if not at:
                return
        elif self._header:
            data = self._header + data
            self._header = b""
        append = messages.append
        end = len(data)
        limit = self._limit
        plain = not self.commands_only
        alone = plain and not self._frames
        if alone:
            at = _take_run(data, at, end, limit, messages)
        while end - at > 1:
            flags = data[at]
            start = stop = end + 1
            if flags <= MORE:
                start = at + 2
                stop = start + data[at + 1]
            elif flags <= LONG | MORE and end - at > 8:
                start = at + 9
                stop = start + _long_size(data, at + 1)[0]
            if stop > end or not plain or self._frames_size + stop - start > limit:
                stop = self._frame(data, at, end, messages)
                if not stop:
                    return
                plain = not self.commands_only
                alone = plain and not self._frames
            elif alone and not flags & MORE:
                append(data[start:stop])  # a frame that is a whole message: almost all traffic
            else:
                frames = self._frames
                frames.append(data[start:stop])
                if flags & MORE:
                    self._frames_size += stop - start or 1
                    alone = False
                else:
                    append(frames)
                    self._frames = []
                    self._frames_size = 0
                    alone = True
            at = stop
        self._header = data[at:]
        self._scratch = bytearray()  # large frames are over

    def _resume(self, data: bytes, messages: list[Message]) -> int:
        """Take what ``data`` has of a frame whose start came before; return where that ends, 0 when it goes on."""
        size = self._missing
        self._chunks.append(data[:size])
        self._missing -= len(self._chunks[-1])
        if self._missing:
            return 0
        body = b"".join(self._chunks)
        self._chunks = []
        self._finish(self._flags, body, messages)
        return size

    def _frame(self, data: bytes, at: int, end: int, messages: list[Message]) -> int:
        """Take any frame, and return where it ends; 0 when the end has not come and what is here was kept."""
        flags = data[at]
        start = at + 9 if flags & LONG else at + 2
        if start > end:
            self._check(flags, 0)
            self._header = data[at:]
            return 0
        size = int.from_bytes(data[at + 1 : start], "big")
        self._check(flags, size)
        stop = start + size
        if stop > end:
            self._flags = flags
            self._chunks = [data[start:]]
            self._missing = stop - end
            return 0
        self._finish(flags, data[start:stop], messages)
        return stop

    def _check(self, flags: int, size: int) -> None:
        if flags & ~_KNOWN_FLAGS or flags & (COMMAND | MORE) == COMMAND | MORE:
            raise ProtocolError(f"malformed frame: the flags byte {flags:02x} is none of RFC 37's")
        if flags & COMMAND:
            if size > limits.COMMAND:
                raise ProtocolError(f"oversize command: {size} bytes announced, at most {limits.COMMAND} are taken")
        elif self.commands_only:
            raise ProtocolError(f"a message of {size} bytes before the end of the handshake")
        else:
            self._check_size(size)

    def _check_size(self, size: int) -> None:
        if size + self._frames_size > self._limit:
            before = f" after {self._frames_size} in earlier frames" if self._frames_size else ""
            raise ProtocolError(f"oversize message: {size} bytes announced{before}, the limit is {self._limit}")

    def _finish(self, flags: int, body: bytes, messages: list[Message]) -> None:
        if flags & COMMAND:
            request = self.on_command(body)
            if request is not None:
                messages.append(request)
        elif flags & MORE:
            self._frames.append(body)
            # An empty frame takes memory too: a message of endless empty frames must meet the limit.
            self._frames_size += len(body) or 1
        elif self._frames:
            self._frames.append(body)
            messages.append(self._frames)
            self._frames = []
            self._frames_size = 0
        else:
            messages.append(body)
