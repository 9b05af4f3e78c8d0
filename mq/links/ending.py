"""How does a connection end so that the peer gets all bytes? The link ends writing first, and closes last.

If a TCP connection is closed while the peer still writes, even only a PONG, the kernel answers with a reset and
discards the bytes that it has not delivered yet. So an orderly end has three steps: flush, half-close, and read until
the peer has taken all bytes and has closed too. The bytes that arrive meanwhile are discarded.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import trio

from ..transports import Stream
from .writing import Writer

_READ = 64 * 1024

_POLL = 0.001, 0.1
"""Seconds between two looks at the number of unacknowledged bytes: at first, and at most. No event reports it."""

_HEARD = 6
"""How many times its patience `drain` waits at most for a peer that goes on sending and does not close.

nginx has the same factor: its lingering_timeout is 5 s, its lingering_time 30 s.
"""


@trio.lowlevel.enable_ki_protection
async def flush(stream: Stream, writer: Writer, half_open: bool) -> bool:
    """Write all unsent messages, then half-close. Return False if the connection ended first.

    If the connection may be ``half_open``, a peer that has ended its own side still reads. There is no time limit: the
    caller cancels.
    """
    written = False
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        @trio.lowlevel.enable_ki_protection
        async def discard() -> None:
            sink = _Sink(stream)
            while not sink.over:
                await sink.wait()
                sink.read()
            if sink.broken or not half_open:
                nursery.cancel_scope.cancel()

        with suppress(OSError):
            await writer.finish()
            written = True
        nursery.cancel_scope.cancel()
    return written


async def drain(stream: Stream, patience: float, linger: float, progress: Callable[[], object]) -> None:
    """After the half-close, wait until the peer has taken all bytes and has closed, or the connection breaks.

    Once the peer's kernel has all bytes, the peer may be silent for ``patience`` seconds before it closes. Before that
    there is no time limit: the caller cancels when ``progress`` was not called for ``linger`` seconds.
    """
    sink = _Sink(stream)
    left = stream.unacknowledged()
    moved = began = trio.current_time()
    pause, longest = _POLL
    longest = min(longest, linger / 4)
    while True:
        heard = sink.read()
        before, left = left, stream.unacknowledged()
        if sink.broken or (sink.ended and (not left or stream.is_broken())):
            return
        now = trio.current_time()
        if left and before and left < before:
            began = now
        if began == now or (heard and now < began + _HEARD * patience):
            moved = now
            progress()
        if not left and (stream.acknowledges_for_process or now >= moved + patience):
            return
        with trio.move_on_after(pause):
            await sink.wait()
        pause = min(2 * pause, longest)


class _Sink:
    """Reads and discards the bytes of ``stream``."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.ended = False
        """The peer has ended its side."""
        self.broken = False

    @property
    def over(self) -> bool:
        return self.ended or self.broken

    async def wait(self) -> None:
        """Wait until there may be bytes to read. After the end, wait for ever."""
        if self.over:
            await trio.sleep_forever()
        with suppress(trio.ClosedResourceError):  # Stream.stir() ended the wait
            await self._stream.wait_readable()

    def read(self) -> bool:
        """Read once, without waiting. Return whether there were bytes."""
        if self.over:
            return False
        try:
            data = self._stream.read_nowait(_READ)
        except BlockingIOError:
            return False
        except OSError:
            self.broken = True
            return False
        self.ended = not data
        return bool(data)
