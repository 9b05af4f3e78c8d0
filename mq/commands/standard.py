"""How do messages come from standard input and go to standard output, in pipes, files and terminals alike?

Reads and writes block a thread: what stands at the other end may share the descriptor, so it stays as it is.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Awaitable, Callable, Iterable

import trio

from .errors import Trouble
from .formats import Format

_READ = 65536


class Input:
    """The messages of standard input, as a format reads them."""

    def __init__(self, form: Format) -> None:
        self._form = form
        self._rest = b""
        self._number = 0
        self._ended = False

    async def batch(self) -> list[list[bytes]]:
        """Return as many messages as have come, at least one, or none at the end; waits for them."""
        lines: list[bytes] = []
        while not lines and not self._ended:
            data = await _read()
            self._rest += data
            if not data:
                self._ended = True
                lines = [self._rest] if self._rest or self._form.whole else []
            elif not self._form.whole:
                *lines, self._rest = self._rest.split(b"\n")
        return [self._parsed(line) for line in lines]

    def _parsed(self, text: bytes) -> list[bytes]:
        self._number += 1
        try:
            return self._form.read(text)
        except ValueError as error:
            raise Trouble(f"standard input, line {self._number}: {error}") from None


async def _read() -> bytes:
    try:
        return await trio.to_thread.run_sync(os.read, 0, _READ, abandon_on_cancel=True)
    except OSError:  # it is closed, or its terminal is gone
        return b""


async def write(data: bytes) -> None:
    """Write to standard output. Raises BrokenPipeError when nobody reads it any more."""

    def write_all() -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(1, left) :]

    await trio.to_thread.run_sync(write_all, abandon_on_cancel=True)


async def while_read(work: Callable[[], Awaitable[None]]) -> None:
    """Do ``work``, until nobody reads standard output any more: a pipe then raises BrokenPipeError at once."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_until_unread)
        await work()
        nursery.cancel_scope.cancel()


async def _until_unread() -> None:
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(1).st_mode)
    except OSError:
        return
    if is_pipe:
        await trio.lowlevel.wait_readable(1)  # the end that is written to has nothing to read: its other end is gone
        raise BrokenPipeError


async def write_messages(form: Format, messages: Iterable[list[bytes]]) -> None:
    await write(b"".join(map(form.write, messages)))


def say(text: str) -> None:
    """Tell the user something, on standard error."""
    print(text, file=sys.stderr, flush=True)
