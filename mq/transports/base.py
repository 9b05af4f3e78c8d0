"""What does a transport promise? This file holds the contracts that links rely on.

Reading and writing have two steps: an attempt, which raises ``BlockingIOError`` instead of waiting, and a wait. A link
tries first, and most of the time needs only that one system call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from ..options import Options
from .rounds import Rounds


class TurnedAway(Exception):
    """The filters of the options reject a peer. Its connection is closed."""

    def __init__(self, peer: str, reason: str) -> None:
        super().__init__(f"{peer}: {reason}")
        self.peer = peer
        self.reason = reason


class Stream(Protocol):
    """A connected stream of bytes. At most one task waits in each direction."""

    peer: str
    """The address of the peer, for events."""
    read_nowait: Callable[[int], bytes]
    """Read and return at most the given number of bytes; ``b""`` if the peer has half-closed. Raises OSError."""
    read_into_nowait: Callable[[memoryview], int]
    """Read into a buffer, and return the number of bytes; 0 if the peer has half-closed. Raises OSError."""

    send_nowait: Callable[[bytes], int]
    """Write as much of one buffer as the kernel accepts, and return the number of bytes. Raises OSError."""

    def write_nowait(self, buffers: Sequence[bytes | memoryview]) -> int:
        """Write as much of ``buffers`` as the kernel accepts, and return the number of bytes. Raises OSError."""

    wait_readable: Callable[[], Awaitable[None]]
    """Wait until an attempt to read would not block. Raises ``trio.ClosedResourceError`` on close() and stir()."""
    wait_writable: Callable[[], Awaitable[None]]
    """Wait until an attempt to write would not block. Raises ``trio.ClosedResourceError`` on close() and stir()."""

    block: Callable[[], bool]
    """Block the thread until there are bytes to read, if no other task of the run could run meanwhile.

    Return False, perhaps at once, if the wait has to go through Trio: another task can run, or a deadline has passed.
    """

    def look(self, seconds: float) -> bool:
        """Block the thread for at most ``seconds``, and return whether there are bytes to read. No other task runs."""

    def has_ended(self) -> bool:
        """Return whether the peer has half-closed, also while bytes wait to be read; False if that is unknown."""

    def stir(self) -> None:
        """Make the waiting tasks raise ``trio.ClosedResourceError``, so that they check for other changes."""

    def end_writing(self) -> None:
        """Half-close: tell the peer that no further bytes follow. The kernel still delivers the written bytes."""

    acknowledges_for_process: bool
    """Whether acknowledged bytes are in the peer's process. Otherwise they may still be in its kernel buffer."""

    def unacknowledged(self) -> int | None:
        """Return how many written bytes the peer's kernel has not acknowledged, or None if the system does not say.

        It still works after the connection broke. The number may include overhead of the kernel, so it is an upper
        bound.
        """

    def unanswered(self) -> float:
        """Return for how many seconds the peer's kernel has acknowledged nothing, if bytes were sent again; else 0.

        A live kernel acknowledges even while its process reads nothing. This distinguishes a dead machine from a busy
        process. The result is 0 on systems that do not provide this fact.
        """

    def is_broken(self) -> bool:
        """Return whether the connection broke since the last call. It is needed after the peer has half-closed."""

    def close(self) -> None:
        """Close; idempotent."""


class Listener(Protocol):
    """A bound address that accepts connections."""

    endpoint: str
    """The endpoint to which peers connect, with resolved wildcards."""

    async def accept(self) -> Stream:
        """Wait for a connection and return it. After OSError or `TurnedAway`, the caller may call it again."""

    def close(self) -> None:
        """Stop listening, and remove the file that binding made; idempotent."""


class Transport(Protocol):
    """The code for one scheme. ``endpoint`` is an object of the class for that scheme in `mq.endpoint`."""

    def listen(self, endpoint: Any, options: Options) -> Listener:
        """Listen at once. Raises `mq.BindError` or `mq.InvalidEndpoint`."""

    def check(self, endpoint: Any, options: Options) -> None:
        """Raise `mq.InvalidEndpoint` if no connection to ``endpoint`` is possible, now or later."""

    async def connect(self, endpoint: Any, options: Options, rounds: Rounds) -> Stream:
        """Connect once. ``rounds`` belongs to the endpoint, and selects the first address. Raises OSError."""
