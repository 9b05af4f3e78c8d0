"""How are standard input and output read and written? In threads, for pipes, files and terminals alike.

Reads and writes block their thread. Non-blocking mode would also affect the processes that share the file description.
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
    """Reads messages from standard input in a format."""

    def __init__(self, form: Format) -> None:
        self._form = form
        self._rest = b""
        self._number = 0
        self._ended = False

    async def batch(self) -> list[list[bytes]]:
        """Wait for messages, and return all that have arrived; none at the end of input."""
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
    except OSError:  # standard input is closed, or its terminal is gone
        return b""


async def write(data: bytes) -> None:
    """Write to standard output. Raises BrokenPipeError if the reader has closed it."""

    def write_all() -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(1, left) :]

    await trio.to_thread.run_sync(write_all, abandon_on_cancel=True)


async def while_read(work: Callable[[], Awaitable[None]]) -> None:
    """Run ``work``. Raises BrokenPipeError as soon as the reader of standard output, a pipe, has closed it."""
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
        await trio.lowlevel.wait_readable(1)  # the writing end of a pipe is readable only if the reading end is closed
        raise BrokenPipeError


async def write_messages(form: Format, messages: Iterable[list[bytes]]) -> None:
    await write(b"".join(map(form.write, messages)))


def say(text: str) -> None:
    """Write a line to standard error."""
    print(text, file=sys.stderr, flush=True)
