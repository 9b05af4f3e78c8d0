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
"""If a frame lacks at least this many bytes, they are read into a buffer of their own."""

_long_size = struct.Struct(">Q").unpack_from
_KNOWN_FLAGS = COMMAND | LONG | MORE
_SIZE_LIMIT = 2**63 - 1  # RFC 37: the most significant bit of a long size is zero
_SCRATCH_LIMIT = 4 * 1024 * 1024

_BLOCK = 32
"""The number of frames of one size that one call splits."""

_SHORTEST_RUN = 4
"""The shortest run of frames of one size for which the fast path is worth its cost."""


@lru_cache(maxsize=512)
def _block(header: int, size: int, count: int = _BLOCK) -> struct.Struct:
    return struct.Struct(f"{header}x{size}s" * count)


def _take_run(data: bytes, at: int, end: int, limit: int, messages: list[Message]) -> int:
    """Read the run of messages of one frame and one size at ``at``, in blocks, and return where the run ends.

    Most traffic has such runs, and reading them is four times as fast as reading frame by frame. The bytes at equal
    distances are the headers of such a run if they are all equal. This takes one comparison for each byte of a header.
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
    """Bytes in, whole messages out. Each command goes to ``on_command``, whose result is added to the messages.

    While ``commands_only`` is set, the handshake is not complete, and a message is an error.
    """

    _takes_any = True
    """A subclass clears this if it checks messages or has other frames. It allows the fast path of `decode`."""

    def __init__(
        self, on_command: Callable[[bytes], Message | None], max_message_size: int | None = None
    ) -> None:
        self.commands_only = True
        self.on_command = on_command
        self._limit = _SIZE_LIMIT if max_message_size is None else max_message_size
        self._header = b""
        """The received bytes of an incomplete header."""
        self._chunks: list[bytes] = []
        """The received bytes of an incomplete frame."""
        self._flags = 0
        """The flags of the incomplete frame."""
        self._missing = 0
        """The number of bytes that the incomplete frame lacks; 0 if no frame is incomplete."""
        self._scratch = bytearray()
        self._filled = 0
        """The number of bytes of the incomplete frame at the start of the scratch buffer."""
        self._frames: list[bytes] = []
        """The received frames of an incomplete message."""
        self._frames_size = 0

    @property
    def space(self) -> memoryview | None:
        """The buffer for the next bytes of a large frame, or None if no large frame is incomplete.

        All large frames use the same buffer, so the system does not allocate memory for each frame. The size of the
        buffer depends on received bytes, not on the announced size.
        """
        if not self._missing or (self._missing < READ_SIZE and not self._filled):
            return None
        if not self._filled and len(self._scratch) < self._missing:
            self._scratch = bytearray(min(self._missing, _SCRATCH_LIMIT))
        return memoryview(self._scratch)[self._filled : self._filled + self._missing]

    def filled(self, count: int) -> list[Message]:
        """Accept ``count`` bytes that were put into `space`. Return the message that they complete, if any."""
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
        """What is incomplete if the connection ends now, for the reason of that end; "" if nothing is."""
        if self._missing:
            got = sum(map(len, self._chunks)) + self._filled
            return f"{got} of the {got + self._missing} bytes of a frame had arrived"
        if self._header:
            return f"{len(self._header)} bytes of a frame's header had arrived"
        if self._frames:
            return f"{len(self._frames)} frames of a message had arrived, and more were announced"
        return ""

    def decode(self, data: bytes) -> list[Message]:
        """Return the messages that ``data`` completes.

        Raises `ProtocolError`, whose ``completed`` holds the messages before the fault.
        """
        if (
            len(data) > 1
            and data[0] == 0
            and data[1] == len(data) - 2 <= self._limit
            and not (self._missing or self._header or self._frames or self._scratch or self.commands_only)
            and self._takes_any
        ):
            return [data[2:]]  # one short message, with nothing before or after it: a step of a dialogue
        messages: list[Message] = []
        try:
            self._decode(data, messages)
        except ProtocolError as error:
            error.completed = messages
            raise
        except MemoryError:
            shortage = ProtocolError(f"no memory for received data: {self.unfinished or 'many messages at once'}")
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
                append(data[start:stop])  # a frame that is a whole message, as in most traffic
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
        self._scratch = bytearray()  # no large frame is incomplete

    def _resume(self, data: bytes, messages: list[Message]) -> int:
        """Continue the incomplete frame with ``data``, and return where the frame ends; 0 if it is still incomplete."""
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
        """Read one frame, and return where it ends. If it is incomplete, keep its bytes and return 0."""
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
            raise ProtocolError(f"malformed frame: the flags byte {flags:02x} is not defined by RFC 37")
        if flags & COMMAND:
            if size > limits.COMMAND:
                raise ProtocolError(f"oversize command: {size} bytes announced, the limit is {limits.COMMAND}")
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
            # An empty frame takes memory too, so an endless message of empty frames must reach the limit.
            self._frames_size += len(body) or 1
        elif self._frames:
            self._frames.append(body)
            messages.append(self._frames)
            self._frames = []
            self._frames_size = 0
        else:
            messages.append(body)
